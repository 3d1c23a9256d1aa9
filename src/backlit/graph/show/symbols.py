"""Short signs for gates, as they stand in the circles of a teaching figure."""

from __future__ import annotations

_SYMBOLS = {
    "Add": "+",
    "Subtract": "−",
    "ReverseSubtract": "−",
    "Multiply": "×",
    "Divide": "÷",
    "Negate": "−x",
    "Absolute": "|x|",
    "PowerOfTensor": "xʸ",
    "PowerOfScalar": "aʸ",
    "SquareRoot": "√",
    "ReciprocalSquareRoot": "1/√",
    "Reciprocal": "1/x",
    "Exponential": "exp",
    "Logarithm": "ln",
    "Square": "x²",
    "Sigmoid": "σ",
    "Tanh": "tanh",
    "ReLU": "ReLU",
    "Maximum": "max",
    "Minimum": "min",
    "SumAll": "Σ",
    "Sum": "Σ",
    "MeanAll": "mean",
    "Mean": "mean",
    "MatrixMultiply": "A B",
    "Convolution": "∗",
    "Linear": "x Wᵀ",
    "Select": "x[i]",
    "Slice": "x[a:b]",
    "Copy": "=",
    "Detach": "stop",
}
_WITH_NUMBER = {"Add": "+{}", "Subtract": "−{}", "Multiply": "×{}", "Divide": "÷{}"}
_SUPERSCRIPT = str.maketrans("0123456789.-", "⁰¹²³⁴⁵⁶⁷⁸⁹·⁻")


def symbol(kind: str, numbers: list[str]) -> str:
    """The sign of a gate; `numbers` are its plain constants: adding 1 is ``+1``."""
    if numbers and kind in _WITH_NUMBER:
        return _WITH_NUMBER[kind].format(numbers[0])
    if numbers and kind == "Power":
        return "x" + numbers[0].translate(_SUPERSCRIPT)
    if numbers and kind == "ReverseSubtract":
        return f"{numbers[0]}−x"
    return _SYMBOLS.get(kind, kind)
