"""A CSV or Parquet table with a target column as Labelled."""

from pathlib import Path
from typing import Literal

import torch

from backlit.data.features import features
from backlit.data.labelled import Labelled, split, standardise
from backlit.data.options import check_one_of
from backlit.data.rows import Rows, check_seen, numbers, read_rows, to_number
from backlit.errors import DataError

FEW = 20  # a target of at most so many different whole numbers is taken for classes


def table(
    path: str | Path,
    target: str | None = None,
    kind: Literal["auto", "class", "number"] = "auto",
    test_path: str | Path | None = None,
    leave_out: tuple[str, ...] = (),
    validation: float = 0.15,
    test: float = 0.15,
    seed: int = 0,
    most_words: int = 50,
) -> Labelled:
    """A table: numbers standardised, text one-hot, missing numbers filled with the training mean.

    Constant and empty columns, and text columns of more than `most_words` different values, are
    left out. `facts` says what was done to which column. All figures are the training part's.

    Args:
        path: .csv, .tsv or .parquet, with names of columns.
        target: the column to predict; the last one by default.
        kind: whether it holds classes or numbers; "auto" takes text, and up to 20 different whole
            numbers, for classes.
        test_path: a second table with the same columns, taken whole as the test part.
        leave_out: columns not to be used, such as a number of the row.
        validation, test: shares of the rows, every class in proportion; `test` is not used with a
            `test_path`.
        seed: decides which rows.
        most_words: largest number of different values of a text column.

    Returns:
        inputs float32 (N, F); targets int64 (N,) of classes, or float32 (N, 1), standardised.

    Raises:
        DataError: a file or column that cannot be used, a cell that is no number where numbers
            stand, a missing target, or a class that no training row has; each with its place.
    """
    check_one_of("kind", kind, ("auto", "class", "number"))
    rows = read_rows(path)
    n = len(rows)
    if test_path is not None:
        rows = _joined(rows, read_rows(test_path))
    target = list(rows.columns)[-1] if target is None else target
    cells = rows.column(target)
    for name in leave_out:
        rows.column(name)
    if None in cells:
        raise DataError(
            f"{rows.place(cells.index(None), target)}: expected a target, got none; fill it in or"
            f" delete the row"
        )
    is_class = kind == "class" or (kind == "auto" and _looks_like_classes(cells[:n]))
    words = sorted({str(cell) for cell in cells}, key=_order) if is_class else []
    numbers_of = {word: number for number, word in enumerate(words)}
    labels = torch.tensor([numbers_of[str(cell)] for cell in cells]) if is_class else None

    share = test if test_path is None else 0
    train, held, tested = split(n, validation, share, seed, None if labels is None else labels[:n])
    if test_path is not None:
        tested = torch.arange(n, len(rows))
    if labels is not None:
        check_seen(rows, target, labels, train)
    names = [name for name in rows.columns if name not in (target, *leave_out)]
    made = features(rows, names, train, most_words)
    facts = list(made.facts)
    if labels is not None:
        targets, mean, std = labels, torch.zeros(1), torch.ones(1)
    else:
        values = torch.tensor(numbers(rows, target), dtype=torch.float64)[:, None]
        targets, mean, std = standardise(values, train, (0,))
        facts.append(
            f"target '{target}' standardised with the training mean {float(mean):.6g} and standard"
            f" deviation {float(std):.6g}"
        )
    return Labelled(
        name=Path(path).stem,
        inputs=torch.stack(made.values, 1),
        targets=targets,
        classes=tuple(words),
        train=train,
        validation=held,
        test=tested,
        facts=tuple(facts),
        mean=torch.tensor(made.mean),
        std=torch.tensor(made.std),
        target_mean=float(mean),
        target_std=float(std),
        columns=tuple(made.names),
    )


def _joined(rows: Rows, more: Rows) -> Rows:
    missing = [name for name in rows.columns if name not in more.columns]
    if missing:
        raise DataError(
            f"{more.path}: expected the columns of {rows.path}, missing: {', '.join(missing)}"
        )
    columns = {name: cells + more.columns[name] for name, cells in rows.columns.items()}
    return Rows(rows.path, columns, rows.places + more.places)


def _looks_like_classes(cells: list[str | None]) -> bool:
    values = [to_number(str(cell)) for cell in set(cells)]
    if sum(value is None for value in values) > len(values) / 2:
        return True
    # More numbers than words: numbers() will name the word that stands among them.
    return len(values) <= FEW and all(value is not None and value % 1 == 0 for value in values)


def _order(word: str) -> tuple[float, str]:
    """Numbers by size, before words by alphabet."""
    value = to_number(word)
    return (float("inf") if value is None else value, word)
