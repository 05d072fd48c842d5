"""Estimates in subgroups of the randomised subjects: descriptive, unadjusted, one subgroup at a time."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ...models.expressions import evaluate
from ...trials.estimands import Outcome, measure_of, outcome_of
from ...trials.measures import variable_name
from .contents import Result, RunContents
from .drawing import Picture
from .forest import Row, difference, forest_picture, hazard_ratio_interval, rate_ratio

Estimate = tuple[float, float, float]


def subgroup_picture(contents: RunContents, result: Result, key: str) -> Picture | None:
    """Forest plot of one analysis over the subgroups of the protocol."""
    subjects = contents.subjects
    if not contents.protocol.subgroups:
        return None
    outcome = _outcome(contents, result, subjects)
    arm = subjects["arm"].values.astype(str)
    control, treated = contents.protocol.control.name, contents.protocol.experimental[0].name
    seen = np.isfinite(outcome.y) & np.isin(arm, [control, treated])
    covariates = {
        str(name).removeprefix("covariate_"): column.values
        for name, column in subjects.data_vars.items()
        if str(name).startswith("covariate_")
    }
    groups = [("All subjects", np.ones(seen.size, dtype=bool))]
    groups += [(g.label, np.asarray(evaluate(g.rule, covariates), dtype=bool)) for g in contents.protocol.subgroups]
    rows = tuple(_row(label, outcome, seen & inside, arm == treated, result) for label, inside in groups)
    left, right = ("control", "treatment") if result.is_higher_better else ("treatment", "control")
    better = f"left favours {left}, right favours {right}"
    return forest_picture(key, result.endpoint.label, result.summary, result.unit, rows, result.is_ratio, better)


def _outcome(contents: RunContents, result: Result, subjects: xr.Dataset) -> Outcome:
    """One number a subject: by the estimand in a simulated trial, as it stands in a table of real data."""
    if contents.is_simulated:
        estimand = result.estimand
        measure = measure_of(contents.protocol, result.name)
        return outcome_of(contents.protocol, subjects, measure, estimand.intercurrent_events if estimand else ())
    name = variable_name(result.name)
    event, exposure = (
        subjects[part].values if part in subjects else None for part in (f"{name}_event", f"{name}_exposure")
    )
    return Outcome(subjects[name].values, event, exposure)


def _row(label: str, outcome: Outcome, inside: np.ndarray, treated: np.ndarray, result: Result) -> Row:
    zero, one = inside & ~treated, inside & treated
    counts = (int(zero.sum()), int(one.sum()))
    estimate: Estimate
    if result.summary == "hazard ratio" and outcome.event is not None:
        estimate = hazard_ratio_interval(outcome.y[inside], outcome.event[inside], treated[inside].astype(float))
    elif result.summary == "rate ratio" and outcome.exposure is not None:
        sums = [(float(outcome.y[k].sum()), float(outcome.exposure[k].sum())) for k in (zero, one)]
        estimate = rate_ratio(*sums)
    else:
        middle, low, high = difference(outcome.y[zero], outcome.y[one])
        estimate = middle * result.scale, low * result.scale, high * result.scale
    return Row(label, counts, *estimate)
