"""Killing a training process for real, at named points or at any moment, and starting it again.

The script to kill is a Python file that calls `train` with progress on and takes the run folder
as its only argument; it trains in one thread and ends with exit code 0 when the run is finished.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from backlit.train import Checkpoints

SOURCE = Path(__file__).parents[2] / "src"
_LONGEST_S = 120.0


def start(script: Path, run: Path, fault: str = "") -> subprocess.Popen[str]:
    """Start the script on a run folder; a fault is a point and its pass, "step:33"."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(SOURCE), str(Path(__file__).parent)]),
        "OMP_NUM_THREADS": "1",
        "BACKLIT_FAULT": fault,
    }
    command = [sys.executable, str(script), str(run)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdout=pipe, stderr=subprocess.STDOUT, text=True, env=environment
    )


def finish(script: Path, run: Path) -> str:
    """Let the script run to its end; return what it printed."""
    process = start(script, run)
    output, _ = process.communicate(timeout=_LONGEST_S)
    assert process.returncode == 0, output
    return output


def kill_at(script: Path, run: Path, fault: str) -> None:
    """Run the script until it kills itself at a named point; assert that it did."""
    process = start(script, run, fault)
    output, _ = process.communicate(timeout=_LONGEST_S)
    assert process.returncode == -signal.SIGKILL, f"{fault} did not fire: {output}"


def kill_after(script: Path, run: Path, seconds: float) -> None:
    """Kill the script so long after it began to train; assert that it was still at work."""
    process = start(script, run)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(("training in", "going on in")):
            break
    time.sleep(seconds)
    process.kill()
    output, _ = process.communicate(timeout=_LONGEST_S)
    assert process.returncode == -signal.SIGKILL, f"finished within {seconds} s: {output}"


def last_state(run: Path) -> tuple[int, dict[str, torch.Tensor]]:
    """Return step and state of a run's last checkpoint, which must be whole."""
    checkpoints = Checkpoints(run / "checkpoints")
    checkpoint = checkpoints.load(checkpoints.steps()[-1])
    return checkpoint.step, checkpoint.state


def assert_same_run(left: Path, right: Path) -> None:
    """Assert that two runs ended with equal states, bit for bit, and drew the same pictures."""
    left_step, left_state = last_state(left)
    right_step, right_state = last_state(right)
    assert left_step == right_step
    assert left_state.keys() == right_state.keys()
    for name in left_state:
        assert torch.equal(left_state[name], right_state[name]), name
    assert (left / "final.png").read_bytes() == (right / "final.png").read_bytes()
