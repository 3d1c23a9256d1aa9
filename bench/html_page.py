"""The page of a large graph: its size, the time to open it, the time to open and fold groups.

A synthetic network (modules, equal blocks, a forward and a backward phase, statistics and small
pictures on every gate) of 1,000, 4,000 and 16,000 gates, and the captured gradient graph of 696
dense layers (16,000 gates), are written as pages and opened in a real headless Chromium. Writes
results/html_page.json.

    PYTHONPATH=src python bench/html_page.py
"""

from __future__ import annotations

import json
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import record
import torch
from scale import Dense
from torch import nn
from torch.fx import Graph, GraphModule

import backlit as bl
from backlit.gates import aten
from backlit.graph import GateCall, Origin, Watched
from backlit.graph.show import describe, page

SIZES = (1_000, 4_000, 16_000)
LAYERS = 696  # their gradient graph has 16,000 gates
REPEATS = 5
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --window-size=1600,1000"
).split()
# Opens every folded group it sees, up to 40, then folds them; notes the slowest of each.
CLICKS = """<script>addEventListener("load", () => {
  const time = sign => {
    const from = performance.now();
    sign.dispatchEvent(new MouseEvent("click", { bubbles: true, detail: 1 }));
    document.getElementById("view").getBoundingClientRect();
    return performance.now() - from;
  };
  const found = name => [...document.querySelectorAll(name)];
  const opened = [], folded = [];
  for (let k = 0; k < 40; k++) {
    const sign = found("#nodes .group rect.sign")[0];
    if (!sign) break;
    opened.push(time(sign));
  }
  for (let k = 0; k < 40; k++) {
    const sign = found("#boxes .box rect.sign").pop();
    if (!sign) break;
    folded.push(time(sign));
  }
  document.documentElement.dataset.opened = Math.max(...opened).toFixed(1);
  document.documentElement.dataset.folded = Math.max(...folded).toFixed(1);
});</script>"""


def synthetic(n: int) -> tuple[list[GateCall], Watched]:
    """A residual network of n gates in blocks of 20, half forward and half backward."""
    graph = Graph()
    x = graph.placeholder("x")
    x.meta["val"] = torch.empty(8, 16, 8, 8)
    seen: dict[str, torch.Tensor] = {"x": torch.randn(8, 16, 8, 8)}
    kinds = (aten.mul.Tensor, aten.add.Tensor, aten.sigmoid.default, aten.tanh.default)
    last, skip = x, x
    for i in range(n):
        block, place = divmod(i if i < n // 2 else n - 1 - i, 20)
        role = "forward" if i < n // 2 else "backward"
        target = kinds[(3 * place + place // 4) % 4]
        args = (last, skip) if target in kinds[:2] else (last,)
        last = graph.call_function(target, args)
        last.meta["val"] = x.meta["val"]
        path = f"net.stage{block // 40}.{block % 40}.part{place // 5}"
        last.meta["origin"] = Origin(
            path, f"Part{place // 5}", f"net.py:{place + 10}", "x = f(x, skip)", "step", role
        )
        seen[last.name] = seen["x"]
        skip = last if place == 19 else skip
    graph.output((last,))
    gm = GraphModule({}, graph)
    calls = [GateCall(node) for node in gm.graph.nodes if node.op == "call_function"]
    return calls, Watched(seen, seen)


def opened(browser: str, path: Path) -> dict[str, float]:
    """Opens a page in a new browser with an empty profile; milliseconds as the page notes them."""
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", path.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    head = done.stdout[:4000]
    return {k: float(v) for k, v in re.findall(r'data-(ready|opened|folded)="([\d.]+)"', head)}


def measure(n: int, browser: str | None, folder: Path) -> dict[str, object]:
    calls, watched = synthetic(n)
    start = time.perf_counter()
    description = describe(calls, watched=watched, title=f"{n:,} gates")
    described = time.perf_counter()
    text = page(description)
    seconds = {"describe_s": described - start, "page_s": time.perf_counter() - described}
    return {"graph": "synthetic", "gates": n, **timed(text, seconds, browser, folder)}


def measure_captured(layers: int, browser: str | None, folder: Path) -> dict[str, object]:
    """The same for the gradient graph of a network as `backlit.capture` gives it."""
    net = nn.Sequential(*(Dense() for _ in range(layers)))
    graph = bl.capture(lambda x: net(x).sum(), torch.randn(4, 8)).gradient_graph()
    start = time.perf_counter()
    text = page(graph.describe())
    seconds = {"page_s": time.perf_counter() - start}
    return {"graph": "captured", "gates": len(graph), **timed(text, seconds, browser, folder)}


def timed(
    text: str, seconds: dict[str, float], browser: str | None, folder: Path
) -> dict[str, object]:
    path = folder / "page.html"
    path.write_text(text.replace("</body>", CLICKS + "</body>"), encoding="utf-8")
    row: dict[str, object] = {name: round(s, 2) for name, s in seconds.items()}
    row["page_bytes"] = len(text.encode())
    runs = [opened(browser, path) for _ in range(REPEATS)] if browser else []
    for name, key in (("ready", "open_ms"), ("opened", "unfold_ms"), ("folded", "fold_ms")):
        times = sorted(run[name] for run in runs)
        if times:
            row[key] = {"median": statistics.median(times), "least": times[0], "most": times[-1]}
    return row


def main() -> None:
    torch.set_num_threads(1)
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(n, browser, Path(folder)) for n in SIZES]
        rows.append(measure_captured(LAYERS, browser, Path(folder)))
    version = browser and subprocess.run([browser, "--version"], capture_output=True, text=True)
    found = {
        "what": "HTML page of a graph; open_ms from navigation to drawn; slowest of 40 clicks each",
        "n": REPEATS if browser else 0,
        "browser": version.stdout.strip() if version else "none found",
        "sizes": rows,
    }
    print(json.dumps(found, indent=1))
    print(record.write("html_page", found))


if __name__ == "__main__":
    main()
