"""Every optimiser against torch.optim, parameters and states, float64."""

import pytest
import torch

from backlit.errors import RecipeError
from backlit.graph import trace
from backlit.step import Optimiser

CASES = [
    ("SGD", dict(lr=0.1)),
    ("SGD", dict(lr=0.1, momentum=0.9)),
    ("SGD", dict(lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.1)),
    ("SGD", dict(lr=0.1, momentum=0.9, nesterov=True, maximize=True)),
    ("RMSprop", dict(lr=0.01)),
    ("RMSprop", dict(lr=0.01, momentum=0.9, centered=True, weight_decay=0.1)),
    ("Adam", dict(lr=0.01)),
    ("Adam", dict(lr=0.01, amsgrad=True, weight_decay=0.1)),
    ("Adam", dict(lr=0.01, decoupled_weight_decay=True, weight_decay=0.1)),
    ("AdamW", dict(lr=0.01, betas=(0.5, 0.9))),
    ("Adagrad", dict(lr=0.01, lr_decay=0.1, initial_accumulator_value=0.2)),
    ("Adadelta", dict(lr=0.5, weight_decay=0.1)),
]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_six_steps_equal_torch(name, options):
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(s, generator=generator).double() for s in ((3,), (2, 2))]
    theirs = [torch.nn.Parameter(p.clone()) for p in start]
    reference = getattr(torch.optim, name)(theirs, **options)
    mine = Optimiser.of(reference)
    k = len(mine.slots)
    tensors = [*start, *(t for p in start for t in mine.init(p).values())]
    lr = torch.tensor(mine.lr, dtype=torch.float64)

    def update(*flat):
        states = [dict(zip(mine.slots, flat[4 + j * k :], strict=False)) for j in range(2)]
        new, new_states = mine.update(flat[:2], flat[2:4], states, flat[-1])
        return [*new, *(t for state in new_states for t in state.values())]

    graph = None
    for _ in range(6):
        grads = [torch.randn(p.shape, generator=generator).double() for p in start]
        for parameter, grad in zip(theirs, grads, strict=True):
            parameter.grad = grad
        reference.step()
        flat = [*tensors[:2], *grads, *tensors[2:], lr]
        graph = graph or trace(update, flat)[0]
        tensors = list(graph(*flat))
    for j, parameter in enumerate(theirs):
        torch.testing.assert_close(tensors[j], parameter.data, rtol=1e-12, atol=1e-13)
        for i, slot in enumerate(mine.slots):
            expected = reference.state[parameter].get(slot)
            if torch.is_tensor(expected):
                torch.testing.assert_close(
                    tensors[2 + j * k + i], expected.double(), rtol=1e-12, atol=1e-13
                )


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("Adma", {}, "did you mean 'Adam'?"),
        ("Adam", {"momentum": 0.9}, "got option 'momentum'"),
        ("Adam", {"lr": -1e-4}, "Invalid learning rate"),
        ("SGD", {"nesterov": True}, "Nesterov momentum requires"),
    ],
)
def test_errors(name, options, said):
    with pytest.raises(RecipeError, match=said.replace("?", r"\?")):
        Optimiser(name, **options)


def test_an_optimiser_of_several_groups_is_refused():
    a, b = (torch.nn.Parameter(torch.zeros(2)) for _ in range(2))
    given = torch.optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.1}], lr=0.2)
    with pytest.raises(RecipeError, match="one parameter group, got 2"):
        Optimiser.of(given)
    with pytest.raises(RecipeError, match="got int"):
        Optimiser.of(3)
