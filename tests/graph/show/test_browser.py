"""The page in a real browser, where one is found: it opens, folds and finds without an error."""

import re
import shutil
import subprocess

import pytest
from graphs import deep, sigmoid_neuron

BROWSER = next(
    (b for b in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if b), None
)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --dump-dom"
).split()
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on this machine")


def opened(path, tmp_path, script="", mark=""):
    """The page's document after it ran; an error in it is in data-error."""
    text = path.read_text(encoding="utf-8")
    watch = "addEventListener('error', e => { document.documentElement.dataset.error = e.message })"
    text = text.replace("<head>", f"<head><script>{watch}</script>")
    path.write_text(text.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    command = [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", path.as_uri() + mark]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "data-ready=" in dom and "data-error" not in dom, re.findall('data-error="[^"]*"', dom)
    return dom


def test_scalars_stand_on_the_wires(tmp_path):
    graph = sigmoid_neuron()
    graph.backward()
    dom = opened(graph.html(tmp_path / "a3.html"), tmp_path, mark="#exp")
    for number in ("0.73", "-0.53", "-0.59"):
        assert f">{number}</text>" in dom
    assert "<h2>Exponential</h2>" in dom  # the card of the gate named in the address


def test_opening_and_folding(tmp_path):
    script = """
    const signs = name => [...document.querySelectorAll(name + " rect.sign")];
    const click = sign => sign.dispatchEvent(new MouseEvent("click", { bubbles: true, detail: 1 }));
    const counted = () => document.querySelectorAll("#nodes > g").length;
    const seen = [counted()];
    while (signs("#nodes .group").length) click(signs("#nodes .group")[0]);
    seen.push(counted());
    document.getElementById("fold").click();
    seen.push(counted());
    document.getElementById("turn").click();
    document.getElementById("open").click();
    seen.push(document.querySelectorAll("#nodes .gate").length);
    document.documentElement.dataset.seen = seen.join();
    """
    graph = deep()
    dom = opened(graph.html(tmp_path / "deep.html"), tmp_path, script)
    start, all_open, folded, gates = map(int, re.search('data-seen="([^"]+)"', dom)[1].split(","))
    assert folded <= start < all_open and gates == len(graph.describe().gates)
