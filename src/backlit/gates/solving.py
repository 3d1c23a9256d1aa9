"""Gates of linear algebra beyond products: inverse, determinant, solving, factors, exponential."""

# Shapes: A (..., n, n), B (..., n, k) or (n); factors and results likewise.
from __future__ import annotations

import torch

from backlit.gates.base import Gate, aten
from backlit.gates.samples import Draw, Sample


def _square(r: Draw, n: int, *batch: int):
    """A matrix that is safely invertible: its diagonal outweighs the rest."""
    return r(*batch, n, n, low=-0.5, high=0.5) + 2 * torch.eye(n, dtype=r.dtype)


def _squares(r: Draw):
    for shape in ((1,), (2,), (3,), (2, 2), (3, 1, 2), (2, 0), (4,)):
        yield _square(r, shape[0], *shape[1:])
    yield _square(r, 3).t()


def _inverse(a):
    return aten.linalg_inv_ex.default(a)[0]


def _solve(a, b):
    return aten._linalg_solve_ex.default(a, b)[0]


class Inverse(Gate):
    """Inverse of a matrix."""

    formula = "Z = A⁻¹"
    local = "dA = −Zᵀ dZ Zᵀ"
    forward = aten.linalg_inv.default

    @staticmethod
    def backward(dz, z, a):
        return (lambda: -(z.mT @ dz @ z.mT),)

    @staticmethod
    def samples(r: Draw):
        for a in _squares(r):
            yield Sample((a,))


class InverseUnchecked(Gate):
    """Inverse of a matrix, with a flag instead of an error where there is none."""

    formula = "Z = A⁻¹"
    local = "dA = −Zᵀ dZ Zᵀ"
    forward = aten.linalg_inv_ex.default

    @staticmethod
    def backward(dz, z, a, check_errors=False):
        return (lambda: -(z[0].mT @ dz[0] @ z[0].mT),)

    samples = Inverse.samples


class Determinant(Gate):
    """Determinant of an invertible matrix; returns also its LU factors."""

    formula = "z = det A"
    local = "dA = dz z A⁻ᵀ"
    forward = aten._linalg_det.default

    @staticmethod
    def backward(dz, z, a):
        if dz[0] is None:
            return (None,)
        return (lambda: (dz[0] * z[0])[..., None, None] * _inverse(a).mT,)

    samples = Inverse.samples


class LogDeterminant(Gate):
    """Sign and logarithm of the magnitude of a determinant; returns also the LU factors."""

    formula = "s, z = sign det A, ln |det A|"
    local = "dA = dz A⁻ᵀ"
    forward = aten._linalg_slogdet.default

    @staticmethod
    def backward(dz, z, a):
        if dz[1] is None:
            return (None,)
        return (lambda: dz[1][..., None, None] * _inverse(a).mT,)

    samples = Inverse.samples


def _solve_rule(dz, x, a, b, left):
    """dB = A⁻ᵀ dX, dA = −dB Xᵀ (and mirrored where A stands on the right)."""
    column = b.dim() == 1 or (b.dim() == a.dim() - 1 and b.shape == a.shape[:-1])

    def to_b():
        if column:
            return _solve(a.mT, dz.unsqueeze(-1)).squeeze(-1)
        return _solve(a.mT, dz) if left else _solve(a, dz.mT).mT

    def to_a():
        g = to_b()
        if column:
            return -(g.unsqueeze(-1) * x.unsqueeze(-2))
        return -(g @ x.mT) if left else -(x.mT @ g)

    return to_a, to_b


class Solve(Gate):
    """Solution X of A X = B (or X A = B)."""

    formula = "X = A⁻¹ B"
    local = "dB = A⁻ᵀ dX, dA = −dB Xᵀ"
    forward = aten.linalg_solve.default

    @staticmethod
    def backward(dz, z, a, b, *, left=True):
        return _solve_rule(dz, z, a, b, left)

    @staticmethod
    def samples(r: Draw):
        for n, b, batch in (
            (1, (1,), ()),
            (2, (2,), ()),
            (3, (3, 2), ()),
            (2, (2, 2, 3), (2,)),
            (2, (3, 2), (3,)),
            (2, (0, 2, 1), (0,)),
        ):
            yield Sample((_square(r, n, *batch), r(*b)))
        yield Sample((_square(r, 3), r(2, 3)), {"left": False})
        yield Sample((_square(r, 3).t(), r.strided(3, 2)))


class SolveUnchecked(Gate):
    """Solution X of A X = B; returns also the LU factors and a flag."""

    formula = "X = A⁻¹ B"
    local = "dB = A⁻ᵀ dX, dA = −dB Xᵀ"
    forward = aten._linalg_solve_ex.default

    @staticmethod
    def backward(dz, z, a, b, *, left=True, check_errors=False):
        if dz[0] is None:
            return None, None
        return _solve_rule(dz[0], z[0], a, b, left)

    samples = Solve.samples


class SolveTriangular(Gate):
    """Solution X of A X = B (or X A = B) for triangular A."""

    formula = "X = A⁻¹ B"
    local = "dB = A⁻ᵀ dX, dA = −dB Xᵀ, its triangle"
    forward = aten.linalg_solve_triangular.default

    @staticmethod
    def backward(dz, z, a, b, *, upper, left=True, unitriangular=False):
        how = {"upper": not upper, "left": left, "unitriangular": unitriangular}

        def to_b():
            return aten.linalg_solve_triangular.default(a.mT, dz, **how)

        def to_a():
            g = -(to_b() @ z.mT) if left else -(z.mT @ to_b())
            k = 1 if unitriangular else 0
            return g.triu(k) if upper else g.tril(-k)

        return to_a, to_b

    @staticmethod
    def samples(r: Draw):
        for upper in (False, True):
            for n, b in ((1, (1, 1)), (3, (3, 2)), (2, (2, 2, 3))):
                a = _square(r, n, *b[:-2])
                yield Sample((a.triu() if upper else a.tril(), r(*b)), {"upper": upper})
        a = _square(r, 3)
        yield Sample((a.triu(), r(2, 3)), {"upper": True, "left": False})
        yield Sample((a.tril(), r(3, 2)), {"upper": False, "unitriangular": True})
        yield Sample((a.triu().t(), r.strided(3, 2)), {"upper": False})
        yield Sample((a.triu(), r(3, 0)), {"upper": True})


def _cholesky_rule(dl, factor, upper):
    """Gradient through A = L Lᵀ, symmetric. Source: Murray 2016, equation (10)."""
    if upper:
        dl, factor = dl.mT, factor.mT
    inner = (factor.mT @ dl).tril()
    diagonal = aten.diagonal.default(inner, 0, -2, -1)
    inner = inner - torch.diag_embed(diagonal / 2)  # lower triangle, diagonal halved
    half = aten.linalg_solve_triangular.default(factor.mT, inner, upper=True)
    whole = aten.linalg_solve_triangular.default(factor, half, upper=False, left=False)
    return (whole + whole.mT) / 2


class Cholesky(Gate):
    """Triangular factor of a symmetric positive matrix."""

    formula = "L Lᵀ = A"
    local = "dA = L⁻ᵀ Φ(Lᵀ dL) L⁻¹, symmetrised; Φ: lower triangle, diagonal halved"
    symmetric = True
    forward = aten.linalg_cholesky_ex.default

    @staticmethod
    def backward(dz, z, a, *, upper=False, check_errors=False):
        return (lambda: _cholesky_rule(dz[0], z[0], upper),)

    @staticmethod
    def samples(r: Draw):
        # Only one triangle of A is read: numerical differences along one entry would not see
        # what the symmetrised gradient states, so they are left out.
        for a in _squares(r):
            yield Sample((a @ a.mT,), smooth=False)
            yield Sample((a @ a.mT,), {"upper": True}, smooth=False)
        yield Sample(((_square(r, 3) * 0 + 2 * torch.eye(3, dtype=r.dtype)).t(),), smooth=False)


class CholeskyChecked(Gate):
    """Triangular factor of a symmetric positive matrix; an error where it is not positive."""

    formula = "L Lᵀ = A"
    local = "dA = L⁻ᵀ Φ(Lᵀ dL) L⁻¹, symmetrised; Φ: lower triangle, diagonal halved"
    symmetric = True
    forward = aten.linalg_cholesky.default

    @staticmethod
    def backward(dz, z, a, *, upper=False):
        return (lambda: _cholesky_rule(dz, z, upper),)

    samples = Cholesky.samples


class MatrixExponential(Gate):
    """Exponential of a matrix.

    Source: Van Loan 1978, theorem 1: the derivative is a block of a larger exponential.
    """

    formula = "Z = e^A"
    local = "dA = upper right block of e^[[Aᵀ, dZ], [0, Aᵀ]]"
    forward = aten.linalg_matrix_exp.default

    @staticmethod
    def backward(dz, z, a):
        def rule():
            n, at = a.shape[-1], a.mT
            blocks = torch.cat(
                [torch.cat([at, dz], -1), torch.cat([torch.zeros_like(at), at], -1)], -2
            )
            return aten.linalg_matrix_exp.default(blocks)[..., :n, n:]

        return (rule,)

    samples = Inverse.samples
