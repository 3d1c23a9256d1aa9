"""In which precision a step runs: as asked, or as suits the machine and the work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import nn
from torch.fx import GraphModule

from backlit.errors import RecipeError
from backlit.lower import PRECISIONS, fast_bfloat16, low_share

AUTO = "auto"


def settle_precision(
    asked: str | None,
    networks: Mapping[str, nn.Module],
    graphs: Iterable[GraphModule],
    mode: str,
) -> str | None:
    """The precision for a step: what was asked, ``"auto"`` decided.

    Auto is bfloat16 where the networks are float32, the device has fast bfloat16, most of a
    graph's operations are in gates that gain from it, and the mode is not watched; else the
    networks' own.

    Args:
        asked: one of `backlit.lower.PRECISIONS`, ``"auto"``, or None for the networks' own.
        networks: by the name that an error text gives them.
        graphs: the step's variants, flat.
        mode: how it runs.
    Returns: a precision; None where none was asked or the networks are of several dtypes.
    Raises: RecipeError for an unknown precision, or one that is not that of the networks.
    """
    if asked == AUTO:
        kinds = {
            p.dtype for net in networks.values() for p in net.parameters() if p.is_floating_point()
        }
        if kinds == {torch.float32} and mode != "watched" and _pays(networks, graphs):
            return "bfloat16"
        own = str(next(iter(kinds), torch.float32)).removeprefix("torch.")
        return own if len(kinds) < 2 and own in ("float32", "float64") else None
    check_precision(asked, networks)
    return asked


def check_precision(precision: str | None, networks: Mapping[str, nn.Module]) -> None:
    """Sees that networks have the dtype that a precision needs.

    Raises: RecipeError naming the first parameter of another dtype, or for an unknown precision.
    """
    if precision is None:
        return
    if precision not in PRECISIONS:
        raise RecipeError(f"precision: expected one of {', '.join(PRECISIONS)}, got '{precision}'")
    needed = torch.float64 if precision == "float64" else torch.float32
    for role, network in networks.items():
        for name, parameter in network.named_parameters():
            if parameter.is_floating_point() and parameter.dtype != needed:
                raise RecipeError(
                    f"precision '{precision}': expected {needed} networks, got "
                    f"{parameter.dtype} for {role}.{name}; convert it with .to({needed})"
                )


def _pays(networks: Mapping[str, nn.Module], graphs: Iterable[GraphModule]) -> bool:
    devices = {p.device for net in networks.values() for p in net.parameters()}
    if not all(fast_bfloat16(device) for device in devices):
        return False
    return any(low_share(gm) > 0.5 for gm in graphs)
