"""The loop of a device carries twins as the device asks; shown on the engine's example, a substance topped up."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from twinarm.models.engine import Event, System, kernel
from twinarm.models.engine.compile import compiled
from twinarm.models.engine.follow import follow
from twinarm.models.model import Status, Tolerance

DECAY = System("decay", ("x",), ("rate",), (), lambda t, y, p, u: (-p.rate * y.x,), "hour")
EXAMPLE = compiled(DECAY, Path(kernel.__file__).parent / "device.py")
RATES = np.array([0.1, 0.5, 0.2, 1.0, 0.03, 0.7, 0.3, 0.05, 0.4, 0.6, 0.9])


def run(rates, lanes=8, hours=10.0, method="tsit5"):
    twins = len(rates)
    world = EXAMPLE.device.World(1.0, 2.0, hours, np.zeros(twins, np.int64), np.full(twins, np.nan), np.zeros(twins))
    start = np.column_stack([np.full(twins, 3.0), rates])
    follow(EXAMPLE, DECAY, start, world, Tolerance(1e-9, 1e-12), method, lanes)
    return world


def by_hand(rate, hours=10):
    x, doses = 3.0, 0
    for _ in range(hours):
        x *= math.exp(-rate)
        if x < 1.0:
            x, doses = x + 2.0, doses + 1
    return x, doses


@pytest.mark.parametrize("method", ["tsit5", "dop853", "rodas5p"])
def test_a_device_acts_where_the_closed_form_says(method):
    found = run(RATES, method=method)
    left, doses = zip(*(by_hand(rate) for rate in RATES), strict=True)
    assert found.left == pytest.approx(left, rel=1e-7)
    assert found.doses.tolist() == list(doses)
    assert (found.status == Status.COMPLETED).all()


@pytest.mark.parametrize("lanes", [1, 4])
def test_lanes_order_and_company_change_no_bit(lanes):
    whole, reverse = run(RATES), np.arange(len(RATES))[::-1]
    assert run(RATES, lanes).left.tobytes() == whole.left.tobytes()
    assert run(RATES[reverse], lanes).left.tobytes() == whole.left[reverse].tobytes()
    assert run(RATES[2:3]).left.tobytes() == whole.left[2:3].tobytes()


def test_a_twin_that_fails_leaves_its_lane_and_its_neighbours_alone():
    rates = RATES.copy()
    rates[[1, 9]] = -1e3, np.nan
    found, whole = run(rates), run(RATES)
    others = [k for k in range(len(RATES)) if k not in (1, 9)]
    assert found.status[[1, 9]].tolist() == [Status.NON_FINITE, Status.NON_FINITE]
    assert found.left[others].tobytes() == whole.left[others].tobytes()


def test_a_system_with_events_of_its_own_is_refused():
    low = Event("low", lambda t, y, p, u: y.x - 1.0, "down")
    with pytest.raises(ValueError, match="'decay' has events"):
        follow(EXAMPLE, dataclasses.replace(DECAY, events=(low,)), np.zeros((1, 2)), None, Tolerance())


def test_no_twins_are_no_work():
    assert run(RATES[:0]).left.size == 0
