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
    from .cohorts import (
        Population as Population,
        Screening as Screening,
        load_population as load_population,
        sample_twins as sample_twins,
        screen as screen,
    )
    from .models.dosing import (
        Compartment as Compartment,
        Layout as Layout,
        parse_regimen as parse_regimen,
        read_events as read_events,
    )
    from .models.engine import (
        Action as Action,
        Event as Event,
        Records as Records,
        Solution as Solution,
        System as System,
        hazard as hazard,
        solve as solve,
    )
    from .models.model import (
        Model as Model,
        Output as Output,
        Parameter as Parameter,
        Schedule as Schedule,
        Status as Status,
        Tolerance as Tolerance,
        find_model as find_model,
    )
    from .models.units import quantity as quantity
    from .trials import Protocol as Protocol, ProtocolError as ProtocolError, load_protocol as load_protocol
    from .trials.analysis.data import AnalysisData as AnalysisData
    from .trials.analysis.fit import Fit as Fit, fit as fit
    from .trials.observe import observe as observe
    from .trials.simulate import simulate_block as simulate_block
    from .trials.true_effect import true_effects as true_effects
    from .workflows.cluster import Cluster as Cluster
    from .workflows.run import run_trial as run_trial
    from .workflows.slurm import Slurm as Slurm

__version__ = "0.1.0"

_PUBLIC = {
    "Action": "models.engine",
    "AnalysisData": "trials.analysis.data",
    "Cluster": "workflows.cluster",
    "Compartment": "models.dosing",
    "Event": "models.engine",
    "Fit": "trials.analysis.fit",
    "Layout": "models.dosing",
    "Model": "models.model",
    "Output": "models.model",
    "Parameter": "models.model",
    "Population": "cohorts",
    "Protocol": "trials",
    "ProtocolError": "trials",
    "Records": "models.engine",
    "Schedule": "models.model",
    "Screening": "cohorts",
    "Slurm": "workflows.slurm",
    "Solution": "models.engine",
    "Status": "models.model",
    "System": "models.engine",
    "Tolerance": "models.model",
    "find_model": "models.model",
    "fit": "trials.analysis.fit",
    "hazard": "models.engine",
    "load_population": "cohorts",
    "load_protocol": "trials",
    "observe": "trials.observe",
    "parse_regimen": "models.dosing",
    "quantity": "models.units",
    "read_events": "models.dosing",
    "run_trial": "workflows.run",
    "sample_twins": "cohorts",
    "screen": "cohorts",
    "simulate_block": "trials.simulate",
    "solve": "models.engine",
    "true_effects": "trials.true_effect",
}


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'twinarm' has no attribute {name!r}; its names are {', '.join(_PUBLIC)}")
    value: object = getattr(importlib.import_module(f".{_PUBLIC[name]}", __name__), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted([*_PUBLIC, "__version__"])
