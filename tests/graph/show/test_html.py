"""The page: self-contained, safe against what sources hold, complete."""

import json
import re
from dataclasses import replace

from graphs import deep, worked_example

from backlit.graph import capture
from backlit.graph.show import describe, page

EVIL = "</script><script>alert(1)</script><!-- \u2028 & \" '"


def carried(text):
    """The JSON a page carries."""
    return json.loads(re.search(r'id="graph">(.*?)</script>', text, re.S)[1])


def test_it_carries_everything():
    d = describe(deep())
    found = carried(page(d))
    assert found["gates"]["name"] == [g.name for g in d.gates]
    assert len(found["wires"]) == 3 * len(d.wires)
    assert [row[0] for row in found["inputs"]] == [w.label for w in d.inputs]
    assert [row[0] for row in found["groups"]] == [g.label for g in d.groups]
    seen = [item for row in found["groups"] for item in row[4] if item >= 0]
    assert sorted(seen) == list(range(len(d.gates)))


def test_it_asks_nothing_of_the_network():
    text = page(describe(deep()))
    links = set(re.findall(r"https?://[^\s\"'<>)]+", text))
    assert links <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(link|img|iframe)|src=|@import|sourceMappingURL|fetch\(", text)
    assert "{{" not in re.sub(r'id="graph">.*?</script>', "", text, flags=re.S)
    assert "Permission is hereby granted" in text  # the licence of the layout library


def test_strings_cannot_leave_their_place():
    d = describe(worked_example(), title=EVIL)
    gates = tuple(replace(g, code=EVIL, source=EVIL, module=EVIL) for g in d.gates)
    text = page(replace(d, gates=gates))
    assert "<script>alert" not in text and "<!-- \u2028" not in text
    assert text.count("</script>") == 3
    assert EVIL in carried(text)["strings"]


def test_files_and_notebooks(tmp_path):
    graph = worked_example()
    path = graph.html(tmp_path / "a2.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [path]
    assert graph._repr_html_().startswith("<svg")
    frame = deep()._repr_html_()
    assert frame.startswith("<iframe srcdoc=") and "<script" not in frame
    assert 'sandbox="allow-scripts"' in frame


def test_numbers_that_are_none():
    graph = capture(lambda x: (x * 0.0).log().neg().log(), x=1.0)
    graph.backward()
    found = carried(page(describe(graph)))
    assert found["gates"]["value"][1][1] == "-inf" and found["gates"]["gradient"][0][1] == "nan"
