"""Docetaxel every three weeks in previously treated non-small-cell lung cancer: the model of the library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import xarray as xr
from pydantic import BaseModel, Field

from ...model import Conditions, Status
from ...units import In
from . import disease as illness, pharmacology, regimen, tumour
from .course import PER_DAY, Body, Course, run_course
from .parameters import OUTPUTS, PARAMETERS

COVARIATES = (
    "age", "sex", "bsa", "ecog", "aag", "albumin", "total_protein", "ldh", "nlr", "n_target", "pretreated",
    "liver_impairment",
)  # fmt: skip
INDIVIDUAL = ("CL", "V1", "Base", "MTT", "slope", "TSb", "KG", "KS")  # what a twin has of its own: derived
_TYPICAL = {parameter.name: parameter for parameter in PARAMETERS}


class AllArms(BaseModel, frozen=True, extra="forbid"):
    """What all arms share: two chosen hazards, and whether blood counts carry assay and model error.

    With `counts: exact` the rules and the grades read the true count on count days; `measured` adds a
    log-normal error (sd 0.424), most of which is the model's misfit rather than the assay's: the default
    leaves it out.
    """

    new_lesion_hazard: Annotated[float, In("1/week"), Field(ge=0)] = 0.025
    febrile_hazard: Annotated[float, In("1/day"), Field(ge=0)] = 0.035
    counts: Literal["exact", "measured"] = "exact"


@dataclass(frozen=True)
class Docetaxel:
    """The model contract for docetaxel."""

    name: str = "docetaxel-nsclc"
    title: str = "Docetaxel, neutrophils and tumour in previously treated non-small-cell lung cancer"
    time_unit: Literal["hour"] = "hour"
    requires: tuple[str, ...] = (*COVARIATES, *(f"eta_{name}" for name in INDIVIDUAL))
    parameters = PARAMETERS
    outputs = OUTPUTS
    limits: str = (
        "One drug, every three weeks. No toxic death, no non-haematological toxicity, no growth factor, no later "
        "therapy. Shrinkage is proportional to dose, which no trial has shown: a dose effect on efficacy is an "
        "assumption; and where KS exceeds 3.6 KG the source's time to growth falls as KS rises, so that more drug can "
        "predict a shorter life. Late troughs (after a week) are too low: the slow phase of the label is missing. "
        "Response is more frequent than in trials: target lesions alone do not carry non-target progression."
    )
    Treatment = regimen.Treatment
    Settings = AllArms

    def derive(self, twins: xr.Dataset) -> xr.Dataset:
        """Individual CL, V1, Base, MTT, slope, TSb, KG and KS from covariates and etas.

        >>> MODEL.requires[:3]
        ('age', 'sex', 'bsa')
        """
        v = {name: twins[name].values for name in self.requires}
        typical = {
            "CL": pharmacology.clearance(v["bsa"], v["aag"], v["age"], v["albumin"], v["liver_impairment"]),
            "V1": pharmacology.V1_TYPICAL,
            "Base": pharmacology.baseline_neutrophils(
                np.asarray(v["sex"] == "female", float), v["ecog"], v["pretreated"], v["aag"]
            ),
            "MTT": pharmacology.MTT_TYPICAL,
            "slope": pharmacology.typical_slope(v["aag"]),
            "TSb": tumour.typical_baseline(v["n_target"]),
            "KG": tumour.typical_growth(v["ldh"]),
            "KS": tumour.KS_TYPICAL,
        }
        new = {name: ("twin", value * np.exp(v[f"eta_{name}"]), _attributes(name)) for name, value in typical.items()}
        return twins.assign(new)

    def simulate(
        self, twins: xr.Dataset, treatment: regimen.Treatment, settings: AllArms, conditions: Conditions
    ) -> xr.Dataset:
        """Trajectories of a block of twins in one arm; the contract is `models.model.Model.simulate`.

        `time` is daily from randomisation, with the visits. Neutrophils are known until the last decision of
        treatment, sizes until progression, all of them until death; beyond they are NaN.

        Raises
        ------
        ValueError
            Adherence below 1: infusions are given in the clinic.
        """
        if conditions.adherence != 1.0:
            raise ValueError(f"adherence is {conditions.adherence:g}; docetaxel is infused in the clinic: write 1")
        schedule = conditions.schedule
        disease = illness.draw_disease(twins, schedule.visits, settings.new_lesion_hazard, conditions.seed)
        p = np.column_stack([twins[name].values for name in pharmacology.PARAMETERS[:-1]])
        body = Body(
            ids=twins["twin"].values,
            p=np.column_stack([p, np.full(len(p), settings.febrile_hazard)]),
            base=twins["Base"].values,
            bsa=twins["bsa"].values,
        )
        course = run_course(body, disease, treatment, settings.counts == "measured", conditions)
        values = {**_events(course, disease, treatment), **_first_cycle(course, treatment)}
        time = np.union1d(np.arange(np.floor(schedule.duration) + 1.0), schedule.visits)
        values |= _curves(course, disease, values, time)
        return _label(twins, values, time, _refuse_implausible(course, values, time))


def _attributes(name: str) -> dict[str, str]:
    known = _TYPICAL[name]
    return {
        "units": known.unit,
        "long_name": known.long_name,
        "source": known.source,
        "provenance": known.provenance,
    }


def _events(course: Course, disease: illness.Disease, treatment: regimen.Treatment) -> dict[str, np.ndarray]:
    """Days of events and facts of treatment; what would have come after death has not happened."""
    death = illness.death_day(disease, course.dose_day, course.dose)
    progression = illness.progression_day(disease, course.dose_day, course.dose)
    progression = np.where(progression <= death, progression, np.inf)
    pfs = np.minimum(progression, death)
    given = course.dose_day < death[:, None]
    dose = np.where(given, course.dose, 0.0)
    cycles = given.sum(axis=1)
    last = np.max(np.where(given, course.dose_day, 0.0), axis=1) + treatment.interval
    toxicity = np.where(course.toxicity_day < pfs, course.toxicity_day, np.inf)
    febrile = np.where(course.febrile_day < death, course.febrile_day, np.inf)
    counted = np.arange(course.counts.shape[1], dtype=float)
    severe = (course.counts < pharmacology.SEVERE) & (counted < death[:, None])
    total = dose.sum(axis=1)
    return {
        "death_day": death,
        "progression_day": progression,
        "pfs_day": pfs,
        "febrile_day": febrile,
        "grade4_day": np.min(np.where(severe, counted, np.inf), axis=1),
        "toxicity_stop_day": toxicity,
        "treatment_end_day": np.minimum(np.minimum(pfs, toxicity), last),
        "cycles": cycles.astype(float),
        "reductions": ((np.diff(dose, axis=1) < 0) & given[:, 1:]).sum(axis=1).astype(float),
        "dose_total": total,
        "dose_intensity": total / (treatment.dose * last / treatment.interval),
    }


def _first_cycle(course: Course, treatment: regimen.Treatment) -> dict[str, np.ndarray]:
    """Nadir, its day, and time below 0.5 of the first cycle, from the true curve."""
    curve = course.anc[:, : PER_DAY * int(treatment.interval) + 1]
    low = pharmacology.SEVERE - curve
    before, after = low[:, :-1], low[:, 1:]
    # Between samples the curve is taken as straight: a crossing splits the interval in proportion.
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(before > 0, before, after) / np.abs(after - before)
    below = np.where((before > 0) & (after > 0), 1.0, np.where((before > 0) | (after > 0), part, 0.0))
    return {
        "anc_nadir": np.min(curve, axis=1),
        "anc_nadir_day": np.argmin(curve, axis=1) / PER_DAY,
        "grade4_days": below.sum(axis=1) / PER_DAY,
    }


def _curves(
    course: Course, disease: illness.Disease, events: dict[str, np.ndarray], time: np.ndarray
) -> dict[str, np.ndarray]:
    """Neutrophils and sizes over `time`, as far as they are observed."""
    death, pfs = events["death_day"][:, None], events["pfs_day"][:, None]
    quarter = np.round(time * PER_DAY).astype(np.int64)
    day = np.round(time).astype(np.int64)
    sizes = illness.measured_size(disease, course.dose_day, course.dose)
    measured = np.full((len(pfs), time.size), np.nan)
    measured[:, np.searchsorted(time, np.concatenate([[0.0], disease.visits]))] = sizes
    true = illness.true_size(disease, time, course.dose_day, course.dose)
    return {
        "anc": np.where(time < death, course.anc[:, quarter], np.nan),
        "anc_count": np.where((time < death) & (time == day), course.counts[:, day], np.nan),
        "tumour_size": np.where(time <= pfs, true, np.nan),
        "tumour_measured": np.where(time <= pfs, measured, np.nan),
    }


def _refuse_implausible(
    course: Course, values: dict[str, np.ndarray], time: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Status and day of failure: of the solver, or of the first value outside its plausible range."""
    status, failed_at = course.status.copy(), course.failed_at.copy()
    for output in OUTPUTS:
        if output.plausible is None:
            continue
        low, high = output.plausible
        outside = (values[output.name] < low) | (values[output.name] > high)
        rows = np.flatnonzero(outside.any(axis=1) & (status == Status.COMPLETED))
        status[rows] = Status.OUT_OF_RANGE
        failed_at[rows] = time[np.argmax(outside[rows], axis=1)]
    return status, failed_at


def _label(
    twins: xr.Dataset, values: dict[str, np.ndarray], time: np.ndarray, fate: tuple[np.ndarray, np.ndarray]
) -> xr.Dataset:
    """The dataset of the contract; rows of failed twins are NaN."""
    status, failed_at = fate
    failed = status != Status.COMPLETED
    data: dict[str, Any] = {}
    for output in OUTPUTS:
        value = values[output.name]
        value[failed] = np.nan
        dims = ("twin", "time") if value.ndim == 2 else ("twin",)
        data[output.name] = (dims, value, {"units": output.unit, "long_name": output.long_name})
    data["status"] = ("twin", status, {"units": "1"})
    data["failed_at"] = ("twin", failed_at, {"units": "day"})
    coords = {"twin": twins["twin"].values, "time": ("time", time, {"units": "day"})}
    return xr.Dataset(data, coords=coords)


MODEL = Docetaxel()
