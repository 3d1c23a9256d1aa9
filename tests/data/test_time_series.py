"""Series: windows that hold the right values, parts that share no target, figures, errors."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from backlit.data import series, sunspots
from backlit.errors import DataError


def write(folder, values, name="s.csv"):
    path = folder / name
    path.write_text("t,v\n" + "\n".join(f"{i},{value}" for i, value in enumerate(values)))
    return path


def test_sunspots():
    data = sunspots()
    assert repr(data) == "Labelled(sunspots: 293 of 16x1; 185 train, 46 validation, 62 test)"
    assert data.facts[2] == "persistence forecast on the test part: RMSE 33.276"
    first = data.inputs[0, :, 0] * data.target_std + data.target_mean
    assert first[:3].tolist() == pytest.approx([5, 11, 16], abs=1e-4)
    last = data.targets[-1] * data.target_std + data.target_mean
    assert float(last) == pytest.approx(2.9, abs=1e-4)


@given(st.integers(30, 60), st.integers(1, 5), st.integers(1, 4))
def test_windows_and_parts(tmp_path_factory, n, window, ahead):
    path = write(tmp_path_factory.mktemp("s"), range(n))
    data = series(path, "v", window, ahead)
    raw = (data.inputs[..., 0] * data.target_std + data.target_mean).round().long()
    targets = (data.targets * data.target_std + data.target_mean).round().long()
    assert data.inputs.shape == (n - window - ahead + 1, window, 1)
    for index in range(len(data)):
        assert raw[index].tolist() == list(range(index, index + window))
        assert targets[index].tolist() == list(range(index + window, index + window + ahead))
    parts = [
        set(targets[part].flatten().tolist()) for part in (data.train, data.validation, data.test)
    ]
    assert not parts[0] & parts[1] and not parts[1] & parts[2] and not parts[0] & parts[2]
    held = n - round(n * 0.2) - round(n * 0.15)
    assert max(parts[0]) == held - 1 and max(parts[2]) == n - 1
    assert data.target_mean == pytest.approx((held - 1) / 2)


def test_persistence(tmp_path):
    data = series(write(tmp_path, [0, 3] * 20), "v", window=2, validation=0)
    assert data.facts[2] == "persistence forecast on the test part: RMSE 3"
    assert len(series(write(tmp_path, [0, 3] * 20), "v", 2, validation=0, test=0).facts) == 2


def refused(path, *arguments, **options) -> str:
    with pytest.raises(DataError) as error:
        series(path, *arguments, **options)
    return str(error.value)


def test_refused(tmp_path):
    path = write(tmp_path, [1, 2, "", 4])
    assert refused(path, "v") == (
        f"{path}, line 4, column 'v': expected a value at every step of a series, got none; fill "
        "it in"
    )
    assert refused(path, "w") == f"{path}: expected a column 'w', found t, v"
    write(tmp_path, [1, 2, "x"])
    assert refused(path, "v").startswith(
        f"{path}, line 4, column 'v': expected a finite number, got 'x'"
    )
    write(tmp_path, range(20))
    assert refused(path, "v") == (
        f"{path}: expected at least 17 training values for window 16 and ahead 1, got 13 of 20; "
        "take a smaller window"
    )
    assert refused(path, "v", 0) == "series: expected window and ahead of at least 1, got 0, 1"
    assert refused(path, "v", 2, test=0.6) == (
        "expected shares of at least 0, together at most 0.5, for validation and test; "
        "got 0.15 and 0.6"
    )
    write(tmp_path, [7] * 20)
    assert refused(path, "v", 2) == f"{path}: expected a column that varies, 'v' is constant"


def test_the_scale_is_the_training_part_s(tmp_path):
    values = [0.0, 2.0] * 15 + [1000.0] * 10
    data = series(write(tmp_path, values), "v", 2, validation=0.05)
    assert data.target_mean == 1 and data.target_std == 1
    assert torch.equal(data.inputs[0, :, 0], torch.tensor([-1.0, 1.0]))
