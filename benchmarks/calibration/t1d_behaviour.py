"""Set the daily-life layer of the type 1 diabetes model on the control arm alone.

    python benchmarks/calibration/t1d_behaviour.py

Two knobs are fitted to three published figures of usual pump therapy, by least squares over 400 twins of `t1d-adults`
(seed 1) during four weeks of open loop, with the sensor error of today (factor 1.5):

* `carb_estimate_bias`, what people believe they eat over what they eat, moves the level;
* `sensitivity_block_sd`, the swing of insulin sensitivity within a day, moves the variability.

Targets and their sources:

* time in range 59 %: control arm of Brown 2019 (NEJM 381:1707), read in the manufacturer's summary;
* mean glucose 173.3 mg/dL: the two arms of Russell 2022 (NEJM 387:1161, table 2: 54 % and 181 mg/dL, 65 % and
  164 mg/dL), interpolated at 59 %; the mean of Brown 2019 itself could not be read;
* CV 37 %: standard-care arm of Russell 2022, 67 / 181.

Neither the closed-loop arm nor any difference between arms is looked at. Everything else keeps the value of the sheet.
The result is written to `benchmarks/results/t1d_behaviour.json`; the model's defaults are these numbers, rounded.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from twinarm.cohorts import load_population, screen
from twinarm.models.library.t1d_uva_padova import MODEL
from twinarm.models.library.t1d_uva_padova.model import Settings, Treatment
from twinarm.models.model import Conditions, Schedule, Tolerance

TARGETS = {"time_in_range": 59.0, "mean": 173.3, "cv": 37.0}
SCALES = {"time_in_range": 1.0, "mean": 2.0, "cv": 1.0}  # residuals of one scale weigh the same
TWINS, DAYS, SEED = 400, 28.0, 1
RESULT = Path(__file__).parents[1] / "results" / "t1d_behaviour.json"


def control_arm(twins, settings: Settings) -> dict[str, float]:  # type: ignore[no-untyped-def]
    """Mean over twins of time in range (%), mean (mg/dL), CV (%), and what is not fitted, in open loop."""
    conditions = Conditions(Schedule(0.0, DAYS, (DAYS,), ("end",)), SEED, tolerance=Tolerance(1e-6, 1e-6))
    found = MODEL.simulate(twins, Treatment(controller="open-loop"), settings, conditions)
    shown = found["cgm"].values[found["status"].values == 1].astype(float)
    inside = (shown >= 70) & (shown <= 180)
    seen = np.isfinite(shown).sum(axis=1)
    share = 100.0 * inside.sum(axis=1) / seen
    mean, sd = np.nanmean(shown, axis=1), np.nanstd(shown, axis=1, ddof=1)
    return {
        "time_in_range": float(share.mean()),
        "mean": float(mean.mean()),
        "cv": float((100.0 * sd / mean).mean()),
        "sd_time_in_range": float(share.std(ddof=1)),
        "time_below_70": float((100.0 * (shown < 70).sum(axis=1) / seen).mean()),
        "time_below_54": float((100.0 * (shown < 54).sum(axis=1) / seen).mean()),
        "failed": int((found["status"].values != 1).sum()),
    }


def main() -> None:
    twins = screen(load_population("t1d-adults"), TWINS, SEED, ()).cohort

    def at(x: np.ndarray) -> dict[str, float]:
        return control_arm(twins, Settings(carb_estimate_bias=float(x[0]), sensitivity_block_sd=float(x[1])))

    def residuals(x: np.ndarray) -> list[float]:
        found = at(x)
        print(x, {name: round(value, 2) for name, value in found.items()}, flush=True)
        return [(found[name] - target) / SCALES[name] for name, target in TARGETS.items()]

    fit = least_squares(residuals, [0.7, 0.35], bounds=([0.3, 0.0], [1.2, 0.8]), diff_step=0.05, xtol=5e-3, ftol=1e-3)
    chosen = [round(float(fit.x[0]), 2), round(float(fit.x[1]), 2)]
    result = {
        "targets": TARGETS,
        "carb_estimate_bias": chosen[0],
        "sensitivity_block_sd": chosen[1],
        "control_arm": at(np.array(chosen)),
        "twins": TWINS,
        "days": DAYS,
        "seed": SEED,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
