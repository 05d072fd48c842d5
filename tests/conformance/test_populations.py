"""What every population of the library keeps, found by its place: it loads, samples, and states its sources."""

import typing

import numpy as np
import pytest

from twinarm.cohorts import load_population, population_names, sample_twins, screen
from twinarm.models.model import Provenance, find_model

NAMES = population_names()


@pytest.fixture(scope="module", params=NAMES)
def population(request):
    return load_population(request.param)


@pytest.fixture(scope="module")
def twins(population):
    return sample_twins(population, np.arange(200), seed=1)


def test_name_is_that_of_the_file(population):
    assert population.name in NAMES


def test_words_for_the_reader(population):
    for words in (population.title, population.period, population.method, population.limits):
        assert words.strip()
    assert all(source.citation and source.licence for source in population.sources)


def test_every_variable_has_unit_meaning_and_source(twins):
    for name, variable in twins.data_vars.items():
        assert variable.dims == ("twin",), name
        for key in ("units", "long_name", "source"):
            assert str(variable.attrs.get(key, "")).strip(), (name, key)
        assert variable.attrs["provenance"] in typing.get_args(Provenance), name


@pytest.fixture(scope="module")
def screening(population):
    return screen(population, 200, 1)


def test_no_value_is_missing_in_a_plausible_twin(screening):
    for name, variable in screening.cohort.data_vars.items():
        if variable.dtype.kind == "f":
            assert np.isfinite(variable.values).all(), name


def test_variables_are_those_of_a_sample(population, twins):
    assert population.variables == tuple(str(name) for name in twins.data_vars)


def test_a_slice_is_the_same_rows_of_the_whole(population, twins):
    assert sample_twins(population, np.arange(57, 61), seed=1).identical(twins.isel(twin=slice(57, 61)))


def test_the_model_finds_what_it_requires(population, twins):
    if population.model is not None:
        assert set(find_model(population.model).requires) <= set(twins.data_vars)


def test_most_candidates_are_plausible(screening):
    assert screening.candidates < 250
