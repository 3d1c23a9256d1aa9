"""How fast a whole training step is, measured against plain PyTorch, torch.compile and JAX.

A row is a workload (`rows`), a way an alternative of running it (`ways`: Backlit's; `peers`:
PyTorch's). All ways of a row are timed in one process, in turns (`interleaved`), and set beside
what the machine could do at best (`roof`). `run_rows` runs rows and returns plain values, `table`
and `bars` show them.
"""

from backlit.bench.interleaved import FULL, QUICK, Plan, measure, ratio
from backlit.bench.probes import probe_cost
from backlit.bench.roof import Needs, Roof, distance, measure_roof, needs
from backlit.bench.rows import ROWS, GameRow, SupervisedRow, find_row
from backlit.bench.run import machine, run_rows, write_json
from backlit.bench.table import Found, bars, losses_of, table
from backlit.bench.ways import WAYS, Way

__all__ = [
    "FULL",
    "QUICK",
    "ROWS",
    "WAYS",
    "Found",
    "GameRow",
    "Needs",
    "Plan",
    "Roof",
    "SupervisedRow",
    "Way",
    "bars",
    "distance",
    "find_row",
    "losses_of",
    "machine",
    "measure",
    "measure_roof",
    "needs",
    "probe_cost",
    "ratio",
    "run_rows",
    "table",
    "write_json",
]
