"""What an operator sees and does: progress as JSON lines, signals at any stage, no home to write to, quiet logs."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from twinarm.workflows import store
from twinarm.workflows.executor import survey
from twinarm.workflows.run_folder import RunFolder


@pytest.fixture
def start(parts, tmp_path):
    """Start `twinarm run` of the toy as a process of its own, with 96 twins in blocks of 4."""

    def begin(*words, seconds=0.0, **environment):
        text = (parts / "toy-trial.yaml").read_text().replace("toy-people.yaml", str(parts / "toy-people.yaml"))
        text = text.replace("twins: 64", "twins: 96")
        text = text.replace(
            "name: toy.model", f"name: toy.model, settings: {{seconds_per_twin: {seconds}, raises: [5]}}"
        )
        (tmp_path / "trial.yaml").write_text(text.replace("keep:", "solver: {failure_limit: 0.05}\nkeep:"))
        command = [sys.executable, "-m", "twinarm.workflows.cli", "run", str(tmp_path / "trial.yaml"), "--threads"]
        command += ["--out", str(tmp_path / "run"), "--block", "4", *words]
        path = os.pathsep.join([str(parts), str(parts.parents[2])])
        return subprocess.Popen(
            command,
            cwd=parts,
            env={**os.environ, "PYTHONPATH": path, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


def wait_for(condition, process, seconds=90):
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None and time.monotonic() < until, process.communicate()
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_finishes_the_window_and_says_how_to_go_on(start, tmp_path, number):
    run = RunFolder(tmp_path / "run")
    process = start(seconds=0.02)
    wait_for(lambda: list(run.records.glob("*/*.json")), process)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 75
    assert said.splitlines()[-1] == f"stopped by {number.name}; start the same command again to go on"
    found = survey(run)
    assert found.missing and found.valid and all(len(unit.arms) == 2 for unit in found.missing)


def test_a_signal_before_the_first_block(start, tmp_path):
    process = start(seconds=1.0)  # the pilot's four twins alone take seconds
    wait_for((tmp_path / "run" / ".lock").exists, process)
    time.sleep(0.3)
    process.send_signal(signal.SIGUSR1)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 75, said
    assert said.splitlines()[-1] == "stopped by SIGUSR1; start the same command again to go on"


def test_a_run_in_a_batch_job(start, tmp_path):
    """No home that can be written to; JSON lines of progress with what an operator asks; no number of any twin."""
    process = start("--json", HOME="/proc/nowhere", XDG_CACHE_HOME="", XDG_CONFIG_HOME="", TWINARM_CACHE="")
    out, said = process.communicate(timeout=120)
    assert process.returncode in (0, 3), said
    assert not said, "libraries that miss their folders say nothing"
    lines = [json.loads(line) for line in out.splitlines()]
    progress = [line for line in lines if line.get("event") == "progress"]
    assert [line["stage"] for line in progress if line["stage"] != "simulation"] == ["screening", "analysis"]
    last = [line for line in progress if line["stage"] == "simulation"][-1]
    assert (last["done"], last["total"], last["failed"], last["quarantined"]) == (192, 192, 2, 2)
    assert last["left_seconds"] in (0.0, None)
    cohort = store.load(RunFolder(tmp_path / "run").cohort)
    values = {f"{value:.4f}" for name in ("base", "slope", "effect") for value in cohort[name].values.tolist()}
    numbers = {
        f"{float(word):.4f}" for word in re.findall(r"-?\d+\.\d{4,}", "\n".join(map(json.dumps, progress)) + said)
    }
    assert not values & numbers


def test_without_a_terminal_progress_is_lines_of_json_on_standard_error(start, tmp_path):
    process = start(seconds=0.01)
    out, said = process.communicate(timeout=120)
    assert process.returncode in (0, 3), said
    stages = [json.loads(line)["stage"] for line in said.splitlines()]
    assert stages[0] == "screening" and stages[-1] == "analysis" and "simulation" in stages
    assert "exit" in out and "progress" not in out
