"""Diagnostics beside ArviZ, and gates that fail on draws that are known to be bad."""

import numpy as np
import pytest
import xarray as xr

from twinarm.trials.analysis.diagnostics import e_bfmi, ess_bulk, ess_mean, ess_tail, gates_of, r_hat, summarise


def autoregressive(rho, chains=4, draws=1000, seed=0):
    """Stationary normal draws with autocorrelation rho, sd 1, (chain, draw)."""
    rng = np.random.default_rng(seed)
    x = np.empty((chains, draws))
    x[:, 0] = rng.standard_normal(chains)
    for i in range(1, draws):
        x[:, i] = rho * x[:, i - 1] + np.sqrt(1 - rho**2) * rng.standard_normal(chains)
    return x


def posterior_of(effect, diverging=0, depth=3):
    shape = effect.shape
    divergent = np.zeros(shape, dtype=bool)
    divergent.flat[:diverging] = True
    energy = np.random.default_rng(1).normal(size=shape)
    dims = ("chain", "draw")
    return xr.Dataset(
        {
            "effect": (dims, effect),
            "diverging": (dims, divergent),
            "tree_depth": (dims, np.full(shape, depth)),
            "energy": (dims, energy),
        }
    )


def failed(posterior):
    return {gate.name for gate in gates_of(posterior, summarise(posterior, 0.95), 10) if not gate.passed}


CASES = {
    "independent": autoregressive(0.0),
    "autocorrelated": autoregressive(0.9),
    "antithetic": autoregressive(-0.5),
    "heavy tails": np.random.default_rng(2).standard_cauchy((4, 500)),
    "odd number of draws": autoregressive(0.5, draws=333),
    "two chains": autoregressive(0.3, chains=2),
    "apart": autoregressive(0.5) + np.arange(4)[:, None],
    "few values": np.round(autoregressive(0.5)),
}


@pytest.mark.analysis
@pytest.mark.parametrize("name", CASES)
def test_diagnostics_equal_arviz(name):
    import arviz

    draws = CASES[name]
    assert r_hat(draws) == pytest.approx(float(arviz.rhat(draws, method="rank")), rel=1e-9)
    assert ess_bulk(draws) == pytest.approx(float(arviz.ess(draws, method="bulk")), rel=1e-6)
    assert ess_tail(draws) == pytest.approx(float(arviz.ess(draws, method="tail", prob=(0.05, 0.95))), rel=1e-6)
    assert ess_mean(draws) == pytest.approx(float(arviz.ess(draws, method="mean")), rel=1e-6)


def test_energy_fraction_of_an_autoregression():
    """Steps over spread of an AR(1) are 2 (1 - rho)."""
    assert e_bfmi(autoregressive(0.5, draws=20_000)) == pytest.approx(1.0, rel=0.05)


def test_independent_draws_pass():
    assert failed(posterior_of(autoregressive(0.0))) == set()


def test_a_badly_mixed_posterior_fails():
    assert {"R-hat", "bulk ESS", "tail ESS", "MCSE of the mean over posterior sd"} <= failed(
        posterior_of(autoregressive(0.999))
    )


def test_chains_in_different_places_fail():
    assert "R-hat" in failed(posterior_of(autoregressive(0.0) + np.array([0, 0, 0, 2.0])[:, None]))


def test_chains_of_different_spread_fail():
    assert "R-hat" in failed(posterior_of(autoregressive(0.0) * np.array([1, 1, 1, 3.0])[:, None]))


@pytest.mark.parametrize(
    ("fault", "gate"),
    [({"diverging": 1}, "divergences"), ({"depth": 10}, "share of draws at the largest tree depth")],
)
def test_faults_of_the_sampler_fail(fault, gate):
    assert failed(posterior_of(autoregressive(0.0), **fault)) == {gate}


def test_slow_energy_fails():
    posterior = posterior_of(autoregressive(0.0))
    posterior["energy"] = (("chain", "draw"), autoregressive(0.97))  # E-BFMI of an AR(1) is 2 (1 - rho)
    assert failed(posterior) == {"E-BFMI"}


def test_draws_that_are_not_finite_fail():
    effect = autoregressive(0.0)
    effect[0, 0] = np.inf
    assert "R-hat" in failed(posterior_of(effect))


def test_effective_sample_size_of_an_autoregression():
    """n (1 - rho) / (1 + rho); the estimate's own error is a few per cent."""
    assert ess_mean(autoregressive(0.8, draws=10_000)) == pytest.approx(40_000 / 9, rel=0.1)


def test_summary_is_equal_tailed():
    draws = np.arange(4000.0).reshape(4, 1000)
    (row,) = summarise(posterior_of(draws), 0.9)
    assert (row.eti_low, row.median, row.eti_high) == pytest.approx((199.95, 1999.5, 3799.05))
    assert row.ci_prob == 0.9


def test_elements_of_an_array_have_a_row_each():
    posterior = posterior_of(autoregressive(0.0))
    values = np.stack([autoregressive(0.0), autoregressive(0.1)], axis=-1)
    posterior["log_hazard"] = xr.DataArray(values, dims=("chain", "draw", "interval"), coords={"interval": [0.0, 12.5]})
    assert [row.name for row in summarise(posterior, 0.95)] == ["effect", "log_hazard[0]", "log_hazard[12.5]"]
