"""Arrows between rooms point down only: read from the imports."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "backlit"
# Lower rooms first; rooms in one row may not import each other unless an arrow is listed.
ROWS = [
    {"errors"},
    {"registry", "folders", "devices"},
    {"gates"},
    {"graph"},
    {"lower"},
    {"step"},
    {"gan", "nets", "losses", "data"},
    {"supervised"},
    {"train"},
    {"bench"},
    {"cli"},
]
LEVEL = {room: level for level, row in enumerate(ROWS) for room in row}


def rooms_imported(path):
    """Every room of backlit that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("backlit."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.ImportFrom) and node.module == "backlit":
            yield from (name.name for name in node.names if name.name in LEVEL)
        elif isinstance(node, ast.Import):
            for name in node.names:
                if name.name.startswith("backlit."):
                    yield name.name.split(".")[1]


def test_every_room_has_a_level():
    rooms = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms <= set(LEVEL), rooms - set(LEVEL)


def test_imports_point_down():
    wrong, seen = [], 0
    for path in SOURCE.rglob("*.py"):
        here = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        if here == "__init__":
            continue
        for room in rooms_imported(path):
            seen += 1
            if room != here and LEVEL[room] >= LEVEL[here]:
                wrong.append(f"{path.relative_to(SOURCE)} imports {room}")
    assert seen > 100
    assert not wrong
