"""Generators and critics: each entry makes (network, inputs)."""

# Shapes: z (N, latent), y (N,) class numbers, x (N, 3, 16, 16).
import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


def dcgan_generator():
    net = nn.Sequential(
        nn.ConvTranspose2d(6, 16, 4, 1, 0, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(True),
        nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(True),
        nn.ConvTranspose2d(8, 3, 4, 2, 1, bias=False),
        nn.Tanh(),
    )
    return net, (torch.randn(4, 6, 1, 1),)


def dcgan_critic():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2, True),
        nn.Conv2d(8, 16, 4, 2, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.LeakyReLU(0.2, True),
        nn.Conv2d(16, 1, 4, 1, 0, bias=False),
    )
    return net, (torch.randn(4, 3, 16, 16),)


class SelfAttention(nn.Module):
    """Zhang et al. 2019, section 3; spectral norm on each 1x1 convolution."""

    def __init__(self, channels):
        super().__init__()
        self.query = spectral_norm(nn.Conv2d(channels, channels // 2, 1))
        self.key = spectral_norm(nn.Conv2d(channels, channels // 2, 1))
        self.value = spectral_norm(nn.Conv2d(channels, channels, 1))
        self.gamma = nn.Parameter(torch.full((1,), 0.3))

    def forward(self, x):
        n, c, h, w = x.shape
        q, k, v = (f(x).flatten(2) for f in (self.query, self.key, self.value))
        weights = torch.softmax(q.transpose(1, 2) @ k, -1)
        return x + self.gamma * (v @ weights.transpose(1, 2)).reshape(n, c, h, w)


class ConditionalBatchNorm(nn.Module):
    """de Vries et al. 2017, equation (3): scale and shift looked up by class."""

    def __init__(self, channels, classes):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale = nn.Embedding(classes, channels)
        self.shift = nn.Embedding(classes, channels)

    def forward(self, x, y):
        scale, shift = self.scale(y)[:, :, None, None], self.shift(y)[:, :, None, None]
        return (1 + scale) * self.norm(x) + shift


class ConditionalGenerator(nn.Module):
    """SAGAN: residual up-blocks with conditional batch norm, self-attention between."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 8 * 16)
        self.norms = nn.ModuleList(ConditionalBatchNorm(8, 3) for _ in range(4))
        self.convs = nn.ModuleList(spectral_norm(nn.Conv2d(8, 8, 3, 1, 1)) for _ in range(4))
        self.skip = nn.ModuleList(spectral_norm(nn.Conv2d(8, 8, 1)) for _ in range(2))
        self.attention = SelfAttention(8)
        self.last = nn.Conv2d(8, 3, 3, 1, 1)

    def block(self, x, y, i):
        h = F.interpolate(self.norms[2 * i](x, y).relu(), scale_factor=2)
        h = self.convs[2 * i](h)
        h = self.convs[2 * i + 1](self.norms[2 * i + 1](h, y).relu())
        return h + self.skip[i](F.interpolate(x, scale_factor=2))

    def forward(self, z, y):
        h = self.first(z).view(-1, 8, 4, 4)
        h = self.attention(self.block(h, y, 0))
        return self.last(self.block(h, y, 1).relu()).tanh()


def conditional_generator():
    return ConditionalGenerator(), (torch.randn(3, 6), torch.tensor([0, 2, 1]))


class ProjectionCritic(nn.Module):
    """SNGAN: spectral norm everywhere, residual blocks, class projection (Miyato 2018)."""

    def __init__(self):
        super().__init__()
        self.first = spectral_norm(nn.Conv2d(3, 8, 3, 1, 1))
        self.one = spectral_norm(nn.Conv2d(8, 8, 3, 1, 1))
        self.two = spectral_norm(nn.Conv2d(8, 8, 3, 1, 1))
        self.attention = SelfAttention(8)
        self.score = spectral_norm(nn.Linear(8, 1))
        self.classes = spectral_norm(nn.Embedding(3, 8))

    def forward(self, x, y):
        h = F.avg_pool2d(self.first(x), 2)
        h = F.avg_pool2d(h + self.two(F.relu(self.one(F.relu(h)))), 2)
        h = F.relu(self.attention(h)).sum((2, 3))
        return self.score(h) + (self.classes(y) * h).sum(1, keepdim=True)


def projection_critic():
    return ProjectionCritic(), (torch.randn(3, 3, 16, 16), torch.tensor([0, 2, 1]))


class ResidualCritic(nn.Module):
    """WGAN-GP's critic: residual blocks with layer norm, average pooling."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, 1, 1)
        self.norms = nn.ModuleList(nn.LayerNorm([6, s, s]) for s in (16, 8))
        self.convs = nn.ModuleList(nn.Conv2d(6, 6, 3, 1, 1) for _ in range(2))
        self.skip = nn.ModuleList(nn.Conv2d(6, 6, 1) for _ in range(2))
        self.last = nn.Linear(6, 1)

    def forward(self, x):
        h = self.first(x)
        for norm, conv, skip in zip(self.norms, self.convs, self.skip, strict=True):
            h = F.avg_pool2d(conv(F.silu(norm(h))), 2) + skip(F.avg_pool2d(h, 2))
        return self.last(h.mean((2, 3)))


def residual_critic():
    return ResidualCritic(), (torch.randn(3, 3, 16, 16),)


class EqualLinear(nn.Module):
    """Weights scaled at run time (Karras et al. 2018, section 4.1)."""

    def __init__(self, inputs, outputs, bias=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.full((outputs,), bias))

    def forward(self, x):
        return F.linear(x, self.weight / math.sqrt(self.weight.shape[1]), self.bias)


class ModulatedConv(nn.Module):
    """StyleGAN2: weights modulated and demodulated by style, as one grouped convolution."""

    def __init__(self, inputs, outputs, kernel, demodulate=True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.style = EqualLinear(8, inputs, 1.0)
        self.demodulate = demodulate

    def forward(self, x, w):
        n, c, height, width = x.shape
        o, _, k, _ = self.weight.shape
        weight = self.weight / math.sqrt(c * k * k)
        weight = weight[None] * self.style(w)[:, None, :, None, None]
        if self.demodulate:
            weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        x = x.reshape(1, n * c, height, width)
        x = F.conv2d(x, weight.reshape(n * o, c, k, k), padding=k // 2, groups=n)
        return x.reshape(n, o, height, width)


class StyleGenerator(nn.Module):
    """StyleGAN2 at small size: mapping, constant, modulated convolutions, noise, skip to RGB."""

    def __init__(self):
        super().__init__()
        self.mapping = nn.ModuleList(EqualLinear(8, 8) for _ in range(2))
        self.start = nn.Parameter(torch.randn(1, 8, 4, 4))
        self.convs = nn.ModuleList(ModulatedConv(8, 8, 3) for _ in range(3))
        self.to_rgb = nn.ModuleList(ModulatedConv(8, 3, 1, False) for _ in range(3))
        self.strength = nn.Parameter(torch.full((3,), 0.1))

    def forward(self, z, *noise):
        w = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.mapping:
            w = F.leaky_relu(layer(w), 0.2)
        x, picture = self.start.expand(len(z), -1, -1, -1), None
        for i, (conv, rgb) in enumerate(zip(self.convs, self.to_rgb, strict=True)):
            if i:
                x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = F.leaky_relu(conv(x, w) + self.strength[i] * noise[i], 0.2) * math.sqrt(2)
            new = rgb(x, w)
            if picture is not None:
                up = F.interpolate(picture, scale_factor=2, mode="bilinear", align_corners=False)
                new = new + up
            picture = new
        return picture


def style_generator():
    noise = [torch.randn(3, 1, s, s) for s in (4, 8, 16)]
    return StyleGenerator(), (torch.randn(3, 8), *noise)


class StyleCritic(nn.Module):
    """StyleGAN2's: residual blocks with blur, minibatch standard deviation."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 6, 1)
        self.convs = nn.ModuleList(nn.Conv2d(6, 6, 3, 1, 1) for _ in range(2))
        self.down = nn.ModuleList(nn.Conv2d(6, 6, 1, bias=False) for _ in range(2))
        self.register_buffer(
            "blur", torch.tensor([1.0, 3, 3, 1]).outer(torch.tensor([1.0, 3, 3, 1])) / 64
        )
        self.last = nn.Conv2d(7, 6, 3, 1, 1)
        self.score = EqualLinear(6 * 16, 1)

    def halve(self, x):
        kernel = self.blur[None, None].repeat(x.shape[1], 1, 1, 1)
        return F.conv2d(F.pad(x, (1, 1, 1, 1)), kernel, stride=2, groups=x.shape[1])

    def forward(self, x):
        h = F.leaky_relu(self.first(x), 0.2)
        for conv, down in zip(self.convs, self.down, strict=True):
            h = (F.leaky_relu(self.halve(conv(h)), 0.2) + down(self.halve(h))) / math.sqrt(2)
        groups = h.reshape(2, -1, *h.shape[1:])  # (group, N / group, C, H, W)
        spread = (groups.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
        spread = spread.repeat(2).reshape(-1, 1, 1, 1).expand(-1, 1, *h.shape[2:])
        h = F.leaky_relu(self.last(torch.cat([h, spread], 1)), 0.2)
        return self.score(h.flatten(1))


def style_critic():
    return StyleCritic(), (torch.randn(4, 3, 16, 16),)


class UNet(nn.Module):
    """pix2pix's generator: halve, double, concatenate across."""

    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, o, 4, 2, 1), nn.InstanceNorm2d(o, affine=True))
            for i, o in ((3, 4), (4, 8))
        )
        self.middle = nn.Conv2d(8, 8, 3, 1, 1)
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(i, o, 4, 2, 1), nn.BatchNorm2d(o))
            for i, o in ((16, 4), (8, 4))
        )
        self.last = nn.Conv2d(4, 3, 1)

    def forward(self, x):
        kept = []
        for layer in self.down:
            x = F.leaky_relu(layer(x), 0.2)
            kept.append(x)
        x = self.middle(x).relu()
        for layer in self.up:
            x = layer(torch.cat([x, kept.pop()], 1)).relu()
        return self.last(x).tanh()


def u_net():
    return UNet(), (torch.randn(2, 3, 16, 16),)


def cycle_generator():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(
                nn.ReflectionPad2d(1),
                nn.Conv2d(8, 8, 3),
                nn.InstanceNorm2d(8),
                nn.ReLU(True),
                nn.ReflectionPad2d(1),
                nn.Conv2d(8, 8, 3),
                nn.InstanceNorm2d(8),
            )

        def forward(self, x):
            return x + self.body(x)

    net = nn.Sequential(
        nn.ReflectionPad2d(2),
        nn.Conv2d(3, 8, 5),
        nn.InstanceNorm2d(8),
        nn.ReLU(True),
        Block(),
        Block(),
        nn.Conv2d(8, 16, 3, 1, 1),
        nn.PixelShuffle(2),
        nn.ReflectionPad2d(1),
        nn.Conv2d(4, 3, 3),
        nn.Tanh(),
    )
    return net, (torch.randn(2, 3, 12, 12),)


def patch_critic():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 4, 2, 1),
        nn.LeakyReLU(0.2, True),
        nn.Conv2d(4, 8, 4, 2, 1),
        nn.InstanceNorm2d(8, affine=True),
        nn.LeakyReLU(0.2, True),
        nn.Conv2d(8, 1, 3, 1, 1),
    )
    return net, (torch.randn(2, 3, 16, 16),)


NETS = {
    f.__name__: f
    for f in (
        dcgan_generator,
        dcgan_critic,
        conditional_generator,
        projection_critic,
        residual_critic,
        style_generator,
        style_critic,
        u_net,
        cycle_generator,
        patch_critic,
    )
}
CRITICS = {name: NETS[name] for name in NETS if name.endswith("critic")}
