"""docs/gates.md says what the code says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]


def test_the_gates_page_is_up_to_date():
    spec = importlib.util.spec_from_file_location("gates_page", ROOT / "tools" / "gates_page.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    committed = tool.PAGE.read_text(encoding="utf-8")
    version = torch.__version__.split("+")[0]
    if f"Against PyTorch {version}'s" not in committed:
        pytest.skip(f"the page is of another PyTorch than {version}, whose list is another")
    assert committed == tool.page(), "docs/gates.md is old: run python tools/gates_page.py"
