"""The course of treatment: infuse, count, decide; twins with their own calendar, one cycle after another.

Time in days, in the solver in hours. Between decisions the engine integrates; at a decision the rules speak.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...engine import Records, Solution, solve
from ...model import Conditions, Status
from ...randomness import normals, uniforms
from . import disease as illness, pharmacology, regimen, survival
from .disease import Disease
from .regimen import Cycle, Treatment

PER_DAY = 4  # samples a day of the neutrophil curve: the nadir is flat over hours
COUNT_SD = 0.424  # sd of ln(count) about the model: assay and model error; Netterberg 2017, read


@dataclass(frozen=True)
class Body:
    """Pharmacology of a block: `p` (twin, parameter) as the system orders it; `base`, `bsa` (twin,), m2."""

    ids: np.ndarray
    p: np.ndarray
    base: np.ndarray
    bsa: np.ndarray


@dataclass(frozen=True)
class Course:
    """What was given and what happened, filled as it unfolds.

    `dose_day`, `dose` (twin, cycle), `anc` (twin, quarter day), `counts` (twin, day), the rest (twin,). `anc`
    and `counts` are NaN where nothing is known, days are inf where nothing happened.
    """

    dose_day: np.ndarray
    dose: np.ndarray
    anc: np.ndarray
    counts: np.ndarray
    febrile_day: np.ndarray
    toxicity_day: np.ndarray
    status: np.ndarray
    failed_at: np.ndarray

    @classmethod
    def empty(cls, twins: int, cycles: int, days: int) -> Course:
        """A course before the first dose, with room for `days` of follow-up."""
        never, curve = np.full(twins, np.inf), np.full((twins, PER_DAY * days + 1), np.nan)
        return cls(
            dose_day=np.full((twins, cycles), np.inf),
            dose=np.zeros((twins, cycles)),
            anc=curve,
            counts=np.full((twins, days + 1), np.nan),
            febrile_day=never.copy(),
            toxicity_day=never.copy(),
            status=np.full(twins, Status.COMPLETED, np.int8),
            failed_at=np.full(twins, np.nan),
        )


@dataclass(frozen=True)
class Clinic:
    """One block in one arm while it is treated: its arrays are filled in place, cycle by cycle.

    `y` (twin, state), `day` (twin,) of the present, `next_dose` (twin,) mg/m2; `count_days` (count,) after an
    infusion, on time and late; `threshold` (twin, cycle) of the febrile hazard; `assay` (twin, cycle x count)
    error factors.
    """

    body: Body
    disease: Disease
    treatment: Treatment
    conditions: Conditions
    course: Course
    y: np.ndarray
    day: np.ndarray
    next_dose: np.ndarray
    count_days: np.ndarray
    threshold: np.ndarray
    assay: np.ndarray

    def follow(self, twins: np.ndarray, days: int, dose: np.ndarray | None) -> Solution:
        """Integrate `twins` over `days` from their own day, after an infusion if there is a `dose`."""
        system = pharmacology.SYSTEM
        records = Records.empty(twins.size, 0 if dose is None else 2)
        if dose is not None:
            hours = self.treatment.infusion
            records.time[:] = [0.0, hours]
            records.target[:] = system.input_target("rate")
            records.value[:, 0] = dose * self.body.bsa[twins] / hours
        hours_of_samples = np.arange(PER_DAY * days + 1) * (24.0 / PER_DAY)
        found = solve(
            system,
            self.y[twins],
            self.body.p[twins],
            0.0,
            24.0 * days,
            records,
            hours_of_samples,
            self.conditions.tolerance,
        )
        self.y[twins] = found.y_end
        columns = (PER_DAY * self.day[twins])[:, None] + np.arange(PER_DAY * days + 1)
        self.course.anc[twins[:, None], columns] = found.samples[:, :, pharmacology.CIRC]
        failed = found.status != Status.COMPLETED
        self.course.status[twins[failed]] = found.status[failed]
        self.course.failed_at[twins[failed]] = self.day[twins[failed]] + found.failed_at[failed] / 24.0
        return found

    def note_fever(self, twins: np.ndarray, cycle: int, hazard: np.ndarray) -> None:
        """Keep the day of a first febrile neutropenia: H (twin, sample) reaches the cycle's threshold."""
        limit = self.threshold[twins, cycle][:, None]
        reached = hazard >= limit
        first = np.argmax(reached, axis=1)
        rows = np.flatnonzero(reached.any(axis=1) & (first > 0))
        h0, h1 = hazard[rows, first[rows] - 1], hazard[rows, first[rows]]
        within = (first[rows] - 1 + (limit[rows, 0] - h0) / (h1 - h0)) / PER_DAY
        found = self.day[twins[rows]] + within
        self.course.febrile_day[twins[rows]] = np.minimum(self.course.febrile_day[twins[rows]], found)

    def count(self, twins: np.ndarray, cycle: int, slots: np.ndarray) -> None:
        """Take the blood counts of some slots of a cycle."""
        for slot in slots:
            on_day = (self.course.dose_day[twins, cycle] + self.count_days[slot]).astype(np.int64)
            error = self.assay[twins, cycle * self.count_days.size + slot]
            self.course.counts[twins, on_day] = self.course.anc[twins, PER_DAY * on_day] * error

    def known(self, twins: np.ndarray, cycle: int, late: int) -> Cycle:
        """What the clinic knows of a cycle when its next dose has been put off `late` times."""
        taken = self.count_days[: self.treatment.count_days.size + late]
        columns = (self.course.dose_day[twins, cycle][:, None] + taken).astype(np.int64)
        return Cycle(
            number=cycle + 1,
            counts=self.course.counts[twins[:, None], columns],
            count_days=np.broadcast_to(taken, columns.shape),
            febrile=self.y[twins, pharmacology.FEBRILE] >= self.threshold[twins, cycle],
            delay=late * self.treatment.rules.recheck,
        )

    def still_followed(self, twins: np.ndarray) -> np.ndarray:
        """Those of `twins` who are alive, without progression seen, and within follow-up on their day."""
        rows = self.disease.rows(twins)
        given = self.course.dose_day[twins], self.course.dose[twins]
        today = self.day[twins]
        # Survival depends on the doses of the first six weeks, which are known only then.
        dead = (today >= survival.EARLY) & (illness.death_day(rows, *given) <= today)
        progressed = illness.progression_day(rows, *given) <= today
        return np.asarray(~dead & ~progressed & (today < self.conditions.schedule.duration))

    def infuse(self, twins: np.ndarray, cycle: int) -> np.ndarray:
        """Give a dose and follow to the day of the next; returns the twins whose solver went through."""
        self.course.dose_day[twins, cycle] = self.day[twins]
        self.course.dose[twins, cycle] = self.next_dose[twins]
        self.y[twins, pharmacology.FEBRILE] = 0.0
        days = int(self.treatment.interval)
        found = self.follow(twins, days, self.next_dose[twins])
        return self.close(twins, cycle, days, found, np.arange(self.treatment.count_days.size))

    def wait(self, twins: np.ndarray, cycle: int, late: int) -> np.ndarray:
        """Put the next dose off for the `late`-th time."""
        days = int(self.treatment.rules.recheck)
        found = self.follow(twins, days, None)
        return self.close(twins, cycle, days, found, np.array([self.treatment.count_days.size + late - 1]))

    def close(self, twins: np.ndarray, cycle: int, days: int, found: Solution, slots: np.ndarray) -> np.ndarray:
        """Note fever and counts of a stretch of `days`, and move the calendar on."""
        self.note_fever(twins, cycle, found.samples[:, :, pharmacology.FEBRILE])
        self.count(twins, cycle, slots)
        self.day[twins] += days
        return twins[found.status == Status.COMPLETED]

    def decide(self, twins: np.ndarray, cycle: int) -> np.ndarray:
        """Twins who get another dose after `cycle`, each on its own day."""
        rules = self.treatment.rules
        go = []
        for late in range(self.treatment.rechecks + 1):
            if late:
                twins = self.wait(twins, cycle, late)
            twins = twins[self.still_followed(twins)]
            known = self.known(twins, cycle, late)
            treated = regimen.may_treat(rules, known)
            dose = regimen.next_dose(rules, known, self.next_dose[twins])
            self.next_dose[twins[treated]] = dose[treated]
            go.append(twins[treated & (dose > 0)])
            self.stop(twins[treated & (dose == 0)])
            twins = twins[~treated]
        self.stop(twins)
        return np.sort(np.concatenate(go))

    def stop(self, twins: np.ndarray) -> None:
        """End treatment for toxicity today."""
        self.course.toxicity_day[twins] = self.day[twins]


def open_clinic(body: Body, disease: Disease, treatment: Treatment, measured: bool, conditions: Conditions) -> Clinic:
    """A block before its first dose, with the random numbers of its cycles."""
    n, rules, seed = body.base.size, treatment.rules, conditions.seed
    longest = conditions.schedule.duration + treatment.interval + treatment.rechecks * rules.recheck
    late = treatment.interval + rules.recheck * np.arange(1, treatment.rechecks + 1)
    count_days = np.concatenate([treatment.count_days, late])
    slots = treatment.max_cycles * count_days.size
    assay = np.exp(COUNT_SD * normals(seed, "drug.residual.anc", body.ids, slots)) if measured else None
    return Clinic(
        body=body,
        disease=disease,
        treatment=treatment,
        conditions=conditions,
        course=Course.empty(n, treatment.max_cycles, int(np.ceil(longest))),
        y=pharmacology.before_treatment(body.base),
        day=np.zeros(n, np.int64),
        next_dose=np.full(n, treatment.dose),
        count_days=count_days,
        threshold=-np.log(uniforms(seed, "drug.febrile", body.ids, treatment.max_cycles)),
        assay=np.ones((n, slots)) if assay is None else assay,
    )


def run_course(body: Body, disease: Disease, treatment: Treatment, measured: bool, conditions: Conditions) -> Course:
    """Treat a block of twins until progression, death, toxicity, the last cycle or the end of follow-up.

    `measured` says whether the counts that rules and grades see carry assay and model error.
    """
    clinic = open_clinic(body, disease, treatment, measured, conditions)
    twins = np.arange(body.base.size)
    for cycle in range(treatment.max_cycles):
        twins = clinic.infuse(twins, cycle)
        if cycle + 1 < treatment.max_cycles:
            twins = clinic.decide(twins, cycle)
        if twins.size == 0:
            break
    return clinic.course
