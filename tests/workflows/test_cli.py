"""The command line: exit codes, one line a problem, nothing half-written, and what each command prints."""

import json
import os
import subprocess
import sys

import pytest

from twinarm.models.model import Status
from twinarm.workflows import console
from twinarm.workflows.cluster import Cluster
from twinarm.workflows.run import run_folder_of, simulate_bank
from twinarm.workflows.run_folder import RunError, RunFolder, locked


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    """A folder with every block and no analysis; read only."""
    return {}, tmp_path_factory.mktemp("bank") / "run"


@pytest.fixture
def run(bank, toy):
    made, out = bank
    if not made:
        folder = run_folder_of(toy(), out)
        with locked(folder):
            made["bank"] = simulate_bank(folder, toy(), Cluster(2, processes=False), 16)
    return RunFolder(out)


def changed(tmp_path, parts, *pairs):
    """A copy of the toy's protocol file with some text replaced."""
    text = (parts / "toy-trial.yaml").read_text().replace("toy-people.yaml", str(parts / "toy-people.yaml"))
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "changed.yaml"
    path.write_text(text)
    return path


def test_no_words_show_the_help(twinarm):
    code, out, err = twinarm()
    assert code == 2 and "validate" in out + err


@pytest.mark.parametrize(
    "words",
    [("run",), ("run", "x.yaml", "--workers", "0"), ("run", "x.yaml", "--twins", "many"), ("simulate",), ("status",)],
)
def test_usage_errors_leave_2(twinarm, words):
    code, _, err = twinarm(*words)
    assert code == 2 and len(err.splitlines()) == 1 and "--help`" in err
    if len(words) > 3:
        assert f"'{words[2]}'" in err and f"got '{words[3]}'" in err


@pytest.mark.parametrize("word", ["schema", "--help"])
def test_output_that_nobody_reads_ends_a_command_without_a_fault(word):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "twinarm", word], stdout=writer, stderr=-1, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_validate(twinarm, tmp_path, parts):
    assert twinarm("validate", "toy-trial.yaml")[:2] == (0, twinarm("validate", "toy-trial.yaml")[1])
    bad = changed(tmp_path, parts, ("direction: lower", "direction: down"), ("seed: 7", "seed: -7"))
    code, out, err = twinarm("validate", bad)
    assert code == 2 and out == ""
    assert len(err.splitlines()) == 3 and all(str(bad) in line for line in err.splitlines()), "one line a problem"
    assert "Traceback" not in err
    assert json.loads(twinarm("validate", "toy-trial.yaml", "--json")[1])["valid"] is True


def test_a_bad_protocol_leaves_nothing(twinarm, tmp_path, parts):
    bad = changed(tmp_path, parts, ("name: toy.model", "name: toy.modell"))
    code, _, err = twinarm("run", bad, "--out", tmp_path / "run")
    assert code == 2 and "toy.modell" in err
    assert not (tmp_path / "run").exists()


def test_schema_is_json(twinarm):
    code, out, _ = twinarm("schema")
    assert code == 0 and "properties" in json.loads(out)


def test_init_writes_a_file_that_is_valid(twinarm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert twinarm("init", "my-trial")[0] == 0
    assert twinarm("validate", "my-trial.yaml")[0] == 0
    code, _, err = twinarm("init", "my-trial")
    assert code == 2 and "already there" in err


def test_too_many_failed_twins_leave_4_and_no_analysis(twinarm, tmp_path, parts):
    settings = ("name: toy.model", "name: toy.model, settings: {raises: [9]}")
    path = changed(tmp_path, parts, settings)
    code, out, err = twinarm("run", path, "--out", tmp_path / "run", "--threads", "--block", 32)
    assert code == 4, err
    assert "1 of 64 twins failed in some arm (1.56%), the limit is 0.10%: no analysis is run" in err
    folder = RunFolder(tmp_path / "run")
    assert not folder.report.exists() and not folder.posterior.exists()
    assert "refused" in json.loads(folder.results.read_text())
    ledger = [json.loads(line) for line in folder.ledger.read_text().splitlines()]
    assert [(x["twin"], x["status"]) for x in ledger if x["stage"] == "failed"] == [(9, "quarantined")] * 2
    counts = {x["stage"]: x["count"] for x in ledger if x["stage"] in ("candidates", "bank")}
    assert counts["candidates"] == counts["bank"] + sum(x["count"] for x in ledger if "reason" in x and "count" in x)
    code, out, _ = twinarm("status", tmp_path / "run")
    assert code == 0 and "complete" in out and "1 quarantined" in out
    assert twinarm("report", tmp_path / "run")[0] == 4


def test_another_protocol_in_the_folder_leaves_2(twinarm, run):
    code, _, err = twinarm("run", "toy-trial.yaml", "--seed", "8", "--out", run.root, "--threads")
    assert code == 2
    assert err.splitlines()[-1].startswith(f"{run.root} holds a run of another protocol (they differ in seed)")


def test_a_locked_folder_leaves_2(twinarm, run):
    with locked(run):
        code, _, err = twinarm("run", "toy-trial.yaml", "--out", run.root)
        assert code == 2 and "another run is at work" in err
        assert json.loads(twinarm("status", run.root, "--json")[1])["state"] == "running"


def test_status_from_the_records_alone(twinarm, run, tmp_path, toy):
    found = json.loads(twinarm("status", run.root, "--json")[1])
    assert (found["state"], found["done"], found["total"], found["blocks"]) == ("simulated", 128, 128, 4)
    run.record("drug", 2).rename(tmp_path / "aside")
    try:
        code, out, _ = twinarm("status", run.root)
        assert code == 0 and "toy-trial: stopped, 112 of 128 twins x arms" in out
    finally:
        (tmp_path / "aside").rename(run.record("drug", 2))
    assert twinarm("status", tmp_path)[0] == 2


def test_verify(twinarm, run):
    code, out, _ = twinarm("verify", run.root, "--twins", "2")
    assert code == 0 and "4 blocks read" in out and "the same bits" in out
    chunk = run.outcomes / "drift" / "c.0.1.0"
    content = chunk.read_bytes()
    chunk.write_bytes(content[:-1] + bytes([content[-1] ^ 255]))
    try:
        code, out, err = twinarm("verify", run.root)
        assert code == 5 and "DIFFERENT" in out and "block 0 of arm drug" in err
        assert json.loads(twinarm("verify", run.root, "--json")[1])["exit"] == 5
    finally:
        chunk.write_bytes(content)


def test_verify_sees_a_forged_value_whose_digests_fit(twinarm, tmp_path, toy):
    """Chunk, record and digests agree with each other; only simulating again tells."""
    from twinarm.workflows import store
    from twinarm.workflows.block import bench
    from twinarm.workflows.records import read_record, write_record

    folder = run_folder_of(toy(16), tmp_path / "run")
    with locked(folder):
        simulate_bank(folder, toy(16), Cluster(1, processes=False), 16)
    place = bench(folder).place(0, "drug")
    values = store.read_block(folder.outcomes, place)
    values["drift"] = values["drift"] + 1e-12 * (values["status"] == Status.COMPLETED)[:, None]
    store.write_block(folder.outcomes, place, values)
    record = read_record(folder, "drug", 0)
    write_record(folder, record.model_copy(update={"outcomes": store.hash_arrays(values)}))
    code, _, err = twinarm("verify", folder.root, "--twins", "16")
    assert code == 5 and "drift is" in err


def test_plan_says_the_cost_and_writes_nothing(twinarm, tmp_path):
    code, out, _ = twinarm("plan", "toy-trial.yaml", "--twins", "5000", "--out", tmp_path / "run", "--json")
    assert code == 0 and not (tmp_path / "run").exists()
    plan = json.loads(out)
    assert plan["twins"] == 5000 and plan["arms"] == 2 and plan["fits"]
    assert plan["blocks"] == -(-5000 // plan["block"]) and plan["simulation_seconds"] > 0
    # 2 arms x (2 endpoints x 3 periods of 8 bytes, status 1, failed_at 8), 5 kept twins of 21 days, and the cohort
    assert plan["disk_bytes"] > 5000 * 2 * (2 * 3 * 8 + 1 + 8) + 2 * 5 * 21 * 8
    assert 5000 < plan["candidates"] < 7000
    assert "simulation on" in twinarm("plan", "toy-trial.yaml", "--out", tmp_path / "run")[1]


@pytest.mark.parametrize("command", ["populations", "models", "doctor"])
def test_lists(twinarm, command):
    assert twinarm(command)[0] == 0
    assert json.loads(twinarm(command, "--json")[1])


def test_a_fault_of_the_program_leaves_70_and_a_traceback_in_a_file(capsys, tmp_path):
    with pytest.raises(SystemExit) as left, console.guarded(False, tmp_path / "tmp"):
        raise ZeroDivisionError("two\nlines")
    assert left.value.code == 70
    said = capsys.readouterr().err
    assert said.startswith("a fault of the program: ZeroDivisionError: two lines; the traceback is in ")
    (file,) = (tmp_path / "tmp").iterdir()
    assert "Traceback" in file.read_text()


@pytest.mark.parametrize(
    ("error", "code"),
    [(RunError("x", 75), 75), (OSError(28, "No space left on device"), 75), (KeyboardInterrupt(), 130)],
)
def test_other_ends(error, code):
    with pytest.raises(SystemExit) as left, console.guarded(False):
        raise error
    assert left.value.code == code


@pytest.mark.analysis
@pytest.mark.slow
def test_a_whole_run_and_its_second_start(twinarm, tmp_path):
    words = ("run", "toy-trial.yaml", "--out", tmp_path / "run", "--threads")
    code, out, err = twinarm(*words)
    assert code == 0, err
    assert "Mean score" in out and "success" in out and "exit     0: ok" in out
    folder = RunFolder(tmp_path / "run")
    stamps = {p: p.stat().st_mtime_ns for p in (folder.results, folder.report, *folder.records.rglob("*.json"))}
    assert twinarm(*words)[0] == 0
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps, "nothing is made twice"
    assert not folder.scratch.exists()
    folder.report.unlink()
    assert twinarm("report", tmp_path / "run")[0] == 0 and folder.report.is_file()
    assert twinarm("verify", tmp_path / "run")[0] == 0
    lines = twinarm(*words, "--json")[1].splitlines()
    assert json.loads(lines[-1])["results"]["analyses"][0]["endpoint"] == "mean-score"


def test_the_command_runs_in_a_shell(parts):
    environment = {**os.environ, "PYTHONPATH": str(parts.parents[2])}
    words = [sys.executable, "-m", "twinarm.workflows.cli", "validate", "toy-trial.yaml"]
    done = subprocess.run(words, cwd=parts, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), "the user's own module beside the protocol is found"
