"""Two published trials from their subjects: the numbers that others found in the same tables."""

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from scipy.optimize import minimize

from twinarm.trials.analysis.fit import analyse_all
from twinarm.trials.protocol_file import load_protocol
from twinarm.trials.subject_table import read_subject_table

pytestmark = [pytest.mark.analysis, pytest.mark.reference]


def test_indomethacin_against_pancreatitis(reference_data):
    """Elmunzer et al. 2012, N Engl J Med 366:1414: 27 of 295 (9.2 %) against 52 of 307 (16.9 %), P = 0.005."""
    protocol = load_protocol("indo-rct")
    data = read_subject_table(reference_data / "medicaldata" / "indo_rct.csv", protocol).data
    assert (data["pancreatitis"].n, data["pancreatitis"].n_missing) == (602, 0)
    fit = analyse_all(protocol, data)["pancreatitis"]
    effect = next(row for row in fit.summary if row.name == "effect")
    assert effect.mean == pytest.approx(0.092 - 0.169, abs=0.25 * effect.sd)
    assert fit.posterior["risk_control"].mean() == pytest.approx(0.169, abs=0.006)
    assert fit.posterior["risk_experimental"].mean() == pytest.approx(0.092, abs=0.006)
    assert 1 - fit.decision.probability == pytest.approx(0.005 / 2, abs=0.003)
    assert fit.passed
    assert fit.decision.outcome == "success"


def test_chemotherapy_in_lung_cancer(reference_data):
    protocol = load_protocol("veteran")
    path = reference_data / "survival_r" / "veteran.csv"
    data = read_subject_table(path, protocol).data
    fit = analyse_all(protocol, data)["overall_survival"]
    table = pd.read_csv(path)[["time", "status", "trt", "karno", "age"]]
    cox = CoxPHFitter().fit(table, "time", "status")
    error = cox.standard_errors_["trt"]
    draws = np.log(fit.posterior["effect"].values)
    assert draws.std() == pytest.approx(error, rel=0.08)
    # Six intervals against one an event: by maximum likelihood alone the two differ by 0.38 standard errors here, and
    # by 0.11 with twenty intervals.
    assert draws.mean() == pytest.approx(cox.params_["trt"], abs=0.5 * error)
    assert draws.mean() == pytest.approx(_profile_likelihood(table, fit.posterior["interval"].values), abs=0.1 * error)
    assert fit.passed
    assert fit.decision.outcome == "no success"


def _profile_likelihood(table, starts):
    """Log hazard ratio of treatment where each interval's hazard is maximised out."""
    x = np.column_stack([table["trt"] - 1.5, (table["karno"] - 60) / 20, (table["age"] - 58) / 10])
    time, ends = table["time"].to_numpy()[:, None], np.append(starts[1:], np.inf)
    days = np.clip(time - starts, 0, ends - starts)
    is_event = (table["status"].to_numpy() == 1)[:, None] & (time > starts) & (time <= ends)

    def minus(b):
        return -(is_event.any(axis=1) @ x @ b - is_event.sum(axis=0) @ np.log(np.exp(x @ b) @ days))

    return minimize(minus, np.zeros(3), method="BFGS").x[0]
