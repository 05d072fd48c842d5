"""Which figures a trial gets: by the kind of its endpoints and by what was kept."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...models.units import quantity
from ...trials.measures import variable_name
from .contents import Result, RunContents
from .drawing import Picture, colour
from .posterior import Effect, effect_picture, histogram_picture
from .survival import SurvivalArm, survival_picture
from .trajectories import Bundle, VisitArm, agp_picture, bands_picture, visits_picture
from .waterfall import waterfall_picture


def key_of(kind: str, name: str, number: int = 0) -> str:
    """An id of the page; names of a protocol hold letters, digits, "-" and "_" only."""
    return f"fig-{kind}-{name.replace('_', '-')}" + (f"-{number}" if number else "")


def posterior_picture(result: Result) -> Picture:
    """Posterior of one effect with its decision margin and, in a simulated trial, the true effect."""
    decision, truth = result.analysis.decision, result.truth
    treated = result.contents.protocol.experimental[0].name
    effect = Effect(
        label=result.summary,
        draws=result.draws,
        unit=result.unit,
        ci_prob=result.analysis.ci_prob,
        null=result.null,
        margin=(decision.margin * result.scale, result.is_higher_better) if decision else None,
        truth=truth.value * result.scale if truth else None,
    )
    title = f"{result.endpoint.label}: posterior of the effect"
    return effect_picture(key_of("posterior", result.name), title, effect, colour(result.contents.place(treated)))


def has_values(values: np.ndarray, least: int) -> bool:
    """Whether an array holds so many different finite numbers; looks no further than it must."""
    seen: set[float] = set()
    for first in range(0, values.size, 1000):
        part = values[first : first + 1000]
        seen.update(part[np.isfinite(part)].tolist())
        if len(seen) >= least:
            return True
    return False


def individual_picture(result: Result) -> Picture | None:
    """Distribution of the effects of single twins."""
    truth = result.truth
    if truth is None or not has_values(truth.individual, 10):
        return None
    unit = "percentage point" if truth.unit == "percent" else truth.unit
    treated = result.contents.protocol.experimental[0].name
    return histogram_picture(
        key_of("individual", result.name),
        f"{result.endpoint.label}: effect in single twins",
        truth.individual,
        unit,
        "experimental minus control",
        colour(result.contents.place(treated)),
        "Model-based: the same twin in both arms under shared random streams. No trial identifies this distribution.",
    )


def survival_pictures(contents: RunContents) -> Iterator[Picture]:
    """Kaplan-Meier curves of every time-to-event analysis."""
    for name, data in contents.data.items():
        if data.event is None:
            continue
        day = quantity(f"1 {data.unit}", "day")
        arms = tuple(
            SurvivalArm(
                contents.protocol.arm(arm).label,
                day * np.asarray(data.y[data.treated == k], dtype=float),
                np.asarray(data.event[data.treated == k], dtype=float),
            )
            for k, arm in enumerate(data.arms)
        )
        end = float(max(arm.time.max() for arm in arms))
        yield survival_picture(key_of("survival", name), contents.protocol.endpoint(name).label, arms, end)


def visit_pictures(contents: RunContents, roles: tuple[str, ...]) -> Iterator[Picture]:
    """Means by visit of endpoints that have visits."""
    subjects = contents.subjects
    arm = subjects["arm"].values.astype(str)
    for endpoint in contents.protocol.endpoints:
        variable = variable_name(endpoint.name)
        if endpoint.role not in roles or variable not in subjects or "visit" not in subjects[variable].dims:
            continue
        values = subjects[variable].transpose("subject", "visit").values
        unit = str(subjects[variable].attrs.get("units", ""))
        if f"{variable}_exposure" in subjects:  # visit periods differ in length
            weeks = subjects[f"{variable}_exposure"].transpose("subject", "visit").values / 7
            values, unit = values / np.where(weeks > 0, weeks, np.nan), f"{unit}/week"
        arms = tuple(VisitArm(a.label, values[arm == a.name]) for a in contents.arms)
        visits = tuple(subjects["visit"].values.astype(str))
        yield visits_picture(key_of("visits", endpoint.name), endpoint.label, unit, visits, arms)


def waterfall_pictures(contents: RunContents) -> Iterator[Picture]:
    """Best change of tumour size, one figure an arm."""
    for endpoint in contents.protocol.endpoints:
        data = contents.data.get(endpoint.name)
        if endpoint.measure != "best-change" or data is None:
            continue
        for k, name in enumerate(data.arms):
            arm = contents.protocol.arm(name)
            change = np.asarray(data.y[data.treated == k], dtype=float)
            yield waterfall_picture(
                key_of("waterfall", endpoint.name, k + 1), endpoint.label, arm.label, contents.place(name), change
            )


def kept_pictures(contents: RunContents) -> Iterator[Picture]:
    """Trajectories of kept twins: by time of day for a glucose sensor, then over time."""
    kept = contents.kept
    if kept is None or contents.protocol.keep is None:
        return
    time = kept["time"].values.astype(float)
    for output in contents.protocol.keep.outputs:
        values = kept[output].transpose("twin", "arm", "time")
        names = list(kept["arm"].values.astype(str))
        unit = str(kept[output].attrs.get("units", ""))
        label = str(kept[output].attrs.get("long_name") or output.replace("_", " "))
        label = label[0].upper() + label[1:]
        bundles = [
            Bundle(arm.label, k, time, values.values[:, names.index(arm.name)].astype(float))
            for k, arm in enumerate(contents.arms)
        ]
        finite = values.values[np.isfinite(values.values)]
        if not finite.size:
            continue
        if output == "cgm" and unit == "mg/dL":
            for k, bundle in enumerate(bundles):
                yield agp_picture(key_of("agp", output, k + 1), bundle)
        fine = time.size > 1 and float(np.diff(time).min()) < 0.2
        shown = time <= max(time[0], 0.0) + 3 if fine else np.ones(time.size, dtype=bool)
        low, high = (float(q) for q in np.quantile(finite, [0.001, 0.999]))
        pad = 0.05 * (high - low) or 1.0
        for k, bundle in enumerate(bundles):
            part = Bundle(bundle.arm, bundle.place, bundle.time[shown], bundle.values[:, shown])
            yield bands_picture(
                key_of("kept", output, k + 1), label, unit, part, (low - pad, high + pad), 4 if fine else 8
            )
