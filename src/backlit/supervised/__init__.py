"""Training on inputs and targets: a network and its loss as one visible step.

`Supervised` is to one network what `backlit.gan.Game` is to two: the whole step - forward pass,
loss, backpropagation, update - is one graph that runs watched, plain or compiled.
"""

from backlit.supervised.supervised import Supervised

__all__ = ["Supervised"]
