"""twinarm: in silico clinical trials, from a protocol file to evidence.

The public names are listed once, in `_PUBLIC`, and imported on first use.
"""

import importlib
import os
from typing import TYPE_CHECKING

# The four packages are folders at the root of the project. Where the links to them are missing beside this
# file (an unpacked sdist, a checkout without links) they are found one folder up.
if not os.path.isdir(os.path.join(os.path.dirname(__file__), "trials")):
    __path__.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

if TYPE_CHECKING:
    from .models.engine import solve as solve
    from .models.model import (
        Model as Model,
        Output as Output,
        Parameter as Parameter,
        Schedule as Schedule,
        Status as Status,
    )
    from .models.units import quantity as quantity
    from .trials.protocol import Protocol as Protocol

__version__ = "0.1.0"

_PUBLIC = {
    "Model": "models.model",
    "Output": "models.model",
    "Parameter": "models.model",
    "Protocol": "trials.protocol",
    "Schedule": "models.model",
    "Status": "models.model",
    "quantity": "models.units",
    "solve": "models.engine",
}


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(
            f"module 'twinarm' has no attribute {name!r}; its names are {', '.join(_PUBLIC)}"
        )
    value: object = getattr(importlib.import_module(f".{_PUBLIC[name]}", __name__), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted([*_PUBLIC, "__version__"])
