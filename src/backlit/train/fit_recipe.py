"""The recipe of supervised training: everything that decides a run, as TOML."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, NonNegativeFloat

from backlit.train import sections
from backlit.train.sections import (
    SGD,
    Adadelta,
    Adagrad,
    Fit,
    Fraction,
    Named,
    NameOrTable,
    Network,
    PositiveFloat,
    RMSprop,
    Section,
    Train,
)
from backlit.train.toml import dumps


class FitData(Section):
    """[data]: where the samples come from; further keys are the source's own options.

    Attributes:
        source: a name of `backlit.train.tasks.SOURCES`. A `path` among the options is seen from
            the recipe's own folder.
    """

    model_config = ConfigDict(extra="allow")

    source: str

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Adam(sections.Adam):
    """torch.optim.Adam with its own defaults, not those of a game."""

    lr: PositiveFloat = 1e-3
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)


class AdamW(sections.AdamW):
    """torch.optim.AdamW with its own defaults, not those of a game."""

    lr: PositiveFloat = 1e-3
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)


Optimiser = Annotated[
    SGD | RMSprop | Adam | AdamW | Adagrad | Adadelta, Field(discriminator="name")
]


class Regularise(Section):
    """[regularise]: what is added to the loss, and the bound on the gradients.

    Attributes:
        l1, l2: l1 Σ|w| + l2 Σw² over all weights; weight decay is the optimiser's own.
        clip_norm: largest joint norm of the gradients; 0 for no clipping.
    """

    l1: NonNegativeFloat = 0.0
    l2: NonNegativeFloat = 0.0
    clip_norm: NonNegativeFloat = 0.0


class FitRecipe(Section):
    """A whole recipe.

    Attributes:
        about: one line for people.
        loss: a name of `backlit.losses.LOSSES` or a table {name, options}; cross_entropy takes
            weights = "balanced" too.
        schedule: of the learning rate, a name of `backlit.step.SCHEDULES` or a table.
        augment: changes of each training batch, in order: names of
            `backlit.supervised.AUGMENTATIONS` or tables.
    """

    about: str = ""
    data: FitData
    network: Network
    loss: NameOrTable = Named(name="cross_entropy")
    optimiser: Optimiser = Adam(name="Adam")
    schedule: NameOrTable = Named(name="constant")
    augment: tuple[NameOrTable, ...] = ()
    regularise: Regularise = Regularise()
    fit: Fit = Fit()
    train: Train = Train()

    def text(self) -> str:
        """Return the complete resolved recipe as TOML."""
        return dumps(self.model_dump())
