"""The recipe of a game: everything that decides a run, as TOML."""

from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from backlit.train.sections import (
    Adam,
    Fraction,
    Named,
    NameOrTable,
    Network,
    Optimiser,
    Section,
    Train,
)
from backlit.train.toml import dumps


class Data(Section):
    """[data]: which pictures, at which size.

    Attributes:
        source: "emoji" (the bundled set) or "folder" (`path` says which).
        path: folder of pictures, seen from the recipe's own folder; for source "folder".
        size: edge of the square pictures, px.
        style, group: which emoji; group "" takes all of them.
        fit: how a picture that is not square becomes so.
        strict: refuse a folder with unreadable pictures instead of skipping and counting them.
    """

    source: Literal["emoji", "folder"] = "emoji"
    path: str = ""
    size: PositiveInt = 32
    style: Literal["3d", "flat"] = "3d"
    group: str = ""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    strict: bool = False


class Game(Section):
    """[game]: the rules of play.

    Attributes:
        loss: adversarial loss, a name or a table {name, options}.
        penalty: penalty on D, likewise; "none" for none.
        d_steps: updates of D per update of G.
        warmup_d_steps: first iterations in which D alone is updated.
        ema: decay of G's moving average per step; 0 for none.
        clip_norm: largest joint norm of a player's gradients; 0 for no clipping.
        one_stage: both players updated at once from one pass; another algorithm, see `Game`.
    """

    loss: NameOrTable = Named(name="nonsaturating")
    penalty: NameOrTable = Named(name="none")
    d_steps: PositiveInt = 1
    warmup_d_steps: NonNegativeInt = 0
    ema: Fraction = 0.999
    clip_norm: NonNegativeFloat = 0.0
    one_stage: bool = False


class Optimisers(Section):
    """[optimiser]: one for the discriminator (d), one for the generator (g)."""

    d: Optimiser = Adam(name="Adam")
    g: Optimiser = Adam(name="Adam")


class Recipe(Section):
    """A whole recipe.

    Attributes:
        about: one line for people.
        device: where the networks lie while they are trained: "cpu", "cuda" or "cuda:1".
    """

    about: str = ""
    device: str = "cpu"
    data: Data = Data()
    generator: Network
    discriminator: Network
    game: Game = Game()
    optimiser: Optimisers = Optimisers()
    train: Train = Train()

    def text(self) -> str:
        """Return the complete resolved recipe as TOML."""
        return dumps(self.model_dump())
