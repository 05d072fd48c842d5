"""What is read bit by bit is what is read whole, and damage is found on either way."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings, strategies as st

from twinarm.models.model import Status
from twinarm.trials.measures import Layout
from twinarm.workflows import lazy, store
from twinarm.workflows.run import write_ledger
from twinarm.workflows.run_folder import RunFolder

TWINS, ROWS, BLOCKS = 1000, 64, 16


@pytest.fixture
def cohort(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(lazy, "SMALL", 0)
    rng = np.random.default_rng(1)
    columns = {
        "weight": ("twin", rng.normal(size=TWINS), {"units": "kg"}),
        "sex": ("twin", rng.choice(["female", "male"], TWINS)),
        "visits": (("twin", "visit"), rng.normal(size=(TWINS, 3))),
    }
    saved = xr.Dataset(columns, coords={"twin": np.arange(TWINS) * 3, "visit": ["a", "b", "c"]})
    store.save(tmp_path / "cohort.zarr", saved, ROWS)
    return tmp_path / "cohort.zarr"


bounds = st.one_of(st.none(), st.integers(-TWINS - 5, TWINS + 5))
steps = st.one_of(st.none(), st.integers(-7, 7).filter(bool))
# A slice that goes down and is empty is an error in xarray itself.
slices = st.builds(slice, bounds, bounds, steps).filter(lambda s: (s.step or 1) > 0 or range(*s.indices(TWINS)))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(st.one_of(slices, st.integers(0, TWINS - 1)), max_size=6))
def test_any_rows_in_any_order_are_those_of_the_whole(cohort: Path, asked):
    whole, bitwise = store.load(cohort), lazy.lazily(cohort)
    assert not isinstance(bitwise["weight"].variable._data, np.ndarray)
    for rows in asked:
        for name in ("twin", "weight", "sex", "visits"):
            np.testing.assert_array_equal(bitwise[name].isel(twin=rows).values, whole[name].isel(twin=rows).values)


def test_what_is_read_may_be_written_over(cohort: Path):
    bitwise = lazy.lazily(cohort)
    first = bitwise["weight"].isel(twin=slice(0, 10)).values
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(bitwise["weight"].isel(twin=slice(0, 10)).values, kept)


def test_in_order_each_chunk_is_read_once(cohort: Path, monkeypatch):
    read = []
    stored = lazy._Stored._stored
    monkeypatch.setattr(lazy._Stored, "_stored", lambda self, key: read.append(key) or stored(self, key))
    weight = lazy.lazily(cohort)["weight"]
    for first in range(0, TWINS, 8):
        assert weight.isel(twin=slice(first, first + 8)).values.size == 8
    assert len(read) == -(-TWINS // ROWS)


@pytest.fixture
def outcomes(tmp_path) -> Path:
    """Blocks in two arms, the last block short."""
    path = tmp_path / "outcomes.zarr"
    layout = {"value": Layout(("twin", "arm", "visit"), "float64", {}), "status": Layout(("twin", "arm"), "int8", {})}
    coords = {"twin": np.arange(TWINS), "arm": np.array(["drug", "placebo"]), "visit": np.array(["a", "b", "c"])}
    store.create(path, layout, coords, ROWS)
    rng = np.random.default_rng(2)
    for place in places():
        count = place.stop - place.first
        values = {"value": rng.normal(size=(count, 3)), "status": rng.integers(1, 3, count).astype(np.int8)}
        store.write_block(path, place, values)
    return path


def places():
    spans = [(block, block * ROWS, min(TWINS, (block + 1) * ROWS)) for block in range(BLOCKS)]
    return [store.Place(*span, arm) for span in spans for arm in (0, 1)]


@pytest.mark.parametrize("ahead", [1, 3 * ROWS, 10 * TWINS])
def test_blocks_read_together_are_blocks_read_alone(outcomes: Path, monkeypatch, ahead):
    monkeypatch.setattr(lazy, "AHEAD", ahead)
    blocks = lazy.Blocks(outcomes)
    for place in [*places(), *reversed(places())]:
        alone, together = store.read_block(outcomes, place), blocks.read(place)
        assert list(alone) == list(together)
        assert store.hash_arrays(alone) == store.hash_arrays(together)


@pytest.mark.parametrize("how", ["missing", "cut short", "a bit"])
def test_damage_is_that_of_the_block_in_which_it_is(outcomes: Path, how):
    chunk = outcomes / "status" / "c.5.1"
    content = bytearray(chunk.read_bytes())
    content[3] ^= 4
    if how == "missing":
        chunk.unlink()
    else:
        chunk.write_bytes(content if how == "a bit" else content[:4])
    blocks = lazy.Blocks(outcomes)
    for place in places():
        if (place.block, place.arm) == (5, 1):
            with pytest.raises(store.DamagedStore):
                blocks.read(place)
        else:
            blocks.read(place)


def test_a_store_without_readable_metadata_is_damaged_in_every_block(outcomes: Path):
    (outcomes / "value" / "zarr.json").write_text("{")
    blocks = lazy.Blocks(outcomes)
    for place in places()[:2]:
        with pytest.raises(store.DamagedStore):
            blocks.read(place)


def test_the_ledger_reads_the_outcomes_once_however_many_failed(tmp_path, monkeypatch):
    monkeypatch.setattr(lazy, "SMALL", 0)
    status = np.full((40, 2), Status.COMPLETED, dtype=np.int8)
    status[::2, 1] = Status.OUT_OF_RANGE
    days = np.where(status == Status.COMPLETED, np.nan, np.arange(40.0)[:, None])
    pairs = ("twin", "arm")
    saved = xr.Dataset(
        {"status": (pairs, status), "failed_at": (pairs, days)},
        coords={"twin": np.arange(40) * 5, "arm": ["drug", "placebo"]},
    )
    store.save(tmp_path / "outcomes.zarr", saved, 8)
    read = []
    stored = lazy._Stored._stored
    monkeypatch.setattr(lazy._Stored, "_stored", lambda self, key: read.append(self.path) or stored(self, key))
    manifest = SimpleNamespace(candidates=50, screening=(), rows=40, seed=7)
    write_ledger(RunFolder(tmp_path), manifest, lazy.lazily(tmp_path / "outcomes.zarr"), ())
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    failed = [(line["twin"], line["arm"], line["day"]) for line in lines if line["stage"] == "failed"]
    assert failed == [(5 * row, "placebo", float(row)) for row in range(0, 40, 2)]
    assert sorted(read) == ["failed_at", "status", "twin"]
