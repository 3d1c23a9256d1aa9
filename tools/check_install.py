"""Fails if a package that must never come in was installed: CUDA builds, triton, torchvision."""

import importlib.metadata
import sys

FORBIDDEN = ("nvidia", "triton", "torchvision", "torchaudio")

found = sorted(
    name
    for dist in importlib.metadata.distributions()
    if (name := dist.metadata["Name"].lower()).startswith(FORBIDDEN)
)
if found:
    sys.exit(f"expected no CUDA package, triton or torchvision, found: {', '.join(found)}")
print(f"install: none of {', '.join(FORBIDDEN)}; torch {importlib.metadata.version('torch')}")
