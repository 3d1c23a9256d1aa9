"""The graph as text: golden for the worked example; overview, cards, width."""

import pytest
from graphs import deep, worked_example

from backlit.errors import GateError
from backlit.graph.show import card, describe, overview, table, text

A2 = """\
2 gates
name  gate      inputs  value  local gradient                 gradient
──────────────────────────────────────────────────────────────────────
x     input             -2                                    -4
y     input             5                                     -4
z     input             -4                                    3
──────────────────────────────────────────────────────────────────────
add   Add       x, y    3      ∂z/∂x = 1, ∂z/∂y = 1           -4
mul   Multiply  add, z  -12    ∂z/∂x = y = -4, ∂z/∂y = x = 3  1"""


def test_worked_example_a2():
    graph = worked_example()
    assert "gradient" not in table(describe(graph), 100).splitlines()[1].split("local gradient")[1]
    graph.backward()
    assert text(describe(graph), 100) == A2


def test_print_is_the_table(capsys):
    graph = worked_example()
    graph.backward()
    print(graph)
    assert "mul   Multiply" in capsys.readouterr().out


def test_large_graphs_are_grouped():
    shown = text(describe(deep()), 100)
    lines = shown.splitlines()
    assert "blocks: Block × 9" in shown and lines[0].startswith("graph: ")
    assert sum("norm " in line for line in lines) == 1  # eight equal blocks are not repeated
    assert len(lines) < 15
    assert "‖gradient‖" in lines[1] and "time" not in lines[1]


def test_levels():
    d = describe(deep())
    assert len(overview(d, "phase").splitlines()) < len(overview(d, "module").splitlines())
    assert all(g.name in overview(d, "gates", 200) for g in d.gates)
    with pytest.raises(GateError, match="level: expected one of phase, module, gates, got 'x'"):
        overview(d, "x")


@pytest.mark.parametrize("width", [60, 80, 140])
def test_it_fits_the_terminal(width):
    for shown in (table(describe(deep()), width), overview(describe(deep()), "module", width)):
        assert max(len(line) for line in shown.splitlines()[1:]) <= width
        assert "\x1b" not in shown


def test_card():
    d = describe(deep())
    sigmoid = next(g for g in d.gates if g.kind == "Sigmoid")
    shown = card(d, sigmoid.name, 200)
    for part in ("∂z/∂x = (1 − z) z", "5×4 float32", "blocks.0 (Block)", "graphs.py:", "saturated"):
        assert part in shown


def test_a_wrong_name():
    with pytest.raises(GateError, match="expected a gate of this graph, got 'sigmod'; nearest: si"):
        card(describe(deep()), "sigmod")
    with pytest.raises(GateError, match="got '§'; print the graph for their names"):
        card(describe(deep()), "§")
