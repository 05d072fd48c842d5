"""A cohort's simulated baseline is that of the trial itself, bit for bit, and can be calibrated to a published one."""

from pathlib import Path

import numpy as np
import pytest

from twinarm import load_population, load_protocol, screen, simulate_block
from twinarm.cohorts.calibration import calibrate
from twinarm.cohorts.calibration.targets import Targets, load_targets
from twinarm.trials.baseline import BaselineError, with_baseline
from twinarm.trials.protocol import EligibilityRule
from twinarm.trials.protocol_file import ProtocolError
from twinarm.trials.protocol_writer import write_protocol
from twinarm.workflows.prepare import Screened

PUBLISHED = Path(__file__).parents[2] / "cohorts" / "populations" / "published" / "control-iq-baseline.yaml"


@pytest.fixture(scope="module")
def protocol():
    return load_protocol("t1d-closed-loop")


@pytest.fixture(scope="module")
def twins(protocol):
    cohort = screen(load_population("t1d-adults"), 400, 1, protocol.population.eligibility).cohort
    found = with_baseline(protocol, cohort)
    return found.isel(twin=np.isfinite(found["baseline_mean_glucose"].values))


def test_it_is_the_baseline_of_the_trial_in_every_arm(protocol, twins):
    some = twins.isel(twin=slice(30, 34)).drop_vars([name for name in twins if name.startswith("baseline_")])
    for arm in protocol.arms:
        outcomes, _ = simulate_block(protocol, arm.name, some)
        for name in ("mean_glucose", "time_in_range"):
            trial = outcomes[name].sel(visit="baseline").values
            assert np.array_equal(trial, twins[f"baseline_{name}"].values[30:34]), (arm.name, name)


def test_variables_say_what_they_are(twins):
    attrs = twins["baseline_mean_glucose"].attrs
    assert attrs["units"] == "mg/dL" and "simulated" in attrs["source"] and attrs["provenance"] == "derived"


def test_a_published_baseline_is_matched(twins):
    """Brown 2019: time in range 61 (17) % before randomisation."""
    found = calibrate(twins, load_targets(PUBLISHED))
    assert found.unreachable == ()
    value = twins["baseline_time_in_range"].values
    mean = np.average(value, weights=found.weights)
    assert mean == pytest.approx(61) and np.sqrt(
        np.average((value - mean) ** 2, weights=found.weights)
    ) == pytest.approx(17)
    assert 0.3 * value.size < found.effective < value.size
    glucose = twins["baseline_mean_glucose"].values
    # In people 10 points of time in range are about 20 mg/dL of mean glucose (recalled).
    slope = np.polyfit(value, glucose, 1)[0]
    assert -2.6 < slope < -1.2


def test_a_baseline_out_of_reach_is_said(twins):
    entry = {"variable": "baseline_mean_glucose", "unit": "mg/dL", "mean": 60.0}
    found = calibrate(twins, Targets(format=1, name="x", source="chosen for tests", targets=(entry,)))
    assert found.unreachable == ("baseline_mean_glucose mean",)


def test_what_has_no_baseline_is_refused(protocol, twins):
    with pytest.raises(BaselineError, match="has no run-in: there is no baseline"):
        with_baseline(load_protocol("docetaxel-dose"), twins)
    with pytest.raises(
        BaselineError, match="the cohort has no Gb, which the model t1d-uva-padova requires; draw it from"
    ):
        with_baseline(protocol, twins.drop_vars("Gb"))
    with pytest.raises(BaselineError, match="has no model"):
        with_baseline(load_protocol("veteran"), twins)


def test_a_bank_leaves_out_those_whose_simulated_baseline_is_implausible(protocol):
    eligible = screen(load_population("t1d-adults"), 60, protocol.seed, protocol.population.eligibility).cohort
    value = with_baseline(protocol, eligible)["baseline_time_in_range"].values
    limit = float(np.nanquantile(value, 0.3))
    rule = EligibilityRule(rule=f"baseline_time_in_range >= {limit!r}", reason="hardly ever in range")
    chosen = protocol.population.model_copy(update={"twins": 25, "plausible_baseline": (rule,)})
    found = Screened(protocol.model_copy(update={"population": chosen}))
    cohort = found.first(25)
    assert cohort["twin"].values.tolist() == eligible["twin"].values[~(value < limit)][:25].tolist()
    assert not [name for name in cohort if name.startswith("baseline_")]
    refused = {row["reason"]: row["count"] for row in found.screening if row["stage"] == "implausible baseline"}
    assert refused["hardly ever in range"] > 0
    assert sum(int(row["count"]) for row in found.screening) + 25 == found.candidates


def test_rules_on_an_unknown_baseline_are_refused_before_anything_is_computed(tmp_path, protocol):
    text = write_protocol(protocol).replace(
        "  eligibility:",
        "  plausible_baseline:\n    - rule: baseline_time_in_rnge > 5\n      reason: never in range\n  eligibility:",
    )
    path = tmp_path / "trial.yaml"
    path.write_text(text)
    with pytest.raises(ProtocolError, match=r"(?s)plausible_baseline.*baseline_time_in_range"):
        load_protocol(path)
