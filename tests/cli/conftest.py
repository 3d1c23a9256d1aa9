"""The command line on a small game, in a folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from games import Games

import backlit.gan


@pytest.fixture
def games(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Games]:
    made = Games()
    monkeypatch.setattr(backlit.gan, "Game", made, raising=False)
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield made
    torch.set_num_threads(threads)
