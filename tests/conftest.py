"""One thread for every test (they are small, and threads only wait for each other); tallies."""

from __future__ import annotations

import torch

from tests.tally import TALLY, count

torch.set_num_threads(1)


def pytest_sessionfinish(session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tally"] = TALLY


class Home:
    """In the process that prints: takes in what the workers counted."""

    def pytest_testnodedown(self, node, error) -> None:
        for section, lines in getattr(node, "workeroutput", {}).get("tally", {}).items():
            for what, n in lines.items():
                count(section, what, n)


def pytest_configure(config) -> None:
    if config.pluginmanager.hasplugin("dsession"):
        config.pluginmanager.register(Home())


def pytest_terminal_summary(terminalreporter) -> None:
    for section, lines in sorted(TALLY.items()):
        terminalreporter.section(section)
        for what, n in lines.items():
            terminalreporter.write_line(f"{n:6d}  {what}" if n else what)
