"""Runs every benchmark of this folder; each writes bench/results/NAME.json and prints a table.

python bench/run.py [NAME ...]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(names: list[str]) -> int:
    """Runs the named benchmarks (all without a name); returns how many failed."""
    scripts = {path.stem: path for path in sorted(HERE.glob("*.py")) if path.stem != "run"}
    for name in names:
        if name not in scripts:
            sys.exit(f"bench: expected one of {', '.join(scripts)}, got '{name}'")
    (HERE / "results").mkdir(exist_ok=True)
    failed = 0
    for name in names or scripts:
        print(f"== {name}", flush=True)
        result = HERE / "results" / f"{name}.json"
        failed += subprocess.run([sys.executable, scripts[name], result]).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
