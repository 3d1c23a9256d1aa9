"""Capture: any torch.nn.Module or function becomes a graph of gates, checked against PyTorch."""

from __future__ import annotations

import inspect
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.export.graph_signature import InputKind, OutputKind, OutputSpec
from torch.fx import GraphModule, Node
from torch.utils._pytree import tree_flatten, tree_map

from backlit.errors import CaptureError
from backlit.gates.base import aten
from backlit.graph.backprop import output_wires, placeholders
from backlit.graph.graph import Graph, Input
from backlit.graph.level import at_level
from backlit.graph.limits import explained, refusals, refuse_unknown, refuse_writes
from backlit.graph.noise import externalise
from backlit.graph.origin import from_export
from backlit.graph.parity import verify
from backlit.graph.quick_export import quick_export
from backlit.graph.trace import decompositions
from backlit.graph.verdicts import verify_once


def capture(
    target: nn.Module | Callable[..., Any],
    *args: Any,
    level: str = "composite",
    verdict: bool | Literal["once"] = True,
    **kwargs: Any,
) -> Graph:
    """Captures a module (in the mode it is in) or a function as a graph of gates.

    Args:
        target: a `torch.nn.Module`, or a function of tensors; modules a function closes over
            count as its sub-modules. Floats given to a function become 0-d inputs.
        args, kwargs: example inputs; the graph keeps their shapes.
        level: what counts as one gate: ``"gates"`` (elementary ones only), ``"composite"``
            (sigmoid, a normalisation, ... are one gate) or ``"module"`` (each leaf module is
            one). Value and gradients are the same.
        verdict: compare forward, buffers and all gradients once with plain PyTorch; ``"once"``: not
            again where the same graph of the same source passed on this machine before.
    Returns: the graph, bound to the module's live parameters and buffers.
    Raises: CaptureError for what cannot be captured, with the detour; ParityError where graph
        and PyTorch differ, naming the first module that does; GateError for an operation
        without a gate.
    """
    module, function = _as_module(target)
    if function is not None:
        args, kwargs = tree_map(_float_to_tensor, (args, kwargs))
    args, kwargs = _apart(args, kwargs)
    signature = _signature(function or module.forward)
    exported = _export(module, args, kwargs)
    gm = exported.graph_module
    signature_of = exported.graph_signature
    inputs: list[Input] = []
    bindings: dict[str, Tensor] = {}
    example: dict[str, Tensor] = {}
    leaves = tree_flatten((args, kwargs))[0]
    names = _argument_names(signature, args, kwargs)
    state = {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }
    # Two names of one tensor (tied weights) are one wire: its gradient is the sum of both uses.
    first_name = {id(tensor): name for name, tensor in reversed(state.items())}
    wire_of: dict[str, Node] = {}
    user_position = 0
    for node, spec in zip(placeholders(gm), signature_of.input_specs, strict=True):
        if spec.kind == InputKind.USER_INPUT:
            leaf, name = leaves[user_position], names[user_position]
            user_position += 1
            if not isinstance(leaf, Tensor):
                gm.graph.erase_node(node)  # a constant argument, baked in by the export
                continue
            inputs.append(Input(name, "input"))
            example[name] = leaf.detach()
        elif spec.kind in (InputKind.PARAMETER, InputKind.BUFFER):
            kind = "parameter" if spec.kind == InputKind.PARAMETER else "buffer"
            tensor = state[spec.target]
            name = first_name[id(tensor)]
            if name in wire_of:
                node.replace_all_uses_with(wire_of[name])
                gm.graph.erase_node(node)
                continue
            wire_of[name] = node
            inputs.append(Input(name, kind))
            bindings[name] = tensor
        else:
            inputs.append(Input(spec.target, "constant"))
            bindings[spec.target] = exported.constants[spec.target]
    new_buffers = tuple(
        spec.target for spec in signature_of.output_specs if spec.kind == OutputKind.BUFFER_MUTATION
    )
    _flatten_output(gm, signature_of.output_specs)
    for node in gm.graph.nodes:
        if node.op == "call_function":
            node.meta["origin"] = from_export(node)
            refuse_unknown(node)
    graph = Graph(
        gm=gm,
        inputs=tuple(inputs),
        out_spec=exported.call_spec.out_spec,
        in_spec=exported.call_spec.in_spec,
        new_buffers=new_buffers,
        bindings=bindings,
        example=example,
        signature=signature,
    )
    if verdict == "once" and function is None:
        verify_once(graph, module, args, kwargs)
    elif verdict:
        verify(graph, module, args, kwargs)
    noise = externalise(gm)
    graph.inputs += tuple(Input(node.name, "noise", spec) for node, spec in noise)
    return at_level(graph, level, module)


def _as_module(target: Any) -> tuple[nn.Module, Callable[..., Any] | None]:
    """The module to export; for a function, a wrapper that owns the modules it closes over."""
    if isinstance(target, nn.Module):
        return target, None
    if not callable(target):
        raise CaptureError(
            f"expected a torch.nn.Module or a function to capture, got {type(target).__name__}"
        )

    class Function(nn.Module):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return target(*args, **kwargs)

    wrapper = Function()
    owner = getattr(target, "__self__", None)
    closed_over = {"self": owner} if isinstance(owner, nn.Module) else {}
    if inspect.isfunction(target):
        found = inspect.getclosurevars(target)
        closed_over = {**found.globals, **found.nonlocals, **closed_over}
    for name, value in closed_over.items():
        if isinstance(value, nn.Module):
            wrapper.add_module(name, value)
        elif isinstance(value, nn.Parameter):
            wrapper.register_parameter(name, value)
    wrapper.train(any(m.training for m in wrapper.children()))
    return wrapper, target


def _apart(args: Any, kwargs: Any) -> tuple[Any, Any]:
    """Copies of tensors given more than once (self-attention): an export would join the inputs."""
    seen: set[int] = set()

    def own(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or id(leaf) not in seen:
            seen.add(id(leaf))
            return leaf
        return leaf.detach().clone()

    return tree_map(own, (args, kwargs))


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    """The function's signature; PyTorch's own built-in functions show none."""
    try:
        return inspect.signature(function)
    except ValueError:
        return inspect.signature(lambda *inputs, **named: None)


def _float_to_tensor(leaf: Any) -> Any:
    return torch.tensor(leaf) if isinstance(leaf, float) else leaf


def _argument_names(signature: inspect.Signature, args: Any, kwargs: Any) -> list[str]:
    """One name for each leaf of the arguments: the argument's, numbered inside a container."""
    positional = [
        p for p in signature.parameters.values() if p.kind not in (p.VAR_KEYWORD, p.KEYWORD_ONLY)
    ]
    names = []
    for position, value in enumerate(args):
        parameter = positional[min(position, len(positional) - 1)]
        base = parameter.name
        if parameter.kind == parameter.VAR_POSITIONAL:
            base = f"{base}_{position - len(positional) + 1}"
        names += _leaf_names(base, value)
    # pytree keeps a dict's own order
    for key, value in kwargs.items():
        names += _leaf_names(key, value)
    return names


def _leaf_names(base: str, value: Any) -> list[str]:
    leaves = tree_flatten(value)[0]
    return [base] if len(leaves) == 1 else [f"{base}_{i}" for i in range(len(leaves))]


def _export(module: nn.Module, args: Any, kwargs: Any) -> torch.export.ExportedProgram:
    """torch.export with stop-gradients kept and only what has no gate decomposed."""
    with _export_warnings(), refusals(), quick_export():
        try:
            # (of a failed export it prints the graph so far)
            with redirect_stderr(io.StringIO()):
                program = torch.export.export(module, tuple(args), dict(kwargs), strict=False)
        except CaptureError:
            raise
        except Exception as error:
            raise explained(error, module) from error
        _keep_stop_gradients(program.graph_module)
        program = program.run_decompositions(decompositions())
        _drop_assertions(program.graph_module)
        return program


@contextmanager
def _export_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        # torch.export's own deprecation notices say nothing to a user of Backlit
        warnings.simplefilter("ignore")
        yield


def _drop_assertions(gm: GraphModule) -> None:
    """Removes run-time assertions (one_hot leaves some): they compute nothing."""
    for node in list(gm.graph.nodes):
        if node.op == "call_function" and node.target in _ASSERTIONS:
            gm.graph.erase_node(node)


_ASSERTIONS = (
    aten._assert_async.msg,
    aten._assert_tensor_metadata.default,
    aten._assert_scalar.default,
)


def _keep_stop_gradients(gm: GraphModule) -> None:
    """Puts a detach behind every no_grad region, before a decomposition inlines the region.

    Without it the region's gradient would come back silently (it hides well: 1e-6 .. 1e-4 of
    the largest gradient with spectral norm).
    """
    for node in list(gm.graph.nodes):
        if node.target is not torch.ops.higher_order.wrap_with_set_grad_enabled:
            continue
        if node.args[0] is not False:
            continue
        for user in list(node.users):
            with gm.graph.inserting_after(user):
                stop = gm.graph.call_function(aten.detach.default, (user,))
            stop.meta = {k: v for k, v in user.meta.items() if k in ("val", "stack_trace")}
            user.replace_all_uses_with(stop, delete_user_cb=lambda n, stop=stop: n is not stop)
    for child in gm.children():
        if isinstance(child, GraphModule):
            _keep_stop_gradients(child)
    gm.recompile()


def _flatten_output(gm: GraphModule, specs: Sequence[OutputSpec]) -> None:
    """One flat tuple out, without the inputs that forward wrote in place: they stay as they are."""
    refuse_writes(specs)
    output = gm.graph.output_node()
    kept = zip(output_wires(gm), specs, strict=True)
    output.args = (tuple(w for w, spec in kept if spec.kind != OutputKind.USER_INPUT_MUTATION),)
    gm.graph.eliminate_dead_code()
    gm.recompile()
