"""Whole supervised steps against the plain PyTorch loop, in float64: 20 steps to 1e-10."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from backlit.nets import MLP, LeNet, SequenceClassifier
from backlit.supervised import Supervised

STEPS = 20
OPTIMISERS = {
    "momentum": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, weight_decay=1e-3),
    "Adam": lambda p: torch.optim.Adam(p, lr=2e-3),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=2e-3, weight_decay=0.05),
}


class SmallVGG(nn.Module):
    """Two VGG stages with batch norm; the room's own VGG starts at 64 channels."""

    def __init__(self):
        super().__init__()
        layers, inputs = [], 3
        for width in (4, 8):
            layers.append(nn.Conv2d(inputs, width, 3, padding=1, bias=False))
            layers += [nn.BatchNorm2d(width), nn.ReLU(True), nn.MaxPool2d(2)]
            inputs = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(8 * 16, 16), nn.ReLU(True), nn.Dropout(0.0), nn.Linear(16, 10)
        )

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def lenet():
    """LeNet with a batch norm behind each convolution, which then needs no bias."""
    net = LeNet()
    _, act1, pool1, _, act2, pool2 = net.features
    conv1 = nn.Conv2d(1, 6, 5, padding=2, bias=False)
    conv2 = nn.Conv2d(6, 16, 5, bias=False)
    norm1, norm2 = nn.BatchNorm2d(6), nn.BatchNorm2d(16)
    net.features = nn.Sequential(conv1, norm1, act1, pool1, conv2, norm2, act2, pool2)
    return net


CASES = {
    "mlp": (lambda: MLP(12, 5, (16, 8)), (12,), 5),
    "lenet": (lenet, (1, 28, 28), 10),
    "vgg": (SmallVGG, (3, 16, 16), 10),
    "lstm": (lambda: SequenceClassifier(3, 4, 8), (6, 3), 4),
}


def batches(shape, classes, n=8):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn((STEPS, n, *shape), dtype=torch.float64, generator=generator)
    return x, torch.randint(classes, (STEPS, n), generator=generator)


def make(case):
    torch.manual_seed(0)
    return CASES[case][0]().double().train()


def compare(case, optimiser, mode, tolerance, clip=None, l1=0.0, l2=0.0):
    theirs, mine = make(case), make(case)
    opt = OPTIMISERS[optimiser](theirs.parameters())
    supervised = Supervised(
        mine, optimiser=OPTIMISERS[optimiser](mine.parameters()), clip_norm=clip, l1=l1, l2=l2
    )
    xs, ys = batches(*CASES[case][1:])
    assert supervised.prepare((xs[0], ys[0]), mode) == mode
    for index, (x, y) in enumerate(zip(xs, ys, strict=True)):
        metrics = supervised.step((x, y), index)
        scores = theirs(x)
        data_loss = F.cross_entropy(scores, y)
        weights = [p for p in theirs.parameters() if p.dim() > 1]
        loss = data_loss + sum(l1 * w.abs().sum() + l2 * w.square().sum() for w in weights)
        opt.zero_grad()
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(theirs.parameters(), clip)
        opt.step()
        assert abs(metrics["loss"].item() - loss.item()) <= tolerance * loss.item()
        assert float(metrics["accuracy"]) == float((scores.argmax(1) == y).double().mean())
    expected = {f"network/{k}": v for k, v in theirs.state_dict().items()}
    for name, parameter in theirs.named_parameters():
        for slot, value in opt.state[parameter].items():
            if torch.is_tensor(value):
                expected[f"optimiser/network/{name}/{slot}"] = value
    assert set(expected) == set(supervised.state)
    for name, value in expected.items():
        mine_, value = supervised.state[name].detach().double(), value.detach().double()
        error = (mine_ - value).abs().max() / value.abs().max().clamp_min(1e-12)
        assert error <= tolerance, f"{name}: {error:.2g}"
    return supervised


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("case", CASES)
def test_twenty_plain_steps_equal_pytorch(case, optimiser):
    compare(case, optimiser, "plain", 1e-10)


def test_regularisation_and_clipping_equal_pytorch():
    supervised = compare("mlp", "momentum", "plain", 1e-10, clip=0.3, l1=1e-3, l2=1e-2)
    xs, ys = batches((12,), 5)
    metrics = supervised.step((xs[0], ys[0]), STEPS)
    assert metrics["grad_norm"] > 0.3  # or nothing was clipped
    assert metrics["loss"] > metrics["data_loss"]


def test_watched_equals_plain_to_rounding():
    plain = compare("mlp", "Adam", "plain", 1e-10).state
    for name, value in compare("mlp", "Adam", "watched", 1e-10).state.items():
        torch.testing.assert_close(value, plain[name], rtol=1e-9, atol=1e-12, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "optimiser"),
    [("mlp", "momentum"), ("lenet", "Adam"), ("vgg", "AdamW"), ("lstm", "Adam")],
)
def test_twenty_compiled_steps_equal_pytorch(case, optimiser):
    compare(case, optimiser, "compiled", 1e-8)
