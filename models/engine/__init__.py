"""The ensemble engine: one scalar right-hand side, traced and compiled, every twin with its own adaptive step.

    system = System(name=..., states=..., parameters=..., inputs=..., rhs=..., time_unit="hour")
    solution = solve(system, y0, p, start, stop, records, sample_times, tolerance)

`system` holds the equations and events, `checks` refuses what cannot be carried out, `trace` turns a system into a list
of operations, `reciprocals` and `derivatives` rework it, `lanes/` writes all of it as the instructions of one step of
several twins at a time, `compile` and `native` keep what was compiled on disk, `kernel/` holds the driver of the lanes,
`solve` drives a block of twins, `follow` does so for a model whose own module (a device, a person: `kernel.device`
shows one) acts on them as they go, and `reference` runs the same equations uncompiled through SciPy.
"""

from .solve import Solution, solve
from .system import Action, Event, Records, System, hazard

__all__ = ["Action", "Event", "Records", "Solution", "System", "hazard", "solve"]
