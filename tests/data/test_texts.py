"""Text: vocabulary from the training part, windows, lanes, sentences; and what is refused."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from backlit.data import lanes, reviews, sentences, text
from backlit.errors import DataError


@pytest.fixture
def write(tmp_path):
    def make(content: str | bytes, name: str = "a.txt"):
        raw = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(raw)
        return tmp_path / name

    return make


def refused(call, *arguments, **options) -> str:
    with pytest.raises(DataError) as error:
        call(*arguments, **options)
    text = str(error.value)
    assert "\n" not in text
    return text


def test_characters(write):
    found = text(write("aab\n" * 20 + "zz" + "ba" * 4))
    assert found.vocabulary == ("<unk>", "a", "\n", "b")
    assert repr(found) == "Text(a: 4 chars; 72 train, 9 validation, 9 test)"
    assert found.decode(found.train[:4]) == "aab\n"
    assert found.encode("ab?").tolist() == [1, 3, 0]
    assert found.facts == (
        "vocabulary: 3 chars of the training part and <unk>",
        "2 of 18 tokens of validation and test are not in it",
    )


def test_words(write):
    found = text(write("The cat, the (small) Cat isn't here.\n" * 4), "word", least=8)
    assert found.vocabulary == ("<unk>",)
    found = text(write("The cat, the (small) Cat isn't here.\n" * 4), "word", test=0)
    assert found.vocabulary[:3] == ("<unk>", "the", "cat")
    assert found.decode(found.train[:11]) == "the cat, the (small) cat isn't here."


@given(st.text(min_size=1, max_size=60), st.integers(1, 5), st.integers(1, 4))
def test_windows_are_shifted_by_one(tmp_path_factory, content, length, stride):
    path = tmp_path_factory.mktemp("t") / "a.txt"
    path.write_bytes(content.encode("utf-8", "ignore"))
    try:
        found = text(path)
    except DataError as error:
        assert str(error).endswith("expected text to train on, found none")
        return
    if len(found.train) <= length:
        assert "take shorter windows" in refused(found.windows, length, stride)
        return
    data = found.windows(length, stride)
    assert torch.equal(data.inputs[:, 1:], data.targets[:, :-1])
    for part in ("train", "validation", "test"):
        tokens = found.tokens(part)
        begins = range(0, len(tokens) - length, stride)
        assert data.inputs[data.part(part)].tolist() == [
            tokens[begin : begin + length].tolist() for begin in begins
        ]


@given(st.integers(2, 80), st.integers(1, 4), st.integers(1, 5))
def test_lanes_go_on_where_they_ended(n, batch, length):
    tokens = torch.arange(n)
    if n - 1 < batch * length:
        assert refused(lanes, tokens, batch, length) == (
            f"lanes: expected at least {batch * length + 1} tokens for {batch} lanes of {length}, "
            f"got {n}"
        )
        return
    inputs, targets = lanes(tokens, batch, length)
    assert inputs.shape == targets.shape == ((n - 1) // (batch * length), batch, length)
    assert torch.equal(targets, inputs + 1)
    for lane in inputs.unbind(1):
        whole = lane.flatten()
        assert torch.equal(whole, torch.arange(len(whole)) + whole[0])
    assert len(inputs.unique()) == inputs.numel()


def test_lanes_of_numbers():
    inputs, targets = lanes(torch.arange(14).reshape(7, 2), 2, 3)
    assert inputs.shape == (1, 2, 3, 2) and torch.equal(targets, inputs + 2)


def test_refused(write, tmp_path):
    path = write("some text to read")
    nowhere = tmp_path / "b.txt"
    assert refused(text, nowhere) == f"expected a text file, found nothing at {nowhere}"
    assert refused(text, tmp_path) == f"expected a text file, found a folder at {tmp_path}"
    assert refused(text, path, "line") == "level: expected one of char, word; got 'line'"
    assert refused(text, path, least=0) == "least: expected at least 1, got 0"
    assert refused(text, path, test=0.9).startswith("expected shares of at least 0, together at")
    assert refused(text(path).tokens, "dev") == (
        "part: expected one of train, validation, test; got 'dev'"
    )
    assert refused(text(path).windows, 0) == (
        "windows: expected length and stride of at least 1, got 0, 0"
    )
    assert refused(text(path).windows, 20) == (
        "a: expected more than 20 training tokens for windows of 20, got 13; take shorter windows "
        "or a longer text"
    )
    assert refused(lanes, torch.arange(9), 0, 1) == (
        "lanes: expected batch and length of at least 1, got 0, 1"
    )
    assert refused(text, write("")) == f"{path}: expected text to train on, found none"
    assert refused(text, write(b"\xff\xfe")) == (
        f"{path}: expected UTF-8 text, byte 0 is 0xff; save the file as UTF-8"
    )


def test_reviews():
    data = reviews()
    assert data.class_counts == {"bad": 100, "good": 100}
    assert len(data.test) == 40 and data.targets[data.test].bincount().tolist() == [20, 20]
    words = [data.columns[token] for token in data.inputs[0][data.mask[0]].tolist()]
    assert words == ["the", "soup", "was", "delicious", "and", "the", "bread", *words[7:]]
    assert not data.inputs[~data.mask].any() and data.inputs[data.mask].all()
    seen = set(data.inputs[data.train].unique().tolist())
    assert seen == set(range(len(data.columns))) - {1}
    assert len(set(data.names)) == 200


def test_sentences_refused(write):
    path = write("text,label\nfine,good\n...,bad\n,bad\n", "a.csv")
    assert refused(sentences, path) == (
        f"{path}, line 4, column 'text': expected a sentence of at least 1 word, got none; delete "
        "the row"
    )
    write("text,label\nfine,good\nbad,\n", "a.csv")
    assert refused(sentences, path) == f"{path}, line 3, column 'label': expected a class, got none"
    write("text,label\n" + "".join(f"w,c{i}\n" for i in range(9)), "a.csv")
    assert "expected a class of the training rows" in refused(sentences, path)
    assert sentences(path, target="text", text="label", length=1).inputs.shape == (9, 1)
