"""Random numbers inside a kernel are the ones of `models.randomness`; both are Philox4x64-10."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.special import ndtri

from twinarm.models import randomness
from twinarm.models.engine.kernel import random as kernel


@given(
    seed=st.integers(0, 2**63 - 1),
    unit=st.integers(0, 2**40),
    index=st.integers(0, 10_000),
    purpose=st.sampled_from(["bsv.CL", "meal.carbs", "täglich"]),
)
@settings(max_examples=60, deadline=None)
def test_the_kernel_draws_what_numpy_draws(seed, unit, index, purpose):
    key = np.array(randomness.key_words(seed, purpose), np.uint64)
    expected = randomness.uniforms(seed, purpose, [unit], index + 1)[0, index]
    assert kernel.uniform(key, unit, index) == expected


def test_numpy_philox_equals_its_published_known_answer():
    """Random123's known answer: counter and key of all ones; NumPy increments the counter before it generates."""
    ones = 2**64 - 1
    stream = np.random.Philox(key=(ones << 64) | ones, counter=[ones - 1, ones, ones, ones])
    expected = [0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0]
    assert stream.random_raw(4).tolist() == expected


@given(st.lists(st.integers(0, 500), min_size=1, max_size=20), st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_a_row_depends_on_its_own_unit_alone(units, count):
    whole = randomness.uniforms(3, "slices", np.arange(501), count)
    assert (randomness.uniforms(3, "slices", units, count) == whole[units]).all()


def test_uniforms_are_uniform_and_uncorrelated():
    u = randomness.uniforms(11, "law", np.arange(50_000), 4)
    n = u.shape[0]
    assert u.min() > 0 and u.max() < 1
    assert np.abs(u.mean(axis=0) - 0.5).max() < 4 / np.sqrt(12 * n)
    assert np.abs(np.corrcoef(u.T) - np.eye(4)).max() < 4 / np.sqrt(n)
    assert np.corrcoef(u[:-1, 0], u[1:, 0])[0, 1] == pytest.approx(0, abs=4 / np.sqrt(n))


def test_purposes_and_seeds_give_other_streams():
    a, b, c = (randomness.uniforms(s, p, np.arange(2000))[:, 0] for s, p in ((1, "x"), (1, "y"), (2, "x")))
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.09 and abs(np.corrcoef(a, c)[0, 1]) < 0.09


def test_the_normal_quantile_matches_scipy_to_the_last_digits():
    u = np.concatenate([np.linspace(1e-6, 1 - 1e-6, 4001), 10.0 ** np.arange(-15, -6)])
    found = np.array([kernel.normal_quantile(x) for x in u])
    assert np.abs(found / np.where(u == 0.5, 1, ndtri(u)) - 1)[u != 0.5].max() < 2e-14
