"""JAX, where it is installed: the fully connected rows, whole step under one `jax.jit`."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from torch import Tensor, nn

from backlit.bench.peers import Losses, StepOf
from backlit.bench.rows import GameRow, Row
from backlit.devices import on_gpu
from backlit.errors import RecipeError


def jax_missing(row: Row) -> str | None:
    """Why JAX cannot run a row here, or None."""
    if on_gpu(row.device):
        return "its rows are measured on the CPU"
    if importlib.util.find_spec("jax") is None:
        return "jax is not installed"
    built = row.build()
    try:
        for network in built if isinstance(built, tuple) else (built,):
            _layers(network)
    except RecipeError as error:
        return str(error)
    return None


def jax_step(row: Row) -> StepOf:
    """A new training step of the row in JAX, the same weights and mathematics."""
    import jax
    from jax import numpy as jnp

    lr, (b1, b2) = row.adam

    def forward(kinds: list[Any], weights: Any, x: Any) -> Any:
        linear = iter(weights)
        for kind in kinds:
            if kind == "linear":
                w, b = next(linear)
                x = x @ w.T + b
            else:
                x = jnp.where(x > 0, x, kind * x)
        return x

    def adam(state: Any, grads: Any) -> Any:
        t, p, m, v = state
        t = t + 1
        m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, m, grads)
        v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, v, grads)

        def move(p: Any, m: Any, v: Any) -> Any:
            return p - lr * (m / (1 - b1**t)) / (jnp.sqrt(v / (1 - b2**t)) + 1e-8)

        return t, jax.tree.map(move, p, m, v), m, v

    def start(weights: Any) -> Any:
        zeros = jax.tree.map(jnp.zeros_like, weights)
        return jnp.float32(0), weights, zeros, jax.tree.map(jnp.zeros_like, weights)

    def softplus_mean(x: Any) -> Any:
        return jax.nn.softplus(x).mean()

    if isinstance(row, GameRow):
        kinds_g, kinds_d = ([*_layers(n)[0]] for n in row.build())
        state = tuple(start(_layers(n)[1]) for n in row.build())
        data: list[Any] = [jnp.asarray(x.numpy()) for x in row.batches()]

        def update(state: Any, real: Any, z_d: Any, z_g: Any) -> Any:
            g, d = state
            fake = forward(kinds_g, g[1], z_d)

            def d_loss(w: Any) -> Any:
                scores = forward(kinds_d, w, real), forward(kinds_d, w, fake)
                return softplus_mean(-scores[0]) + softplus_mean(scores[1])

            loss_d, grads = jax.value_and_grad(d_loss)(d[1])
            d = adam(d, grads)

            def g_loss(w: Any) -> Any:
                return softplus_mean(-forward(kinds_d, d[1], forward(kinds_g, w, z_g)))

            loss_g, grads = jax.value_and_grad(g_loss)(g[1])
            return (adam(g, grads), d), {"loss_d": loss_d, "loss_g": loss_g}

        def drawn(state: Any, real: Any, key: Any) -> Any:
            z = jax.random.normal(key, (2, row.batch, row.latent))
            return update(state, real, z[0], z[1])

        given_noise = jax.jit(update, donate_argnums=0)
        drawing = jax.jit(drawn, donate_argnums=0)

        def advance(state: Any, index: int, exact: bool) -> Any:
            real = data[index % len(data)]
            if exact:
                noise = row.noise(index)
                z = (jnp.asarray(noise[name].numpy()) for name in ("D0/z", "G/z"))
                return given_noise(state, real, *z)
            return drawing(state, real, jax.random.key(index))

    else:
        kinds, weights = _layers(row.build())
        state = start(weights)
        data = [(jnp.asarray(x.flatten(1).numpy()), y.numpy()) for x, y in row.batches()]

        def one(state: Any, x: Any, y: Any) -> Any:
            def cost(w: Any) -> Any:
                logs = jax.nn.log_softmax(forward(kinds, w, x))
                return -jnp.take_along_axis(logs, y[:, None], 1).mean()

            loss, grads = jax.value_and_grad(cost)(state[1])
            return adam(state, grads), {"loss": loss}

        jitted = jax.jit(one, donate_argnums=0)

        def advance(state: Any, index: int, exact: bool) -> Any:
            return jitted(state, *data[index % len(data)])

    def step(index: int, exact: bool = False) -> Losses:
        nonlocal state
        state, losses = advance(state, index, exact)
        jax.block_until_ready(state)
        return {name: torch.tensor(float(value)) for name, value in losses.items()}

    return step


def _layers(network: nn.Module) -> tuple[list[Any], list[Any]]:
    """A chain of linear maps and rectifiers: what each layer is, and the weights as arrays."""
    kinds: list[Any] = []
    weights: list[Any] = []
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            kinds.append("linear")
            weights.append((_array(layer.weight), _array(layer.bias)))
        elif isinstance(layer, nn.ReLU):
            kinds.append(0.0)
        elif isinstance(layer, nn.LeakyReLU):
            kinds.append(layer.negative_slope)
        elif next(layer.children(), None) is None:
            raise RecipeError(
                f"the JAX peer knows fully connected rows, not {type(layer).__name__}"
            )
    return kinds, weights


def _array(tensor: Tensor) -> Any:
    from jax import numpy as jnp

    return jnp.asarray(tensor.detach().numpy().copy())
