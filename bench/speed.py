"""How fast is a whole training step? Every row of `backlit bench`, and what watching costs.

    PYTHONPATH=src python bench/speed.py [--quick] [--alone] [--device cuda] [ROW ...]

All rows take some hours on two cores; with --quick half an hour, with fewer pairs and peers and
without memory and compile times; with --quick --alone an hour, with them. Writes
results/speed.json after each row, and from it docs/speed.md and docs/images/speed.svg. Where only
some rows are asked for, the others stay as they are in the file. With --device cuda it is
results/speed_cuda.json, on a processor without AMX results/speed_without_amx.json; the page shows
each in a section of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import record

from backlit.bench import FULL, QUICK, ROWS, probe_cost, run_rows, table

PROBED = ("mlp-gan", "dcgan-32")
PAGE = Path(__file__).parents[1] / "tools" / "speed_page.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", default=list(ROWS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    plan = replace(QUICK if chosen.quick else FULL, device=chosen.device)
    if chosen.alone:
        plan = replace(plan, steps=FULL.steps, alone=True)
    name = record.by_processor("speed") if chosen.device == "cpu" else "speed_cuda"
    path = record.RESULTS / f"{name}.json"
    old = json.loads(path.read_text()) if path.exists() else {}
    # record.write puts its own "machine" beside; the benchmark's says more.
    begun = old | {"machine": old["measured_on"]} if old else None
    probes = old.get("probes", {})

    def write(found: dict[str, Any]) -> Path:
        own = {k: v for k, v in found.items() if k != "machine"}
        return record.write(name, {"measured_on": found["machine"], **own, "probes": probes})

    def say(text: str) -> None:
        print(text, file=sys.stderr)

    found = run_rows(chosen.rows, plan, say, write, begun)
    for row in PROBED:
        if row in chosen.rows:
            say(f"{row}: what watching costs")
            probes[row] = probe_cost(row, plan)
    print(table(found))
    print(json.dumps(probes, indent=1))
    print(write(found))
    subprocess.run([sys.executable, PAGE], check=True)


if __name__ == "__main__":
    main()
