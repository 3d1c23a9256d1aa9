"""A text by character or by word: vocabulary, windows, and lanes for a state carried along.

Shapes: T tokens of a window or chunk, B lanes, N windows.
"""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

import torch
from torch import Tensor

from backlit.data.labelled import PARTS, Labelled, Part, check_shares
from backlit.data.options import check_one_of
from backlit.data.time_series import BUNDLED
from backlit.errors import DataError

UNKNOWN = "<unk>"
PADDING = "<pad>"
WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]|\n")


@final
@dataclass(frozen=True, eq=False, repr=False)
class Text:
    """A text as numbers, parted in three stretches in the order of reading.

    Args:
        name: of the text.
        level: "char" or "word".
        vocabulary: tokens of the training part, by number; 0 is "<unk>", for those not in it.
        train, validation, test: int64 tokens of each stretch.
        facts: what was done, one sentence each.
    """

    name: str
    level: str
    vocabulary: tuple[str, ...]
    train: Tensor
    validation: Tensor
    test: Tensor
    facts: tuple[str, ...]

    def __repr__(self) -> str:
        parts = ", ".join(f"{len(self.tokens(part)):,} {part}" for part in PARTS)
        return f"Text({self.name}: {len(self.vocabulary)} {self.level}s; {parts})"

    def tokens(self, part: Part) -> Tensor:
        """The int64 tokens of "train", "validation" or "test"."""
        check_one_of("part", part, PARTS)
        return getattr(self, part)

    def encode(self, text: str) -> Tensor:
        """Text to int64 tokens; what the vocabulary lacks becomes 0."""
        return encode(tokenise(text, self.level), self.vocabulary)

    def decode(self, tokens: Tensor) -> str:
        """Tokens to text; words with spaces between."""
        words = [self.vocabulary[token] for token in tokens.tolist()]
        if self.level == "char":
            return "".join(words)
        spaced = re.sub(r" ([.,;:!?)\]’])|([(\[]) ", r"\1\2", " ".join(words))
        return spaced.replace(" \n ", "\n")

    def windows(self, length: int = 64, stride: int | None = None) -> Labelled:
        """Each part cut in windows; the target of a token is the token after it.

        Args:
            length: T.
            stride: from one window's begin to the next; by default the length, without overlap.

        Returns:
            inputs and targets int64 (N, T), targets[:, t] = inputs[:, t + 1]; classes are the
            vocabulary.

        Raises:
            DataError: length or stride below 1, or a training part of no more than T tokens.
        """
        stride = length if stride is None else stride
        if length < 1 or stride < 1:
            raise DataError(
                f"windows: expected length and stride of at least 1, got {length}, {stride}"
            )
        if len(self.train) <= length:
            raise DataError(
                f"{self.name}: expected more than {length} training tokens for windows of {length},"
                f" got {len(self.train)}; take shorter windows or a longer text"
            )
        cut = [
            self.tokens(part).unfold(0, length + 1, stride)
            for part in PARTS
            if len(self.tokens(part)) > length
        ]
        counts = [max(0, (len(self.tokens(part)) - length - 1) // stride + 1) for part in PARTS]
        windows = torch.cat(cut)  # (N, T + 1)
        train, validation, test = torch.arange(len(windows)).split(counts)
        return Labelled(
            name=self.name,
            inputs=windows[:, :-1].contiguous(),
            targets=windows[:, 1:].contiguous(),
            classes=self.vocabulary,
            train=train,
            validation=validation,
            test=test,
            facts=self.facts,
        )


def text(
    path: str | Path,
    level: Literal["char", "word"] = "char",
    validation: float = 0.1,
    test: float = 0.1,
    least: int = 1,
) -> Text:
    """Read a UTF-8 text; the first part is trained on, the last is the test.

    Args:
        path: of the file.
        level: tokens are characters, or words (lower case; marks and line ends of their own).
        validation, test: shares of the tokens, at least 0, together at most 0.5.
        least: a token seen less often in the training part is not in the vocabulary.

    Raises:
        DataError: no such file, not UTF-8, no tokens to train on, or a setting out of range.
    """
    check_one_of("level", level, ("char", "word"))
    check_shares(validation, test)
    if least < 1:
        raise DataError(f"least: expected at least 1, got {least}")
    path = Path(path).expanduser()
    words = tokenise(read_text(path), level)
    n = len(words)
    tested, held = n - round(n * test), n - round(n * test) - round(n * validation)
    if not held:
        raise DataError(f"{path}: expected text to train on, found none")
    vocabulary = make_vocabulary(words[:held], least)
    tokens = encode(words, vocabulary)
    unknown = int((tokens[held:] == 0).sum())
    return Text(
        name=path.stem,
        level=level,
        vocabulary=vocabulary,
        train=tokens[:held],
        validation=tokens[held:tested],
        test=tokens[tested:],
        facts=(
            f"vocabulary: {len(vocabulary) - 1} {level}s of the training part and {UNKNOWN}",
            f"{unknown} of {n - held} tokens of validation and test are not in it",
        ),
    )


def moby_dick(
    level: Literal["char", "word"] = "char",
    validation: float = 0.1,
    test: float = 0.1,
    least: int = 1,
) -> Text:
    """Chapters 1-32 of Melville's "Moby-Dick" (298,171 characters). Arguments as for `text`.

    Source: Herman Melville 1851, public domain.
    """
    return text(BUNDLED / "moby_dick.txt", level, validation, test, least)


def lanes(tokens: Tensor, batch: int, length: int) -> tuple[Tensor, Tensor]:
    """Chunks for truncated backpropagation through time: lane b of chunk k + 1 goes on where lane
    b of chunk k ended, so the state is carried from chunk to chunk and reset before the first.

    Args:
        tokens: int64, or numbers, (S, ...).
        batch: B.
        length: T.

    Returns:
        inputs and targets (K, B, T, ...), K chunks; targets are the inputs one step on. What is
        left over at the end is dropped.

    Raises:
        DataError: batch or length below 1, or too few tokens for one chunk.

    Source: Williams, Peng 1990, An efficient gradient-based algorithm, BPTT(h; h').
    """
    if batch < 1 or length < 1:
        raise DataError(f"lanes: expected batch and length of at least 1, got {batch}, {length}")
    chunks = (len(tokens) - 1) // (batch * length)
    if chunks < 1:
        raise DataError(
            f"lanes: expected at least {batch * length + 1} tokens for {batch} lanes of {length},"
            f" got {len(tokens)}"
        )
    steps = chunks * length  # of each lane
    pair = []
    for shift in (0, 1):
        lane = tokens[shift : shift + batch * steps].reshape(
            batch, chunks, length, *tokens.shape[1:]
        )
        pair.append(lane.transpose(0, 1).contiguous())  # (K, B, T, ...)
    return pair[0], pair[1]


def read_text(path: Path) -> str:
    """A UTF-8 file, line ends as \\n."""
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise DataError(f"expected a text file, found {found} at {path}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: expected UTF-8 text, byte {error.start} is {error.object[error.start]:#04x};"
            f" save the file as UTF-8"
        ) from None


def tokenise(text: str, level: str) -> list[str]:
    """Characters, or words in lower case with marks and line ends of their own."""
    return list(text) if level == "char" else WORD.findall(text.lower())


def make_vocabulary(
    words: list[str], least: int, special: tuple[str, ...] = (UNKNOWN,)
) -> tuple[str, ...]:
    """The special tokens, then those seen at least `least` times, the most frequent first."""
    counted = sorted(Counter(words).items(), key=lambda item: (-item[1], item[0]))
    return (*special, *(word for word, count in counted if count >= least))


def encode(words: list[str], vocabulary: tuple[str, ...]) -> Tensor:
    """Their numbers, int64; that of "<unk>" where there is none."""
    numbers = {word: number for number, word in enumerate(vocabulary)}
    unknown = numbers[UNKNOWN]
    return torch.tensor([numbers.get(word, unknown) for word in words], dtype=torch.int64)
