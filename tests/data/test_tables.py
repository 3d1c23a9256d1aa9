"""Tables: what becomes of each column, and one clear line for all that is wrong."""

import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from backlit.data import table
from backlit.data.rows import numbers, read_rows
from backlit.errors import DataError


@pytest.fixture
def write(tmp_path):
    def make(content: str | bytes, name: str = "a.csv"):
        raw = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(raw)
        return tmp_path / name

    return make


def refused(path, *arguments, **options) -> str:
    with pytest.raises(DataError) as error:
        table(path, *arguments, **options)
    text = str(error.value)
    assert "\n" not in text
    return text


def csv(columns: dict[str, list], delimiter=",") -> str:
    lines = [columns, *zip(*columns.values(), strict=True)]
    return "\n".join(delimiter.join(str(cell) for cell in line) for line in lines)


N = 40
PEOPLE = {
    "age": ["" if i == 5 else 20 + i for i in range(N)],
    "town": [["Rome", "Oslo", "NA"][i % 3] for i in range(N)],
    "number": [f"no. {i}" for i in range(N)],
    "country": ["here"] * N,
    "nothing": [""] * N,
    "income": [1000.5 + i * i for i in range(N)],
    "smokes": [["yes", "no"][i % 2] for i in range(N)],
}


def test_each_column_and_what_is_said(write):
    data = table(write(csv(PEOPLE)), most_words=10)
    assert data.name == "a" and data.classes == ("no", "yes")
    assert data.columns == ("age", "town=Oslo", "town=Rome", "income")
    assert (len(data.train), len(data.validation), len(data.test)) == (28, 6, 6)
    seen = [20.0 + i for i in data.train.tolist() if i != 5]
    mean = sum(seen) / len(seen)
    assert data.facts == (
        f"column 'age': 1 missing of 40 filled with the training mean {mean:.6g}",
        "column 'town': text, one-hot in 2 columns (13 missing: all zero)",
        "column 'number' left out: text with 28 different values, more than most_words=10",
        "column 'country' left out: constant ('here') in the training rows",
        "column 'nothing' left out: empty in the training rows",
    )
    assert data.inputs[5, 0] == 0
    ages = data.inputs[:, 0] * data.std[0] + data.mean[0]
    assert ages[:5].tolist() == pytest.approx([20, 21, 22, 23, 24], abs=1e-4)
    assert data.inputs[:3, 1:3].tolist() == [[0, 1], [1, 0], [0, 0]]
    income = data.inputs[data.train, 3]
    assert abs(income.mean()) < 1e-5 and abs(income.std(correction=0) - 1) < 1e-5


def test_small_differences_of_large_numbers_stay(write):
    data = table(write(csv({"x": [1e9 + i for i in range(20)], "y": ["a", "b"] * 10})))
    assert len(data.inputs.unique()) == 20


def test_numbers_as_the_target(write):
    data = table(write(csv(PEOPLE)), target="income", leave_out=("number", "smokes"))
    assert data.classes == () and data.targets.shape == (N, 1)
    assert data.columns == ("age", "town=Oslo", "town=Rome")
    income = data.targets * data.target_std + data.target_mean
    assert income[:3, 0].tolist() == pytest.approx([1000.5, 1001.5, 1004.5], abs=1e-2)
    assert data.facts[-1].startswith("target 'income' standardised with the training mean ")


@pytest.mark.parametrize(
    ("cells", "kind", "classes"),
    [
        (["10", "9", "2"], "auto", ("2", "9", "10")),
        (["10", "9", "2"], "number", ()),
        (["0.5", "9", "2"], "auto", ()),
        (["0.5", "9", "2"], "class", ("0.5", "2", "9")),
        (["b", "a", "c"], "auto", ("a", "b", "c")),
    ],
)
def test_classes_or_numbers(write, cells, kind, classes):
    path = write(csv({"x": range(30), "y": cells * 10}))
    assert table(path, kind=kind).classes == classes


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters_quotes_and_byte_order_mark(write, delimiter):
    head, *rows = csv({"x": range(9), "y": [0.5] * 9}, delimiter).split("\n")
    raw = "\ufeff" + "\r\n".join([head, *rows, "", f'"10"{delimiter}"0.25"', ""])
    found = read_rows(write(raw))
    assert len(found) == 10 and numbers(found, "x")[-1] == 10 and numbers(found, "y")[-1] == 0.25
    assert found.places[-1].endswith("line 12")


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_numbers_come_back(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("t") / "a.csv"
    path.write_text(csv({"x": values}))
    assert numbers(read_rows(path), "x") == values


def test_a_test_table(write):
    train = write("x,town,y\n1,Rome,a\n2,Oslo,b\n3,Rome,a\n4,Oslo,b\n")
    test = write("y,x,town\na,10,Paris\nb,,Rome\n", "b.csv")
    data = table(train, "y", test_path=test, validation=0)
    assert data.train.tolist() == [0, 1, 2, 3] and data.test.tolist() == [4, 5]
    assert data.facts == (
        "column 'x': 1 missing of 6 filled with the training mean 2.5",
        "column 'town': text, one-hot in 2 columns (1 not in training: all zero)",
    )
    assert data.inputs[5].tolist() == [0, 0, 1]
    write("x,town,y\n1,Rome,a\n2,Rome,c\n", "b.csv")
    assert refused(train, "y", test_path=test, validation=0) == (
        f"{test}, line 3, column 'y': expected a class of the training rows, got 'c', which none "
        "of them has; add rows of it or leave it out"
    )
    write("x,y\n1,a\n", "b.csv")
    assert refused(train, "y", test_path=test) == (
        f"{test}: expected the columns of {train}, missing: town"
    )


def test_a_class_that_only_validation_has(write):
    text = refused(write(csv({"x": range(10), "y": [f"c{i}" for i in range(10)]})))
    assert "column 'y': expected a class of the training rows, got 'c" in text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", ": expected names of columns and rows, the file is empty"),
        ("x,y\n", ": expected rows below the names of the columns, found none"),
        ("x,,y\n1,2,3\n", ": expected a name for every column, column 2 has none"),
        ("x,y,x\n1,2,3\n", ": expected columns of different names, 'x' comes twice"),
        (
            "x,y\n1,2\n\n1,2,3\n",
            ", line 4: expected 2 cells as the first line has names, got 3",
        ),
        ('x,y\n1,"2\n', ", line 2: not readable as CSV (unexpected end of data)"),
        (
            b"x,y\n\xe4,1\n",
            ": expected UTF-8 text, byte 4 is 0xe4; save the file as UTF-8",
        ),
        (
            "x,y\n1,0\n2,0\n3,0\n4o,1\n",
            ", line 5, column 'x': expected a finite number, got '4o'; correct it, or leave it "
            "empty",
        ),
        (
            "x,y\n1,0.5\n2,0.5\n3,inf\n4,1\n",
            ", line 4, column 'y': expected a finite number, got 'inf'; correct it, or leave it "
            "empty",
        ),
        (
            "x,y\n1,a\n2,\n",
            ", line 3, column 'y': expected a target, got none; fill it in or delete the row",
        ),
        (
            "x,y\n1,a\n1,b\n",
            ": expected a column to learn from, none is left; column 'x' left out: constant ('1') "
            "in the training rows",
        ),
        (
            "y\na\nb\n",
            ": expected a column to learn from, none is left; there is only the target",
        ),
    ],
)
def test_a_bad_table(write, content, text):
    path = write(content)
    assert refused(path, validation=0, test=0) == f"{path}{text}"


def test_no_such_column_option_or_file(write, tmp_path):
    path = write("x,y\n1,a\n2,b\n")
    assert refused(path, "z") == f"{path}: expected a column 'z', found x, y"
    assert refused(path, leave_out=("z",)) == f"{path}: expected a column 'z', found x, y"
    assert refused(path, kind="other") == "kind: expected one of auto, class, number; got 'other'"
    types = ".csv, .tsv, .parquet"
    nowhere = tmp_path / "nowhere.csv"
    assert refused(nowhere) == f"expected a table ({types}), found nothing at {nowhere}"
    assert refused(tmp_path) == f"expected a table ({types}), found a folder at {tmp_path}"


def test_parquet_gives_what_csv_gives(write, tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    plain = table(write(csv(PEOPLE)), "income")
    columns = {name: [None if c in ("", "NA") else c for c in PEOPLE[name]] for name in PEOPLE}
    path = tmp_path / "b.parquet"
    parquet.write_table(arrow.table(columns), path)
    data = table(path, "income")
    assert torch.equal(data.inputs, plain.inputs) and torch.equal(data.targets, plain.targets)
    assert data.facts == plain.facts
    parquet.write_table(arrow.table({"x": [1, 2], "y": ["a", None]}), path)
    assert refused(path).startswith(f"{path}, row 2, column 'y': expected a target, got none")
    assert refused(write(b"PAR1 not really", "c.parquet")).startswith(
        f"{tmp_path / 'c.parquet'}: not readable as Parquet ("
    )


def test_without_pyarrow(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    path = write(b"PAR1", "a.parquet")
    assert refused(path) == (
        f"{path}: expected pyarrow, which reads Parquet files; install it with "
        "`pip install pyarrow`"
    )
