"""Follow a block of twins through a model's own device: what `kernel.device` describes."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Literal

import numpy as np

from ..model import Tolerance
from .compile import cache_folder
from .lanes.equations import Program
from .lanes.function import step_function
from .system import System


def follow(
    kernel: ModuleType,
    system: System,
    start: np.ndarray,
    world: Any,
    tolerance: Tolerance,
    method: Literal["tsit5", "dop853", "rodas5p"] = "tsit5",
    lanes: Literal[1, 4, 8] = 8,
) -> None:
    """Carry every twin from its row of `start` to where the device lets it end; what is found stands in `world`.

    `kernel` is `compile.compiled(system, ...)`; `start` (twin, states + parameters + inputs) holds values at time 0;
    `lanes` changes the speed, never a bit of the result.

    Raises
    ------
    ValueError
        The system has events or actions of its own.
    """
    if system.events or system.actions:
        raise ValueError(
            f"{system.name!r} has events or actions, which a device does not see; let the device act instead"
        )
    step = step_function(system, Program.of(system), method, lanes, cache_folder())
    settings = np.array([tolerance.rtol, tolerance.atol, float(tolerance.max_steps)])
    kernel.loop.follow(step.address, np.zeros((step.layout.rows, lanes)), settings, start, world)
