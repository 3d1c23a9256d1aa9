"""`backlit look`: what it shows of modules, graphs, games and runs; what it refuses."""

from pathlib import Path

import pytest
from test_cli import fails

from backlit.cli import run

Output = pytest.CaptureFixture[str]
SOURCE = """
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 1))
pair = net, torch.randn(5, 3)
words = nn.Embedding(2, 4)


class Needs(nn.Module):
    def __init__(self, width):
        super().__init__()


def made():
    import backlit.graph
    return backlit.graph.capture(lambda x, y, z: (x + y) * z, x=-2.0, y=5.0, z=-4.0)


def game():
    from backlit.gan import Game

    torch.manual_seed(0)
    g = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    return Game(g, nn.Linear(2, 1), latent=2), torch.randn(4, 2), 0


def convolution():
    return nn.Conv2d(8, 16, 3, padding=1), torch.randn(4, 8, 32, 32)


def wide_game():
    from backlit.gan import Game

    torch.manual_seed(0)
    g = nn.Sequential(nn.Linear(64, 64), nn.Tanh())
    return Game(g, nn.Linear(64, 1), latent=64), torch.randn(1024, 64), 0


def without():
    return game()[0],
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "some_looks.py").write_text(SOURCE)
    monkeypatch.delitem(__import__("sys").modules, "some_looks", raising=False)


def test_graph(capsys: Output) -> None:
    assert run(["look", "some_looks:made"]) == 0
    out = capsys.readouterr().out
    assert "mul   Multiply  add, z  -12" in out and "\x1b" not in out
    assert run(["look", "some_looks:made", "--gate", "mul"]) == 0
    out = capsys.readouterr().out
    assert "∂z/∂x = y = -4, ∂z/∂y = x = 3" in out and "forward" in out and "µs" in out


@pytest.mark.parametrize(
    "arguments", [["some_looks.py:net", "--input", "5x3"], ["some_looks:pair"]]
)
def test_network(arguments: list[str], capsys: Output) -> None:
    assert run(["look", *arguments]) == 0
    out = capsys.readouterr().out
    assert "sigmoid   Sigmoid" in out and "5×4" in out and "21 parameters" in out
    assert run(["look", *arguments, "--level", "phase"]) == 0
    assert "Linear" in capsys.readouterr().out


def test_whole_numbers_and_classes(capsys: Output) -> None:
    assert run(["look", "some_looks:words", "--input", "3x2:int"]) == 0
    assert "3×2×4" in capsys.readouterr().out
    assert run(["look", "backlit.nets:LeNet", "--input", "2x1x28x28"]) == 0
    assert "Convolution" in capsys.readouterr().out


def test_page_and_figure(tmp_path: Path, capsys: Output) -> None:
    assert run(["look", "some_looks:made", "--html", "a.html", "--svg", "a.svg"]) == 0
    assert capsys.readouterr().out == "a.html\na.svg\n"
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "a.svg").read_text().startswith("<svg")


def test_game(capsys: Output) -> None:
    assert run(["look", "some_looks:game", "--level", "phase"]) == 0
    out = capsys.readouterr().out
    assert "D on real · backward" in out and "G average" in out and "‖gradient‖" in out


def test_run(capsys: Output) -> None:
    small = ["train.batch=4", "generator.width=2", "discriminator.width=2", "data.size=32"]
    settings = [part for value in small for part in ("--set", value)]
    folder = ["--run", "here", "--set", "train.mode=plain"]
    assert run(["train", "--steps", "1", *folder, *settings]) == 0
    capsys.readouterr()
    assert run(["look", "here", "--batch", "2", "--html", "step.html", "--level", "phase"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("step.html\nhere: ") and "D update" in out
    assert Path("step.html").stat().st_size > 100_000


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["some_looks:made", "--gate", "mu"], "expected a gate of this graph, got 'mu'; nearest"),
        (["some_looks:made", "--level", "x"], "expected one of phase, module, gates, got 'x'"),
        (["some_looks:net"], "expected inputs beside the Sequential"),
        (["some_looks:net", "--input", "5y3"], "--input: expected a shape such as 4x3x32x32"),
        (["some_looks:Needs", "--input", "5x3"], "expected a class made without arguments"),
        (["some_looks:without"], "expected pictures beside the game"),
        (["some_looks:made", "--svg", "none/a.svg"], "No such file or directory"),
    ],
)
def test_refused(arguments: list[str], text: str, capsys: Output) -> None:
    assert text in fails(["look", *arguments], capsys)


def test_kernels(capsys: Output, tmp_path: Path) -> None:
    assert run(["look", "some_looks:convolution", "--kernels"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("measuring kernels: 1 of 3, ")
    assert "GFLOP/s" in out and "together" in out and "ms as chosen" in out
    for kind in ("correlate convolution", "spread convolution_backward", "weight gradient"):
        assert kind in out
    assert (tmp_path / "cache" / "kernels.json").is_file()
    assert run(["look", "some_looks:convolution", "--kernels"]) == 0
    assert capsys.readouterr() == (out, "")  # measured once


def test_kernels_of_a_game_and_of_small_work(capsys: Output) -> None:
    assert run(["look", "some_looks:wide_game", "--kernels"]) == 0
    assert "addmm float32 64, 1024x64, 64x64 turned" in capsys.readouterr().out
    assert run(["look", "some_looks:pair", "--kernels"]) == 0
    assert "no gate of 50,000 operations or more" in capsys.readouterr().out
    assert "expected pictures beside the game" in fails(
        ["look", "some_looks:without", "--kernels"], capsys
    )
