"""The cache of compiled steps: kept across processes, thrown away where damaged."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from backlit.graph import trace
from backlit.lower import cache

SCRIPT = Path(__file__).with_name("compile_once.py")


def graph(n=4):
    x, y = torch.randn(n, n), torch.randn(n, n)
    return trace(lambda x, y: ((x + y @ y).relu(), y.sum()), [x, y])[0], [x, y]


def test_the_key_follows_graph_shapes_threads_and_settings():
    gm, inputs = graph()
    key = cache.key_of(gm, inputs, {})
    assert key == cache.key_of(*graph(), {})
    assert key != cache.key_of(*graph(5), {})
    assert key != cache.key_of(gm, inputs, {"fast": True})
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert key != cache.key_of(gm, inputs, {})
    finally:
        torch.set_num_threads(threads)


def test_nothing_kept_is_none_and_rubbish_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said: list[str] = []
    assert cache.load("abc", said.append) is None and not said
    entry = cache.folder() / "abc"
    for text in ("{", "[]", '{"files": {"step.py": "0"}, "kernels": {}}'):
        entry.mkdir(parents=True)
        (entry / "manifest.json").write_text(text)
        assert cache.load("abc", said.append) is None
        assert not entry.exists()
        assert "is damaged (manifest.json); compiling it again" in said.pop()


def test_a_folder_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    (tmp_path / "backlit").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said: list[str] = []
    assert not cache.save("abc", "", {}, said.append)
    assert "could not keep the compiled step" in said[0]


@pytest.mark.slow
def test_two_processes_share_and_a_cut_entry_is_made_again(tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}

    def run():
        done = subprocess.run(
            [sys.executable, SCRIPT], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    first, second = run(), run()
    assert first[0] == "compiled" and first[-1] == "compiler imported"
    assert second[-1] == "from the cache" and second[:2] == first[:2]
    (library,) = list(tmp_path.rglob("kernels_0.so"))
    library.write_bytes(library.read_bytes()[:1000])
    third = run()
    assert "is damaged (kernels_0.so); compiling it again" in third[2]
    assert third[1] == first[1] and run() == second
