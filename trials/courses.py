"""What happens to a subject in its arm: when intercurrent events come, and the outcomes that follow from them.

After an event with `then_as` a subject follows the outcomes of another arm of the same twin:

- a level (a mean, a share of time) of the visit period in which it happens is the time-weighted mean of both arms;
- a count keeps whole events: those before and after are drawn binomially by the share of the period, which is exact for
  events that fall evenly over a period; exposure is time-weighted;
- later periods are the other arm's.

A value that is one number for the whole follow-up (a time to event, a best response) cannot be taken apart in this way,
so `outcome_layout` refuses a protocol that asks for it, before anything is simulated.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..models.randomness import uniforms
from .measures import Measure, find_measures, schedule_of, variable_name
from .protocol import Hazard, IntercurrentEvent, Protocol


def hazard_days(hazard: Hazard, seed: int, purpose: str, twins: np.ndarray) -> np.ndarray:
    """Day of the first event of a constant hazard for each twin id; inf where the hazard is 0.

    P(T <= over) = probability,   T = -log(u) / rate,   rate = -log(1 - probability) / over
    """
    if hazard.probability == 0:
        return np.full(twins.size, np.inf)
    rate = -np.log1p(-hazard.probability) / hazard.over
    return np.asarray(-np.log(uniforms(seed, purpose, twins)[:, 0]) / rate)


def event_days(
    protocol: Protocol, outcomes: xr.Dataset, rows: np.ndarray, arms: np.ndarray, replicate: int = 0
) -> dict[str, np.ndarray]:
    """Day of each intercurrent event, (subject,); inf where it does not happen within follow-up.

    Parameters
    ----------
    rows, arms : int arrays (subject,)
        Position of the subject's twin in `outcomes`, and of its arm in the protocol. A twin has the same latent time
        in every arm.
    """
    end = schedule_of(protocol).duration
    twins = outcomes["twin"].values[rows]
    days = {}
    for event in protocol.intercurrent_events:
        if event.hazard is not None:
            day = hazard_days(event.hazard, protocol.seed, f"ice.{event.name}.{replicate}", twins)
        elif event.endpoint is not None:
            name = variable_name(event.endpoint)
            happened = _own(outcomes, f"{name}_event", rows, arms) == 1
            day = np.where(happened, _own(outcomes, name, rows, arms), np.inf)
        else:
            raise ValueError(f"intercurrent event {event.name!r} has neither a hazard nor an endpoint; give one")
        days[event.name] = np.where(_is_in(protocol, event, arms) & (day < end), day, np.inf)
    return days


def follow(
    protocol: Protocol,
    outcomes: xr.Dataset,
    rows: np.ndarray,
    arms: np.ndarray,
    days: dict[str, np.ndarray],
    replicate: int = 0,
) -> dict[str, np.ndarray]:
    """Outcome variables of each subject in its arm, with `then_as` followed; (subject,) or (subject, visit)."""
    if not any(event.then_as for event in protocol.intercurrent_events):
        return {v: _own(outcomes, v, rows, arms) for m in find_measures(protocol) for v in m.units}
    shares = arm_shares(protocol, arms, days)
    twins = outcomes["twin"].values[rows]
    values = {}
    for measure in find_measures(protocol):
        for variable in measure.units:
            by_arm = outcomes[variable].isel(twin=rows).transpose("twin", "arm", "visit").values.swapaxes(1, 2)
            if measure.kind == "count" and variable == measure.variable:
                values[variable] = _mixed_count(by_arm, shares, protocol, measure, twins, replicate)
            else:
                values[variable] = np.where(shares > 0, shares * by_arm, 0.0).sum(axis=2)
    return values


def arm_shares(protocol: Protocol, arms: np.ndarray, days: dict[str, np.ndarray]) -> np.ndarray:
    """Share of each visit period that a subject spends as in each arm, (subject, visit, arm); sums to 1 over arms."""
    schedule = schedule_of(protocol)
    windows = schedule.windows()
    edges = np.array([w for name, w in windows.items() if name != "baseline" or schedule.run_in > 0])
    start, end = edges[:, 0], edges[:, 1]
    names = [arm.name for arm in protocol.arms]
    switching = [event for event in protocol.intercurrent_events if event.then_as is not None]
    when = np.stack([np.full(arms.size, -np.inf), *(days[event.name] for event in switching)], axis=1)
    to = np.stack([arms, *(np.full(arms.size, names.index(str(event.then_as))) for event in switching)], axis=1)
    order = np.argsort(when, axis=1, kind="stable")
    when, to = np.take_along_axis(when, order, axis=1), np.take_along_axis(to, order, axis=1)
    until = np.concatenate([when[:, 1:], np.full((arms.size, 1), np.inf)], axis=1)
    shares = np.zeros((arms.size, start.size, len(names)))
    for k in range(when.shape[1]):
        overlap = np.minimum(until[:, k, None], end) - np.maximum(when[:, k, None], start)
        share = np.maximum(overlap, 0.0) / (end - start)
        shares[np.arange(arms.size), :, to[:, k]] += share
    return shares


def _mixed_count(
    by_arm: np.ndarray, shares: np.ndarray, protocol: Protocol, measure: Measure, twins: np.ndarray, replicate: int
) -> np.ndarray:
    """Whole counts of a period of which a subject spends shares as in several arms, (subject, visit)."""
    from scipy.stats import binom

    total = np.zeros(shares.shape[:2])
    for a, arm in enumerate(protocol.arms):
        purpose = f"splice.{measure.endpoint.name}.{arm.name}.{replicate}"
        drawn = uniforms(protocol.seed, purpose, twins, shares.shape[1])
        share, count = shares[:, :, a], by_arm[:, :, a]
        is_mixed = (share > 0) & (share < 1) & np.isfinite(count)
        part = np.where(share > 0, count, 0.0)
        part[is_mixed] = binom.ppf(drawn[is_mixed], count[is_mixed], share[is_mixed])
        total += part
    return total


def _own(outcomes: xr.Dataset, variable: str, rows: np.ndarray, arms: np.ndarray) -> np.ndarray:
    values = outcomes[variable].isel(twin=rows).transpose("twin", "arm", ...).values
    return np.asarray(values[np.arange(rows.size), arms], dtype=np.float64)


def _is_in(protocol: Protocol, event: IntercurrentEvent, arms: np.ndarray) -> np.ndarray:
    """Whether the event can happen in a subject's arm; an event without `arms` can in all."""
    names = np.array([arm.name for arm in protocol.arms])
    return np.isin(names[arms], event.arms) if event.arms else np.ones(arms.size, dtype=bool)
