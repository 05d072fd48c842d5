"""Can a classifier tell the twins of `adult-us` from people? Beside simpler generators, in one run.

    python benchmarks/cohorts.py FOLDER            FOLDER holds nhanes_2017_2020_dev.csv.gz
    python benchmarks/cohorts.py FOLDER --quick    the whole population only, once

People: non-pregnant adults of 20 and over with all 14 features, NHANES 2017 to March 2020, with their examination
weights in fit and score, so that the target is the US population. Both sides are rounded to the survey's steps. The
classifier is scikit-learn's HistGradientBoostingClassifier as it comes, five folds, both sides of the same weight in
every fold; the area under the ROC curve is the mean over the left-out folds.

The figures behind `adult-us` were computed from these same rows. A generator that has seen the rows it is tested on
scores below what new people would show (it can fall below 0.5: what is peculiar to the left-out rows is in the twins
too); the generator that learned from one half is therefore tested on the other.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtr
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from twinarm.cohorts import Population, load_population, screen
from twinarm.cohorts.fit import fit_population
from twinarm.cohorts.fit_scores import weighted_quantiles
from twinarm.cohorts.people import read_people

# Feature -> column of the survey's file, and steps per unit of what it reports.
FEATURES = {
    "age": ("age_y", 1), "male": ("", 1), "height": ("height_cm", 10), "weight": ("weight_kg", 10),
    "waist": ("waist_cm", 10), "sbp": ("sbp_mmhg", 3), "dbp": ("dbp_mmhg", 3), "heart_rate": ("hr_bpm", 3),
    "total_cholesterol": ("chol_total_mgdl", 1), "hdl_cholesterol": ("chol_hdl_mgdl", 1), "hba1c": ("hba1c_pct", 10),
    "creatinine": ("creatinine_mgdl", 100), "albumin": ("albumin_gdl", 10), "haemoglobin": ("hemoglobin_gdl", 10),
}  # fmt: skip
NAMES = tuple(FEATURES)
AGE, MALE = 0, 1
RACES = {"mexican_american": "hispanic", "other_hispanic": "hispanic"}
RESULTS = Path(__file__).parent / "results"
SEEDS = (1, 2, 3)
FOLDS = 5


@dataclass(frozen=True)
class Sample:
    """People or twins: features (person, feature), race/ethnicity, and weights of mean 1."""

    values: np.ndarray
    race: np.ndarray
    weights: np.ndarray

    def of(self, rows: np.ndarray) -> Sample:
        return Sample(self.values[rows], self.race[rows], self.weights[rows] / self.weights[rows].mean())

    @property
    def size(self) -> int:
        return self.weights.size


def rounded(values: np.ndarray) -> np.ndarray:
    """Values on the steps that the survey reports."""
    steps = np.array([k for _, k in FEATURES.values()])
    return np.asarray(np.round(np.round(values * steps) / steps, 3))


def read_adults(folder: Path) -> Sample:
    """Non-pregnant adults of 20 and over with every feature."""
    with gzip.open(folder / "nhanes_2017_2020_dev.csv.gz", "rt", encoding="utf-8") as lines:
        rows = [r for r in csv.DictReader(lines) if int(r["age_y"]) >= 20 and r["pregnant"] != "1"]
    columns = [column for column, _ in FEATURES.values() if column]
    rows = [r for r in rows if all(r[c] for c in columns) and float(r["mec_weight"] or 0) > 0]
    values = [[float(r[c]) if c else float(r["sex"] == "male") for c, _ in FEATURES.values()] for r in rows]
    weights = np.array([float(r["mec_weight"]) for r in rows])
    race = np.array([RACES.get(r["race_eth"], r["race_eth"]) for r in rows])
    return Sample(rounded(np.array(values)), race, weights / weights.mean())


def adults_of(population: Population, size: int, seed: int) -> tuple[Sample, float]:
    """Plausible twins of 20 and over, and the share of candidates that were turned away."""
    who = population.demographics
    assert who is not None
    population = population.changed(demographics=who.changed(ages=(20, 80)))
    screening = screen(population, size, seed)
    twins = screening.cohort
    columns = [twins["sex"].values == "male" if n == "male" else twins[n].values for n in NAMES]
    sample = Sample(rounded(np.column_stack(columns).astype(float)), twins["race_ethnicity"].values, np.ones(size))
    return sample, 1 - size / screening.candidates


def auc(people: Sample, twins: Sample, seed: int = 0) -> float:
    """Area under the ROC curve of a classifier that tells twins from people: 0.5 where it cannot."""
    values = np.vstack([people.values, twins.values])
    is_twin = np.repeat([0, 1], [people.size, twins.size])
    weights = np.concatenate([people.weights, twins.weights])
    areas = []
    with threadpool_limits(1):
        for seen, left in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(values, is_twin):
            side = np.bincount(is_twin[seen], weights=weights[seen])
            model = HistGradientBoostingClassifier(random_state=0)
            balanced = weights[seen] / side[is_twin[seen]] * seen.size / 2
            model.fit(values[seen], is_twin[seen], sample_weight=balanced)
            score = model.predict_proba(values[left])[:, 1]
            areas.append(roc_auc_score(is_twin[left], score, sample_weight=weights[left]))
    return float(np.mean(areas))


def ks_distances(people: Sample, twins: Sample) -> dict[str, float]:
    """Largest distance of the weighted distribution functions, feature by feature."""
    found = {}
    for j, name in enumerate(NAMES):
        x, y = people.values[:, j], twins.values[:, j]
        grid = np.unique(np.concatenate([x, y]))
        cdfs = [_cdf(v, w, grid) for v, w in ((x, people.weights), (y, twins.weights))]
        found[name] = float(np.abs(cdfs[0] - cdfs[1]).max())
    return found


def _cdf(values: np.ndarray, weights: np.ndarray, grid: np.ndarray) -> np.ndarray:
    order = np.argsort(values, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(weights[order])]) / weights.sum()
    return np.asarray(total[np.searchsorted(values[order], grid, side="right")])


def spearman(sample: Sample) -> np.ndarray:
    """Weighted Spearman correlations of all features but sex."""
    columns = [j for j in range(len(NAMES)) if j != MALE]
    ranks = [_midrank(sample.values[:, j], sample.weights) for j in columns]
    covariance = np.cov(ranks, aweights=sample.weights)
    sd = np.sqrt(np.diag(covariance))
    return np.asarray(covariance / np.outer(sd, sd))


def _midrank(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    _, number = np.unique(values, return_inverse=True)
    weight = np.bincount(number, weights=weights)
    return np.asarray((np.cumsum(weight) - 0.5 * weight)[number])


def impossible(sample: Sample) -> int:
    """People that cannot be: pressures crossed, HDL above the total, bodies that nobody has."""
    x = dict(zip(NAMES, sample.values.T, strict=True))
    bmi = x["weight"] / (x["height"] / 100) ** 2
    bad = (x["dbp"] >= x["sbp"]) | (x["hdl_cholesterol"] >= x["total_cholesterol"]) | (x["waist"] > 1.3 * x["height"])
    bad |= (
        (bmi < 10) | (bmi > 100) | (x["height"] < 100) | (x["height"] > 250) | (sample.values[:, 2:] <= 0).any(axis=1)
    )
    return int(bad.sum())


def subgroups(sample: Sample) -> dict[str, np.ndarray]:
    """Rows of each sex, three age groups and four race/ethnicity groups."""
    age, male = sample.values[:, AGE], sample.values[:, MALE]
    groups = {"women": male == 0, "men": male == 1}
    groups |= {f"{a} to {b}": (age >= a) & (age <= b) for a, b in ((20, 39), (40, 59), (60, 80))}
    return groups | {race: sample.race == race for race in ("nh_white", "nh_black", "hispanic", "nh_asian")}


def independent(people: Sample, size: int, rng: np.random.Generator) -> Sample:
    """Each feature from its own weighted margin within each sex."""
    return _by_sex(people, size, rng, lambda rows, n: np.column_stack(
        [rows.values[_draw(rows, n, rng), j] for j in range(len(NAMES))]))  # fmt: skip


def normal_copula(people: Sample, size: int, rng: np.random.Generator) -> Sample:
    """The usual one: normal and lognormal margins and their correlation, both sexes together."""
    logs = [j for j, n in enumerate(NAMES) if n not in ("age", "male", "height", "albumin", "haemoglobin")]
    x = people.values.copy()
    x[:, logs] = np.log(x[:, logs])
    mean, cov = np.average(x, axis=0, weights=people.weights), np.cov(x.T, aweights=people.weights)
    y = rng.multivariate_normal(mean, cov, size)
    y[:, logs] = np.exp(y[:, logs])
    y[:, MALE] = y[:, MALE] > 0.5
    y[:, AGE] = np.clip(y[:, AGE], 20, 80)
    return Sample(rounded(y), np.full(size, ""), np.ones(size))


def copula_by_sex(people: Sample, size: int, rng: np.random.Generator) -> Sample:
    """A Gaussian copula of each sex with empirical margins."""

    def draw(rows: Sample, n: int) -> np.ndarray:
        columns = [j for j in range(len(NAMES)) if j != MALE]
        sine = 2 * np.sin(np.pi * spearman(rows) / 6)
        z = rng.multivariate_normal(np.zeros(len(columns)), sine, n)
        y = np.repeat(rows.values[:1], n, axis=0)
        for i, j in enumerate(columns):
            y[:, j] = weighted_quantiles(rows.values[:, j], rows.weights, ndtr(z[:, i]))
        return y

    return _by_sex(people, size, rng, draw)


def _by_sex(people: Sample, size: int, rng: np.random.Generator, draw: Callable[[Sample, int], np.ndarray]) -> Sample:
    men = people.values[:, MALE] == 1
    n = int(round(size * people.weights[men].sum() / people.weights.sum()))
    y = np.vstack([draw(people.of(men), n), draw(people.of(~men), size - n)])
    return Sample(rounded(y), np.full(size, ""), np.ones(size))


def _draw(rows: Sample, n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(rows.size, n, p=rows.weights / rows.weights.sum())


def halves(people: Sample, seed: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(seed).permutation(people.size)
    return order[: people.size // 2], order[people.size // 2 :]


def learned(people: Sample, rows: np.ndarray, size: int, based_on: Population | None = None) -> Sample:
    """Twins of a population that learned from some of the people."""
    header = ["age", "sex", *NAMES[2:], "race_ethnicity", "survey_weight"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "half.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(header)
            for i in rows:
                age, male, *rest = people.values[i].tolist()
                lines.writerow([age, "male" if male else "female", *rest, people.race[i], people.weights[i]])
        fitted = fit_population(read_people(path, "survey_weight"), "half", based_on)
        return adults_of(load_population(fitted.write(Path(folder))), size, 1)[0]


def report(people: Sample, quick: bool) -> dict[str, Any]:
    """Every figure of the bar."""
    adult_us = load_population("adult-us")
    many, rejected = adults_of(adult_us, 2 * people.size * len(SEEDS), 1)
    cohorts = [many.of(np.arange(k, many.size, len(SEEDS))) for k in range(len(SEEDS))]
    rho = np.abs(spearman(people) - spearman(many))[np.tril_indices(len(NAMES) - 1, -1)]
    ks = ks_distances(people, many)
    found: dict[str, Any] = {
        "people": people.size,
        "effective_people": round(float(people.size**2 / np.sum(people.weights**2))),
        "features": list(NAMES),
        "adult-us": [auc(people, twins, k) for k, twins in enumerate(cohorts[: 1 if quick else None])],
        "ks": ks | {"mean": float(np.mean(list(ks.values()))), "max": max(ks.values())},
        "spearman_error": {"mean": float(rho.mean()), "max": float(rho.max())},
        "impossible": impossible(many),
        "rejected": rejected,
    }
    if quick:
        return found
    theirs = subgroups(people)
    found["subgroups"] = {}
    for name, rows in subgroups(many).items():
        group, twins = people.of(theirs[name]), many.of(rows)
        size = min(2 * group.size, twins.size // len(SEEDS))
        parts = [twins.of(np.arange(k * size, (k + 1) * size)) for k in range(len(SEEDS))]
        found["subgroups"][name] = [auc(group, part, k) for k, part in enumerate(parts)]
    found["baselines"] = {}
    for make in (independent, normal_copula, copula_by_sex):
        twins = [make(people, people.size, np.random.default_rng(seed)) for seed in SEEDS]
        found["baselines"][make.__name__] = [auc(people, t, k) for k, t in enumerate(twins)]
    splits = [pair for seed in SEEDS[:2] for pair in (halves(people, seed), halves(people, seed)[::-1])]
    found["chance"] = [auc(people.of(a), people.of(b)) for a, b in splits]
    for label, base in (("learned_from_half", None), ("learned_from_half_on_adult_us", adult_us)):
        found[label] = [auc(people.of(b), learned(people, a, 2 * b.size, base)) for a, b in splits]
    return found


def speed() -> dict[str, float]:
    """Seconds for a million plausible twins, block by block, in one process."""
    population = load_population("adult-us")
    start, kept = time.perf_counter(), 0
    for seed in range(20):
        kept += screen(population, 50_000, seed).cohort.sizes["twin"]
    return {"twins": kept, "seconds_one_core": round(time.perf_counter() - start, 1)}


def markdown(found: dict[str, Any]) -> str:
    """The figures as a table."""

    def line(name: str, values: list[float]) -> str:
        return f"| {name} | {np.mean(values):.3f} | {', '.join(f'{v:.3f}' for v in values)} |"

    lines = ["# Twins of adult-us beside people", "", (__doc__ or "").split("\n\n", 2)[2].strip(), ""]
    lines += [f"{found['people']} people (effective number {found['effective_people']})."]
    lines += ["", "| generator | AUC | runs |", "|---|---|---|", line("adult-us (figures only)", found["adult-us"])]
    lines += [line(f"adult-us, {name}", v) for name, v in found.get("subgroups", {}).items()]
    for key in ("learned_from_half", "learned_from_half_on_adult_us", "chance"):
        lines += [line(key.replace("_", " "), found[key])] if key in found else []
    lines += [line(name.replace("_", " "), v) for name, v in found.get("baselines", {}).items()]
    ks, rho = found["ks"], found["spearman_error"]
    lines += ["", f"KS distance: mean {ks['mean']:.3f}, largest {ks['max']:.3f}. Spearman error: mean "
              f"{rho['mean']:.3f}, largest {rho['max']:.3f}. Impossible persons: {found['impossible']}. "
              f"Rejected candidates: {100 * found['rejected']:.2f} %."]  # fmt: skip
    if "speed" in found:
        lines += [f"A million plausible twins: {found['speed']['seconds_one_core']:g} s on one core."]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    found = report(read_adults(asked.folder), asked.quick)
    if not asked.quick:
        found["speed"] = speed()
        (RESULTS / "cohorts.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        (RESULTS / "cohorts.md").write_text(markdown(found), encoding="utf-8")
    print(markdown(found))


if __name__ == "__main__":
    main()
