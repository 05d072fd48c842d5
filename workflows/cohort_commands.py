"""What each command of `twinarm cohort` does once its words are read: calls, and prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from . import console
from .cohort_files import check_out, read_cohort, read_people, write_cohort
from .run_folder import RunError, write_atomic

if TYPE_CHECKING:
    from .report.blocks import Page


@dataclass(frozen=True)
class Asked:
    """How a table of people is to be read: columns and words with other names, rows, survey weights."""

    columns: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    rows: str = ""
    weights: str = ""


def _simulated(cohort: Path, twins: xr.Dataset, protocol: str) -> xr.Dataset:
    """Twins with their simulated baseline, less those who fail in it."""
    from ..trials.baseline import with_baseline
    from ..trials.protocol import BASELINE_PREFIX
    from ..trials.protocol_file import load_protocol

    found = with_baseline(load_protocol(protocol), twins)
    values = [found[name].to_numpy() for name in found.data_vars if str(name).startswith(BASELINE_PREFIX)]
    good = np.logical_and.reduce([np.isfinite(column) for column in values])
    if not good.any():
        raise RunError(f"every twin of {cohort} fails in the simulation of {protocol}; nothing can be calibrated")
    if not good.all():
        console.complain(f"{np.count_nonzero(~good)} of {good.size} twins fail in the simulation and are left out")
    return found.isel(twin=np.flatnonzero(good))


def calibrate_command(cohort: Path, targets: Path, out: Path, seed: int | None, simulate: str, as_json: bool) -> None:
    """Write a cohort with weights, or with a seed the accepted twins; say what matches and what cannot."""
    from ..cohorts.calibration import MOST_WEIGHT, WEIGHT, calibrate, rematched, select
    from ..cohorts.calibration.targets import load_targets

    check_out(out)
    wanted, twins = load_targets(targets), read_cohort(cohort)
    twins = _simulated(cohort, twins, simulate) if simulate else twins
    found = calibrate(twins, wanted)
    if seed is None:
        attrs = {"units": "1", "long_name": f"weight that matches {wanted.name}", "source": wanted.source}
        result = twins.assign({WEIGHT: ("twin", found.weights, attrs)})
        effective = found.effective
    else:
        result = select(twins, found.weights, seed)
        effective = float(result.sizes["twin"])
        if result.sizes["twin"] < 2:
            raise RunError(f"{cohort} leaves no cohort when twins are accepted; give a larger one, or drop --select")
        found = replace(found, matches=rematched(found, result, wanted))
    write_cohort(out, result.assign_attrs(calibrated_to=wanted.name))
    if as_json:
        console.emit(
            {
                "targets": [vars(m) for m in found.matches],
                "effective": effective,
                "largest_weight": found.largest,
                "twins": twins.sizes["twin"],
                "out": str(out),
            }
        )
        return
    rows = [
        (m.label, m.unit, f"{m.published:.4g}", f"{m.before:.4g}", f"{m.after:.4g}", "yes" if m.is_matched else "NO")
        for m in found.matches
    ]
    console.table(
        f"{wanted.name}: {wanted.source}", ("statistic", "unit", "published", "before", "after", "matched"), rows
    )
    for label in found.unreachable:
        console.complain(f"{label} is not reached by this cohort together with the others and is left unmatched")
    if seed is None and found.largest > MOST_WEIGHT:
        console.complain(f"one twin counts {found.largest:.0f} times; draw more twins near the targets (--where)")
    kind = "weighted" if seed is None else "accepted"
    console.say(f"effective sample size {effective:.0f} of {twins.sizes['twin']} twins, {kind}")
    console.say(f"wrote {out}")


def _pairs(words: tuple[str, ...], form: str) -> dict[str, str]:
    """`A=B` options as a mapping."""
    found = {}
    for word in words:
        left, equal, right = word.partition("=")
        if not (left and equal and right):
            raise RunError(f"{word!r} is not of the form {form}")
        found[left] = right
    return found


def _weights_of(cohort: xr.Dataset) -> np.ndarray | None:
    """The weights of a calibrated cohort; they are no variable of it."""
    from ..cohorts.calibration import WEIGHT

    return np.asarray(cohort[WEIGHT].to_numpy()) if WEIGHT in cohort else None


def people_of(data: Path, units: Mapping[str, str], asked: Asked) -> tuple[xr.Dataset, np.ndarray | None]:
    """The rows of a table of people that are asked for, in these units (variable -> unit), and their weights.

    With no units every column is read as it stands.
    """
    from ..models.expressions import ExpressionError, is_true, names

    columns = _pairs(asked.columns, "VARIABLE=COLUMN, like height=height_cm")
    unknown = [name for name in columns if units and name not in units]
    if unknown:
        raise RunError(f"there is no variable {', '.join(unknown)}; there are {', '.join(units)}")
    try:
        read_by_rows = names(asked.rows) if asked.rows else ()
    except ExpressionError as error:
        raise RunError(f"--rows: {error}") from None
    by_column = {column: name for name, column in columns.items()}
    extra = [name for name in (*read_by_rows, *([asked.weights] if asked.weights else [])) if name not in by_column]
    people = read_people(data, columns, {**{name: "" for name in extra}, **units} if units else {})
    own = {
        name: people[by_column.get(name, name)].to_numpy()
        for name in read_by_rows
        if by_column.get(name, name) in people
    }
    if asked.rows:
        try:
            chosen = is_true(asked.rows, own)
        except ExpressionError as error:
            raise RunError(f"--rows {asked.rows!r} of {data}: {error}") from None
        people = people.isel(twin=np.flatnonzero(chosen))
        if not people.sizes["twin"]:
            raise RunError(f"--rows {asked.rows!r} leaves nobody of {data}; loosen it")
    weights = None
    if asked.weights:
        name = by_column.get(asked.weights, asked.weights)
        if name not in people or people[name].dtype.kind != "f":
            raise RunError(f"{data} has no column of numbers called {asked.weights!r}; correct --weights")
        weights = np.nan_to_num(people[name].to_numpy(), nan=0.0)
    unwanted = extra if units else [name for name in (asked.weights,) if name]
    people = people.drop_vars([name for name in unwanted if name in people and name not in units])
    return _with_words(people, asked.levels), weights


def units_of(twins: xr.Dataset) -> dict[str, str]:
    """The unit of every variable."""
    return {str(name): str(values.attrs.get("units", "")) for name, values in twins.data_vars.items()}


def _with_words(people: xr.Dataset, levels: tuple[str, ...]) -> xr.Dataset:
    for key, word in _pairs(levels, "VARIABLE:WORD=WORD, like sex:F=female").items():
        name, _, old = key.partition(":")
        if name not in people or people[name].dtype.kind not in "UO":
            raise RunError(f"--level {key}={word}: the data have no words in {name!r}; write VARIABLE:WORD=WORD")
        values = people[name].to_numpy()
        if old not in values:
            raise RunError(
                f"--level {key}={word}: {name} is never {old!r}; it is {', '.join(sorted(set(values))[:12])}"
            )
        people = people.assign({name: ("twin", np.where(values == old, word, values), people[name].attrs)})
    return people


def compare_command(
    cohort: Path, data: Path, out: Path, asked: Asked, leave_out: tuple[str, ...], seed: int, as_json: bool
) -> None:
    """Write the page of a comparison without some variables, and say the result."""
    from ..cohorts.likeness.comparison import compare
    from ..models.problems import did_you_mean
    from .cohort_page import Names, answer_of, comparison_page
    from .report.build import render

    check_out(out, (".html",))
    twins = read_cohort(cohort)
    mass = _weights_of(twins)
    unknown = [name for name in leave_out if name not in twins]
    if unknown:
        fix = did_you_mean(unknown[0], tuple(map(str, twins.data_vars)), "correct the name")
        raise RunError(f"--leave-out {unknown[0]}: {cohort} has no such variable; {fix}")
    people, weights = people_of(data, units_of(twins), asked)
    found = compare(twins.drop_vars(leave_out), people, (mass, weights), seed)
    page = comparison_page(found, Names(cohort.name, data.name, asked.rows, asked.weights, seed))
    write_atomic(out, render(page).encode())
    if as_json:
        groups = {
            g.label: {"auc": g.telling.auc, "error": g.telling.error, "mean_ks": g.mean_ks} for g in found.subgroups
        }
        console.emit(
            {
                "auc": found.telling.auc,
                "error": found.telling.error,
                "importance": dict(found.telling.importance),
                "mean_ks": float(found.ks.mean()),
                "max_ks": float(found.ks.max()),
                "mean_correlation_error": float(found.correlations.errors.mean()),
                "max_correlation_error": float(found.correlations.errors.max()),
                "subgroups": groups,
                "page": str(out),
            }
        )
        return
    console.say(answer_of(found))
    errors = found.correlations.errors
    console.say(f"KS distance: mean {found.ks.mean():.3f}, largest {found.ks.max():.3f}")
    console.say(f"rank correlations: mean error {errors.mean():.3f}, largest {errors.max():.3f}")
    console.say(f"page     {out}")


def _write_page(out: Path | None, page: Callable[[], Page]) -> None:
    if out is not None:
        from .report.build import render

        write_atomic(out, render(page()).encode())


def represent_command(cohort: Path, target: str, precision: float, out: Path | None, as_json: bool) -> None:
    """Print shares beside the census, and the groups that are too small; write a page where one is asked for."""
    from ..cohorts.likeness.representation import represent
    from .cohort_people_pages import representation_page

    if out is not None:
        check_out(out, (".html",))
    twins = read_cohort(cohort)
    groups = represent(twins, target, precision, _weights_of(twins))
    _write_page(out, lambda: representation_page(groups, cohort.name, target, precision))
    if as_json:
        rows = [
            {**vars(g), "target": g.target if g.target == g.target else None, "too_small": g.is_too_small}
            for g in groups
        ]
        console.emit({"target": target, "precision": precision, "groups": rows})
        return
    shown = [g for g in groups if "," not in g.variable]
    console.table(
        f"shares beside {target}",
        ("variable", "group", "twins", "share", "people", "ratio", ""),
        [
            (
                g.variable,
                g.group,
                f"{g.twins}",
                f"{100 * g.share:.1f} %",
                f"{100 * g.target:.1f} %" if g.target == g.target else "-",
                f"{g.ratio:.2f}" if g.ratio == g.ratio else "-",
                {True: "", False: "OVER" if g.ratio > 1 else "UNDER", None: ""}[g.is_represented],
            )
            for g in shown
        ],
    )
    small = [g for g in groups if g.is_too_small]
    needed = groups[0].needed
    console.say(f"a mean within {precision:g} SD (95 % interval) takes {needed} twins of a group")
    for g in small:
        console.say(f"too few  {g.variable}: {g.group}, effective number {g.effective:.0f}")
    if not small:
        console.say("every group, and each sex inside each group, has as many")


def privacy_command(
    cohort: Path, people: tuple[Path, Path], asked: Asked, seed: int, out: Path | None, as_json: bool
) -> int:
    """Print distances and the attack, write a page where one is asked for; 3 where the attack succeeds."""
    from ..cohorts.likeness.privacy import LIMIT, privacy
    from .cohort_people_pages import privacy_page

    if out is not None:
        check_out(out, (".html",))
    twins = read_cohort(cohort)
    training, held_out = (people_of(path, units_of(twins), asked)[0] for path in people)
    found = privacy(twins, training, held_out, seed)
    _write_page(out, lambda: privacy_page(found, (cohort.name, people[0].name, people[1].name), seed))
    code = 0 if found.passes else 3
    if as_json:
        console.emit({"exit": code, **vars(found)})
        return code
    rows = [
        (name, *(f"{value:.3f}" for value in quantiles))
        for name, quantiles in (("learned from", found.to_training), ("held back", found.to_held_out))
    ]
    console.table("distance of a twin to the closest person (SD a variable)", ("people", "5 %", "50 %", "95 %"), rows)
    console.say(f"{100 * found.closer:.1f} % of twins are closer to a person learned from (50 % by chance)")
    console.say(f"{found.copies} twins are identical to such a person in the {len(found.variables)} variables")
    console.say(f"membership inference: area {found.attack:.3f} +- {found.error:.3f}, limit {LIMIT} (0.5 is chance)")
    if code:
        console.complain("people can be told to have been in the table: do not release this cohort")
    return code
