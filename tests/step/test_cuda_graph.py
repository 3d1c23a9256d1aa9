"""A step as one CUDA graph: what it keeps and refills; on a GPU, that it is the same step."""

import pytest
import torch
from torch import nn

from backlit.gan import Game
from backlit.step.cuda_graph import CudaGraph, recorded
from backlit.supervised import Supervised

gpu = pytest.mark.gpu


def record_on_cpu(run):
    """As on the device: recorded once, replayed into the same outputs."""
    outputs = run()

    def replay():
        for mine, new in zip(outputs, run(), strict=True):
            mine.copy_(new)

    return replay, outputs


def step(state, x):
    state.add_(x)
    return [state.sum()]


def test_state_stays_where_it_is_and_inputs_are_copied():
    state, x = torch.zeros(3), torch.ones(3)
    call = CudaGraph(step, [state, x], [state], record_on_cpu)
    assert torch.equal(state, torch.zeros(3))  # recording left no trace
    first = call(state, 2 * x)
    second = call(state, 3 * x)
    assert torch.equal(state, torch.full((3,), 5.0))
    assert torch.equal(x, torch.ones(3))
    assert [float(first[0]), float(second[0])] == [6.0, 15.0]  # a replay spares earlier results


def test_recording_that_fails_leaves_the_state():
    state = torch.zeros(3)

    def fails(run):
        run()
        raise RuntimeError("operation not permitted when stream is capturing")

    with pytest.raises(RuntimeError):
        CudaGraph(step, [state, torch.ones(3)], [state], fails)
    assert torch.equal(state, torch.zeros(3))


def test_on_the_cpu_the_step_itself_runs():
    state = torch.zeros(3)
    assert recorded(step, [state, state], [state]) is step


def game(device):
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))
    discriminator = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    return Game(generator.to(device), discriminator.to(device), latent=4)


@gpu
@pytest.mark.parametrize("mode", ["plain", "compiled"])
def test_a_game_on_the_gpu_is_the_same_game(cuda, mode):
    said, states = [], []
    for way in ("watched", mode):
        mine = game(cuda)
        mine.prepare(torch.randn(8, 2), way, said.append)
        for index in range(5):
            batch = torch.randn(8, 2, generator=torch.Generator().manual_seed(index))
            metrics = mine.step(batch, index)
            assert all(t.device.type == "cuda" for t in metrics.values())
        states.append(mine.state)
    assert not [line for line in said if "CUDA graph" in line]
    for name, t in states[0].items():
        assert torch.allclose(t, states[1][name], rtol=1e-4, atol=1e-5), name


@gpu
def test_supervised_training_on_the_gpu(cuda):
    net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2)).to(cuda)
    trained = Supervised(net)
    x, y = torch.randn(16, 3), torch.arange(16) % 2
    trained.prepare((x, y))
    losses = [float(trained.step((x, y), i)["loss"]) for i in range(50)]
    assert losses[-1] < losses[0]
    assert 0 <= trained.evaluate(x, y)["accuracy"] <= 1
