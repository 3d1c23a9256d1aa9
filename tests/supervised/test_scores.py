"""Scores against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from sklearn.utils.class_weight import compute_class_weight

from backlit.errors import DataError
from backlit.supervised import balanced_weights, classifier_scores


def answers(seed, classes=5, n=200):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    wrong = rng.random(n) < 0.4
    return truth, np.where(wrong, rng.integers(0, classes, n), truth)


@pytest.mark.parametrize("seed", range(5))
def test_equals_scikit_learn(seed):
    truth, predicted = answers(seed)
    if seed == 4:  # a class that is never predicted, one that never occurs
        predicted[predicted == 2] = 1
        truth[truth == 3] = 0
    mine = classifier_scores(torch.tensor(truth), torch.tensor(predicted))
    assert mine.accuracy == pytest.approx(sk.accuracy_score(truth, predicted), abs=1e-12)
    for average in ("macro", "weighted"):
        want = sk.f1_score(truth, predicted, average=average, zero_division=0)
        assert getattr(mine, f"{average}_f1") == pytest.approx(want, abs=1e-12)
    assert np.array_equal(mine.confusion, sk.confusion_matrix(truth, predicted))
    p, r, f, n = sk.precision_recall_fscore_support(truth, predicted, zero_division=0)
    got = [(c.precision, c.recall, c.f1, c.support) for c in mine.classes]
    assert np.allclose(got, np.stack([p, r, f, n], 1), atol=1e-12)


def test_balanced_weights_equal_scikit_learn():
    truth, _ = answers(0)
    want = compute_class_weight("balanced", classes=np.arange(5), y=truth)
    assert np.allclose(balanced_weights(torch.tensor(truth), 5), want)
    assert balanced_weights(torch.tensor([0, 0]), 2) == [0.5, 0.0]


def test_names_text_and_errors():
    scores = classifier_scores(torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0]), ["cat", "dog"])
    assert "dog" in str(scores) and "accuracy 0.6667" in str(scores)
    assert scores.as_dict()["confusion"] == [[1, 0], [1, 1]]
    with pytest.raises(DataError, match=r"expected classes 0..1, got 0..2"):
        classifier_scores(torch.tensor([0, 2]), torch.tensor([0, 1]), ["cat", "dog"])
    with pytest.raises(DataError, match=r"of one shape, at least 1, got \(2,\), \(1,\)"):
        classifier_scores(torch.tensor([0, 2]), torch.tensor([0]))
