"""Representation: shares by hand, the census beside them, and groups too small for a stated precision."""

import numpy as np
import pytest
import xarray as xr

from twinarm.cohorts import load_population, screen
from twinarm.cohorts.likeness.representation import RepresentationError, represent, targets


def cohort_of(**columns):
    size = len(next(iter(columns.values())))
    return xr.Dataset({name: ("twin", np.asarray(v)) for name, v in columns.items()}, {"twin": np.arange(size)})


def test_shares_of_a_target_sum_to_one():
    everybody = cohort_of(sex=["female", "male"], age=[1.0, 90.0], race_ethnicity=["nh_white", "hispanic"])
    for target in targets():
        groups = represent(everybody, target, 0.1)
        for variable in ("sex", "age", "race_ethnicity"):
            shares = [g.target for g in groups if g.variable == variable and not np.isnan(g.target)]
            assert not shares or sum(shares) == pytest.approx(1, abs=2e-3), (target, variable)
            assert all(g.source for g in groups if g.variable == variable and not np.isnan(g.target))


def test_ratio_and_size_by_hand():
    cohort = cohort_of(sex=["female"] * 30 + ["male"] * 70, age=np.full(100, 50.0))
    groups = {g.group: g for g in represent(cohort, "us-census-2020", 0.1) if g.variable == "sex"}
    assert groups["female"].share == 0.3 and np.isnan(groups["female"].ratio), "that census states no sexes here"
    female = next(g for g in represent(cohort, "eu27-2023", 0.5) if g.group == "female")
    assert female.ratio == pytest.approx(0.3 / 0.511) and female.is_represented is False
    assert female.needed == 16 and not female.is_too_small  # (1.96 / 0.5)^2 = 15.4
    assert next(g for g in represent(cohort, "eu27-2023", 0.2) if g.group == "female").is_too_small  # 97 needed


def test_weights_count():
    cohort = cohort_of(sex=["female"] * 50 + ["male"] * 50)
    female = represent(cohort, "eu27-2023", 0.5, np.repeat([3.0, 1.0], 50))[0]
    assert (female.group, female.share, female.effective) == ("female", 0.75, pytest.approx(50))


def test_adult_us_represents_us_adults():
    cohort = screen(load_population("adult-us"), 3000, 2).cohort
    groups = represent(cohort, "us-adults", 0.2)
    singles = [g for g in groups if not np.isnan(g.target)]
    assert {g.variable for g in singles} == {"sex", "age", "race_ethnicity"} and len(singles) == 14
    for group in singles:
        error = np.sqrt(group.target * (1 - group.target) / 3000)
        assert abs(group.share - group.target) < 4 * error + 0.003, group.group
    small = {g.group for g in groups if g.is_too_small}
    assert any("nh_other" in name for name in small) and "female" not in small
    assert {g.group for g in groups if g.variable == "sex, age"} >= {"female, 18 to 29", "male, 80 and over"}


@pytest.mark.parametrize(
    ("columns", "target", "precision", "message"),
    [
        ({"sex": ["female"]}, "mars", 0.1, "no census target is called 'mars'; known: us-adults"),
        ({"sex": ["female"]}, "us", 0.0, "precision is 0; give a half-width above 0"),
        ({"age": [25.0, np.nan, 40.0]}, "us", 0.1, "age is missing in 1 of 3 twins; leave them out first"),
        ({"sex": ["female", "", ""]}, "us", 0.1, "sex is missing in 2 of 3 twins; leave them out first"),
        ({"bmi": [25.0]}, "us", 0.1, "none of sex, age and race_ethnicity"),
    ],
)
def test_what_cannot_be_said(columns, target, precision, message):
    with pytest.raises(RepresentationError, match=message):
        represent(cohort_of(**columns), target, precision)
