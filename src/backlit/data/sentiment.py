"""Sentences with a class each, as padded tokens: review-style sentiment."""

from pathlib import Path

import torch

from backlit.data.labelled import Labelled, split
from backlit.data.rows import check_seen, read_rows
from backlit.data.sequences import pad_sequences
from backlit.data.texts import PADDING, UNKNOWN, encode, make_vocabulary, tokenise
from backlit.data.time_series import BUNDLED
from backlit.errors import DataError


def sentences(
    path: str | Path,
    text: str = "text",
    target: str = "label",
    validation: float = 0.15,
    test: float = 0.2,
    seed: int = 0,
    least: int = 1,
    length: int | None = None,
) -> Labelled:
    """A table with a column of text and a column of classes.

    Args:
        path: .csv, .tsv or .parquet.
        text, target: names of the columns.
        validation, test: shares of the rows, every class in proportion.
        seed: decides which.
        least: a word seen less often in the training part is taken for unknown.
        length: T; the longest sentence by default, longer ones are cut.

    Returns:
        inputs int64 (N, T), words by number in `columns` (0 is "<pad>", 1 "<unk>"), padded at the
        end, with `lengths`; targets int64 (N,).

    Raises:
        DataError: a file or column that cannot be used, a sentence without a word or without a
            class, or a class no training row has; each with its place.
    """
    rows = read_rows(path)
    labels, texts = rows.column(target), rows.column(text)
    words = []
    for row, (label, sentence) in enumerate(zip(labels, texts, strict=True)):
        if label is None:
            raise DataError(f"{rows.place(row, target)}: expected a class, got none")
        words.append(tokenise(sentence or "", "word"))
        if not words[-1]:
            raise DataError(
                f"{rows.place(row, text)}: expected a sentence of at least 1 word, got none;"
                f" delete the row"
            )
    classes = tuple(sorted({str(label) for label in labels}))
    targets = torch.tensor([classes.index(str(label)) for label in labels])
    train, held, tested = split(len(targets), validation, test, seed, targets)
    check_seen(rows, target, targets, train)
    seen = [word for i in train.tolist() for word in words[i]]
    vocabulary = make_vocabulary(seen, least, (PADDING, UNKNOWN))
    inputs, mask = pad_sequences([encode(one, vocabulary) for one in words], length=length)
    lengths = mask.sum(1)
    unknown = [int(((inputs[part] == 1) & mask[part]).sum()) for part in (held, tested)]
    return Labelled(
        name=Path(path).stem,
        inputs=inputs,
        targets=targets,
        classes=classes,
        train=train,
        validation=held,
        test=tested,
        facts=(
            f"vocabulary: {len(vocabulary) - 2} words of the training part, {PADDING} and"
            f" {UNKNOWN}",
            f"{sum(unknown)} of {int(lengths[held].sum() + lengths[tested].sum())} words of"
            f" validation and test are not in it",
            f"sentences of {int(lengths.min())} to {int(lengths.max())} words, padded at the end",
        ),
        lengths=lengths,
        columns=vocabulary,
        names=tuple(str(sentence) for sentence in texts),
    )


def reviews(validation: float = 0.15, test: float = 0.2, seed: int = 0) -> Labelled:
    """Bundled sentences in the manner of reviews, "good" or "bad". Arguments as for `sentences`.

    Written for Backlit; MIT, as the package.
    """
    return sentences(BUNDLED / "reviews.csv", "text", "label", validation, test, seed)


def composed_reviews(validation: float = 0.15, test: float = 0.2, seed: int = 0) -> Labelled:
    """2,000 sentences of a small grammar, "good" or "bad" by their main clause.

    Negations and concessions ("although") make the order of the words count. Arguments as for
    `sentences`. Made for Backlit; MIT, as the package.
    """
    path = BUNDLED / "composed_reviews.csv"
    return sentences(path, "text", "label", validation, test, seed)
