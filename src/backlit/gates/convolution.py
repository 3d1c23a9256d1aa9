"""Convolution in 1, 2 and 3 dimensions, plain and transposed, and its two adjoint gates.

Convolution, its input gradient and its weight gradient are each linear in two wires, and each
one's rule is made of the other two: the three close under differentiation.
"""

# Shapes: x (N, C, *S), w (K, C/groups, *kernel); transposed: w (C, K/groups, *kernel).
from __future__ import annotations

from backlit.gates.base import Gate, aten
from backlit.gates.samples import Draw, Sample


def _input_grad(dz, x, w, settings):
    """Gradient of a convolution with respect to its input, of x's shape."""
    return aten.convolution_backward.default(dz, x, w, None, *settings, [True, False, False])[0]


def _weight_grad(dz, x, w, settings):
    """Gradient of a convolution with respect to its weight, of w's shape."""
    return aten.convolution_backward.default(dz, x, w, None, *settings, [False, True, False])[1]


def _sum_channels(dz):
    """Gradient with respect to the bias: summed over everything but the channel."""
    return dz.sum([axis for axis in range(dz.dim()) if axis != 1])


def _settings(r: Draw):
    """Weight shape, bias, and the settings of each sample, over 1, 2 and 3 dimensions."""
    plain = ([1], [0], [1], False, [0], 1)
    yield (2, 3, 6), (4, 3, 3), plain
    yield (2, 4, 7), (6, 2, 3), ([2], [1], [1], False, [0], 2)
    yield (2, 3, 5, 5), (4, 3, 3, 3), ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
    yield (2, 3, 6, 5), (4, 3, 2, 3), ([2, 1], [0, 1], [1, 2], False, [0, 0], 1)
    yield (1, 4, 4, 4), (4, 1, 3, 3), ([1, 1], [1, 1], [1, 1], False, [0, 0], 4)
    yield (2, 3, 3, 3), (3, 4, 4, 4), ([2, 2], [1, 1], [1, 1], True, [0, 0], 1)
    yield (2, 4, 3, 2), (4, 2, 3, 3), ([2, 2], [1, 1], [1, 1], True, [1, 1], 2)
    yield (1, 2, 3, 4, 3), (2, 2, 2, 2, 2), ([1, 2, 1], [0, 1, 1], [1] * 3, False, [0] * 3, 1)
    yield (1, 2, 2, 2, 2), (2, 1, 2, 2, 2), ([2] * 3, [0] * 3, [1] * 3, True, [0] * 3, 1)
    yield (2, 2, 5), (2, 3, 3), ([2], [0], [2], True, [1], 1)
    # An empty batch: PyTorch's own double backward refuses it, so it is tried at first order.
    yield (0, 3, 5, 5), (4, 3, 3, 3), ([1, 1], [0, 0], [1, 1], False, [0, 0], 1)


class Convolution(Gate):
    """Slides a kernel over the input; transposed, it spreads each input value by the kernel.

    Arguments: x, w, bias, stride, padding, dilation, transposed, output_padding, groups.
    Source: Dumoulin and Visin 2016, "A guide to convolution arithmetic", relationships 6 and 14.
    """

    formula = "z = x ∗ w + b"
    local = "dx = dz ∗ᵀ w, dw = x ⋆ dz, db = Σ dz"
    precision = "low"
    forward = aten.convolution.default

    @staticmethod
    def backward(dz, z, x, w, bias, *settings):
        return (
            lambda: _input_grad(dz, x, w, settings),
            lambda: _weight_grad(dz, x, w, settings),
            None if bias is None else (lambda: _sum_channels(dz)),
        )

    @staticmethod
    def samples(r: Draw):
        for x, w, settings in _settings(r):
            transposed, groups = settings[3], settings[5]
            channels = w[1] * groups if transposed else w[0]
            yield Sample((r(*x), r(*w), r(channels), *settings))
        yield Sample((r.strided(2, 3, 5), r.strided(4, 3, 3), None, [1], [0], [1], False, [0], 1))


class ConvolutionBackward(Gate):
    """Adjoint gates of convolution: the gradient with respect to input or weight (by the mask).

    Arguments: dz, x, w, bias_sizes, stride, padding, dilation, transposed, output_padding,
    groups, mask of three booleans (input, weight, bias); returns three gradients.
    """

    formula = "dx = dz ∗ᵀ w or dw = x ⋆ dz"
    local = "bilinear: convolutions of the two other wires"
    precision = "low"
    forward = aten.convolution_backward.default

    @staticmethod
    def backward(dz, z, dout, x, w, bias_sizes, *rest):
        *settings, _mask = rest
        grad_input, grad_weight, grad_bias = dz

        def to_dz():
            total = None
            if grad_input is not None:
                total = aten.convolution.default(grad_input, w, None, *settings)
            if grad_weight is not None:
                term = aten.convolution.default(x, grad_weight, None, *settings)
                total = term if total is None else total + term
            if grad_bias is not None:
                shape = [1, -1] + [1] * (dout.dim() - 2)
                term = grad_bias.reshape(shape).expand(dout.shape)
                total = term if total is None else total + term
            return total

        return (
            to_dz,
            None if grad_weight is None else (lambda: _input_grad(dout, x, grad_weight, settings)),
            None if grad_input is None else (lambda: _weight_grad(dout, grad_input, w, settings)),
        )

    @staticmethod
    def samples(r: Draw):
        for x, w, settings in _settings(r):
            x_, w_ = r(*x), r(*w)
            dz = r(*aten.convolution.default(x_, w_, None, *settings).shape)
            yield Sample((dz, x_, w_, None, *settings, [True, False, False]))
            yield Sample((dz, x_, w_, None, *settings, [False, True, False]))
        plain = ([1], [0], [1], False, [0], 1)
        three = (r.strided(2, 4, 3), r.strided(2, 3, 5), r.strided(4, 3, 3))
        yield Sample((*three, None, *plain, [True, False, False]))
        yield Sample((*three, [4], *plain, [True, True, True]))
