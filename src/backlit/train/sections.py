"""What recipes are made of: tables checked by frozen models before work begins."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)

from backlit.errors import RecipeError
from backlit.train.recipe_errors import explain

T = TypeVar("T", bound="Section")
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A table of a recipe: unknown keys, wrong types and infinite numbers are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Network(Section):
    """[generator], [discriminator], [network]: a network by name; other keys are its options.

    Attributes:
        network: a name of `backlit.nets.NETWORKS`; what the data decides (size, channels,
            classes, ...) comes from [data].
    """

    model_config = ConfigDict(extra="allow")

    network: str

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Named(Section):
    """A loss, a penalty, a schedule: a table {name, options}; the name alone will do.

    Attributes:
        name: what it is called in the room that has it.
    """

    model_config = ConfigDict(extra="allow")

    name: str

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})

    @property
    def table(self) -> dict[str, Any]:
        """As it stands in the recipe: name and options."""
        return {"name": self.name} | self.options


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


NameOrTable = Annotated[Named, BeforeValidator(_named)]


class SGD(Section):
    """torch.optim.SGD."""

    name: Literal["SGD"]
    lr: PositiveFloat = 1e-2
    momentum: NonNegativeFloat = 0.0
    dampening: NonNegativeFloat = 0.0
    weight_decay: NonNegativeFloat = 0.0
    nesterov: bool = False


class RMSprop(Section):
    """torch.optim.RMSprop."""

    name: Literal["RMSprop"]
    lr: PositiveFloat = 1e-2
    alpha: Fraction = 0.99
    eps: PositiveFloat = 1e-8
    weight_decay: NonNegativeFloat = 0.0
    momentum: NonNegativeFloat = 0.0
    centered: bool = False


class Adam(Section):
    """torch.optim.Adam; the defaults are those of DCGAN (arXiv:1511.06434, section 4)."""

    name: Literal["Adam"]
    lr: PositiveFloat = 2e-4
    betas: tuple[Fraction, Fraction] = (0.5, 0.999)
    eps: PositiveFloat = 1e-8
    weight_decay: NonNegativeFloat = 0.0
    amsgrad: bool = False


class AdamW(Section):
    """torch.optim.AdamW."""

    name: Literal["AdamW"]
    lr: PositiveFloat = 2e-4
    betas: tuple[Fraction, Fraction] = (0.5, 0.999)
    eps: PositiveFloat = 1e-8
    weight_decay: NonNegativeFloat = 1e-2
    amsgrad: bool = False


class Adagrad(Section):
    """torch.optim.Adagrad."""

    name: Literal["Adagrad"]
    lr: PositiveFloat = 1e-2
    lr_decay: NonNegativeFloat = 0.0
    weight_decay: NonNegativeFloat = 0.0
    initial_accumulator_value: NonNegativeFloat = 0.0
    eps: PositiveFloat = 1e-10


class Adadelta(Section):
    """torch.optim.Adadelta."""

    name: Literal["Adadelta"]
    lr: PositiveFloat = 1.0
    rho: Fraction = 0.9
    eps: PositiveFloat = 1e-6
    weight_decay: NonNegativeFloat = 0.0


Optimiser = Annotated[
    SGD | RMSprop | Adam | AdamW | Adagrad | Adadelta, Field(discriminator="name")
]


class Train(Section):
    """[train]: the loop; also the keyword arguments of `train`.

    Attributes:
        steps: iterations in all; the one number that may be raised when a run goes on.
        batch: pictures a step, shared out among the d_steps of D.
        seed: decides the weights, the order of the pictures and the noise.
        save_every: steps between checkpoints.
        sample_every: steps between grids of pictures; 0 for none but the final one.
        pictures: pictures in a grid.
        mode: how a step runs; "auto" compiles where a C++ compiler is found.
        precision: of the step; the parameters keep theirs. "auto" is bfloat16 for large float32
            networks where the machine has fast bfloat16, else the networks' own.
        kernels: "auto" measures the ways to compute a compiled step's largest gates on this machine
            and takes the fastest; "aten" leaves them to PyTorch.
        threads: CPU threads; 0 takes one or all of torch's, whichever steps faster.
        steps_per_call: steps compiled into one call; 0 lets the time of a step decide. Saving,
            pictures and Ctrl-C wait for the end of a call; rates do not change inside one.
        best: metric whose lowest mean marks the best checkpoint; "" for none.
        probe_every: steps between readings of the probes (every layer's and every parameter's
            statistics, table "probes" of run.db); 0 for none.
    """

    steps: PositiveInt = 2000
    batch: PositiveInt = 64
    seed: NonNegativeInt = 0
    save_every: PositiveInt = 500
    sample_every: NonNegativeInt = 500
    pictures: PositiveInt = 64
    mode: Literal["auto", "compiled", "plain", "watched"] = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float64"] = "auto"
    kernels: Literal["auto", "aten"] = "auto"
    threads: NonNegativeInt = 0
    steps_per_call: NonNegativeInt = 0
    best: str = ""
    probe_every: NonNegativeInt = 50


class Fit(Section):
    """What supervised training has beside its steps; also keyword arguments of `train`.

    Attributes:
        validate_every: steps between validations.
        patience: validations without a gain after which training stops; 0 never stops early.
        monitor: what a validation is judged by.
        prune: share of the weights held at 0 in the end; 0 for none.
        prune_from, prune_to: steps between which that share is reached; all at once where
            prune_to is not above prune_from.
    """

    validate_every: PositiveInt = 100
    patience: NonNegativeInt = 0
    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"
    prune: Fraction = 0.0
    prune_from: NonNegativeInt = 0
    prune_to: NonNegativeInt = 0


FREE = frozenset(
    f"train.{key}"
    for key in (
        "steps",
        "save_every",
        "sample_every",
        "pictures",
        "mode",
        "precision",
        "kernels",
        "threads",
        "steps_per_call",
        "best",
    )
) | {"about", "data.path", "fit.patience"}
"""Keys that may differ when a run goes on: they do not change what has been computed.

The data behind data.path are compared by content instead; what is chosen for a run
(`backlit.train.choices.OPEN`) is taken from its own record.
"""


def free_keys(recipe: Mapping[str, Any]) -> frozenset[str]:
    """The keys of a run's recipe that may differ when it goes on."""
    schedule = recipe.get("schedule", {})
    # A cosine ends with the steps: raising them would change what was computed.
    ends = isinstance(schedule, Mapping) and schedule.get("name") == "cosine"
    return FREE - {"train.steps"} if ends else FREE


def check(
    model: type[T], table: Mapping[str, Any], source: str, places: Mapping[str, str] = {}
) -> T:
    """Return a table as its checked model.

    Args:
        source: what the error text names as the place.
        places: dotted key -> place, for keys that came from elsewhere.

    Raises:
        RecipeError: the first thing wrong, in one line.
    """
    try:
        # By way of JSON, pydantic takes a list for a tuple but no text for a number.
        return model.model_validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        raise RecipeError(explain(error, model, source, places)) from None
