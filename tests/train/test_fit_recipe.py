"""Recipes of supervised training: what is wrong is said in one line; what is right is built."""

from pathlib import Path

import numpy as np
import pytest
import torch

from backlit.data import Labelled, sentences
from backlit.errors import DataError, RecipeError
from backlit.losses import ArcFace, BinaryCrossEntropy, CrossEntropy
from backlit.nets import LogisticRegression
from backlit.supervised import Flip, Mixup, Samples, Supervised
from backlit.train import FitRecipe, build_fit, build_task, follow, load_recipe, open_run
from backlit.train.tasks import SOURCES, Task, from_labelled, open_task, source_of
from backlit.train.tasks.files import enlarged
from backlit.train.tasks.results import draw_classes, draw_numbers

WRONG = [
    ("optimiser.lr=-1", r"--set optimiser.lr: expected a number above 0.0, got -1"),
    ("optimiser.lrr=1", r"lrr: unknown key \(did you mean 'lr'\?\); allowed: amsgrad, betas, eps"),
    ("optimiser.name=adan", r"one of SGD, RMSprop, Adam.*, got 'adan' \(did .* 'Adam'\?\)"),
    ("fit.validate_evry=1", r"unknown key \(did you mean 'validate_every'\?\); allowed: monitor"),
    ("fit.monitor=loss", r"expected 'val_loss' or 'val_accuracy', got 'loss'"),
    ("regularise.l1=-1", r"--set regularise.l1: expected a number of at least 0.0, got -1"),
    ("regularise.l3=1", r"regularise.l3: unknown key; allowed: clip_norm, l1, l2"),
    ("game.ema=0.9", r"--set game.ema: game: unknown key.*; allowed: about, augment, data, fit, "),
    ("augment=flip", r"--set augment: expected a list, got 'flip'"),
    ("augment=[{p=1}]", r"--set augment: augment.0.name: expected a value, got none"),
    ("loss={nam='x'}", r"--set loss: loss.name: expected a value, got none"),
    ("network.network=3", r"--set network.network: expected a text, got 3"),
    ("data.source=3", r"--set data.source: expected a text, got 3"),
    ("train.stepz=3", r"stepz: unknown key \(did you mean 'steps'\?\)"),
    ("generator.width=3", r"expected \[network\] for supervised training or \[generator\]"),
]


@pytest.mark.parametrize(("setting", "said"), WRONG)
def test_a_wrong_setting(tmp_path: Path, setting: str, said: str) -> None:
    recipe: str | Path = "digits"
    if setting.startswith("generator"):
        recipe = tmp_path / "both.toml"
        recipe.write_text("[generator]\nnetwork='g'\n[network]\nnetwork='n'\n")
    with pytest.raises(RecipeError, match=said) as error:
        load_recipe(recipe, [setting])
    assert "\n" not in str(error.value)


def fit(*settings: str) -> FitRecipe:
    found = load_recipe("digits", settings)
    assert isinstance(found, FitRecipe)
    return found


def rows(n: int = 40, classes: int = 2) -> Labelled:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % classes
    x = torch.randn(n, 5, generator=generator) + y[:, None]
    parts = torch.arange(n).split([n - 16, 8, 8])
    return Labelled("rows", x, y, tuple("abcdef"[:classes]), *parts, facts=("made up",))


def pictures(n: int = 24) -> Labelled:
    y = torch.arange(n) % 2
    x = torch.zeros(n, 1, 8, 8)
    x[y == 1, :, 4] = 1
    none = torch.zeros(0, dtype=torch.int64)
    stats = torch.full((1, 1, 1), 0.25), torch.full((1, 1, 1), 0.5)
    return Labelled(
        "lines", (x - 0.25) / 0.5, y, ("no", "yes"), torch.arange(n), none, none,
        mean=stats[0], std=stats[1],
    )  # fmt: skip


UNFIT = [
    ("network.classes=7", r"network.classes: expected no such key, since the data decides it \(2"),
    ("network.network=lenot", r"network: unknown network 'lenot' \(did you mean 'lenet'\?\)"),
    ("network.hiden=3", r"network 'two_layer' has no option 'hiden' \(did you mean 'hidden'"),
    ("network={network='lenet'}", r"network: 'lenet' takes pictures, the data of source 'digits'"),
    ("loss=crossentropy", r"loss: unknown loss 'crossentropy' \(did you mean 'cross_entropy'\?\)"),
    ("loss={name='arcface', classes=3}", r"loss.classes: expected no such key, since the data"),
    (
        "loss={name='cross_entropy', smoothing=2.0}",
        r"loss: cross_entropy: smoothing must be in \[0, 1\), got 2.0",
    ),
    ("loss=quadratic", r"loss: expected a loss of classes, such as cross_entropy, since the targ"),
    ("schedule=cosin", r"schedule: unknown schedule 'cosin' \(did you mean 'cosine'\?\)"),
    ("schedule.gama=1", r"schedule 'cosine' has no option 'gama'"),
    ("augment=['flap']", r"augment: unknown augmentation 'flap' \(did you mean 'flip'\?\)"),
    ("augment=['mixup', 'flip']", r"augment: expected mixup last"),
]


@pytest.mark.parametrize(("setting", "said"), UNFIT)
def test_what_does_not_fit(setting: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said) as error:
        build_fit(fit(setting), from_labelled(rows()))
    assert "\n" not in str(error.value)


def test_losses_for_yes_or_no_and_for_numbers() -> None:
    yes_or_no = fit("loss=binary_cross_entropy")
    with pytest.raises(RecipeError, match="'binary_cross_entropy' expected 2 classes, the data ha"):
        build_fit(yes_or_no, from_labelled(rows(classes=3)))
    made = build_fit(yes_or_no, from_labelled(rows()))
    assert isinstance(made.rules.objective.module, BinaryCrossEntropy)
    assert made.predict(torch.zeros(3, 5)).shape == (3, 1)
    x, y = torch.randn(9, 4), torch.randn(9, 2)
    numbers = Task(Samples("numbers", x, y), network={"features": 4, "classes": 2, "outputs": 2})
    assert build_fit(fit("loss=l1"), numbers).predict(x).shape == (9, 2)
    balanced = "{name='cross_entropy', weights='balanced'}"
    for loss in ("hinge", balanced):
        with pytest.raises(RecipeError, match=r"loss: expected one of l1, l2, quadratic, since"):
            build_fit(fit(f"loss={loss}"), numbers)
    focal = fit("loss={name='arcface', weights='balanced'}")
    with pytest.raises(RecipeError, match='expected data with classes for "balanced", got targets'):
        build_fit(focal, numbers)


def test_a_recipe_is_built_whole() -> None:
    settings = [
        "network={network='logistic_regression'}",
        "loss={name='cross_entropy', weights='balanced'}",
        "optimiser={name='SGD', lr=0.1, momentum=0.9}",
        "regularise={l1=0.1, l2=0.2, clip_norm=3}",
        "fit.prune=0.5",
        "augment=['mixup']",
    ]
    made = build_fit(fit(*settings), from_labelled(rows()))
    assert isinstance(made.network, LogisticRegression)
    weights = made.rules.objective.module.weights
    assert isinstance(weights, torch.Tensor) and weights.tolist() == [1.0, 1.0]
    assert (made.rules.l1, made.rules.l2, made.rules.clip_norm) == (0.1, 0.2, 3.0)
    assert made.rules.optimiser.name == "SGD" and made.rules.augment == (Mixup(),)
    assert made.description["prunable"]
    plain = build_fit(fit("augment=[{name='flip', p=0.25}]"), from_labelled(pictures()))
    assert isinstance(plain.rules.objective.module, CrossEntropy)
    assert plain.rules.augment == (Flip(0.25),)
    assert plain.rules.optimiser.options["betas"] == (0.9, 0.999)  # not those of a game
    again = build_fit(fit(), from_labelled(pictures()))
    other = build_fit(fit("train.seed=1"), from_labelled(pictures()))
    weight = "network/first.weight"
    assert torch.equal(plain.state[weight], again.state[weight])
    assert not torch.equal(plain.state[weight], other.state[weight])


def test_a_margin_loss_learns_its_classes_from_the_data() -> None:
    task = from_labelled(rows(classes=3), network={"features": 5})
    made = build_fit(fit("network.classes=4", "loss={name='arcface', features=4}"), task)
    arcface = made.rules.objective.module
    assert isinstance(arcface, ArcFace) and arcface.weight.shape == (3, 4)


def test_data_in_place_of_the_recipes_own(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n")
    csv = str(tmp_path / "t.csv")
    found = load_recipe("digits", ["data.seed=3"], data=csv)
    assert found.data.model_dump() == {"source": "table", "path": csv, "seed": 3}
    assert load_recipe("digits", data="wine").data.model_dump() == {"source": "wine"}
    assert source_of(csv, "pictures") == ("table", csv)
    (tmp_path / "t.exe").write_text("x")
    with pytest.raises(DataError, match=r"t.exe: expected a file of .csv, .tsv, .parquet"):
        load_recipe("digits", data=str(tmp_path / "t.exe"))
    (tmp_path / "r.toml").write_text(
        "[data]\nsource='table'\npath='t.csv'\n[network]\nnetwork='mlp'"
    )
    read = load_recipe(tmp_path / "r.toml")
    assert isinstance(read, FitRecipe) and read.data.options == {"path": csv}
    here = load_recipe(tmp_path / "r.toml", ["data.path=u.csv"])
    path = str(Path("u.csv").absolute())
    assert isinstance(here, FitRecipe) and here.data.options == {"path": path}


def test_sources() -> None:
    with pytest.raises(RecipeError, match=r"data: unknown source 'wina' \(did you mean 'wine'\?\)"):
        open_task("wina", {})
    with pytest.raises(RecipeError, match=r"data: source 'table' needs option 'path'"):
        open_task("table", {})
    with pytest.raises(RecipeError, match=r"data: source 'wine', option 'seed': .* got 'x'"):
        open_task("wine", {"seed": "x"})
    for source in SOURCES.values():
        assert (source.__doc__ or "").strip()
    wine = build_task(load_recipe("wine"))  # type: ignore[arg-type]
    assert wine.network == {"features": 13, "classes": 3}
    assert wine.validation is not None and wine.test is not None and wine.facts
    faces = open_task("emoji", {"groups": ["animals", "food"], "size": 96, "test": 0.0})
    assert faces.test is None and faces.network == {
        "features": 3 * 96 * 96, "channels": 3, "size": 96, "classes": 2,
    }  # fmt: skip
    assert "enlarged from 64 to 96 pixels" in faces.facts[-1]


def test_pictures_grow_by_black() -> None:
    grown = enlarged(pictures(), 11)
    assert grown.inputs.shape == (24, 1, 11, 11)
    raw = grown.inputs * grown.std + grown.mean
    assert torch.equal(raw[:, :, 1:9, 1:9], pictures().inputs * 0.5 + 0.25)
    assert float(raw.sum()) == float((pictures().inputs * 0.5 + 0.25).sum())
    assert enlarged(pictures(), 8).inputs.shape[2:] == (8, 8)
    with pytest.raises(DataError, match="lines: expected a size of at least 8 pixels, as its pict"):
        enlarged(pictures(), 7)


def test_sequences_of_unequal_length_and_of_none(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    lines = [f"{'good ' * (i % 4 + 1)},{'ab'[i % 2]}" for i in range(20)]
    path.write_text("text,label\n" + "\n".join(lines) + "\n")
    data = sentences(path)
    task = from_labelled(data, network={"vocabulary": len(data.columns), "classes": 2})
    assert set(task.train.inputs["lengths"].tolist()) == {1, 2, 3, 4}
    assert any("sentences of 1 to 4 words, padded at the end" in fact for fact in task.facts)
    network = "network={network='sequence_classifier', features=4, width=8}"
    made = build_fit(fit(network), task)
    padded = made.predict(task.train.x[:4], **{"lengths": task.train.inputs["lengths"][:4]})
    for i, n in enumerate(task.train.inputs["lengths"][:4].tolist()):
        alone = made.predict(task.train.x[i : i + 1, :n], lengths=torch.tensor([n]))
        assert torch.allclose(alone[0], padded[i], atol=1e-6)  # the padding changes nothing
    path.write_text("text,label\n" + "\n".join([*lines, " ,a"]) + "\n")
    with pytest.raises(DataError, match="line 22, column 'text': expected a sentence of at"):
        sentences(path)


def measured(trained: Supervised, samples: Samples) -> dict[str, float]:
    return {"half": len(samples) / 2}


def test_follow_measures_and_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def made_up() -> Task:
        return from_labelled(rows(), measure=measured)

    monkeypatch.setitem(SOURCES, "made up", made_up)
    recipe = fit(
        "data={source='made up'}", "train.steps=4", "train.batch=8", "fit.validate_every=2"
    )
    run = follow(recipe, tmp_path / "run", progress=False)
    output = capsys.readouterr().out
    assert "made up: made up" in output and "half 4.0000" in output and "result.png" in output
    learner, checkpoint = open_run(run.folder, "best")
    assert isinstance(learner, Supervised) and checkpoint.step == run.best_step


def test_result_pictures_show_the_numbers(tmp_path: Path) -> None:
    data = pictures()
    task = from_labelled(data)
    learner = build_fit(fit(), task)
    path = draw_classes(task.train, np.zeros((24, 8, 8, 1), np.uint8), learner, tmp_path)
    assert path == tmp_path / "result.png" and path.stat().st_size > 1000
    x, y = torch.randn(9, 4), torch.randn(9, 1)
    numbers = Task(Samples("numbers", x, y), network={"features": 4, "classes": 1})
    regression = build_fit(fit("loss=l2"), numbers)
    assert draw_numbers(numbers.train, 2.0, 3.0, regression, tmp_path).stat().st_size > 1000
    tokens = Labelled(
        "text", torch.zeros(4, 3, dtype=torch.int64), torch.zeros(4, 3, dtype=torch.int64),
        ("a", "b"), torch.arange(4), *[torch.zeros(0, dtype=torch.int64)] * 2,
    )  # fmt: skip
    assert from_labelled(tokens, network={}).show is None
