"""A column in time as windows of the past and the values that follow.

Shapes: N windows, T steps of a window, K steps ahead.
"""

from pathlib import Path

import torch

from backlit.data.labelled import Labelled, check_shares
from backlit.data.rows import numbers, read_rows
from backlit.errors import DataError

BUNDLED = Path(__file__).parent / "bundled"


def series(
    path: str | Path,
    column: str,
    window: int = 16,
    ahead: int = 1,
    validation: float = 0.15,
    test: float = 0.2,
) -> Labelled:
    """Windows of a series, parted by time: the first are trained on, the last are the test.

    No target lies in two parts; the window before a part's first target reaches back into the
    part before it, as a forecast would. The scale is that of the training values alone.

    Args:
        path: .csv, .tsv or .parquet, rows in the order of time.
        column: holds the numbers.
        window: T, steps seen.
        ahead: K, steps foretold.
        validation, test: shares of the values, at least 0, together at most 0.5.

    Returns:
        inputs float32 (N, T, 1), targets float32 (N, K), both standardised alike; `facts` states
        the error of the persistence forecast (every step as the last one seen) on the test part.

    Raises:
        DataError: a file or column that cannot be used, a value that is missing or no number, too
            few values, or a setting out of range.
    """
    if window < 1 or ahead < 1:
        raise DataError(f"series: expected window and ahead of at least 1, got {window}, {ahead}")
    check_shares(validation, test)
    rows = read_rows(path)
    cells = numbers(rows, column)
    if None in cells:
        raise DataError(
            f"{rows.place(cells.index(None), column)}: expected a value at every step of a series,"
            f" got none; fill it in"
        )
    values = torch.tensor(cells, dtype=torch.float64)
    n = len(values)
    tested, held = n - round(n * test), n - round(n * test) - round(n * validation)
    if held < window + ahead:
        raise DataError(
            f"{rows.path}: expected at least {window + ahead} training values for window {window}"
            f" and ahead {ahead}, got {held} of {n}; take a smaller window"
        )
    mean, std = values[:held].mean(), values[:held].std(correction=0)
    if not std > 0:
        raise DataError(f"{rows.path}: expected a column that varies, '{column}' is constant")
    scaled = ((values - mean) / std).float()
    windows = scaled.unfold(0, window + ahead, 1)  # (N, T + K)
    begins = torch.arange(len(windows)) + window  # of each window's targets
    ends = begins + ahead
    test_part = torch.nonzero(begins >= tested).flatten()
    facts = [
        f"'{column}' standardised with the training mean {float(mean):.6g} and standard deviation"
        f" {float(std):.6g}",
        f"parted by time: rows 1-{held} train, {held + 1}-{tested} validation,"
        f" {tested + 1}-{n} test",
    ]
    if len(test_part):
        error = windows[test_part, window:] - windows[test_part, window - 1 : window]
        rmse = float(error.double().square().mean().sqrt() * std)
        facts.append(f"persistence forecast on the test part: RMSE {rmse:.6g}")
    return Labelled(
        name=Path(path).stem,
        inputs=windows[:, :window, None].contiguous(),
        targets=windows[:, window:].contiguous(),
        classes=(),
        train=torch.nonzero(ends <= held).flatten(),
        validation=torch.nonzero((begins >= held) & (ends <= tested)).flatten(),
        test=test_part,
        facts=tuple(facts),
        mean=mean.float().reshape(1, 1),
        std=std.float().reshape(1, 1),
        target_mean=float(mean),
        target_std=float(std),
        columns=(column,),
    )


def sunspots(
    window: int = 16, ahead: int = 1, validation: float = 0.15, test: float = 0.2
) -> Labelled:
    """Yearly mean sunspot numbers of 1700-2008 (309 values). Arguments as for `series`.

    Source: NOAA National Geophysical Data Center, public domain.
    """
    return series(BUNDLED / "sunspots.csv", "sunspots", window, ahead, validation, test)
