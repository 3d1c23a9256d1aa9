"""torch.nn's layers and losses through capture: the verdict against plain PyTorch, and R1."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._pytree import tree_unflatten

from backlit.errors import CaptureError, GateError
from backlit.graph import Graph, backprop, capture


def draw(*shape: int, low: float = -2.0, high: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape) + len(shape))
    u = torch.rand(shape, generator=generator, dtype=torch.float64)
    return low + (high - low) * u


def positive(*shape: int) -> Tensor:
    return draw(*shape, low=0.1, high=0.9)


SERIES, PICTURE, VOLUME = (2, 4, 6), (2, 4, 6, 6), (2, 2, 4, 4, 4)
BY_AXES = {1: SERIES, 2: PICTURE, 3: VOLUME}

ACTIVATIONS = [
    nn.ELU(0.5),
    nn.SELU(),
    nn.CELU(),
    nn.GELU(),
    nn.GELU("tanh"),
    nn.SiLU(),
    nn.Mish(),
    nn.Softplus(),
    nn.LogSigmoid(),
    nn.Sigmoid(),
    nn.Tanh(),
    nn.Tanhshrink(),
    nn.ReLU(),
    nn.ReLU(inplace=True),
    nn.ReLU6(),
    nn.LeakyReLU(0.2),
    nn.PReLU(4),
    nn.RReLU(),
    nn.RReLU().eval(),
    nn.Hardtanh(),
    nn.Hardsigmoid(),
    nn.Hardswish(),
    nn.Hardshrink(),
    nn.Softshrink(),
    nn.Softsign(),
    nn.Softmin(1),
    nn.Softmax(1),
    nn.LogSoftmax(1),
    nn.Softmax2d(),
    nn.Threshold(0.1, 0.5),
    nn.GLU(1),
    nn.Dropout(0.4),
    nn.Dropout2d(0.4),
    nn.AlphaDropout(0.4),
    nn.FeatureAlphaDropout(0.4),
    nn.PixelShuffle(2),
    nn.PixelUnshuffle(2),
    nn.ChannelShuffle(2),
    nn.Unfold(3, padding=1),
    nn.LocalResponseNorm(2),
    nn.GroupNorm(2, 4),
    nn.LayerNorm([6, 6]),
    nn.RMSNorm([6, 6]),
    nn.InstanceNorm2d(4).eval(),
    nn.BatchNorm2d(4).eval(),
    nn.BatchNorm2d(4, track_running_stats=False),
    nn.BatchNorm2d(4, affine=False),
    nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
    nn.UpsamplingNearest2d(scale_factor=2),
    nn.UpsamplingBilinear2d(scale_factor=2),
    nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
    nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
    nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 3, 3)),
    nn.utils.parametrizations.spectral_norm(nn.Conv2d(4, 3, 3)),
    nn.Sequential(nn.Flatten(), nn.Unflatten(1, (4, 36)), nn.Identity()),
]


def by_axes() -> list[tuple[nn.Module, tuple[int, ...]]]:
    table: list[tuple[nn.Module, tuple[int, ...]]] = []
    for d, shape in BY_AXES.items():
        channels = shape[1]

        def of(name: str, *args: object, d: int = d, **kwargs: object) -> nn.Module:
            return getattr(nn, f"{name}{d}d")(*args, **kwargs)

        layers = [
            of("ReflectionPad", 1),
            of("ReplicationPad", 2),
            of("CircularPad", 1),
            of("ZeroPad", 1),
            of("ConstantPad", 1, 0.5),
            of("MaxPool", 2),
            of("MaxPool", 3, stride=2, padding=1, dilation=1, ceil_mode=True),
            of("AvgPool", 2),
            of("AvgPool", 3, stride=2, padding=1, count_include_pad=False),
            of("AdaptiveAvgPool", 3),
            of("AdaptiveAvgPool", 1),
            of("AdaptiveMaxPool", 3),
            of("LPPool", 2, 2),
            of("Conv", channels, 3, 3, stride=2, padding=1),
            of("ConvTranspose", channels, 3, 3, stride=2, padding=1, output_padding=1),
            of("BatchNorm", channels),
            of("InstanceNorm", channels, affine=True),
            of("Dropout", 0.3) if d != 2 else nn.Dropout(0.3),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Upsample(size=(5,) * d, mode="nearest-exact"),
            nn.Upsample(scale_factor=1.5, mode=("linear", "bilinear", "trilinear")[d - 1]),
            nn.Upsample(
                size=7, mode=("linear", "bilinear", "trilinear")[d - 1], align_corners=True
            ),
        ]
        if d > 1:
            layers.append(of("FractionalMaxPool", 2, output_size=2))
        table += [(layer, shape) for layer in layers]
    table.append((nn.Upsample(scale_factor=2, mode="bicubic"), PICTURE))
    table.append((nn.Upsample(size=4, mode="area"), PICTURE))
    table.append((nn.Fold((4, 4), 2, stride=2), (2, 8, 4)))
    table.append((nn.utils.parametrizations.orthogonal(nn.Linear(6, 6)), (3, 6)))
    return table


RECURRENT = [
    (nn.RNN(4, 3, 2, dropout=0.4), (5, 2, 4)),
    (nn.RNN(4, 3, nonlinearity="relu", bias=False, bidirectional=True), (5, 2, 4)),
    (nn.LSTM(4, 3, 3, dropout=0.4, bidirectional=True, batch_first=True), (2, 4, 4)),
    (nn.LSTM(4, 3, 2, proj_size=2), (4, 2, 4)),
    (nn.LSTM(4, 3, 2, dropout=0.4).eval(), (4, 2, 4)),
    (nn.GRU(4, 3, 2, dropout=0.4, bidirectional=True), (4, 2, 4)),
    (nn.GRU(4, 3), (4, 4)),
    (nn.RNNCell(4, 3), (2, 4)),
    (nn.LSTMCell(4, 3), (2, 4)),
    (nn.GRUCell(4, 3), (2, 4)),
    (nn.TransformerEncoderLayer(4, 2, 8, dropout=0.2), (5, 2, 4)),
    (nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, norm_first=True).eval(), (2, 5, 4)),
]


def described(value: object) -> str:
    return str(value).replace("\n", "")[:60]


CALLS = [(layer, PICTURE) for layer in ACTIVATIONS] + by_axes() + RECURRENT


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(("layer", "shape"), CALLS, ids=described)
def test_layer(layer, shape, dtype):
    capture(layer.to(dtype), draw(*shape).to(dtype))


INDEX = torch.tensor([0, 2, 1])
PLUS_MINUS = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)
M, V = draw(3, 4), draw(3)
Q = draw(2, 2, 5, 4)
LABELS, VISIBLE = (draw(2, 6, 6) > 0).long(), draw(5, 5) < 1
WEIGHT = torch.tensor([0.3, 0.9, 1.2, 0.5], dtype=torch.float64)
FUNCTIONS = {
    "embedding": (lambda w: F.embedding(INDEX, w, padding_idx=1), draw(5, 3)),
    "embedding by frequency": (
        lambda w: F.embedding(torch.tensor([1, 1, 2]), w, scale_grad_by_freq=True),
        draw(5, 3),
    ),
    "embedding bag sum": (lambda w: F.embedding_bag(INDEX[None], w, mode="sum"), draw(5, 3)),
    "embedding bag mean": (lambda w: F.embedding_bag(INDEX[None], w), draw(5, 3)),
    "embedding bag max": (lambda w: F.embedding_bag(INDEX[None], w, mode="max"), draw(5, 3)),
    "bilinear": (F.bilinear, draw(2, 3), draw(2, 4), draw(2, 3, 4), draw(2)),
    "grid sample": (
        lambda x, g: F.grid_sample(x, g, align_corners=False),
        draw(*PICTURE),
        draw(2, 3, 3, 2),
    ),
    "affine grid": (lambda t: F.affine_grid(t, [2, 3, 4, 4], align_corners=False), draw(2, 2, 3)),
    "attention": (F.scaled_dot_product_attention, Q, Q * 0.5, Q + 1),
    "attention, causal": (lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True), Q),
    "attention, dropout": (lambda q: F.scaled_dot_product_attention(q, q, q, None, 0.3), Q),
    "attention, mask": (lambda q, m: F.scaled_dot_product_attention(q, q, q, m), Q, draw(5, 5)),
    "attention, boolean mask, scale": (
        lambda q: F.scaled_dot_product_attention(q, q, q, VISIBLE, scale=0.3),
        Q,
    ),
    "attention, grouped": (
        lambda q, k: F.scaled_dot_product_attention(q, k, k, enable_gqa=True),
        draw(2, 4, 5, 4),
        Q,
    ),
    "max unpool": (
        lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2),
        draw(*PICTURE),
    ),
    "index": (lambda x: x[INDEX, 1:], M),
    "mask": (lambda x: torch.where(x > 0, x, x * 2).masked_fill(x > 1, 0.5), M),
    "write": (lambda x, v: x.clone().index_put((INDEX[:2],), v), M, draw(2, 4)),
    "scatter reduce": (
        lambda x, v: x.scatter_reduce(0, INDEX[None], v, "mean"),
        M[:, :3],
        M[:1, :3],
    ),
    "index reduce": (lambda x, v: x.index_reduce(0, INDEX, v, "amax"), M, M + 0.3),
    "topk": (lambda x: x.topk(2)[0], M),
    "sort": (lambda x: x.sort(descending=True)[0], M),
    "quantile": (lambda x: x.quantile(0.3, 1), M),
    "cumulative": (lambda x: x.cumsum(0) + x.cumprod(1) + x.logcumsumexp(1), M),
    "extremes": (lambda x: x.max() - x.min() + x.amax(1) - x.max(1)[0] + x.median(1)[0], M),
    "moments": (lambda x: torch.stack([*torch.var_mean(x), *torch.std_mean(x), x.prod()]), M),
    "norms": (
        lambda x: x.norm() + x.norm(1) + x.norm(float("inf"), dim=1) + x.logsumexp((0, 1)),
        M,
    ),
    "einsum": (lambda a, b: torch.einsum("bij,jk->bik", a, b), draw(2, 3, 3), draw(3, 4)),
    "products": (
        lambda a, v: torch.outer(v, v) + torch.kron(a, v[:1, None]).sum() + v.addmv(a, v).sum(),
        draw(3, 3),
        V,
    ),
    "cross": (lambda a, b: torch.linalg.cross(a, b), draw(4, 3), draw(4, 3).flip(0, 1)),
    "cdist": (torch.cdist, draw(4, 3), draw(5, 3)),
    "cdist 1": (lambda a, b: torch.cdist(a, b, p=1.0), draw(4, 3), draw(5, 3)),
    "pdist": (F.pdist, draw(4, 3)),
    "inverse": (lambda a: torch.linalg.inv(a + 3 * torch.eye(3)), draw(3, 3)),
    "determinants": (
        lambda a: torch.linalg.det(a) + torch.linalg.slogdet(a)[1],
        draw(3, 3) + 3 * torch.eye(3),
    ),
    "solve": (torch.linalg.solve, draw(3, 3) + 3 * torch.eye(3), V),
    "cholesky": (lambda a: torch.linalg.cholesky(a @ a.T + torch.eye(3)), draw(3, 3)),
    "shapes": (
        lambda x: (
            x.roll(1, 0).flip(1).tril()
            + torch.diag_embed(x.diagonal(), 0).sum()
            + x.unfold(1, 2, 1).sum()
        ),
        M,
    ),
    "one hot": (lambda x: (F.one_hot(INDEX, 4) * x).sum(1), M),
    "trigonometric": (lambda x: x.sin() * x.cos() + x.tan() + x.asinh() + torch.atan2(x, x + 5), M),
    "mse": (F.mse_loss, M, positive(3, 4)),
    "l1": (F.l1_loss, M, positive(3, 4)),
    "smooth l1": (F.smooth_l1_loss, M, positive(3, 4)),
    "huber": (lambda x, y: F.huber_loss(x, y, delta=0.5), M, positive(3, 4)),
    "bce": (F.binary_cross_entropy, positive(3, 4), positive(3, 4).flip(0)),
    "bce with logits": (
        lambda x, y: F.binary_cross_entropy_with_logits(x, y, pos_weight=WEIGHT.to(x)),
        M,
        positive(3, 4),
    ),
    "cross entropy": (
        lambda x: F.cross_entropy(x, INDEX, WEIGHT.to(x), ignore_index=1, label_smoothing=0.1),
        M,
    ),
    "cross entropy, soft": (
        lambda x, y: F.cross_entropy(x, y.softmax(1), label_smoothing=0.1),
        M,
        positive(3, 4),
    ),
    "cross entropy, picture": (
        lambda x: F.cross_entropy(x, LABELS),
        draw(*PICTURE),
    ),
    "nll": (lambda x: F.nll_loss(x.log_softmax(1), INDEX), M),
    "kl": (
        lambda x, y: F.kl_div(x.log_softmax(1), y.softmax(1), reduction="batchmean"),
        M,
        positive(3, 4),
    ),
    "kl, logarithms": (
        lambda x, y: F.kl_div(x, y, reduction="batchmean", log_target=True),
        M,
        -positive(3, 4),
    ),
    "hinge embedding": (lambda x: F.hinge_embedding_loss(x, PLUS_MINUS.to(x)), V),
    "margin ranking": (
        lambda x, y: F.margin_ranking_loss(x, y, PLUS_MINUS.to(x), 0.5),
        V,
        V.flip(0),
    ),
    "triplet": (F.triplet_margin_loss, M, M.flip(0), M.flip(1)),
    "triplet, swapped": (
        lambda a, p, n: F.triplet_margin_with_distance_loss(a, p, n, swap=True),
        M,
        M.flip(0),
        M.flip(1),
    ),
    "cosine embedding": (
        lambda x, y: F.cosine_embedding_loss(x, y, PLUS_MINUS.to(x), 0.1),
        M,
        M.flip(0),
    ),
    "multi margin": (lambda x: F.multi_margin_loss(x, INDEX), M),
    "multi-label margin": (
        lambda x: F.multilabel_margin_loss(x, torch.tensor([[1, -1, 0, 0]] * 3)),
        M,
    ),
    "multi-label soft margin": (
        lambda x, y: F.multilabel_soft_margin_loss(x, y.round()),
        M,
        positive(3, 4),
    ),
    "poisson": (lambda x, y: F.poisson_nll_loss(x, y, full=True), M, positive(3, 4)),
    "soft margin": (lambda x: F.soft_margin_loss(x, PLUS_MINUS.to(x)), V),
}


@pytest.mark.filterwarnings("ignore:index_reduce.. is in beta")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name, dtype):
    function, *inputs = FUNCTIONS[name]
    capture(function, *(t.to(dtype) for t in inputs))


class Critic(nn.Module):
    """A critic whose score leads through the families."""

    def __init__(self, *layers: nn.Module, outputs: int):
        super().__init__()
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.score = nn.Linear(outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.score(self.layers(x))


class Rows(nn.Module):
    """Reads a picture's rows as a sequence."""

    def __init__(self, reader: nn.Module):
        super().__init__()
        self.reader = reader

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(1, 2)  # (N, C H, W)
        if isinstance(self.reader, nn.MultiheadAttention):
            return self.reader(rows, rows, rows)[0]
        return self.reader(rows)[0]


class Warp(nn.Module):
    """Moves a picture by a grid that its own values decide."""

    def forward(self, x: Tensor) -> Tensor:
        grid = x.permute(0, 2, 3, 1).tanh() * 0.9
        return F.grid_sample(x, grid, align_corners=False, padding_mode="border")


CRITICS = {
    "lstm": Critic(Rows(nn.LSTM(6, 3, 2, bidirectional=True, batch_first=True)), outputs=72),
    "gru": Critic(Rows(nn.GRU(6, 3, batch_first=True)), outputs=36),
    "attention": Critic(Rows(nn.MultiheadAttention(6, 2, batch_first=True)), outputs=72),
    "grid sample": Critic(nn.Conv2d(2, 2, 3, padding=1), Warp(), outputs=72),
    "pools": Critic(
        nn.Conv2d(2, 3, 3),
        nn.SiLU(),
        nn.MaxPool2d(2, 1),
        nn.AvgPool2d(2, 1),
        nn.AdaptiveAvgPool2d(2),
        outputs=12,
    ),
    "pads": Critic(
        nn.ReflectionPad2d(1), nn.Conv2d(2, 3, 3), nn.ELU(), nn.ReplicationPad2d(1), outputs=192
    ),
    "resampling": Critic(
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(2, 2, 3, stride=2),
        nn.Mish(),
        nn.Upsample(scale_factor=2, mode="bicubic"),
        outputs=200,
    ),
    "norms": Critic(
        nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.Softplus(), nn.RMSNorm([4, 4]), outputs=64
    ),
}


def r1(critic: nn.Module, x: Tensor) -> Tensor:
    (grad,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return (grad * grad).sum()


@pytest.mark.parametrize("name", CRITICS)
def test_r1(name):
    critic, x = CRITICS[name].double(), draw(2, 2, 6, 6)
    graph = capture(lambda x: critic(x).sum(), x)
    parameters = dict(critic.named_parameters())
    expected = torch.autograd.grad(
        r1(critic, x.clone().requires_grad_()), list(parameters.values()), allow_unused=True
    )
    second = second_order(graph)
    for (key, parameter), theirs in zip(parameters.items(), expected, strict=True):
        mine = second.get(f"critic.{key}")
        theirs = torch.zeros_like(parameter) if theirs is None else theirs
        mine = torch.zeros_like(parameter) if mine is None else mine
        assert torch.allclose(mine, theirs, rtol=1e-9, atol=1e-10), key


def second_order(graph: Graph) -> dict[str, Tensor]:
    """Gradients of the squared norm of the gradient with respect to the input x."""
    gradients = graph.gradient_graph()
    outputs, values = backprop.forward(gradients.gm, gradients.flat_inputs((), {}, 0))
    _, named = tree_unflatten(list(outputs), gradients.out_spec)
    wire = backprop.output_wires(gradients.gm)[1 + list(named).index("x")]
    inputs = backprop.placeholders(gradients.gm)
    grads = backprop.backward(gradients.gm, values, {wire: 2 * values[wire]}, inputs)
    return {
        known.name: grads[node]
        for known, node in zip(gradients.inputs, inputs, strict=True)
        if grads.get(node) is not None
    }


def test_one_tensor_for_several_inputs():
    attention, x = nn.MultiheadAttention(4, 2, dropout=0.2), torch.randn(5, 2, 4)
    graph = capture(attention, x, x, x)
    assert graph.of_kind("input") == ["query", "key", "value"]
    attention.eval()
    other = capture(attention, x, x, x)(x, x * 2, x + 1)[0]
    assert torch.allclose(other, attention(x, x * 2, x + 1)[0], atol=1e-6)


def test_packed_sequences_say_what_to_do():
    lstm = nn.LSTM(4, 3)

    def packed(x: Tensor) -> Tensor:
        return lstm(nn.utils.rnn.pack_padded_sequence(x, [5, 3]))[0].data

    with pytest.raises(CaptureError, match=r"got pack_padded_sequence.*pad the sequences"):
        capture(packed, torch.randn(5, 2, 4))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x[x > 0], "got aten.index.Tensor .*whose output's shape depends on values"),
        (lambda x: x.masked_select(x > 0).sum(), "got aten.masked_select"),
        (
            lambda x: x.as_strided((2, 2), (1, 2)).sum(),
            "expected an operation with a gate, got aten.as_strided",
        ),
        (
            lambda x: F.ctc_loss(x.log_softmax(1)[:, None], INDEX[None, :2] + 1, (3,), (2,)),
            "CTC loss",
        ),
        (
            lambda x: torch.fft.rfft(x).abs(),
            "got complex ones from aten._fft_r2c",
        ),
        (
            lambda x: F.cross_entropy(x, INDEX, x[0].softmax(0)),
            "argument 'weight'.*close over that tensor",
        ),
        (
            lambda x: F.gaussian_nll_loss(x, x * 2, x * x + 1),
            "shapes or branches that depend on values",
        ),
    ],
)
def test_what_cannot_be_a_graph_says_so(function, message):
    with pytest.raises((CaptureError, GateError), match=message):
        capture(function, M.clone())


def test_a_write_to_a_parameter_says_so():
    with pytest.raises(CaptureError, match=r"got a write to 'weight' \(max_norm"):
        capture(nn.Embedding(5, 3, max_norm=0.5), INDEX)
