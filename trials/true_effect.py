"""The effect that a trial is after, known here because every twin is simulated in every arm.

Specification
-------------
1. All twins that completed every arm, each in both arms of a contrast, with no dropout.
2. The strategies of the estimand: under `hypothetical` the event does not happen, so the twin's own arm is read to the
   end; the others as in `estimands`. Events are those of replicate 0.
3. Summary: difference in means; risk difference; ratio of rates (events over days, both summed over twins); for a time
   to event the marginal hazard ratio (Cox, Efron, of all twins in both arms), the difference in restricted mean
   time and the difference in the share with an event, both by the day up to which everybody is followed.
4. Standard error over the twins of the bank, with the two arms of a twin kept together: from paired differences for
   means and risks, linearised for rates, by a jackknife over groups of twins for the hazard ratio. It holds the
   error of the bank alone, neither that of parameters nor that of the model.

An individual effect, experimental minus control in one twin under shared random streams, is a property of the model:
no trial identifies it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from .estimands import Outcome, estimand_of, outcome_of
from .hazard_ratio import hazard_ratio
from .measures import Measure, find_measures, schedule_of
from .observe import completed_everywhere, course
from .protocol import Estimand, Protocol

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
JACKKNIFE_GROUPS = 50
DAYS_PER_YEAR = 365.25
AT_ONCE = 10_000  # twins whose course is held at a time
NOTE = "model-based: the same twin in both arms under shared random streams, identified by no trial"


@dataclass(frozen=True)
class Effect:
    """One summary of one contrast; `control` and `experimental` are NaN where the summary has no level of an arm."""

    summary: str
    units: str
    value: float
    se: float
    control: float = float("nan")
    experimental: float = float("nan")


def true_effects(protocol: Protocol, outcomes: xr.Dataset, individual: Collection[str] | None = None) -> xr.Dataset:
    """True effects of every endpoint and experimental arm in the bank.

    Parameters
    ----------
    individual : collection of str, optional
        Endpoints whose individual effects are kept, a number a twin and contrast; all where it is absent.

    Returns
    -------
    Dataset, dim `effect` with coords `endpoint`, `arm`, `estimand` ("" where as observed), `summary`, `units`
        `value`, `se`, `control`, `experimental`, `twins` (used); `individual` (contrast, twin) with its
        `individual_quantile` (contrast, quantile), where `contrast` has coords `contrast_endpoint`, `contrast_arm`,
        `contrast_units`.
    """
    seen = completed_everywhere(outcomes)
    arms = [arm.name for arm in protocol.experimental]
    measures = find_measures(protocol)
    kept = [m.endpoint.name for m in measures if individual is None or m.endpoint.name in individual]
    values = np.empty((len(kept), len(arms), int(seen.sum())))
    labels: list[tuple[str, str, str, Effect, int]] = []
    contrasts: list[tuple[str, str, str]] = []
    for measure in measures:
        name = measure.endpoint.name
        rows = values[kept.index(name)] if name in kept else None
        labels += _contrasts(protocol, outcomes, seen, measure, rows)
        if name in kept:
            contrasts += [(name, arm, individual_unit(measure)) for arm in arms]
    return _labelled(labels, contrasts, values.reshape(len(contrasts), values.shape[-1]), outcomes["twin"].values[seen])


def _contrasts(
    protocol: Protocol, outcomes: xr.Dataset, seen: np.ndarray, measure: Measure, individual: np.ndarray | None
) -> Iterator[tuple[str, str, str, Effect, int]]:
    """Each experimental arm against control: endpoint, arm, estimand, a summary, twins used.

    `individual` (experimental arm, twin) is filled; with a large bank no more than one contrast is held beside it.
    """
    name = measure.endpoint.name
    estimand = _estimand(protocol, name)
    control = _potential(protocol, outcomes, seen, protocol.control.name, measure, estimand)
    for number, arm in enumerate(protocol.experimental):
        experimental = _potential(protocol, outcomes, seen, arm.name, measure, estimand)
        horizon = _horizon(protocol, control, experimental)
        both = _both_seen(control, experimental)
        used = int(both.sum())
        if individual is not None:
            individual[number] = individual_effects(measure, control, experimental, horizon)
            individual[number, ~both] = np.nan
        if used > 1:
            for effect in effects(measure, _only(control, both), _only(experimental, both), horizon):
                yield name, arm.name, estimand.name if estimand else "", effect, used


def effects(measure: Measure, control: Outcome, experimental: Outcome, horizon: float) -> Iterator[Effect]:
    """The summaries of one contrast, from the outcomes of the same twins in two arms."""
    y0, y1 = control.y, experimental.y
    if measure.kind == "count":
        yield rate_ratio(control, experimental)
    elif measure.kind == "time-to-event":
        yield marginal_hazard_ratio(control, experimental)
        t0, t1 = np.minimum(y0, horizon), np.minimum(y1, horizon)
        yield _difference(f"difference in restricted mean time to day {horizon:g}", "day", t0, t1)
        had0, had1 = ((o.event == 1) & (o.y <= horizon) for o in (control, experimental))
        yield _difference(f"risk difference by day {horizon:g}", "1", had0 * 1.0, had1 * 1.0)
    else:
        summary, units = ("risk difference", "1") if measure.kind == "binary" else ("difference in means", measure.unit)
        yield _difference(summary, units, y0, y1)


def rate_ratio(control: Outcome, experimental: Outcome) -> Effect:
    """Ratio of events a day; se of the log ratio by linearisation over twins, brought to the ratio's scale."""
    rates, parts = [], []
    for outcome in (control, experimental):
        assert outcome.exposure is not None
        rate = float(outcome.y.sum() / outcome.exposure.sum())
        rates.append(rate)
        off = (outcome.y - rate * outcome.exposure) / outcome.y.sum() if rate else np.full(outcome.y.size, np.nan)
        parts.append(off)
    value = rates[1] / rates[0] if rates[0] else float("nan")
    n = control.y.size
    se = value * float(np.sqrt(n / (n - 1) * ((parts[1] - parts[0]) ** 2).sum()))
    return Effect("rate ratio", "1", value, se, rates[0] * DAYS_PER_YEAR, rates[1] * DAYS_PER_YEAR)


def marginal_hazard_ratio(control: Outcome, experimental: Outcome) -> Effect:
    """Cox's ratio over both arms of all twins; se by a jackknife that leaves out every k-th twin with both its arms."""
    assert control.event is not None and experimental.event is not None
    n = control.y.size
    time, event = np.stack([control.y, experimental.y]), np.stack([control.event, experimental.event])
    treated = np.repeat([[0], [1]], n, axis=1)
    value = hazard_ratio(time.ravel(), event.ravel(), treated.ravel())
    group = np.arange(n) % min(JACKKNIFE_GROUPS, n)
    logs = []
    for left_out in range(int(group.max()) + 1):
        stay = group != left_out
        ratio = hazard_ratio(time[:, stay].ravel(), event[:, stay].ravel(), treated[:, stay].ravel())
        logs.append(np.log(ratio))
    spread = np.array(logs) - np.mean(logs)
    se = value * float(np.sqrt((len(logs) - 1) / len(logs) * (spread**2).sum()))
    return Effect("hazard ratio", "1", value, se)


def individual_effects(measure: Measure, control: Outcome, experimental: Outcome, horizon: float) -> np.ndarray:
    """Experimental minus control of each twin, (twin,), in `individual_unit`."""
    y0, y1 = control.y, experimental.y
    if measure.kind == "count":
        assert control.exposure is not None and experimental.exposure is not None
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(DAYS_PER_YEAR * (y1 / experimental.exposure - y0 / control.exposure))
    if measure.kind == "time-to-event":
        return np.asarray(np.minimum(y1, horizon) - np.minimum(y0, horizon))
    return np.asarray(y1 - y0)


def individual_unit(measure: Measure) -> str:
    """Unit of an individual effect."""
    units = {"count": f"{measure.unit}/year", "time-to-event": "day", "binary": "1"}
    return units.get(measure.kind, measure.unit)


def _difference(summary: str, units: str, y0: np.ndarray, y1: np.ndarray) -> Effect:
    paired = y1 - y0
    mean = float(paired.mean())
    paired -= mean
    se = float(np.sqrt(np.square(paired, out=paired).sum() / (paired.size - 1) / paired.size))
    return Effect(summary, units, mean, se, float(y0.mean()), float(y1.mean()))


def _estimand(protocol: Protocol, endpoint: str) -> Estimand | None:
    named = next((a.estimand for a in protocol.analyses if a.endpoint == endpoint), None)
    return estimand_of(protocol, endpoint, named)


def _potential(
    protocol: Protocol, outcomes: xr.Dataset, seen: np.ndarray, arm: str, measure: Measure, estimand: Estimand | None
) -> Outcome:
    """The outcome of every twin that is `seen`, in one arm; events with a hypothetical strategy do not happen."""
    handlings = estimand.intercurrent_events if estimand else ()
    never = {handling.event for handling in handlings if handling.strategy == "hypothetical"}
    events = tuple(event for event in protocol.intercurrent_events if event.name not in never)
    read = {measure.endpoint.name, *(event.endpoint for event in events)}
    endpoints = tuple(endpoint for endpoint in protocol.endpoints if endpoint.name in read)
    without = protocol.model_copy(update={"intercurrent_events": events, "endpoints": endpoints})
    position = [a.name for a in protocol.arms].index(arm)
    others = tuple(h for h in handlings if h.event not in never)
    whole: dict[str, np.ndarray] = {}
    done = 0
    for first in range(0, seen.size, AT_ONCE):
        some = slice(first, first + AT_ONCE)
        rows = np.flatnonzero(seen[some])
        subjects = course(without, outcomes.isel(twin=some), rows, np.full(rows.size, position))
        part = outcome_of(without, subjects, measure, others)
        for name, values in vars(part).items():
            if values is not None:
                whole.setdefault(name, np.empty(int(seen.sum())))[done : done + rows.size] = values
        done += rows.size
    return Outcome(**whole)


def _both_seen(control: Outcome, experimental: Outcome) -> np.ndarray:
    both = np.isfinite(control.y) & np.isfinite(experimental.y)
    for outcome in (control, experimental):
        if outcome.exposure is not None:
            both &= outcome.exposure > 0
    return both


def _only(outcome: Outcome, rows: np.ndarray) -> Outcome:
    if rows.all():
        return outcome
    event, exposure = (None if part is None else part[rows] for part in (outcome.event, outcome.exposure))
    return Outcome(outcome.y[rows], event, exposure)


def _horizon(protocol: Protocol, control: Outcome, experimental: Outcome) -> float:
    """Day up to which every twin is followed in both arms: the first censoring, at most the end of follow-up."""
    censored = [o.y[o.event == 0] for o in (control, experimental) if o.event is not None]
    return float(min([schedule_of(protocol).duration, *(times.min() for times in censored if times.size)]))


def _labelled(
    labels: list[tuple[str, str, str, Effect, int]],
    contrasts: list[tuple[str, str, str]],
    individual: np.ndarray,
    twins: np.ndarray,
) -> xr.Dataset:
    quantile = np.full((len(contrasts), len(QUANTILES)), np.nan)
    for row, values in enumerate(individual):
        if np.isfinite(values).any():
            quantile[row] = np.nanquantile(values, QUANTILES)
    per_effect = {
        name: ("effect", np.array([getattr(effect, name) for *_, effect, _ in labels], dtype=np.float64))
        for name in ("value", "se", "control", "experimental")
    }
    return xr.Dataset(
        {
            **per_effect,
            "twins": ("effect", np.array([count for *_, count in labels], dtype=np.int64)),
            "individual": (("contrast", "twin"), individual, {"note": NOTE}),
            "individual_quantile": (("contrast", "quantile"), quantile, {"note": NOTE}),
        },
        coords={
            "endpoint": ("effect", np.array([row[0] for row in labels], dtype=np.str_)),
            "arm": ("effect", np.array([row[1] for row in labels], dtype=np.str_)),
            "estimand": ("effect", np.array([row[2] for row in labels], dtype=np.str_)),
            "summary": ("effect", np.array([row[3].summary for row in labels], dtype=np.str_)),
            "units": ("effect", np.array([row[3].units for row in labels], dtype=np.str_)),
            "contrast_endpoint": ("contrast", np.array([row[0] for row in contrasts], dtype=np.str_)),
            "contrast_arm": ("contrast", np.array([row[1] for row in contrasts], dtype=np.str_)),
            "contrast_units": ("contrast", np.array([row[2] for row in contrasts], dtype=np.str_)),
            "quantile": np.array(QUANTILES),
            "twin": twins,
        },
        attrs={"note": NOTE},
    )
