"""Named points where a test may have the process killed, to show that nothing is lost there."""

import os
import signal
from collections import Counter

_passes: Counter[str] = Counter()


def reach(point: str) -> None:
    """Kill this process with SIGKILL where BACKLIT_FAULT names this pass of this point.

    Args:
        point: the point's name; BACKLIT_FAULT="NAME:K" kills at its K-th pass, counted from 1.
    """
    wanted = os.environ.get("BACKLIT_FAULT")
    if not wanted:
        return
    _passes[point] += 1
    if wanted == f"{point}:{_passes[point]}":
        os.kill(os.getpid(), signal.SIGKILL)
