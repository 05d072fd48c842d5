"""What an operator gets wrong is answered by one line that names it and its cure, and by an exit code.

Wrong addresses, certificates and versions are in `test_security.py`, refusals of Slurm in `test_slurm.py`, of stores in
`test_export.py`.
"""

import errno
import fcntl
import os
import subprocess

import pytest

from twinarm.workflows.run_folder import RunFolder, locked
from twinarm.workflows.status import status_of


@pytest.fixture
def closed(tmp_path):
    """A folder in which nobody may write: for root only a disk that is mounted read-only is one."""
    folder = tmp_path / "closed"
    folder.mkdir()
    if os.geteuid() != 0:
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)
        return
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("root may write everywhere, and may not mount here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def one_line(answer, code, told):
    """Whether a command ended with this code and one line, progress left out, that says so."""
    lines = [line for line in answer[2].splitlines() if not line.startswith('{"event"')]
    assert (answer[0], len(lines)) == (code, 1), answer
    assert told in lines[0]
    return True


def test_no_permission(twinarm, closed, tmp_path):
    for words in (
        ("run", "toy-trial.yaml", "--out", closed / "run"),
        ("run", "toy-trial.yaml", "--out", closed / "run", "--prepare", "--threads"),
        ("certificates", closed / "tls"),
        ("cohort", "sample", "toy-people.yaml", "--twins", 2, "--out", closed / "c" / "people.csv"),
    ):
        assert one_line(twinarm(*words), 2, f"{closed}")
    assert list(closed.iterdir()) == []


def test_options_that_exclude_each_other(twinarm, tmp_path):
    words = ("run", "toy-trial.yaml", "--out", tmp_path / "run")
    for more in (("--slurm", 2, "--blocks", "0/2"), ("--prepare", "--scheduler", "tcp://127.0.0.1:1")):
        assert one_line(twinarm(*words, *more), 2, "exclude each other; give one")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--certificates", "tls"), "give --scheduler or --slurm too"),
        (("--slurm-cores", 2), "need --slurm JOBS"),
        (("--sbatch=--partition=long",), "need --slurm JOBS"),
        (("--scheduler", "nonsense"), "is no address; write tls://host:port"),
        (("--scheduler", "tcp://192.0.2.1:8786"), "would be a plain connection beyond this machine"),
        (("--scheduler", "tls://192.0.2.1:8786"), "needs --certificates FOLDER"),
        (("--scheduler", "tls://192.0.2.1:8786", "--certificates", "nowhere"), "nowhere lacks ca.pem"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_before_anything_is_written(twinarm, tmp_path, more, told):
    assert one_line(twinarm("run", "toy-trial.yaml", "--out", tmp_path / "run", *more), 2, told)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("share", ["2/2", "0/0", "1", "a/b", "-1/2", "1/2/3"])
def test_no_share(twinarm, tmp_path, share):
    words = ("run", "toy-trial.yaml", "--out", tmp_path / "run", f"--blocks={share}")
    assert one_line(twinarm(*words), 2, "is no share; write k/n with k from 0 to n - 1")


def test_shares_need_a_folder_prepared_for_them(twinarm, tmp_path):
    words = ("run", "toy-trial.yaml", "--out", tmp_path / "run")
    assert one_line(twinarm(*words, "--blocks", "0/2"), 2, "is not prepared for this protocol; run it once with")
    assert not (tmp_path / "run").exists()
    code, out, _ = twinarm(*words, "--prepare", "--threads", "--block", 16)
    assert code == 0 and "4 blocks of 16 twins; start the same command with --blocks k/n" in out
    assert one_line(twinarm(*words, "--seed", 8, "--blocks", "0/2"), 2, "is not prepared for this protocol")


def test_a_share_and_a_whole_run_wait_for_each_other(twinarm, tmp_path):
    words = ("run", "toy-trial.yaml", "--out", tmp_path / "run")
    assert twinarm(*words, "--prepare", "--threads", "--block", 16)[0] == 0
    folder = RunFolder(tmp_path / "run")
    with locked(folder):
        assert one_line(twinarm(*words, "--blocks", "0/2"), 2, "another run is at work")
    assert status_of(folder).state == "stopped"
    with locked(folder, shared=True):
        assert status_of(folder).state == "running"
        assert one_line(twinarm(*words), 2, "another run is at work")
        assert twinarm(*words, "--blocks", "1/2")[0] == 0, "other shares are no hindrance"
    assert status_of(folder).done == 64


def test_no_slurm_here(twinarm, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert one_line(
        twinarm("run", "toy-trial.yaml", "--out", tmp_path / "run", "--slurm", 1),
        2,
        "there is no sbatch on this machine",
    )


def test_a_disk_without_locks(twinarm, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    answer = twinarm("run", "toy-trial.yaml", "--out", tmp_path / "run")
    assert one_line(answer, 2, "cannot be locked (No locks available); put the run on a disk with locks")
