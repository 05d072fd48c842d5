"""A slow reading of event records in plain Python, row after row, for a linear body: the judge of `models.dosing`.

Written from NONMEM's help (dose event record, SS data item, SS dose event record, ADDL, RATE, EVID) and from nothing
of the package. Between two things that happen the body is carried by a matrix exponential; a steady state is the sum of
all doses that were ever given, one by one as long as they run or are still to arrive, and as a geometric series for
those that are over.

    d depot / dt      = kin_depot - ka depot + rate_1
    d central / dt    = kin + ka depot - CL factor / V central - Q / V central + Q / Vp peripheral + rate_2
    d peripheral / dt = Q / V central - Q / Vp peripheral + rate_3

`factor` is a covariate. Rules that the help leaves open are those that the package documents: the lag of a steady dose
may be longer than its interval, EVID 5 sets an amount without bioavailability or lag, a missing covariate is the one
before (LOCF) or the next (NOCB), a steady state is that of the covariates of its own row.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import expm

OBSERVATION, DOSE, OTHER, RESET, RESET_AND_DOSE, REPLACE = range(6)


@dataclass(frozen=True)
class Row:
    """One record; `cmt` counts from 1; `factor` is None where it is missing."""

    time: float
    evid: int
    amt: float = 0.0
    cmt: int = 1
    rate: float = 0.0
    ii: float = 0.0
    addl: int = 0
    ss: int = 0
    factor: float | None = 1.0


@dataclass(frozen=True)
class Body:
    """Parameters of one subject; F, lag, R and D of the three compartments, `start` before the first row."""

    ka: float
    CL: float
    V: float
    Q: float
    Vp: float
    kin: float = 0.0
    F: tuple[float, ...] = (1.0, 1.0, 1.0)
    lag: tuple[float, ...] = (0.0, 0.0, 0.0)
    R: tuple[float, ...] = (1.0, 1.0, 1.0)
    D: tuple[float, ...] = (1.0, 1.0, 1.0)
    start: tuple[float, ...] = (0.0, 0.0, 0.0)

    def matrix(self, factor: float) -> np.ndarray:
        out = np.zeros((3, 3))
        out[0, 0], out[1, 0] = -self.ka, self.ka
        out[1, 1] = -(self.CL * factor + self.Q) / self.V
        out[2, 1], out[1, 2], out[2, 2] = self.Q / self.V, self.Q / self.Vp, -self.Q / self.Vp
        return out


@dataclass
class Walk:
    """A body on its way through its records."""

    body: Body
    x: np.ndarray
    now: float
    rates: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    running: int = 0
    pending: list[tuple[float, int, str, int, float, float]] = field(default_factory=list)
    counter: int = 0

    def later(self, time: float, what: str, compartment: int, amount: float, rate: float) -> None:
        self.counter += 1
        self.pending.append((time, self.counter, what, compartment, amount, rate))

    def clear(self) -> None:
        self.pending, self.rates, self.running = [], [0.0, 0.0, 0.0], 0

    def carry(self, until: float, factor: float) -> None:
        """Advance to `until` without anything happening."""
        if until > self.now:
            inflow = np.array(self.rates)
            inflow[1] += self.body.kin
            self.x = propagate(self.body.matrix(factor), inflow, self.x, until - self.now)
            self.now = until

    def advance(self, until: float, factor: float) -> None:
        """Advance to `until`; what arrives on the way or just then happens."""
        while due := [p for p in self.pending if p[0] <= until]:
            first = min(due)
            self.pending.remove(first)
            time, _, what, compartment, amount, rate = first
            self.carry(time, factor)
            if what == "arrives":
                self.arrive(compartment, amount, rate)
            else:
                self.stop(compartment, rate)
        self.carry(until, factor)

    def arrive(self, compartment: int, amount: float, rate: float) -> None:
        if rate == 0:
            self.x[compartment] += amount
        else:
            self.rates[compartment] += rate
            self.running += 1
            self.later(self.now + amount / rate, "ends", compartment, 0.0, rate)

    def stop(self, compartment: int, rate: float) -> None:
        self.rates[compartment] -= rate
        self.running -= 1
        if self.running == 0:
            self.rates = [0.0, 0.0, 0.0]

    def dose(self, row: Row, factor: float) -> None:
        """A dose row: its steady state if it asks for one, itself, its further doses."""
        c = row.cmt - 1
        b = self.body
        amount = row.amt * b.F[c]
        rate = row.rate
        if rate == -1:
            rate = b.R[c]
        elif rate == -2:
            rate = amount / b.D[c]
        if row.ss == 1:
            self.clear()
            self.x = -np.linalg.solve(b.matrix(factor), np.array([0.0, b.kin, 0.0]))
        if row.ss and row.ii == 0:
            inflow = np.zeros(3)
            inflow[c] = rate
            self.x = self.x - np.linalg.solve(b.matrix(factor), inflow)
            return
        if row.ss:
            self.past(c, amount, rate, row.ii, factor)
        for n in range(row.addl + 1):
            arrival = row.time + n * row.ii + b.lag[c]
            if arrival == self.now:
                self.arrive(c, amount, rate)
            else:
                self.later(arrival, "arrives", c, amount, rate)

    def past(self, c: int, amount: float, rate: float, ii: float, factor: float) -> None:
        """All the doses before this one, back to the beginning of time."""
        A, lag = self.body.matrix(factor), self.body.lag[c]
        duration = amount / rate if rate else 0.0
        once = np.zeros(3)
        inflow = np.zeros(3)
        if rate:
            inflow[c] = rate
        else:
            once[c] = amount
        k = 1
        while (elapsed := k * ii - lag) < duration or elapsed < 0:
            if elapsed < 0:
                self.later(self.now - elapsed, "arrives", c, amount, rate)
            else:
                self.x = self.x + propagate(A, inflow, np.zeros(3), elapsed)
                self.rates[c] += rate
                self.running += 1
                self.later(self.now + (duration - elapsed), "ends", c, 0.0, rate)
            k += 1
        whole = propagate(A, inflow, once, duration)
        series = np.linalg.solve(np.eye(3) - expm(A * ii), whole)
        self.x = self.x + expm(A * (k * ii - lag - duration)) @ series


def propagate(A: np.ndarray, inflow: np.ndarray, x: np.ndarray, time: float) -> np.ndarray:
    """x after `time` under dx/dt = A x + inflow, by the exponential of the matrix with inflow as a fourth column."""
    wide = np.zeros((4, 4))
    wide[:3, :3], wide[:3, 3] = A * time, inflow * time
    carried = expm(wide)
    return carried[:3, :3] @ x + carried[:3, 3]


def filled(rows: list[Row], rule: str) -> list[float]:
    """The covariate of every row, missing ones from the row before (LOCF) or the next that has one (NOCB)."""
    known = [(i, row.factor) for i, row in enumerate(rows) if row.factor is not None]
    out = []
    for i in range(len(rows)):
        before = [value for j, value in known if j <= i]
        after = [value for j, value in known if j >= i]
        if rule == "locf":
            out.append(before[-1] if before else after[0])
        else:
            out.append(after[0] if after else before[-1])
    return out


def predictions(body: Body, rows: list[Row], rule: str) -> np.ndarray:
    """The three amounts at every row, (row, 3)."""
    factors = filled(rows, rule)
    walk = Walk(body, np.array(body.start, float), rows[0].time)
    out = []
    for i, row in enumerate(rows):
        if row.time < walk.now:
            assert row.evid in (RESET, RESET_AND_DOSE)
            walk.now = row.time
            walk.pending = []
        elif i > 0:
            walk.advance(row.time, factors[i - 1] if rule == "locf" else factors[i])
        if row.evid in (RESET, RESET_AND_DOSE):
            walk.clear()
            walk.x = np.array(body.start, float)
        if row.evid == REPLACE:
            walk.x[row.cmt - 1] = row.amt
        if row.evid in (DOSE, RESET_AND_DOSE):
            walk.dose(row, factors[i])
        out.append(walk.x.copy())
    assert all(math.isfinite(v) for x in out for v in x)
    return np.array(out)
