"""Functions that a right-hand side may call: on numbers they compute, on symbols they are recorded."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .trace import Symbol


def _function(name: str, on_numbers: Callable[..., Any]) -> Callable[..., Any]:
    def apply(*arguments: Any) -> Any:
        symbol = next((a for a in arguments if isinstance(a, Symbol)), None)
        if symbol is None:
            return on_numbers(*arguments)
        graph = symbol.graph
        return graph.add(name, *(graph.lift(a).index for a in arguments))

    apply.__name__ = name
    apply.__doc__ = f"{name} of numbers or symbols."
    return apply


exp = _function("exp", math.exp)
log = _function("log", math.log)
sqrt = _function("sqrt", math.sqrt)
tanh = _function("tanh", math.tanh)
sin = _function("sin", math.sin)
cos = _function("cos", math.cos)
floor = _function("floor", lambda x: float(math.floor(x)))
minimum = _function("minimum", min)
maximum = _function("maximum", max)
where = _function("where", lambda condition, yes, no: yes if condition else no)
