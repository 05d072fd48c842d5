"""How much of a block is simulated at a time: bounded by twins and by seconds, whole lanes, never nothing."""

from types import SimpleNamespace

import pytest
from hypothesis import given, strategies as st

from twinarm.workflows.block import AT_ONCE, LANES, SECONDS_AT_ONCE, Bench, halve


@given(st.floats(1e-7, 1e4))
def test_a_call_is_bounded_by_its_twins_and_its_seconds(seconds):
    at_once = Bench(None, SimpleNamespace(pilot_seconds_per_twin=seconds), None, "").at_once
    assert at_once % LANES == 0 and LANES <= at_once <= AT_ONCE
    assert at_once == LANES or at_once * seconds <= SECONDS_AT_ONCE
    assert at_once == AT_ONCE or (at_once + LANES) * seconds > SECONDS_AT_ONCE


@pytest.mark.parametrize("unknown", [None, 0.0])
def test_without_a_pilot_twins_alone_bound_a_call(unknown):
    assert Bench(None, SimpleNamespace(pilot_seconds_per_twin=unknown), None, "").at_once == AT_ONCE


@given(st.integers(0, 60), st.integers(1, 20), st.sets(st.integers(0, 59)))
def test_every_row_is_tried_and_the_bad_ones_are_found(count, at_once, bad):
    done = []

    def attempt(rows: slice) -> None:
        assert 0 < rows.stop - rows.start <= at_once
        if any(row in bad for row in range(rows.start, rows.stop)):
            raise ValueError("bad")
        done.extend(range(rows.start, rows.stop))

    found = halve(attempt, count, at_once)
    assert set(found) == {row for row in bad if row < count}
    assert sorted(done) == [row for row in range(count) if row not in bad]
