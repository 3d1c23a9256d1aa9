"""A network's trainable parameters in one vector, so that one update serves them all.

The tensors keep their names and shapes; they become views of one storage. A step then has a few
update gates for a whole network instead of a few for each parameter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from backlit.errors import BacklitError
from backlit.graph import stamp
from backlit.step.optimiser import Optimiser

Tensors = dict[str, Tensor]
_ALIGNED = 16  # elements; vectors of this length begin on a cache line


class Layout:
    """Where each of several tensors of one dtype lies in a flat vector.

    Args:
        tensors: by name. Dense ones keep their memory order (channels last stays so).
    """

    def __init__(self, tensors: Mapping[str, Tensor]):
        # Odd lengths come last: all before them begin on a cache line, and nothing is padded.
        self.names = sorted(tensors, key=lambda name: tensors[name].numel() % _ALIGNED != 0)
        self._places: dict[str, tuple[int, int, list[int], list[int], list[int]]] = {}
        self.size = 0
        for name in self.names:
            t = tensors[name]
            order = sorted(range(t.ndim), key=t.stride, reverse=True)
            if not t.permute(order).is_contiguous():
                order = list(range(t.ndim))
            back = sorted(range(t.ndim), key=order.__getitem__)
            shape = [t.shape[d] for d in order]
            self._places[name] = (self.size, t.numel(), shape, order, back)
            self.size += t.numel()

    def views(self, flat: Tensor) -> Tensors:
        """Each tensor as a view of a vector (size,)."""
        found = {}
        for name, (start, length, shape, _, back) in self._places.items():
            view = flat.narrow(0, start, length).view(shape)
            found[name] = view if back == sorted(back) else view.permute(back)
        return found

    @property
    def parts(self) -> dict[str, tuple[int, int]]:
        """Where each tensor lies: (start, length)."""
        return {name: (start, length) for name, (start, length, *_) in self._places.items()}

    def gather(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """A new vector (size,) with the tensors' values."""
        parts = [tensors[name].permute(self._places[name][3]).reshape(-1) for name in self.names]
        return torch.cat(parts)


class Trained:
    """One network's trainable parameters of one dtype with their optimiser's state.

    Every tensor is a view of a vector; the parameters' own data are moved there. A count that
    is the same for all of them (``step``) is one tensor under every name.

    Args:
        role: prefix of the names.
        parameters: by name within the network.
        optimiser: whose state is kept.
        average: also keep a moving average of the parameters, beginning at their values.
        prunable: also keep masks of the weights (not of vectors), ones; what a mask holds at 0
            stays 0.

    Attributes:
        names: of the parameters, with their role.
        state: parameter, optimiser state, average and mask by name: the views.
        wires: the vectors by name, and the counts.
    """

    def __init__(
        self,
        role: str,
        parameters: Mapping[str, nn.Parameter],
        optimiser: Optimiser,
        average: bool = False,
        prunable: bool = False,
    ):
        self.optimiser, self._parameters = optimiser, dict(parameters)
        self._layout = layout = Layout(parameters)
        self._role = role
        kind = str(next(iter(parameters.values())).dtype).removeprefix("torch.")
        self.names = [f"{role}/{name}" for name in parameters]
        flat = self._vector()
        self._home = layout.views(flat)
        for name, parameter in parameters.items():
            parameter.data = self._home[name]
        self.wire = f"{role}/{kind}"
        self._slots = {slot: f"optimiser/{role}/{kind}/{slot}" for slot in optimiser.slots}
        self.average = f"ema/{kind}" if average else None
        self._mask = f"mask/{role}/{kind}" if prunable else None
        self.wires: Tensors = {self.wire: nn.Parameter(flat, requires_grad=False)}
        self.state: Tensors = {f"{role}/{name}": p for name, p in parameters.items()}
        for slot, tensor in optimiser.init(flat).items():
            self.wires[self._slots[slot]] = tensor
            views = layout.views(tensor) if tensor.ndim else dict.fromkeys(parameters, tensor)
            self.state |= {f"optimiser/{role}/{n}/{slot}": views[n] for n in parameters}
        if self.average:
            self.wires[self.average] = flat.clone()
            views = layout.views(self.wires[self.average])
            self.state |= {f"ema/{name}": views[name] for name in parameters}
        if self._mask:
            self.wires[self._mask] = torch.ones_like(flat)
            views = layout.views(self.wires[self._mask])
            weights = [name for name, p in parameters.items() if p.dim() > 1]
            self.state |= {f"mask/{role}/{name}": views[name] for name in weights}

    def _vector(self) -> Tensor:
        """The vector the parameters already lie in (of another step), else a new one."""
        tensors = {name: p.detach() for name, p in self._parameters.items()}
        first = tensors[self._layout.names[0]]
        storage = first.untyped_storage()
        if storage.nbytes() == self._layout.size * first.element_size():
            flat = torch.empty(0, dtype=first.dtype, device=first.device).set_(storage)
            views = self._layout.views(flat)
            if all(_same(t, views[name]) for name, t in tensors.items()):
                return flat
        return self._layout.gather(tensors)

    def check_home(self) -> None:
        """Sees that the parameters still lie where the step updates them.

        Raises: BacklitError: one was moved away, as by ``module.to``.
        """
        for name, parameter in self._parameters.items():
            if not _same(parameter.detach(), self._home[name]):
                raise BacklitError(
                    f"expected parameter '{self._role}/{name}' where the step updates it, "
                    "found it moved (by module.to or the like): move networks before they go into "
                    "Game(...) or Supervised(...)"
                )

    @property
    def parts(self) -> dict[str, tuple[int, int]]:
        """Where each parameter lies in its vector: (start, length)."""
        return {f"{self._role}/{name}": part for name, part in self._layout.parts.items()}

    def views(self, now: Mapping[str, Tensor]) -> Tensors:
        """The parameters by name, out of the present vector among `now`."""
        with stamp(module=self._role):
            views = self._layout.views(now[self.wire])
        return {f"{self._role}/{name}": view for name, view in views.items()}

    def update(self, now: Mapping[str, Tensor], grads: Mapping[str, Tensor], lr: Tensor) -> Tensors:
        """New vectors, and the parameters as their views; pure tensor code, meant to be traced.

        Args:
            now: the present wires and parameters by name.
            grads: by name; a parameter without one stays as it is.
            lr: learning rate, 0-d float64.
        """
        role = self._role
        full = {n: grads.get(f"{role}/{n}") for n in self._layout.names}
        still = [name for name, grad in full.items() if grad is None]
        if len(still) == len(full):
            return {}
        given = {
            n: torch.zeros_like(now[f"{role}/{n}"]) if grad is None else grad
            for n, grad in full.items()
        }
        old = {wire: now[wire] for wire in (self.wire, *self._slots.values())}
        states = [{slot: now[wire] for slot, wire in self._slots.items()}]
        (flat,), (slots,) = self.optimiser.update(
            [old[self.wire]], [self._layout.gather(given)], states, lr
        )
        if self._mask:
            flat = flat * now[self._mask]
        new = {self.wire: flat} | {self._slots[slot]: t for slot, t in slots.items()}
        if still:
            new = {wire: self._kept(old[wire], t, still) for wire, t in new.items()}
        return new | self.views(new)

    def _kept(self, old: Tensor, new: Tensor, still: list[str]) -> Tensor:
        """The new vector with the named tensors as they were."""
        if not new.ndim:
            return new
        before = self._layout.views(old)
        return self._layout.gather(self._layout.views(new) | {n: before[n] for n in still})


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are the same memory seen the same way."""
    return (a.data_ptr(), a.shape, a.stride(), a.dtype) == (
        b.data_ptr(),
        b.shape,
        b.stride(),
        b.dtype,
    )


def trained(
    role: str,
    module: nn.Module,
    optimiser: Optimiser,
    average: bool = False,
    prunable: bool = False,
) -> list[Trained]:
    """A network's trainable parameters, one `Trained` for each dtype; see there."""
    by_dtype: dict[torch.dtype, dict[str, nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            by_dtype.setdefault(parameter.dtype, {})[name] = parameter
    return [Trained(role, found, optimiser, average, prunable) for found in by_dtype.values()]


def state_and_wires(
    tensors: Mapping[str, Tensor], groups: Sequence[Trained]
) -> tuple[Tensors, Tensors]:
    """A step's state by name, and the same as the step carries it: in vectors where it can.

    Args:
        tensors: parameters and buffers by name.
        groups: what is trained of them, in its vectors.
    """
    state, wires = dict(tensors), dict[str, Tensor]()
    for group in groups:
        state |= group.state
        wires |= group.wires
    inside = {name for group in groups for name in group.state}
    return state, wires | {name: t for name, t in state.items() if name not in inside}
