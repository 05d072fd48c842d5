"""Each analysis against an independent answer: exact posteriors by quadrature, and other people's estimators."""

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter, KaplanMeierFitter, WeibullAFTFitter
from lifelines.utils import restricted_mean_survival_time
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import nbinom, t as student_t
from sklearn.linear_model import LogisticRegression

pytestmark = pytest.mark.analysis


def row(fit, name="effect"):
    return next(row for row in fit.summary if row.name == name)


def design(data):
    """Intercept, treatment 0/1 and age in its own unit: not the coding of the package."""
    return np.column_stack([np.ones(data.n), data.treated, *data.covariates.values()])


def weighted(log_density, values):
    """Mean and sd of `values` under an unnormalised log density on a grid."""
    weights = np.exp(log_density - log_density.max())
    weights /= weights.sum()
    mean = (weights * values).sum()
    return mean, np.sqrt((weights * (values - mean) ** 2).sum())


def test_every_shared_fit_passes_its_gates(fitted):
    for model in ("continuous", "binary", "count", "piecewise-exponential", "weibull"):
        _, fit = fitted(model)
        assert fit.passed, [gate for gate in fit.gates if not gate.passed]


def test_ancova_is_near_least_squares(fitted):
    data, fit = fitted("continuous")
    x = design(data)
    coefficients, rss, *_ = np.linalg.lstsq(x, data.y)
    error = np.sqrt(rss[0] / (data.n - 3) * np.linalg.inv(x.T @ x)[1, 1])
    # A prior of one sd of the outcome shrinks by about (error / sd)^2 = 1 % of the estimate.
    assert row(fit).mean == pytest.approx(coefficients[1], abs=0.1 * error)
    assert row(fit).sd == pytest.approx(error, rel=0.05)


def test_ancova_equals_the_exact_posterior(fitted):
    """Given sigma the posterior is normal; sigma is integrated on a grid."""
    data, fit = fitted("continuous")
    mean, sd = data.y.mean(), data.y.std()
    age = data.covariates["age"]
    x = np.column_stack([np.ones(data.n), data.treated - 0.5, (age - age.mean()) / age.std()])
    y, prior = (data.y - mean) / sd, np.diag(1 / np.array([2.5, 1.0, 2.5]) ** 2)
    log_weight, centre, variance = [], [], []
    grid = np.linspace(0.6, 1.4, 801)
    for sigma in grid:
        precision = x.T @ x / sigma**2 + prior
        location = np.linalg.solve(precision, x.T @ y / sigma**2)
        log_weight.append(
            -data.n * np.log(sigma)
            - 0.5 * (y @ y / sigma**2 - location @ precision @ location)
            - 0.5 * np.linalg.slogdet(precision)[1]
            + student_t.logpdf(sigma, 3)
        )
        centre.append(location[1])
        variance.append(np.linalg.inv(precision)[1, 1])
    expected, between = weighted(np.array(log_weight), np.array(centre))
    within, _ = weighted(np.array(log_weight), np.array(variance))
    effect = row(fit)
    assert abs(effect.mean - expected * sd) < 4 * effect.mcse
    assert effect.sd == pytest.approx(np.sqrt(within + between**2) * sd, rel=0.06)


def test_risk_difference_equals_the_exact_posterior(fitted):
    """Two arms without covariates: the posterior on a grid of the two coefficients."""
    data, fit = fitted("binary", covariates=False)
    pooled = (data.y.sum() + 0.5) / (data.n + 1)
    offset = np.log(pooled / (1 - pooled))
    a, b = np.meshgrid(np.linspace(-1, 1, 401), np.linspace(-1.5, 2.5, 401), indexing="ij")
    log_density = -0.5 * (a / 1.5) ** 2 - 0.5 * b**2
    for arm in (0, 1):
        eta = offset + a + (arm - 0.5) * b
        own = data.y[data.treated == arm]
        log_density += own.sum() * eta - own.size * np.logaddexp(0, eta)
    difference = expit(offset + a + b / 2) - expit(offset + a - b / 2)
    expected, spread = weighted(log_density, difference)
    effect = row(fit)
    assert abs(effect.mean - expected) < 4 * effect.mcse
    assert effect.sd == pytest.approx(spread, rel=0.06)


def test_risk_difference_is_near_maximum_likelihood_standardised(fitted):
    data, fit = fitted("binary")
    age = (data.covariates["age"] - 60) / 10
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(np.column_stack([data.treated, age]), data.y)
    risks = [model.predict_proba(np.column_stack([np.full(data.n, arm), age]))[:, 1].mean() for arm in (0.0, 1.0)]
    effect = row(fit)
    # The N(0, 1) prior on the log odds ratio shrinks by about (0.2)^2 = 4 %, 0.1 posterior sds here.
    assert effect.mean == pytest.approx(risks[1] - risks[0], abs=0.2 * effect.sd)
    assert row(fit, "risk_control").mean == pytest.approx(risks[0], abs=0.2 * row(fit, "risk_control").sd)


def test_rate_ratio_is_near_maximum_likelihood(fitted):
    data, fit = fitted("count")
    x = design(data)
    x[:, 2] = (x[:, 2] - 60) / 10

    def minus_log_likelihood(theta):
        mean, size = data.exposure * np.exp(x @ theta[:3]), np.exp(-theta[3])
        return -nbinom.logpmf(data.y, size, size / (size + mean)).sum()

    best = minimize(minus_log_likelihood, [-4.0, 0.0, 0.0, 0.0], method="Nelder-Mead", options={"maxfev": 4000})
    effect = row(fit)
    draws = np.log(fit.posterior["effect"].values)
    assert draws.mean() == pytest.approx(best.x[1], abs=0.15 * draws.std())
    assert row(fit, "overdispersion").mean == pytest.approx(np.exp(best.x[3] / 2), rel=0.05)
    assert effect.eti_low < np.exp(0.5) < effect.eti_high


@pytest.fixture(scope="module")
def table(trial):
    data = trial("time-to-event")
    return pd.DataFrame(
        {"time": data.y, "event": data.event, "treated": data.treated, "age": data.covariates["age"] / 10}
    )


@pytest.mark.parametrize("model", ["piecewise-exponential", "weibull"])
def test_hazard_ratio_is_near_partial_likelihood(fitted, table, model):
    """Estimators of different efficiency: they differ by a fraction of their standard error."""
    _, fit = fitted(model)
    cox = CoxPHFitter().fit(table, "time", "event")
    draws = np.log(fit.posterior["effect"].values)
    assert draws.mean() == pytest.approx(cox.params_["treated"], abs=0.3 * cox.standard_errors_["treated"])
    assert draws.std() == pytest.approx(cox.standard_errors_["treated"], rel=0.06)


def test_weibull_is_near_maximum_likelihood(fitted, table):
    _, fit = fitted("weibull")
    aft = WeibullAFTFitter().fit(table, "time", "event")
    shape = np.exp(aft.params_["rho_", "Intercept"])
    assert row(fit, "shape").mean == pytest.approx(shape, abs=0.2 * row(fit, "shape").sd)
    log_ratio = -shape * aft.params_["lambda_", "treated"]  # accelerated time as proportional hazards
    draws = np.log(fit.posterior["effect"].values)
    assert draws.mean() == pytest.approx(log_ratio, abs=0.15 * draws.std())


def test_survival_time_difference_is_near_kaplan_meier(fitted):
    data, fit = fitted("piecewise-exponential", covariates=False)
    horizon = min(data.y[data.treated == arm].max() for arm in (0, 1))
    areas = [
        restricted_mean_survival_time(
            KaplanMeierFitter().fit(data.y[data.treated == arm], data.event[data.treated == arm]), t=horizon
        )
        for arm in (0, 1)
    ]
    effect = row(fit, "rmst_difference")
    assert effect.unit == "day"
    assert effect.mean == pytest.approx(areas[1] - areas[0], abs=0.5 * effect.sd)


def test_one_interval_equals_the_exact_posterior(fitted):
    """Exponential survival without covariates: the posterior on a grid of level and log hazard ratio."""
    data, fit = fitted("piecewise-exponential", covariates=False, intervals=1)
    pooled = np.log((data.event.sum() + 0.5) / data.y.sum())
    level, ratio = np.meshgrid(pooled + np.linspace(-1, 1, 401), np.linspace(-0.5, 1.5, 401), indexing="ij")
    log_density = -0.5 * ((level - pooled) / 2) ** 2 - 0.5 * ratio**2
    for arm in (0, 1):
        eta, own = level + (arm - 0.5) * ratio, data.treated == arm
        log_density += data.event[own].sum() * eta - data.y[own].sum() * np.exp(eta)
    expected, spread = weighted(log_density, np.exp(ratio))
    effect = row(fit)
    assert abs(effect.mean - expected) < 4 * effect.mcse
    assert effect.sd == pytest.approx(spread, rel=0.06)
