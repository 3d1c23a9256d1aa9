"""What Backlit says when something is wrong: what was expected, what came, where, what to do."""


class BacklitError(Exception):
    """Base of every error Backlit raises on purpose; the text is one readable line."""


class CaptureError(BacklitError):
    """A module or function could not become a graph of gates."""


class ParityError(CaptureError):
    """The captured graph and plain PyTorch disagree."""


class GateError(BacklitError):
    """An operation has no gate, or a gate was written or used wrongly."""


class DataError(BacklitError):
    """Pictures, tables or series that cannot be used as they are."""


class RecipeError(BacklitError):
    """A recipe with an unknown key, a wrong type or a value that is not allowed."""


class RunError(BacklitError):
    """A run folder that cannot be continued, read or written."""


class DivergenceError(RunError):
    """A number in training became NaN or infinite."""
