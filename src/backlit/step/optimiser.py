"""Optimisers as gates: torch.optim's own functional forms, traced into the step's graph.

Every rule here moves a parameter by the learning rate times a direction that does not depend
on the learning rate. So the functional form is traced on a zero parameter with rate 1, which
gives the direction, and the rate stays a tensor that a schedule may change between steps.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import adadelta, adagrad, adam, rmsprop, sgd

from backlit.errors import RecipeError

_OFF: dict[str, Any] = dict(foreach=False, maximize=False)


def _sgd(p: list[Tensor], g: list[Tensor], s: dict[str, list[Tensor]], o: dict[str, Any]) -> None:
    buffers: list[Tensor | None] = [None] * len(p)
    if o["momentum"]:
        buffers = list(s["momentum_buffer"])
        if o["dampening"]:
            # The first step takes the undamped gradient: start from the buffer that gives it.
            ratio = o["dampening"] / o["momentum"]
            for i, step in enumerate(s["step"]):
                buffers[i] = torch.where(step == 0, g[i] * ratio, s["momentum_buffer"][i])
                step += 1
    sgd.sgd(
        p,
        g,
        buffers,
        lr=1.0,
        weight_decay=0.0,
        momentum=o["momentum"],
        dampening=o["dampening"],
        nesterov=o["nesterov"],
        **_OFF,
    )
    for mine, new in zip(s.get("momentum_buffer", []), buffers, strict=False):
        if new is not None and new is not mine:
            mine.copy_(new)


def _rmsprop(
    p: list[Tensor], g: list[Tensor], s: dict[str, list[Tensor]], o: dict[str, Any]
) -> None:
    rmsprop.rmsprop(
        p,
        g,
        s["square_avg"],
        s.get("grad_avg", []),
        s.get("momentum_buffer", []),
        s["step"],
        lr=1.0,
        alpha=o["alpha"],
        eps=o["eps"],
        weight_decay=0.0,
        momentum=o["momentum"],
        centered=o["centered"],
        **_OFF,
    )


def _adam(p: list[Tensor], g: list[Tensor], s: dict[str, list[Tensor]], o: dict[str, Any]) -> None:
    beta1, beta2 = o["betas"]
    # `differentiable` is the form that keeps the step count a tensor.
    adam._single_tensor_adam(
        p,
        g,
        s["exp_avg"],
        s["exp_avg_sq"],
        s.get("max_exp_avg_sq", []),
        s["step"],
        None,
        None,
        amsgrad=o["amsgrad"],
        has_complex=False,
        beta1=beta1,
        beta2=beta2,
        lr=1.0,
        weight_decay=0.0,
        eps=o["eps"],
        maximize=False,
        capturable=False,
        differentiable=True,
        decoupled_weight_decay=False,
    )


def _adagrad(
    p: list[Tensor], g: list[Tensor], s: dict[str, list[Tensor]], o: dict[str, Any]
) -> None:
    steps: Any = [0.0] * len(p)  # only used for lr_decay, which `update` applies
    adagrad._single_tensor_adagrad(
        p,
        g,
        s["sum"],
        steps,
        None,
        None,
        lr=1.0,
        weight_decay=0.0,
        lr_decay=0.0,
        eps=o["eps"],
        has_sparse_grad=False,
        maximize=False,
        differentiable=False,
        has_complex=False,
    )
    for step in s["step"]:
        step += 1


def _adadelta(
    p: list[Tensor], g: list[Tensor], s: dict[str, list[Tensor]], o: dict[str, Any]
) -> None:
    adadelta.adadelta(
        p,
        g,
        s["square_avg"],
        s["acc_delta"],
        s["step"],
        lr=1.0,
        rho=o["rho"],
        eps=o["eps"],
        weight_decay=0.0,
        **_OFF,
    )


def _sgd_state(o: Mapping[str, Any]) -> tuple[str, ...]:
    if not o["momentum"]:
        return ()
    return ("momentum_buffer", "step") if o["dampening"] else ("momentum_buffer",)


def _rmsprop_state(o: Mapping[str, Any]) -> tuple[str, ...]:
    more = (("momentum_buffer",) if o["momentum"] else ()) + (
        ("grad_avg",) if o["centered"] else ()
    )
    return ("step", "square_avg", *more)


def _adam_state(o: Mapping[str, Any]) -> tuple[str, ...]:
    return ("step", "exp_avg", "exp_avg_sq") + (("max_exp_avg_sq",) if o["amsgrad"] else ())


_Rule = Callable[[list[Tensor], list[Tensor], dict[str, list[Tensor]], dict[str, Any]], None]
_RULES: dict[str, tuple[type, _Rule, Callable[[Mapping[str, Any]], tuple[str, ...]]]] = {
    "SGD": (torch.optim.SGD, _sgd, _sgd_state),
    "RMSprop": (torch.optim.RMSprop, _rmsprop, _rmsprop_state),
    "Adam": (torch.optim.Adam, _adam, _adam_state),
    "AdamW": (torch.optim.AdamW, _adam, _adam_state),
    "Adagrad": (torch.optim.Adagrad, _adagrad, lambda o: ("step", "sum")),
    "Adadelta": (torch.optim.Adadelta, _adadelta, lambda o: ("step", "square_avg", "acc_delta")),
}
# Options that choose an implementation, not a result.
_IMPLEMENTATION = {"foreach", "fused", "capturable", "differentiable"}


class Optimiser:
    """One of torch.optim's optimisers, by name, with exactly its options and defaults.

    Args:
        name: ``"SGD"``, ``"RMSprop"``, ``"Adam"``, ``"AdamW"``, ``"Adagrad"`` or ``"Adadelta"``.
        options: that class's keyword arguments (``lr``, ``betas``, ``weight_decay``, ...).
    Raises: RecipeError for an unknown name or option, a wrong type or a negative rate.
    """

    def __init__(self, name: str = "Adam", **options: Any):
        if name not in _RULES:
            near = difflib.get_close_matches(name, _RULES, 1, 0.3)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise RecipeError(f"optimiser: expected one of {', '.join(_RULES)}, got '{name}'{hint}")
        cls, self._rule, self._slots = _RULES[name]
        self.name = name
        allowed = [p for p in inspect.signature(cls).parameters if p != "params"]
        for key in options:
            if key not in allowed:
                raise RecipeError(
                    f"optimiser {name}: expected one of {', '.join(allowed)}, got option '{key}'"
                )
        given = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
        try:
            made = cls([torch.nn.Parameter(torch.zeros(1))], **given)
        except (ValueError, TypeError, RuntimeError) as error:
            raise RecipeError(f"optimiser {name}: {error}") from error
        self.options: dict[str, Any] = {
            k: v for k, v in made.defaults.items() if k not in _IMPLEMENTATION
        }
        self.lr = float(self.options.pop("lr"))

    @classmethod
    def of(cls, given: Any) -> Optimiser:
        """From an Optimiser, a name, or a torch optimiser (whose class and options are taken)."""
        if isinstance(given, Optimiser):
            return given
        if isinstance(given, str):
            return cls(given)
        if isinstance(given, torch.optim.Optimizer):
            if len(given.param_groups) != 1:
                raise RecipeError(
                    f"expected an optimiser with one parameter group, got {len(given.param_groups)}"
                )
            options = {
                k: v
                for k, v in given.param_groups[0].items()
                if k in given.defaults and k not in _IMPLEMENTATION
            }
            if isinstance(given, torch.optim.AdamW):
                options.pop("decoupled_weight_decay", None)  # AdamW's own, not an argument
            return cls(type(given).__name__, **options)
        raise RecipeError(
            f"expected an optimiser's name, a backlit.Optimiser or a torch.optim.Optimizer, "
            f"got {type(given).__name__}"
        )

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of a parameter's state tensors, as in torch.optim (``exp_avg``, ...)."""
        return self._slots(self.options)

    def init(self, parameter: Tensor) -> dict[str, Tensor]:
        """A parameter's state before the first step: zeros (Adagrad: its initial value).

        The step count is float64, so that bias corrections are as exact as in plain Python.
        """
        start = float(self.options.get("initial_accumulator_value", 0.0))
        state = {}
        for slot in self.slots:
            if slot == "step":
                state[slot] = torch.zeros((), dtype=torch.float64, device=parameter.device)
            else:
                state[slot] = torch.full_like(parameter, start if slot == "sum" else 0.0)
        return state

    def update(
        self,
        parameters: Sequence[Tensor],
        grads: Sequence[Tensor],
        states: Sequence[Mapping[str, Tensor]],
        lr: Tensor,
    ) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
        """New parameters and states; pure tensor code, meant to be traced.

        Args:
            lr: learning rate, 0-d float64.
        """
        if not parameters:
            return [], []
        o = self.options
        decay, decoupled = o.get("weight_decay", 0), o.get("decoupled_weight_decay", False)
        grads = [-g for g in grads] if o.get("maximize") else list(grads)
        if decay and not decoupled:
            grads = [g + decay * p for g, p in zip(grads, parameters, strict=True)]
        slots = self.slots
        n = len(parameters)

        def direction(*flat: Tensor) -> tuple[Tensor, ...]:
            g = list(flat[:n])
            columns = {slot: list(flat[n * (i + 1) : n * (i + 2)]) for i, slot in enumerate(slots)}
            zeros = [torch.zeros_like(x) for x in g]
            self._rule(zeros, g, columns, o)
            return (*zeros, *(t for slot in slots for t in columns[slot]))

        flat_states = [state[slot] for slot in slots for state in states]
        result = torch.func.functionalize(direction)(*grads, *flat_states)
        moves, rest = result[:n], result[n:]
        new_states = [{slot: rest[i * n + j] for i, slot in enumerate(slots)} for j in range(n)]
        new = []
        for p, move, state in zip(parameters, moves, new_states, strict=True):
            rate = lr
            if o.get("lr_decay"):
                rate = lr / (1 + (state["step"] - 1) * o["lr_decay"])
            kept = p * (1 - rate * decay) if decay and decoupled else p
            new.append(kept + rate * move)
        return new, new_states

    def describe(self) -> dict[str, Any]:
        """Name, rate and options as plain values, for a run's record."""
        return {
            "name": self.name,
            "lr": self.lr,
            **{k: list(v) if isinstance(v, tuple) else v for k, v in self.options.items()},
        }
