"""The same bytes whatever computes them: blocks, workers, threads, order, neighbours; more arms or outputs beside them.

Jobs of Slurm are in `test_slurm.py`, two hosts in `test_two_hosts.py`, the shipped trials in `tests/acceptance`.
"""

import random

import numpy as np
import pytest

from twinarm.trials.simulate import simulate_block
from twinarm.workflows import executor, prepare, store
from twinarm.workflows.cluster import Cluster, connection
from twinarm.workflows.run import read_outcomes, run_folder_of, simulate_bank
from twinarm.workflows.run_folder import RunFolder, locked, read_manifest
from twinarm.workflows.share import prepare_run, simulate_share

TWINS = 60
THREADS = Cluster(2, processes=False)


def bank_of(protocol, out, cluster=THREADS, block=7):
    """The folder of a bank, and its digest."""
    folder = run_folder_of(protocol, out)
    with locked(folder):
        return folder, simulate_bank(folder, protocol, cluster, block).digest


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """One bank that every other is compared with: (folder, digest), made by the first test that asks."""
    made = {}

    def of(protocol):
        if not made:
            made["bank"] = bank_of(protocol, tmp_path_factory.mktemp("reference") / "run", Cluster(1, processes=False))
        return made["bank"]

    return of


@pytest.mark.parametrize("block", [1, 7, 50, 10_000])
def test_blocks(toy, tmp_path, reference, block):
    folder, digest = bank_of(toy(TWINS), tmp_path / "run", block=block)
    assert read_manifest(folder).block == block
    assert digest == reference(toy(TWINS))[1]


FOUR = pytest.param(4, True, id="4-processes", marks=pytest.mark.slow)


@pytest.mark.parametrize(("workers", "processes"), [(1, True), (2, True), FOUR, (1, False), (2, False), (4, False)])
def test_workers(toy, tmp_path, reference, workers, processes):
    assert bank_of(toy(TWINS), tmp_path / "run", Cluster(workers, processes=processes))[1] == reference(toy(TWINS))[1]


def test_order(toy, tmp_path, reference):
    folder = run_folder_of(toy(TWINS), tmp_path / "run")
    with locked(folder), connection(THREADS, folder.scratch) as connected:
        prepare.prepare(folder, toy(TWINS), connected, 4)
        found = executor.survey(folder)
        units = [executor.Unit(unit.block, (arm,)) for unit in found.missing for arm in unit.arms]
        random.Random(3).shuffle(units)
        shuffled = executor.Survey((), tuple(units), found.keys)
        executor.execute(folder, shuffled, connected.client(), lambda _: None, executor.Stop())
    assert store.digest(read_outcomes(folder)) == reference(toy(TWINS))[1]


def test_shares_without_a_cluster(toy, tmp_path, reference):
    manifest = prepare_run(toy(TWINS), tmp_path / "run", THREADS, block=7)
    assert manifest.blocks == 9
    shares = [2, 0, 1]
    done = [simulate_share(toy(TWINS), tmp_path / "run", k, 3).done for k in shares]
    assert sum(done) == TWINS * 2
    assert store.digest(read_outcomes(RunFolder(tmp_path / "run"))) == reference(toy(TWINS))[1]
    again = simulate_share(toy(TWINS), tmp_path / "run", 1, 3)
    assert again.done == again.reused == done[2], "nothing is made twice"
    assert bank_of(toy(TWINS), tmp_path / "run", block=None)[1] == reference(toy(TWINS))[1]


@pytest.mark.parametrize("rows", [[17], [3, 4, 40], list(range(59, 0, -7))[::-1]], ids=["one", "three", "every 7th"])
def test_some_twins_alone(toy, reference, rows):
    folder, _ = reference(toy(TWINS))
    outcomes, cohort = read_outcomes(folder), store.load(folder.cohort)
    for arm in ("placebo", "drug"):
        alone, _ = simulate_block(toy(TWINS), arm, cohort.isel(twin=rows))
        there = outcomes.sel(arm=arm).isel(twin=rows)
        assert set(alone.data_vars) == set(there.data_vars)
        assert all(alone[name].values.tobytes() == there[name].values.tobytes() for name in alone.data_vars)


def test_an_added_arm(toy, tmp_path, reference):
    plain = toy(TWINS).model_dump()
    high = plain["arms"][1] | {"name": "high", "treatment": {"dose": "9 mg"}}
    wider = toy(TWINS, update={"arms": (high, *plain["arms"]), "allocation": {"ratio": (1, 1, 1)}})
    folder, _ = bank_of(wider, tmp_path / "run")
    assert store.digest(read_outcomes(folder).sel(arm=["placebo", "drug"])) == reference(toy(TWINS))[1]


def test_added_outputs(toy, tmp_path, reference):
    """An endpoint and kept trajectories more: every chunk of the others is the same file."""
    narrow = toy(TWINS, update={"endpoints": toy().model_dump()["endpoints"][:1]})
    folder, _ = bank_of(narrow, tmp_path / "run")
    more = toy(TWINS, update={"keep": {"twins": 5, "outputs": ("score", "drift"), "every": "1 day"}})
    wide, digest = bank_of(more, tmp_path / "wide")
    assert digest == reference(toy(TWINS))[1]
    arrays = [*(folder.outcomes / name for name in ("mean_score", "status", "failed_at")), folder.kept / "score"]
    chunks = [chunk for array in arrays for chunk in array.glob("c.*")]
    assert len(chunks) == 3 * 9 * 2 + 2
    other = [c for c in chunks if c.read_bytes() != (wide.root / c.relative_to(folder.root)).read_bytes()]
    assert other == []
    assert np.isfinite(store.load(wide.kept)["drift"].values).all()
