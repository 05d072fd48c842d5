"""Dosing records: no dose is lost or given twice, whatever the regimen."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..dosing import Compartment, Layout, make_events, predict, simulate
from ..engine import System
from ..model import Tolerance
from .row import Check, NotHere, Row

REGIMENS = 200
LIMIT = 1e-12  # of what was given: a linear invariant, kept but for rounding
TABLES = 10_000
ROOT = Path(__file__).resolve().parents[2]  # of a checkout; its folders reach the package by links
ORACLE = ROOT / "tests" / "models" / "dosing" / "test_oracle.py"


def _body(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    return (
        u.into_depot - p.ka * y.depot,
        u.into_central + p.ka * y.depot - p.k * y.central,
        p.k * y.central,
    )


PARAMETERS = ("ka", "k", "F", "lag_depot", "lag_central", "D")
SYSTEM = System("two compartments and what has left them", ("depot", "central", "gone"), PARAMETERS,
                ("into_depot", "into_central"), _body, "hour")  # fmt: skip
LAYOUT = Layout(
    (
        Compartment("depot", "into_depot", "F", "lag_depot", "", "D"),
        Compartment("central", "into_central", "", "lag_central", "", "D"),
    )
)


@dataclass(frozen=True)
class Dose:
    """One row: `amt` at `time` into `place`, `rate` as in the records, `further` more of them, one every `every`."""

    time: float
    amt: float
    place: Literal["depot", "central"]
    rate: float
    every: float
    further: int


@dataclass(frozen=True)
class Subject:
    """Parameters of one twin; F is that of the depot."""

    ka: float
    k: float
    F: float
    lag_depot: float
    lag_central: float
    D: float


def given_by(doses: Sequence[Dose], subject: Subject, t: np.ndarray) -> np.ndarray:
    """Amount that has entered the body by the times t."""
    total = np.zeros_like(t)
    for dose in doses:
        depot = dose.place == "depot"
        amount = dose.amt * (subject.F if depot else 1.0)
        lag = subject.lag_depot if depot else subject.lag_central
        duration = {0.0: 0.0, -2.0: subject.D}.get(dose.rate, amount / dose.rate if dose.rate > 0 else 0.0)
        for k in range(dose.further + 1):
            since = t - (dose.time + k * dose.every + lag)
            part = np.clip(since / duration, 0.0, 1.0) if duration else (since >= 0.0).astype(float)
            total += amount * part
    return total


def imbalance(doses: Sequence[Dose], subject: Subject, stop: float = 100.0) -> float:
    """Largest difference until `stop` between what was given and what is in the body or gone, over all given."""
    doses = sorted(doses, key=lambda dose: dose.time)
    rows = [(d.time, d.amt, d.place, d.rate, d.every if d.further else 0.0, d.further) for d in doses]
    time, amt, cmt, rate, every, further = zip(*rows, strict=True)
    events = make_events(time, amt, evid=1, cmt=cmt, rate=rate, ii=every, addl=further)
    p = np.array([[getattr(subject, name) for name in PARAMETERS]])
    # Off every whole number, so that no rounding decides whether a dose has arrived.
    times = np.linspace(0.0, stop, 41) + 0.0137
    found = simulate(SYSTEM, LAYOUT, events, p, times=times, tolerance=Tolerance(1e-6, 1e-8))
    given = given_by(doses, subject, times)
    return float(np.abs(found.samples[0].sum(axis=1) - given).max() / given.max(initial=1e-300))


def _drawn(draw: np.random.Generator) -> tuple[list[Dose], Subject]:
    places: tuple[Literal["depot", "central"], ...] = ("depot", "central")
    doses = [
        Dose(
            float(draw.integers(0, 60)), float(draw.uniform(1.0, 100.0)), places[draw.integers(2)],
            float(draw.choice([0.0, 3.0, 40.0, -2.0])), float(draw.choice([0.5, 4.0, 12.0])), int(draw.integers(0, 6)),
        )
        for _ in range(draw.integers(1, 7))
    ]  # fmt: skip
    subject = Subject(*(float(v) for v in draw.uniform([0.2, 0.01, 0.1, 0, 0, 0.5], [3, 0.5, 1.0, 30, 5, 8])))
    return doses, subject


def mass_balance() -> list[Row]:
    """Boluses and infusions, further doses, lags, bioavailability, modelled durations, drawn at random."""
    draw = np.random.default_rng(11)
    worst = max(imbalance(*_drawn(draw)) for _ in range(REGIMENS))
    return [
        Row(
            f"{REGIMENS} random regimens: in the body or gone", "amount given by each time", worst, LIMIT,
            "a linear invariant: rounding alone",
        )
    ]  # fmt: skip


def long_lags() -> list[Row]:
    """Lags far longer than the interval between the doses: none is lost, none arrives early."""
    rows = []
    for lag in (30.0, 1e3, 1e6):
        stop = lag + 100.0
        doses = [Dose(0.0, 10.0, "depot", 0.0, 1.0, 9), Dose(3.0, 5.0, "central", 2.0, 0.0, 0)]
        subject = Subject(1.0, 0.1, 0.5, lag, 0.25, 1.0)
        rows.append(
            Row(
                f"doses every hour that arrive {lag:g} h late", "amount given by each time",
                imbalance(doses, subject, stop), LIMIT, "a linear invariant: rounding alone",
            )
        )  # fmt: skip
    return rows


def random_tables() -> list[Row]:
    """Random tables of all that a record can say, beside a slow interpreter written from the rules alone."""
    if not ORACLE.exists():
        raise NotHere("the slow interpreter of event tables is part of the tests; run this in a checkout")
    sys.path.insert(0, str(ROOT))
    try:
        oracle = importlib.import_module("tests.models.dosing.test_oracle")
    except ModuleNotFoundError as missing:
        raise NotHere(f"{missing.name} is not installed; pip install 'twinarm[test]' brings it") from missing
    finally:
        sys.path.remove(str(ROOT))
    worst, rows = 0.0, 0
    for seed in range(TABLES // 500):
        draw = np.random.default_rng(5000 + seed)
        bodies = [oracle.random_body(draw) for _ in range(500)]
        subjects = [oracle.random_rows(draw) for _ in range(500)]
        start = np.array([body.start for body in bodies])
        found = predict(
            oracle.SYSTEM,
            oracle.LAYOUT,
            oracle.table(subjects),
            oracle.parameters(bodies),
            start,
            tolerance=oracle.TIGHT,
        )
        ends = np.cumsum([len(table) for table in subjects])
        for body, table, mine in zip(bodies, subjects, np.split(found.samples, ends[:-1]), strict=True):
            worst = max(worst, oracle.disagreement(mine, oracle.predictions(body, table, "locf")))
        rows += int(ends[-1])
    return [
        Row(
            f"{TABLES:,} random event tables of {rows:,} rows", "slow interpreter in plain Python", worst, oracle.AGREE,
            f"1000 rtol ({oracle.TIGHT.rtol:g}) of the largest amount",
        )
    ]  # fmt: skip


CHECKS = (
    Check("dosing", "mass_balance", mass_balance),
    Check("dosing", "long_lags", long_lags),
    Check("dosing", "random_tables", random_tables, slow=True),
)
