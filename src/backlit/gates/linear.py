"""Gates of linear algebra: products of matrices."""

# Shapes: A (n, k), B (k, m), batch b; linear: x (..., i), w (o, i), bias (o).
from __future__ import annotations

import math

from backlit.gates.base import Gate, aten
from backlit.gates.samples import Draw, Sample


def _right_gradient(a, b, dz):
    """Aᵀ dZ, lying in memory as B does: a layer's weight is read transposed."""
    transposed = b.stride(0) < b.stride(1)
    return dz.t().mm(a).t() if transposed else a.t().mm(dz)


class MatrixMultiply(Gate):
    """Product of two matrices."""

    formula = "Z = A B"
    local = "dA = dZ Bᵀ, dB = Aᵀ dZ"
    precision = "low"
    forward = aten.mm.default

    @staticmethod
    def backward(dz, z, a, b):
        return lambda: dz.mm(b.t()), lambda: _right_gradient(a, b, dz)

    @staticmethod
    def samples(r: Draw):
        for n, k, m in ((1, 1, 1), (2, 3, 4), (4, 1, 2), (3, 3, 3), (0, 2, 3), (2, 0, 3)):
            yield Sample((r(n, k), r(k, m)))
        yield Sample((r.strided(2, 3), r(3, 2)))
        yield Sample((r(3, 2).t(), r(2, 3).t()))


class BatchMatrixMultiply(Gate):
    """Products of matrices, one for each element of the batch."""

    formula = "Zᵦ = Aᵦ Bᵦ"
    local = "dAᵦ = dZᵦ Bᵦᵀ, dBᵦ = Aᵦᵀ dZᵦ"
    precision = "low"
    forward = aten.bmm.default

    @staticmethod
    def backward(dz, z, a, b):
        return lambda: dz.bmm(b.transpose(1, 2)), lambda: a.transpose(1, 2).bmm(dz)

    @staticmethod
    def samples(r: Draw):
        for batch, n, k, m in ((1, 1, 1, 1), (2, 2, 3, 4), (3, 4, 1, 2), (0, 2, 2, 2)):
            yield Sample((r(batch, n, k), r(batch, k, m)))
        yield Sample((r(2, 0, 3), r(2, 3, 2)))
        yield Sample((r(2, 2, 0), r(2, 0, 2)))
        yield Sample((r.strided(2, 2, 3), r(2, 3, 2)))
        yield Sample((r(2, 3, 2).transpose(1, 2), r(1, 3, 2).expand(2, 3, 2)))


class MatrixVector(Gate):
    """Product of a matrix and a vector."""

    formula = "z = A x"
    local = "dA = dz xᵀ, dx = Aᵀ dz"
    precision = "low"
    forward = aten.mv.default

    @staticmethod
    def backward(dz, z, a, x):
        return lambda: dz.unsqueeze(1) * x, lambda: a.t().mv(dz)

    @staticmethod
    def samples(r: Draw):
        for n, k in ((1, 1), (2, 3), (3, 2), (4, 4), (0, 2), (2, 0)):
            yield Sample((r(n, k), r(k)))
        yield Sample((r.strided(2, 3), r(3)))
        yield Sample((r(3, 2).t(), r.strided(3)))


class Dot(Gate):
    """Inner product of two vectors."""

    formula = "z = Σ xᵢ yᵢ"
    local = "∂z/∂x = y, ∂z/∂y = x"
    precision = "low"
    forward = aten.dot.default
    overloads = (aten.vdot.default,)

    @staticmethod
    def backward(dz, z, x, y):
        return lambda: dz * y, lambda: dz * x

    @staticmethod
    def samples(r: Draw):
        for n in (1, 2, 3, 5, 8, 0):
            yield Sample((r(n), r(n)))
        yield Sample((r.strided(4), r(4)))
        yield Sample((r(1).expand(3), r(3)))


class AddMatrixMultiply(Gate):
    """Matrix product plus a bias that broadcasts."""

    formula = "Z = β C + α A B"
    local = "dC = β dZ, dA = α dZ Bᵀ, dB = α Aᵀ dZ"
    broadcasts = True
    precision = "low"
    forward = aten.addmm.default

    @staticmethod
    def backward(dz, z, c, a, b, beta=1, alpha=1):
        return (
            dz if beta == 1 else (lambda: dz * beta),
            lambda: (dz if alpha == 1 else dz * alpha).mm(b.t()),
            lambda: _right_gradient(a, b, dz if alpha == 1 else dz * alpha),
        )

    @staticmethod
    def samples(r: Draw):
        for bias in ((4,), (1, 4), (2, 1), (2, 4), ()):
            yield Sample((r(*bias), r(2, 3), r(3, 4)))
        yield Sample((r(4), r(2, 3), r(3, 4)), {"beta": 0.5, "alpha": 2.0})
        yield Sample((r(4), r(0, 3), r(3, 4)))
        yield Sample((r.strided(2, 4), r.strided(2, 3), r(4, 3).t()))


class Linear(Gate):
    """Fully connected layer: every output is a weighted sum of all inputs, plus a bias."""

    formula = "z = x Wᵀ + b"
    local = "dx = dz W, dW = dzᵀ x, db = Σ dz"
    precision = "low"
    forward = aten.linear.default

    @staticmethod
    def backward(dz, z, x, w, bias=None):
        rows = math.prod(dz.shape[:-1])
        dz2 = dz.reshape(rows, w.shape[0])  # (rows, o)
        x2 = x.reshape(rows, w.shape[1])  # (rows, i)
        return (
            lambda: dz2.mm(w).reshape(x.shape),
            lambda: dz2.t().mm(x2),
            None if bias is None else (lambda: dz2.sum(0)),
        )

    @staticmethod
    def expand(x, w, bias=None):
        rows = math.prod(x.shape[:-1])
        z = x.reshape(rows, w.shape[1]).mm(w.t()).reshape(*x.shape[:-1], w.shape[0])
        return z if bias is None else z + bias

    @staticmethod
    def samples(r: Draw):
        for lead in ((), (1,), (4,), (2, 3), (0,), (2, 0)):
            yield Sample((r(*lead, 3), r(2, 3), r(2)))
        yield Sample((r(4, 3), r(2, 3)))
        yield Sample((r.strided(4, 3), r(3, 2).t(), r(2)))


class BatchAddMatrixMultiply(Gate):
    """Batched matrix product plus a bias that broadcasts."""

    formula = "Zᵦ = β Cᵦ + α Aᵦ Bᵦ"
    local = "dC = β dZ, dAᵦ = α dZᵦ Bᵦᵀ, dBᵦ = α Aᵦᵀ dZᵦ"
    broadcasts = True
    precision = "low"
    forward = aten.baddbmm.default

    @staticmethod
    def backward(dz, z, c, a, b, beta=1, alpha=1):
        return (
            dz if beta == 1 else (lambda: dz * beta),
            lambda: (dz if alpha == 1 else dz * alpha).bmm(b.transpose(1, 2)),
            lambda: a.transpose(1, 2).bmm(dz if alpha == 1 else dz * alpha),
        )

    @staticmethod
    def samples(r: Draw):
        for bias in ((2, 2, 4), (1, 4), (2, 1, 4), (4,), (2, 2, 1)):
            yield Sample((r(*bias), r(2, 2, 3), r(2, 3, 4)))
        yield Sample((r(2, 2, 4), r(2, 2, 3), r(2, 3, 4)), {"beta": 0.5, "alpha": 2.0})
        yield Sample((r(0, 2, 4), r(0, 2, 3), r(0, 3, 4)))
        yield Sample((r.strided(2, 2, 4), r.strided(2, 2, 3), r(2, 4, 3).transpose(1, 2)))


class AddMatrixVector(Gate):
    """Product of a matrix and a vector plus a bias that broadcasts."""

    formula = "z = β c + α A x"
    local = "dc = β dz, dA = α dz xᵀ, dx = α Aᵀ dz"
    broadcasts = True
    precision = "low"
    forward = aten.addmv.default

    @staticmethod
    def backward(dz, z, c, a, x, beta=1, alpha=1):
        scaled = dz if alpha == 1 else dz * alpha
        return (
            dz if beta == 1 else (lambda: dz * beta),
            lambda: scaled.unsqueeze(1) * x,
            lambda: a.t().mv(scaled),
        )

    @staticmethod
    def samples(r: Draw):
        for c, n, k in (((), 2, 3), ((1,), 3, 2), ((2,), 2, 3), ((4,), 4, 4), ((1,), 1, 1)):
            yield Sample((r(*c), r(n, k), r(k)))
        yield Sample((r(2), r(2, 3), r(3)), {"beta": 0.5, "alpha": 2.0})
        yield Sample((r(0), r(0, 3), r(3)))
        yield Sample((r.strided(2), r.strided(2, 3), r(3)))


class AddBatchMatrixMultiply(Gate):
    """Products of matrices summed over the batch, plus a bias that broadcasts."""

    formula = "Z = β C + α Σᵦ Aᵦ Bᵦ"
    local = "dC = β dZ, dAᵦ = α dZ Bᵦᵀ, dBᵦ = α Aᵦᵀ dZ"
    broadcasts = True
    precision = "low"
    forward = aten.addbmm.default

    @staticmethod
    def backward(dz, z, c, a, b, beta=1, alpha=1):
        each = (dz if alpha == 1 else dz * alpha).expand(a.shape[0], *dz.shape)
        return (
            dz if beta == 1 else (lambda: dz * beta),
            lambda: each.bmm(b.transpose(1, 2)),
            lambda: a.transpose(1, 2).bmm(each),
        )

    @staticmethod
    def samples(r: Draw):
        for bias in ((4,), (1, 4), (2, 1), (2, 4), ()):
            yield Sample((r(*bias), r(2, 2, 3), r(2, 3, 4)))
        yield Sample((r(4), r(2, 2, 3), r(2, 3, 4)), {"beta": 0.5, "alpha": 2.0})
        yield Sample((r(4), r(2, 0, 3), r(2, 3, 4)))
        yield Sample((r.strided(2, 4), r.strided(2, 2, 3), r(2, 4, 3).transpose(1, 2)))
