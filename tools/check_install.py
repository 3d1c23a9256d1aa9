"""Fails in CI if a package that must not come in was installed: CUDA builds, triton, torchvision.

Elsewhere it only says so: a person may want torch with CUDA.
"""

import importlib.metadata
import os
import sys

FORBIDDEN = ("nvidia", "triton", "torchvision", "torchaudio")

found = sorted(
    name
    for dist in importlib.metadata.distributions()
    if (name := dist.metadata["Name"].lower()).startswith(FORBIDDEN)
)
if found:
    text = f"expected no CUDA package, triton or torchvision, found: {', '.join(found)}"
    if os.environ.get("CI"):
        sys.exit(text)
    print(f"note: {text}")
print(f"install: {len(found)} forbidden packages; torch {importlib.metadata.version('torch')}")
