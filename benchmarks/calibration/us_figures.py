"""Turn published figures of NHANES into the tables of `adult-us` and `child-us`. Figures in, figures out: no people.

    python benchmarks/calibration/us_figures.py FOLDER

FOLDER holds `nhanes_quantile_curves.csv`, `nhanes_copula.json`, `nhanes_marginals.csv`,
`nhanes_categoricals.csv` and `us_demographic_targets.csv`: weighted figures of NHANES 2017 to March 2020, computed
from a random 70 % of the examined people. The tables are written to cohorts/populations/data.

* curves: quantiles in age by sex, as they are.
* copula: the correlations of a band of age, shrunk towards those of all ages together. What a band's matrix keeps
  follows from how far it lies from the pooled one (root mean square 0.06, fasting values and conditions 0.07, and 0.14
  under 40, where conditions are rare), of which 0.04 (fasting 0.07) is sampling error at these numbers of people.
* race margins: for each sex, race/ethnicity and band of age the pooled normal score at each published quantile of that
  race: score such that the mean over the band's ages of Phi(score on the curve of the age) is the pooled probability.
  A band's scores are shrunk towards those of all ages together by n_eff / (n_eff + 100).
* prevalence: shares of the conditions by ten-year band, at the middle of the band, raised from 0 to half a person.
* demographics: the targets, by band of age, sex and race/ethnicity.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from scipy.special import ndtr, ndtri

OUT = Path(__file__).parents[2] / "cohorts" / "populations" / "data"
FASTING = ("triglycerides_mgdl", "glucose_fasting_mgdl", "insulin_uUml")
CONDITIONS = ("diabetes_dx", "bp_med", "lipid_med", "current_smoker")
RACES = ("hispanic", "nh_asian", "nh_black", "nh_white")
BANDS = {"18-39": (18, 39), "40-59": (40, 59), "60+": (60, 80)}
DECADES = (("18-29", "30-39"), ("40-49", "50-59"), ("60-69", "70-79", "80+"))
CHILD_BANDS = {"8-17": (8, 17)}
# Share of a band's correlations that is kept: others, fasting values, conditions, conditions under 40.
KEPT = {"other": 0.6, "fasting": 0.3, "condition": 0.3, "rare": 0.1}
PEOPLE_OF_POOLED = 100  # n_eff at which a band's race margins count as much as those of all ages
QUANTILES = ("p2.5", "p5", "p10", "p25", "p50", "p75", "p90", "p95", "p97.5")
MIDDLES = {"18-29": 24, "30-39": 35, "40-49": 45, "50-59": 55, "60-69": 65, "70-79": 75, "80+": 80}

Row = dict[str, str]


def main() -> None:
    source = Path(sys.argv[1])
    cells = json.loads((source / "nhanes_copula.json").read_text())["cells"]
    curves = _rows(source / "nhanes_quantile_curves.csv")
    marginals = _rows(source / "nhanes_marginals.csv")
    targets = _rows(source / "us_demographic_targets.csv")
    adult = [v for v in cells["male|18+"]["variables"] if v not in CONDITIONS]
    child = cells["male|8-17"]["variables"]
    _write("nhanes_quantile_curves_adult.csv", _curves(curves, adult, 18, 80))
    _write("nhanes_quantile_curves_child.csv", _curves(curves, child, 8, 17))
    _write("nhanes_copula_adult.csv", _copula(cells, BANDS, "18+"))
    _write("nhanes_copula_child.csv", _copula(cells, CHILD_BANDS, "8-17"))
    prevalence = _rows(source / "nhanes_categoricals.csv")
    lines = [*_race_margins(curves, marginals, adult), *_condition_margins(prevalence)]
    _write("nhanes_race_margins_adult.csv", lines)
    _write("nhanes_prevalence_adult.csv", _prevalence(prevalence))
    _write("us_demographics_adult.csv", _demographics(targets, 18))
    _write("us_demographics_child.csv", _demographics(targets, 5, 17))


def _curves(curves: list[Row], variables: list[str], first: int, last: int) -> Iterable[dict[str, object]]:
    for row in curves:
        if row["variable"] in variables and first <= float(row["age_y"]) <= last:
            rest = {key: value for key, value in row.items() if key.startswith(("n_eff", "q"))}
            yield {"sex": row["sex"], "age": f"{float(row['age_y']):g}", "variable": row["variable"], **rest}


def _copula(cells: dict, bands: dict[str, tuple[int, int]], pooled: str) -> Iterable[dict[str, object]]:
    for sex in ("female", "male"):
        everyone = np.array(cells[f"{sex}|{pooled}"]["corr"])
        for band, (start, end) in bands.items():
            names, own = cells[f"{sex}|{band}"]["variables"], np.array(cells[f"{sex}|{band}"]["corr"])
            for i, one in enumerate(names):
                for j, two in enumerate(names[:i]):
                    kept = _kept(band, one, two)
                    value = kept * own[i, j] + (1 - kept) * everyone[i, j]
                    yield dict(sex=sex, age_from=start, age_to=end, variable_1=one, variable_2=two,
                               correlation=f"{value:.3f}")  # fmt: skip
            # No correlations are published of former smoking: taken as independent given age, sex and race.
            for other in names if pooled == "18+" else ():
                yield dict(sex=sex, age_from=start, age_to=end, variable_1="former_smoker", variable_2=other,
                           correlation="0")  # fmt: skip


def _kept(band: str, one: str, two: str) -> float:
    if {one, two} & set(CONDITIONS):
        return KEPT["rare" if band == "18-39" else "condition"]
    return KEPT["fasting" if {one, two} & set(FASTING) else "other"]


def _race_margins(curves: list[Row], marginals: list[Row], variables: list[str]) -> Iterable[dict[str, object]]:
    rows = {(r["sex"], r["age_band"], r["race_eth"], r["variable"]): r for r in marginals}
    for sex in ("female", "male"):
        for variable in variables:
            on_curve = [r for r in curves if r["sex"] == sex and r["variable"] == variable]
            for race in RACES:
                whole = _scores(rows[sex, "18+", race, variable], on_curve, 18, 80)
                for band, (start, end) in BANDS.items():
                    row = rows.get((sex, band, race, variable))
                    kept, own = 0.0, whole
                    if row is not None:
                        n_eff = float(row["n_eff"])
                        kept, own = n_eff / (n_eff + PEOPLE_OF_POOLED), _scores(row, on_curve, start, end)
                    scores = kept * own + (1 - kept) * whole
                    yield _margin(sex, race, (start + end) / 2, variable, scores)
            for start, end in BANDS.values():
                yield _margin(sex, "nh_other", (start + end) / 2, variable, _levels())


def _levels() -> np.ndarray:
    return ndtri(np.array([float(name[1:]) for name in QUANTILES]) / 100)


def _margin(sex: str, race: str, age: float, variable: str, scores: np.ndarray) -> dict[str, object]:
    values = {f"q{name[1:]}": f"{value:.3f}" for name, value in zip(QUANTILES, scores, strict=True)}
    return {"sex": sex, "race_ethnicity": race, "age": f"{age:g}", "variable": variable, **values}


def _scores(row: Row, on_curve: list[Row], start: int, end: int) -> np.ndarray:
    """Pooled normal score at each published quantile of a race, mean over the ages of the band."""
    names = [key for key in on_curve[0] if key.startswith("q")]
    levels = ndtri(np.array([float(name[1:]) for name in names]) / 100)
    inside = [r for r in on_curve if start <= float(r["age_y"]) <= end]
    found = np.array([float(row[name]) for name in QUANTILES])
    curves = [np.array([float(r[name]) for name in names]) for r in inside]
    return np.asarray(ndtri(np.mean([ndtr(_score(found, curve, levels)) for curve in curves], axis=0)))


def _score(values: np.ndarray, curve: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Score of values on a curve; beyond its ends with the slope of the outer levels."""
    rising = curve + 1e-9 * np.arange(curve.size)
    inside = np.interp(values, rising, levels)
    low, high = (rising[3] - rising[0]) / (levels[3] - levels[0]), (rising[-1] - rising[-4]) / (levels[-1] - levels[-4])
    inside = np.where(values < rising[0], levels[0] + (values - rising[0]) / low, inside)
    return np.asarray(np.where(values > rising[-1], levels[-1] + (values - rising[-1]) / high, inside))


def _condition_margins(categoricals: list[Row]) -> Iterable[dict[str, object]]:
    """A condition's score is shifted by race as the probits of its prevalence are, mean over the bands of age."""
    shares = {(r["sex"], r["age_band"], r["race_eth"], r["variable"]): r for r in categoricals}
    for sex in ("female", "male"):
        for condition, name in (*_published(), ("former_smoker", "")):
            for race in (*RACES, "nh_other"):
                shift = 0.0
                if race in RACES:
                    shift = _probit_shift([_cell(shares, sex, band, race, name) for band in BANDS],
                                          [_everyone(shares, sex, decades, name) for decades in DECADES])  # fmt: skip
                for start, end in BANDS.values():
                    yield _margin(sex, race, (start + end) / 2, condition, _levels() + shift)


def _published() -> tuple[tuple[str, str], ...]:
    return tuple((c, "smoking_current" if c == "current_smoker" else c) for c in CONDITIONS)


def _cell(shares: dict[tuple[str, ...], Row], sex: str, band: str, race: str, name: str) -> tuple[float, float]:
    """Share and number of people; for former smoking the share among those who do not smoke now."""

    def of(variable: str) -> tuple[float, float]:
        row = shares.get((sex, band, race, variable))
        return (float(row["prevalence"]), float(row["n"])) if row else (np.nan, 0.0)

    if name:
        share, n = of(name)
    else:
        (former, n), (never, _) = of("smoking_former"), of("smoking_never")
        share = former / (former + never)
    return min(max(share, 0.5 / max(n, 1.0)), 1 - 0.5 / max(n, 1.0)), n


def _everyone(shares: dict[tuple[str, ...], Row], sex: str, decades: tuple[str, ...], name: str) -> float:
    """Share in a band of age from those of its decades, which alone are published for all races together."""
    cells = [_cell(shares, sex, decade, "all", name) for decade in decades]
    return float(np.average([share for share, _ in cells], weights=[n for _, n in cells]))


def _probit_shift(race: list[tuple[float, float]], everyone: list[float]) -> float:
    """Mean difference of probits; a band counts by the information on a probit, n phi(t)^2 / (p (1 - p))."""
    total = weight = 0.0
    for (p, n), q in zip(race, everyone, strict=True):
        if n:
            t = ndtri(p)
            information = n * np.exp(-t * t) / (2 * np.pi) / (p * (1 - p))
            total, weight = total + information * (t - ndtri(q)), weight + information
    return float(total / weight)


def _prevalence(categoricals: list[Row]) -> Iterable[dict[str, object]]:
    shares = {(r["sex"], r["age_band"], r["race_eth"], r["variable"]): r for r in categoricals}
    for sex in ("female", "male"):
        for condition, name in (*_published(), ("former_smoker", "")):
            for band, age in MIDDLES.items():
                share, _ = _cell(shares, sex, band, "all", name)
                yield {"sex": sex, "age": age, "variable": condition, "share": f"{share:.4f}"}


def _demographics(targets: list[Row], first: int, last: int = 200) -> Iterable[dict[str, object]]:
    for row in targets:
        start, _, end = row["age_band"].replace("80+", "80-80").partition("-")
        if first <= int(start) <= last:
            kept = {"share": "share_all", "persons_millions": "persons_millions", "n_sample": "n_sample"}
            cell = {"age_from": start, "age_to": end, "sex": row["sex"], "race_ethnicity": row["race_eth"]}
            yield cell | {name: row[column] for name, column in kept.items()}


def _rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _write(name: str, rows: Iterable[dict[str, object]]) -> None:
    rows = list(rows)
    with (OUT / name).open("w", encoding="utf-8", newline="") as file:
        lines = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        lines.writeheader()
        lines.writerows(rows)


if __name__ == "__main__":
    main()
