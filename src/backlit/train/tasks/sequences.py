"""Sequences as tasks: series in time, texts by character or word, sentences with a class.

Shapes: N windows, T steps of one, K steps ahead; S tokens of a stretch of text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from torch import Tensor

import backlit.data
from backlit.data import Labelled, Text
from backlit.errors import RecipeError
from backlit.registry import Count
from backlit.supervised import Lanes, Samples, Supervised, sample_text
from backlit.train.curves import write_curves
from backlit.train.files import write_whole
from backlit.train.tasks.results import RESULT
from backlit.train.tasks.task import Task, from_labelled

_MOST_SCORES = 2**26  # of one evaluation: 256 MB
_HELD_OUT_LANES = 8


def sunspots(
    window: Count = 16, ahead: Count = 1, validation: float = 0.15, test: float = 0.2
) -> Task:
    """Yearly mean sunspot numbers, 1700-2008; options as `backlit.data.series`."""
    data = backlit.data.sunspots(window, ahead, validation, test)
    return forecast(data, [1700 + row for row in range(len(data) + window + ahead - 1)])


def series(
    path: str,
    column: str,
    window: Count = 16,
    ahead: Count = 1,
    validation: float = 0.15,
    test: float = 0.2,
) -> Task:
    """A column of a table, rows in the order of time; options as `backlit.data.series`."""
    data = backlit.data.series(path, column, window, ahead, validation, test)
    return forecast(data, range(1, len(data) + window + ahead))


def forecast(data: Labelled, times: Sequence[float]) -> Task:
    """Windows of a series as a task: foretell the values behind each.

    Args:
        data: as `backlit.data.series` gives it.
        times: of each value of the series, for the picture.

    Its own scores are the root mean square error in the series' unit, that of the persistence
    forecast (every value as the last one seen), and the margin 1 - rmse / persistence_rmse. Its
    picture sets the forecast of each window's first target beside the truth.
    """
    judged = data.test if len(data.test) else data.validation

    def measure(trained: Supervised, samples: Samples) -> dict[str, float]:
        def rmse(foretold: Tensor) -> float:
            error = (foretold - samples.y).double()
            return float(error.square().mean().sqrt()) * data.target_std

        own, persistence = rmse(trained.predict(samples.x)), rmse(samples.x[:, -1])
        margin = 1 - own / persistence if persistence else 0.0
        return {"rmse": own, "persistence_rmse": persistence, "margin": margin}

    def show(trained: Supervised, folder: Path) -> Path | None:
        if not len(judged):
            return None
        x, y = data.batch(judged)
        found = {"truth": y, "forecast": trained.predict(x), "persistence": x[:, -1]}
        at = [times[i + data.inputs.shape[1]] for i in judged.tolist()]
        curves = {
            name: list(
                zip(at, (v[:, 0] * data.target_std + data.target_mean).tolist(), strict=True)
            )
            for name, v in found.items()
        }
        path = folder / RESULT
        write_curves(path, {data.columns[0]: curves}, start=at[0])
        return path

    outputs = data.targets.shape[1]
    network = {"features": 1, "classes": outputs, "outputs": outputs}
    return from_labelled(data, network, show, measure)


def sentences(
    path: str,
    text: str = "text",
    target: str = "label",
    validation: float = 0.15,
    test: float = 0.2,
    seed: int = 0,
    least: Count = 1,
    length: int | None = None,
) -> Task:
    """A table of sentences with a class each; options as `backlit.data.sentences`."""
    return _sentiment(
        backlit.data.sentences(path, text, target, validation, test, seed, least, length)
    )


def reviews(validation: float = 0.15, test: float = 0.2, seed: int = 0) -> Task:
    """The bundled sentences in the manner of reviews; options as `backlit.data.reviews`."""
    return _sentiment(backlit.data.reviews(validation, test, seed))


def composed_reviews(validation: float = 0.15, test: float = 0.2, seed: int = 0) -> Task:
    """Sentences of a small grammar; options as `backlit.data.composed_reviews`."""
    return _sentiment(backlit.data.composed_reviews(validation, test, seed))


def _sentiment(data: Labelled) -> Task:
    decided = {"vocabulary": len(data.columns), "classes": len(data.classes)}
    return from_labelled(data, decided)


def text(
    path: str,
    level: Literal["char", "word"] = "char",
    length: Count = 32,
    validation: float = 0.1,
    test: float = 0.1,
    least: Count = 1,
    sample: Count = 200,
    temperature: float = 0.8,
) -> Task:
    """A text file, to be foretold token by token with the state carried on.

    Args:
        path, level, validation, test, least: as `backlit.data.text`.
        length: tokens through which gradients go back.
        sample: tokens of the sample drawn at the end.
        temperature: of that sample, as in `sample_text`.
    """
    found = backlit.data.text(path, level, validation, test, least)
    return continued(found, length, sample, temperature)


def moby_dick(
    level: Literal["char", "word"] = "char",
    length: Count = 32,
    validation: float = 0.1,
    test: float = 0.1,
    least: Count = 1,
    sample: Count = 200,
    temperature: float = 0.8,
) -> Task:
    """The bundled chapters of Moby-Dick; options as `text`."""
    found = backlit.data.moby_dick(level, validation, test, least)
    return continued(found, length, sample, temperature)


def continued(found: Text, length: int, sample: int, temperature: float) -> Task:
    """A text as a task; arguments as in `text`.

    Its own score is bits per token, log2 e times the loss; at the end a sample is drawn.
    """
    if not temperature >= 0:
        raise RecipeError(f"temperature: expected at least 0, got {temperature}")
    most = max(_MOST_SCORES // len(found.vocabulary), 2)
    unit = {"char": "character", "word": "word"}[found.level]

    def measure(trained: Supervised, samples: Samples) -> dict[str, float]:
        return {f"bits_per_{unit}": trained.evaluate(samples.x, samples.y)["loss"] / math.log(2)}

    def draw(trained: Supervised, n: int, temperature: float, seed: int) -> str:
        return sample_text(trained.network, found, n, temperature, seed)

    def show(trained: Supervised, folder: Path) -> Path | None:
        drawn = draw(trained, sample, temperature, 0)
        path = folder / "samples" / "final.txt"
        write_whole(path, f"{drawn}\n".encode(), "sample")
        return path

    held = {
        part: _held_out(f"{found.name}, {part}", tokens[:most])
        for part, tokens in (("validation", found.validation), ("test", found.test))
    }
    longest = max(len(found.validation), len(found.test))
    cut = (f"the first {most} tokens each of validation and test count",)
    return Task(
        train=Lanes(f"{found.name}, train", found.train, length, found.vocabulary),
        validation=held["validation"],
        test=held["test"],
        network={"vocabulary": len(found.vocabulary)},
        facts=found.facts + (cut if longest > most else ()),
        show=show,
        measure=measure,
        sample=draw,
        classifier=False,
    )


def _held_out(name: str, tokens: Tensor) -> Samples | None:
    """A stretch as a few long lanes, each begun with a zero state; None for fewer than 2 tokens."""
    if len(tokens) < 2:
        return None
    lanes = min(_HELD_OUT_LANES, len(tokens) - 1)
    x, y = backlit.data.lanes(tokens, lanes, (len(tokens) - 1) // lanes)
    return Samples(name, x[0], y[0])
