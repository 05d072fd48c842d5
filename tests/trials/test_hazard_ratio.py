"""Cox's ratio for two groups against lifelines (another implementation), and against the truth for large samples."""

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter

from twinarm.trials.hazard_ratio import hazard_ratio


def made_up(n: int, ratio: float, round_to: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    treated = (np.arange(n) % 2).astype(float)
    time = rng.exponential(np.where(treated == 1, 100 / ratio, 100.0))
    censored = rng.uniform(20, 200, n)
    if round_to:
        time, censored = (np.ceil(x / round_to) * round_to for x in (time, censored))
    return np.minimum(time, censored), (time <= censored).astype(float), treated


@pytest.mark.parametrize("round_to", [0.0, 42.0])
@pytest.mark.parametrize("ratio", [0.3, 1.0, 2.5])
def test_equals_lifelines_with_and_without_ties(ratio: float, round_to: float):
    time, event, treated = made_up(300, ratio, round_to, seed=4)
    frame = pd.DataFrame({"time": time, "event": event, "treated": treated})
    peer = CoxPHFitter().fit(frame, "time", "event", fit_options={"precision": 1e-10})
    assert hazard_ratio(time, event, treated) == pytest.approx(float(np.exp(peer.params_["treated"])), rel=1e-6)


def test_finds_the_ratio_of_proportional_hazards():
    time, event, treated = made_up(40_000, 0.6, 0.0, seed=9)
    mcse = np.sqrt(4 / event.sum())  # of the log ratio, two equal groups
    assert abs(np.log(hazard_ratio(time, event, treated) / 0.6)) < 4 * mcse


def test_turning_the_groups_inverts_the_ratio():
    time, event, treated = made_up(500, 0.6, 42.0, seed=1)
    both = hazard_ratio(time, event, treated) * hazard_ratio(time, event, 1 - treated)
    assert both == pytest.approx(1.0)


def test_without_events_in_a_group_there_is_no_ratio():
    time, event, treated = made_up(100, 0.6, 0.0, seed=1)
    assert np.isnan(hazard_ratio(time, event * (treated == 0), treated))
