"""K steps in one call are K steps."""

import pytest
import torch
from torch import nn

from backlit.gan import R1, Game
from backlit.lower import compiler_available
from backlit.step.unroll import unroll


def game(**options):
    torch.manual_seed(0)
    g = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    d = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.2), nn.LeakyReLU(0.2), nn.Linear(4, 1))
    return Game(g, d, latent=2, **options)


def batches(k=3):
    return torch.randn(k, 4, 2, generator=torch.Generator().manual_seed(1))


def test_the_unrolled_graph_is_bit_for_bit_the_steps():
    one, two = game(), game()
    for each in (one, two):
        each.prepare(batches()[0], "watched")
    expected = [one.step(batch, 5 + i) for i, batch in enumerate(batches())]
    step = two.steps[(True, False)]
    parts = [{"real": batch} for batch in batches()]
    several = unroll(step.gm, 3, [wire.name for wire in step._shared()])
    with torch.no_grad():
        found = several(*step._inputs_of(parts, two.seed, 5))
    assert [float(x) for x in found] == [float(x) for m in expected for x in m.values()]
    for name, value in one.state.items():
        assert torch.equal(value, two.state[name]), name


def test_run_is_step_by_step_where_not_compiled_or_of_several_variants():
    one, two = game(penalty=R1(every=2)), game(penalty=R1(every=2))
    expected = [one.step(batch, i) for i, batch in enumerate(batches())]
    two.prepare(batches()[0])
    two.prepare_several(batches())
    found = two.run(batches(), 0)
    assert [list(m) for m in found] == [list(m) for m in expected]
    assert all(torch.equal(value, two.state[name]) for name, value in one.state.items())


@pytest.mark.slow
@pytest.mark.skipif(not compiler_available(), reason="no C++ compiler")
def test_compiled_steps_in_one_call_equal_single_calls():
    one, two = game().generator.double(), game().discriminator.double()
    single = Game(one, two, latent=2)
    several = Game(game().generator.double(), game().discriminator.double(), latent=2)
    data = batches().double()
    for each in (single, several):
        each.prepare(data[0], "compiled")
    several.prepare_several(data)
    for i, batch in enumerate(data):
        single.step(batch, i)
    assert len(several.run(data, 0)) == 3
    for name, value in single.state.items():
        torch.testing.assert_close(value, several.state[name], rtol=1e-12, atol=1e-12)
