"""Can a classifier tell the twins of `adult-us` from people? Beside simpler generators, in one run.

    python benchmarks/cohorts.py FOLDER            FOLDER holds nhanes_2017_2020/
    python benchmarks/cohorts.py FOLDER --quick    the whole population only, once; nothing is written

People: non-pregnant adults of 20 and over with all 14 features, NHANES 2017 to March 2020, with their examination
weights in fit and score, so that the target is the US population. Both sides are rounded to the survey's steps; twice
as many twins as people. The classifier is that of `twinarm cohort compare`: gradient-boosted trees, five folds, both
sides of the same weight in every fit; the area under the ROC curve is the mean over the left-out folds.

The figures behind `adult-us` were computed from these same people. A generator that has seen the people it is tested on
scores below what new people would show: what is peculiar to them is in the twins too. Only the generator that learned
from one half alone, tested on the other, is free of that; drawn towards `adult-us` it has seen figures of both halves.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from machine import described
from scipy.special import ndtr

from twinarm.cohorts import Population, load_population, screen
from twinarm.cohorts.learning.fit import fit_population
from twinarm.cohorts.learning.people import People
from twinarm.cohorts.likeness.comparison import Sample, compare, correlations_of
from twinarm.cohorts.likeness.privacy import privacy
from twinarm.cohorts.likeness.two_sample import tell_apart
from twinarm.cohorts.weighted import effective_number, quantiles
from twinarm.workflows.cohort_commands import Asked, people_of

# Feature -> column of the survey's file, and steps per unit of what it reports.
FEATURES = {
    "age": ("age_y", 1), "sex": ("sex", 0), "height": ("height_cm", 10), "weight": ("weight_kg", 10),
    "waist": ("waist_cm", 10), "sbp": ("sbp_mmhg", 3), "dbp": ("dbp_mmhg", 3), "heart_rate": ("hr_bpm", 3),
    "total_cholesterol": ("chol_total_mgdl", 1), "hdl_cholesterol": ("chol_hdl_mgdl", 1), "hba1c": ("hba1c_pct", 10),
    "creatinine": ("creatinine_mgdl", 100), "albumin": ("albumin_gdl", 10), "haemoglobin": ("hemoglobin_gdl", 10),
}  # fmt: skip
NUMBERS = tuple(name for name in FEATURES if name != "sex")
LEVELS = tuple(f"race_ethnicity:{word}=hispanic" for word in ("mexican_american", "other_hispanic"))
BANDS = ((20, 39), (40, 59), (60, 80))
RACES = ("nh_white", "nh_black", "hispanic", "nh_asian")
HERE = Path(__file__).parent
SEEDS = (1, 2, 3)
MILLION = 1_000_000


@dataclass(frozen=True)
class Group:
    """People or twins: features and race/ethnicity (twin,), and weights."""

    table: xr.Dataset
    weights: np.ndarray

    def of(self, rows: np.ndarray) -> Group:
        return Group(self.table.isel(twin=rows), self.weights[rows])

    @property
    def size(self) -> int:
        return self.weights.size


def on_steps(table: xr.Dataset) -> xr.Dataset:
    """Values on the steps that the survey reports."""
    steps = {name: steps for name, (_, steps) in FEATURES.items() if steps}
    return table.assign(
        {n: np.round(np.round(table[n] * k) / k, 3).assign_attrs(table[n].attrs) for n, k in steps.items()}
    )


def read_adults(folder: Path) -> Group:
    """Non-pregnant adults of 20 and over, some with features missing."""
    columns = {name: column for name, (column, _) in FEATURES.items()} | {"race_ethnicity": "race_eth"}
    asked = Asked(tuple(f"{name}={column}" for name, column in columns.items()), LEVELS, "age_y >= 20", "mec_weight")
    table, weights = people_of(folder / "nhanes_2017_2020" / "nhanes_2017_2020_dev.csv.gz", {}, asked)
    assert weights is not None
    kept = np.flatnonzero((weights > 0) & (table["pregnant"].to_numpy() != 1))
    return Group(on_steps(table[[*columns]].isel(twin=kept)), weights[kept])


def complete(people: Group) -> Group:
    """Those who have every feature."""
    return people.of(np.flatnonzero(np.logical_and.reduce([np.isfinite(people.table[n].to_numpy()) for n in NUMBERS])))


def adults_of(population: Population, size: int, seed: int) -> tuple[Group, float]:
    """Plausible twins of 20 and over, and the share of candidates that were turned away."""
    who = population.demographics
    assert who is not None
    screening = screen(population.changed(demographics=who.changed(ages=(20, 80))), size, seed)
    twins = screening.cohort[[*FEATURES, "race_ethnicity"]]
    return Group(on_steps(twins), np.ones(size)), 1 - size / screening.candidates


def auc(people: Group, twins: Group, seed: int = 0) -> float:
    """Area under the ROC curve of a classifier that tells twins from people: 0.5 where it cannot."""
    names = [n for n in FEATURES if np.unique(people.table[n]).size > 1]
    columns = {n: (twins.table[n].to_numpy(), people.table[n].to_numpy()) for n in names}
    return tell_apart(columns, (twins.weights, people.weights), seed, with_importance=False).auc


def impossible(twins: Group) -> int:
    """People that cannot be: pressures crossed, HDL above the total, bodies that nobody has."""
    x = {name: twins.table[name].to_numpy() for name in NUMBERS}
    bmi = x["weight"] / (x["height"] / 100) ** 2
    bad = (x["dbp"] >= x["sbp"]) | (x["hdl_cholesterol"] >= x["total_cholesterol"]) | (x["waist"] > 1.3 * x["height"])
    bad |= (bmi < 10) | (bmi > 100) | (x["height"] < 100) | (x["height"] > 250)
    return int((bad | np.any([x[name] <= 0 for name in NUMBERS], axis=0)).sum())


def subgroups(group: Group) -> dict[str, np.ndarray]:
    """Rows of each sex, three age groups and four race/ethnicity groups."""
    age, sex, race = (group.table[name].to_numpy() for name in ("age", "sex", "race_ethnicity"))
    found = {"women": sex == "female", "men": sex == "male"}
    found |= {f"{a} to {b} years": (age >= a) & (age <= b) for a, b in BANDS} | {word: race == word for word in RACES}
    return {name: np.flatnonzero(rows) for name, rows in found.items()}


def _made(columns: dict[str, np.ndarray]) -> Group:
    table = xr.Dataset({name: ("twin", values) for name, values in columns.items()})
    return Group(on_steps(table), np.ones(table.sizes["twin"]))


def _by_sex(people: Group, size: int, draw: Callable[[Group, int], dict[str, np.ndarray]]) -> Group:
    parts = []
    for sex in ("female", "male"):
        rows = np.flatnonzero(people.table["sex"].to_numpy() == sex)
        n = round(size * float(people.weights[rows].sum() / people.weights.sum()))
        parts.append(draw(people.of(rows), n) | {"sex": np.full(n, sex)})
    return _made({name: np.concatenate([part[name] for part in parts]) for name in FEATURES})


def independent_margins(people: Group, size: int, rng: np.random.Generator) -> Group:
    """Each feature from its own weighted margin within each sex."""

    def draw(group: Group, n: int) -> dict[str, np.ndarray]:
        p = group.weights / group.weights.sum()
        return {name: rng.choice(group.table[name].to_numpy(), n, p=p) for name in NUMBERS}

    return _by_sex(people, size, draw)


def usual_copula(people: Group, size: int, rng: np.random.Generator) -> Group:
    """Normal and lognormal margins and their correlation, both sexes together."""
    plain = ("age", "height", "albumin", "haemoglobin")
    x = np.array([people.table[n] if n in plain else np.log(people.table[n]) for n in NUMBERS])
    x = np.vstack([x, people.table["sex"].to_numpy() == "male"])
    y = rng.multivariate_normal(np.average(x, axis=1, weights=people.weights), np.cov(x, aweights=people.weights), size)
    made = {name: y[:, i] if name in plain else np.exp(y[:, i]) for i, name in enumerate(NUMBERS)}
    return _made(made | {"age": np.clip(made["age"], 20, 80), "sex": np.where(y[:, -1] > 0.5, "male", "female")})


def copula_by_sex(people: Group, size: int, rng: np.random.Generator) -> Group:
    """A Gaussian copula of each sex with empirical margins."""

    def draw(group: Group, n: int) -> dict[str, np.ndarray]:
        sample = Sample({name: group.table[name].to_numpy() for name in NUMBERS}, group.weights)
        rank = correlations_of(sample, sample).people
        z = rng.multivariate_normal(np.zeros(len(NUMBERS)), 2 * np.sin(np.pi * rank / 6), n)
        return {
            name: quantiles(group.table[name].to_numpy(), group.weights, ndtr(z[:, i]))
            for i, name in enumerate(NUMBERS)
        }

    return _by_sex(people, size, draw)


def halves(people: Group, seed: int) -> tuple[Group, Group]:
    order = np.random.default_rng(seed).permutation(people.size)
    return people.of(order[: people.size // 2]), people.of(order[people.size // 2 :])


def learned(people: Group, size: int, towards: Population | None) -> Group:
    """Twins of a population that learned from people, some with features missing."""
    table = People.of(people.table, people.weights, "half of the survey")
    with tempfile.TemporaryDirectory() as folder:
        path = fit_population(table, "half", "half of the survey", towards).write(Path(folder))
        return adults_of(load_population(path), size, 1)[0]


def people_and_twins(everyone: Group, quick: bool) -> dict[str, Any]:
    """Every figure of the bar, from the figures only."""
    people = complete(everyone)
    runs = 1 if quick else len(SEEDS)
    many, rejected = adults_of(load_population("adult-us"), 2 * people.size * runs, 1)
    cohorts = [many.of(np.arange(k, many.size, runs)) for k in range(runs)]
    found = compare(many.table, people.table, (None, people.weights), 0)
    ks = {m.name: m.ks for m in found.margins if not m.level}
    errors = found.correlations.errors
    return {
        "people": people.size,
        "effective_people": round(effective_number(people.weights)),
        "adult-us": [auc(people, twins, k) for k, twins in enumerate(cohorts)],
        "ks": ks | {"mean": float(np.mean(list(ks.values()))), "max": max(ks.values())},
        "spearman_error": {"mean": float(errors.mean()), "max": float(errors.max())},
        "impossible": impossible(many),
        "rejected": rejected,
        "subgroups": {} if quick else _subgroups(people, many),
    }


def _subgroups(people: Group, many: Group) -> dict[str, list[float]]:
    theirs, found = subgroups(people), {}
    for name, rows in subgroups(many).items():
        group = people.of(theirs[name])
        size = min(2 * group.size, rows.size // len(SEEDS))
        parts = [many.of(rows[k * size : (k + 1) * size]) for k in range(len(SEEDS))]
        found[name] = [auc(group, part, k) for k, part in enumerate(parts)]
    return found


def beside(everyone: Group) -> dict[str, Any]:
    """Chance, generators that learned from one half and are tested on the other, and simpler ones."""
    people, adult_us = complete(everyone), load_population("adult-us")
    found: dict[str, Any] = {"baselines": {}, "chance": [], "learned": {"alone": [], "towards adult-us": []}}
    found["privacy"] = []
    for make in (independent_margins, usual_copula, copula_by_sex):
        twins = [make(people, 2 * people.size, np.random.default_rng(seed)) for seed in SEEDS]
        found["baselines"][make.__name__] = [auc(people, t, k) for k, t in enumerate(twins)]
    for seed in SEEDS:
        pair = halves(everyone, seed)
        for one, other in (pair, pair[::-1]):
            seen, new = complete(one), complete(other)
            found["chance"].append(auc(new, seen, seed))
            for label, towards in (("alone", None), ("towards adult-us", adult_us)):
                found["learned"][label].append(auc(new, learned(one, 2 * new.size, towards), seed))
            twins = learned(one, seen.size, None)
            n = min(seen.size, new.size)
            tables = [g.table[[*FEATURES]].isel(twin=slice(n)) for g in (twins, seen, new)]
            found["privacy"].append(privacy(tables[0], tables[1], tables[2], seed).attack)
    return found


def million() -> dict[str, Any]:
    """Seconds and memory for a million plausible twins with every variable: drawn only, and written by the command."""
    code = (
        "import resource, time\n"
        "from twinarm.cohorts import load_population\n"
        "from twinarm.cohorts.screening import screened\n"
        "start, count = time.perf_counter(), 0\n"
        f"for block in screened(load_population('adult-us'), {MILLION}, 1):\n"
        "    count += block.cohort.sizes['twin']\n"
        "print(count, time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    found: dict[str, Any] = {"twins": int(said[0]), "drawn": {"seconds": float(said[1]), "memory_mb": float(said[2])}}
    command = (
        "import resource, sys; from twinarm.workflows.cli import main; sys.argv[0] = 'twinarm'; code = main();"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024); sys.exit(code)"
    )
    for suffix in (".zarr", ".parquet"):
        with tempfile.TemporaryDirectory() as folder:
            words = ["cohort", "sample", "adult-us", "--twins", str(MILLION), "--out", str(Path(folder) / f"c{suffix}")]
            start = time.perf_counter()
            done = subprocess.run([sys.executable, "-c", command, *words], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                memory = float(done.stdout.split()[-1])
                found[f"written to {suffix}"] = {"seconds": time.perf_counter() - start, "memory_mb": memory}
            else:
                found[f"written to {suffix}"] = {"refused": done.stderr.strip().splitlines()[-1]}
    return found


def markdown(found: dict[str, Any]) -> str:
    """The figures as a table."""

    def line(name: str, bar: str, values: list[float]) -> str:
        return f"| {name} | {bar} | {np.mean(values):.3f} | {', '.join(f'{v:.3f}' for v in values)} |"

    ks, rho = found["ks"], found["spearman_error"]
    lines = ["# Twins of adult-us beside people", "", (__doc__ or "").split("\n\n", 2)[2].strip(), ""]
    lines += [f"{found['people']} people (effective number {found['effective_people']})."]
    lines += ["", "| generator | bar | AUC | runs |", "|---|---|---|---|"]
    lines += [line("`adult-us`, figures only", "0.56", found["adult-us"])]
    lines += [line(f"`adult-us`, {name}", "0.56", v) for name, v in found["subgroups"].items()]
    for label, values in found.get("learned", {}).items():
        lines += [line(f"learned from one half {label}, tested on the other", "0.54", values)]
    lines += [line("chance: one half of the people and the other", "", found["chance"])] if "chance" in found else []
    lines += [line(name.replace("_", " "), "", v) for name, v in found.get("baselines", {}).items()]
    lines += ["", "| figure of `adult-us` | bar | value |", "|---|---|---|"]
    lines += [f"| KS distance, mean | 0.045 | {ks['mean']:.3f} |", f"| KS distance, largest | 0.10 | {ks['max']:.3f} |"]
    lines += [f"| error of Spearman's correlation, mean | 0.05 | {rho['mean']:.3f} |"]
    lines += [f"| error of Spearman's correlation, largest | 0.20 | {rho['max']:.3f} |"]
    lines += [f"| impossible persons | 0 | {found['impossible']} |"]
    lines += [f"| candidates turned away | 0.5 % | {100 * found['rejected']:.2f} % |"]
    if "privacy" in found:
        lines += [f"| membership inference, learned from one half | 0.55 | {np.mean(found['privacy']):.3f} |"]
    for name, cost in found.get("million", {}).items():
        if name != "twins" and "seconds" in cost:
            said = f"{cost['seconds']:.0f} s, at most {cost['memory_mb']:.0f} MB"
            lines += [f"| a million twins {name}, one process | 60 s | {said} |"]
    if "machine" in found:
        m = found["machine"]
        lines += ["", f"{m['processor']}, {m['cores']} cores, load {m['load']:.1f}, Python {m['python']}, {m['date']}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    everyone = read_adults(asked.folder)
    found = people_and_twins(everyone, asked.quick)
    if not asked.quick:
        found |= {"machine": described(), "million": million()} | beside(everyone)
        (HERE / "results" / "cohorts.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        (HERE / "results" / "cohorts.md").write_text(markdown(found), encoding="utf-8")
    print(markdown(found))


if __name__ == "__main__":
    main()
