"""Memory that lowerings keep: the same again, a border that stays zero, each thread its own."""

import threading
from weakref import WeakValueDictionary

import torch

from backlit.lower import kept_buffers
from backlit.lower.kept_buffers import shared_buffers
from backlit.lower.lowerings.columns import columns
from backlit.lower.lowerings.scratch import bordered, forget, kept_empty


def test_the_same_memory_again_while_someone_keeps_it(monkeypatch):
    # Steps of other tests may still keep blocks, of which the smallest that fits would be given.
    monkeypatch.setattr(kept_buffers, "_SHARED", WeakValueDictionary())
    like, buffers = torch.empty(0, dtype=torch.bfloat16), shared_buffers()
    first = kept_empty(4, 6, like=like)
    assert first.shape == (4, 6) and first.dtype == torch.bfloat16
    place = first.data_ptr()
    assert kept_empty(4, 6, like=like).data_ptr() != place  # it is held
    del first
    assert kept_empty(6, 4, like=like).data_ptr() == place
    del buffers
    assert kept_empty(5, 5, like=like).numel() == 25


def test_the_border_stays_zero():
    forget()
    for _ in range(2):
        x = torch.randn(2, 4, 3, 5)
        expected = torch.nn.functional.pad(x, (0, 0, 2, 2, 1, 1))
        found = bordered(x, (1, 2))
        assert torch.equal(found, expected)
    assert bordered(x, (1, 2)).data_ptr() == found.data_ptr()
    assert bordered(x, (2, 1)).data_ptr() != found.data_ptr()


def test_not_ever_more_is_kept():
    forget()
    first = bordered(torch.ones(1, 1, 1, 1), (1, 1))
    for n in range(2, 70):
        bordered(torch.ones(1, 1, n, 1), (1, 1))
    again = bordered(torch.ones(1, 1, 1, 1), (1, 1))
    assert again.data_ptr() != first.data_ptr() and torch.equal(again, first)


def test_threads_do_not_share():
    x, places = torch.ones(1, 3, 3, 1), []
    threads = [
        threading.Thread(target=lambda: places.append(bordered(x, (1, 1)).data_ptr()))
        for _ in range(2)
    ]
    mine = bordered(x, (1, 1))
    for thread in threads:
        thread.start()
        thread.join()
    assert mine.data_ptr() not in places


def test_columns_of_single_pixels_are_the_pictures():
    x = torch.randn(2, 8, 4, 4).contiguous(memory_format=torch.channels_last)
    assert columns(x, (1, 1), (1, 1), (0, 0), (4, 4)).data_ptr() == x.data_ptr()
