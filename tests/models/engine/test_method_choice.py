"""The method chosen by itself: stiff twins go on with the stiff method, others do not, each by its own steps."""

import numpy as np
import pytest

from twinarm.models.engine import System, solve
from twinarm.models.engine.math import cos, sin
from twinarm.models.model import Status, Tolerance


def forced(t, y, p, u):
    """Prothero and Robinson 1974: x follows sin(t), however stiff; beside it a slow oscillation."""
    return -p.k * (y.x - sin(t)) + cos(t), y.w, -y.v


FORCED = System("forced", ("x", "v", "w"), ("k",), (), forced, "second")
RATES = np.array([1.0, 2.0, 1e4, 1e5, 0.5, 3e4])
TIMES = np.linspace(0.0, 10.0, 41)


def run(rows, method="auto", rtol=1e-6, stop=10.0):
    y0 = np.tile([0.0, 0.0, 1.0], (len(rows), 1))
    tolerance = Tolerance(rtol, rtol * 1e-2, max_steps=200_000)
    return solve(FORCED, y0, RATES[rows][:, None], 0.0, stop, None, TIMES, tolerance, method=method)


@pytest.mark.parametrize("rtol", [1e-4, 1e-6, 1e-8])
def test_stiff_twins_need_few_steps_and_the_others_stay_as_they_are(rtol):
    rows = np.arange(RATES.size)
    chosen = run(rows, rtol=rtol)
    explicit = run(rows, "dop853" if rtol <= 1e-6 else "tsit5", rtol=rtol)
    stiff = RATES > 100
    assert (chosen.status == Status.COMPLETED).all()
    assert (chosen.steps[stiff] < 0.2 * explicit.steps[stiff]).all()
    assert chosen.samples[~stiff].tobytes() == explicit.samples[~stiff].tobytes()
    assert np.abs(chosen.samples[:, :, 0] - np.sin(TIMES)).max() < 1e3 * rtol
    assert np.abs(chosen.samples[:, :, 1] - np.sin(TIMES)).max() < 1e3 * rtol


def test_the_choice_is_each_twins_own():
    whole = run(np.arange(RATES.size))
    for k in range(RATES.size):
        alone = run(np.array([k]))
        for name in whole.__dataclass_fields__:
            assert getattr(alone, name)[0].tobytes() == getattr(whole, name)[k].tobytes()


def test_a_twin_that_turns_stiff_on_its_way_is_carried_on():
    """Van der Pol, Hairer & Wanner II, IV.10: published state at t = 2 for epsilon 1e-6."""

    def van_der_pol(t, y, p, u):
        return y.z, ((1.0 - y.y * y.y) * y.z - y.y) / p.epsilon

    system = System("van der pol", ("y", "z"), ("epsilon",), (), van_der_pol, "second")
    tolerance = Tolerance(1e-8, 1e-10, max_steps=100_000)
    found = solve(system, [[2.0, -0.66]], [[1e-6]], 0.0, 2.0, None, [2.0], tolerance)
    assert found.status[0] == Status.COMPLETED and found.steps[0] < 5000
    assert found.samples[0, 0] == pytest.approx([1.706167732170483, -0.892809701024794], rel=1e-5)


def test_a_stiff_method_that_does_not_pay_is_left_again():
    """Inputs that change every tenth hold both methods to the same steps."""
    from twinarm.models.engine import Records

    def body(t, y, p, u):
        return (-p.k * y.x + u.drive,)

    system = System("ticks", ("x",), ("k",), ("drive",), body, "minute")
    ticks = np.arange(0.0, 200.0, 0.1)[None, :]
    records = Records(ticks, np.ones(ticks.shape, np.int64), np.sin(ticks) + 2.0)
    chosen, explicit = (
        solve(system, [[0.0]], [[28.0]], 0.0, 200.0, records, [200.0], Tolerance(1e-4, 1e-4), method=method)
        for method in ("auto", "tsit5")
    )
    assert chosen.steps[0] < 1.2 * explicit.steps[0]
