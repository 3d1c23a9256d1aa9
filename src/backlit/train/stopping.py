"""Ctrl-C and SIGTERM: finish the step first, abort on the second."""

import os
import signal
import threading
from types import FrameType
from typing import Any


class Interrupted(KeyboardInterrupt):
    """Training was stopped by a signal after saving; `signum` says which.

    A child of KeyboardInterrupt, so that a script that calls `train` stops too.
    """

    def __init__(self, signum: int, text: str) -> None:
        super().__init__(text)
        self.signum = signum


class StopRequest:
    """While entered, the first SIGINT or SIGTERM is only noted in `signum`.

    The second ends the process at once, wherever it is: the first puts the system's own handling
    back, so even a long call into a compiler is cut short. Outside the main thread, where Python
    allows no signal handlers, nothing is noted.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                self._before[signum] = signal.signal(signum, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self.signum = signum
        for noted in self._before:
            signal.signal(noted, signal.SIG_DFL)
        # os.write, since a print inside a handler may interrupt a print. The cursor is shown for
        # the case of an abort beneath a live bar.
        cursor = b"\x1b[?25h" if os.isatty(2) else b""
        os.write(2, cursor + b"\nstopping after this step; once more aborts at once\n")
