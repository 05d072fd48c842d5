"""Compiled densities against PyMC's own functions, and compiled graphs against NumPy."""

import ctypes

import numpy as np
import pytest

from twinarm.models.engine.compile import cache_folder
from twinarm.models.engine.lanes.machine import function_address
from twinarm.trials.analysis.catalogue import catalogue_model
from twinarm.trials.analysis.density import compile_density
from twinarm.trials.analysis.fit import _prepare
from twinarm.trials.analysis.loops import NOT_FINITE, function_text
from twinarm.trials.analysis.sampling import load_libraries

from .conftest import KINDS

pytestmark = [pytest.mark.analysis, pytest.mark.filterwarnings("ignore::FutureWarning")]


@pytest.fixture(scope="module", autouse=True)
def libraries():
    load_libraries()


def call(address, counts, point, outputs, data):
    """Call a compiled function; its return value."""
    table = np.array([array.ctypes.data for array in data], dtype=np.uintp)
    kinds = [ctypes.c_uint64] * counts + [ctypes.c_void_p] * (len(outputs) + 2)
    arguments = [point.size] * counts + [array.ctypes.data for array in (point, *outputs, table)]
    return ctypes.CFUNCTYPE(ctypes.c_int64, *kinds)(address)(*arguments)


def run(inputs, values, graphs):
    """Values of graphs of some inputs, which are given as data."""
    text = function_text("NAME", 0, [], inputs, [graphs])
    address = function_address(cache_folder(), text, lambda name: text.replace("NAME", name))
    found = np.full(sum(int(np.prod(graph.type.shape)) for graph in graphs), np.nan)
    data = [np.array(value, dtype=np.float64, order="C") for value in values]
    return call(address, 0, np.zeros(1), [found], data), found


@pytest.fixture(params=[*KINDS, "no events", "one interval", "one subject an arm"])
def prepared(request, trial, rule):
    case = request.param
    model = case if case in KINDS else "count" if case == "no events" else "piecewise-exponential"
    data = trial(KINDS[model], n=2 if case == "one subject an arm" else 60, covariates=case != "one subject an arm")
    if case == "no events":
        data.y[:] = 0
    return _prepare(data, rule(model, intervals=1 if case == "one interval" else 6))


def test_density_gradient_and_parameters_are_those_of_pymc(prepared):
    import pymc
    from pytensor.compile.mode import Mode

    model = catalogue_model(prepared.structure.model).build(prepared.structure)
    arrays = {name: np.array(value, dtype=np.float64, order="C") for name, value in prepared.arrays.items()}
    density = compile_density(model, {name: array.shape for name, array in arrays.items()})
    data = [arrays[name] for name in density.data]
    with model:
        pymc.set_data(arrays)
    values = [model.rvs_to_values[parameter] for parameter in model.free_RVs]
    graphs = [model.logp(), model.dlogp(), *model.replace_rvs_by_values(model.free_RVs)]
    expected = model.compile_fn(graphs, mode=Mode(linker="py", optimizer="fast_compile"))
    rng = np.random.default_rng(1)
    for scale in (0.1, 1.0, 3.0):
        point = density.start(1) * scale + 0.1 * rng.standard_normal(density.start(1).shape)
        places = np.cumsum([0] + [int(np.prod(value.type.shape)) for value in values])
        named = {
            value.name: point[first:last].reshape(value.type.shape)
            for value, first, last in zip(values, places, places[1:], strict=False)
        }
        log_density, slope, *parameters = expected(named)
        gradient, value, natural = np.empty_like(point), np.empty(1), np.empty_like(point)
        assert call(density.log_density, 1, point, [gradient, value], data) == 0
        assert call(density.expand, 2, point, [natural], data) == 0
        assert value[0] == pytest.approx(log_density, rel=1e-12)
        assert gradient == pytest.approx(slope, rel=1e-9, abs=1e-11 * np.abs(slope).max())
        assert natural == pytest.approx(np.concatenate([np.ravel(p) for p in parameters]), rel=1e-14)
    assert sum(int(np.prod(shape)) for shape in density.parameters.values()) == point.size


def test_a_density_that_is_not_finite_is_told(trial, rule):
    prepared = _prepare(trial("binary", n=20), rule("binary"))
    arrays = {name: np.array(value, dtype=np.float64, order="C") for name, value in prepared.arrays.items()}
    model = catalogue_model("binary").build(prepared.structure)
    density = compile_density(model, {name: array.shape for name, array in arrays.items()})
    data = [arrays[name] for name in density.data]
    for bad in (np.inf, -np.inf, np.nan):
        point = density.start(1)
        point[1] = bad
        assert call(density.log_density, 1, point, [np.empty_like(point), np.empty(1)], data) == NOT_FINITE


def test_element_wise_functions_have_a_few_units_in_the_last_place():
    import pytensor.tensor as pt

    x = np.concatenate([-np.logspace(3, -300, 400), [0.0], np.logspace(-300, 3, 400)])
    positive = np.concatenate([-np.logspace(-1e-9, -300, 400), [0.0], np.logspace(-300, 300, 400)])
    v = pt.tensor("v", dtype="float64", shape=x.shape)
    extended = x.astype(np.longdouble)
    expected = {
        pt.softplus: np.maximum(extended, 0) + np.log1p(np.exp(-np.abs(extended))),
        pt.sigmoid: 1 / (1 + np.exp(-extended)),
        pt.sqr: extended**2,
    }
    for function, right in expected.items():
        code, found = run([v], [x], [function(v)])
        assert code == 0
        np.testing.assert_allclose(found, right.astype(np.float64), rtol=2e-15, atol=1e-305, err_msg=str(function))
    w = pt.tensor("w", dtype="float64", shape=positive.shape)
    _, found = run([w], [positive], [pt.log1p(w)])
    right = np.log1p(positive.astype(np.longdouble)).astype(np.float64)
    np.testing.assert_allclose(found, right, rtol=1e-15)
    _, found = run([w], [positive], [pt.switch(w < 1.0, -w, pt.sqrt(w))])
    assert np.array_equal(found, np.where(positive < 1, -positive, np.sqrt(np.maximum(positive, 0))))


def test_sums_views_and_constants_are_those_of_numpy():
    import pytensor.tensor as pt

    rng = np.random.default_rng(2)
    a, b, c = rng.standard_normal((5, 3)), rng.standard_normal(3), rng.standard_normal((5, 1))
    va, vb, vc = (pt.tensor(dtype="float64", shape=value.shape) for value in (a, b, c))
    table = np.arange(15.0).reshape(5, 3)
    shared = va * vb[None, :]  # used more than once: it is kept
    graphs = [
        shared.sum(),
        (shared + vc).sum(axis=0),
        (shared * pt.constant(table)).sum(axis=1),
        va.T.sum(axis=0),
        pt.alloc(vb, 5, 3) + va,
        (va * vc).sum(axis=(0, 1)) * vb,
    ]
    expected = [
        (a * b).sum(),
        (a * b + c).sum(axis=0),
        (a * b * table).sum(axis=1),
        a.sum(axis=1),
        a + b,
        (a * c).sum() * b,
    ]
    code, found = run([va, vb, vc], [a, b, c], graphs)
    assert code == 0
    assert found == pytest.approx(np.concatenate([np.ravel(value) for value in expected]), rel=1e-13)


def test_an_operation_that_is_not_known_is_named():
    import pytensor.tensor as pt

    v = pt.tensor("v", dtype="float64", shape=(3,))
    with pytest.raises(NotImplementedError, match="cannot compile Cumsum"):
        function_text("f", 0, [], [v], [[pt.cumsum(v)]])
    with pytest.raises(NotImplementedError, match="cannot compile ArcTan"):
        function_text("f", 0, [], [v], [[pt.arctan(v)]])
