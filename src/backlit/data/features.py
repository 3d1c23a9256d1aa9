"""The columns of a table as numbers for a network: scaled, filled, one-hot, or left out and said.

Every figure (mean, standard deviation, words of a text column) comes from the training rows alone.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from backlit.data.labelled import standardise
from backlit.data.rows import Rows, numbers, to_number
from backlit.errors import DataError

NUMBERS_SHARE = 0.5  # a column with more numbers than this among its cells is meant as one


@dataclass
class Features:
    """What became of the columns: (N, F) float32, names, mean and std of each, and what to say."""

    values: list[Tensor] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    mean: list[float] = field(default_factory=list)
    std: list[float] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)


def features(rows: Rows, names: list[str], train: Tensor, most_words: int) -> Features:
    """Turn columns into numbers.

    Args:
        rows: the table.
        names: which columns.
        train: indices of the training rows.
        most_words: a text column with more different words than this is left out.

    Raises:
        DataError: a column of numbers with a cell that is none, or no column left.
    """
    made = Features()
    for name in names:
        seen = [cell for i in train.tolist() if (cell := rows.columns[name][i]) is not None]
        if len(set(seen)) < 2:
            what = f"constant ('{seen[0]}')" if seen else "empty"
            made.facts.append(f"column '{name}' left out: {what} in the training rows")
        elif sum(to_number(cell) is not None for cell in seen) > NUMBERS_SHARE * len(seen):
            _add_number(made, rows, name, train)
        else:
            _add_words(made, rows, name, sorted(set(seen)), most_words)
    if not made.names:
        raise DataError(
            f"{rows.path}: expected a column to learn from, none is left; "
            + "; ".join(made.facts or ["there is only the target"])
        )
    return made


def _add_number(made: Features, rows: Rows, name: str, train: Tensor) -> None:
    cells = numbers(rows, name)
    filled = [float("nan") if cell is None else cell for cell in cells]
    values = torch.tensor(filled, dtype=torch.float64)
    missing = values.isnan()
    known = train[~missing[train]]
    scaled, mean, std = standardise(values, known, (0,))
    if missing.any():
        made.facts.append(
            f"column '{name}': {int(missing.sum())} missing of {len(values)} filled with the"
            f" training mean {float(mean):.6g}"
        )
    made.values.append(scaled.nan_to_num(0))
    made.names.append(name)
    made.mean.append(float(mean))
    made.std.append(float(std))


def _add_words(made: Features, rows: Rows, name: str, words: list[str], most_words: int) -> None:
    if len(words) > most_words:
        made.facts.append(
            f"column '{name}' left out: text with {len(words)} different values, more than"
            f" most_words={most_words}"
        )
        return
    cells = rows.columns[name]
    unknown = sum(cell is not None and cell not in words for cell in cells)
    missing = sum(cell is None for cell in cells)
    zeros = [f"{missing} missing"] * bool(missing) + [f"{unknown} not in training"] * bool(unknown)
    said = f" ({' and '.join(zeros)}: all zero)" if zeros else ""
    made.facts.append(f"column '{name}': text, one-hot in {len(words)} columns{said}")
    for word in words:
        made.values.append(torch.tensor([float(cell == word) for cell in cells]))
        made.names.append(f"{name}={word}")
        made.mean.append(0.0)
        made.std.append(1.0)
