"""The verdict at capture: forward, buffers and every gradient against plain PyTorch, once."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from backlit.errors import CaptureError, ParityError
from backlit.graph import backprop
from backlit.graph.graph import Graph
from backlit.graph.origin import origin_of

# The same kernels run in the same order forward; backward rounds differently. A wrong rule or a
# lost stop-gradient is 1e-6 (spectral norm) to 1 of the largest gradient, so what float32 cannot
# decide is decided in float64.
_SUSPECT = {torch.float32: 1e-5, torch.float64: 1e-11}
_REFUSE = 1e-8
SEED = 20_240_229


def verify(graph: Graph, module: nn.Module, args: Any, kwargs: Any) -> None:
    """Compares the graph with plain PyTorch on one seed.

    Raises: ParityError naming the first module that differs, by how much and what is compared.
    """
    found = _compare(graph, module, args, kwargs)
    if found is None:
        return
    try:
        double = copy.deepcopy(module).double()
        args64, kwargs64 = tree_map(_to_double, (args, kwargs))
        found = _compare(_rebound(graph, double), double, args64, kwargs64, _REFUSE)
    except (RuntimeError, TypeError, CaptureError):
        pass  # the network does not run in float64: float32's finding stands
    if found is not None:
        raise ParityError(found)


def _to_double(leaf: Any) -> Any:
    return leaf.double() if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf


def _rebound(graph: Graph, module: nn.Module) -> Graph:
    """The same gates bound to another module's tensors."""
    state = {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers()),
    }
    bindings = {k: state.get(k, _to_double(v)) for k, v in graph.bindings.items()}
    return Graph(graph.gm, graph.inputs, graph.out_spec, graph.in_spec, graph.new_buffers, bindings)


def _compare(
    graph: Graph, module: nn.Module, args: Any, kwargs: Any, limit: float | None = None
) -> str | None:
    """What differs, as an error text; None where everything agrees."""
    eager_out, eager_buffers, eager_grads, cotangents = _eager(graph, module, args, kwargs)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(SEED)
        leaves = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Tensor)]
        feed = iter(leaves)
        flat = [
            next(feed) if wire.kind == "input" else graph.bindings[wire.name].detach()
            for wire in graph.inputs
        ]
        outputs, values = backprop.forward(graph.gm, flat)
        n = len(graph.new_buffers)
        for position, (mine, theirs) in enumerate(zip(outputs[n:], eager_out, strict=True)):
            if not isinstance(theirs, Tensor):
                continue
            if (error := _error(mine, theirs)) > _limit(theirs, limit):
                first = _first_module(graph, values, module, args, kwargs)
                return (
                    f"output {position} of {type(module).__name__}: graph and PyTorch differ by "
                    f"{error:.2g} of the largest value; first in {first}"
                )
        for name, mine in zip(graph.new_buffers, outputs[:n], strict=True):
            if (error := _error(mine, eager_buffers[name])) > _limit(mine, limit):
                return f"buffer '{name}' after a pass: graph and PyTorch differ by {error:.2g}"
        wires = backprop.output_wires(graph.gm)[n:]
        seeds: dict[Any, Tensor] = {}
        for wire, cotangent in zip(wires, cotangents, strict=True):
            if cotangent is not None:
                seeds[wire] = seeds[wire] + cotangent if wire in seeds else cotangent
        positions = graph.differentiable_inputs()
        nodes = backprop.placeholders(graph.gm)
        grads = backprop.backward(graph.gm, values, seeds, [nodes[p] for p in positions])
    largest = max((g.abs().max().item() for g in eager_grads.values() if _some(g)), default=0.0)
    worst: tuple[int, str] | None = None
    for position in positions:
        name = graph.inputs[position].name
        mine, theirs = grads.get(nodes[position]), eager_grads.get(name)
        theirs = torch.zeros_like(flat[position]) if theirs is None else theirs
        mine = torch.zeros_like(theirs) if mine is None else mine
        error = _error(mine, theirs, largest)
        if error > _limit(theirs, limit):
            text = (
                f"gradient of '{name}': graph and PyTorch differ by {error:.2g} of the largest "
                f"gradient, first in {_user_of(nodes[position])}"
            )
            depth = max((i for i, _ in _users(graph, nodes[position])), default=0)
            # backpropagation goes wrong from the output on: the deepest difference is the cause
            if worst is None or depth > worst[0]:
                worst = (depth, text)
    return None if worst is None else worst[1]


def _eager(graph: Graph, module: nn.Module, args: Any, kwargs: Any) -> tuple[Any, ...]:
    """Plain PyTorch's outputs, new buffers and gradients for random cotangents."""
    state: dict[str, Tensor] = {}
    for name, parameter in module.named_parameters():
        state[name] = parameter.detach().clone().requires_grad_(parameter.is_floating_point())
    for name, buffer in module.named_buffers():
        state[name] = buffer.detach().clone()

    def fresh(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        return leaf.detach().clone().requires_grad_(leaf.is_floating_point())

    args, kwargs = tree_map(fresh, (args, kwargs))
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(SEED)
            # Copies of the inputs: the first layer may write in place, forbidden on leaves.
            passed_args, passed_kwargs = tree_map(_copied, (args, kwargs))
            try:
                result = torch.func.functional_call(
                    module, state, tuple(passed_args), dict(passed_kwargs)
                )
            except RuntimeError as error:
                if "is not differentiable with respect to argument" not in str(error):
                    raise
                first = str(error).splitlines()[0]
                raise CaptureError(
                    f"expected inputs that PyTorch differentiates, got: {first}; "
                    "close over that tensor instead of passing it"
                ) from error
            outputs = tree_flatten(result)[0]
            generator = torch.Generator().manual_seed(SEED)
            cotangents = [
                torch.randn(o.shape, generator=generator, dtype=torch.float64).to(o)
                if isinstance(o, Tensor) and o.is_floating_point() and o.requires_grad
                else None
                for o in outputs
            ]
            leaves = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Tensor)]
            feed = iter(leaves)
            named = {
                wire.name: next(feed) if wire.kind == "input" else state.get(wire.name)
                for wire in graph.inputs
                if wire.kind in ("input", "parameter", "buffer")
            }
            asked = {k: t for k, t in named.items() if t is not None and t.requires_grad}
            roots = [(o, c) for o, c in zip(outputs, cotangents, strict=True) if c is not None]
            found: tuple[Tensor | None, ...] = (None,) * len(asked)
            if roots and asked:
                found = torch.autograd.grad(
                    [o for o, _ in roots],
                    list(asked.values()),
                    [c for _, c in roots],
                    allow_unused=True,
                )
    except RuntimeError as error:
        raise CaptureError(
            f"expected a network PyTorch itself can run and differentiate, with which the graph is "
            f"compared; {type(module).__name__} fails there: {str(error).splitlines()[0]}"
        ) from error
    grads = dict(zip(asked, found, strict=True))
    return [o.detach() if isinstance(o, Tensor) else o for o in outputs], state, grads, cotangents


def _copied(leaf: Any) -> Any:
    return leaf.clone() if isinstance(leaf, Tensor) else leaf


def _some(grad: Tensor | None) -> bool:
    return grad is not None and grad.numel() > 0


def _limit(like: Tensor, limit: float | None) -> float:
    return limit if limit is not None else _SUSPECT.get(like.dtype, 2e-2)


def _error(mine: Any, theirs: Tensor, scale: float = 0.0) -> float:
    """Largest difference relative to the largest value (of either, or of `scale`)."""
    if not isinstance(mine, Tensor) or mine.shape != theirs.shape:
        return float("inf")
    if mine.numel() == 0:
        return 0.0
    mine, theirs = _wide(mine.detach()), _wide(theirs.detach())
    gap, largest = (mine - theirs).abs().max().item(), theirs.abs().max().item()
    if math.isfinite(gap) and math.isfinite(largest):
        return gap / max(largest, scale, 1e-30)
    if not torch.equal(mine.isnan(), theirs.isnan()):
        return float("inf")
    gap = (mine - theirs).nan_to_num(0.0, 0.0, 0.0).abs().max().item()
    return gap / max(theirs.nan_to_num().abs().max().item(), scale, 1e-30)


def _wide(tensor: Tensor) -> Tensor:
    """A tensor in which differences are exact enough; float32 is, and takes half as long."""
    return tensor if tensor.dtype in _SUSPECT else tensor.double()


def _users(graph: Graph, node: Any) -> list[tuple[int, Any]]:
    order = {n: i for i, n in enumerate(graph.gm.graph.nodes)}
    return [(order[user], user) for user in node.users]


def _user_of(node: Any) -> str:
    users = list(node.users)
    return origin_of(users[0]).where() if users else "no gate"


def _first_module(
    graph: Graph, values: dict[Any, Any], module: nn.Module, args: Any, kwargs: Any
) -> str:
    """The first module whose eager output is not among the graph's values of that module."""
    seen: dict[str, list[Tensor]] = {}
    for node, value in values.items():
        if isinstance(value, Tensor):
            seen.setdefault(origin_of(node).module, []).append(value)
    bad: list[str] = []

    def hook(path: str) -> Callable[..., None]:
        def look(_module: Any, _inputs: Any, output: Any) -> None:
            mine = seen.get(path)
            if bad or mine is None or not isinstance(output, Tensor):
                return
            if all(_error(v, output) > _limit(output, None) for v in mine):
                bad.append(path)

        return look

    twin = copy.deepcopy(module)
    handles = [m.register_forward_hook(hook(path)) for path, m in twin.named_modules()]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(SEED)
        twin(*args, **kwargs)
    for handle in handles:
        handle.remove()
    return f"module '{bad[0]}'" if bad else "the graph"
