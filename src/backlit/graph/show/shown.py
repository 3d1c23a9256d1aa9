"""How a graph shows itself: as text, in a notebook, as a page, as a figure."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import Any

from backlit.graph.show.model import Description


class Shown:
    """Gives what has gates its drawings; see `backlit.graph.show.describe`."""

    def describe(self, **options: Any) -> Description:
        """The plain description all drawings are made from; options as of `describe`."""
        from backlit.graph.show.description import describe

        return describe(self, **options)

    def html(self, path: str | Path, **options: Any) -> Path:
        """Writes one self-contained page that opens by module; returns its path."""
        from backlit.graph.show.html import page

        return write_text(Path(path), page(self.describe(**options)))

    def svg(self, path: str | Path, **options: Any) -> Path:
        """Writes a figure; returns its path.

        Raises:
            GateError: more than 150 gates.
        """
        from backlit.graph.show.svg import svg

        d = self.describe(**{"pictures": False} | options)
        return write_text(Path(path), svg(d))

    def _repr_html_(self) -> str:
        from backlit.graph.show.html import page
        from backlit.graph.show.svg import svg

        d = self.describe()
        if len(d.gates) <= 40:
            return svg(d)
        return (
            f'<iframe srcdoc="{escape(page(d))}" sandbox="allow-scripts" '
            'style="width:100%;height:640px;border:1px solid #ddd;border-radius:6px"></iframe>'
        )

    def __str__(self) -> str:
        from backlit.graph.show.text import text

        return text(self.describe(pictures=False))


def write_text(path: Path, content: str) -> Path:
    """Writes a file that is whole or not there; returns its path."""
    aside = path.with_name(f".{path.name}.aside")
    try:
        with open(aside, "w", encoding="utf-8", newline="\n") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return path
