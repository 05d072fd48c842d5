"""The two shipped trials give the same bytes whatever computes them, and count what fails."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from twinarm.cohorts import load_population, screen
from twinarm.models.model import Status
from twinarm.trials import load_protocol
from twinarm.trials.protocol_file import with_twins
from twinarm.trials.protocol_writer import write_protocol
from twinarm.trials.simulate import simulate_block
from twinarm.workflows import store
from twinarm.workflows.run_folder import RunFolder

pytestmark = pytest.mark.slow

TWINS = {"t1d-closed-loop": 16, "docetaxel-dose": 80}


def command(*arguments: object) -> list[str]:
    code = "import sys; from twinarm.workflows.cli import main; sys.exit(main())"
    return [sys.executable, "-c", code, *map(str, arguments)]


def digest_of(folder: Path) -> str:
    return store.digest(store.load(RunFolder(folder).outcomes))


def simulated(trial: str, folder: Path, *options: object) -> str:
    """Digest of the outcomes after a run by the command line; its analysis may pass a gate or not."""
    done = subprocess.run(
        command("run", trial, "--twins", TWINS[trial], "--out", folder, *options), capture_output=True, text=True
    )
    assert done.returncode in (0, 3), done.stderr
    return digest_of(folder)


@pytest.fixture(scope="module", params=list(TWINS))
def reference(request, tmp_path_factory):
    """One trial run by one worker in one block: (name, digest)."""
    folder = tmp_path_factory.mktemp("reference") / request.param
    return request.param, simulated(request.param, folder, "--workers", 1, "--block", 1000)


@pytest.mark.parametrize(
    "options",
    [("--workers", 2, "--block", 7), ("--workers", 4, "--block", 1), ("--threads", "--workers", 2, "--block", 50)],
    ids=["blocks of 7", "blocks of 1, four workers", "blocks of 50, threads"],
)
def test_the_digest_does_not_see_workers_blocks_or_threads(reference, tmp_path, options):
    trial, expected = reference
    assert simulated(trial, tmp_path / "run", *options) == expected


def test_a_run_killed_half_way_goes_on_to_the_same_bytes(reference, tmp_path):
    trial, expected = reference
    folder = tmp_path / "run"
    driver = subprocess.Popen(
        command("run", trial, "--twins", TWINS[trial], "--out", folder, "--block", 2, "--workers", 2),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until = time.monotonic() + 120
    while len(list(folder.glob("records/*/*.json"))) < 3 and time.monotonic() < until and driver.poll() is None:
        time.sleep(0.02)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    assert list(folder.glob("records/*/*.json")), "the run was killed before its first record"
    assert simulated(trial, folder) == expected


@pytest.mark.parametrize("trial", list(TWINS))
def test_an_added_arm_changes_no_number_of_the_others(trial):
    protocol = with_twins(load_protocol(trial), 4)
    twins = screen(load_population(protocol.population.name), 4, protocol.seed, protocol.population.eligibility).cohort
    third = protocol.arms[1].model_copy(update={"name": "third"})
    wider = protocol.model_copy(update={"arms": (*protocol.arms, third)})
    for arm in (a.name for a in protocol.arms):
        before, _ = simulate_block(protocol, arm, twins, ())
        after, _ = simulate_block(wider, arm, twins, ())
        assert store.digest(before) == store.digest(after)


@pytest.mark.parametrize("trial", list(TWINS))
def test_some_twins_alone_have_the_same_bytes(trial):
    protocol = with_twins(load_protocol(trial), 20)
    twins = screen(load_population(protocol.population.name), 20, protocol.seed, protocol.population.eligibility).cohort
    for rows in ([13], [2, 3, 11, 19]):
        for arm in (a.name for a in protocol.arms):
            together, _ = simulate_block(protocol, arm, twins, ())
            alone, _ = simulate_block(protocol, arm, twins.isel(twin=rows), ())
            assert store.digest(alone) == store.digest(together.isel(twin=rows))


def test_a_twin_that_cannot_be_solved_is_counted_with_its_reason(tmp_path):
    """A step limit that some twins do not meet: status, ledger, CONSORT flow, and exit 4 above the protocol's limit."""
    text = write_protocol(with_twins(load_protocol("docetaxel-dose"), 40))
    protocol = tmp_path / "short.yaml"
    protocol.write_text(text.replace("max_steps: 5000000", "max_steps: 300"))
    assert "max_steps: 300" in protocol.read_text()
    done = subprocess.run(command("run", protocol, "--out", tmp_path / "run"), capture_output=True, text=True)
    outcomes = store.load(RunFolder(tmp_path / "run").outcomes)
    failed = (outcomes["status"].values == Status.STEP_LIMIT).any(axis=1)
    assert 0 < failed.sum() < 40
    assert done.returncode == 4 and "limit" in done.stdout + done.stderr
    ledger = [json.loads(line) for line in (tmp_path / "run" / "ledger.jsonl").read_text().splitlines()]
    named = {line["twin"] for line in ledger if line["stage"] == "failed"}
    assert named == set(outcomes["twin"].values[failed].tolist())
    assert all("step limit" in line["reason"] for line in ledger if line["stage"] == "failed")
    assert np.isnan(outcomes["overall_survival"].values[outcomes["status"].values != Status.COMPLETED]).all()


def test_the_bank_of_a_trial_is_the_start_of_a_larger_one(tmp_path):
    protocol = load_protocol("docetaxel-dose")
    small, large = (with_twins(protocol, n) for n in (20, 40))
    banks = []
    for protocol in (small, large):
        folder, file = tmp_path / str(protocol.population.twins), tmp_path / "protocol.yaml"
        file.write_text(write_protocol(protocol))
        subprocess.run(command("run", file, "--out", folder), capture_output=True, check=False)
        banks.append(store.load(RunFolder(folder).outcomes))
    assert store.digest(banks[0]) == store.digest(banks[1].isel(twin=slice(0, 20)))
