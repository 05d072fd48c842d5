"""A Numba function called through its machine code: the same work as under Numba, and without it the second time."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from twinarm.models.engine.native import Native

SOURCE = """
from typing import NamedTuple

import numpy as np
from numba import njit

machine_code = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)


@machine_code
def add(row, pair, k):
    row[k] += pair.many[k, 0] + pair.few[0]


@machine_code
def work(factor, out, sizes, pair):
    for k in range(sizes.count):
        row = out[k]
        add(row, pair, sizes.first)
        row[0] *= factor


@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def allocating(out):
    out[:] = np.ones(3)


@njit
def wrapped(out):
    out[0] = 1.0
"""


class Sizes(NamedTuple):
    count: int
    first: int


class Pair(NamedTuple):
    few: np.ndarray
    many: np.ndarray


@pytest.fixture
def module(tmp_path, monkeypatch):
    path = tmp_path / "native_work.py"
    path.write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield path
    sys.modules.pop("native_work", None)


def call(work):
    out, many = np.ones((2, 3)), np.arange(12.0).reshape(2, 6)[:, ::3]
    work(10, out[:, ::2], Sizes(2, 1), Pair(np.array([5.0]), many))
    return out, many


def test_arrays_are_changed_in_place_also_through_gaps_and_tuples(module):
    out, many = call(Native("native_work", "work", [module], module.parent))
    assert out.tolist() == [[10.0, 1.0, 1.0 + 6.0 + 5.0]] * 2
    assert (many == np.arange(12.0).reshape(2, 6)[:, ::3]).all()


def test_numba_is_not_loaded_to_call_what_was_compiled_before(module):
    call(Native("native_work", "work", [module], module.parent))
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); sys.path.insert(0, sys.argv[2])\n"
        "import test_native as t; from pathlib import Path\n"
        "out, _ = t.call(t.Native('native_work', 'work', [Path(sys.argv[2]) / 'native_work.py'], Path(sys.argv[2])))\n"
        "print(out[1, 2], 'numba' in sys.modules, 'native_work' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(Path(__file__).parent), str(module.parent)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.split() == ["12.0", "False", "False"]


@pytest.mark.parametrize("name", ["allocating", "wrapped"])
def test_what_needs_numba_beside_it_is_refused(module, name):
    with pytest.raises(RuntimeError, match="it calls"):
        Native("native_work", name, [module], module.parent)(np.zeros(3))
