"""Dose rules of docetaxel: worked cases of the label's rule, and what the reader of a protocol is told."""

import numpy as np
import pytest
from pydantic import ValidationError

from twinarm.models.library.docetaxel_nsclc import MODEL
from twinarm.models.library.docetaxel_nsclc.regimen import Cycle, Rules, Treatment, longest_run, may_treat, next_dose

FROM_FILE = {"from_file": True}


def cycle(counts, febrile=0, days=(8.0, 15.0, 21.0)):
    return Cycle(1, np.array([counts], float), np.array([days]), np.array([bool(febrile)]), 0.0)


@pytest.mark.parametrize(
    ("counts", "febrile", "dose", "expected"),
    [
        ((0.6, 1.0, 5.0), 0, 100.0, 100.0),
        ((0.3, 1.0, 5.0), 0, 100.0, 100.0),  # one count below 0.5
        ((0.3, 0.4, 5.0), 0, 100.0, 75.0),  # below 0.5 for a week
        ((0.6, 1.0, 5.0), 1, 100.0, 75.0),
        ((0.6, 1.0, 5.0), 1, 75.0, 55.0),
        ((0.6, 1.0, 5.0), 1, 55.0, 0.0),  # below the last level treatment ends
        ((0.6, 1.0, 5.0), 1, 60.0, 55.0),
    ],
)
def test_dose_after_toxicity(counts, febrile, dose, expected):
    assert next_dose(Rules(), cycle(counts, febrile), np.array([dose])) == expected


def test_treatment_needs_the_count_of_the_day():
    assert may_treat(Rules(), cycle((0.3, 0.8, 1.5)))
    assert not may_treat(Rules(), cycle((0.3, 0.8, 1.49)))


def test_the_last_count_taken_decides():
    late = Cycle(1, np.array([[0.3, 0.8, 1.0, 2.0]]), np.array([[8.0, 15.0, 21.0, 28.0]]), np.array([False]), 7.0)
    assert may_treat(Rules(), late)


def test_longest_run_of_low_counts():
    low = np.array([[1, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]], bool)
    assert longest_run(low, np.array([[8.0, 15.0, 21.0, 28.0]] * 3)).tolist() == [7.0, 0.0, 20.0]


def test_treatment_of_a_protocol():
    treatment = Treatment.model_validate(
        {
            "drug": "docetaxel", "dose": "75 mg/m^2", "interval": "3 week", "infusion": "60 minute", "max_cycles": 6,
            "rules": {"counts_on": ["8 day", "15 day"], "levels": ["55 mg/m^2"]},
        },
        context=FROM_FILE,
    )  # fmt: skip
    assert (treatment.dose, treatment.interval, treatment.infusion) == (75.0, 21.0, pytest.approx(1.0))
    assert treatment.count_days.tolist() == [8.0, 15.0, 21.0]
    assert treatment.rechecks == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dose": 75}, "no unit"),
        ({"dose": "75 mg"}, "mg"),
        ({"drug": "paclitaxel"}, "docetaxel"),
        ({"max_cycles": "ten"}, "valid integer"),
        ({"interval": "36 hour"}, "whole days"),
        ({"infusion": "30 hour"}, "infusion <= 24 hour"),
        ({"rules": {"counts_on": ["30 day"]}}, "within the interval of 21 day"),
        ({"rules": {"reduce_when": "nadirr < 0.5"}}, "'nadirr'.*nadir"),
        ({"rules": {"treat_when": "anc >= "}}, "no expression"),
        ({"rules": {"levels": ["55 mg/m^2", "75 mg/m^2"]}}, "from high to low"),
        ({"rules": {"growth_factor": True}}, "growth_factor"),
    ],
)
def test_refusals(change, message):
    with pytest.raises(ValidationError, match=message):
        MODEL.Treatment.model_validate({"dose": "75 mg/m^2"} | change, context=FROM_FILE)
