"""A step that was compiled before is called without being lowered, while all is as it was."""

import json

import pytest
import torch
from torch import nn

from backlit.folders import cache_folder
from backlit.gan import Game
from backlit.lower import compiler_available
from backlit.lower.kernel_file import kernel_file, measured_since, write_kernels
from backlit.lower.rolled_call import RolledCall
from backlit.nets import SequenceClassifier
from backlit.step import step as steps
from backlit.supervised import Supervised

pytestmark = pytest.mark.skipif(not compiler_available(), reason="no C++ compiler")


@pytest.fixture
def lowered(tmp_path, monkeypatch):
    """How often a step was lowered, in a cache folder of the test's own."""
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path))
    found, prepare = [], steps.prepare_graph
    monkeypatch.setattr(
        steps, "prepare_graph", lambda *given: found.append(given) or prepare(*given)
    )
    return found


def played(batch=4, several=False, **options):
    """A small game's losses over three steps; what was said; the game."""
    torch.manual_seed(0)
    said = []
    game = Game(
        nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)), latent=2
    )
    pictures = torch.randn(batch, 2)
    assert game.prepare(pictures, "compiled", said.append, **options) == "compiled"
    step = game.steps[True, False]
    if several:
        step.prepare_several([{"real": pictures}] * 3)
        losses = step.run_several([{"real": pictures}] * 3, 0, 0)
    else:
        losses = [game.step(pictures, index) for index in range(3)]
    return [{name: float(loss) for name, loss in one.items()} for one in losses], said, game


def test_lowered_once_for_the_same_step(lowered):
    first, _, game = played()
    again, _, later = played()
    assert len(lowered) == 1 and again == first and later.chosen == game.chosen
    played(batch=6)
    played(precision="bfloat16")
    assert len(lowered) == 3


def learned():
    """The losses of a small LSTM over three steps, whose time steps are compiled once."""
    torch.manual_seed(0)
    learner = Supervised(SequenceClassifier(8, 6, 8), "cross_entropy", classifier=False)
    batch = torch.randn(6, 24, 8), torch.arange(6)
    assert learner.prepare(batch, "compiled") == "compiled"
    (step,) = learner.steps.values()
    assert isinstance(step._call, RolledCall)
    return [float(learner.step(batch, index)["loss"]) for index in range(3)]


def test_a_recurrent_net_goes_on_from_its_pieces(lowered):
    first = learned()
    assert learned() == first and len(lowered) == 1
    (place,) = (cache_folder() / "lowered").iterdir()
    kept = place.read_text()
    plan = json.loads(kept)["plan"]
    assert len(plan["calls"]) > 24 and len(json.loads(kept)["compiled"]) < 10
    plan["calls"][0][1][0] = 10**6  # a wire that is not there
    place.write_text(json.dumps(json.loads(kept) | {"plan": plan}))
    assert learned() == first and len(lowered) == 2
    assert place.read_text() == kept
    (some, *_) = cache_folder().glob("compiled/*/step.py")
    some.write_text(some.read_text()[:1000])
    assert learned() == first and len(lowered) == 3


def test_several_steps_in_a_call_go_on_from_it(lowered):
    first, _, _ = played(several=True)
    again, _, _ = played(several=True)
    assert len(lowered) == 2  # the second time for the three steps, not for the one
    assert again == first


@pytest.mark.parametrize("text", ["", "{", "[]", '{"compiled": 3}', None])
def test_lowered_again_where_that_is_damaged(lowered, text):
    first, _, _ = played()
    (place,) = (cache_folder() / "lowered").iterdir()
    kept = place.read_text()
    if text is None:
        place.unlink()
    else:
        place.write_text(text)
    assert played()[0] == first and len(lowered) == 2
    assert place.read_text() == kept


def test_a_damaged_compiled_step_is_said_and_made_again(lowered):
    first, _, _ = played()
    (code,) = cache_folder().glob("compiled/*/step.py")
    code.write_text(code.read_text()[:1000])
    again, said, _ = played()
    assert again == first and len(lowered) == 2
    assert sum("is damaged (step.py); compiling it again" in text for text in said) == 1
    assert played()[0] == first and len(lowered) == 2


def test_kernels_are_measured_anew_where_their_file_was_begun_anew(lowered):
    write_kernels(kernel_file(), "a machine", {"a gate": {"aten": 1.0}})
    since = measured_since(kernel_file())
    for _ in range(2):
        played(kernels="auto")
    assert len(lowered) == 1
    write_kernels(kernel_file(), "a machine", {"another gate": {"aten": 1.0}})
    assert measured_since(kernel_file()) == since != ""
    played(kernels="auto")
    assert len(lowered) == 1
    kernel_file().unlink()
    assert measured_since(kernel_file()) == ""
    write_kernels(kernel_file(), "a machine", {"a gate": {"aten": 1.0}})
    assert measured_since(kernel_file()) != since
    played(kernels="auto")
    assert len(lowered) == 2
