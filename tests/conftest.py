"""One thread for every test (they are small, and threads only wait for each other); a cache folder
of the tests' own; tallies."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

import pytest
import torch

from tests.tally import TALLY, count

torch.set_num_threads(1)

os.environ.pop("BACKLIT_CACHE", None)  # it would come before the tests' own
if "PYTEST_XDIST_WORKER" not in os.environ:  # workers share the folder of the process that began
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="backlit-tests-")
    atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)


@pytest.fixture
def cuda() -> torch.device:
    """The GPU; where there is none, what asks for it is skipped."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return torch.device("cuda")


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
