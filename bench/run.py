"""Runs every benchmark of this folder; each prints a table and writes bench/results/NAME.json.

python bench/run.py [NAME ...]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(names: list[str]) -> int:
    """Runs the named benchmarks (all without a name); returns how many failed."""
    scripts = {p.stem: p for p in sorted(HERE.glob("*.py")) if p.stem not in ("run", "record")}
    for name in names:
        if name not in scripts:
            sys.exit(f"bench: expected one of {', '.join(scripts)}, got '{name}'")
    failed = 0
    for name in names or scripts:
        print(f"== {name}", flush=True)
        failed += subprocess.run([sys.executable, scripts[name]]).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
