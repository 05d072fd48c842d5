"""Two made-up runs: real protocols and real accounting, with invented outcomes and posteriors."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from twinarm.trials.analysis.checks import Check
from twinarm.trials.analysis.data import AnalysisData
from twinarm.trials.analysis.decision import decide
from twinarm.trials.analysis.diagnostics import gates_of, summarise
from twinarm.trials.analysis.fit import Fit
from twinarm.trials.estimands import estimand_data
from twinarm.trials.ledger import attrition
from twinarm.trials.measures import outcome_coords, outcome_layout
from twinarm.trials.observe import observe
from twinarm.trials.protocol import Analysis, Protocol
from twinarm.trials.protocol_file import load_protocol
from twinarm.trials.true_effect import true_effects
from twinarm.workflows.report.contents import RunContents

TWINS = 240
EFFECTS = {
    "time_in_range": 11.0,
    "time_below_70": -0.6,
    "time_below_54": -0.1,
    "time_above_180": -10.0,
    "time_above_250": -5.0,
    "mean_glucose": -14.0,
    "cv": -2.0,
    "level2_hypoglycaemia": 0.8,
    "overall_survival": 0.82,
    "progression_free_survival": 0.85,
    "response": 0.04,
    "grade4_neutropenia": 0.12,
    "febrile_neutropenia": 0.03,
    "tumour_change": -4.0,
}
LEVELS = {
    "time_in_range": (60.0, 13.0),
    "time_below_70": (3.0, 1.2),
    "time_below_54": (0.6, 0.3),
    "time_above_180": (37.0, 12.0),
    "time_above_250": (11.0, 5.0),
    "mean_glucose": (165.0, 20.0),
    "cv": (36.0, 4.0),
    "tumour_change": (-8.0, 32.0),
}


def fit_of(data: AnalysisData, analysis: Analysis, passed: bool = True) -> Fit:
    rng = np.random.default_rng(3)
    effect = EFFECTS[data.endpoint]
    noise = rng.standard_normal((4, 1000))
    draws = effect * np.exp(0.1 * noise) if data.kind in {"time-to-event", "count"} else effect * (1 + 0.1 * noise)
    posterior = xr.Dataset(
        {
            "effect": (("chain", "draw"), draws, {"units": data.unit if data.kind == "continuous" else "1"}),
            "diverging": (("chain", "draw"), np.zeros((4, 1000))),
            "tree_depth": (("chain", "draw"), np.full((4, 1000), 3.0)),
            "energy": (("chain", "draw"), rng.standard_normal((4, 1000))),
        }
    )
    summary = summarise(posterior, analysis.ci_prob)
    gates = gates_of(posterior, summary, 10)
    if not passed:
        gates = (replace(gates[0], value=1.08, passed=False), *gates[1:])
    decision = decide(draws, data, analysis)
    return Fit(
        endpoint=data.endpoint,
        model=analysis.model,
        posterior=posterior,
        summary=summary,
        gates=gates,
        decision=decision.withheld() if decision and not passed else decision,
        priors={"treatment": "Normal(0, 1); difference in means 95 % between -25 and 25 %", "sigma": "Half-Normal(1)"},
        prior_checks=(Check(f"mean, {data.arms[0]}", 60.0, 10.0, 110.0, 0.5),),
        ppc=(
            Check(f"mean, {data.arms[0]}", 60.0, 57.0, 63.0, 0.52),
            Check(f"sd, {data.arms[0]}", 15.0, 10.0, 14.0, 0.999),
            Check(f"mean, {data.arms[1]}", 70.0, 68.0, 73.0, 0.31),
        ),
        flags=("posterior-predictive check: an invented flag",),
        seed=1,
    )


def _cohort(protocol: Protocol, rng: np.random.Generator) -> xr.Dataset:
    def column(values, unit, label, provenance="read"):
        attrs = {"units": unit, "long_name": label, "source": "invented for this test", "provenance": provenance}
        return ("twin", values, attrs)

    n = TWINS
    return xr.Dataset(
        {
            "age": column(rng.uniform(19, 78, n).round(), "year", "age"),
            "sex": column(np.where(rng.random(n) < 0.5, "female", "male"), "1", "sex"),
            "weight": column(rng.normal(80, 14, n), "kg", "body weight"),
            "bmi": column(rng.normal(27, 4, n), "kg/m2", "body mass index", "derived"),
            "bsa": column(rng.normal(1.9, 0.2, n), "m2", "body surface area", "derived"),
            "albumin": column(rng.normal(3.8, 0.4, n), "g/dL", "albumin", "recalled"),
            "ecog": column(rng.integers(0, 3, n), "1", "ECOG performance status", "chosen"),
        },
        coords={"twin": np.arange(n) * 2 + 1},
    )


def _outcomes(protocol: Protocol, cohort: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
    coords = {"twin": cohort["twin"].values, **outcome_coords(protocol)}
    data = {}
    latent = rng.standard_normal(TWINS)
    assert protocol.schedule is not None
    duration = protocol.schedule.duration
    layouts = outcome_layout(protocol)
    for name, layout in layouts.items():
        shape = tuple(len(coords[dim]) for dim in layout.dims)
        base = name.removesuffix("_event").removesuffix("_exposure")
        effect = EFFECTS.get(base, 0.0)
        own = rng.random((TWINS, 1)) + np.zeros(shape[:2])
        treated = np.arange(shape[1])[None, :] == 1
        if name == "status":
            values = np.ones(shape, dtype=np.int8)
            values[7, 1] = 2
        elif name == "failed_at":
            values = np.full(shape, np.nan)
        elif name.endswith("_exposure"):
            values = np.ones(shape) * 30.0
        elif f"{name}_event" in layouts:
            time = -np.log(own) * 250 / np.where(treated, effect or 1.0, 1.0)
            data[f"{name}_event"] = (layout.dims, (time < duration) * 1.0, dict(layout.attrs))
            values = np.minimum(time, duration)
        elif name.removesuffix("_event") in layouts and name.endswith("_event"):
            continue
        elif base in LEVELS:
            level, sd = LEVELS[base]
            values = (
                level + 0.8 * sd * latent.reshape(-1, *[1] * (len(shape) - 1)) + 0.5 * sd * rng.standard_normal(shape)
            )
            values = values + effect * (treated.reshape(1, -1, *[1] * (len(shape) - 2)) if len(shape) > 2 else treated)
            if len(shape) > 2:
                values[:, 1, 0] -= effect  # the run-in is the same in both arms
        elif base == "level2_hypoglycaemia":
            values = rng.poisson(1.5, shape).astype(float)
        else:
            values = (own < np.where(treated, 0.15 + effect, 0.15)).astype(float)
        data[name] = (layout.dims, values, dict(layout.attrs))
    return xr.Dataset(data, coords={k: v for k, v in coords.items() if any(k in d[0] for d in data.values())})


def _kept(protocol: Protocol, cohort: xr.Dataset, rng: np.random.Generator) -> xr.Dataset | None:
    if protocol.keep is None:
        return None
    time = np.arange(0, 14, 1 / 96)
    twins = cohort["twin"].values[:20]
    meal = sum(np.exp(-0.5 * (((time * 24) % 24 - at) / 1.4) ** 2) for at in (8.5, 13.5, 20.0))
    own = rng.normal(1, 0.3, (20, 2, 1))
    values = 130 + np.array([75, 40])[None, :, None] * own * meal + 12 * rng.standard_normal((20, 2, time.size))
    attrs = {"units": "mg/dL", "long_name": "sensor glucose"}
    arms = [arm.name for arm in protocol.arms]
    return xr.Dataset(
        {"cgm": (("twin", "arm", "time"), np.clip(values, 39, 400), attrs)},
        coords={"twin": twins, "arm": arms, "time": time},
    )


def made_up(name: str, passed: bool = True) -> RunContents:
    protocol = load_protocol(name)
    rng = np.random.default_rng(11)
    cohort = _cohort(protocol, rng)
    outcomes = _outcomes(protocol, cohort, rng)
    subjects = observe(protocol, cohort, outcomes)
    data = {a.endpoint: estimand_data(protocol, subjects, a) for a in protocol.analyses}
    refused = {("implausible", "weight outside 40 to 160 kg"): 9, ("screen failure", "under 18 years"): 61}
    rows = attrition(protocol, TWINS + 70, refused, outcomes, subjects, list(data.values()))
    fits = {}
    for analysis in protocol.analyses:
        ok = passed or analysis.decision is None
        fits[analysis.endpoint] = fit_of(data[analysis.endpoint], analysis, ok)
    return RunContents(
        protocol=protocol,
        fits=fits,
        data=data,
        cohort=cohort,
        outcomes=outcomes,
        kept=_kept(protocol, cohort, rng),
        subjects=subjects,
        truth=true_effects(protocol, outcomes),
        ledger=rows,
        digests={"Outcomes": "9f" * 32, "Cohort": "1c" * 32},
        environment={"twinarm": "0.1.0", "Python": "3.11.2", "numpy": "2.3.1"},
        protocol_text="format: 1\n",
        command=f"twinarm run protocol.yaml --out runs/{protocol.name}",
    )


@pytest.fixture(scope="session")
def t1d() -> RunContents:
    return made_up("t1d-closed-loop")


@pytest.fixture(scope="session")
def docetaxel() -> RunContents:
    return made_up("docetaxel-dose")


@pytest.fixture(scope="session")
def failed() -> RunContents:
    return made_up("t1d-closed-loop", passed=False)


@pytest.fixture(scope="session")
def make() -> Callable[..., RunContents]:
    return made_up


@pytest.fixture(scope="session")
def table() -> RunContents:
    """An analysis of real data: no model, no twins."""
    protocol = load_protocol("veteran")
    rng = np.random.default_rng(2)
    time, treated = rng.exponential(130, 137), np.arange(137) % 2 * 1.0
    data = AnalysisData(
        endpoint="overall_survival",
        label="Overall survival",
        kind="time-to-event",
        direction="higher",
        unit="day",
        treated=treated,
        arms=("standard", "test"),
        y=time,
        event=(rng.random(137) < 0.93) * 1.0,
        n_missing=1,
    )
    fits = {"overall_survival": fit_of(data, protocol.analyses[0])}
    subjects = xr.Dataset(
        {
            "arm": ("subject", np.array(data.arms)[treated.astype(int)]),
            "overall_survival": ("subject", time),
            "overall_survival_event": ("subject", data.event),
            "covariate_age": ("subject", rng.normal(60, 9, 137).round(), {"units": "year"}),
            "covariate_earlier_therapy": ("subject", rng.integers(0, 2, 137) * 10.0),
        }
    )
    return RunContents(protocol=protocol, fits=fits, data={"overall_survival": data}, subjects=subjects)
