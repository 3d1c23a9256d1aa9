"""Checkpoints: whole or not there, verified, the two last and the best kept."""

import json
import os
import resource
import stat
from pathlib import Path
from typing import Any

import pytest
import torch
from kill import assert_same_run, last_state
from test_run import events, go

from backlit.errors import RunError
from backlit.train import Checkpoints, DamagedCheckpoint

STATE = {
    "weight": torch.arange(6.0).reshape(2, 3).T,  # not contiguous
    "step": torch.tensor(3),
    "none": torch.zeros(0, 4),
    "half": torch.ones(2, dtype=torch.bfloat16),
}


def save(folder: Path, *steps: int, scores: dict[int, float] | None = None) -> Checkpoints:
    folder.mkdir(exist_ok=True)
    checkpoints = Checkpoints(folder)
    for step in steps:
        facts: dict[str, Any] = {"seed": 1}
        if scores and step in scores:
            facts["score"] = {"name": "fid", "value": scores[step]}
        checkpoints.save(step, STATE, facts)
    return checkpoints


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    shared = torch.ones(4)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(7, STATE | {"a": shared, "b": shared[:2]}, {"seed": 1})
    loaded = checkpoints.load(7)
    assert loaded.step == 7 and loaded.facts["seed"] == 1
    assert loaded.state.keys() == STATE.keys() | {"a", "b"}
    for name, tensor in STATE.items():
        assert torch.equal(loaded.state[name], tensor) and loaded.state[name].dtype == tensor.dtype
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "step-00000007.json",
        "step-00000007.safetensors",
    ]


def test_two_last_and_the_best_are_kept(tmp_path: Path) -> None:
    scores = {1: 5.0, 2: 3.0, 3: 4.0, 4: 4.5, 5: 3.0}
    checkpoints = save(tmp_path, 1, 2, 3, 4, scores=scores)
    assert checkpoints.steps() == [2, 3, 4] and checkpoints.best() == 2
    save(tmp_path, 5, scores=scores)  # of equals the later one
    assert checkpoints.steps() == [4, 5] and checkpoints.best() == 5
    assert len(list(tmp_path.iterdir())) == 4
    assert save(tmp_path / "plain", 1, 2, 3).best() is None


def test_leftovers_are_cleaned(tmp_path: Path) -> None:
    checkpoints = save(tmp_path, 1)
    (tmp_path / ".step-00000002.safetensors.aside").write_bytes(b"half")
    (tmp_path / "step-00000002.safetensors").write_bytes(b"no JSON vouches for me")
    checkpoints.clean()
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".json", ".safetensors"]
    assert checkpoints.load(1).step == 1


def test_a_missing_step_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no checkpoint of step 9 in .*; there are: 1, 2"):
        save(tmp_path, 1, 2).load(9)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


DAMAGES = {
    "a bit of the tensors": ("safetensors", flip, r"is damaged: expected [\d,]+ bytes of the rec"),
    "tensors cut short": ("safetensors", cut, r"is damaged: expected [\d,]+ bytes .*, got [\d,]+"),
    "tensors gone": ("safetensors", Path.unlink, r"cannot be read: FileNotFoundError"),
    "JSON cut short": ("json", cut, r"cannot be read: JSONDecodeError"),
    "JSON emptied": ("json", lambda path: path.write_text("{}"), r"cannot be read: KeyError"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_falls_back_to_the_one_before(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    suffix, deed, said = DAMAGES[damage]
    go(tmp_path / "whole", 14)
    go(tmp_path / "r", 12)
    folder = tmp_path / "r" / "checkpoints"
    deed(folder / f"step-00000012.{suffix}")
    with pytest.raises(DamagedCheckpoint, match=said):
        Checkpoints(folder).load(12)
    capsys.readouterr()

    run = go(tmp_path / "r", 14)
    output = capsys.readouterr().out
    assert "kept as *.damaged, going on from the one before, step 10" in output
    assert len(events(tmp_path / "r", "damage")) == 1
    assert list(folder.glob("*.damaged"))
    assert_same_run(tmp_path / "whole", tmp_path / "r")
    assert run.metric("loss_d")[0] == list(range(1, 15))


def test_every_checkpoint_damaged_is_an_error(tmp_path: Path) -> None:
    go(tmp_path / "r", 12)
    for path in (tmp_path / "r" / "checkpoints").glob("*.safetensors"):
        flip(path)
    for _ in range(2):  # nothing is put aside meanwhile: the second start must not begin at nought
        with pytest.raises(RunError, match=r"every checkpoint in .* is damaged \(steps 10, 12\)"):
            go(tmp_path / "r", 14)


def test_a_wrong_step_in_the_json(tmp_path: Path) -> None:
    checkpoints = save(tmp_path, 1)
    path = tmp_path / "step-00000001.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"step": 5}))
    with pytest.raises(DamagedCheckpoint, match=r"step-00000001.json says step 5"):
        checkpoints.load(1)


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_full_disk_during_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    go(tmp_path / "whole", 14)
    go(tmp_path / "r", 6)

    real = getattr(os, call)

    def full(descriptor: int, *content: bytes) -> Any:
        found = os.fstat(descriptor)
        size = len(content[0]) if content else found.st_size
        if size > 1500 and stat.S_ISREG(found.st_mode):  # the tensors' file, of all that is written
            raise OSError(28, "No space left on device")
        return real(descriptor, *content)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(
            RunError, match=r"could not write .*step-00000010.safe.*: No space left"
        ):
            go(tmp_path / "r", 14, sample_every=0)
    assert Checkpoints(tmp_path / "r" / "checkpoints").steps() == [5, 6]
    assert last_state(tmp_path / "r")[0] == 6
    assert not list(tmp_path.rglob("*.aside"))
    go(tmp_path / "r", 14)
    assert_same_run(tmp_path / "whole", tmp_path / "r")


def test_a_true_limit_on_file_size(tmp_path: Path) -> None:
    checkpoints = save(tmp_path, 1, 2)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(RunError, match=r"step-00000003.safetensors \([\d,]+ bytes\): File too"):
            checkpoints.save(3, {"large": torch.ones(5000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
