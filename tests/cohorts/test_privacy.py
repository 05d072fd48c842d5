"""Privacy: a generator that knows only the law passes, one that copies people with a little noise is found."""

import numpy as np
import pytest
import xarray as xr

from twinarm.cohorts.likeness.privacy import LIMIT, PrivacyError, privacy


def table(values, words=None):
    columns = {f"x{i}": ("twin", column) for i, column in enumerate(values.T)}
    if words is not None:
        columns["sex"] = ("twin", words)
    return xr.Dataset(columns, {"twin": np.arange(len(values))})


@pytest.fixture(scope="module")
def people():
    draw = np.random.default_rng(4)
    mixing = draw.normal(size=(5, 5))
    groups = [draw.normal(size=(n, 5)) @ mixing for n in (600, 600, 1200)]
    return [table(g, np.where(draw.random(len(g)) < 0.5, "female", "male")) for g in groups]


def test_a_generator_that_knows_the_law_alone_passes(people):
    training, held_out, fresh = people
    found = privacy(fresh, training, held_out, 1)
    assert found.passes and abs(found.attack - 0.5) < 4 * found.error and found.copies == 0
    assert abs(found.closer - 0.5) < 4 * 0.5 / np.sqrt(1200)
    assert found.to_training[1] == pytest.approx(found.to_held_out[1], rel=0.1)


def test_a_generator_that_learned_the_moments_passes(people):
    training, held_out, _ = people
    values = np.array([training[f"x{i}"].to_numpy() for i in range(5)])
    drawn = np.random.default_rng(8).multivariate_normal(values.mean(axis=1), np.cov(values), size=2000)
    found = privacy(table(drawn), training, held_out, 1)
    assert found.attack <= LIMIT and found.variables == ("x0", "x1", "x2", "x3", "x4")


def test_planted_copies_are_found(people):
    training, held_out, _fresh = people
    values = np.array([training[f"x{i}"].to_numpy() for i in range(5)]).T
    noise = np.random.default_rng(2).normal(scale=0.05, size=values.shape)
    found = privacy(table(values + noise, training["sex"].to_numpy()), training, held_out, 1)
    assert found.attack > 0.95 and not found.passes and found.closer > 0.95
    assert found.to_training[1] < 0.2 * found.to_held_out[1]
    exact = privacy(training, training, held_out, 1)
    assert exact.copies == 600 and exact.attack > 0.99


def test_a_few_copies_among_many_are_counted(people):
    training, held_out, fresh = people
    some = xr.concat([fresh, training.isel(twin=slice(60))], dim="twin")
    found = privacy(some, training, held_out, 1)
    assert found.copies == 60 and found.attack > 0.52


def test_groups_of_other_sizes_are_cut_to_the_same(people):
    training, held_out, fresh = people
    found = privacy(fresh, training, held_out.isel(twin=slice(300)), 1)
    assert found.people == 300 and abs(found.closer - 0.5) < 0.06


def test_the_order_of_rows_does_not_matter(people):
    training, held_out, fresh = people
    found, again = (
        vars(privacy(*tables, 1))
        for tables in (
            (fresh, training, held_out),
            [g.isel(twin=slice(None, None, -1)) for g in (fresh, training, held_out)],
        )
    )
    assert again.pop("variables") == found.pop("variables") and again == {k: pytest.approx(v) for k, v in found.items()}


def test_tables_that_cannot_be_compared(people):
    training, held_out, fresh = people
    with pytest.raises(PrivacyError, match="1 variables are in all three tables"):
        privacy(fresh, training[["x0"]], held_out, 1)
    few = slice(5)
    for tables, said in (
        ((fresh.isel(twin=few), training, held_out), "twins have 5 complete rows, at least 20 are needed"),
        ((fresh, training.isel(twin=few), held_out), "the people learned from have 5 complete rows"),
        ((fresh, training, held_out.isel(twin=few)), "the people held back have 5 complete rows"),
    ):
        with pytest.raises(PrivacyError, match=said):
            privacy(*tables, 1)
    with pytest.raises(PrivacyError, match="sex is words in one table"):
        privacy(fresh, training.assign(sex=training["x0"]), held_out, 1)
