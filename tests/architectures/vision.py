"""Picture networks: each entry makes (network, inputs)."""

import torch
import torch.nn.functional as F
from torch import nn


def vgg():
    layers, inputs = [], 3
    for width in (4, "pool", 8, 8, "pool", 16, "pool"):
        if width == "pool":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(True)]
            inputs = width
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 16), nn.ReLU(True), nn.Linear(16, 5))
    return net, (torch.randn(2, 3, 16, 16),)


def alexnet():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 5, 2, 2),
        nn.ReLU(),
        nn.LocalResponseNorm(3),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(8, 12, 3, padding=1, groups=2),
        nn.ReLU(),
        nn.LocalResponseNorm(3),
        nn.MaxPool2d(3, 2),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(48, 16),
        nn.ReLU(),
        nn.Linear(16, 5),
    )
    return net, (torch.randn(2, 3, 32, 32),)


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.a = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.b = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.na, self.nb = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.skip = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
        )

    def forward(self, x):
        h = F.relu(self.na(self.a(x)), inplace=True)
        return F.relu(self.nb(self.b(h)) + self.skip(x))


def resnet():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 7, 2, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(True),
        nn.MaxPool2d(3, 2, 1),
        Residual(4, 4, 1),
        Residual(4, 8, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )
    return net, (torch.randn(4, 3, 32, 32),)


class Inverted(nn.Module):
    """MobileNetV3's block: expand, depthwise, squeeze and excite, project."""

    def __init__(self, channels):
        super().__init__()
        wide = channels * 2
        self.expand = nn.Sequential(nn.Conv2d(channels, wide, 1), nn.BatchNorm2d(wide), nn.ReLU6())
        self.depth = nn.Sequential(
            nn.Conv2d(wide, wide, 3, 1, 1, groups=wide), nn.BatchNorm2d(wide), nn.Hardswish()
        )
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(wide, 4, 1), nn.ReLU(), nn.Conv2d(4, wide, 1),
            nn.Hardsigmoid(),
        )  # fmt: skip
        self.project = nn.Sequential(nn.Conv2d(wide, channels, 1), nn.BatchNorm2d(channels))

    def forward(self, x):
        h = self.depth(self.expand(x))
        return x + self.project(h * self.squeeze(h))


def mobilenet():
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1), Inverted(6), Inverted(6), nn.Conv2d(6, 6, 1), nn.Hardswish(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5),
    )  # fmt: skip
    return net, (torch.randn(3, 3, 16, 16),)


class VAE(nn.Module):
    """Kingma and Welling 2014; the noise of the latent is an input here."""

    def __init__(self):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(20, 12), nn.ELU(), nn.Linear(12, 6))
        self.decode = nn.Sequential(nn.Linear(3, 12), nn.SELU(), nn.Linear(12, 20))

    def forward(self, x, noise):
        mean, log_var = self.encode(x).chunk(2, 1)
        z = mean + (log_var / 2).exp() * noise
        kl = -0.5 * (1 + log_var - mean.square() - log_var.exp()).sum(1).mean()
        return F.binary_cross_entropy_with_logits(self.decode(z), x.sigmoid()) + kl


def vae():
    return VAE(), (torch.randn(4, 20), torch.randn(4, 3))


def volumes():
    net = nn.Sequential(
        nn.Conv3d(2, 4, 3, padding=1),
        nn.BatchNorm3d(4),
        nn.PReLU(4),
        nn.MaxPool3d(2),
        nn.Conv3d(4, 6, 3, padding=1),
        nn.GroupNorm(2, 6),
        nn.Mish(),
        nn.ConvTranspose3d(6, 2, 2, 2),
        nn.AvgPool3d(2),
        nn.Flatten(),
        nn.Linear(16, 3),
    )
    return net, (torch.randn(2, 2, 4, 4, 4),)


class Dense(nn.Module):
    """DenseNet's growth by concatenation, on a dilated and a separable convolution."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(3 + 3 * i, 3, 3, padding=1 + i, dilation=1 + i) for i in range(3)
        )
        self.head = nn.Conv2d(12, 4, 1)

    def forward(self, x):
        for layer in self.layers:
            x = torch.cat([x, F.softplus(layer(x))], 1)
        return F.log_softmax(self.head(x), 1)


def densenet():
    return Dense(), (torch.randn(2, 3, 8, 8),)


NETS = {f.__name__: f for f in (vgg, alexnet, resnet, mobilenet, vae, volumes, densenet)}
