"""The benchmark itself: that it compares equals, counts right, and says what it found."""

import importlib.util
import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from typer.testing import CliRunner

from backlit.bench import (
    ROWS,
    WAYS,
    GameRow,
    Plan,
    Roof,
    bars,
    distance,
    find_row,
    losses_of,
    measure_roof,
    needs,
    probe_cost,
    ratio,
    run_rows,
    table,
)
from backlit.bench.interleaved import measure, timed
from backlit.bench.peers import Style, torch_step
from backlit.bench.roof import higher
from backlit.bench.rows import trained
from backlit.bench.ways import build
from backlit.cli import run
from backlit.errors import RecipeError
from tests.bench import tiny

ROOT = Path(__file__).parents[2]
EAGER = ["backlit plain", "eager float32", "eager bf16", "eager fused"]


@pytest.fixture(scope="module")
def found():
    plan = Plan(pairs=2, steps=3, alone=False, ways=[*EAGER, "jax"])
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        result = run_rows(
            ["tests.bench.tiny:GAME", "tests.bench.tiny:UNKNOWN_TO_JAX"], plan, after=seen.append
        )
    assert len(seen) == 2
    return result


def quick(patch):
    """Short samples, and a made-up roof."""
    patch.setattr("backlit.bench.interleaved.SAMPLE_S", 0.01)
    patch.setattr("backlit.bench.run.measure_roof_with", lambda n, device: Roof(1e9, 2e9, 1e9, n))


def test_what_a_run_finds(found):
    assert json.loads(json.dumps(found)) == found
    for row in found["rows"].values():
        for name in EAGER:
            way = row["ways"][name]
            assert len(way["samples_s"]) == 2 and way["median_s"] > 0
            assert way["per_second"] == row["batch"] / way["median_s"]
        assert row["needs"]["flops"] > 0
    missing = found["rows"]["tests.bench.tiny:UNKNOWN_TO_JAX"]["ways"]["jax"]["missing"]
    assert "JAX" in missing or "jax" in missing


@pytest.mark.parametrize("name", ["GAME", "CRITIC", "R1", "CLASSES"])
def test_backlit_and_pytorch_see_the_same_losses(name):
    row = getattr(tiny, name)
    ours, plain, fused = (
        build(row, WAYS[way])[0] for way in ("backlit plain", "eager float32", "eager fused")
    )
    for index in range(6):
        mine = ours(index, True)
        for other in (plain(index, True), fused(index, True)):
            assert mine.keys() == other.keys()
            for key in mine:
                assert torch.allclose(mine[key].float(), other[key], rtol=1e-4, atol=1e-6), key


def test_a_peer_that_is_compiled_sees_the_same_losses():
    mine, _ = build(tiny.CLASSES, WAYS["eager float32"])
    calls = []

    def compile_(call, mode):
        calls.append(call)
        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "compile", compile_)
        theirs, _ = build(tiny.CLASSES, WAYS["torch.compile"])
    assert len(calls) == 2  # the network's forward, the optimiser's step
    for index in range(3):
        assert torch.equal(mine(index, True)["loss"], theirs(index, True)["loss"])
    # Each has a code object of its own, where torch.compile keeps what it compiled.
    assert calls[0].__code__ is not calls[1].__code__


def test_jax_sees_the_same_losses():
    pytest.importorskip("jax")
    rows = (tiny.GAME, tiny.CRITIC, tiny.R1, tiny.CLASSES, tiny.LAYERS, tiny.SEQUENCE)
    for row in rows:
        mine, _ = build(row, WAYS["eager float32"])
        theirs, _ = build(row, WAYS["jax"])
        for index in range(4):
            a, b = mine(index, True), theirs(index, True)
            assert {k: float(b[k]) for k in a} == pytest.approx(
                {k: float(v) for k, v in a.items()}, rel=1e-4
            )
        assert theirs(4, False).keys() == a.keys()


def test_jax_knows_every_row():
    pytest.importorskip("jax")
    for name, row in ROWS.items():
        assert WAYS["jax"].missing(row) is None, name
    missing = WAYS["jax"].missing(tiny.UNKNOWN_TO_JAX)
    assert missing is not None and "no counterpart of aten.gelu" in missing


def test_every_row_builds_equal_networks_and_batches():
    for row in ROWS.values():
        if row.name in ("alexnet", "vgg-11", "dcgan-64"):  # large; the same code as the others
            continue
        first, again = row.build(), row.build()
        nets = zip(first, again, strict=True) if isinstance(row, GameRow) else [(first, again)]
        for a, b in nets:
            assert a.training
            assert all(map(torch.equal, a.state_dict().values(), b.state_dict().values()))
        batches = row.batches()
        x = batches[0] if isinstance(row, GameRow) else batches[0][0]
        assert len(batches) == 4 and len(x) == row.batch


def test_the_u_net_gives_a_score_a_pixel():
    assert ROWS["u-net"].build()(torch.randn(2, 3, 16, 16)).shape == (2, 2, 16, 16)


def test_roof_is_positive():
    roof = measure_roof(size=64, copy_mib=1, trials=2)
    assert min(roof.float32_flops, roof.bfloat16_flops, roof.copy_bytes) > 0
    assert roof.threads == torch.get_num_threads()


def test_needs_of_a_known_network():
    # 4 samples through 3-5-3: each layer's product three times, less the input's gradient.
    counted = needs(torch_step(tiny.CLASSES, Style()), trained(tiny.CLASSES))
    assert counted.flops == 2 * 4 * (15 * 2 + 15 * 3)
    assert counted.state == 3 * 5 + 5 + 5 * 3 + 3


def test_needs_of_a_step_with_gradients_of_gradients():
    critic = needs(torch_step(tiny.CRITIC, Style()), 0)
    # G 2-4-4-2 once; D 2-4-4-1 on three batches, forward and backward, and the penalty's.
    assert critic.flops > 2 * 4 * (32 + 3 * 28 * 3)


def test_needs_leave_out_gradients_that_nobody_uses():
    wasteful = needs(torch_step(tiny.GAME, Style()), 0).flops
    assert needs(torch_step(tiny.GAME, Style(frozen=True)), 0).flops < wasteful


def test_the_roof_is_the_best_that_was_seen():
    assert higher(Roof(1, 4, 5, 2), Roof(3, 2, 6, 2)) == Roof(3, 4, 6, 2)


def test_distance():
    roof = Roof(float32_flops=10.0, bfloat16_flops=20.0, copy_bytes=1e9, threads=1)
    need = needs(torch_step(tiny.CLASSES, Style()), trained(tiny.CLASSES))
    far = distance(need, roof, seconds=need.flops / 20 * 3)
    assert far["float32"]["floor_s"] == need.flops / 10 and far["float32"]["bound"] == "matmul"
    assert math.isclose(far["distance"], 3)


def test_samples_are_taken_in_turns():
    order, read = [], []

    class Loss:  # as of JAX, which computes it until it is read
        def __init__(self, name, index):
            order.append((name, index))
            self.name = name

        def __float__(self):
            read.append(self.name)
            return 0.0

    ways = {name: ((lambda i, e, n=name: {"loss": Loss(n, i)}), 1) for name in "ab"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backlit.bench.interleaved.SAMPLE_S", 0.0)
        times = timed(ways, Plan(pairs=3, steps=5))
    assert [name for name, _ in order] == ["a", "b"] * 5
    assert [i for name, i in order if name == "a"] == [5, 5, 5, 6, 7]
    assert all(len(t) == 3 for t in times.values())
    assert read == [name for name, _ in order]  # each sample ends when its last step is done


def test_what_slows_others_down_is_timed_after_them(monkeypatch):
    taken = []

    def timed_(ways, plan, say):
        taken.append(list(ways))
        return timed(ways, plan, say)

    quick(monkeypatch)
    monkeypatch.setitem(WAYS, "eager bf16", replace(WAYS["eager bf16"], apart=True))
    monkeypatch.setattr("backlit.bench.interleaved.OURS", "backlit plain")
    monkeypatch.setattr("backlit.bench.interleaved.timed", timed_)
    row = measure("tests.bench.tiny:CLASSES", Plan(pairs=2, steps=2, alone=False, ways=EAGER))
    assert taken == [
        ["backlit plain", "eager float32", "eager fused"],
        ["backlit plain", "eager bf16"],
    ]
    assert set(row["speedup"]) == set(EAGER) - {"backlit plain"}
    assert all(row["ways"][name]["median_s"] > 0 for name in EAGER)


def test_ratio_and_its_interval():
    r = ratio([2.0, 2.2, 2.4], [1.0, 1.1, 1.2])
    assert math.isclose(r["ratio"], 2.0) and r["low"] <= 2.0 <= r["high"] and r["pairs"] == 3
    assert ratio([1.0] * 5, [1.0] * 5) == {"ratio": 1.0, "low": 1.0, "high": 1.0, "pairs": 5}


def test_table_and_bars():
    way = {"median_s": 0.002, "per_second": 2000.0, "samples_s": [0.002], "threads": 1}
    way |= {"loss_difference_mean": 0.0, "loss_difference_max": 1e-6}
    full = {"first_step_s": 12.34, "cached_first_step_s": 1.2, "peak_bytes": 2**20 * 70}
    full |= {"cached_peak_bytes": 2**20 * 60}
    need = needs(torch_step(tiny.CLASSES, Style()), 38)
    roof = distance(need, Roof(1e9, 2e9, 1e9, 1), seconds=0.002)
    found = {
        "rows": {
            "row": {
                "about": "a row & more",
                "batch": 4,
                "pairs": 5,
                "ways": {
                    "backlit": way | full,
                    "eager float32": way | {"median_s": 0.001},
                    "jax": {"missing": "jax is not installed"},
                },
                "speedup": {
                    "eager float32": {"ratio": 0.5, "low": 0.4, "high": 0.6, "pairs": 5},
                },
                "needs": asdict(need),
                "roof": roof,
            }
        }
    }
    text = table(found)
    assert text.splitlines()[0] == "row: a row & more, batch 4, 5 pairs"
    assert "2 ms" in text and "12.3 s / 1.2" in text and "70 / 60 MiB" in text
    assert "0.50x [0.40, 0.60]" in text and "jax is not installed" in text
    assert "Backlit takes" in text
    assert [(row, way) for row, way, _ in losses_of(found)] == [("row", "eager float32")]
    drawn = ElementTree.fromstring(bars(found))
    assert len(drawn.findall("{http://www.w3.org/2000/svg}rect")) == 3  # paper and two bars


def test_a_later_run_keeps_the_other_rows_of_this_machine(monkeypatch, found):
    quick(monkeypatch)
    plan = Plan(pairs=2, steps=1, alone=False, ways=["eager float32"])
    name = "tests.bench.tiny:CLASSES"
    later = run_rows([name], plan, before=found)
    assert set(later["rows"]) == {name, *found["rows"]}
    elsewhere = found | {"machine": {"processor": "another"}}
    assert set(run_rows([name], plan, before=elsewhere)["rows"]) == {name}


def test_a_failing_way_costs_only_itself(monkeypatch):
    def fails(row, style):
        raise RuntimeError("expected\nto fail")

    monkeypatch.setattr("backlit.bench.ways.torch_step", fails)
    quick(monkeypatch)
    plan = Plan(pairs=2, steps=1, alone=False, ways=["backlit plain", "eager fused"])
    row = run_rows(["tests.bench.tiny:CLASSES"], plan)["rows"]["tests.bench.tiny:CLASSES"]
    assert row["ways"]["eager fused"] == {"missing": "failed: expected to fail"}
    assert row["ways"]["backlit plain"]["median_s"] > 0


def test_memory_and_time_in_a_process_of_its_own():
    from backlit.bench.alone import alone

    told = alone("tests.bench.tiny:CLASSES", WAYS["eager float32"])
    assert told["first_step_s"] > 0
    if Path("/proc/self/clear_refs").exists():
        assert told["peak_bytes"] >= told["working_bytes"] >= 0
    assert "expected one of" in alone("nothing", WAYS["eager float32"])["alone_failed"]


def test_probe_cost(monkeypatch):
    from backlit.bench import probes

    quick(monkeypatch)
    slow = probes.backlit_step
    monkeypatch.setattr(
        probes,
        "backlit_step",
        lambda row, mode, **how: slow(row, mode.replace("compiled", "plain"), **how),
    )
    cost = probe_cost("tests.bench.tiny:GAME", Plan(pairs=2))
    assert cost["watched"]["ratio"] > 0 and cost["metrics_every_50"]["pairs"] == 2


def test_a_wrong_row_gives_one_line(capsys):
    assert run(["bench", "dcgan-65"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "expected one of dcgan-64, dcgan-32" in error and "got 'dcgan-65'" in error


@pytest.mark.parametrize(
    ("name", "said"),
    [("no_such_module:ROW", "no_such_module"), ("tests.bench.tiny:NOT_A_ROW", "that is a row")],
)
def test_a_wrong_row_of_your_own(name, said):
    with pytest.raises(RecipeError, match=said):
        find_row(name)


def test_the_command_prints_a_table_and_writes_json(monkeypatch, tmp_path):
    plan = Plan(pairs=2, steps=1, alone=False, ways=["backlit plain", "eager float32"])
    quick(monkeypatch)
    monkeypatch.setattr("backlit.bench.QUICK", plan)
    path = tmp_path / "found.json"
    from backlit.cli import app

    done = CliRunner().invoke(
        app, ["bench", "tests.bench.tiny:CLASSES", "--quick", "--json", str(path)]
    )
    assert done.exit_code == 0, done.output
    assert "Backlit is" in done.output
    assert "tests.bench.tiny:CLASSES" in json.loads(path.read_text())["rows"]


@pytest.mark.parametrize(
    ("device", "said"),
    [("tpu", "expected cpu, cuda or cuda:N, got 'tpu'"), ("cuda:99", "'cuda:99' asked for")],
)
def test_a_device_that_is_not_here_gives_one_line(capsys, device, said):
    assert run(["bench", "tests.bench.tiny:CLASSES", "--device", device]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and said in error


def test_on_a_gpu_torch_compile_records_graphs(monkeypatch):
    modes, begun = [], []
    monkeypatch.setattr("backlit.bench.peers.on_gpu", lambda device: True)
    monkeypatch.setattr(torch, "compile", lambda call, mode: modes.append(mode) or call)
    monkeypatch.setattr(
        torch.compiler, "cudagraph_mark_step_begin", lambda: begun.append(len(begun))
    )
    step, _ = build(tiny.GAME, WAYS["torch.compile"])
    step(0, False)
    step(1, False)
    assert modes == ["reduce-overhead"] * 4  # two networks, two optimisers
    assert begun == [0, 1]


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:TensorFloat32")  # torch.compile's advice on float32 products
def test_a_run_on_the_gpu(cuda, monkeypatch):
    quick(monkeypatch)
    names = ["tests.bench.tiny:GAME", "tests.bench.tiny:CRITIC", "tests.bench.tiny:CLASSES"]
    plan = Plan(pairs=2, steps=3, alone=False, device="cuda")
    found = run_rows(names, plan)
    assert found["machine"]["gpu"]
    for row in found["rows"].values():
        ways = {name for name, way in row["ways"].items() if "median_s" in way}
        assert ways == set(WAYS) - {"jax"}
        assert row["ways"]["backlit"]["loss_difference_max"] < 0.1


def test_the_help_names_every_row():
    from backlit.cli import app

    done = CliRunner().invoke(app, ["bench", "--help"], env={"COLUMNS": "200"})
    assert all(name in done.output for name in ROWS)


def test_the_speed_page_is_up_to_date():
    spec = importlib.util.spec_from_file_location("speed_page", ROOT / "tools" / "speed_page.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    found = json.loads(tool.RESULTS.read_text(encoding="utf-8"))
    old = "is old: run python tools/speed_page.py"
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(found), f"docs/speed.md {old}"
    assert tool.PICTURE.read_text(encoding="utf-8") == bars(found), f"docs/images/speed.svg {old}"
