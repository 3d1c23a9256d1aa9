"""What is chosen once for a run: as asked, as suits the machine, and ever after as recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backlit.train.recipe import Train

OPEN: dict[str, Any] = {"mode": "auto", "precision": "auto", "threads": 0}
"""The settings that are chosen, and the value that leaves the choice to Backlit."""


def wanted(settings: Train, recorded: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What a sitting asks for by name, and a line for each wish that the record overrules.

    Args:
        settings: the wishes.
        recorded: the environment of the run's last checkpoint, empty where it begins.
    """
    wishes = {name: getattr(settings, name) for name in OPEN}
    if not recorded:
        return wishes, []
    # A run begun before a choice was recorded had the networks' own precision.
    as_begun = {name: recorded.get(name) for name in OPEN}
    refused = [
        f"{name} stays {as_begun[name]} as this run began, not {wish}: it could change the "
        "result's last bits; a new run takes the new value"
        for name, wish in wishes.items()
        if wish not in (OPEN[name], as_begun[name])
    ]
    return as_begun, refused


def told(facts: Mapping[str, Any]) -> str:
    """The choices in words, for people: "compiled mode, bfloat16, 2 threads"."""
    threads = facts["threads"]
    parts = [
        f"{facts['mode']} mode",
        facts.get("precision", ""),
        f"{threads} thread{'s' if threads > 1 else ''}",
    ]
    return ", ".join(part for part in parts if part)
