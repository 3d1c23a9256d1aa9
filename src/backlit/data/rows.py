"""CSV and Parquet files as columns of text, each cell with the place it came from."""

import csv
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from backlit.errors import DataError

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})
DELIMITERS = ",;\t"
TABLES = (".csv", ".tsv", ".parquet")


@final
@dataclass(frozen=True)
class Rows:
    """A table as it stands in a file.

    Args:
        path: of the file.
        columns: the cells of each column, stripped, by name; None is missing.
        places: the file and line (CSV) or row (Parquet) each row begins on, for errors.
    """

    path: Path
    columns: dict[str, list[str | None]]
    places: list[str]

    def __len__(self) -> int:
        return len(self.places)

    def place(self, row: int, column: str) -> str:
        """Where a cell stands, for an error."""
        return f"{self.places[row]}, column '{column}'"

    def column(self, name: str) -> list[str | None]:
        """The cells of a column; DataError naming the columns there are."""
        if name not in self.columns:
            raise DataError(
                f"{self.path}: expected a column '{name}', found {', '.join(self.columns)}"
            )
        return self.columns[name]


def read_rows(path: str | Path) -> Rows:
    """Read a CSV file (comma, semicolon or tab; UTF-8; names in the first line) or a Parquet file.

    Raises:
        DataError: nothing there, not such a file, no rows, unequal rows, names missing or double.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise DataError(f"expected a table ({', '.join(TABLES)}), found {found} at {path}")
    rows = _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)
    if not len(rows):
        raise DataError(f"{path}: expected rows below the names of the columns, found none")
    return rows


def _csv(path: Path) -> Rows:
    table: list[list[str]] = []
    lines: list[int] = []
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(DELIMITERS, key=first.count), strict=True)
            begins = 1
            for row in reader:
                if row:  # an empty line is no row
                    table.append(row)
                    lines.append(begins)
                begins = reader.line_num + 1
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: expected UTF-8 text, byte {error.start} is {error.object[error.start]:#04x};"
            f" save the file as UTF-8"
        ) from None
    except csv.Error as error:
        raise DataError(f"{path}, line {begins}: not readable as CSV ({error})") from None
    if not table:
        raise DataError(f"{path}: expected names of columns and rows, the file is empty")
    names = [name.strip() for name in table[0]]
    _check_names(path, names)
    for line, row in zip(lines, table, strict=True):
        if len(row) != len(names):
            raise DataError(
                f"{path}, line {line}: expected {len(names)} cells as the first line has names,"
                f" got {len(row)}"
            )
    columns = {name: [_cell(row[i]) for row in table[1:]] for i, name in enumerate(names)}
    return Rows(path, columns, [f"{path}, line {line}" for line in lines[1:]])


def _check_names(path: Path, names: list[str]) -> None:
    for index, name in enumerate(names):
        if not name:
            raise DataError(
                f"{path}: expected a name for every column, column {index + 1} has none"
            )
        if name in names[:index]:
            raise DataError(f"{path}: expected columns of different names, '{name}' comes twice")


def _parquet(path: Path) -> Rows:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise DataError(
            f"{path}: expected pyarrow, which reads Parquet files; install it with"
            f" `pip install pyarrow`"
        ) from None
    arrow = importlib.import_module("pyarrow")
    try:
        table = parquet.read_table(path)
    except (arrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: not readable as Parquet ({reason})") from None
    _check_names(path, table.column_names)
    columns = {
        name: [None if cell is None else _cell(str(cell)) for cell in column.to_pylist()]
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return Rows(path, columns, [f"{path}, row {row}" for row in range(1, table.num_rows + 1)])


def _cell(text: str) -> str | None:
    text = text.strip()
    return None if text.lower() in MISSING else text


def numbers(rows: Rows, column: str) -> list[float | None]:
    """A column as numbers, None where missing.

    Raises:
        DataError: a cell that is no finite number, with its place.
    """
    found: list[float | None] = []
    for row, cell in enumerate(rows.column(column)):
        value = None if cell is None else to_number(cell)
        if cell is not None and value is None:
            raise DataError(
                f"{rows.place(row, column)}: expected a finite number, got '{cell}'; correct it,"
                f" or leave it empty"
            )
        found.append(value)
    return found


def to_number(cell: str) -> float | None:
    """A finite number, or None."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def check_seen(rows: Rows, target: str, labels: Tensor, train: Tensor) -> None:
    """A class without a training row cannot be learnt: say where it stands."""
    unseen = ~torch.isin(labels, labels[train])
    if unseen.any():
        row = int(unseen.nonzero()[0])
        raise DataError(
            f"{rows.place(row, target)}: expected a class of the training rows, got"
            f" '{rows.columns[target][row]}', which none of them has; add rows of it or leave it"
            f" out"
        )
