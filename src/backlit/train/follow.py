"""Supervised training as a recipe says: data, network, training, results."""

from pathlib import Path

from backlit.train.build_fit import build_fit, build_task
from backlit.train.fit_recipe import FitRecipe
from backlit.train.loop import Run, train
from backlit.train.progress import reporter


def follow(
    recipe: FitRecipe,
    run: str | Path,
    again: str = "run the same lines again",
    progress: bool = True,
) -> Run:
    """Train what a recipe names in a run folder; where the folder has begun, go on bit for bit.

    Args:
        recipe: such as `load_recipe("digits")`.
        run: the run folder.
        again: what to do to go on, for the messages.
        progress: show progress, default True; notices are always printed.

    Returns:
        The run, finished: scores.json, final.png (curves) and the task's own result picture lie
        in its folder.

    Raises:
        RecipeError: what the recipe names does not exist or does not fit its data.
        DataError: the data cannot be used.
        RunError, DivergenceError, Interrupted: as `train`.
    """
    report = reporter(progress)
    with report.task("reading data"):
        task = build_task(recipe)
    for fact in task.facts:
        report.say(f"{recipe.data.source}: {fact}")
    learner = build_fit(recipe, task)
    done = train(
        learner,
        task.train,
        validation=task.validation,
        test=task.test,
        measure=task.measure,
        run=run,
        schedule=recipe.schedule.table,
        recipe=recipe.model_dump(),
        again=again,
        progress=progress,
        **recipe.fit.model_dump(),
        **recipe.train.model_dump(),
    )
    picture = task.show(learner, done.folder) if task.show is not None else None
    if picture is not None:
        report.say(f"results: {picture}")
        if picture.suffix == ".txt":
            report.say(picture.read_text(encoding="utf-8"))
    return done
