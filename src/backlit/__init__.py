"""Backlit: train neural networks, adversarial ones first, as one visible graph."""

from backlit.errors import BacklitError

__version__ = "0.1.0"

__all__ = ["BacklitError", "__version__"]
