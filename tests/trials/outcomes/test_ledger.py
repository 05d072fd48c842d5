"""The attrition ledger: counts add up whatever happens, and a wrong count is found."""

import contextlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given, settings, strategies as st

from twinarm.models.model import Status
from twinarm.trials.estimands import EstimandError, estimand_data
from twinarm.trials.ledger import (
    LedgerError,
    attrition,
    check,
    consort,
    failed_twins,
    failure_share,
    is_over_failure_limit,
)
from twinarm.trials.observe import completed_everywhere, observe

STOPPING = {"name": "stopping", "label": "Drug stopped", "arms": ("active",), "then_as": "usual",
            "hazard": {"probability": 0.3, "over": "6 day"}}  # fmt: skip
LOST = ({"probability": 0.4, "over": "6 day"},)


@pytest.fixture(scope="module")
def simulated(build: Any, many: Any, bank: Any) -> tuple[xr.Dataset, xr.Dataset]:
    """A cohort of 40 twins and its outcomes, for all examples."""
    cohort = many(np.arange(40) * 2)
    return cohort, bank(build(), cohort)


@settings(max_examples=40, deadline=None)
@given(
    status=st.lists(st.tuples(*[st.sampled_from([1, 1, 1, 1, 2, 4, 7])] * 2), min_size=40, max_size=40),
    refused=st.dictionaries(
        st.tuples(st.sampled_from(["implausible", "screen failure"]), st.sampled_from(["a", "b"])), st.integers(1, 99)
    ),
    subjects=st.integers(2, 50),
    seed=st.integers(0, 1000),
)
def test_the_counts_add_up(
    build: Any, simulated: tuple[xr.Dataset, xr.Dataset], status: Any, refused: Any, subjects: int, seed: int
):
    protocol = build(subjects=subjects, seed=seed, dropout=LOST, intercurrent_events=(STOPPING,), estimands=())
    cohort, outcomes = simulated
    outcomes = outcomes.assign(status=(("twin", "arm"), np.array(status, dtype=np.int8)))
    usable = int(completed_everywhere(outcomes).sum())
    assume(usable >= 2)
    seen = observe(protocol, cohort, outcomes)
    analyses = []
    with contextlib.suppress(EstimandError):  # an arm in which nobody has a value
        analyses = [estimand_data(protocol, seen, protocol.analyses[0])]
    candidates = 40 + sum(refused.values())
    rows = attrition(protocol, candidates, refused, outcomes, seen, analyses)
    check(rows)
    ends = ("implausible", "screen failure", "failed", "not drawn", "dropped out", "followed to the end")
    assert sum(row.count for row in rows if row.stage in ends) == candidates
    assert sum(row.count for row in rows if row.stage == "failed") == 40 - usable
    for data in analyses:
        of = [row.count for row in rows if row.stage == "analysed"]
        assert sum(of) == data.y.size
        assert sum(row.count for row in rows if row.stage == "left out") == data.n_missing
    flow = consort(protocol, rows, seen)
    assert flow.assessed == candidates and flow.randomised == seen.sizes["subject"]
    assert sum(arm.allocated for arm in flow.arms) == flow.randomised
    assert sum(n for _, n in flow.failed) == 40 - usable
    active = flow.arms[0]
    assert active.intercurrent_events[0][0] == "Drug stopped"
    assert 0 <= active.intercurrent_events[0][1] <= active.allocated
    assert flow.arms[1].intercurrent_events[0][1] == 0


def test_one_wrong_count_is_found(protocol: Any, cohort: xr.Dataset, bank: Any):
    outcomes = bank(protocol, cohort)
    seen = observe(protocol, cohort, outcomes)
    data = estimand_data(protocol, seen, protocol.analyses[0])
    rows = attrition(protocol, 45, {("screen failure", "too old"): 5}, outcomes, seen, [data])
    for place, row in enumerate(rows):
        wrong = [*rows[:place], replace(row, count=row.count + 1), *rows[place + 1 :]]
        with pytest.raises(LedgerError, match="does not add up"):
            check(wrong)
    with pytest.raises(LedgerError, match="candidates is 44, its parts are 45"):
        attrition(protocol, 44, {("screen failure", "too old"): 5}, outcomes, seen, [data])


def statuses(*pairs: tuple[int, int]) -> xr.Dataset:
    return xr.Dataset({"status": (("twin", "arm"), np.array(pairs, dtype=np.int8))})


def test_a_twin_that_fails_in_both_arms_is_one_twin(build: Any):
    outcomes = statuses((1, 1), (2, 4), (1, 7), (1, 1), (1, 2), (0, 0))
    assert failed_twins(outcomes) == {
        Status(0).reason: 1, "solver: step limit reached": 2, "outside the plausible range": 1,
    }  # fmt: skip
    assert failure_share(outcomes) == 3 / 5  # one twin was never started
    assert is_over_failure_limit(build(solver={"failure_limit": 0.5}), outcomes)
    assert not is_over_failure_limit(build(solver={"failure_limit": 0.6}), outcomes)
    assert failure_share(statuses((0, 0))) == 0.0
