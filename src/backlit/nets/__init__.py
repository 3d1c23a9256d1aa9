"""Networks in plain torch.nn, a file a family; `network(name, **options)` builds one by name.

They are ordinary modules: any of them trains without Backlit, and any `torch.nn.Module` of a
user's own takes their place. Pictures are (N, C, H, W); generators take noise (N, latent) and
say its length in `.latent`; discriminators return raw scores (N, 1).
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from backlit.nets.dcgan import DCGANDiscriminator, DCGANGenerator
from backlit.nets.mlp_gan import (
    MLPDiscriminator,
    MLPGenerator,
    PointDiscriminator,
    PointGenerator,
)
from backlit.registry import build

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "dcgan_discriminator": DCGANDiscriminator,
    "dcgan_generator": DCGANGenerator,
    "mlp_discriminator": MLPDiscriminator,
    "mlp_generator": MLPGenerator,
    "point_discriminator": PointDiscriminator,
    "point_generator": PointGenerator,
}


def network(name: str, **options: Any) -> nn.Module:
    """Return a new network of that name, with the options its class states.

    Raises:
        RecipeError: an unknown name or option (the allowed ones and the nearest are listed),
            or an option's value that is not allowed.
    """
    return build("network", NETWORKS, name, options)


__all__ = [
    "NETWORKS",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "MLPDiscriminator",
    "MLPGenerator",
    "PointDiscriminator",
    "PointGenerator",
    "network",
]
