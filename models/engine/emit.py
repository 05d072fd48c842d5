"""Write a traced right-hand side as the source of one compiled scalar function."""

from __future__ import annotations

from .system import System
from .trace import trace


def rhs_source(system: System) -> str:
    """Source of `rhs(t, y, p, u, dy)` over flat arrays, in the order of operations of the model's own function.

    Products are fused with sums and the functions of mathematics are the engine's own (`lanes.elementary`), so compiled
    and uncompiled results differ by rounding.
    """
    graph, derivatives = trace(system)
    nodes = "".join(f"    {node!r},\n" for node in graph.nodes)
    return (
        f'"""Right-hand side of {system.name}, written by the engine from the model\'s own function."""\n\n'
        f"from numba import njit\n\nfrom {__package__}.lanes.scalar import right_hand_side\n\n"
        f"STATES = {len(system.states)}\n"
        f"write = right_hand_side(\n    (\n{nodes}    ),\n    {tuple(derivatives)!r},\n)\n\n\n"
        '@njit(error_model="numpy", inline="never", cache=True)\n'
        "def rhs(t, y, p, u, dy):\n    write(t, y, p, u, dy)\n"
    )
