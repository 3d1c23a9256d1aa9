"""Residual networks: each block learns what to add to what it was given."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import relu

from backlit.errors import RecipeError
from backlit.nets.initial import he_normal
from backlit.registry import Count


class ResNet(nn.Module):
    """A residual network of basic blocks: pictures (N, channels, H, W) to scores (N, classes).

    With the default options it is ResNet-18, its state dict with torchvision's names and shapes.

    Args:
        blocks: blocks of two 3x3 convolutions in each stage, default (2, 2, 2, 2); stages
            after the first halve the side and double the channels.
        width: channels of the first stage, default 64.
        classes: scores per picture, default 1000.
        channels: channels of the picture, default 3.
        stem: "large" (default) begins with a 7x7 convolution of stride 2 and a 3x3 pool of
            stride 2; "small" with one 3x3 convolution, for pictures of about 32 pixels.

    Raises:
        RecipeError: an unknown stem, or no blocks.

    Source: He et al. 2016, "Deep Residual Learning for Image Recognition", equation 2 and
    table 1 (ResNet-18); section 4.2 for small pictures, with 1x1 projections (option B).
    """

    def __init__(
        self,
        blocks: Sequence[Count] = (2, 2, 2, 2),
        width: Count = 64,
        classes: Count = 1000,
        channels: Count = 3,
        stem: str = "large",
    ) -> None:
        super().__init__()
        if stem not in ("large", "small"):
            raise RecipeError(f"resnet: stem must be large or small, got {stem!r}")
        if not blocks or min(blocks) < 1:
            raise RecipeError(
                f"resnet: every stage needs at least 1 block, got blocks={tuple(blocks)}"
            )
        large = stem == "large"
        self.conv1 = nn.Conv2d(
            channels, width, 7 if large else 3, 2 if large else 1, 3 if large else 1, bias=False
        )
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        self.stages = [f"layer{number}" for number in range(1, len(blocks) + 1)]
        inputs = width
        for number, (name, count) in enumerate(zip(self.stages, blocks, strict=True)):
            outputs = width * 2**number
            first = BasicBlock(inputs, outputs, stride=2 if number else 1)
            rest = [BasicBlock(outputs, outputs) for _ in range(count - 1)]
            self.add_module(name, nn.Sequential(first, *rest))
            inputs = outputs
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(inputs, classes)
        he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(relu(self.bn1(self.conv1(x))))
        for name in self.stages:
            x = self.get_submodule(name)(x)
        return self.fc(self.avgpool(x).flatten(1))  # (N, classes)


class BasicBlock(nn.Module):
    """y = relu(x + BN(conv(relu(BN(conv(x)))))), x projected by a 1x1 convolution where needed.

    Args:
        inputs: channels of x.
        outputs: channels of y.
        stride: of the first convolution, default 1; 2 halves the side.

    Source: He et al. 2016, figure 5 left, equations 1 and 2.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        return relu(x + shortcut)
