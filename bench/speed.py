"""How fast is a whole training step? Every row of `backlit bench`, and what watching costs.

    PYTHONPATH=src python bench/speed.py [--quick] [ROW ...]

All rows take some hours on two cores. Writes results/speed.json after each row, and from it
docs/speed.md and docs/images/speed.svg. Rows named alone replace theirs in the file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import record

from backlit.bench import FULL, QUICK, ROWS, WAYS, machine, probe_cost, run_rows, table

PROBED = ("mlp-gan", "dcgan-32")
PAGE = Path(__file__).parents[1] / "tools" / "speed_page.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", default=list(ROWS))
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    plan = QUICK if chosen.quick else FULL
    path = record.RESULTS / "speed.json"
    old = json.loads(path.read_text()) if path.exists() else {}
    same = old.get("measured_on") == machine()
    kept = old if same and list(chosen.rows) != list(ROWS) else {}
    ways = {way.name: way.about for way in WAYS.values()}

    def whole(found: dict[str, Any]) -> dict[str, Any]:
        rows = kept.get("rows", {}) | found["rows"]
        return {
            "measured_on": found["machine"],
            "ways": ways,
            "roofs": kept.get("roofs", {}) | found["roofs"],
            "rows": {name: rows[name] for name in [*ROWS, *rows] if name in rows},
            "probes": kept.get("probes", {}),
        }

    def after(found: dict[str, Any]) -> None:
        record.write("speed", whole(found))

    found = whole(run_rows(chosen.rows, plan, lambda text: print(text, file=sys.stderr), after))
    for name in PROBED:
        if name in chosen.rows:
            found["probes"][name] = probe_cost(name, plan)
    print(table(found))
    print(json.dumps(found["probes"], indent=1))
    print(record.write("speed", found))
    subprocess.run([sys.executable, PAGE], check=True)


if __name__ == "__main__":
    main()
