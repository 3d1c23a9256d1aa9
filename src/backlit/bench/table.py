"""What a benchmark run found, as text and as a picture of bars."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from backlit.bench.ways import OURS

Found = Mapping[str, Any]


def table(found: Found) -> str:
    """One block a row: each alternative's time, speed, memory, compile time and losses.

    Args:
        found: as `run_rows` returns it.
    """
    return "\n\n".join(_block(name, row) for name, row in found["rows"].items())


def _block(name: str, row: Found) -> str:
    head = f"{'':20} {'step':>9} {'samples/s':>10} {'Backlit is':>20} {'peak':>15} {'compile':>14}"
    title = f"{name}: {row['about']}, batch {row['batch']}, {row['pairs']} pairs"
    lines = [title, head + f" {'Δ loss':>8}"]
    for way, figures in row["ways"].items():
        if figures.get("missing"):
            lines.append(f"{way:20} -- {figures['missing']}")
            continue
        cells = [
            f"{way:20}",
            f"{time_text(figures['median_s']):>9}",
            f"{figures['per_second']:10,.0f}",
            f"{ratio_text(row['speedup'].get(way)):>20}",
            f"{memory_text(figures):>15}",
            f"{compile_text(figures):>14}",
            f"{figures['loss_difference_max']:8.1e}",
        ]
        lines.append(" ".join(cells))
    return "\n".join([*lines, roof_text(row["needs"], row["roof"])])


def roof_text(needs: Found, roof: Found) -> str:
    """A sentence: what the step needs, the floor, the distance to it."""
    floors = ", ".join(
        f"{time_text(roof[p]['floor_s'])} in {p} ({roof[p]['bound']})"
        for p in ("float32", "bfloat16")
    )
    text = (
        f"{needs['flops'] / 1e9:.3g} GFLOP, {roof['float32']['bytes'] / 1e6:.3g} MB in float32; "
        f"floor {floors}"
    )
    if "distance" in roof:
        text += f"; Backlit takes {roof['distance']:.1f} floors"
    return text


def time_text(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    for factor, unit in ((1, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def ratio_text(ratio: Found | None) -> str:
    """How many times faster Backlit is, with the interval."""
    if ratio is None:
        return ""
    return f"{ratio['ratio']:.2f}x [{ratio['low']:.2f}, {ratio['high']:.2f}]"


def memory_text(figures: Found) -> str:
    """Peak memory: in the process that compiled, and in one that found the step in the cache."""
    peaks = [figures[key] for key in ("peak_bytes", "cached_peak_bytes") if key in figures]
    return " / ".join(f"{peak / 2**20:,.0f}" for peak in peaks) + (" MiB" if peaks else "")


def compile_text(figures: Found) -> str:
    """Seconds to the first step: cold, and from the cache."""
    if "first_step_s" not in figures:
        return ""
    text = f"{figures['first_step_s']:.1f} s"
    if "cached_first_step_s" in figures:
        text += f" / {figures['cached_first_step_s']:.1f}"
    return text


def losses_of(found: Found) -> list[tuple[str, str, Found]]:
    """The rows and peers where Backlit is slower: ratio below 1."""
    return [
        (name, way, ratio)
        for name, row in found["rows"].items()
        for way, ratio in row["speedup"].items()
        if ratio["ratio"] < 1
    ]


COLOURS = ("#d97706", "#fbbf24", "#94a3b8", "#64748b", "#475569", "#38bdf8", "#0369a1", "#34d399")
BAR_PX, GAP_PX, LEFT_PX, WIDE_PX = 14, 18, 150, 460


def bars(found: Found) -> str:
    """SVG of bars: for each row how fast each alternative is, as a multiple of eager float32."""
    parts: list[str] = []
    y = 34
    best = max(
        (s for row in found["rows"].values() for s in _speeds(row).values()),
        default=1.0,
    )
    for name, row in found["rows"].items():
        speeds = _speeds(row)
        if not speeds:
            continue
        parts.append(_text(8, y + 11, name, "font-weight:600"))
        for way, speed in speeds.items():
            colour = COLOURS[list(row["ways"]).index(way) % len(COLOURS)]
            width = max(1.0, speed / best * WIDE_PX)
            parts.append(
                f'<rect x="{LEFT_PX + 110}" y="{y}" width="{width:.1f}" height="{BAR_PX - 3}" '
                f'fill="{colour}"/>'
            )
            parts.append(_text(LEFT_PX + 104, y + 10, way, "text-anchor:end"))
            parts.append(_text(LEFT_PX + 116 + width, y + 10, f"{speed:.2f}x"))
            y += BAR_PX
        y += GAP_PX
    width = LEFT_PX + 110 + WIDE_PX + 70
    title = _text(8, 18, "Speed of a training step, eager float32 = 1", "font-weight:600")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}" '
        f'height="{y}" font-family="sans-serif" font-size="11" fill="#0f172a">\n'
        f'<rect width="{width}" height="{y}" fill="#ffffff"/>\n{title}\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _speeds(row: Found) -> dict[str, float]:
    """Each alternative's speed; eager float32 is 1."""
    times = {w: f["median_s"] for w, f in row["ways"].items() if "median_s" in f}
    base = times.get("eager float32", times.get(OURS, 1.0))
    return {way: base / seconds for way, seconds in times.items()}


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" style="{style}">{escape(text)}</text>'
