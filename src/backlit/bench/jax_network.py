"""A network's captured graph as a function of JAX arrays, for the JAX peer.

Pictures and their values are (N, H, W, C) here and kernels (H, W, in, out), as Flax has them and as
XLA is quickest; all else is as in PyTorch. An LSTM of one layer is a `lax.scan` over time.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
from jax import lax
from jax import numpy as jnp
from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg

from backlit.errors import RecipeError
from backlit.gates.base import aten
from backlit.graph import Graph, capture, origin_of
from backlit.graph.backprop import output_wires, placeholders
from backlit.graph.level import ModuleGate

Arrays = dict[str, Any]


@dataclass(frozen=True)
class JaxNetwork:
    """A network in training mode.

    Attributes:
        weights, buffers: their first values, by name.
        run: (weights, buffers, input) -> (output, new buffers).
    """

    weights: Arrays
    buffers: Arrays
    run: Callable[[Arrays, Arrays, Any], tuple[Any, Arrays]]


def captured_for_jax(network: nn.Module, example: Tensor) -> Graph:
    """The network's graph.

    Raises: RecipeError for an operation that has no counterpart here.
    """
    graph = capture(network, example, level="module", verdict=False)
    for node in _inside(graph.gm):
        known = node.target in _OPERATIONS and (node.target in _PLACED or not node.kwargs)
        if not known and node.op == "call_function":
            raise RecipeError(f"the JAX peer has no counterpart of {node.target}")
    return graph


def _inside(gm: GraphModule) -> Iterator[Node]:
    for node in gm.graph.nodes:
        if isinstance(node.target, ModuleGate):
            yield from _inside(node.target.inner)
        else:
            yield node


def jax_network(network: nn.Module, example: Tensor) -> JaxNetwork:
    """The network with its present weights.

    Raises: as `captured_for_jax`.
    """
    graph = captured_for_jax(network, example)
    kinds = {wire.name: wire.kind for wire in graph.inputs}
    arrays = {name: to_jax(t, kernel=t.dim() == 4) for name, t in graph.bindings.items()}

    def run(weights: Arrays, buffers: Arrays, x: Any) -> tuple[Any, Arrays]:
        known = arrays | weights | buffers
        given = [x if wire.kind == "input" else known[wire.name] for wire in graph.inputs]
        *new, output = _run(graph.gm, given, network)
        return output, buffers | dict(zip(graph.new_buffers, new, strict=True))

    def of_kind(kind: str) -> Arrays:
        return {name: value for name, value in arrays.items() if kinds[name] == kind}

    return JaxNetwork(of_kind("parameter"), of_kind("buffer"), run)


def _run(gm: GraphModule, inputs: Sequence[Any], network: nn.Module) -> list[Any]:
    """What comes out of a graph; `network` has the modules that its gates stand for."""
    values: dict[Node, Any] = dict(zip(placeholders(gm), inputs, strict=True))
    for node in gm.graph.nodes:
        if node.op == "call_function":
            given = map_arg(node.args, values.__getitem__)
            values[node] = _call(node, given, network)
    return [values[wire] for wire in output_wires(gm)]


def _call(node: Node, given: Any, network: nn.Module) -> Any:
    if not isinstance(node.target, ModuleGate):
        return _OPERATIONS[node.target](*given)
    inner, module = node.target.inner, network.get_submodule(origin_of(node).module)
    if isinstance(module, nn.LSTM) and module.num_layers == 1 and not module.bidirectional:
        named = {wire.name: value for wire, value in zip(placeholders(inner), given, strict=True)}
        ends = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        weights = [v for end in ends for name, v in named.items() if name.endswith(end)]
        if len(weights) == 4 and len(named) == 5:  # and the sequence, from a state of zeros
            return _lstm(given[0], weights, module.batch_first)
    outputs = _run(inner, given, network)
    return outputs if len(outputs) > 1 else outputs[0]


def _lstm(x: Any, weights: Sequence[Any], batch_first: bool) -> Any:
    w_ih, w_hh, b_ih, b_hh = weights
    x = x.swapaxes(0, 1) if batch_first else x  # (T, N, inputs)
    zeros = jnp.zeros((x.shape[1], w_hh.shape[1]))

    def step(carried: Any, seen: Any) -> Any:
        h, c = carried
        i, f, g, o = jnp.split(seen + h @ w_hh.T, 4, 1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    _, z = lax.scan(step, (zeros, zeros), x @ w_ih.T + (b_ih + b_hh))
    return z.swapaxes(0, 1) if batch_first else z


def to_jax(tensor: Tensor, kernel: bool = False) -> Any:
    """The tensor as an array of JAX's own; four dimensions in the order that is used here."""
    if tensor.dim() == 4:
        tensor = tensor.permute(2, 3, 1, 0) if kernel else tensor.permute(0, 2, 3, 1)
    return jnp.asarray(tensor.detach().contiguous().numpy().copy())


def _axis(x: Any, dim: int) -> int:
    """Where a dimension of PyTorch's lies."""
    return {0: 0, 1: 3, 2: 1, 3: 2}[dim % 4] if x.ndim == 4 else dim


def _convolution(
    x: Any,
    weight: Any,
    bias: Any,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    more: list[int],
    groups: int,
) -> Any:
    how = ("NHWC", "HWIO", "NHWC")
    if groups != 1 or any(d != 1 for d in dilation):
        raise RecipeError("the JAX peer knows convolutions without groups and dilation")
    if transposed:
        size = weight.shape[:2]
        ends = [(k - 1 - p, k - 1 - p + m) for k, p, m in zip(size, padding, more, strict=True)]
        z = lax.conv_transpose(x, weight, stride, ends, None, how, transpose_kernel=True)
    else:
        ends = [(p, p) for p in padding]
        z = lax.conv_general_dilated(x, weight, stride, ends, dimension_numbers=how)
    return z if bias is None else z + bias


def _batch_norm(
    x: Any, w: Any, b: Any, mean: Any, var: Any, training: bool, momentum: float, eps: float
) -> tuple[Any, ...]:
    axes = tuple(range(x.ndim - 1))
    now_mean, now_var = x.mean(axes), x.var(axes)
    n = x.size // x.shape[-1]
    scale = lax.rsqrt(now_var + eps)
    return (
        (x - now_mean) * (scale * w) + b,
        now_mean,
        scale,
        (1 - momentum) * mean + momentum * now_mean,
        (1 - momentum) * var + momentum * now_var * (n / (n - 1)),
    )


def _max_pool(
    x: Any, size: list[int], stride: list[int] | None = None, padding: list[int] | int = 0
) -> tuple[Any]:
    ends = [padding] * 2 if isinstance(padding, int) else padding * (2 // len(padding))
    window, step = (1, *size, 1), (1, *(stride or size), 1)
    pads = ((0, 0), *((p, p) for p in ends), (0, 0))
    return (lax.reduce_window(x, -jnp.inf, lax.max, window, step, pads),)


def _adaptive_average(x: Any, size: list[int]) -> Any:
    if tuple(size) != x.shape[1:3]:
        raise RecipeError("the JAX peer knows adaptive pooling that leaves the size alone")
    return x


def _mean(x: Any, dims: list[int], keepdim: bool = False) -> Any:
    return x.mean(tuple(_axis(x, dim) for dim in dims), keepdims=keepdim)


def _view(x: Any, shape: list[int]) -> Any:
    x = x.transpose(0, 3, 1, 2) if x.ndim == 4 else x
    x = x.reshape(shape)
    return x.transpose(0, 2, 3, 1) if x.ndim == 4 else x


def _cat(parts: list[Any], dim: int = 0) -> Any:
    return jnp.concatenate(parts, _axis(parts[0], dim))


def _leaky_relu(x: Any, slope: float = 0.01) -> Any:
    return jnp.where(x > 0, x, slope * x)


def _split(x: Any, size: int, dim: int = 0) -> Any:
    return jnp.split(x, list(range(size, x.shape[dim], size)), dim)


def _linear(x: Any, weight: Any, bias: Any = None) -> Any:
    z = x @ weight.T
    return z if bias is None else z + bias


# Their keywords say how a tensor lies in memory.
_PLACED = (aten.zeros.default, aten.clone.default)
# Dimensions given to those marked with a 3 are of tensors with three at most in the rows.
_OPERATIONS: dict[Any, Callable[..., Any]] = {
    operator.getitem: operator.getitem,
    aten.add.Tensor: operator.add,
    aten.mul.Tensor: operator.mul,
    aten.linear.default: _linear,
    aten.convolution.default: _convolution,
    aten._native_batch_norm_legit_functional.default: _batch_norm,
    aten.max_pool2d_with_indices.default: _max_pool,
    aten._adaptive_avg_pool2d.default: _adaptive_average,
    aten.mean.dim: _mean,
    aten.relu.default: jax.nn.relu,
    aten.leaky_relu.default: _leaky_relu,
    aten.tanh.default: jnp.tanh,
    aten.sigmoid.default: jax.nn.sigmoid,
    aten.view.default: _view,
    aten._unsafe_view.default: _view,
    aten.clone.default: lambda x: x,
    aten.cat.default: _cat,
    aten.zeros.default: jnp.zeros,
    aten.stack.default: jnp.stack,  # 3
    aten.split.Tensor: _split,  # 3
    aten.select.int: lambda x, dim, index: x.take(index, dim),  # 3
    aten.unbind.int: lambda x, dim=0: [x.take(i, dim) for i in range(x.shape[dim])],  # 3
    aten.transpose.int: lambda x, a, b: x.swapaxes(a, b),  # 3
}
