"""A recipe's game on a GPU; what it leaves is read on any machine."""

import pytest
from test_bad_input import SMALL

from backlit.cli import run
from backlit.train.choices import told


def test_a_gpu_is_told_in_place_of_threads():
    facts = {"mode": "compiled", "precision": "bfloat16", "threads": 2}
    assert told(facts) == "compiled mode, bfloat16, 2 threads"
    assert told(facts | {"device": "cuda:0"}) == "compiled mode, bfloat16, cuda:0"


@pytest.mark.gpu
@pytest.mark.parametrize("mode", ["plain", "compiled"])
def test_a_game_trains_goes_on_and_is_sampled(cuda, tmp_path, monkeypatch, capsys, mode):
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    chosen = [*SMALL, "--set", f"train.mode={mode}", "--set", "device=cuda"]
    assert run(["train", "--run", "r", "--steps", "3", *chosen]) == 0
    assert run(["train", "--run", "r", "--steps", "6"]) == 0
    said = capsys.readouterr().out
    assert "cuda:0" in said and "finished: 6 steps" in said
    assert run(["sample", "r", "--n", "4", "--out", "four.png"]) == 0
    assert (tmp_path / "four.png").exists()
