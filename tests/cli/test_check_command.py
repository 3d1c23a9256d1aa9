"""`backlit check`: its table, its exit codes, what it says about what it cannot check."""

from pathlib import Path

import pytest
import torch
from test_cli import fails

from backlit.cli import run
from backlit.gates.activations import Sigmoid

Output = pytest.CaptureFixture[str]
SOURCE = """
import torch
from torch import nn

torch.manual_seed(0)
pair = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 1)), torch.randn(5, 3)
alone = pair[0]


def made():
    import backlit.graph
    return backlit.graph.capture(lambda x, y, z: (x + y) * z, x=-2.0, y=5.0, z=-4.0)
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some_net.py").write_text(SOURCE)
    monkeypatch.delitem(__import__("sys").modules, "some_net", raising=False)


@pytest.mark.parametrize("name", ["some_net:pair", "some_net.py:pair"])
def test_network(name: str, capsys: Output) -> None:
    assert run(["check", name]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Sequential: numerical against analytic gradients in float64\n")
    for name in ("0.weight", "0.bias", "2.weight", "2.bias", "input"):
        assert f"✓  {name}" in out
    assert "\npassed, largest error " in out


def test_graph_and_gate(capsys: Output) -> None:
    assert run(["check", "some_net:made"]) == 0
    assert run(["check", "backlit.gates.arithmetic:Multiply"]) == 0
    assert "gate Multiply" in capsys.readouterr().out


def test_a_wrong_gate_ends_with_one(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sigmoid, "backward", staticmethod(lambda dz, z, x: (dz * z,)))
    assert run(["check", "some_net:pair"]) == 1
    out = capsys.readouterr().out
    assert "✗  0.weight" in out and "wrong: Sigmoid 'sigmoid' in module '1'" in out
    assert "✓  2.weight" in out and "FAILED: 3 of 5 wrong" in out


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nowhere", "expected MODULE:OBJECT or a run folder, got 'nowhere'"),
        ("nowhere:x", "expected a module, found none named 'nowhere'"),
        ("nowhere.py:x", "expected a Python file, found none at nowhere.py"),
        ("some_net:absent", "some_net has no 'absent'; it has: torch, nn, pair, alone, made"),
        ("some_net:alone", "some_net:alone: expected inputs beside the Sequential; name a tuple"),
    ],
)
def test_errors(name: str, text: str, capsys: Output) -> None:
    assert text in fails(["check", name], capsys)


def test_run_folder(tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path / "cache"))
    torch.set_num_threads(1)
    small = ["train.batch=4", "generator.width=2", "discriminator.width=2", "data.size=32"]
    settings = [part for value in small for part in ("--set", value)]
    assert (
        run(["train", "--steps", "2", "--run", "here", "--set", "train.mode=plain", *settings]) == 0
    )
    capsys.readouterr()
    assert run(["check", "here", "--batch", "2"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Game:") and "D loss: discriminator/" in out and "G loss:" in out
