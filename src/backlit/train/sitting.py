"""One sitting of a run: from where the last one ended until the end, a signal or a NaN."""

import json
import time
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from backlit.data import batch_indices
from backlit.errors import DivergenceError, RecipeError, RunError
from backlit.step import Readings
from backlit.supervised import Lanes, Samples
from backlit.train import faults
from backlit.train.checkpoint import Checkpoint
from backlit.train.choices import choose_steps_per_call, choose_threads, told, wanted
from backlit.train.course import Course
from backlit.train.divergence import find_gate, nonfinite_metric, nonfinite_tensor, snapshot
from backlit.train.environment import differences, environment
from backlit.train.folder import RunFolder, compare
from backlit.train.pictures import Pictures, write_picture
from backlit.train.progress import Reporter, Task
from backlit.train.results import Measure, draw_curves, judge, write_scores
from backlit.train.sections import Train
from backlit.train.stopping import Interrupted, StopRequest
from backlit.train.trainable import Evaluates, Generates, Probed, Trainable, noun_of

_LOOK_EVERY = 50  # steps between looks at the whole state for a NaN: the most a search repeats
_LABELS = {"loss_d": "loss D", "loss_g": "loss G", "d_real": "D(x)", "d_fake": "D(G(z))"}
_FIT_LABELS = {"loss": "loss", "accuracy": "accuracy"}


class Sitting:
    """Runs a game in an open run folder; see `train` for the arguments.

    Attributes:
        step: number of finished steps, earlier sittings included.
    """

    def __init__(
        self,
        game: Trainable,
        data: Pictures | Samples | Lanes,
        settings: Train,
        folder: RunFolder,
        again: str,
        report: Reporter,
        course: Course,
        test: Samples | None = None,
        measure: Measure | None = None,
    ) -> None:
        self.step = 0
        self._game = game
        self._data = data
        self._settings = settings
        self._folder = folder
        self._again = again
        self._report = report
        self._course = course
        self._test = test
        self._measure = measure
        self._validated = ""  # the last validation, for the progress line
        self._saved_step: int | None = None
        self._steps_per_call = 1
        self._step_s = 0.0  # mean time of a step in this sitting, pictures and saving included
        # As it comes back from a checkpoint's JSON: lists for tuples.
        self._identity = json.loads(json.dumps({"data": data.key, "game": game.description}))
        self._environment: dict[str, Any] = {}
        # A finite state not long ago, from which a NaN can be traced to its first gate.
        self._good: tuple[int, dict[str, Tensor]] | None = None

    def run(self) -> None:
        """Go on until the steps are done.

        Raises:
            RunError, DivergenceError, RecipeError, Interrupted: as `train` says.
        """
        recorded = self._resume()
        steps = self._settings.steps
        if self.step >= steps or self._course.stopped:
            self._restore_best()
            if self._test is not None or not self._folder.picture.exists():
                self._finish()
            self._say("finished", f"already finished: {self.step:,} steps, {self._folder.picture}")
            return
        with StopRequest() as stop:
            self._prepare(recorded)
            if self._saved_step is not None:
                self._keep_good()
            else:
                # Weights drawn without a seed are pinned here: every resume begins from these.
                self._save()
            self._train(stop)
            if self._saved_step != self.step:
                self._save()
        if self.step < steps and not self._course.stopped and stop.signum is not None:
            text = f"stopped at step {self.step:,} of {steps:,}, saved; to go on: {self._again}"
            self._say("stopped", text)
            raise Interrupted(stop.signum, text)
        if self._course.stopped:
            self._say(
                "early stopping",
                f"stopped early at step {self.step:,}: nothing better than step "
                f"{self._course.best_step:,} in {self._course.fit.patience} validations",
            )
        self._restore_best()
        self._finish()
        self._say(
            "finished",
            f"finished: {self.step:,} steps, {self._folder.picture} ({self._step_s:.3f} s a step)",
        )

    def _resume(self) -> dict[str, Any]:
        """Load the last whole checkpoint; return the environment it was made in."""
        damaged: list[tuple[int, str]] = []
        checkpoint = self._folder.checkpoints.load_last(lambda *found: damaged.append(found))
        if checkpoint is None:
            self._folder.log.forget_after(0)
            self._course.resume(self._folder.log)
            return {}
        for step, reason in damaged:
            self._folder.checkpoints.put_aside(step)
            self._say(
                "damage",
                f"{reason}; kept as *.damaged, going on from the one before, step "
                f"{checkpoint.step:,}",
                step,
            )
        changed = compare(checkpoint.facts["identity"], self._identity)
        if changed:
            raise RunError(
                f"{self._folder.path} belongs to another run: {'; '.join(changed)}; choose another "
                "folder, or bring back the pictures and networks it was begun with"
            )
        self._take_up(checkpoint)
        recorded = checkpoint.facts["environment"]
        self._steps_per_call = recorded.get("steps_per_call", 1)
        begun = self.step - self.step % self._steps_per_call
        if self.step != begun and self._one_call(begun):
            # The run ended inside what is one call now that it goes on: from that call's start.
            try:
                self._take_up(self._folder.checkpoints.load(begun))
            except RunError as error:
                self._say(
                    "calls",
                    f"{error}; going on from step {self.step:,}: the last bits may differ from "
                    "a run that was never interrupted",
                )
        return recorded

    def _take_up(self, checkpoint: Checkpoint) -> None:
        self._game.load(checkpoint.state)
        self.step = self._saved_step = checkpoint.step
        self._folder.log.forget_after(checkpoint.step)
        self._course.resume(self._folder.log)

    def _one_call(self, index: int) -> bool:
        """Whether the iterations from `index` on run in one call of several.

        A function of the run's settings and validations alone: so a run that goes on makes the
        calls of one that was never interrupted.
        """
        k = self._steps_per_call
        if k == 1 or index % k or index + k > self._settings.steps:
            return False
        probed = any(self._probes(index + i) for i in range(k))
        return not probed and self._course.steady(index, k)

    def _prepare(self, recorded: dict[str, Any]) -> None:
        """Make the choices, the recorded ones first, and say what is not as it was."""
        wishes, refused = wanted(self._settings, recorded)
        for text in refused:
            self._say("kept", text)
        if wishes["threads"]:
            torch.set_num_threads(wishes["threads"])
        mode = "compiled" if wishes["mode"] == "auto" else wishes["mode"]
        batch, precision = self._batch(self.step), wishes["precision"]
        with self._report.task("preparing the step") as task:

            def say(what: str) -> None:
                task.update(0, None, what)

            if not wishes["threads"] and torch.get_num_threads() > 1:
                self._game.prepare(batch, "plain", say, precision=precision)
                say("measuring with one thread and with all")
                choose_threads(self._game, batch, torch.get_num_threads())
            kernels = None if wishes["kernels"] == "aten" else wishes["kernels"]
            used = self._game.prepare(batch, mode, say, precision=precision, kernels=kernels)
            k = wishes["steps_per_call"] or (1 if recorded else self._choose_steps_per_call(used))
            if k > 1:
                batches = [self._batch(self.step + i) for i in range(k)]
                self._game.prepare_several(batches, say)
        self._steps_per_call = k
        gpus = {str(t.device) for t in self._game.state.values()} - {"cpu"}
        chosen = self._game.chosen | {"steps_per_call": k, "device": next(iter(gpus), None)}
        self._environment = environment(used, chosen)
        if not recorded:
            note = " (compiling is not possible here)" if used != mode == "compiled" else ""
            choices = told(self._environment)
            self._say("begun", f"training in {self._folder.path}, {choices}{note}")
            return
        self._say("resumed", f"going on in {self._folder.path} from step {self.step:,}")
        changed = differences(recorded, self._environment)
        if changed:
            self._say(
                "environment",
                f"not as in the last sitting: {'; '.join(changed)}: the last bits may differ "
                "from an uninterrupted run",
            )

    def _choose_steps_per_call(self, mode: str) -> int:
        settings, fit = self._settings, self._course.fit
        validate_every = fit.validate_every if self._course.validation is not None else 0
        spans = (settings.save_every, settings.sample_every, validate_every, settings.steps)
        if mode != "compiled":
            return 1
        k = choose_steps_per_call(self._game, self._batch(0), spans, settings.steps)
        middle = settings.steps // 2
        return k if self._course.steady(middle - middle % k, k) else 1  # rates change every step

    def _train(self, stop: StopRequest) -> None:
        settings = self._settings
        first, start_s = self.step, time.monotonic()
        with self._report.task("training") as task:
            while self.step < settings.steps and not self._course.stopped:
                index = self.step
                if stop.signum is not None and not self._in_tail(index):
                    break
                if self._in_tail(index + 1) and not self._in_tail(index):
                    self._save()  # more steps may be asked for later, and join the tail's
                self._course.before(index)
                found, readings = self._steps(index, task)
                # One transfer for all metrics: on a GPU each would wait for the device.
                values = torch.stack([v.detach().double() for one in found for v in one.values()])
                numbers = iter(values.tolist())
                for one in found:
                    metrics = {name: next(numbers) for name in one}
                    validated = self._note(metrics, readings)
                if settings.sample_every and self._passed(index, settings.sample_every):
                    self._draw(self._folder.samples / f"step-{self.step:08}.png")
                if validated:
                    self._validated = "  ".join(f"{k} {v:.3f}" for k, v in validated.items())
                due = self._passed(index, settings.save_every) and not self._in_tail(self.step)
                if due or self._course.best_step == self.step:
                    self._save()
                elif self._passed(index, _LOOK_EVERY):
                    self._keep_good()
                rate = (self.step - first) * settings.batch / (time.monotonic() - start_s)
                self._show(task, metrics, rate)
        self._step_s = (time.monotonic() - start_s) / max(self.step - first, 1)

    def _steps(self, index: int, task: Task) -> tuple[list[dict[str, Tensor]], Readings | None]:
        """Run the iterations of one call from `index` on; a probed one is a call of its own."""
        game = self._game
        if self._one_call(index):
            batches = [self._batch(index + i) for i in range(self._steps_per_call)]
            return game.run(batches, index), None
        if self._probes(index) and isinstance(game, Probed):

            def say(what: str) -> None:
                task.update(index, self._settings.steps, what)

            metrics, readings = game.probe(self._batch(index), index, say)
            return [metrics], readings
        return [game.step(self._batch(index), index)], None

    def _probes(self, index: int) -> bool:
        every = self._settings.probe_every
        due = every > 0 and (index + 1) % every == 0
        return due and isinstance(self._game, Probed)

    def _note(self, metrics: dict[str, float], readings: Readings | None) -> dict[str, float]:
        """Count and log one finished step; return its validation's metrics, if one was due."""
        bad = nonfinite_metric(metrics)
        if bad:
            self._diverged(bad, self.step)
        self.step += 1
        best = self._settings.best
        if best and best not in {*metrics, *_LABELS}:
            raise RecipeError(
                f'train.best: expected a metric ({", ".join(metrics)}) or "", got {best!r}'
            )
        validated = self._course.validate(self.step)
        self._folder.log.record(self.step, metrics | validated)
        if readings is not None:
            self._folder.log.record_probes(self.step, readings.rows())
        faults.reach("step")
        return validated

    def _passed(self, index: int, every: int) -> bool:
        """Whether a multiple of `every` lies in the steps since `index` were finished."""
        return index // every != self.step // every

    def _in_tail(self, step: int) -> bool:
        """Whether a step is past the start of a call that the last steps are too few for."""
        start = step - step % self._steps_per_call
        return step != start and start + self._steps_per_call > self._settings.steps

    def _show(self, task: Task, metrics: dict[str, float], rate: float) -> None:
        labels = _LABELS | _FIT_LABELS
        numbers = [
            f"{label} {metrics[name]:.3f}" for name, label in labels.items() if name in metrics
        ]
        noun = noun_of(self._data)
        shown = [*numbers, self._validated, f"{rate:,.0f} {noun}/s"]
        text = "  ".join(part for part in shown if part)
        task.update(self.step, self._settings.steps, text)

    def _keep_good(self) -> None:
        bad = nonfinite_tensor(self._game.state)
        if bad:
            self._diverged(f"{bad} has a NaN or infinity", self.step - 1)
        self._good = (self.step, snapshot(self._game.state))

    def _save(self) -> None:
        self._keep_good()
        log, settings = self._folder.log, self._settings
        # The metrics up to here first: a checkpoint never stands without its past.
        log.commit()
        facts = {
            "seed": settings.seed,
            "environment": self._environment,
            "identity": self._identity,
        }
        if settings.best and self.step:
            mean = log.mean(settings.best, self.step - settings.save_every + 1, self.step)
            facts["score"] = {"name": settings.best, "value": mean}
        score = self._course.score(self.step)
        if score is not None:
            facts["score"] = score
        self._folder.checkpoints.save(self.step, self._game.state, facts)
        self._saved_step = self.step
        log.event(self.step, "checkpoint", "saved")

    def _diverged(self, what: str, index: int) -> NoReturn:
        if self._good is None:
            raise DivergenceError(
                f"the game's first state: {what}; expected finite numbers before the first step: "
                "look at the networks' initial weights"
            )
        cure = "a penalty on D" if isinstance(self._game, Generates) else "clipped gradients"
        with self._report.task("looking for the gate") as task:
            gate = find_gate(self._game, self._batch, *self._good, index, task.update)
        text = (
            f"step {index + 1:,}: expected finite numbers, but {what}; first at "
            f"{gate or 'no gate that a replay could show'}; the checkpoint of step "
            f"{self._saved_step:,} in {self._folder.path} is good; try a new run with a lower "
            f"learning rate or {cure}"
        )
        self._folder.log.event(index + 1, "divergence", text)
        raise DivergenceError(text)

    def _draw(self, path: Path) -> None:
        """Draw what the run shows: a game's pictures, else the curves, always in one place."""
        if isinstance(self._game, Generates):
            noise = self._game.noise(self._settings.pictures, self._settings.seed)
            write_picture(path, self._game.sample(noise))
        else:
            draw_curves(self._folder.picture, self._folder.log, self._course.best_step)

    def _restore_best(self) -> None:
        """Give the network the parameters of the best validation."""
        best = self._course.best_step
        if best is not None:
            self._game.load(self._folder.checkpoints.load(best).state)

    def _finish(self) -> None:
        """Draw and score what was reached."""
        self._draw(self._folder.picture)
        course = self._course
        sets = {"validation": course.validation, "test": self._test}
        given = {name: data for name, data in sets.items() if data is not None}
        if not given or not isinstance(self._game, Evaluates):
            return
        best = course.best_step
        how = "last step" if best is None else f"best {course.fit.monitor}"
        step = self.step if best is None else best
        measure = self._measure
        scores = write_scores(self._folder.scores, self._game, step, how, given, measure)
        for name in given:
            told = ("loss", "accuracy", *scores["protocol"].get("measured", ()))
            numbers = [f"{n} {scores[name][n]:.4f}" for n in told if n in scores[name]]
            self._say("scores", f"{name}, {how} (step {step:,}): {', '.join(numbers)}")
        if course.validation is not None:
            verdict = judge(self._folder.log)
            self._say("overfitting", verdict.text)

    def _batch(self, index: int) -> Any:
        if isinstance(self._data, Lanes):
            return self._data.at(index, self._settings.batch)
        indices = batch_indices(len(self._data), self._settings.batch, self._settings.seed, index)
        return self._data.batch(indices)

    def _say(self, kind: str, text: str, step: int | None = None) -> None:
        self._report.say(text)
        self._folder.log.event(self.step if step is None else step, kind, text)
