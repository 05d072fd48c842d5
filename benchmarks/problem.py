"""Write a workload as a file that other solvers read without twinarm: arrays, and its equations in their words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from workloads import Workload

from twinarm.models.engine import System
from twinarm.models.engine.trace import trace

Text = Callable[..., str]

PYTHON: dict[str, Text] = {
    "minimum": "min({}, {})".format, "maximum": "max({}, {})".format,
    "where": "({1} if {0} else {2})".format, "call": "math.{}({})".format, "**": "({} ** {})".format,
}  # fmt: skip
JAX: dict[str, Text] = {
    "minimum": "jnp.minimum({}, {})".format, "maximum": "jnp.maximum({}, {})".format,
    "where": "jnp.where({}, {}, {})".format, "call": "jnp.{}({})".format, "**": "({} ** {})".format,
}  # fmt: skip
ANTIMONY: dict[str, Text] = {
    "minimum": "piecewise({0}, {0} < {1}, {1})".format, "maximum": "piecewise({0}, {0} > {1}, {1})".format,
    "where": "piecewise({1}, {0}, {2})".format, "**": "({} ^ {})".format,
    "call": lambda name, x: f"{ {'log': 'ln'}.get(name, name)}({x})",
}  # fmt: skip
C: dict[str, Text] = {
    "minimum": "std::min({}, {})".format, "maximum": "std::max({}, {})".format,
    "where": "({} ? {} : {})".format, "call": "{}({})".format, "**": "pow({}, {})".format,
}  # fmt: skip


def formulas(system: System, words: dict[str, Text], leaf: Callable[[str, int], str]) -> tuple[list[str], list[str]]:
    """Definitions (`name = formula`) of what is used more than once, and the derivatives, in words of a language."""
    graph, ends = trace(system)
    leaves = ("time", "state", "parameter", "input")
    operands = [() if kind in (*leaves, "constant") else tuple(args) for kind, *args in graph.nodes]
    needed: set[int] = set()
    waiting = list(ends)
    while waiting:
        i = waiting.pop()
        if i not in needed:
            needed.add(i)
            waiting += operands[i]
    uses = Counter(a for i in needed for a in operands[i])
    uses.update(ends)
    definitions, text = [], {}
    for i in sorted(needed):
        kind, *args = graph.nodes[i]
        v = [text[a] for a in operands[i]]
        if kind == "constant":
            text[i] = f"({float.fromhex(args[0])!r})"
        elif kind in leaves:
            text[i] = leaf(kind, args[0] if args else 0)
        else:
            if kind in words:
                written = words[kind](*v)
            elif kind == "neg":
                written = f"(-{v[0]})"
            else:
                written = words["call"](kind, v[0]) if kind.isalpha() else f"({v[0]} {kind} {v[1]})"
            # An antimony name cannot hold a truth, so that a condition is written out wherever it stands.
            if uses[i] > 1 and kind not in ("<", "<=", ">", ">="):
                definitions.append(f"v{i} = {written}")
                written = f"v{i}"
            text[i] = written
    return definitions, [text[end] for end in ends]


def array_source(system: System, words: dict[str, Text], result: str) -> str:
    """`rhs` over arrays; parameters and inputs stand in one array `pu`."""
    places = {"time": "t", "state": "y[{}]", "parameter": "pu[{}]", "input": "pu[{}]"}

    def leaf(kind: str, index: int) -> str:
        return places[kind].format(index + (len(system.parameters) if kind == "input" else 0))

    definitions, ends = formulas(system, words, leaf)
    if result == "dy":
        body = [*definitions, *[f"dy[{i}] = {end}" for i, end in enumerate(ends)]]
        head = "def rhs(t, y, pu, dy):"
    else:
        body, head = [*definitions, f"return jnp.stack([{', '.join(ends)}])"], "def rhs(t, y, pu):"
    return "\n".join([head, *[f"    {line}" for line in body]]) + "\n"


def named_source(system: System, words: dict[str, Text], time: str) -> dict[str, list[str]]:
    """Definitions and derivatives by the names of states, parameters and inputs (as the prefixed y_, p_, u_)."""

    def leaf(kind: str, index: int) -> str:
        if kind == "time":
            return time
        return {"state": "y_", "parameter": "p_", "input": "u_"}[kind] + {
            "state": system.states, "parameter": system.parameters, "input": system.inputs
        }[kind][index]  # fmt: skip

    definitions, ends = formulas(system, words, leaf)
    return {"definitions": definitions, "derivatives": ends}


def write_problem(workload: Workload, twins: int, path: Path) -> Path:
    """The first `twins` of a workload; records have the same times and targets for all, but each twin's own values."""
    w = workload
    assert (w.records.time == w.records.time[0]).all() and (w.records.target == w.records.target[0]).all()
    words = {
        "name": w.name, "states": w.system.states, "parameters": w.system.parameters, "inputs": w.system.inputs,
        "stiff": w.method == "rodas5p", "watched": [w.system.state(name) for name in w.watched],
        "python": "import math\n\n\n" + array_source(w.system, PYTHON, "dy"),
        "jax": array_source(w.system, JAX, "stack"),
        "antimony": named_source(w.system, ANTIMONY, "time"), "c": named_source(w.system, C, "SOLVERTIME"),
    }  # fmt: skip
    np.savez(
        path, words=np.array(json.dumps(words)), y0=w.y0[:twins], pu=np.hstack([w.p[:twins], w.inputs0[:twins]]),
        time=w.records.time[0], target=w.records.target[0], value=w.records.value[:twins], times=w.times,
        stop=np.array(w.stop),
    )  # fmt: skip
    return path
