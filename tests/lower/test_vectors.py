"""The compiler is asked once which vector instructions it builds for."""

import json

import pytest

from backlit.lower import vectors

isa = pytest.importorskip("torch._inductor.cpu_vec_isa")


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """How often a library was built to find out; each succeeds."""
    found = []
    monkeypatch.setattr(vectors, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(vectors.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(isa, "x86_isa_checker", lambda: ["avx2"])
    monkeypatch.setattr(isa.VecAVX2, "check_build", lambda self, code: found.append(1) or True)
    return found


def test_asked_once_for_a_machine(asked, tmp_path):
    assert vectors.vectors_work() and vectors.vectors_work()
    assert len(asked) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"works": "another machine"})])
def test_asked_again_where_the_answer_is_damaged_or_of_another_machine(asked, tmp_path, content):
    (tmp_path / "vectors.json").write_text(content)
    assert vectors.vectors_work()
    assert len(asked) == 1


def test_left_to_pytorch_where_it_fails(asked, monkeypatch, tmp_path):
    monkeypatch.setattr(isa.VecAVX2, "check_build", lambda self, code: False)
    assert vectors.vectors_work() is None
    assert not (tmp_path / "vectors.json").exists()


def test_a_folder_that_cannot_be_written_is_no_error(asked, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(vectors, "cache_folder", lambda: tmp_path / "file")
    assert vectors.vectors_work()
