"""Metrics of labels against scikit-learn, formulas and known cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, log_softmax
from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score

from sightline.core.metrics import find_metric
from sightline.tasks.classification.metrics import calibration, score_classes, score_label_sets

CLASSES = ("a", "b", "c")


def cases(n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return log_softmax(2 * random.normal(size=(n, 3)), 1), random.integers(0, 3, n)


def test_scikit_learn_gives_the_same():
    log_p, labels = cases()
    result = score_classes(log_p, labels, CLASSES).metrics
    p, predicted = np.exp(log_p), log_p.argmax(1)
    assert result["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    assert result["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert result["auroc"] == pytest.approx(roc_auc_score(labels, p, multi_class="ovr", average="macro"))
    assert result["loss"] == pytest.approx(log_loss(labels, p))


def test_details_add_up_to_the_metrics():
    log_p, labels = cases()
    result = score_classes(log_p, labels, CLASSES)
    counts = np.array(result.details["confusion"]["counts"])
    assert counts.sum(1).tolist() == np.bincount(labels, minlength=3).tolist()
    assert counts.trace() / counts.sum() == pytest.approx(result.metrics["accuracy"])
    assert sum(one["count"] for one in result.details["reliability"]) == len(labels)


def label_sets(n: int = 100) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    return 2 * random.normal(size=(n, 3)), random.random((n, 3)) < 0.4


@pytest.mark.parametrize(("score", "data"), [(score_classes, cases), (score_label_sets, label_sets)])
def test_metrics_of_a_resample_are_those_of_its_items(score, data):
    scores, labels = data(60)
    items = score(scores.round(1), labels, CLASSES).items
    random = np.random.default_rng(4)
    chosen = [np.arange(60), *(random.integers(0, 60, 60) for _ in range(5)), np.flatnonzero(labels == labels[0])[:20]]
    for some in chosen:
        expected = score(scores.round(1)[some], labels[some], CLASSES).metrics
        weights = np.bincount(some, minlength=60).astype(float)
        assert items.keys() == expected.keys()
        for name, rows in items.items():
            value = find_metric(name).value(np.stack([rows, rows]), weights[None])
            np.testing.assert_allclose(value, np.full((2, 1), expected[name]), rtol=1e-10, err_msg=name)


def test_calibration_by_its_definition():
    random = np.random.default_rng(1)
    confidence, right = random.uniform(0.01, 1, 500), random.random(500) < 0.6
    expected = 0.0
    for m in range(15):
        inside = (confidence > m / 15) & (confidence <= (m + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    ece, bins = calibration(confidence, right)
    assert ece == pytest.approx(expected)
    assert all(one["low"] < one["confidence"] <= one["high"] for one in bins)


def test_calibration_of_known_cases():
    always = np.ones(10)
    assert calibration(always, always == 1)[0] == 0.0
    assert calibration(always, np.arange(10) < 7)[0] == pytest.approx(0.3)
    assert calibration(np.full(10, 0.7), np.arange(10) < 7)[0] == pytest.approx(0.0)
    assert calibration(np.array([0.2]), np.array([True]))[0] == pytest.approx(0.8)
    # A confidence on an edge belongs to the bin below it.
    assert [one["high"] for one in calibration(np.array([1 / 15, 2 / 15]), np.array([True, True]))[1]] == [
        1 / 15,
        2 / 15,
    ]


def test_probabilities_that_are_drawn_from_are_calibrated():
    random = np.random.default_rng(2)
    log_p = log_softmax(random.normal(size=(100_000, 3)), 1)
    labels = (random.random((100_000, 1)) > np.exp(log_p).cumsum(1)).sum(1).clip(max=2)
    assert score_classes(log_p, labels, CLASSES).metrics["ece"] < 0.01


def test_a_label_that_is_not_there_leaves_the_others_their_scores():
    log_p, labels = cases()
    some = labels != 2
    actual = score_classes(log_p[some], labels[some], CLASSES).metrics
    p = np.exp(log_p[some])
    expected = np.mean([roc_auc_score(labels[some] == c, p[:, c]) for c in range(2)])
    assert actual["auroc"] == pytest.approx(expected)
    one = score_classes(log_p[labels == 0], labels[labels == 0], CLASSES).metrics
    assert np.isnan(one["auroc"])


def test_sets_of_labels():
    odds, labels = label_sets()
    scored = score_label_sets(odds, labels, CLASSES)
    result, p = scored.metrics, expit(odds)
    assert result["accuracy"] == pytest.approx(accuracy_score(labels, odds >= 0))
    assert result["label_accuracy"] == pytest.approx(((odds >= 0) == labels).mean())
    assert result["macro_f1"] == pytest.approx(f1_score(labels, odds >= 0, average="macro"))
    assert result["auroc"] == pytest.approx(roc_auc_score(labels, p, average="macro"))
    assert result["loss"] == pytest.approx(np.mean([log_loss(labels[:, c], p[:, c]) for c in range(3)]))
    (tn, fp), (fn, tp) = scored.details["confusions"]["b"]
    assert (tn + fp, fn + tp) == ((~labels[:, 1]).sum(), labels[:, 1].sum())
    assert tn + tp == ((odds[:, 1] >= 0) == labels[:, 1]).sum()


def test_sure_and_wrong_is_a_finite_loss_of_its_size():
    scored = score_label_sets(np.array([[800.0, -800.0, 0.0]]), np.array([[False, False, True]]), CLASSES)
    assert scored.metrics["loss"] == pytest.approx((800 + np.log(2)) / 3)


@pytest.mark.parametrize(("rows", "columns"), [(0, 3), (4, 2)])
def test_scores_that_do_not_fit(rows: int, columns: int):
    with pytest.raises(ValueError, match=r"nothing to score|do not fit"):
        score_classes(np.zeros((rows, columns)), np.zeros(rows, int), CLASSES)
