"""The ensemble engine: one scalar right-hand side, traced and compiled, every twin with its own adaptive step.

    system = System(name=..., states=..., parameters=..., inputs=..., rhs=..., time_unit="hour")
    solution = solve(system, y0, p, start, stop, records, sample_times, tolerance)

`system` holds the equations, `trace` turns them into a list of operations, `emit` writes these as a compiled function,
`compile` keeps compiled kernels on disk, `kernel/` holds the steppers that are compiled beside it, `solve` drives a
block of twins, and `reference` runs the same equations uncompiled through SciPy.
"""

from .solve import Solution, solve
from .system import Records, System

__all__ = ["Records", "Solution", "System", "solve"]
