"""Which way is better, for every kind of endpoint; and when a probability is resolved."""

from dataclasses import replace

import numpy as np
import pytest

from twinarm.trials.analysis.decision import decide, decision_gate
from twinarm.trials.protocol import Analysis, Decision

LOW, HIGH = np.random.default_rng(0).normal([[[-5.0]], [[5.0]]], 1.0, (2, 4, 1000))


def decided(trial, kind, direction, effect, margin, probability=0.975):
    rule = Decision(margin=margin, probability=probability)
    analysis = Analysis(endpoint="outcome", model="continuous", decision=rule)
    return decide(effect, trial(kind, n=10, direction=direction), analysis)


@pytest.mark.parametrize(
    ("kind", "direction", "better", "margin"),
    [
        ("continuous", "higher", HIGH, 0.0),
        ("continuous", "lower", LOW, 0.0),
        ("continuous", "lower", LOW + 100, 100.0),
        ("binary", "higher", HIGH / 100, 0.0),
        ("binary", "lower", LOW / 100, 0.0),
        ("count", "lower", np.exp(LOW), 1.0),
        ("count", "higher", np.exp(HIGH), 1.0),
        # a hazard: the value is a time, and a longer time is a smaller hazard
        ("time-to-event", "higher", np.exp(LOW), 1.0),
        ("time-to-event", "lower", np.exp(HIGH), 1.0),
    ],
)
def test_better_is_the_direction_of_the_endpoint(trial, kind, direction, better, margin):
    assert decided(trial, kind, direction, better, margin).outcome == "success"
    opposite = {"higher": "lower", "lower": "higher"}[direction]
    worse = decided(trial, kind, opposite, better, margin)
    assert (worse.outcome, worse.probability) == ("no success", 0.0)


def test_probability_counts_the_draws(trial):
    effect = np.arange(-1000.0, 3000.0)
    effect = np.random.default_rng(1).permutation(effect).reshape(4, 1000)
    found = decided(trial, "continuous", "higher", effect, 0.0, probability=0.9)
    assert found.probability == pytest.approx(2999 / 4000)
    assert found.mcse == pytest.approx(np.sqrt(0.75 * 0.25 / 4000), rel=0.1)
    assert found.outcome == "no success"


def test_a_probability_near_the_threshold_is_not_resolved(trial):
    effect = np.random.default_rng(2).normal(1.959964, 1.0, (4, 1000))  # P = 0.975
    found = decided(trial, "continuous", "higher", effect, 0.0)
    assert found.outcome == "not resolved"
    assert not decision_gate(found).passed
    assert decision_gate(decided(trial, "continuous", "higher", HIGH, 0.0)).passed


def test_certainty_in_few_effective_draws_is_not_certainty(trial):
    stuck = np.repeat(HIGH[:, :4], 250, axis=1)  # 16 different draws
    assert decided(trial, "continuous", "higher", stuck, 0.0, probability=0.99).outcome == "not resolved"


def test_no_rule_no_decision(trial):
    assert decide(HIGH, trial("continuous", n=10), Analysis(endpoint="outcome", model="continuous")) is None


def test_a_withheld_decision_keeps_its_probability(trial):
    found = decided(trial, "continuous", "higher", HIGH, 0.0)
    assert found.withheld() == replace(found, outcome="not resolved")
