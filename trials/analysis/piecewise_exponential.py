"""Proportional hazards with a piecewise constant baseline, read as a hazard ratio.

Specification
-------------
1. h_i(s) = exp(g_j + b t_i + x_i' c) for s in interval j;  t = -1/2 in control, +1/2 in the experimental arm. The cut
   points are quantiles of the event times of both arms together; at least two events an interval, else fewer intervals.
2. Exact likelihood (the Poisson identity): sum of the log hazards of the events minus the cumulative hazards. Days at
   risk are added up over subjects with the same covariates.
3. g is a random walk: g_j - g_(j-1) ~ N(0, walk), walk ~ half-normal(0.5); the average of g weighted by events
   ~ N(log pooled hazard, 2); b ~ N(0, 1), c ~ N(0, 1); covariates are centred and divided by their sd.
4. The steps of the walk are sampled as z: step = walk u, u = walk d / v + s z / sqrt(v), v = walk^2 + s^2, where d and
   s are the crude step and its standard error. This is only a change of variables (its Jacobian is in the density): it
   is non-centred where the data say little and centred where they say much, and removes the divergences of both.
5. Effect: hazard ratio exp(b) at equal covariates, experimental over control. Also, standardised over the analysed
   subjects: difference in restricted mean survival time up to the horizon (the smaller of the two arms' longest
   follow-up) and difference in survival at the milestone, half of the horizon.

Assumes proportional hazards and censoring at random given covariates; the posterior-predictive check compares the
events of each arm before and after the median event time, which shows where the hazards are not proportional.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..protocol import Analysis, Prior
from .catalogue import Parameters, Prepared, Structure, stack, variable
from .columns import columns_of, grouped, linear_predictor, pad, padded_width
from .continuous import coefficient_priors, covariate_coefficients, draw_coefficients, positive
from .data import AnalysisData, Array, DataError
from .priors import Meaning, draw_prior, normal_of, tail_and_scale

if TYPE_CHECKING:
    import pymc as pm

KIND = "time-to-event"


def events_of(data: AnalysisData) -> Array:
    """The event indicator of time-to-event data, some of whose times are above 0."""
    if data.event is None:
        raise DataError(f"{data.endpoint}: a time-to-event analysis needs `event` beside the time")
    if not data.y.any():
        raise DataError(
            f"{data.endpoint}: every time is 0, so nobody was followed; check the unit and the origin of time"
        )
    return data.event


def cut_points(time: Array, event: Array, intervals: int) -> Array:
    """Starts of the intervals, day: 0 and inner quantiles of the event times."""
    seen = time[event == 1]
    count = max(1, min(intervals, len(seen) // 2))
    if count == 1:
        return np.zeros(1)
    inner = np.unique(np.quantile(seen, np.arange(1, count) / count))
    inner = inner[(inner > 0) & (inner < seen.max())]  # every interval holds an event
    return np.concatenate([[0.0], inner])


def days_at_risk(time: Array, cuts: Array) -> Array:
    """Days that each subject spends in each interval, (subject, interval)."""
    ends = np.append(cuts[1:], np.inf)
    return np.clip(time[:, None] - cuts, 0.0, ends - cuts)


def prepare(data: AnalysisData, analysis: Analysis, priors: Mapping[str, Prior]) -> Prepared:
    event, columns = events_of(data), columns_of(data)
    cuts = cut_points(data.y, event, analysis.intervals)
    at_risk = days_at_risk(data.y, cuts)
    # An event on a cut point belongs to the interval that ends there, as its days at risk do.
    place = np.clip(np.searchsorted(cuts, data.y, side="left") - 1, 0, len(cuts) - 1)
    events = np.bincount(place, weights=event, minlength=len(cuts)).astype(np.float64)
    rows, totals = grouped(columns.matrix, at_risk=at_risk)
    width = padded_width(columns.count)
    location, scale = coefficient_priors(priors, "", columns.count - 1)
    hazard = (event.sum() + 0.5) / data.y.sum()
    level, level_scale = normal_of(priors["log_hazard"])
    tail, walk_scale = tail_and_scale(priors["walk"])
    arrays = {
        "matrix": pad(rows, width),
        **totals,
        "events": events,
        "event_columns": pad((columns.matrix * event[:, None]).sum(axis=0), width),
        "location": pad(location, width),
        "scale": pad(scale, width, 1.0),
        "level_location": float(np.log(hazard)) + level,
        "level_scale": level_scale,
    }
    if len(cuts) > 1:
        arrays |= _walk_arrays(events, at_risk.sum(axis=0), hazard) | {"walk_scale": walk_scale}
    structure = Structure("piecewise-exponential", width, len(cuts), tail if len(cuts) > 1 else None)
    return Prepared(data, columns, priors, structure, arrays, {"hazard": hazard, "cuts": cuts, **_horizon(data)})


def _walk_arrays(events: Array, at_risk: Array, hazard: float) -> dict[str, Array]:
    """Crude steps, their standard errors, and the matrix from steps to log hazards whose mean over events is 0."""
    crude = np.log((events + 0.5) / (at_risk + 0.5 / hazard))
    variance = 1 / (events + 0.5)
    walk = np.tril(np.ones((len(events), len(events))))[:, 1:]
    weights = events / events.sum() if events.sum() else np.full(len(events), 1 / len(events))
    return {
        "crude_step": np.diff(crude),
        "step_error": np.sqrt(variance[1:] + variance[:-1]),
        "from_steps": walk - (weights[:, None] * walk).sum(axis=0),
    }


def _horizon(data: AnalysisData) -> dict[str, float]:
    """Days up to which both arms were followed, and half of it."""
    horizon = float(min(data.y[data.treated == arm].max() for arm in (0, 1)))
    return {"horizon": horizon, "milestone": horizon / 2}


def build(structure: Structure) -> pm.Model:
    import pymc as pm
    import pytensor.tensor as pt

    k, intervals = structure.columns, structure.intervals
    with pm.Model() as model:
        matrix, at_risk = pm.Data("matrix", np.ones((2, k))), pm.Data("at_risk", np.ones((2, intervals)))
        events, event_columns = pm.Data("events", np.ones(intervals)), pm.Data("event_columns", np.ones(k))
        location, scale = pm.Data("location", np.zeros(k)), pm.Data("scale", np.ones(k))
        b = pm.Normal("coefficients", location, scale, shape=k)
        level = pm.Normal("level", pm.Data("level_location", 0.0), pm.Data("level_scale", 1.0))
        if intervals == 1:
            log_hazard = level + pt.zeros(1)
        else:
            d, s = pm.Data("crude_step", np.zeros(intervals - 1)), pm.Data("step_error", np.ones(intervals - 1))
            from_steps = pm.Data("from_steps", np.ones((intervals, intervals - 1)))
            walk = positive("walk", structure.tail)
            z = pm.Flat("z", shape=intervals - 1)
            v = walk**2 + s**2
            u = walk * d / v + s * z / pt.sqrt(v)
            log_hazard = level + walk * (from_steps * u).sum(axis=1)
            pm.Potential("steps", -0.5 * (u**2).sum() - 0.5 * pt.log(v).sum())
        relative = pt.exp((matrix * b).sum(axis=1))
        cumulative = relative * (at_risk * pt.exp(log_hazard)).sum(axis=1)
        pm.Potential("likelihood", (events * log_hazard).sum() + (event_columns * b).sum() - cumulative.sum())
    return model


def log_hazards(parameters: Mapping[str, Array], prepared: Prepared) -> Array:
    """Log hazard of each interval at average covariates, per day, (sample, interval)."""
    level = parameters["level"][:, None]
    if prepared.structure.intervals == 1:
        return level
    d, s, from_steps = (prepared.arrays[name] for name in ("crude_step", "step_error", "from_steps"))
    walk = parameters["walk"][:, None]
    v = walk**2 + s**2
    u = walk * d / v + s * parameters["z"] / np.sqrt(v)
    return level + walk * linear_predictor(u, from_steps)


def quantities(draws: xr.Dataset, prepared: Prepared) -> xr.Dataset:
    raw = {str(name): stack(draws, str(name)) for name in draws.data_vars}
    b, g, reference = raw["coefficients"], log_hazards(raw, prepared), prepared.reference
    (control, control_at), (experimental, experimental_at) = (_survival(b, g, prepared, arm) for arm in (0, 1))
    horizon, milestone = (f"{reference[name]:.4g} {prepared.data.unit}" for name in ("horizon", "milestone"))
    named = {
        "effect": variable(np.exp(b[:, 0]), draws, "1", "hazard ratio"),
        "rmst_difference": variable(
            experimental - control, draws, prepared.data.unit, f"difference in mean survival time up to {horizon}"
        ),
        "milestone_difference": variable(
            experimental_at - control_at, draws, "1", f"difference in survival at {milestone}"
        ),
        "log_hazard": variable(g, draws, f"log(1/{prepared.data.unit})", "log hazard", "interval").assign_coords(
            interval=reference["cuts"]
        ),
    }
    if prepared.structure.intervals > 1:
        named["walk"] = variable(raw["walk"], draws, "1", "sd of the steps of the log hazard")
    return xr.Dataset({**named, **covariate_coefficients(b, draws, prepared)})


def _survival(b: Array, g: Array, prepared: Prepared, arm: int) -> tuple[Array, Array]:
    """Mean survival time up to the horizon and survival at the milestone with every subject in one arm, (sample,)."""
    rows, totals = grouped(prepared.columns.with_arm(arm), n=np.ones(prepared.data.n))
    weights, reference = totals["n"] / prepared.data.n, prepared.reference
    to_horizon = days_at_risk(np.array([reference["horizon"]]), reference["cuts"])[0]
    to_milestone = days_at_risk(np.array([reference["milestone"]]), reference["cuts"])[0]
    step = max(1, 2_000_000 // len(rows))  # 16 MB at a time
    area, at_milestone = np.zeros(len(b)), np.zeros(len(b))
    for start in range(0, len(b), step):
        part = slice(start, start + step)
        relative = np.exp(linear_predictor(b[part, : rows.shape[1]], rows))
        survival, cumulative = np.ones_like(relative), np.zeros_like(relative)
        for j, days in enumerate(to_horizon):
            hazard = relative * np.exp(g[part, j, None])
            area[part] += (survival * -np.expm1(-hazard * days) / hazard * weights).sum(axis=1)
            survival = survival * np.exp(-hazard * days)
            cumulative += hazard * to_milestone[j]
        at_milestone[part] = (np.exp(-cumulative) * weights).sum(axis=1)
    return area, at_milestone


def meanings(prepared: Prepared) -> dict[str, Meaning]:
    unit = f"1/{prepared.data.unit}"
    found = {
        "log_hazard": Meaning(
            "average hazard of the two arms", 1.0, float(np.log(prepared.reference["hazard"])), "exp", unit
        ),
        "walk": Meaning("sd of the steps of the log hazard"),
        "treatment": Meaning("hazard ratio", link="exp"),
        "covariates": Meaning("hazard ratio for one sd of a covariate", link="exp"),
    }
    return found


def draw_parameters(prepared: Prepared, rng: np.random.Generator, draws: int) -> Parameters:
    b = draw_coefficients(prepared, rng, draws)
    arrays = prepared.arrays
    level = arrays["level_location"] + arrays["level_scale"] * rng.standard_normal(draws)
    if prepared.structure.intervals == 1:
        return Parameters(coefficients=b, level=level)
    walk = draw_prior(prepared.priors["walk"], rng, (draws,))
    u = rng.standard_normal((draws, prepared.structure.intervals - 1))
    d, s, v = arrays["crude_step"], arrays["step_error"], walk[:, None] ** 2 + arrays["step_error"] ** 2
    return Parameters(coefficients=b, level=level, walk=walk, z=(u - walk[:, None] * d / v) * np.sqrt(v) / s)


def replicate(parameters: Parameters, prepared: Prepared, rng: np.random.Generator) -> dict[str, Array]:
    """Events drawn from the days at risk that were observed (Poisson)."""
    data, columns = prepared.data, prepared.columns
    hazard = np.exp(log_hazards(parameters, prepared))
    relative = np.exp(linear_predictor(parameters["coefficients"], columns.matrix))
    split = median_event_time(data)
    early = days_at_risk(np.minimum(data.y, split), prepared.reference["cuts"])
    late = days_at_risk(data.y, prepared.reference["cuts"]) - early
    expected = [relative * linear_predictor(hazard, days) for days in (early, late)]
    return drawn_events(expected, data, split, rng)


def observed(prepared: Prepared) -> dict[str, float]:
    return observed_events(prepared.data)


def median_event_time(data: AnalysisData) -> float:
    """Median of the event times of both arms; of all times where there is no event."""
    seen = data.y[events_of(data) == 1]
    return float(np.median(seen if len(seen) else data.y))


def event_labels(data: AnalysisData, split: float) -> list[tuple[int, str, str]]:
    """(arm number, arm name, words for the period) of the checks, early and late."""
    periods = (f"up to {split:.4g} {data.unit}", f"after {split:.4g} {data.unit}")
    return [(arm, name, period) for period in periods for arm, name in enumerate(data.arms)]


def drawn_events(expected: list[Array], data: AnalysisData, split: float, rng: np.random.Generator) -> dict[str, Array]:
    """Poisson events of each arm, early and late, from cumulative hazards (draw, subject)."""
    found = {}
    for place, (arm, name, period) in enumerate(event_labels(data, split)):
        mean = expected[place // 2][:, data.treated == arm].sum(axis=1)
        found[f"events {period}, {name}"] = rng.poisson(np.minimum(mean, 1e15)).astype(np.float64)
    return found


def observed_events(data: AnalysisData) -> dict[str, float]:
    """Events of each arm, early and late."""
    split, event = median_event_time(data), events_of(data)
    halves = [data.y <= split, data.y > split]
    return {
        f"events {period}, {name}": float((event * halves[place // 2] * (data.treated == arm)).sum())
        for place, (arm, name, period) in enumerate(event_labels(data, split))
    }
