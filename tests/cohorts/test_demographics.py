"""Demographics of a target: margins of a census or a plan are met, quotas are filled, and dependence stays."""

import numpy as np
import pytest
from pydantic import ValidationError

from twinarm.cohorts import load_population, sample_twins
from twinarm.cohorts.blocks.demographics import Demographics
from twinarm.cohorts.blocks.tables import read_table
from twinarm.cohorts.likeness.representation import MARGINS

SIZE = 20_000
HEAD = "variable,group,age_from,age_to,share\n"
PLAN = """variable,group,age_from,age_to,share
sex,female,0,200,0.5
race_ethnicity,nh_black,0,200,0.3
age,65 and over,65,200,0.4
"""


@pytest.fixture
def plan(tmp_path):
    def put(text: str):
        path = tmp_path / "plan.csv"
        path.write_text(text, encoding="utf-8")
        return read_table(path)

    return put


def with_margins(margins, **fields):
    adults = load_population("adult-us")
    return adults.changed(demographics=adults.demographics.changed(margins=margins, **fields))


def shares(twins):
    return {
        "women": float((twins["sex"] == "female").mean()),
        "black": float((twins["race_ethnicity"] == "nh_black").mean()),
        "old": float((twins["age"] >= 65).mean()),
    }


@pytest.mark.parametrize(("quota", "error"), [(False, 4 * 0.5 / np.sqrt(SIZE)), (True, 0.002)])
def test_a_plan_is_met_at_random_or_by_quota(plan, quota, error):
    twins = sample_twins(with_margins(plan(PLAN), quota=quota), np.arange(SIZE), 1)
    assert shares(twins) == pytest.approx({"women": 0.5, "black": 0.3, "old": 0.4}, abs=error)


def test_groups_that_a_plan_does_not_name_keep_their_shares_among_each_other(plan):
    plain = sample_twins(load_population("adult-us"), np.arange(SIZE), 1)
    half = plan("variable,group,age_from,age_to,share\nrace_ethnicity,nh_black,0,200,0.5\n")
    moved = sample_twins(with_margins(half), np.arange(SIZE), 1)

    def ratio(twins) -> float:
        return float((twins["race_ethnicity"] == "hispanic").sum() / (twins["race_ethnicity"] == "nh_white").sum())

    assert ratio(moved) == pytest.approx(ratio(plain), rel=0.1)


def test_groups_that_leave_no_share_for_others_leave_none(plan):
    women = sample_twins(with_margins(plan(HEAD + "sex,female,0,200,1.0\n")), np.arange(500), 1)
    assert (women["sex"] == "female").all()
    rounded = HEAD + "race_ethnicity,nh_white,0,200,0.7\nrace_ethnicity,nh_black,0,200,0.3005\n"
    assert set(sample_twins(with_margins(plan(rounded)), np.arange(500), 1)["race_ethnicity"].values) == {
        "nh_black",
        "nh_white",
    }


def test_the_people_of_the_eu_are_older():
    """15 to 64 years 63.8 %, 65 and over 21.3 %: from 18 on, with 47 of the 50 years, 26.2 % are 65 and over."""
    twins = sample_twins(with_margins(read_table(MARGINS), target="eu27-2023"), np.arange(SIZE), 1)
    old = 0.213 / (0.213 + 0.638 * 47 / 50)
    assert shares(twins)["old"] == pytest.approx(old, abs=4 * 0.44 / np.sqrt(SIZE))
    assert shares(twins)["women"] == pytest.approx(0.511, abs=4 * 0.5 / np.sqrt(SIZE))


def test_physiology_of_a_person_does_not_depend_on_who_else_is_drawn(plan):
    """The same person under another plan is the same to the last bit: correlations stay those of the survey."""
    plain = sample_twins(load_population("adult-us"), np.arange(SIZE), 1)
    moved = sample_twins(with_margins(plan(PLAN)), np.arange(SIZE), 1)
    same = np.all([plain[n].values == moved[n].values for n in ("age", "sex", "race_ethnicity")], axis=0)
    assert same.sum() > 500
    for name in ("height", "sbp", "hba1c", "diabetes"):
        assert (plain[name].values[same] == moved[name].values[same]).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PLAN.replace("female", "women"), "margins name sex 'women'; the population has female, male"),
        (PLAN.replace("0.3", "1.3"), "has a share of 1.3 for nh_black; shares are from 0 to 1"),
        (PLAN + "age,over 60,60,200,0.3\n", "margins of age overlap at over 60"),
        (PLAN + "income,rich,0,200,0.3\n", "has margins of 'income'; write age, sex or race_ethnicity"),
        (PLAN + "sex,male,0,200,0.7\n", "margins of sex sum to 1.2; they must not exceed 1"),
        (HEAD + "sex,female,0,200,0.3\nsex,male,0,200,0.3\n", "sum to 0.6 and leave nobody else; make them sum to 1"),
        (HEAD + "sex,female,0,200,0\nsex,male,0,200,0\n", "sum to 0 and leave nobody else; make them sum to 1"),
        ("variable,share\nsex,0.5\n", "has no column group, age_from, age_to"),
    ],
)
def test_plans_that_cannot_be_are_refused(plan, text, said):
    with pytest.raises(ValidationError, match=said):
        with_margins(plan(text))


def test_margins_that_cannot_all_hold_are_refused(plan, tmp_path):
    table = tmp_path / "people.csv"
    table.write_text(
        "age_from,age_to,sex,race_ethnicity,share\n20,29,female,a,0.5\n30,39,male,a,0.5\n", encoding="utf-8"
    )
    margins = plan("variable,group,age_from,age_to,share\nsex,female,0,200,0.3\nage,young,20,29,0.6\n")
    with pytest.raises(ValidationError, match="cannot all hold with this table"):
        Demographics(table=read_table(table), source="t", provenance="chosen", margins=margins)


def test_a_target_that_is_not_there():
    with pytest.raises(ValidationError, match="has no target 'mars'; it has eu27-2023"):
        with_margins(read_table(MARGINS), target="mars")
