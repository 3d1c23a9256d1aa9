"""The same layer seen two ways: fully connected, or a convolution as large as its input."""

import torch
from torch import nn

from backlit.errors import RecipeError


def linear_as_convolution(linear: nn.Linear, channels: int, height: int, width: int) -> nn.Conv2d:
    """Return the convolution that equals a linear layer on flattened (C, H, W) features.

    A layer from 7x7x512 features to 4096 units becomes 4096 kernels of 7x7; on a larger
    picture the convolution slides, giving a map of scores.

    Args:
        linear: layer whose in_features are channels * height * width; its weights are copied.
        channels, height, width: shape of the features before they were flattened.

    Raises:
        RecipeError: sizes that do not multiply to in_features.

    Source: Long et al. 2015, "Fully Convolutional Networks for Semantic Segmentation",
    section 3.1.
    """
    if channels * height * width != linear.in_features:
        raise RecipeError(
            f"a linear layer of {linear.in_features} inputs is not {channels}x{height}x{width} = "
            f"{channels * height * width}; give the shape that was flattened before it"
        )
    convolution = nn.Conv2d(
        channels,
        linear.out_features,
        (height, width),
        bias=linear.bias is not None,
        device=linear.weight.device,
        dtype=linear.weight.dtype,
    )
    with torch.no_grad():
        convolution.weight.copy_(linear.weight.view_as(convolution.weight))
        if convolution.bias is not None:
            convolution.bias.copy_(linear.bias)
    return convolution
