"""Memory that lowerings keep: the same again, a border that stays zero, each thread its own."""

import threading

import torch

from backlit.lower.lowerings.columns import columns
from backlit.lower.lowerings.scratch import bordered, forget, scratch


def test_the_same_memory_again():
    forget()
    like = torch.empty(0, dtype=torch.bfloat16)
    first = scratch("a", (4, 6), like)
    assert first.shape == (4, 6) and first.dtype == torch.bfloat16
    assert scratch("a", (3, 2), like).data_ptr() == first.data_ptr()
    assert scratch("b", (3, 2), like).data_ptr() != first.data_ptr()
    assert scratch("a", (3, 2), like.float()).data_ptr() != first.data_ptr()
    assert scratch("a", (5, 5), like).numel() == 25  # more than there was


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
    like, places = torch.empty(0), []
    threads = [
        threading.Thread(target=lambda: places.append(scratch("a", (9,), like))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
        thread.join()
    assert places[0].data_ptr() != places[1].data_ptr()


def test_columns_of_single_pixels_are_the_pictures():
    x = torch.randn(2, 8, 4, 4).contiguous(memory_format=torch.channels_last)
    assert columns(x, (1, 1), (1, 1), (0, 0), (4, 4)).data_ptr() == x.data_ptr()
