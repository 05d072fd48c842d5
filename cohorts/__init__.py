"""Who the twins are: populations, sampling, plausibility, eligibility."""

from .population import Population
from .population_file import PopulationError, load_population, population_names
from .sampling import sample_twins
from .screening import Screening, ScreeningError, screen

__all__ = [
    "Population",
    "PopulationError",
    "Screening",
    "ScreeningError",
    "load_population",
    "population_names",
    "sample_twins",
    "screen",
]
