"""The description: golden for the worked example; gates, wires, parameters, outputs."""

import json
import math

import pytest
import torch
from graphs import deep, worked_example
from torch import nn

from backlit.graph import Watched, capture
from backlit.graph.show import describe, time_pass, watch

GOLDEN_GATE = {
    "name": "mul",
    "kind": "Multiply",
    "symbol": "×",
    "operator": "aten.mul.Tensor",
    "formula": "z = x y",
    "local": "∂z/∂x = y, ∂z/∂y = x",
    "arguments": ("add", "z"),
    "inputs": ("add", "z"),
    "shape": (),
    "dtype": "float32",
    "outputs": 1,
    "module": "",
    "module_type": "",
    "source": "",
    "code": "",
    "phase": "",
    "role": "forward",
    "of": "",
    "local_values": (-4.0, 3.0),
    "forward_s": None,
    "backward_s": None,
}


def test_worked_example_golden():
    graph = worked_example()
    graph.backward()
    d = describe(graph, title="f")
    found = d.to_json()
    json.dumps(found, allow_nan=False)
    gate = found["gates"][1]
    assert gate["value"]["scalar"] == -12 and gate["gradient"]["scalar"] == 1
    assert {k: v for k, v in gate.items() if k not in ("value", "gradient")} == GOLDEN_GATE
    assert [(w.label, w.kind, w.gradient.scalar) for w in d.inputs] == [
        ("x", "input", -4.0),
        ("y", "input", -4.0),
        ("z", "input", 3.0),
    ]
    wires = [(w.source, w.target, w.port) for w in d.wires]
    x, y, z = (w.name for w in d.inputs)
    assert wires == [(x, "add", 0), (y, "add", 1), ("add", "mul", 0), (z, "mul", 1)]
    assert [(w.label, w.source, w.kind) for w in d.outputs] == [("output", "mul", "output")]
    assert len(d.groups) == 1 and d.groups[0].items == ("add", "mul")


def test_unwatched_has_no_numbers():
    d = describe(worked_example())
    assert not d.watched and not d.timed and d.gates[0].value is None and d.depth == ()


def test_alpha_is_shown_where_it_is_set():
    d = describe(capture(lambda x, y: x.sub(y, alpha=2) - y, x=1.0, y=2.0))
    assert d.gates[0].formula == "z = x − α y" and "alpha=2" in d.gates[0].arguments
    assert d.gates[1].formula == "z = x − y" and d.gates[1].local == "∂z/∂x = 1, ∂z/∂y = −1"


def test_parts_of_a_gate_are_wires():
    d = describe(deep())
    assert not any("getitem" in g.name or "getitem" in g.operator for g in d.gates)
    sigmoid = next(g for g in d.gates if g.kind == "Sigmoid")
    norm = next(g for g in d.gates if g.kind == "BatchNorm")
    assert sigmoid.inputs == (f"{norm.name}[0]",) and norm.outputs > 1
    assert norm.shape == (5, 4) and norm.gradient.norm > 0
    assert any(w.source == norm.name and w.part == 0 and w.target == sigmoid.name for w in d.wires)
    assert sum(w.kind == "buffer" for w in d.outputs) == 9 * 3


def test_parameters_and_sources():
    graph = deep()
    d = describe(graph)
    size = sum(graph.bindings[name].numel() for name in graph.of_kind("parameter"))
    assert d.parameters == size
    block = next(g for g in d.groups if g.path == "blocks.4")
    assert block.type == "Block" and block.parameters == 2 * (16 + 4) + 8
    add = next(g for g in d.gates if g.module == "blocks.0" and g.kind == "Add")
    assert add.source.startswith("graphs.py:") and "self.two" in add.code


def test_gradient_over_depth():
    d = describe(deep())
    assert [c.label for c in d.depth][:3] == ["blocks.0.one", "blocks.0.norm", "blocks.0.two"]
    for cell in d.depth:
        gate = next(g for g in d.gates if g.name == cell.gate)
        assert cell.norm == gate.gradient.norm and cell.log10 == pytest.approx(
            math.log10(cell.norm)
        )


def test_times_are_measured():
    graph = deep()
    times = time_pass(graph, repeats=1)
    d = describe(graph, times=times)
    assert d.timed and all(g.forward_s > 0 for g in d.gates)
    assert next(g for g in d.gates if g.kind == "Sigmoid").backward_s > 0


def test_watch_takes_any_output():
    graph = capture(nn.Linear(3, 2), torch.ones(4, 3))
    d = describe(graph, watched=Watched(*watch(graph)))
    bias = next(w for w in d.inputs if w.label == "bias")
    assert bias.gradient.mean == 4.0


def test_a_bare_list_of_gates():
    gates = list(deep().gates)[10:20]
    d = describe(gates, title="some")
    assert d.title == "some" and len(d.gates) <= 10
    names = {g.name for g in d.gates} | {w.name for w in d.inputs}
    assert all(w.source in names and w.target in names for w in d.wires)
