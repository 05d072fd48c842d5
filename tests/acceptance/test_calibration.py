"""What the calibration script wrote is what the model uses, and it looked at the control arm alone."""

import json
from pathlib import Path

from twinarm.models.library.t1d_uva_padova.model import Settings

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_the_models_defaults_are_the_calibrated_numbers():
    result = json.loads((BENCHMARKS / "results" / "t1d_behaviour.json").read_text())
    defaults = Settings()
    assert defaults.carb_estimate_bias == result["carb_estimate_bias"]
    assert defaults.sensitivity_block_sd == result["sensitivity_block_sd"]
    for name, target in result["targets"].items():
        assert abs(result["control_arm"][name] - target) / target < 0.05


def test_the_script_never_simulates_a_closed_loop():
    script = (BENCHMARKS / "calibration" / "t1d_behaviour.py").read_text()
    assert 'controller="open-loop"' in script and "hybrid" not in script
