"""What a designer can ask of cohorts, measured in one run: rare people, a published table 1, real aortic roots.

    python benchmarks/cohort_questions.py --data FOLDER [--pages FOLDER]

`FOLDER` holds the reference data (`simcor_aortic_shapes/`). CPU seconds of one process; the law of rejection is that of
the same population, seed and machine. Written to benchmarks/results/cohort_questions.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import ks_2samp

from twinarm.cohorts import Population, ScreeningError, load_population, sample_criteria, sample_twins, screen
from twinarm.cohorts.blocks.tables import read_table
from twinarm.cohorts.calibration import calibrate
from twinarm.cohorts.calibration.targets import load_targets
from twinarm.cohorts.criteria.clauses import clauses_of, met
from twinarm.cohorts.likeness.comparison import compare
from twinarm.cohorts.likeness.privacy import privacy
from twinarm.cohorts.likeness.two_sample import tell_apart
from twinarm.workflows.cohort_page import Names, comparison_page
from twinarm.workflows.report.build import render

HERE = Path(__file__).parent
BLOCK = 20_000
RARE = (
    "egfr < 30 and age > 60",
    "sex == 'female' and age > 68 and egfr < 45",
    "sex == 'female' and age > 70 and egfr < 30 and hba1c >= 6.5",
)
# Whom a published table is matched from, and the targets of the library.
TABLES = {
    "SURPASS-1, from those with HbA1c 7 to 9.5 % and BMI from 23": ("7 <= hba1c <= 9.5 and bmi >= 23", "surpass-1"),
    "22 healthy people of a QT study, from adults to 40 with BMI under 30": (
        "age <= 40 and bmi < 30",
        "healthy-qt-study",
    ),
}


@dataclass(frozen=True)
class Rule:
    rule: str
    reason: str


def by_rejection(population: Population, criterion: str, wanted: int) -> tuple[xr.Dataset, int, float]:
    """The first twins that meet a criterion among all, in large blocks: twins, candidates drawn, CPU seconds."""
    kept, scanned, count, start = [], 0, 0, time.process_time()
    while count < wanted and scanned < 4_000_000:
        block = sample_twins(population, np.arange(scanned, scanned + BLOCK), 99)
        values = {str(name): v.to_numpy() for name, v in block.data_vars.items()}
        chosen = np.logical_and.reduce([met(clause, values) for clause in clauses_of([criterion])])
        kept.append(block.isel(twin=chosen))
        scanned, count = scanned + BLOCK, count + int(chosen.sum())
    return xr.concat(kept, "twin"), scanned, time.process_time() - start


def screening(population: Population, criterion: str) -> float | None:
    """CPU seconds a twin of `screen`, which rules out the implausible too; None where it gives up (1 in 10,000)."""
    start = time.process_time()
    try:
        screen(population, 20, 98, [Rule(criterion, "criterion")])
    except ScreeningError:
        return None
    return (time.process_time() - start) / 20


def rare(population: Population, criterion: str) -> dict[str, Any]:
    """A criteria cohort beside rejection: seconds a twin, and how far the two laws are apart."""
    start = time.process_time()
    found = sample_criteria(population, [criterion], 20_000, 1)
    ours = (time.process_time() - start) / 20_000
    others, scanned, seconds = by_rejection(population, criterion, 3_000)
    count = others.sizes["twin"]
    twins = found.cohort.isel(twin=slice(count))
    names = [str(name) for name, v in twins.data_vars.items() if v.dtype.kind == "f" and np.ptp(v.values) > 0]
    distances = [ks_2samp(found.cohort[name], others[name]).statistic for name in names]
    screened = screening(population, criterion)
    telling = tell_apart({n: (twins[n].values, others[n].values) for n in names}, (np.ones(count), np.ones(count)), 1)
    reached = found.law.reached if found.law else None
    return {
        "criterion": criterion,
        "prevalence": found.prevalence,
        "prevalence_by_rejection": count / scanned,
        "twins_by_rejection": count,
        "seconds_a_twin": ours,
        "seconds_a_twin_by_rejection": seconds / count,
        "seconds_a_twin_by_screening": screened,
        "times_faster_than_rejection": seconds / count / ours,
        "times_faster_than_screening": screened / ours if screened else None,
        "proposals_accepted": reached.acceptance if reached else None,
        "share_of_law_missed": reached.missed if reached else None,
        "effective": found.effective,
        "largest_ks": float(max(distances)),
        "ks_critical_5_percent_of_all": float(
            np.sqrt(-np.log(0.05 / 2 / len(names)) / 2) * np.sqrt(1 / count + 1 / 20_000)
        ),
        "classifier_auc": telling.auc,
        "classifier_error": telling.error,
    }


def table_1(population: Population, criterion: str, table: str) -> dict[str, Any]:
    """A published table matched by weights: each statistic before and after, and the effective number."""
    cohort = sample_criteria(population, [criterion], 5_000, 1).cohort
    found = calibrate(cohort, load_targets(Path(table)))
    return {
        "twins": 5_000,
        "effective": found.effective,
        "unreachable": list(found.unreachable),
        "statistics": {m.label: [m.published, m.before, m.after] for m in found.matches},
    }


def roots(data: Path, pages: Path | None) -> dict[str, Any]:
    """1,000 aortic roots beside the 97 they were learned from; and learned from half, the privacy of that half."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(HERE / "aortic-roots.yaml", folder)
        table = folder / "shapeFeatures_real.csv"
        shutil.copy(data / "simcor_aortic_shapes" / table.name, table)
        real = read_table(table)
        people = xr.Dataset({k: ("twin", v) for k, v in real.columns.items()}, {"twin": np.arange(real.rows)})
        made = screen(load_population(folder / "aortic-roots.yaml"), 1_000, 1)
        lines = table.read_text().splitlines()
        table.write_text("\n".join(lines[:1] + lines[1::2]) + "\n")
        from_half = screen(load_population(folder / "aortic-roots.yaml"), 1_000, 1).cohort
    found = compare(made.cohort, people, (None, None), 1)
    if pages is not None:
        pages.mkdir(parents=True, exist_ok=True)
        names = Names("1,000 generated aortic roots", "97 real ones", "", "", 1)
        (pages / "aortic-roots.html").write_text(render(comparison_page(found, names)))
    attack = privacy(from_half, people.isel(twin=slice(0, None, 2)), people.isel(twin=slice(1, None, 2)), 1)
    return {
        "candidates": made.candidates,
        "classifier_auc": found.telling.auc,
        "classifier_error": found.telling.error,
        "mean_ks": float(found.ks.mean()),
        "largest_ks": float(found.ks.max()),
        "mean_correlation_error": float(found.correlations.errors.mean()),
        "largest_correlation_error": float(found.correlations.errors.max()),
        "privacy_of_a_half": {"attack": attack.attack, "error": attack.error, "closer": attack.closer},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pages", type=Path)
    asked = parser.parse_args()
    population = load_population("adult-us")
    sample_twins(population, np.arange(10), 1)
    results = {
        "criteria": [rare(population, criterion) for criterion in RARE],
        "table_1": {name: table_1(population, *table) for name, table in TABLES.items()},
        "aortic_roots": roots(asked.data, asked.pages),
    }
    text = json.dumps(results, indent=2)
    (HERE / "results" / "cohort_questions.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
