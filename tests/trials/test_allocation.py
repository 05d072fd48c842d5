"""Randomisation: exact balance, prefixes, independence of strata, and the distribution of what is drawn."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings, strategies as st

from twinarm.trials.allocation import AllocationError, randomise, strata_labels
from twinarm.trials.protocol import Allocation

ratios = st.lists(st.integers(1, 3), min_size=2, max_size=4).map(tuple)
seeds = st.integers(0, 2**40)


def names(ratio: tuple[int, ...]) -> list[str]:
    return [f"arm-{i}" for i in range(len(ratio))]


@settings(max_examples=50, deadline=None)
@given(ratio=ratios, times=st.integers(1, 3), seed=seeds, count=st.integers(1, 60), data=st.data())
def test_every_block_of_every_stratum_holds_the_exact_ratio(ratio, times, seed, count, data):
    strata = np.array(data.draw(st.lists(st.sampled_from(["a", "b", "c"]), min_size=count, max_size=count)))
    block = times * sum(ratio)
    arm = randomise(strata, Allocation(ratio=ratio, block=block), names(ratio), seed)
    for label in np.unique(strata):
        own = arm[strata == label]
        for k in range(own.size // block):
            counts = np.bincount(own[k * block : (k + 1) * block], minlength=len(ratio))
            assert counts.tolist() == [times * share for share in ratio]


@settings(max_examples=50, deadline=None)
@given(method=st.sampled_from(["simple", "permuted-block"]), seed=seeds, first=st.integers(0, 40), data=st.data())
def test_subjects_who_come_later_change_nobody_before_them(method, seed, first, data):
    strata = np.array(data.draw(st.lists(st.sampled_from(["a", "b"]), min_size=first, max_size=50)), dtype=str)
    plan = Allocation(method=method, ratio=(2, 1), block=6 if method == "permuted-block" else None)
    whole = randomise(strata, plan, ("x", "y"), seed)
    assert np.array_equal(randomise(strata[:first], plan, ("x", "y"), seed), whole[:first])


@settings(max_examples=30, deadline=None)
@given(seed=seeds, data=st.data())
def test_a_stratum_has_its_sequence_whoever_else_is_there(seed, data):
    strata = np.array(data.draw(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=50)))
    plan = Allocation(ratio=(1, 1), block=4)
    mixed = randomise(strata, plan, ("x", "y"), seed)
    alone = randomise(strata[strata == "b"], plan, ("x", "y"), seed)
    assert np.array_equal(mixed[strata == "b"], alone)


@pytest.mark.parametrize("method", ["simple", "permuted-block"])
def test_every_place_in_the_queue_has_the_chances_of_the_ratio(method: str):
    """Over 4,000 seeds each of the first 9 subjects is in arm 0 with probability 2/3, and pairs are as they must be."""
    plan = Allocation(method=method, ratio=(2, 1), block=3 if method == "permuted-block" else None)
    drawn = np.array([randomise(["all"] * 9, plan, ("x", "y"), seed) == 0 for seed in range(4000)])
    mcse = np.sqrt(2 / 9 / 4000)
    assert (abs(drawn.mean(axis=0) - 2 / 3) < 4.5 * mcse).all()
    together = (drawn[:, 0] & drawn[:, 1]).mean()  # of a block of three, both: 1/3; of independent draws: 4/9
    expected = 1 / 3 if method == "permuted-block" else 4 / 9
    assert abs(together - expected) < 4.5 * np.sqrt(expected * (1 - expected) / 4000)


def test_replicates_and_seeds_differ():
    plan = Allocation(ratio=(1, 1), block=8)
    drawn = {tuple(randomise(["all"] * 64, plan, ("x", "y"), s, r)) for s in range(5) for r in range(5)}
    assert len(drawn) == 25


def test_plans_that_cannot_be_carried_out_are_refused():
    with pytest.raises(AllocationError, match="give a multiple of 3"):
        randomise(["all"] * 4, Allocation(ratio=(2, 1), block=4), ("x", "y"), 1)
    with pytest.raises(AllocationError, match="2 numbers for 3 arms"):
        randomise(["all"] * 4, Allocation(ratio=(2, 1), block=3), ("x", "y", "z"), 1)


def test_strata_are_named_by_their_levels():
    cohort = xr.Dataset(
        {
            "sex": ("twin", ["female", "male", "male"]),
            "ecog": ("twin", [0.0, 1.0, 0.0]),
            "age": ("twin", [41.2, 50.0, 33.3]),
            "score": ("twin", [1.0, np.nan, 0.0]),
        },
        coords={"twin": [3, 5, 9]},
    )
    assert strata_labels(cohort, ("sex", "ecog")).tolist() == [
        "sex=female, ecog=0", "sex=male, ecog=1", "sex=male, ecog=0",
    ]  # fmt: skip
    assert strata_labels(cohort, ()).tolist() == ["all"] * 3
    with pytest.raises(AllocationError, match="'age' is continuous"):
        strata_labels(cohort, ("age",))
    with pytest.raises(AllocationError, match="'score' is missing for 1 twins"):
        strata_labels(cohort, ("score",))
    with pytest.raises(AllocationError, match="no variable is called 'site'"):
        strata_labels(cohort, ("site",))
