"""Events beside closed forms: where they are, in which order, and what a jump does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..engine import Event, Records, System, solve
from ..engine.math import maximum, minimum
from ..engine.solve import Method
from ..model import Status, Tolerance
from .fixed_steps import ALL
from .problems import FOLLOWER
from .row import Check, Row

SHARP = Tolerance(1e-10, 1e-12)
GRAVITY = 9.81


def _each_method(
    what: str, against: str, limit: float, reason: str, error: Callable[[Method], tuple[float, str]]
) -> list[Row]:
    rows = []
    for method in ALL:
        achieved, note = error(method)
        rows.append(Row(f"{method}: {what}", against, achieved, limit, reason, note=note))
    return rows


def bouncing_ball() -> list[Row]:
    """A ball that keeps 0.8 of its speed at each bounce; the flights are a geometric series."""
    kept, height, bounces = 0.8, 2.0, 20
    bounce = Event(
        "bounce", lambda t, y, p, u: y.height, "down",
        effect=lambda t, y, p, u: {"height": 0.0, "speed": -kept * y.speed},
    )  # fmt: skip
    ball = System(
        "ball", ("height", "speed"), (), (), lambda t, y, p, u: (y.speed, -GRAVITY), "second", events=(bounce,)
    )
    fall = np.sqrt(2.0 * height / GRAVITY)
    times = fall * (1.0 + 2.0 * np.concatenate([[0.0], np.cumsum(kept ** np.arange(1, bounces))]))
    stop = float(times[-1] + fall * kept**bounces)  # the top of the next flight

    def error(method: Method) -> tuple[float, str]:
        found = solve(
            ball,
            [[height, 0.0]],
            np.zeros((1, 0)),
            0.0,
            stop,
            None,
            None,
            SHARP,
            method=method,
            keep_events=bounces + 1,
        )
        worst = np.abs(found.event_times[0, 0, :bounces] / times - 1.0).max()
        top = abs(found.y_end[0, 0] / (height * kept ** (2 * bounces)) - 1.0)
        return max(float(worst), float(top)), f"{found.event_counts[0, 0]} bounces; height of the last top {top:.1e}"

    return _each_method(
        "times of 20 bounces, and the height after them", "geometric series", 1e-8, "100 rtol (1e-10)", error
    )


def _pump() -> System:
    low = Event("start", lambda t, y, p, u: y.x - 1.0, "down", effect=lambda t, y, p, u: {"rate": 3.0})
    high = Event("stop", lambda t, y, p, u: y.x - 2.0, "up", effect=lambda t, y, p, u: {"rate": 0.0})
    return System("pump", ("x",), (), ("rate",), lambda t, y, p, u: (u.rate - 0.5 * y.x,), "hour", events=(low, high))


def thresholds() -> list[Row]:
    """A pump that starts when an exponential has fallen to 1 and stops when it has risen to 2."""
    down, up = 2.0 * np.log(2.0), 2.0 * np.log(5.0 / 4.0)
    starts = 2.0 * np.log(4.0) + (down + up) * np.arange(10)

    def error(method: Method) -> tuple[float, str]:
        found = solve(
            _pump(), [[4.0]], np.zeros((1, 0)), 0.0, float(starts[-1] + up + 0.1), None, None, SHARP, method=method,
            keep_events=10,
        )  # fmt: skip
        both = found.event_times[0] / np.stack([starts, starts + up]) - 1.0
        return float(np.abs(both).max()), f"{found.event_counts[0].tolist()} of 10 starts and 10 stops"

    return _each_method(
        "times at which a pump starts and stops, ten cycles", "logarithms of the thresholds", 1e-8, "100 rtol (1e-10)",
        error,
    )  # fmt: skip


def hysteresis() -> list[Row]:
    """A sine crosses 1/2 upwards once a period; it counts again only after the way back beyond the hysteresis."""

    def error(method: Method) -> tuple[float, str]:
        counts, worst = [], 0.0
        for wide in (0.0, 1.4, 1.6):
            event = Event("up", lambda t, y, p, u: y.s - 0.5, "up", hysteresis=wide)
            wave = System("wave", ("s", "c"), (), (), lambda t, y, p, u: (y.c, -y.s), "hour", events=(event,))
            found = solve(
                wave, [[0.0, 1.0]], np.zeros((1, 0)), 0.0, 8.0 * np.pi, None, None, SHARP, method=method, keep_events=4
            )
            counts.append(int(found.event_counts[0, 0]))
            times = found.event_times[0, 0, : counts[-1]]
            worst = max(worst, float(np.abs(times / (np.pi / 6 + 2 * np.pi * np.arange(len(times))) - 1.0).max()))
        return worst if counts == [4, 4, 1] else np.inf, f"counts {counts} for 0, 1.4 and 1.6; expected [4, 4, 1]"

    return _each_method("crossings of a sine, with hysteresis", "pi / 6 + 2 pi n", 1e-8, "100 rtol (1e-10)", error)


def two_in_one_step() -> list[Row]:
    """Events closer together than any step: both are found, and the effect of the first counts for the second.

    x grows at the rate 1; at 5 it doubles, so the threshold of 11 is reached at t = 6, and the one of 5.0001 at once.
    """

    def error(method: Method) -> tuple[float, str]:
        double = Event("double", lambda t, y, p, u: y.x - 5.0, "up", effect=lambda t, y, p, u: {"x": 2.0 * y.x})
        near = Event("near", lambda t, y, p, u: y.x - 5.0001, "up")
        later = Event("later", lambda t, y, p, u: y.x - 11.0, "up")
        system = System("line", ("x",), (), (), lambda t, y, p, u: (1.0,), "hour", events=(double, near, later))
        found = solve(system, [[0.0]], np.zeros((1, 0)), 0.0, 9.0, None, None, SHARP, method=method)
        times, counts = found.event_times[0, :, 0], found.event_counts[0].tolist()
        worst = float(np.abs(times / np.array([5.0, 5.0, 6.0]) - 1.0).max())
        return worst if counts == [1, 1, 1] else np.inf, f"times {np.array2string(times, precision=9)}, counts {counts}"

    return _each_method(
        "two events in one step, one by the other's effect", "5, 5 and 6", 1e-9, "10 rtol (1e-10)", error
    )


def dose_over_threshold() -> list[Row]:
    """A dose that jumps over a threshold is the event, at the dose's own time to the last bit."""

    def error(method: Method) -> tuple[float, str]:
        event = Event("toxic", lambda t, y, p, u: y.x - 5.0, "up")
        system = System("doses", ("x",), (), (), lambda t, y, p, u: (-0.5 * y.x,), "hour", events=(event,))
        doses = Records(np.array([[0.1, 3.3, 7.7]]), np.zeros((1, 3), np.int64), np.array([[3.0, 9.0, 9.0]]))
        found = solve(system, [[0.0]], np.zeros((1, 0)), 0.0, 10.0, doses, None, SHARP, method=method, keep_events=2)
        return float(np.abs(found.event_times[0, 0] - [3.3, 7.7]).max()), f"counted {found.event_counts[0, 0]}"

    return _each_method("doses that jump over a threshold", "times of the doses", 0.0, "the very number", error)


def grazing() -> list[Row]:
    """A parabola that is above zero for a hundredth of the time of a step is not missed."""

    def error(method: Method) -> tuple[float, str]:
        event = Event("near", lambda t, y, p, u: y.x, "up")
        system = System("arc", ("x", "v"), (), (), lambda t, y, p, u: (y.v, -2.0), "hour", events=(event,))
        top = 1e-4
        found = solve(system, [[top - 25.0, 10.0]], np.zeros((1, 0)), 0.0, 10.0, None, None, SHARP, method=method)
        return abs(float(found.event_times[0, 0, 0]) - (5.0 - np.sqrt(top))), f"{int(found.steps[0])} steps"

    return _each_method(
        "the rise of a parabola above zero for 0.02 of 10 h", "5 - sqrt(top)", 1e-6,
        "1e-8 of the largest value, over a slope of 0.02", error,
    )  # fmt: skip


def ends() -> list[Row]:
    """An event that ends the twin: the time, the state there, nothing after it."""

    def error(method: Method) -> tuple[float, str]:
        death = Event("death", lambda t, y, p, u: y.x - 1.0, "down", ends=Status.COMPLETED)
        system = System("decay", ("x",), ("k",), (), lambda t, y, p, u: (-p.k * y.x,), "hour", events=(death,))
        rates, times = np.array([0.1, 0.5, 2.0]), np.linspace(0.0, 30.0, 301)
        found = solve(system, np.full((3, 1), 10.0), rates[:, None], 0.0, 30.0, None, times, SHARP, method=method)
        truth = np.log(10.0) / rates
        worst = np.abs(found.ended_at / truth - 1.0).max()
        state = np.abs(found.end_state - 1.0).max()
        sound = (np.isnan(found.samples[:, :, 0]) == (times > found.ended_at[:, None])).all()
        return (max(float(worst), float(state)) if sound else np.inf), f"state there off by {state:.1e}"

    return _each_method("the event that ends a twin", "ln(10) / k", 1e-8, "100 rtol (1e-10)", error)


def inside_long_steps() -> list[Row]:
    """A threshold of a slow solution that a stiff system follows in steps far longer than its fast time."""
    rows = []
    methods: tuple[Method, ...] = ("rodas5p", "auto")
    truth = np.pi / 6.0 + np.array([0.0, 2.0 * np.pi])
    event = Event("half", lambda t, y, p, u: y.x - 0.5, "up")
    system = replace(FOLLOWER, events=(event,))
    for method in methods:
        for stiffness in (1e2, 1e4, 1e6, 1e8):
            found = solve(
                system, [[0.0]], [[stiffness]], 0.0, 10.0, None, None, Tolerance(1e-8, 1e-10), method=method,
                keep_events=2,
            )  # fmt: skip
            rows.append(
                Row(
                    f"{method}: a threshold inside long steps, stiffness {stiffness:g}", "asin(1/2) + 2 pi n",
                    float(np.abs(found.event_times[0, 0] / truth - 1.0).max()), 1e-6, "100 rtol (1e-8)",
                    note=f"{int(found.steps[0])} steps",
                )
            )  # fmt: skip
    return rows


def _two_springs(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    return y.v, -(maximum(y.x, 0.0) + 4.0 * minimum(y.x, 0.0))


def kinks() -> list[Row]:
    """A mass between two springs, one four times as stiff: two sines, joined where the force has a kink."""
    system = System("two springs", ("x", "v"), (), (), _two_springs, "second")
    times = np.linspace(0.0, 15.0 * np.pi, 1001)
    phase = np.mod(times, 1.5 * np.pi)
    truth = np.where(phase < np.pi, np.sin(phase), -0.5 * np.sin(2.0 * (phase - np.pi)))

    def error(method: Method) -> tuple[float, str]:
        found = solve(
            system, [[0.0, 1.0]], np.zeros((1, 0)), 0.0, times[-1], None, times, Tolerance(1e-8, 1e-10), method=method
        )
        return float(np.abs(found.samples[0, :, 0] - truth).max()), f"{int(found.steps[0])} steps over 20 kinks"

    return _each_method(
        "ten periods of a right-hand side with kinks", "sines of two frequencies", 1e-5,
        "1000 rtol (1e-8): phase errors add up", error,
    )  # fmt: skip


CHECKS = tuple(
    Check("events", check.__name__, check)
    for check in (
        bouncing_ball, thresholds, hysteresis, two_in_one_step, dose_over_threshold, grazing, ends, inside_long_steps,
        kinks,
    )
)  # fmt: skip
