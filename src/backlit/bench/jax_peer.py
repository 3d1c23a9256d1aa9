"""JAX: a row's whole step under one `jax.jit`; imported only where JAX is installed.

Its threads are its own, as many as there are cores in every row.
"""

from __future__ import annotations

from typing import Any

import jax
import torch
from jax import numpy as jnp

from backlit.bench.jax_network import Arrays, JaxNetwork, captured_for_jax, jax_network, to_jax
from backlit.bench.peers import Losses, StepOf
from backlit.bench.rows import GameRow, Row, SupervisedRow
from backlit.errors import RecipeError


def jax_missing(row: Row) -> str | None:
    """Why JAX cannot run a row here, or None."""
    try:
        if isinstance(row, GameRow):
            generator, discriminator = row.build()
            captured_for_jax(generator, torch.zeros(row.batch, row.latent))
            captured_for_jax(discriminator, row.batches()[0])
        else:
            captured_for_jax(row.build(), row.batches()[0][0])
    except RecipeError as error:
        return str(error)
    return None


def jax_step(row: Row) -> StepOf:
    """A new training step of the row in JAX, the same weights and mathematics, in float32.

    The losses are JAX's arrays, and may still be computed when they are returned.
    """
    return _game(row) if isinstance(row, GameRow) else _supervised(row)


class _Adam:
    """Adam over the weights of one network: t, weights, first and second moments."""

    def __init__(self, row: Row):
        self.lr, (self.b1, self.b2) = row.adam

    def start(self, network: JaxNetwork) -> Any:
        zeros = jax.tree.map(jnp.zeros_like, network.weights)
        return jnp.float32(0), network.weights, zeros, jax.tree.map(jnp.zeros_like, zeros)

    def update(self, state: Any, grads: Arrays) -> Any:
        b1, b2 = self.b1, self.b2
        t, p, m, v = state
        t = t + 1
        m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, m, grads)
        v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, v, grads)

        def move(p: Any, m: Any, v: Any) -> Any:
            return p - self.lr * (m / (1 - b1**t)) / (jnp.sqrt(v / (1 - b2**t)) + 1e-8)

        return t, jax.tree.map(move, p, m, v), m, v


def _supervised(row: SupervisedRow) -> StepOf:
    batches = [(to_jax(x), y.numpy()) for x, y in row.batches()]
    network, adam = jax_network(row.build(), row.batches()[0][0]), _Adam(row)

    def one(state: Any, buffers: Arrays, x: Any, y: Any) -> Any:
        def cost(weights: Arrays) -> Any:
            scores, new = network.run(weights, buffers, x)
            logs = jax.nn.log_softmax(scores)  # over the classes: they are last here
            return -jnp.take_along_axis(logs, y[..., None], -1).mean(), new

        (loss, new), grads = jax.value_and_grad(cost, has_aux=True)(state[1])
        return adam.update(state, grads), new, {"loss": loss}

    jitted = jax.jit(one, donate_argnums=(0, 1))
    now = adam.start(network), network.buffers

    def step(index: int, exact: bool = False) -> Losses:
        nonlocal now
        *now, losses = jitted(*now, *batches[index % len(batches)])
        return losses

    return step


def _game(row: GameRow) -> StepOf:
    batches = [to_jax(x) for x in row.batches()]
    built = row.build()
    g = jax_network(built[0], torch.zeros(row.batch, row.latent))
    d = jax_network(built[1], row.batches()[0])
    adam = _Adam(row)
    wasserstein = row.loss == "wasserstein"

    def softplus_mean(x: Any) -> Any:
        return jax.nn.softplus(x).mean()

    def loss_of_d(weights: Arrays, buffers: Arrays, real: Any, fake: Any, noise: Arrays) -> Any:
        def slope_of(x: Any, buffers: Arrays) -> tuple[Any, Any, Arrays]:
            """Scores of x, their slope in x, a row a sample, and new buffers."""
            scores, back, new = jax.vjp(lambda x: d.run(weights, buffers, x), x, has_aux=True)
            (slope,) = back(jnp.ones_like(scores))
            return scores, slope.reshape(row.batch, -1), new

        penalty: Any = 0.0
        if row.penalty == "r1":
            real_scores, slope, buffers = slope_of(real, buffers)
            penalty = 0.5 * jnp.square(slope).sum(1).mean()
        else:
            real_scores, buffers = d.run(weights, buffers, real)
        fake_scores, buffers = d.run(weights, buffers, fake)
        if wasserstein:
            loss = fake_scores.mean() - real_scores.mean()
        else:
            loss = softplus_mean(-real_scores) + softplus_mean(fake_scores)
        if row.penalty == "gradient_penalty":
            epsilon = noise["D0/epsilon"]
            _, slope, buffers = slope_of(epsilon * real + (1 - epsilon) * fake, buffers)
            penalty = 10 * jnp.square(jnp.sqrt(jnp.square(slope).sum(1)) - 1).mean()
        return loss + penalty, (loss, buffers)

    def loss_of_g(weights: Arrays, buffers: Any, d_weights: Arrays, z: Any) -> Any:
        fake, g_buffers = g.run(weights, buffers[0], z)
        scores, d_buffers = d.run(d_weights, buffers[1], fake)
        loss = -scores.mean() if wasserstein else softplus_mean(-scores)
        return loss, (g_buffers, d_buffers)

    def update(states: Any, buffers: Any, real: Any, noise: Arrays) -> Any:
        (state_g, state_d), (g_buffers, d_buffers) = states, buffers
        fake, g_buffers = g.run(state_g[1], g_buffers, noise["D0/z"])
        (_, (loss, d_buffers)), grads = jax.value_and_grad(loss_of_d, has_aux=True)(
            state_d[1], d_buffers, real, fake, noise
        )
        losses = {"loss_d": loss}
        state_d = adam.update(state_d, grads)
        if row.with_g:
            (losses["loss_g"], (g_buffers, d_buffers)), grads = jax.value_and_grad(
                loss_of_g, has_aux=True
            )(state_g[1], (g_buffers, d_buffers), state_d[1], noise["G/z"])
            state_g = adam.update(state_g, grads)
        return (state_g, state_d), (g_buffers, d_buffers), losses

    def drawn(states: Any, buffers: Any, real: Any, key: Any) -> Any:
        keys = jax.random.split(key, 3)
        shape = (row.batch, row.latent)
        noise = {
            "D0/z": jax.random.normal(keys[0], shape),
            "G/z": jax.random.normal(keys[1], shape),
            "D0/epsilon": jax.random.uniform(keys[2], (row.batch, *(1,) * (real.ndim - 1))),
        }
        return update(states, buffers, real, noise)

    given_noise = jax.jit(update, donate_argnums=(0, 1))
    drawing = jax.jit(drawn, donate_argnums=(0, 1))
    now = (adam.start(g), adam.start(d)), (g.buffers, d.buffers)

    def step(index: int, exact: bool = False) -> Losses:
        nonlocal now
        real = batches[index % len(batches)]
        if exact:
            noise = {name: to_jax(tensor) for name, tensor in row.noise(index).items()}
            *now, losses = given_noise(*now, real, noise)
        else:
            *now, losses = drawing(*now, real, jax.random.key(index))
        return losses

    return step
