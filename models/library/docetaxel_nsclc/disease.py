"""The tumour and the survival of a block of twins, given the doses they got; days, rates in 1/week."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from ...randomness import normals, uniforms
from . import survival, tumour


@dataclass(frozen=True)
class Disease:
    """What a twin brings to every arm: its tumour, its prognosis and its random streams; arrays (twin,).

    `reader` (twin, 1 + visit) are the residuals of tumour measurements, `visits` (visit,) the days of
    assessment; `albumin`, `total_protein` in g/L.
    """

    tsb: np.ndarray
    kg: np.ndarray
    ks: np.ndarray
    albumin: np.ndarray
    total_protein: np.ndarray
    nlr: np.ndarray
    lesion_day: np.ndarray
    survival_z: np.ndarray
    reader: np.ndarray
    visits: np.ndarray

    def rows(self, index: np.ndarray) -> Disease:
        """The same for some twins."""
        whole = {name: value for name, value in vars(self).items() if name != "visits"}
        return Disease(**{name: value[index] for name, value in whole.items()}, visits=self.visits)


def draw_disease(twins: xr.Dataset, visits: tuple[float, ...], hazard: float, seed: int) -> Disease:
    """The disease of twins with derived parameters; `hazard` of a new lesion in 1/week at typical KG."""
    ids = twins["twin"].values
    kg = twins["KG"].values
    exponential = -np.log(uniforms(seed, "drug.new_lesion", ids)[:, 0])
    return Disease(
        tsb=twins["TSb"].values,
        kg=kg,
        ks=twins["KS"].values,
        albumin=twins["albumin"].values,
        total_protein=twins["total_protein"].values,
        nlr=twins["nlr"].values,
        lesion_day=survival.new_lesion_day(exponential, hazard, kg),
        survival_z=normals(seed, "drug.os", ids)[:, 0],
        reader=normals(seed, "drug.residual.tumour", ids, 1 + len(visits)),
        visits=np.array(visits, dtype=np.float64),
    )


def true_size(disease: Disease, days: np.ndarray, dose_day: np.ndarray, dose: np.ndarray) -> np.ndarray:
    """True sum of longest diameters at `days` (time,), array (twin, time), mm."""
    weeks = tumour.dose_weeks(days, dose_day, dose)
    return tumour.size(days, weeks, disease.tsb, disease.kg, disease.ks)


def measured_size(disease: Disease, dose_day: np.ndarray, dose: np.ndarray) -> np.ndarray:
    """Measured sizes at baseline and at each visit, array (twin, 1 + visit), mm."""
    days = np.concatenate([[0.0], disease.visits])
    return tumour.measured(true_size(disease, days, dose_day, dose), disease.reader)


def death_day(disease: Disease, dose_day: np.ndarray, dose: np.ndarray) -> np.ndarray:
    """Day of death, array (twin,): log-normal, with KS times the mean dose intensity of the first six weeks.

    Doses of these six weeks count as the toxicity rules give them, whether or not the twin lives to get them.
    """
    early = np.array([survival.EARLY])
    intensity = tumour.dose_weeks(early, dose_day, dose)[:, 0] / (survival.EARLY / 7.0)
    mu = survival.log_survival_mean(
        disease.kg,
        disease.ks * intensity,
        disease.tsb,
        disease.albumin,
        disease.total_protein,
        disease.nlr,
    )
    return np.exp(mu + survival.SIGMA * disease.survival_z)


def progression_day(disease: Disease, dose_day: np.ndarray, dose: np.ndarray) -> np.ndarray:
    """Visit at which progression is seen if the twin lives, array (twin,), day; inf for none."""
    sizes = measured_size(disease, dose_day, dose)
    return survival.progression_day(sizes, disease.visits, disease.lesion_day)
