"""Compiled steps kept on disk: plain Python text, shared libraries and a list of their sums.

An entry is a folder named by what it was compiled from. It counts only while every file has the
sum its manifest tells; else it is thrown away and the graph is compiled again.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.machinery
import importlib.util
import json
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule

from backlit.devices import on_cpu
from backlit.folders import cache_folder, keep_newest
from backlit.graph.fingerprint import fingerprint
from backlit.lower.kept_buffers import NAME, ask_for_kept, keep_pages, shared_buffers
from backlit.lower.made_once import make_once

Say = Callable[[str], None]

_FORMAT = 3  # one more whenever other code is compiled of the same graph
_KEPT = 64  # entries; a DCGAN's step has some 2 MB
_MANIFEST, _CODE = "manifest.json", "step.py"


def folder() -> Path:
    """Where entries are."""
    return cache_folder() / "compiled"


def key_of(gm: GraphModule, inputs: Sequence[Tensor], settings: Mapping[str, Any]) -> str | None:
    """What a compiled form depends on, as a hexadecimal sum; None for a graph not kept.

    Args:
        settings: the compiler's, JSON-able.
    """
    if not on_cpu(inputs) or any(n.op == "get_attr" for n in gm.graph.nodes):
        return None
    return fingerprint(gm, inputs, {"format": _FORMAT, "settings": dict(settings)})


@dataclass(frozen=True, eq=False)
class Kept:
    """A compiled form out of the cache; buffers that are made once serve one call at a time.

    Attributes:
        key: what it is kept under.
        stay: positions of the inputs that are the same tensors in most calls.
    """

    key: str
    stay: Sequence[int]
    _call: Callable[[list[Tensor]], Any]
    _lock: Any = field(default_factory=threading.Lock)

    def __call__(self, *inputs: Tensor) -> Any:
        with self._lock:
            return self._call(list(inputs))


def load(key: str, say: Say | None = None, stay: Sequence[int] = ()) -> Kept | None:
    """The compiled form under a key, None where there is none that is whole.

    Args:
        say: told, in one line, of an entry that is damaged.
        stay: positions of the inputs that are the same tensors in most calls.
    """
    entry = folder() / key
    try:
        manifest = json.loads((entry / _MANIFEST).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        manifest = {}
    wrong = _wrong(entry, manifest)
    if wrong is None:
        try:
            return Kept(key, stay, _run(entry, manifest["kernels"], stay))
        except (ImportError, SyntaxError, AttributeError) as error:
            wrong = str(error).partition("\n")[0]
    if say is not None:
        say(f"the compiled step kept in {entry} is damaged ({wrong}); compiling it again")
    shutil.rmtree(entry, ignore_errors=True)
    return None


def save(key: str, code: str, names: Mapping[str, Any], say: Say | None = None) -> bool:
    """Keeps a compiled form; returns whether it could be.

    Args:
        code: the text of the module that the compiler made.
        names: that module's names as they are after loading; its kernels are found there.
        say: told, in one line, why a folder cannot be written.
    """
    kernels = {
        name: (Path(value.__self__.__file__), value.__self__.__spec__.name.rpartition(".")[2])
        for name, value in names.items()
        if isinstance(getattr(value, "__self__", None), ModuleType)
        and str(getattr(value.__self__, "__file__", "")).endswith(".so")
        and f"\n{name} = async_compile.cpp_pybinding(" in code
    }
    if len(kernels) != code.count(" = async_compile."):
        return False
    home = folder()
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = Path(tempfile.mkdtemp(prefix=".", dir=home))
        try:
            sources = dict.fromkeys(source for source, _ in kernels.values())
            places = {source: f"kernels_{i}.so" for i, source in enumerate(sources)}
            _write(aside / _CODE, code.encode())
            for source, place in places.items():
                _write(aside / place, source.read_bytes())
            files = {name: _sum(aside / name) for name in [_CODE, *places.values()]}
            listed = {name: [places[source], entry] for name, (source, entry) in kernels.items()}
            text = json.dumps({"files": files, "kernels": listed}, indent=1)
            _write(aside / _MANIFEST, text.encode())
            if not (home / key).exists():
                aside.replace(home / key)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        keep_newest(home, _KEPT)
    except OSError as error:
        if not (home / key).exists() and say is not None:
            say(f"could not keep the compiled step in {home} ({error.strerror or error})")
        return False
    return True


class _Bound:
    """Stands for the compiler's own class while an entry loads: its kernels are there."""

    def cpp_pybinding(self, *given: Any) -> None:
        return None

    def wait(self, names: dict[str, Any]) -> None:
        return None


class _Later:
    """A name of the compiler that is imported when it is used: most never are."""

    def __init__(self, module: str, name: str):
        self._found = functools.cache(lambda: getattr(importlib.import_module(module), name))

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._found()(*args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found(), name)


class _Kernels(_Later):
    """PyTorch's own kernels under the names the compiler gives them."""

    mm, addmm, bmm, baddbmm = torch.mm, torch.addmm, torch.bmm, torch.baddbmm
    convolution = torch.convolution


_IMPORT = re.compile(r"^from (torch\._inductor\S*) import (\w+)(?: as (\w+))?$", re.MULTILINE)


def _run(
    entry: Path, kernels: Mapping[str, Sequence[str]], stay: Sequence[int]
) -> Callable[[list[Tensor]], Any]:
    names: dict[str, Any] = {"__name__": f"backlit_compiled_{entry.name[:16]}"}
    path = entry / _CODE
    code = ask_for_kept(path.read_text(encoding="utf-8"))
    names[NAME] = shared_buffers()
    keep_pages()
    # Importing the compiler takes longer than all the rest, and nothing is to be compiled.
    for module, name, alias in _IMPORT.findall(code):
        names[alias or name] = _Later(module, name)
    names["AsyncCompile"] = _Bound
    names["extern_kernels"] = _Kernels("torch._inductor.select_algorithm", "extern_kernels")
    tree = ast.parse(_IMPORT.sub("", code))
    make_once(tree, stay)
    exec(compile(tree, str(path), "exec"), names)
    for name, (file, module) in kernels.items():
        names[name] = library(entry / file, module).kernel
    call: Callable[[list[Tensor]], Any] = names["call"]
    return call


def library(path: Path, module: str) -> Any:
    """A module out of a shared library, which may hold several."""
    name = f"{path.parent.name[:16]}_{path.stem}.{module}"
    loader = importlib.machinery.ExtensionFileLoader(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    # How a kernel finds a tensor's memory: its module reads the address as it is loaded.
    guards: Any = torch._C._dynamo.guards  # type: ignore[attr-defined]
    # Left there: taken back, other threads that start programs would see half an environment.
    os.environ["_TORCHINDUCTOR_PYOBJECT_TENSOR_DATA_PTR"] = str(
        guards._torchinductor_pyobject_tensor_data_ptr
    )
    made = importlib.util.module_from_spec(spec)
    loader.exec_module(made)
    return made


def _wrong(entry: Path, manifest: Any) -> str | None:
    """The first file of an entry that is not as its manifest says."""
    try:
        for name, expected in manifest["files"].items():
            if _sum(entry / name) != expected:
                return name
        needed = {file for file, _ in manifest["kernels"].values()}
        return None if needed <= set(manifest["files"]) else _MANIFEST
    except (OSError, KeyError, AttributeError, TypeError, ValueError):
        return _MANIFEST


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
