"""Bad input at the command line, with the real game: one line, exit code 2, nothing lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from backlit.cli import run

SMALL = [
    *("--set", "data.size=16", "--set", "generator.width=4", "--set", "discriminator.width=4"),
    *("--set", "train.batch=4", "--set", "train.mode=plain", "--set", "train.threads=1"),
    *("--set", "train.sample_every=0", "--set", "train.save_every=2", "--set", "train.pictures=4"),
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def picture_folder(path, count=6):
    path.mkdir()
    for i in range(count):
        Image.new("RGB", (20, 20), (40 * i, 90, 200)).save(path / f"{i}.png")
    return path


def refused(capsys, arguments, *said):
    """Runs a command that must be refused in one line; returns the line."""
    assert run(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("backlit: error: ")
    assert error.count("\n") == 1
    assert "Traceback" not in error
    for words in said:
        assert words in error
    return error


def test_an_empty_folder(here, capsys):
    (here / "none").mkdir()
    refused(capsys, ["train", "--data", "none"], "none", "png")


def test_a_missing_folder(here, capsys):
    refused(capsys, ["train", "--data", "nowhere"], "nowhere")


def test_three_pictures(here, capsys):
    picture_folder(here / "few", 3)
    refused(capsys, ["train", "--data", "few"], "found 3", "at least 32")


def test_a_text_file_named_png_is_skipped_and_counted(here, capsys):
    (picture_folder(here / "pictures") / "note.png").write_text("hello")
    assert run(["train", "--data", "pictures", "--steps", "2", *SMALL]) == 0
    assert "1 files skipped, the first: note.png" in capsys.readouterr().out
    strict = ["--set", "data.strict=true"]
    refused(capsys, ["train", "--data", "pictures", "--run", "r", *SMALL, *strict], "note.png")


def test_a_truncated_jpeg_is_skipped_or_refused(here, capsys):
    folder = picture_folder(here / "pictures")
    Image.effect_noise((64, 64), 50).save(folder / "cut.jpg")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:900])
    assert run(["train", "--data", "pictures", "--steps", "2", *SMALL]) == 0
    assert "cut.jpg" in capsys.readouterr().out
    strict = ["--set", "data.strict=true"]
    refused(capsys, ["train", "--data", "pictures", "--run", "r", *SMALL, *strict], "cut.jpg")


def test_a_huge_picture(here, capsys):
    folder = here / "huge"
    folder.mkdir()
    # A PNG that claims 50,000 x 50,000 and ends there: its size must be judged before decoding.
    header = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
    size = (50_000).to_bytes(4, "big") * 2
    import zlib

    chunk = b"IHDR" + size + b"\x08\x02\x00\x00\x00"
    body = header[:-4] + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    data = zlib.compress(b"\x00" * 64)
    idat = len(data).to_bytes(4, "big") + b"IDAT" + data
    idat += zlib.crc32(b"IDAT" + data).to_bytes(4, "big")
    (folder / "huge.png").write_bytes(body + idat)
    refused(capsys, ["train", "--data", "huge", *SMALL], "huge")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("train.stepz=3", "train.stepz"),
        ("train.steps='many'", "train.steps"),
        ("optimiser.d.lr=-1e-4", "optimiser.d.lr"),
        ("game.loss='hing'", "hinge"),
        ("discriminator.norm='layer'", "spectral"),
        ("device=tpu", "device: expected cpu, cuda or cuda:N, got 'tpu'"),
        ("device='cuda:99'", "device: 'cuda:99' asked for"),
    ],
)
def test_a_wrong_recipe(here, capsys, setting, said):
    refused(capsys, ["train", "--set", setting], said)
    assert not (here / "runs").exists()


def test_a_run_folder_of_another_recipe(here, capsys):
    assert run(["train", "--run", "r", "--steps", "2", *SMALL]) == 0
    before = sorted(p.name for p in (here / "r" / "checkpoints").iterdir())
    other = ["--set", "game.loss='hinge'"]
    refused(capsys, ["train", "demo", "--run", "r", "--steps", "4", *SMALL, *other], "game.loss")
    assert sorted(p.name for p in (here / "r" / "checkpoints").iterdir()) == before


def test_a_damaged_checkpoint_falls_back(here, capsys):
    assert run(["train", "--run", "r", "--steps", "4", *SMALL]) == 0
    last = here / "r" / "checkpoints" / "step-00000004.safetensors"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    capsys.readouterr()
    assert run(["train", "--run", "r", "--steps", "6"]) == 0
    said = capsys.readouterr().out
    assert "going on from the one before, step 2" in said


def test_a_full_disk_during_a_checkpoint(here):
    """A real limit on file size stands in for the full disk: the write itself fails."""
    assert run(["train", "--run", "r", "--steps", "2", *SMALL]) == 0
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "from backlit.cli import main; main()"
    )
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-c", code, "train", "--run", "r", "--steps", "4"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": source},
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "intact" in done.stderr
    assert run(["train", "--run", "r", "--steps", "4"]) == 0
