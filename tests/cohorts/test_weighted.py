"""Weighted rows: a weight of two is the same row twice, and missing values are seen in numbers and words."""

import doctest

import numpy as np
import pytest

from twinarm.cohorts import weighted
from twinarm.cohorts.weighted import effective_number, is_known, quantiles


def test_effective_number():
    assert effective_number(np.ones(7)) == pytest.approx(7)
    assert effective_number(np.repeat([3.0, 1.0], 50)) == pytest.approx(80)  # (150 + 50)^2 / (450 + 50)
    assert effective_number(np.zeros(3)) == effective_number(np.ones(0)) == 0


def test_a_quantile_under_equal_weights_is_hazen_s():
    values, levels = np.random.default_rng(1).normal(size=200), np.linspace(0.01, 0.99, 9)
    assert quantiles(values, np.full(200, 0.3), levels) == pytest.approx(np.quantile(values, levels, method="hazen"))


def test_a_weight_of_two_is_nearly_the_same_row_twice():
    values, levels = np.random.default_rng(2).normal(size=2000), np.array([0.1, 0.5, 0.9])
    twice = np.append(values, values[:700])
    found = quantiles(values, np.where(np.arange(2000) < 700, 2.0, 1.0), levels)
    assert found == pytest.approx(np.quantile(twice, levels, method="hazen"), abs=0.01)


def test_missing_numbers_and_words():
    assert is_known(np.array([np.nan, np.inf, 0.0])).tolist() == [False, False, True]
    assert is_known(np.array(["", "nan"])).tolist() == [False, True]


def test_examples():
    assert doctest.testmod(weighted).failed == 0
