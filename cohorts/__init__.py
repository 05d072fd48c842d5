"""Who the twins are: populations, sampling, plausibility, eligibility."""

from .criteria import CriteriaCohort, sample_criteria
from .criteria.clauses import CriteriaError
from .population import Population
from .population_file import PopulationError, load_population, population_names
from .sampling import sample_twins
from .screening import Screening, ScreeningError, screen

__all__ = [
    "CriteriaCohort",
    "CriteriaError",
    "Population",
    "PopulationError",
    "Screening",
    "ScreeningError",
    "load_population",
    "population_names",
    "sample_criteria",
    "sample_twins",
    "screen",
]
