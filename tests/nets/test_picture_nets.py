"""Convolutional networks: state dicts against torchvision's layout, counts, shapes, options."""

import pytest
import torch
from torch import nn

from backlit.errors import RecipeError
from backlit.nets import VGG, AlexNet2012, LeNet, ResNet, network


def meta(name: str, **options) -> nn.Module:
    with torch.device("meta"):
        return network(name, **options)


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def shapes(net: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in net.state_dict().items()}


def layer(name: str, weight: tuple[int, ...], bias: bool = True) -> dict[str, tuple[int, ...]]:
    both = {f"{name}.weight": weight, f"{name}.bias": weight[:1]}
    return both if bias else {f"{name}.weight": weight}


def batch_norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    keys = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{key}": (channels,) for key in keys} | {f"{name}.num_batches_tracked": ()}


def test_alexnet_layout() -> None:
    table = {}
    for index, weight in {
        "features.0": (64, 3, 11, 11),
        "features.3": (192, 64, 5, 5),
        "features.6": (384, 192, 3, 3),
        "features.8": (256, 384, 3, 3),
        "features.10": (256, 256, 3, 3),
        "classifier.1": (4096, 9216),
        "classifier.4": (4096, 4096),
        "classifier.6": (1000, 4096),
    }.items():
        table |= layer(index, weight)
    net = meta("alexnet")
    assert list(shapes(net).items()) == list(table.items())
    assert parameters(net) == 61_100_840
    assert net(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, 1000)


# Places of the convolutions in `features`, as torchvision numbers them.
VGG_PLACES = {
    "vgg11": (0, 3, 6, 8, 11, 13, 16, 18),
    "vgg13": (0, 2, 5, 7, 10, 12, 15, 17, 20, 22),
    "vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    "vgg19": (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
    "vgg11_bn": (0, 4, 8, 11, 15, 18, 22, 25),
    "vgg13_bn": (0, 3, 7, 10, 14, 17, 21, 24, 28, 31),
    "vgg16_bn": (0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40),
    "vgg19_bn": (0, 3, 7, 10, 14, 17, 20, 23, 27, 30, 33, 36, 40, 43, 46, 49),
}
VGG_CHANNELS = {
    "vgg11": (64, 128, 256, 256, 512, 512, 512, 512),
    "vgg13": (64, 64, 128, 128, 256, 256, 512, 512, 512, 512),
    "vgg16": (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512),
    "vgg19": (64, 64, 128, 128, *[256] * 4, *[512] * 8),
}
VGG_PARAMETERS = {
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840,
    "vgg13_bn": 133_053_736,
    "vgg16_bn": 138_365_992,
    "vgg19_bn": 143_678_248,
}


@pytest.mark.parametrize("name", VGG_PLACES)
def test_vgg_layout(name: str) -> None:
    table, inputs = {}, 3
    for place, outputs in zip(VGG_PLACES[name], VGG_CHANNELS[name[:5]], strict=True):
        table |= layer(f"features.{place}", (outputs, inputs, 3, 3))
        if name.endswith("_bn"):
            table |= batch_norm(f"features.{place + 1}", outputs)
        inputs = outputs
    table |= layer("classifier.0", (4096, 25088)) | layer("classifier.3", (4096, 4096))
    table |= layer("classifier.6", (1000, 4096))
    net = meta(name)
    assert list(shapes(net).items()) == list(table.items())
    assert parameters(net) == VGG_PARAMETERS[name]
    assert net(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, 1000)


def test_resnet18_layout() -> None:
    table = layer("conv1", (64, 3, 7, 7), bias=False) | batch_norm("bn1", 64)
    inputs = 64
    for stage, outputs in enumerate((64, 128, 256, 512), start=1):
        for block in range(2):
            name = f"layer{stage}.{block}"
            table |= layer(f"{name}.conv1", (outputs, inputs, 3, 3), bias=False)
            table |= batch_norm(f"{name}.bn1", outputs)
            table |= layer(f"{name}.conv2", (outputs, outputs, 3, 3), bias=False)
            table |= batch_norm(f"{name}.bn2", outputs)
            if stage > 1 and block == 0:
                table |= layer(f"{name}.downsample.0", (outputs, inputs, 1, 1), bias=False)
                table |= batch_norm(f"{name}.downsample.1", outputs)
            inputs = outputs
    table |= layer("fc", (1000, 512))
    net = meta("resnet18")
    assert list(shapes(net).items()) == list(table.items())
    assert parameters(net) == 11_689_512
    assert net(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, 1000)


def test_resnet20_is_the_small_one() -> None:
    net = network("resnet20", channels=1)
    # Section 4.2 counts 0.27 M for 20 layers.
    assert parameters(net) == pytest.approx(0.27e6, rel=0.02)
    scores = net(torch.randn(2, 1, 28, 28))
    assert scores.shape == (2, 10)
    scores.sum().backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize(("groups", "count"), [(1, 62_378_344), (2, 60_965_224)])
def test_alexnet_2012_counts(groups: int, count: int) -> None:
    net = meta("alexnet_2012", groups=groups)
    assert parameters(net) == count
    kernels = [tuple(m.weight.shape) for m in net.features if isinstance(m, nn.Conv2d)]
    half = 1 if groups == 1 else 2
    assert kernels == [
        (96, 3, 11, 11),
        (256, 96 // half, 5, 5),
        (384, 256, 3, 3),
        (384, 384 // half, 3, 3),
        (256, 384 // half, 3, 3),
    ]
    assert net(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, 1000)


def test_alexnet_2012_response_norm_is_the_papers_formula() -> None:
    with torch.device("meta"):
        net = AlexNet2012(response_norm=True)
    (norm, _) = [m for m in net.features if isinstance(m, nn.LocalResponseNorm)]
    a = torch.randn(2, 9, 3, 3, dtype=torch.float64)
    padded = torch.nn.functional.pad(a.square(), (0, 0, 0, 0, 2, 2))
    total = sum(padded[:, i : i + 9] for i in range(5))
    torch.testing.assert_close(norm(a), a / (2 + 1e-4 * total) ** 0.75)


@pytest.mark.parametrize("size", [28, 32])
@pytest.mark.parametrize("pool", ["max", "average"])
def test_lenet(size: int, pool: str) -> None:
    net = LeNet(size=size, pool=pool, activation="tanh")
    assert parameters(net) == 61_706
    assert net.features[0](torch.zeros(1, 1, size, size)).shape == (1, 6, 28, 28)
    assert net(torch.zeros(2, 1, size, size)).shape == (2, 10)


def test_small_vgg() -> None:
    net = VGG(11, batch_norm=True, classes=10, channels=1, size=32, width=8)
    assert net(torch.randn(2, 1, 32, 32)).shape == (2, 10)
    assert net.classifier[0].weight.shape == (64, 64)
    assert VGG(11, classes=10, size=64, width=4)(torch.randn(2, 3, 64, 64)).shape == (2, 10)


def test_small_vgg_scores_do_not_vanish_at_the_start() -> None:
    torch.manual_seed(0)
    net = VGG(11, classes=10, size=32, width=16, dropout=0.0)
    assert net(torch.randn(16, 3, 32, 32)).std(0).mean() > 0.02


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: LeNet(size=30), r"lenet: size must be 28 or 32 pixels, got 30"),
        (lambda: LeNet(pool="mean"), r"lenet: pool must be max or average, got 'mean'"),
        (lambda: AlexNet2012(groups=3), r"alexnet_2012: groups must be 1 or 2, got 3"),
        (lambda: VGG(12), r"vgg: depth must be one of 11, 13, 16, 19, got 12"),
        (lambda: VGG(11, size=28), r"vgg: size must be a multiple of 32 pixels, got 28; pad .*"),
        (lambda: ResNet(stem="tiny"), r"resnet: stem must be large or small, got 'tiny'"),
        (lambda: ResNet(blocks=(2, 0)), r"resnet: every stage needs .* got blocks=\(2, 0\)"),
        (lambda: network("vgg11", depth=16), r"network 'vgg11' has no option 'depth'.*"),
    ],
)
def test_errors(make, text: str) -> None:
    with pytest.raises(RecipeError, match=f"^{text}$"):
        make()
