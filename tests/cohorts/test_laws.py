"""Laws of one variable against SciPy's own, the limits put on them, and what cannot be a law."""

import re

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from twinarm.cohorts.blocks.laws import Variable
from twinarm.models.expressions import ExpressionError

DESCRIBED = {"name": "x", "label": "x", "unit": "1", "source": "test", "provenance": "chosen"}
U = np.concatenate([[1e-9, 1e-4], np.linspace(0.001, 0.999, 999), [1 - 1e-4, 1 - 1e-9]])


def as_read(value):
    """As a file is read: lists are tuples."""
    if isinstance(value, dict):
        return {key: as_read(v) for key, v in value.items()}
    return tuple(as_read(v) for v in value) if isinstance(value, list) else value


def variable(**law):
    return Variable.model_validate({**DESCRIBED, **as_read(law)})


CONTINUOUS = {
    "normal": ({"normal": {"mean": 5.0, "sd": 2.0}}, stats.norm(5, 2)),
    "lognormal": ({"lognormal": {"median": 3.0, "log_sd": 0.7}}, stats.lognorm(0.7, scale=3)),
    "lognormal by cv": ({"lognormal": {"median": 3.0, "cv": 0.5}}, stats.lognorm(np.sqrt(np.log(1.25)), scale=3)),
    "shifted lognormal": (
        {"lognormal": {"median": 3.0, "log_sd": 0.7, "shift": 10.0}},
        stats.lognorm(0.7, loc=10, scale=3),
    ),
    "uniform": ({"uniform": {"low": -1.0, "high": 4.0}}, stats.uniform(-1, 5)),
    "gamma": ({"gamma": {"shape": 2.5, "scale": 4.0}}, stats.gamma(2.5, scale=4)),
    "beta": ({"beta": {"a": 2.0, "b": 5.0, "low": 10.0, "high": 30.0}}, stats.beta(2, 5, loc=10, scale=20)),
    "weibull": ({"weibull": {"shape": 1.7, "scale": 9.0}}, stats.weibull_min(1.7, scale=9)),
    "skew-normal": ({"skew_normal": {"location": 1.0, "scale": 2.0, "shape": 4.0}}, stats.skewnorm(4, loc=1, scale=2)),
    "skew-normal to the left": (
        {"skew_normal": {"location": 1.0, "scale": 2.0, "shape": -3.0}},
        stats.skewnorm(-3, loc=1, scale=2),
    ),
    # epsilon 0 and delta 1: the normal law
    "sinh-arcsinh": (
        {"sinh_arcsinh": {"xi": 2.0, "scale": 3.0, "epsilon": 0.0, "delta": 1.0}},
        stats.norm(2, 3),
    ),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_quantiles_and_distribution_are_those_of_scipy(name):
    law, theirs = CONTINUOUS[name]
    ours = variable(**law)
    x = ours.quantile(U, {})
    assert x == pytest.approx(theirs.ppf(U), rel=1e-6, abs=1e-7)
    inside = slice(2, -2)
    assert ours.law.cdf(x[inside], {}) == pytest.approx(U[inside], abs=1e-9)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_a_truncated_law_is_the_law_given_the_limits(name):
    law, theirs = CONTINUOUS[name]
    low, high = (float(theirs.ppf(p)) for p in (0.1, 0.7))
    x = variable(**law, within=[low, high]).quantile(U, {})
    assert x == pytest.approx(theirs.ppf(0.1 + 0.6 * U), rel=1e-6, abs=1e-7)
    assert x.min() >= low and x.max() <= high


def test_sinh_arcsinh_is_what_its_equation_says():
    x = variable(sinh_arcsinh={"xi": 2.0, "scale": 3.0, "epsilon": 0.4, "delta": 0.8}).quantile(U, {})
    z = np.sinh(0.8 * np.arcsinh((x - 2.0) / 3.0) - 0.4)
    assert stats.norm.cdf(z) == pytest.approx(U, abs=1e-10)


def test_a_mixture_has_the_shares_of_its_laws():
    law = {
        "shares": [0.3, 0.7],
        "laws": [{"normal": {"mean": 0.0, "sd": 1.0}}, {"gamma": {"shape": 3.0, "scale": 2.0}}],
    }
    x = variable(mixture=law).quantile(U, {})
    assert 0.3 * stats.norm.cdf(x) + 0.7 * stats.gamma.cdf(x, 3, scale=2) == pytest.approx(U, abs=1e-9)


def test_a_quantile_curve_goes_through_its_points():
    x = variable(quantiles={"levels": [5.0, 50.0, 90.0], "values": [10.0, 12.0, 20.0]})
    assert x.quantile(np.array([0.05, 0.5, 0.9]), {}) == pytest.approx([10, 12, 20])
    assert x.quantile(np.array([stats.norm.cdf(stats.norm.ppf(0.9) / 2)]), {}) == pytest.approx([16.0])
    assert (np.diff(x.quantile(U, {})) > 0).all()


def test_counts_and_words_have_their_shares():
    counts = variable(poisson={"mean": 3.7}).quantile(U, {})
    assert (counts == stats.poisson(3.7).ppf(U)).all()
    yes = variable(bernoulli={"probability": 0.3}).quantile(np.linspace(0.0005, 0.9995, 1000), {})
    assert yes.mean() == pytest.approx(0.3, abs=1e-9) and set(yes) == {0.0, 1.0}
    words = variable(choice={"values": ["a", "b", "c"], "shares": [0.2, 0.5, 0.3]}).quantile(
        np.linspace(0.0005, 0.9995, 1000), {}
    )
    assert [np.mean(words == word) for word in "abc"] == pytest.approx([0.2, 0.5, 0.3], abs=1e-9)


def test_parameters_may_be_expressions_of_earlier_variables():
    weight = np.array([50.0, 70.0, 100.0])
    x = variable(lognormal={"median": "5 * (weight / 70) ** 0.75", "cv": 0.3}, within=[0.0, 50.0])
    assert x.quantile(np.full(3, 0.5), {"weight": weight}) == pytest.approx(5 * (weight / 70) ** 0.75, rel=1e-6)
    spread = variable(normal={"mean": 0.0, "sd": "0.1 * weight"}).quantile(np.full(3, 0.9), {"weight": weight})
    assert spread == pytest.approx(0.1 * weight * stats.norm.ppf(0.9))


@pytest.mark.parametrize(
    ("law", "said"),
    [
        (
            {"mixture": {"shares": [0.5, 0.5], "laws": [{"normal": {"mean": 0.0, "sd": s}} for s in ("w - 80", 1.0)]}},
            "x: sd 'w - 80' is -10 for some people; it must be above 0",
        ),
        ({"bernoulli": {"probability": "log(w - 80)"}}, "x: probability 'log(w - 80)' is nan for some people"),
        ({"normal": {"mean": "log(w - 80)", "sd": 1.0}}, "x: mean 'log(w - 80)' is nan for some people"),
        ({"gamma": {"shape": 1.0, "scale": "1 / (w - 70)"}}, "x: scale '1 / (w - 70)' is inf for some people"),
    ],
)
def test_what_an_expression_must_not_give_is_refused(law, said):
    with pytest.raises(ExpressionError, match=re.escape(said)):
        variable(**law).quantile(np.array([0.2, 0.7]), {"w": np.array([70.0, 90.0])})


@pytest.mark.parametrize(
    ("law", "said"),
    [
        ({"normal": {"mean": 0.0, "sd": -1.0}}, "sd is -1; it must be above 0"),
        ({"gamma": {"shape": 0.0, "scale": 1.0}}, "shape is 0; it must be above 0"),
        ({"normal": {"mean": 0.0, "sd": 1.0}, "within": [8.0, 9.0]}, "holds 7e-16 of the law; widen it"),
        ({"poisson": {"mean": 2.0}, "within": [0.0, 3.0]}, "within cuts a continuous law; drop it here"),
        ({"uniform": {"low": 3.0, "high": 3.0}}, "runs from 3 to 3; low must be below high"),
        ({"beta": {"a": 2.0, "b": 5.0, "low": 30.0, "high": 10.0}}, "runs from 30 to 10; low must be below high"),
        ({"beta": {"a": 2.0, "b": 5.0, "low": 1.0}}, "runs from 1 to 1; low must be below high"),
        ({"normal": {"mean": np.nan, "sd": 1.0}}, "should be a finite number"),
        ({"normal": {"mean": 0.0, "sd": np.inf}}, "should be a finite number"),
        ({"lognormal": {"median": 1.0, "cv": np.inf}}, "should be a finite number"),
        ({"normal": {"mean": 0.0, "sd": 1.0}, "within": [0.0, np.inf]}, "should be a finite number"),
        ({"bernoulli": {"probability": 1.2}}, "must lie between 0 and 1"),
        ({"quantiles": {"levels": [5.0, 50.0], "values": [3.0, 2.0]}}, "both must rise"),
        ({"mixture": {"shares": [0.5, 0.6], "laws": [{"normal": {"mean": 0.0, "sd": 1.0}}] * 2}}, "summing to 1"),
        ({"normal": {"mean": 0.0, "sd": 1.0}, "gamma": {"shape": 1.0, "scale": 1.0}}, "has 2 laws; give exactly one"),
    ],
)
def test_what_cannot_be_is_refused(law, said):
    with pytest.raises(ValidationError, match=said):
        variable(**law)
