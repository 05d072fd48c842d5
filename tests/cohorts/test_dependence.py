"""Linked and joint variables: rank correlations are kept by limits, omegas are met, and what cannot hold is refused."""

import numpy as np
import pytest
from scipy.stats import kstest, norm, spearmanr, truncnorm

from twinarm.cohorts import PopulationError, load_population, sample_twins, screen
from twinarm.cohorts.sampling import sample_draws
from twinarm.cohorts.screening import correlation_lost

SIZE = 20_000
HEAD = """format: 1
name: mine
title: a test
period: "2020"
method: drawn
limits: a test
sources: [{citation: nobody, licence: CC0}]
"""
LINKED = """
linked:
  - name: body and blood
    kind: spearman
    pairs: [[a, b, 0.6], [a, c, -0.4], [b, c, -0.3], [c, d, 0.5]]
    variables:
      - {name: a, label: a, unit: "1", source: t, provenance: chosen, lognormal: {median: 10, cv: 0.6}, within: [5, 20]}
      - {name: b, label: b, unit: "1", source: t, provenance: chosen, normal: {mean: 0, sd: 1}, within: [-0.5, 3]}
      - {name: c, label: c, unit: "1", source: t, provenance: chosen, gamma: {shape: 2, scale: 3}}
      - {name: d, label: d, unit: "1", source: t, provenance: chosen, skew_normal: {location: 0, scale: 1, shape: 5}}
"""
PARAMETERS = """
based_on: {population: adult-us, keep: [weight]}
uncertain:
  joint:
    - name: fixed effects, covariance of the estimates
      source: test
      provenance: chosen
      mean: [1.6, 3.5]
      covariance: [[0.01, 0.012], [0.012, 0.04]]
      variables:
        - {name: CL_pop, label: typical clearance, unit: L/h, scale: log}
        - {name: V_pop, label: typical volume, unit: L, scale: log}
  variables:
    - {name: omega_CL, label: sd of eta, unit: "1", source: t, provenance: chosen, lognormal: {median: 0.3, cv: 0.2}}
joint:
  - name: between subjects
    source: test
    provenance: chosen
    mean: [0, 0, 0]
    covariance: [[0.09, 0.03, 0.01], [0.03, 0.16, -0.02], [0.01, -0.02, 0.25]]
    variables:
      - {name: eta_V, label: eta, unit: "1", scale: identity}
      - {name: eta_ka, label: eta, unit: "1", scale: identity}
      - {name: eta_F, label: eta, unit: "1", scale: identity}
  - name: between occasions
    source: test
    provenance: chosen
    mean: [0, 0]
    covariance: [[0.04, 0.018], [0.018, 0.09]]
    occasions: 4
    variables:
      - {name: iov_CL, label: deviation, unit: "1", scale: identity}
      - {name: iov_V, label: deviation, unit: "1", scale: identity}
independent:
  - {name: eta_CL, label: eta, unit: "1", source: t, provenance: chosen, normal: {mean: 0, sd: omega_CL}}
derived:
  - name: CL_3
    label: clearance at the third occasion
    unit: L/h
    expression: CL_pop * (weight / 70) ** 0.75 * exp(eta_CL + iov_CL_3)
    source: test
    provenance: derived
"""


@pytest.fixture
def write(tmp_path):
    def put(text: str):
        path = tmp_path / "mine.yaml"
        path.write_text(HEAD + text, encoding="utf-8")
        return path

    return put


def test_limits_keep_margins_and_rank_correlations(write):
    twins = sample_twins(load_population(write(LINKED)), np.arange(SIZE), 4)
    rank = spearmanr(np.column_stack([twins[name].values for name in "abcd"])).statistic
    stated = {(0, 1): 0.6, (0, 2): -0.4, (1, 2): -0.3, (2, 3): 0.5, (0, 3): 0.0, (1, 3): 0.0}
    for pair, value in stated.items():
        assert abs(rank[pair] - value) < 0.02, pair
    assert twins["a"].min() >= 5 and twins["a"].max() <= 20
    assert kstest(twins["b"].values, truncnorm(-0.5, 3).cdf).pvalue > 1e-3


def test_rules_about_several_variables_say_what_they_move(write):
    plain = load_population(write(LINKED))
    assert correlation_lost(plain, 1) == (0.0, "", "")
    strict = load_population(write(LINKED + "plausibility: [{rule: a < 10 + 4 * b, reason: too much}]\n"))
    lost, one, two = correlation_lost(strict, 1)
    assert {one, two} == {"a", "b"} and lost > 0.05
    twins = screen(strict, SIZE, 1).cohort
    kept = float(spearmanr(twins["a"], twins["b"]).statistic)
    assert abs(abs(kept - 0.6) - lost) < 0.02


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[c, d, 0.5]]", "[b, d, 0.95], [a, d, -0.95]]", "cannot all hold \\(not positive definite\\)"),
        ("[c, d, 0.5]]", "[c, e, 0.5]]", "correlates 'e', which is no variable of body and blood"),
        ("[c, d, 0.5]]", "[c, d, 1.5]]", "less than 1"),
        ("[c, d, 0.5]]", "[b, a, 0.5]]", "gives b and a twice"),
    ],
)
def test_correlations_that_cannot_be(write, old, new, said):
    with pytest.raises(PopulationError, match=said):
        load_population(write(LINKED.replace(old, new)))


def test_an_omega_that_is_not_positive_definite_is_refused(write):
    with pytest.raises(PopulationError, match="not symmetric and positive definite"):
        load_population(write(PARAMETERS.replace("[0.03, 0.16, -0.02]", "[0.3, 0.16, -0.02]")))


def test_etas_and_occasions_have_their_covariance(write):
    twins = sample_twins(load_population(write(PARAMETERS)), np.arange(SIZE), 2)
    omega = np.array([[0.09, 0.03, 0.01], [0.03, 0.16, -0.02], [0.01, -0.02, 0.25]])
    found = np.cov([twins[name].values for name in ("eta_V", "eta_ka", "eta_F")])
    assert np.all(np.abs(found - omega) < 4 * np.sqrt((np.outer(np.diag(omega), np.diag(omega)) + omega**2) / SIZE))
    occasions = [f"iov_{name}_{k}" for k in (1, 2, 3, 4) for name in ("CL", "V")]
    block = np.kron(np.eye(4), [[0.04, 0.018], [0.018, 0.09]])  # nothing is shared between occasions
    found = np.cov([twins[name].values for name in occasions])
    assert np.all(np.abs(found - block) < 4.5 * np.sqrt((np.outer(np.diag(block), np.diag(block)) + block**2) / SIZE))
    assert twins["iov_V_4"].attrs["long_name"] == "deviation, occasion 4"
    clearance = np.exp(1.6) * (twins["weight"] / 70) ** 0.75 * np.exp(twins["eta_CL"] + twins["iov_CL_3"])
    assert twins["CL_3"].values == pytest.approx(clearance.values, rel=1e-12)


def test_another_occasion_changes_no_number(write):
    few = sample_twins(load_population(write(PARAMETERS)), np.arange(50), 2)
    more = sample_twins(load_population(write(PARAMETERS.replace("occasions: 4", "occasions: 9"))), np.arange(50), 2)
    assert more["iov_V_9"].values.std() > 0
    for name in few.data_vars:
        assert (few[name].values == more[name].values).all(), name


def test_population_draws_are_a_dimension_of_their_own(write):
    population = load_population(write(PARAMETERS))
    draws = sample_draws(population, np.arange(5), 2, 400)
    assert dict(draws.sizes) == {"population_draw": 400, "twin": 5}
    logs = np.log([draws[name].values[:, 0] for name in ("CL_pop", "V_pop")])
    assert np.cov(logs) == pytest.approx(np.array([[0.01, 0.012], [0.012, 0.04]]), rel=0.35)
    assert np.corrcoef(logs)[0, 1] == pytest.approx(0.6, abs=4 * 0.64 / np.sqrt(400))
    assert kstest(np.log(draws["omega_CL"].values[:, 0]), norm(np.log(0.3), np.sqrt(np.log(1.04))).cdf).pvalue > 1e-3
    # One twin is the same person in every draw: only what reads the parameters moves.
    assert (draws["weight"].values == draws["weight"].values[:1]).all()
    ratio = draws["eta_CL"].values / draws["omega_CL"].values
    assert ratio == pytest.approx(np.broadcast_to(ratio[:1], ratio.shape), rel=1e-9)
    assert sample_twins(population, [3], 2, 17).identical(draws.isel(population_draw=17, twin=[3], drop=True))


def test_a_parameter_reads_only_those_before_it(write):
    bad = PARAMETERS.replace("lognormal: {median: 0.3, cv: 0.2}", "normal: {mean: weight, sd: 1}")
    with pytest.raises(PopulationError, match="omega_CL reads weight, which is no parameter that stands before it"):
        load_population(write(bad))


def test_without_draws_parameters_have_their_typical_value(write):
    twins = sample_twins(load_population(write(PARAMETERS)), np.arange(3), 2)
    assert twins["CL_pop"].values == pytest.approx(np.exp(1.6)) and twins["omega_CL"].values == pytest.approx(0.3)
