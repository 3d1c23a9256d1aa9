"""No file that Backlit writes or reads can run code."""

import re
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"
FORBIDDEN = re.compile(
    r"\b(?:c?pickle|dill|joblib|shelve|marshal)\b|(?<!safetensors\.)torch\.(?:save|load)\b"
)


def test_no_pickle_anywhere() -> None:
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) > 20
    found = [
        f"{path.relative_to(SOURCE)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if FORBIDDEN.search(line) and not line.lstrip().startswith("#")
    ]
    assert found == []


def test_the_search_finds_what_it_seeks() -> None:
    for line in ("import pickle", "torch.load(path)", "torch.save(x, path)"):
        assert FORBIDDEN.search(line)
    assert not FORBIDDEN.search("safetensors.torch.load(content)")
