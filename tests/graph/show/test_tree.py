"""The tree: equal blocks folded, long lists cut, phases without a way back."""

from dataclasses import replace

import pytest
from graphs import deep

from backlit.graph.show import describe
from backlit.graph.show.model import GateInfo
from backlit.graph.show.tree import LONG, tree

EMPTY = GateInfo(
    *("", "Add", "+", "aten.add.Tensor", "", "", (), (), (), "float32", 1),
    *("", "", "", "", "", "forward", ""),
)


def chain(n, kinds=("a", "b", "c"), **fields):
    """Gates one after the other whose operators repeat."""
    return [
        replace(
            EMPTY,
            name=f"g{i}",
            operator=kinds[i % len(kinds)],
            kind=kinds[i % len(kinds)],
            inputs=(f"g{i - 1}",) if i else (),
            **fields,
        )
        for i in range(n)
    ]


def gates_in(groups):
    names = {g.name for g in groups}
    return [item for g in groups for item in g.items if item not in names]


def test_equal_blocks_fold():
    groups = describe(deep()).groups
    run = next(g for g in groups if g.kind == "repeat")
    assert run.label == "blocks: Block × 9" and run.repeats == 9 and len(run.items) == 9
    assert groups[0].items[0] == run.name


def test_a_period_of_several_gates():
    root, run, *blocks = tree(chain(60), "g", {})
    assert root.items == (run.name,)
    assert (run.label, run.repeats) == ("(a, b, c) × 20", 20)
    assert [b.items for b in blocks[:2]] == [("g0", "g1", "g2"), ("g3", "g4", "g5")]


def test_a_small_graph_is_left_alone():
    assert len(tree(chain(40), "g", {})) == 1


@pytest.mark.parametrize("n", [41, 150, 3000])
def test_every_gate_once_and_no_long_level(n):
    # operators whose order never repeats
    gates = [replace(g, operator=f"op{i * i % 997}") for i, g in enumerate(chain(n))]
    groups = tree(gates, "g", {})
    assert sorted(gates_in(groups)) == sorted(g.name for g in gates)
    assert max(len(g.items) for g in groups) <= LONG
    assert groups[0].gates == n


def test_phases_come_back_after_an_update():
    roles = [("make", "forward"), ("D", "forward"), ("D", "backward"), ("D update", "update")]
    roles += [("make", "forward"), ("D", "forward"), ("", "state")]
    gates = [replace(g, phase=p, role=r) for g, (p, r) in zip(chain(7), roles, strict=True)]
    labels = [g.label for g in tree(gates, "g", {})[1:]]
    assert labels == ["make", "D", "D · backward", "D update", "make (2)", "D (2)", "new state"]


def test_a_gradient_of_a_gradient_is_a_passage_of_its_own():
    roles = [("D", "forward"), ("D", "backward"), ("penalty", "forward"), ("D", "backward")]
    gates = [replace(g, phase=p, role=r) for g, (p, r) in zip(chain(4), roles, strict=True)]
    labels = [g.label for g in tree(gates, "g", {})[1:]]
    assert labels == ["D", "D · backward", "penalty", "D · backward (2)"]


def test_a_phase_with_one_module_is_that_module():
    gates = chain(3, phase="D", module="d", module_type="Net")
    gates += [replace(g, name=f"h{i}", phase="loss") for i, g in enumerate(chain(50, ("a", "b")))]
    groups = tree(gates, "g", {})
    assert (groups[1].label, groups[1].type, groups[1].path) == ("D", "Net", "d")
