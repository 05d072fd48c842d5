"""The same bytes whatever the block, the workers, the order or the interruptions; a bad twin costs only itself."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from twinarm.models.model import Status, find_model
from twinarm.workflows import executor, store
from twinarm.workflows.cluster import Cluster, connection
from twinarm.workflows.records import read_records
from twinarm.workflows.run import Bank, read_outcomes, run_folder_of, simulate, simulate_bank
from twinarm.workflows.run_folder import RunError, RunFolder, locked

THREADS = Cluster(2, processes=False)


def bank_of(protocol, out, cluster=THREADS, block=16, update=False) -> tuple[RunFolder, Bank]:
    folder = run_folder_of(protocol, out)
    with locked(folder):
        return folder, simulate_bank(folder, protocol, cluster, block, update)


@pytest.fixture(scope="session")
def digests():
    """Digests by the number of twins of the toy, of whichever test was first."""
    return {}


def same(digests, protocol, digest) -> bool:
    return digests.setdefault(protocol.digest, digest) == digest


def test_values_are_those_of_the_model_alone(toy, tmp_path):
    """An independent path: all twins in one call, no store, no cluster."""
    protocol = toy(24)
    folder, bank = bank_of(protocol, tmp_path / "run", block=5)
    cohort = store.load(folder.cohort)
    model = find_model("toy.model")
    from twinarm.models.model import Conditions

    conditions = Conditions(protocol.schedule.schedule(), protocol.seed)
    treatment = model.Treatment(dose=5.0)
    days = model.simulate(cohort, treatment, model.Settings(), conditions)
    last = days["drift"].sel(time=days["time"] > 10).mean("time")
    assert bank.outcomes["drift"].sel(arm="drug", visit="day 20").values == pytest.approx(last.values, rel=1e-12)
    assert bank.outcomes["drift"].attrs["direction"] == "lower"
    kept = store.load(folder.kept)["score"].sel(arm="drug")
    assert np.array_equal(kept.values, days["score"].sel(time=kept["time"]).values[:5])


def test_a_killed_run_goes_on_to_the_same_bytes(toy, tmp_path, parts, digests):
    protocol = toy(48, seconds_per_twin=0.01)
    whole = bank_of(toy(48), tmp_path / "whole")[1]
    command = [sys.executable, "-m", "toy.driver", str(tmp_path / "run"), protocol.model_dump_json(), "2", "4"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(parts), str(parts.parents[2])])}
    records = 0
    for wanted in (1, random.Random(time.time_ns()).randint(2, 20)):
        driver = subprocess.Popen(command, env=environment, cwd=parts, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while driver.poll() is None and time.monotonic() < until:
            if len(list((tmp_path / "run" / "records").glob("*/*.json"))) >= wanted:
                driver.send_signal(signal.SIGKILL)
            time.sleep(0.002)
        assert driver.wait() == -signal.SIGKILL
        assert len(list(read_records(RunFolder(tmp_path / "run")))) >= max(wanted, records)
    folder, resumed = bank_of(protocol, tmp_path / "run", block=None)
    assert resumed.digest == whole.digest
    assert len(list(read_records(folder))) == 24


def test_a_signal_ends_the_run_after_its_window(toy, tmp_path, parts):
    protocol = toy(64, seconds_per_twin=0.02)
    command = [sys.executable, "-m", "toy.driver", str(tmp_path / "run"), protocol.model_dump_json(), "1", "2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(parts), str(parts.parents[2])])}
    driver = subprocess.Popen(command, env=environment, cwd=parts, stderr=subprocess.PIPE, text=True)
    while not list((tmp_path / "run" / "records").glob("*/*.json")) and driver.poll() is None:
        time.sleep(0.01)
    driver.send_signal(signal.SIGTERM)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 75, said
    assert "SIGTERM; start the same command again" in said
    found = executor.survey(RunFolder(tmp_path / "run"))
    assert found.missing and found.valid
    assert all(len(unit.arms) == 2 for unit in found.missing), "no block was left half done"


def test_an_added_arm_changes_no_stored_byte(toy, tmp_path):
    folder, first = bank_of(toy(24), tmp_path / "run")
    before = {p: p.read_bytes() for p in folder.outcomes.rglob("c.*.*")}
    assert len(before) == 16
    arms = toy(24).model_dump()["arms"]
    arms = (*arms[:1], arms[1] | {"name": "high-dose", "treatment": {"dose": "9 mg"}}, *arms[1:])
    wider = toy(24, update={"arms": arms, "allocation": {"ratio": (1, 1, 1)}})
    with pytest.raises(RunError, match=r"another protocol .they differ in arms, allocation.*--update"):
        bank_of(wider, tmp_path / "run", block=None)
    stamps = {p: p.stat().st_mtime_ns for p in folder.records.rglob("*.json")}
    folder, wide = bank_of(wider, tmp_path / "run", block=None, update=True)
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps, "records of unchanged arms stay"
    assert {p: p.read_bytes() for p in before} == before
    assert wide.outcomes["arm"].values.tolist() == ["placebo", "high-dose", "drug"]
    assert wide.outcomes.sel(arm=["placebo", "drug"]).equals(first.outcomes)
    assert store.digest(wide.outcomes) == bank_of(wider, tmp_path / "new")[1].digest


def test_more_twins_keep_the_full_blocks(toy, tmp_path):
    folder, _ = bank_of(toy(40), tmp_path / "run", block=16)
    stamps = {p: p.stat().st_mtime_ns for p in folder.records.rglob("*.json")}
    folder, more = bank_of(toy(56), tmp_path / "run", block=None, update=True)
    kept = [p.name for p, stamp in stamps.items() if p.stat().st_mtime_ns == stamp]
    assert sorted(kept) == ["000000.json"] * 2 + ["000001.json"] * 2
    assert more.digest == bank_of(toy(56), tmp_path / "new")[1].digest
    folder, fewer = bank_of(toy(40), tmp_path / "run", block=None, update=True)
    assert fewer.digest == bank_of(toy(40), tmp_path / "other")[1].digest


def chunk(folder, name="mean_score"):
    return folder.outcomes / name / "c.0.0.0"


def damage(folder, kind):
    if kind == "flipped bit":
        content = bytearray(chunk(folder).read_bytes())
        content[len(content) // 2] ^= 1
        chunk(folder).write_bytes(content)
    elif kind == "missing chunk":
        chunk(folder).unlink()
    elif kind == "short chunk":
        chunk(folder).write_bytes(chunk(folder).read_bytes()[:9])
    elif kind == "other block's chunk":
        chunk(folder).write_bytes((folder.outcomes / "mean_score" / "c.1.0.0").read_bytes())
    elif kind == "missing record":
        folder.record("placebo", 0).unlink()
    elif kind == "torn record":
        folder.record("placebo", 0).write_bytes(folder.record("placebo", 0).read_bytes()[:100])
    elif kind == "other key":
        path = folder.record("placebo", 0)
        path.write_text(json.dumps(json.loads(path.read_text()) | {"key": "0" * 64}))
    elif kind == "kept":
        (folder.kept / "score" / "c.0.0.0").unlink()


@pytest.mark.parametrize(
    "kind",
    [
        "flipped bit",
        "missing chunk",
        "short chunk",
        "other block's chunk",
        "missing record",
        "torn record",
        "other key",
        "kept",
    ],
)
def test_damage_is_found_and_mended(toy, tmp_path, kind):
    folder, bank = bank_of(toy(16), tmp_path / "run", block=8)
    untouched = folder.record("drug", 1).stat().st_mtime_ns
    damage(folder, kind)
    found = executor.survey(folder)
    assert found.missing == (executor.Unit(0, ("placebo",)),)
    from twinarm.workflows.verify import verify

    assert verify(folder, 0).differences
    _, mended = bank_of(toy(16), tmp_path / "run", block=None)
    assert mended.digest == bank.digest
    assert folder.record("drug", 1).stat().st_mtime_ns == untouched
    assert verify(folder, 2).differences == ()


def test_a_chunk_that_is_missing_is_never_a_result(toy, tmp_path):
    folder, _ = bank_of(toy(16), tmp_path / "run", block=8)
    (folder.outcomes / "status" / "c.0.0").unlink()
    with pytest.raises(RunError, match="8 of 32 outcomes are not computed"):
        read_outcomes(folder)


def test_a_damaged_cohort_is_made_again(toy, tmp_path):
    folder, bank = bank_of(toy(16), tmp_path / "run", block=8)
    (folder.cohort / "base" / "c.0").write_bytes(b"nonsense")
    assert bank_of(toy(16), tmp_path / "run", block=None)[1].digest == bank.digest


def test_a_twin_that_raises_is_quarantined_alone(toy, tmp_path):
    ids = bank_of(toy(24), tmp_path / "good")[1].outcomes["twin"].values
    good = bank_of(toy(24), tmp_path / "good", block=None)[1]
    bad = [int(ids[3]), int(ids[20])]
    folder, bank = bank_of(toy(24, raises=bad), tmp_path / "run")
    others = ~np.isin(ids, bad)
    assert bank.outcomes.isel(twin=others).equals(good.outcomes.isel(twin=others))
    rows = bank.outcomes.sel(twin=bad)
    assert (rows["status"] == Status.QUARANTINED).all()
    assert rows["mean_score"].isnull().all() and rows["failed_at"].isnull().all()
    lines = [json.loads(line) for line in folder.ledger.read_text().splitlines()]
    failed = [line for line in lines if line["stage"] == "failed"]
    assert {(line["twin"], line["arm"]) for line in failed} == {(t, a) for t in bad for a in ("placebo", "drug")}
    assert failed[0]["seed"] == 7 and f"ValueError: poison in [{bad[0]}]" in failed[0]["reason"]
    assert bank.failed == 2 and bank.is_refused


def test_a_failed_twin_is_counted_against_the_limit(toy, tmp_path):
    protocol = toy(24, fails=[int(i) for i in range(1, 4)])
    folder, bank = bank_of(protocol, tmp_path / "run")
    assert bank.failed == int(np.isin(bank.outcomes["twin"].values, [1, 2, 3]).sum()) > 0
    lenient = {"solver": {**protocol.model_dump()["solver"], "failure_limit": 0.5}}
    again = toy(24, update=lenient, fails=[int(i) for i in range(1, 4)])
    stamps = {p: p.stat().st_mtime_ns for p in folder.records.rglob("*.json")}
    assert not bank_of(again, tmp_path / "run", block=None, update=True)[1].is_refused
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps, "the limit is no input of a simulation"


@pytest.mark.slow
def test_a_twin_that_ends_its_process_is_found_and_quarantined(toy, tmp_path):
    ids = bank_of(toy(24), tmp_path / "good")[1].outcomes["twin"].values
    good = bank_of(toy(24), tmp_path / "good", block=None)[1]
    bad = int(ids[13])
    folder, bank = bank_of(toy(24, kills=[bad]), tmp_path / "run", Cluster(1), block=8)
    others = ids != bad
    assert bank.outcomes.isel(twin=others).equals(good.outcomes.isel(twin=others))
    record = next(r for r in read_records(folder) if r.quarantined)
    assert "ended its process with code 9" in record.quarantined[0].reason


def test_two_runs_in_one_folder_are_refused(toy, tmp_path):
    with locked(RunFolder(tmp_path / "run")), pytest.raises(RunError, match=r"another run is at work"):
        bank_of(toy(24), tmp_path / "run")


def test_a_folder_of_something_else_is_refused(toy, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(RunError, match=r"not empty and holds no run .thesis.tex"):
        bank_of(toy(24), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_model_that_never_works_is_no_quarantine(toy, tmp_path):
    with pytest.raises(ValueError, match="poison"):
        bank_of(toy(24, raises=list(range(200))), tmp_path / "run")


def test_no_scheduler_at_the_address(toy, tmp_path, monkeypatch):
    monkeypatch.setattr("twinarm.workflows.cluster.CONNECT_SECONDS", 0.3)
    with pytest.raises(RunError, match=r"no Dask scheduler answers at 'tcp://127.0.0.1:1'"):
        bank_of(toy(24), tmp_path / "run", Cluster(scheduler="tcp://127.0.0.1:1"))


def test_a_scheduler_elsewhere(toy, tmp_path, digests):
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, protocol="tcp://", host="127.0.0.1", dashboard_address=None
    ) as cluster:
        _, bank = bank_of(toy(24), tmp_path / "run", Cluster(scheduler=cluster.scheduler_address))
    assert same(digests, toy(24), bank.digest)


def test_records_hold_what_the_store_may_not(toy, tmp_path):
    folder, _ = bank_of(toy(24), tmp_path / "run")
    record = next(iter(read_records(folder)))
    assert record.seconds > 0 and record.finished > 1e9 and record.host
    stored = b"".join(p.read_bytes() for p in folder.outcomes.rglob("zarr.json"))
    assert record.host.encode() not in stored and b"version" not in stored


def test_a_folder_can_be_moved(toy, tmp_path):
    folder, bank = bank_of(toy(24), tmp_path / "run")
    folder.root.rename(tmp_path / "moved")
    moved = RunFolder(tmp_path / "moved")
    assert executor.survey(moved).missing == ()
    with locked(moved), connection(THREADS, moved.scratch) as connected:
        assert len(simulate(moved, connected, lambda _: None)) == 4
    assert store.digest(read_outcomes(moved)) == bank.digest
