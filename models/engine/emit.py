"""Write a traced right-hand side as the source of one compiled scalar function."""

from __future__ import annotations

from .system import System
from .trace import trace

_CALLS = {name: f"math.{name}" for name in ("exp", "log", "sqrt", "tanh", "sin", "cos")}


def rhs_source(system: System) -> str:
    """Source of `rhs(t, y, p, u, dy)` over flat arrays, in the order of operations of the model's own function.

    Nothing is reassociated, so compiled and uncompiled results differ by the last bits of exp, tanh and pow only.
    """
    graph, derivatives = trace(system)
    lines = []
    for index, (kind, *args) in enumerate(graph.nodes):
        v = [f"v{a}" for a in args]
        match kind:
            case "constant":
                text = repr(float.fromhex(args[0]))
            case "time":
                text = "t"
            case "state":
                text = f"y[{args[0]}]"
            case "parameter":
                text = f"p[{args[0]}]"
            case "input":
                text = f"u[{args[0]}]"
            case "neg":
                text = f"-{v[0]}"
            case "minimum":
                text = f"{v[1]} if {v[1]} < {v[0]} else {v[0]}"
            case "maximum":
                text = f"{v[1]} if {v[1]} > {v[0]} else {v[0]}"
            case "where":
                text = f"{v[1]} if {v[0]} else {v[2]}"
            case call if call in _CALLS:
                text = f"{_CALLS[call]}({v[0]})"
            case operator:
                text = f"{v[0]} {operator} {v[1]}"
        lines.append(f"    v{index} = {text}")
    lines += [f"    dy[{i}] = v{node}" for i, node in enumerate(derivatives)]
    body = "\n".join(lines)
    return (
        f'"""Right-hand side of {system.name}, written by the engine from the model\'s own function."""\n\n'
        "import math\n\nfrom numba import njit\n\n"
        f"STATES = {len(system.states)}\n\n\n"
        '@njit(error_model="numpy", inline="never", cache=True)\n'
        f"def rhs(t, y, p, u, dy):\n{body}\n"
    )
