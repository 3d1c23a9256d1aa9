"""Choosing kernels: equal results, measured once, kept in a file that may be damaged."""

import json

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from backlit.errors import GateError
from backlit.gates.base import aten
from backlit.graph import backprop, capture
from backlit.graph.trace import trace
from backlit.lower import (
    KernelFileWarning,
    apply,
    autotune,
    choose,
    compile_graph,
    compiler_available,
    kernel_file,
    lower_gates,
)
from backlit.lower.costly import costly
from backlit.lower.kernel_file import _VERSION
from backlit.lower.lowerings import DEFAULT, LOWERINGS, float32

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path / "cache"))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.down = nn.Conv2d(8, 16, 4, 2, 1)
        self.same = nn.Conv2d(16, 16, 3, 1, 1)
        self.up = nn.ConvTranspose2d(16, 8, 4, 2, 1)
        self.end = nn.Linear(8 * 16 * 16, 64)

    def forward(self, x):
        x = F.relu(self.same(F.relu(self.down(x))))
        return self.end(F.relu(self.up(x)).flatten(1)).square().mean()


@pytest.fixture(scope="module")
def whole():
    """Forward and backward of a small network as one flat graph, in float64, and its inputs."""
    graph = capture(Net().double(), torch.randn(24, 8, 16, 16, dtype=torch.float64))
    inputs = [t.detach() for t in graph.flat_inputs((), {}, 0)]

    def both(*tensors):
        outputs, values = backprop.forward(graph.gm, tensors)
        wires = backprop.placeholders(graph.gm)
        (loss,) = backprop.output_wires(graph.gm)
        grads = backprop.backward(graph.gm, values, {loss: torch.ones_like(values[loss])}, wires)
        return outputs, [grads[wire] for wire in wires]

    return trace(both, inputs)[0], inputs


def assert_equal(got, expected):
    for a, b in zip(got, expected, strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() <= 1e-10 * b.abs().max()


def test_every_lowering_in_a_graph(whole):
    """Each lowering in turn in place of every gate that it serves."""
    gm, inputs = whole
    expected, gates = gm(*inputs), dict(costly(gm, inputs).values())
    assert {call.kind for call in gates.values()} >= {"correlate", "spread", "weight gradient"}
    for name in {name for names in LOWERINGS.values() for name in names} - {DEFAULT}:
        chosen = {
            gate: name
            for gate, call in gates.items()
            if name in LOWERINGS[call.kind] and LOWERINGS[call.kind][name].accepts(call)
        }
        assert_equal(apply(gm, inputs, chosen)(*inputs), expected)


@pytest.mark.skipif(not compiler_available(), reason="no C++ compiler")
def test_compiled():
    """Inductor keeps the operators and the layouts that they promise."""
    down = [2, 2], [1, 1], [1, 1], False, [0, 0], 1

    def both(x, w, b):
        z = aten.convolution.default(x, w, b, *down).relu()
        mask = [True, False, False]
        return aten.convolution_backward.default(z, x, w, None, *down, mask)[0] + x

    inputs = [torch.randn(8, 8, 32, 32), torch.randn(16, 8, 4, 4), torch.randn(16)]
    gm, _ = trace(both, inputs)
    pick = {"correlate": "gemm", "spread": "sub-pixel-gemm"}
    lowered = apply(gm, inputs, {g: pick[c.kind] for g, c in costly(gm, inputs).values()})
    names = [str(node.target) for node in lowered.graph.nodes]
    assert sum("backlit_lower" in name for name in names) == 2
    got, expected = compile_graph(lowered, inputs)(*inputs), gm(*inputs)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-3)  # (of values up to 60)


def test_who_is_far_behind_leaves_the_race():
    times = {"best": 0.01, "near": 0.012, "behind": 0.016, "far": 0.02, "hopeless": 0.1}
    samples = autotune.race({name: (lambda s=s: s) for name, s in times.items()}, 0.1)
    taken = {name: len(found) for name, found in samples.items()}
    assert taken == {"best": 3, "near": 3, "behind": 2, "far": 1, "hopeless": 1}
    assert samples["hopeless"] == [0.1]  # its first call's
    samples = autotune.race({"best": lambda: 0.01, "far": lambda: 0.1}, 1.0)
    assert len(samples["best"]) == 3  # nobody is left to race with
    for disturbed in (0, 1):  # one call of it: still in the race
        late = iter([0.05 if i == disturbed else 0.01 for i in range(9)])
        samples = autotune.race({"best": lambda: 0.015, "late": late.__next__}, 0.1)
        assert len(samples["late"]) >= 3 and min(samples["late"]) == 0.01


def test_a_product_that_lies_turned_is_measured_in_order(monkeypatch):
    """Else its reader pays: of AlexNet's largest gradient five times what the product takes."""
    x, dz = torch.randn(32, 48), torch.randn(32, 64)
    gm, _ = trace(lambda x, dz: dz.t().mm(x), [x, dz])
    ((_, call),) = costly(gm, [x, dz]).values()
    assert not LOWERINGS["mm"]["transposed"].run(autotune._on_tensors(call)).is_contiguous()
    copied = []
    timed = autotune._time

    def time_and_look(run):
        copied.append(run().is_contiguous())
        return timed(run)

    monkeypatch.setattr(autotune, "_time", time_and_look)
    autotune.measure(call, ["aten", "transposed"], 0.001)
    assert len(copied) >= 4 and all(copied)


def test_measured_once(whole, monkeypatch):
    gm, inputs = whole
    said = []
    kernels = choose(gm, inputs, budget_s=0.005, told=said.append)
    assert len(said) == len(kernels) > 5 and said[0].startswith("measuring kernels: 1 of ")
    assert sum(k.count for k in kernels.values()) == len(costly(gm, inputs))
    for kernel in kernels.values():
        assert kernel.gain >= 1.05 or (kernel.chosen == DEFAULT and kernel.gain == 1)
        assert kernel.gflops_per_s > 0
    monkeypatch.setattr(autotune, "measure", None)  # nothing is left to measure
    assert choose(gm, inputs, told=said.append) == kernels
    assert len(said) == len(kernels)
    # Of small convolutions lower_gates chooses none.
    _, few = lower_gates(gm, inputs)
    assert not [name for name in few if "convolution" in name]
    monkeypatch.setitem(lower_gates.__globals__, "_WORTH_PICTURE_FLOPS", 0)
    lowered, chosen = lower_gates(gm, inputs)
    measured = {name: kernel.chosen for name, kernel in kernels.items()}
    assert chosen == {name: k for name, k in measured.items() if k != DEFAULT}
    assert_equal(lowered(*inputs), gm(*inputs))
    # What a run recorded counts, not what the file says.
    same, again = lower_gates(gm, inputs, dict.fromkeys(kernels, DEFAULT))
    assert same is gm and again == {}


@pytest.mark.parametrize("fast", [True, False])
def test_bfloat16_by_way_of_float32_is_measured_where_bfloat16_is_slow(fast, monkeypatch):
    monkeypatch.setattr(float32, "fast_bfloat16", lambda device: fast)
    inputs = [torch.randn(64, 64).bfloat16()] * 2
    gm, _ = trace(lambda a, b: a.mm(b), inputs)
    (kernel,) = choose(gm, inputs, budget_s=0).values()
    assert ("float32" in kernel.seconds) != fast
    # A run that began where it is slow goes on where it is fast.
    lowered = apply(gm, inputs, {kernel.gate: "float32"})
    assert "float32" in lowered.code
    # What was measured where it was slow still counts.
    monkeypatch.setattr(float32, "fast_bfloat16", lambda device: True)
    monkeypatch.setattr(autotune, "measure", None)
    assert choose(gm, inputs) == {kernel.gate: kernel}


def test_a_lowering_that_does_not_exist(whole):
    gm, inputs = whole
    gate = next(name for name, call in costly(gm, inputs).values() if call.kind == "correlate")
    with pytest.raises(GateError, match=r"expected a lowering among aten, .*gemm.*, got 'magic'"):
        apply(gm, inputs, {gate: "magic"})


def small():
    gm, _ = trace(lambda a, b: a.mm(b), [torch.randn(128, 128)] * 2)
    return gm, [torch.randn(128, 128)] * 2


NO_TABLE = json.dumps({"version": _VERSION, "machines": {"m": {"g": 3}}})


@pytest.mark.parametrize("text", ["", "{", "[]", NO_TABLE])
def test_a_damaged_file_is_put_aside(text):
    path = kernel_file()
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.warns(KernelFileWarning, match=r"put aside as kernels.damaged.json, measuring"):
        choose(*small(), budget_s=0)
    assert path.with_name("kernels.damaged.json").read_text() == text
    (machine,) = json.loads(path.read_text())["machines"]
    assert "1 threads" in machine and torch.__version__ in machine
    assert sorted(p.name for p in path.parent.iterdir()) == ["kernels.damaged.json", path.name]


def test_a_file_of_another_version_is_replaced():
    path = kernel_file()
    path.parent.mkdir(parents=True)
    path.write_text('{"version": 0}')
    choose(*small(), budget_s=0)
    assert json.loads(path.read_text())["version"] == _VERSION


def test_no_room_for_the_file():
    kernel_file().parent.write_text("a file where the folder should be")
    with pytest.warns(KernelFileWarning) as seen:
        assert choose(*small(), budget_s=0)
    assert "could not keep measured kernels" in str(seen[-1].message)


def test_expanded_operands_are_measured(tmp_path):
    def function(x, w):
        return (x.expand(64, 64) @ w,)

    inputs = [torch.randn(64, 1), torch.randn(64, 64)]
    gm, _ = trace(function, inputs)
    (kernel,) = choose(gm, inputs, budget_s=0.005, file=tmp_path / "kernels.json").values()
    assert kernel.gate.startswith("mm float32 64x64 strided, 64x64")
    assert min(kernel.seconds.values()) > 0
