"""Initial weights that several networks share."""

from torch import nn


def he_normal(network: nn.Module) -> None:
    """Set every convolution of a ReLU network to He's N(0, 2 / fan_out), its bias to 0.

    Source: He et al. 2015, "Delving Deep into Rectifiers", equation 14.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
