"""Vectors are taken on trust; where their kernels cannot be built, narrower ones."""

import platform
import warnings

import pytest

from backlit.lower.vectors import widest_vectors

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what PyTorch deprecates in its own files
    from torch._inductor import config
    from torch._inductor.cpu_vec_isa import VecAVX2
    from torch._inductor.exc import CppCompileError, InductorError


def failing(error, times):
    """What fails a number of times, and the width asked for each time."""
    asked = []

    def make():
        asked.append((config.cpp.vec_isa_ok, config.cpp.simdlen))
        if len(asked) <= times:
            raise error
        return "made"

    return make, asked


@pytest.mark.parametrize(
    "error",
    [
        CppCompileError(["g++"], "unrecognized option"),
        InductorError(CppCompileError(["g++"], "unrecognized option"), None),
        ImportError("undefined symbol: Sleef_expf16_u10"),
    ],
)
@pytest.mark.parametrize("times", [0, 1, 2])
def test_narrower_where_the_wider_cannot_be_built_or_loaded(error, times):
    make, asked = failing(error, times)
    assert widest_vectors(make) == "made"
    assert asked == [(True, None), (True, 256), (True, 0)][: times + 1]


def test_no_compiler_that_works_is_said():
    make, asked = failing(CppCompileError(["g++"], "no space left on device"), 9)
    with pytest.raises(CppCompileError, match="no space left"):
        widest_vectors(make)
    assert len(asked) == 3


def test_another_error_is_not_tried_again():
    make, asked = failing(ValueError("expected another shape"), 9)
    with pytest.raises(ValueError, match="another shape"):
        widest_vectors(make)
    assert len(asked) == 1


def test_sets_of_instructions_are_asked_of_the_compiler_by_name():
    known, unknown = VecAVX2(), VecAVX2()
    unknown._arch_flags += " -mno-such-instructions"
    asked = [known.check_build, unknown.check_build]  # PyTorch's own, which build and load
    answers = widest_vectors(lambda: [known.check_build(""), unknown.check_build("")])
    assert answers == ([True, False] if platform.machine() in ("x86_64", "AMD64") else [False] * 2)
    assert asked == [known.check_build, unknown.check_build]
