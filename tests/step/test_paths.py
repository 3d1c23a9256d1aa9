"""Optimisers' paths against torch.optim itself."""

import pytest
import torch

from backlit.errors import RecipeError
from backlit.step import OPTIMISER_CHOICE, SURFACES, Optimiser, optimiser_paths


@pytest.mark.parametrize("name", SURFACES)
def test_a_path_equals_torch(name):
    where = SURFACES[name]
    for mine, make in [
        (Optimiser("Adam", lr=0.05), lambda p: torch.optim.Adam(p, lr=0.05)),
        (Optimiser("SGD", lr=1e-3, momentum=0.9), lambda p: torch.optim.SGD(p, 1e-3, 0.9)),
    ]:
        point = torch.tensor(where.start, dtype=torch.float64, requires_grad=True)
        opt, want = make([point]), [point.detach().clone()]
        for _ in range(40):
            opt.zero_grad()
            where.value(point[0], point[1]).backward()
            opt.step()
            want.append(point.detach().clone())
        found = optimiser_paths(name, {"it": mine}, 40)["it"]
        assert torch.allclose(found, torch.stack(want), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", SURFACES)
def test_the_surfaces_are_least_at_their_minimum(name):
    where = SURFACES[name]
    assert where.value(*torch.tensor(where.minimum, dtype=torch.float64)) == 0


def test_every_optimiser_descends():
    where = SURFACES["beale"]
    start = float(where.value(*torch.tensor(where.start, dtype=torch.float64)))
    paths = optimiser_paths("beale", steps=60)
    assert set(paths) == set(OPTIMISER_CHOICE)
    for label, path in paths.items():
        assert path.shape == (61, 2) and float(where.value(*path[-1])) < start, label


def test_errors_say_what_was_expected():
    with pytest.raises(RecipeError, match="expected one of beale, rosenbrock, got 'bale'"):
        optimiser_paths("bale")
    with pytest.raises(RecipeError, match="at least 1 step, got 0"):
        optimiser_paths("beale", steps=0)
