"""The figure as numbers: the two worked examples of the teaching figure, golden."""

import xml.etree.ElementTree as ET

import pytest
from graphs import deep, sigmoid_neuron, worked_example

from backlit.errors import GateError
from backlit.graph.show import describe, figure, svg


def on_wires(graph):
    """Value and gradient as they stand on the wire of each input and gate."""
    graph.backward()
    d = describe(graph)
    labels = {w.name: w.label for w in d.inputs}
    return {
        labels.get(line.source, line.source): (line.value, line.gradient)
        for line in figure(d).lines
        if line.value
    }


def test_worked_example_a2():
    assert on_wires(worked_example()) == {
        "x": ("-2.00", "-4.00"),
        "y": ("5.00", "-4.00"),
        "z": ("-4.00", "3.00"),
        "add": ("3.00", "-4.00"),
        "mul": ("-12.00", "1.00"),
    }


def test_sigmoid_neuron_a3():
    assert on_wires(sigmoid_neuron()) == {
        "w0": ("2.00", "-0.20"),
        "x0": ("-1.00", "0.39"),
        "w1": ("-3.00", "-0.39"),
        "x1": ("-2.00", "-0.59"),
        "w2": ("-3.00", "0.20"),
        "mul": ("-2.00", "0.20"),
        "mul_1": ("6.00", "0.20"),
        "add": ("4.00", "0.20"),
        "add_1": ("1.00", "0.20"),
        "neg": ("-1.00", "-0.20"),
        "exp": ("0.37", "-0.53"),
        "add_2": ("1.37", "-0.53"),
        "reciprocal": ("0.73", "1.00"),
    }


def test_places_of_a2():
    places = {box.label: (box.x, box.y) for box in figure(describe(worked_example())).boxes}
    assert places == {
        "x": (35.1, 60.6),
        "y": (35.1, 134.6),
        "z": (146.2, 40.0),
        "+": (146.2, 114.0),
        "×": (270.2, 77.0),
        "output": (401.8, 77.0),
    }


@pytest.mark.parametrize("graph", [worked_example, sigmoid_neuron, deep])
def test_every_gate_stands_alone_right_of_its_inputs(graph):
    f = figure(describe(graph()))
    boxes = {box.name: box for box in f.boxes}
    for line in f.lines:
        a, b = boxes[line.source], boxes[line.target]
        assert a.x + a.width / 2 < b.x - b.width / 2
        assert line.points[0] == (round(a.x + a.width / 2, 1), a.y)
        assert line.points[-1] == (round(b.x - b.width / 2, 1), b.y)
    stood = list(boxes.values())
    for i, a in enumerate(stood):
        assert 0 <= a.x - a.width / 2 and a.x + a.width / 2 <= f.width
        assert 0 <= a.y - a.height / 2 and a.y + a.height / 2 <= f.height
        for b in stood[i + 1 :]:
            apart_x = abs(a.x - b.x) >= (a.width + b.width) / 2 - 0.2
            assert apart_x or abs(a.y - b.y) >= (a.height + b.height) / 2 - 0.2


def test_svg_is_well_formed_and_escaped(tmp_path):
    graph = worked_example()
    graph.backward()
    root = ET.fromstring(svg(describe(graph, title="a < b & c")))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "-12.00" in texts and "×" in texts and "output" in texts
    assert root[0].text == "a < b & c"
    path = graph.svg(tmp_path / "figure.svg")
    assert path.read_text().startswith("<svg") and list(tmp_path.iterdir()) == [path]


def test_a_large_graph_is_no_figure():
    d = describe(deep())
    many = list(deep().gates) * 3
    assert len(d.gates) <= 150 < len(many)
    with pytest.raises(GateError, match=r"expected at most 150 gates in a figure, got \d+"):
        svg(describe(many))
