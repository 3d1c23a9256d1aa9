"""A verdict stands while graph, source and machine are the same; it is asked for again else."""

import importlib.util
import sys

import pytest
import torch
from torch import nn

from backlit import gates
from backlit.errors import ParityError
from backlit.gates import Gate
from backlit.graph import capture, verdicts

NET = """
from torch import nn

class Net(nn.Sequential):
    pass
"""


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What was compared with PyTorch, in a cache folder of the test's own."""
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path / "cache"))
    found, compare = [], verdicts.verify
    monkeypatch.setattr(verdicts, "verify", lambda *given: found.append(given) or compare(*given))
    return found


def net_of(path, text, monkeypatch):
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("a_users_nets", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "a_users_nets", module)
    spec.loader.exec_module(module)
    return module.Net(nn.Linear(3, 2), nn.Tanh())


def test_once_for_the_same_graph(asked):
    for _ in range(2):  # other weights, the same graph
        capture(nn.Sequential(nn.Linear(3, 2), nn.Tanh()), torch.randn(4, 3), verdict="once")
    assert len(asked) == 1
    capture(nn.Sequential(nn.Linear(3, 2), nn.Tanh()), torch.randn(5, 3), verdict="once")
    capture(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), torch.randn(5, 3), verdict="once")
    assert len(asked) == 3


def test_again_where_a_class_s_file_changed(asked, tmp_path, monkeypatch):
    path = tmp_path / "nets.py"
    for text, times in ((NET, 1), (NET, 1), (NET + "# changed\n", 2)):
        capture(net_of(path, text, monkeypatch), torch.randn(4, 3), verdict="once")
        assert len(asked) == times


def test_always_where_a_class_has_no_file(asked, tmp_path, monkeypatch):
    for times in (1, 2):
        net = net_of(tmp_path / "nets.py", NET, monkeypatch)
        monkeypatch.delitem(sys.modules, "a_users_nets")
        capture(net, torch.randn(4, 3), verdict="once")
        assert len(asked) == times


def test_always_for_functions_and_where_it_is_asked_for(asked, monkeypatch):
    compared, verify = [], verdicts.verify
    module = sys.modules["backlit.graph.capture"]
    monkeypatch.setattr(module, "verify", lambda *given: compared.append(given) or verify(*given))
    net = nn.Linear(3, 2)
    capture(net, torch.randn(4, 3), verdict="once")
    assert (len(asked), len(compared)) == (1, 0)
    for _ in range(2):
        capture(net, torch.randn(4, 3))
    for _ in range(2):
        capture(lambda x: net(x).tanh(), torch.randn(4, 3), verdict="once")
    assert len(compared) == 4


def test_always_with_a_user_s_gate(asked):
    """Its rule may have changed in a file that no class of the network is from."""

    class Doubled(Gate):
        @staticmethod
        def forward(x):
            return 2 * x

        @staticmethod
        def backward(dz, z, x):
            return (2 * dz,)

    class Net(nn.Module):
        def forward(self, x):
            return doubled(x)

    doubled = gates.gate(Doubled)
    try:
        for times in (1, 2):
            capture(Net(), torch.randn(4, 3), verdict="once")
            assert len(asked) == times
    finally:
        gates.forget(Doubled)


def test_a_refusal_is_not_remembered(asked, monkeypatch):
    def refuse(*given):
        raise ParityError("they differ")

    with monkeypatch.context() as patched:
        patched.setattr(verdicts, "verify", refuse)
        for _ in range(2):
            with pytest.raises(ParityError):
                capture(nn.Linear(3, 2), torch.randn(4, 3), verdict="once")
    capture(nn.Linear(3, 2), torch.randn(4, 3), verdict="once")
    assert len(asked) == 1


def test_a_cache_that_cannot_be_written_does_no_harm(asked, tmp_path):
    (tmp_path / "cache").write_text("in the way")
    for times in (1, 2):
        capture(nn.Linear(3, 2), torch.randn(4, 3), verdict="once")
        assert len(asked) == times
