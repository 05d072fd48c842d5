"""Simulated trials with known truth, and fits of them that several tests share."""

from functools import cache

import numpy as np
import pytest

from twinarm.trials.analysis.data import AnalysisData
from twinarm.trials.analysis.fit import fit
from twinarm.trials.protocol import Analysis, Decision

KINDS = {
    "continuous": "continuous",
    "binary": "binary",
    "count": "count",
    "piecewise-exponential": "time-to-event",
    "weibull": "time-to-event",
}
UNITS = {"continuous": "mg/dL", "time-to-event": "day"}


def simulate_trial(kind, n=400, seed=1, effect=0.5, covariates=True, direction="higher"):
    """One trial: the linear predictor is effect * (treated - 1/2) + 0.3 per sd of age."""
    rng = np.random.default_rng(seed)
    treated = np.arange(n) % 2 * 1.0
    age = rng.normal(60, 10, n)
    eta = effect * (treated - 0.5) + 0.03 * (age - 60) * covariates
    more = {}
    if kind == "continuous":
        y = 100 + 20 * (eta + rng.normal(size=n))
    elif kind == "binary":
        y = (rng.random(n) < 1 / (1 + np.exp(0.5 - eta))) * 1.0
    elif kind == "count":
        more["exposure"] = rng.uniform(60, 365, n)
        y = rng.poisson(more["exposure"] / 60 * np.exp(eta) * rng.gamma(2, 0.5, n)) * 1.0
    else:
        time, end = rng.exponential(200 / np.exp(eta)), rng.uniform(100, 600, n)
        y = np.minimum(time, end)
        more["event"] = (time <= end) * 1.0
    return AnalysisData(
        endpoint="outcome",
        label="Outcome",
        kind=kind,
        direction=direction,
        unit=UNITS.get(kind, "1"),
        treated=treated,
        arms=("control", "active"),
        y=y,
        covariates={"age": age} if covariates else {},
        **more,
    )


def analysis_of(model, probability=0.975, **more):
    margin = 0.0 if model in ("continuous", "binary") else 1.0
    decision = Decision(margin=margin, probability=probability)
    return Analysis(endpoint="outcome", model=model, decision=decision, **more)


@pytest.fixture(scope="session")
def trial():
    return simulate_trial


@pytest.fixture(scope="session")
def rule():
    return analysis_of


@pytest.fixture(scope="session")
def fitted():
    """Fit of a simulated trial by model; each asked for is made once a session."""

    @cache
    def make(model, n=400, covariates=True, intervals=6):
        data = simulate_trial(KINDS[model], n=n, covariates=covariates)
        return data, fit(data, analysis_of(model, intervals=intervals), seed=20)

    return make
