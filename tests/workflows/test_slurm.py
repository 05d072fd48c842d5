"""A real Slurm on this machine: jobs are submitted, one is cancelled in mid-run, and the bytes are the same.

One node that pretends to have four cores, started here by root from Debian's `slurm-wlm` and `munge`; ended with the
tests. Elsewhere the tests say why they are skipped.
"""

import ipaddress
import json
import os
import shutil
import socket
import subprocess
import sys
import time

import psutil
import pytest

from twinarm.trials.protocol_file import load_protocol
from twinarm.trials.protocol_writer import write_protocol
from twinarm.workflows.cluster import Cluster
from twinarm.workflows.run import run_folder_of, simulate_bank
from twinarm.workflows.run_folder import RunFolder, locked

pytestmark = [pytest.mark.slurm, pytest.mark.root]

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "squeue")
CONF = """
ClusterName=twinarm
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
SchedulerParameters=sched_interval=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=8000 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Munge, controller and node of a Slurm of our own; every command finds it by SLURM_CONF."""
    if os.geteuid() != 0:
        pytest.skip("only root can start a Slurm")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: apt-get install slurm-wlm munge")
    root = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool"):
        (root / name).mkdir()
    (root / "munge.key").write_bytes(os.urandom(1024))
    (root / "munge.key").chmod(0o600)
    host = socket.gethostname().split(".")[0]
    (root / "slurm.conf").write_text(CONF.format(root=root, host=host, ports=free_ports()))
    munge = ["key-file=munge.key", "socket=munge.socket", "pid-file=munged.pid", "log-file=munged.log"]
    files = [f"--{word.replace('=', f'={root}/')}" for word in [*munge, "seed-file=munge.seed"]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(root / "slurm.conf"))
        try:
            for words in (["munged", "--force", *files], ["slurmctld"], ["slurmd"]):
                subprocess.run(words, check=True, capture_output=True)
            wait(lambda: "idle" in ask("sinfo", "--noheader", "--format=%T"), 30, "no node came up")
            yield root
            ask("scancel", "--full", "--user=root")
            wait(lambda: not jobs(), 30, "jobs did not end")
        finally:
            for file in root.glob("*.pid"):
                os.kill(int(file.read_text()), 15)


def free_ports():
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]


def ask(*words):
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def jobs(*options):
    return ask("squeue", "--noheader", "--array", "--format=%i", *options).split()


def open_to_the_network(pid):
    """Ports of a process and its children on which anyone may knock."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    listening = [c.laddr for p in family for c in p.net_connections() if c.status == psutil.CONN_LISTEN]
    return {place.port for place in listening if not ipaddress.ip_address(place.ip).is_loopback}


def wait(is_so, seconds, otherwise):
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, otherwise
        time.sleep(0.1)


def n_records(out):
    return len(list(out.glob("records/*/*.json")))


@pytest.fixture
def environment(parts):
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(parts), str(parts.parents[2])])}


@pytest.fixture
def expected(toy, tmp_path):
    """Digest of the same bank from threads of this process."""
    folder = run_folder_of(toy(60), tmp_path / "here")
    with locked(folder):
        return simulate_bank(folder, toy(60), Cluster(2, processes=False), 7).digest


def test_a_cancelled_job_is_replaced_and_the_bytes_are_the_same(slurm, toy, tmp_path, parts, environment, expected):
    out = tmp_path / "run"
    means = json.dumps({"slurm": {"jobs": 2, "memory": "1 GB", "minutes": 10}})
    protocol = toy(60, seconds_per_twin=0.2).model_dump_json()
    driver = subprocess.Popen(
        [sys.executable, "-m", "toy.bank", out, protocol, means, "2"],
        env=environment,
        cwd=parts,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait(lambda: n_records(out) > 3 or driver.poll() is not None, 120, "no block came from a job")
        first = jobs("--states=running")
        assert len(first) == 2, driver.poll()
        assert len(open_to_the_network(driver.pid)) == 1, "the scheduler's own port, which speaks TLS"
        ask("scancel", first[0])
        wait(lambda: set(jobs()) - set(first) or driver.poll() is not None, 90, "the job was not replaced")
        assert driver.poll() is None and n_records(out) < 60, "the run was over before its job was replaced"
        said, complaint = driver.communicate(timeout=180)
    finally:
        driver.kill()
    assert driver.returncode == 0, complaint
    assert said.split() == [expected]
    wait(lambda: not jobs(), 30, "jobs stay when the run is over")


def test_an_array_of_jobs_needs_no_cluster(slurm, toy, tmp_path, parts, environment, expected):
    out = tmp_path / "run"
    protocol = toy(60, seconds_per_twin=0.1)
    (tmp_path / "trial.yaml").write_text(written(protocol, parts))
    command = [sys.executable, "-m", "twinarm.workflows.cli", "run", str(tmp_path / "trial.yaml"), "--out", str(out)]
    done = subprocess.run([*command, "--prepare", "--block", "4"], env=environment, cwd=parts, capture_output=True)
    assert done.returncode == 0, done.stderr
    script = " ".join(command) + " --blocks $SLURM_ARRAY_TASK_ID/3"
    words = ["sbatch", "--parsable", "--array=0-2", f"--output={tmp_path}/%a.txt", f"--chdir={parts}", "--wrap", script]
    job = subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    wait(lambda: n_records(out) > 3, 60, "no task came to a block")
    ask("scancel", f"{job}_1")
    wait(lambda: not jobs(), 120, "the tasks did not end")
    told = [(tmp_path / f"{k}.txt").read_text() for k in range(3)]
    assert "40 twins x arms of share 0/3" in told[0] and "40 twins x arms of share 2/3" in told[2], told
    assert 0 < n_records(out) < 30, "the cancelled task left its blocks undone"
    same = load_protocol(str(tmp_path / "trial.yaml")).model_dump_json()
    words = [sys.executable, "-m", "toy.bank", out, same, json.dumps({"workers": 1}), "4"]
    done = subprocess.run(words, env=environment, cwd=parts, capture_output=True, text=True)
    assert done.stdout.split() == [expected], done.stderr


def written(protocol, parts):
    return write_protocol(protocol).replace("toy-people.yaml", str(parts / "toy-people.yaml"))


def test_what_slurm_refuses_is_one_line(slurm, tmp_path, twinarm):
    words = ("--out", tmp_path / "run", "--slurm", 1, "--sbatch=--partition=no-such")
    code, _, err = twinarm("run", "toy-trial.yaml", *words)
    assert code == 2, err
    assert "Slurm refuses such a job: " in err and "partition" in err.splitlines()[-1]
    assert not RunFolder(tmp_path / "run").manifest.exists() and not jobs()
