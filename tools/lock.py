"""Prints the versions installed in this environment as a constraints file, Backlit left out."""

import importlib.metadata

OURS = {"backlit", "pip", "setuptools", "wheel"}

print("# Versions that `make demo` and `make test` install; renew with `make lock`.")
for line in sorted(
    f"{name}=={dist.version.split('+')[0]}"
    for dist in importlib.metadata.distributions()
    if (name := dist.metadata["Name"].lower().replace("_", "-")) not in OURS
):
    print(line)
