"""Train the recipe avatars with five losses and draw their features side by side.

    python tools/features_picture.py docs/images/features.png

Prints a row for each loss: test accuracy, verification of the people it knows and of strangers.
"""

import json
import sys
import tempfile
from pathlib import Path

from backlit.supervised import Supervised
from backlit.train import Features, build_task, feature_picture, follow, load_recipe, open_run
from backlit.train.drawing import write_png
from backlit.train.fit_recipe import FitRecipe
from backlit.train.tasks.vision import features_of

LOSSES = {
    "softmax": ["loss=feature_softmax"],
    "softmax + center loss": ["loss=feature_softmax", "loss.center=0.05"],
    "SphereFace, m = 2": ["loss=sphereface", "loss.margin=2"],
    "CosFace, m = 0.1": ["loss=cosface", "loss.margin=0.1", "loss.size=16.0"],
    "ArcFace, m = 0.2": [],
}


def main(out: Path) -> None:
    panels: dict[str, Features] = {}
    names: tuple[str, ...] = ()
    with tempfile.TemporaryDirectory() as folder:
        for title, settings in LOSSES.items():
            recipe = load_recipe("avatars", settings)
            assert isinstance(recipe, FitRecipe)
            run = Path(folder) / title
            follow(recipe, run, progress=False)
            learner, _ = open_run(run, "best")
            test = build_task(recipe).test
            assert isinstance(learner, Supervised) and test is not None
            scores = json.loads((run / "scores.json").read_text())["test"]
            shown = [
                f"{scores[name]:.3f}"
                for name in ("accuracy", "verification", "verification_of_strangers")
            ]
            print(" | ".join([title, *shown]), flush=True)
            panels[title], names = features_of(learner, test.x, test.y), test.classes
    write_png(out, feature_picture(panels, names))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
