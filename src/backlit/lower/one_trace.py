"""A flat graph is traced once on its way into PyTorch's compiler, not twice.

PyTorch runs what it is to compile a first time to learn which inputs are written and which results
are views, and a second time with all of these taken apart, for its compiler's own gates. A step's
graph tells by itself: some inputs are written, each once and after its last reader, and results are
memory of their own. Then the second run is enough, and nothing need be taken apart in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from torch import Tensor
from torch.fx import GraphModule, Interpreter

from backlit.gates.base import aten
from backlit.graph.backprop import output_wires, placeholders
from backlit.lower.direct.aliases import Aliases
from backlit.lower.passes.common import writes


@contextmanager
def one_trace(gm: GraphModule, inputs: Sequence[Tensor]) -> Iterator[None]:
    """While entered, a plain graph is traced once; needs PyTorch's names as in 2.13."""
    try:
        from torch._dynamo.backends import common

        known = hasattr(common, "aot_module_simplified")
    except ImportError:
        known = False
    if not known or not is_plain(gm, inputs):
        yield
        return
    with patch.object(common, "aot_module_simplified", _traced_once):
        yield


def is_plain(gm: GraphModule, inputs: Sequence[Tensor]) -> bool:
    """Whether a graph only writes inputs that nobody reads any more, and gives its own memory.

    Args:
        inputs: what it will be called with; one that is written may share memory with no other.
    """
    if any(node.op == "get_attr" for node in gm.graph.nodes):
        return False  # a tensor of its own would be looked at as it is, with numbers
    aliases, given = Aliases(gm), dict(zip(placeholders(gm), inputs, strict=True))
    sharing = Counter(map(_memory, inputs))
    for node in gm.graph.nodes:
        if not writes(node):
            continue
        wire: Any = node.args[0]
        if node.target is not aten.copy_.default or wire not in given or node.users:
            return False
        if sharing[_memory(given[wire])] > 1:
            return False
        if len(aliases.written[wire]) > 1 or aliases.last.get(wire, 0) > aliases.order[node]:
            return False
    roots = [root for wire in output_wires(gm) for root in aliases.roots[wire]]
    return len(roots) == len(set(roots)) and not given.keys() & roots


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _traced_once(
    gm: GraphModule,
    inputs: Sequence[Any],
    *,
    inference_compiler: Callable[..., Any],
    decompositions: dict[Any, Callable[..., Any]],
    **_: Any,
) -> Callable[..., Any]:
    """Stands for ``aot_module_simplified``: a plain graph, without gradients, for the compiler."""
    from torch._inductor.virtualized import V
    from torch.fx.experimental.proxy_tensor import make_fx

    mode = V.fake_mode
    unreal = [mode.from_tensor(x) if isinstance(x, Tensor) else x for x in inputs]
    with mode:
        made = make_fx(Interpreter(gm).run, decomposition_table=decompositions)(*unreal)
    _write_last(made)
    compiled = inference_compiler(made, unreal)
    return lambda *given: compiled(list(given))


def _write_last(gm: GraphModule) -> None:
    """Puts the writes at the end, in the order of the inputs, where the compiler looks for them."""
    copies = {n.args[0]: n for n in gm.graph.nodes if n.target is aten.copy_.default}
    end = gm.graph.output_node()
    for wire in placeholders(gm):
        if wire in copies:
            end.prepend(copies[wire])
    gm.graph.eliminate_dead_code()
    gm.recompile()
