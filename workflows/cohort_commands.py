"""What each command of `twinarm cohort` does once its words are read: calls, and prints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from . import console
from .cohort_files import check_out, read_cohort, write_cohort
from .run_folder import RunError


def sample_command(population: str, twins: int, seed: int, out: Path, where: tuple[str, ...], as_json: bool) -> None:
    """Write a cohort, and say how those who meet criteria were found."""
    from ..cohorts import load_population, sample_criteria, screen

    check_out(out)
    chosen = load_population(population)
    said: dict[str, Any] = {"twins": twins, "out": str(out), "population": chosen.name, "seed": seed}
    if not where:
        cohort = screen(chosen, twins, seed).cohort
    else:
        found = sample_criteria(chosen, where, twins, seed)
        cohort = found.cohort
        said |= {"criteria": list(found.clauses), "prevalence": found.prevalence, "effective": found.effective}
        if found.law is not None:
            said |= {"acceptance": found.law.reached.acceptance, "missed": found.law.reached.missed}
    write_cohort(out, cohort)
    if as_json:
        console.emit(said)
        return
    if where:
        console.say(f"{100 * said['prevalence']:.3g} % of {chosen.name} meet {' and '.join(said['criteria'])}")
        if "acceptance" in said:
            console.say(
                f"drawn from the conditional law: {100 * said['acceptance']:.0f} % of proposals accepted, "
                f"about {100 * said['missed']:.2g} % of the law not reached"
            )
        console.say(f"effective sample size {said['effective']:.0f} of {twins} (independent draws, no weights)")
    console.say(f"wrote {cohort.sizes['twin']} twins to {out}")


def calibrate_command(cohort: Path, targets: Path, out: Path, seed: int | None, as_json: bool) -> None:
    """Write a cohort with weights, or with a seed the accepted twins; say what matches and what cannot."""
    from ..cohorts.calibration import WEIGHT, calibrate, rematched, select
    from ..cohorts.targets import load_targets

    check_out(out)
    wanted, twins = load_targets(targets), read_cohort(cohort)
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
        console.complain(f"{label} cannot be reached by this cohort together with the others and is left unmatched")
    kind = "weighted" if seed is None else "accepted"
    console.say(f"effective sample size {effective:.0f} of {twins.sizes['twin']} twins, {kind}")
    console.say(f"wrote {out}")
