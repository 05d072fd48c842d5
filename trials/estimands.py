"""From what was seen of the subjects to the numbers that an estimand is about (ICH E9(R1)).

Specification
-------------
1. Each intercurrent event is handled by the strategy of the estimand; an endpoint without an estimand is read as it was
   observed (treatment policy).

   treatment-policy     as observed, with what the event led to
   hypothetical         what comes after the event is set missing: visit periods that end after it, a time to event is
                        censored at it, a value of the whole follow-up is missing
   while-on-treatment   only what comes before the event, which is the same set of observations; the estimand differs:
                        here they are the whole outcome, there the rest is unobserved
   composite            binary: the event is the worse of the two outcomes; time to event: the event counts as one

2. Visits make one number: the mean of the observed periods weighted by their duration, or for a count the sum with the
   exposure of the observed periods. The run-in is no part of it.
3. Subjects without an observed value, or without a covariate that the analysis needs, are left out and counted. This
   assumes that they are missing at random given arm and covariates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from .analysis.data import AnalysisData
from .measures import Measure, find_measures, schedule_of, variable_name
from .protocol import Analysis, Estimand, Handling, Protocol


class EstimandError(ValueError):
    """An estimand that cannot be computed from what the endpoint gives."""


@dataclass(frozen=True)
class Outcome:
    """One number a subject, (subject,): NaN where nothing was observed."""

    y: np.ndarray
    event: np.ndarray | None = None
    exposure: np.ndarray | None = None


def estimand_of(protocol: Protocol, endpoint: str, name: str | None = None) -> Estimand | None:
    """The estimand of that name; without one, the endpoint's only estimand."""
    if name is not None:
        return next(estimand for estimand in protocol.estimands if estimand.name == name)
    own = [estimand for estimand in protocol.estimands if estimand.endpoint == endpoint]
    return own[0] if len(own) == 1 else None


def measure_of(protocol: Protocol, endpoint: str) -> Measure:
    """The measure of one endpoint."""
    return next(measure for measure in find_measures(protocol) if measure.endpoint.name == endpoint)


def estimand_data(
    protocol: Protocol, subjects: xr.Dataset, analysis: Analysis, experimental: str | None = None
) -> AnalysisData:
    """The data of one analysis: the control arm and one experimental arm (the first where none is named).

    Raises
    ------
    EstimandError
        A strategy that the endpoint does not allow, a covariate that is not there, or an arm without a subject.
    """
    arm = experimental or protocol.experimental[0].name
    arms = (protocol.control.name, arm)
    subjects = subjects.isel(subject=np.flatnonzero(np.isin(subjects["arm"].values, arms)))
    measure = measure_of(protocol, analysis.endpoint)
    estimand = estimand_of(protocol, analysis.endpoint, analysis.estimand)
    outcome = outcome_of(protocol, subjects, measure, estimand.intercurrent_events if estimand else ())
    covariates = covariates_of(subjects, measure, analysis)
    is_seen = np.isfinite(np.stack([outcome.y, *covariates.values()])).all(axis=0)
    if outcome.exposure is not None:
        is_seen &= outcome.exposure > 0
    treated = (subjects["arm"].values == arm).astype(np.float64)
    for number, name in enumerate(arms):
        if not (is_seen & (treated == number)).any():
            raise EstimandError(
                f"no subject of arm {name!r} has an observed {analysis.endpoint!r}; recruit more subjects"
            )
    return AnalysisData(
        endpoint=analysis.endpoint,
        label=measure.endpoint.label,
        kind=measure.kind,
        direction=measure.endpoint.direction,
        unit=measure.unit,
        treated=treated[is_seen],
        arms=arms,
        y=outcome.y[is_seen],
        event=None if outcome.event is None else outcome.event[is_seen],
        exposure=None if outcome.exposure is None else outcome.exposure[is_seen],
        covariates={name: column[is_seen] for name, column in covariates.items()},
        n_missing=int((~is_seen).sum()),
    )


def outcome_of(protocol: Protocol, subjects: xr.Dataset, measure: Measure, handlings: tuple[Handling, ...]) -> Outcome:
    """One number a subject, after the strategies and the combination of visits."""
    first = {strategy: _first_day(subjects, handlings, strategy) for strategy in ("hypothetical", "while-on-treatment")}
    composite = _first_day(subjects, handlings, "composite")
    cut = np.minimum(first["hypothetical"], first["while-on-treatment"])
    if np.isfinite(composite).any() and measure.kind not in ("binary", "time-to-event"):
        raise EstimandError(
            f"endpoint {measure.endpoint.name!r} is {measure.kind}; "
            "'composite' needs a binary or a time-to-event endpoint"
        )
    if measure.per_visit:
        return _over_visits(protocol, subjects, measure, cut)
    y = subjects[measure.variable].values.astype(np.float64)
    if measure.kind == "time-to-event":
        event = subjects[f"{measure.variable}_event"].values.astype(np.float64)
        event = np.where(composite < y, 1.0, event)
        y = np.minimum(y, composite)
        return Outcome(np.minimum(y, cut), np.where(cut < y, 0.0, event))
    known_by = measure.known_by(schedule_of(protocol))
    y = np.where(cut < known_by, np.nan, y)
    if measure.kind == "binary":
        y = np.where(composite < known_by, 0.0 if measure.endpoint.direction == "higher" else 1.0, y)
    if measure.kind == "count":
        return Outcome(y, exposure=np.where(np.isnan(y), 0.0, subjects[f"{measure.variable}_exposure"].values))
    return Outcome(y)


def covariates_of(subjects: xr.Dataset, measure: Measure, analysis: Analysis) -> dict[str, np.ndarray]:
    """Columns to adjust for, as numbers: a word gives one 0/1 column for each level after the first in the alphabet."""
    columns: dict[str, np.ndarray] = {}
    for name in analysis.adjust:
        if name == "baseline":
            columns[name] = baseline_of(subjects, measure)
            continue
        if f"covariate_{name}" not in subjects:
            raise EstimandError(
                f"no variable of the cohort is called {name!r}; analysis of {analysis.endpoint!r} adjusts for it"
            )
        columns |= as_columns(name, subjects[f"covariate_{name}"].values)
    return columns


def as_columns(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """A covariate as numbers, NaN where missing; of words, an empty one is missing.

    >>> as_columns("sex", np.array(["male", "", "female"]))
    {'sex=male': array([ 1., nan,  0.])}
    """
    if values.dtype.kind in "fiub":
        return {name: values.astype(np.float64)}
    words = values.astype(np.str_)
    levels = np.unique(words[words != ""])
    return {f"{name}={level}": np.where(words == "", np.nan, words == level) for level in levels[1:]}


def baseline_of(subjects: xr.Dataset, measure: Measure) -> np.ndarray:
    """The endpoint in the run-in, (subject,); of a count the log of the rate, log((events + 0.5) / days)."""
    if not measure.per_visit or "baseline" not in subjects["visit"].values:
        raise EstimandError(
            f"endpoint {measure.endpoint.name!r} has no baseline to adjust for; it needs visits and a run-in"
        )
    before = subjects[measure.variable].sel(visit="baseline").values.astype(np.float64)
    if measure.kind != "count":
        return np.asarray(before)
    days = subjects[f"{measure.variable}_exposure"].sel(visit="baseline").values
    return np.log((before + 0.5) / np.where(days > 0, days, np.nan))


def _first_day(subjects: xr.Dataset, handlings: tuple[Handling, ...], strategy: str) -> np.ndarray:
    """Day of the first event that is handled by a strategy, (subject,); inf where none happened."""
    days = [
        subjects[f"ice_{variable_name(handling.event)}_day"].values
        for handling in handlings
        if handling.strategy == strategy
    ]
    return np.min([np.full(subjects.sizes["subject"], np.inf), *days], axis=0)


def _over_visits(protocol: Protocol, subjects: xr.Dataset, measure: Measure, cut: np.ndarray) -> Outcome:
    """Post-baseline periods that end by `cut`, combined; (subject,)."""
    windows = {name: w for name, w in schedule_of(protocol).windows().items() if name != "baseline"}
    after = subjects.sel(visit=list(windows))
    start, end = np.array(list(windows.values())).T
    values = after[measure.variable].transpose("subject", "visit").values
    is_seen = np.isfinite(values) & (end <= cut[:, None])
    filled = np.where(is_seen, values, 0.0)
    some = is_seen.any(axis=1)
    if measure.kind == "count":
        exposure = after[f"{measure.variable}_exposure"].transpose("subject", "visit").values
        exposure = np.where(is_seen, exposure, 0.0).sum(axis=1)
        return Outcome(np.where(some, filled.sum(axis=1), np.nan), exposure=exposure)
    if measure.kind != "continuous" or measure.combine != "mean":
        raise EstimandError(
            f"endpoint {measure.endpoint.name!r} is {measure.kind}, combined by {measure.combine!r}: "
            "visits make one number only for a level (mean) or a count (sum)"
        )
    weights = np.where(is_seen, end - start, 0.0)
    total = weights.sum(axis=1)
    return Outcome(np.divide((weights * filled).sum(axis=1), total, out=np.full(some.size, np.nan), where=some))
