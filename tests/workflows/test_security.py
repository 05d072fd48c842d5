"""Nothing beyond this machine is spoken to in plain, and whoever has other certificates or versions stays out."""

import os
import pickle
import socket
import stat
import subprocess
import sys
import threading

import pytest
from distributed import Client, LocalCluster

from twinarm.workflows import cluster as clusters, executor, security
from twinarm.workflows.cluster import Cluster, connected
from twinarm.workflows.run_folder import RunError
from twinarm.workflows.security import make_certificates, reach
from twinarm.workflows.versions import versions


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Two folders of certificates, of two authorities."""
    folders = tmp_path_factory.mktemp("tls") / "ours", tmp_path_factory.mktemp("tls") / "others"
    for folder in folders:
        make_certificates(folder, 2)
    return folders


@pytest.fixture(scope="module")
def address(certificates):
    """A scheduler with TLS and one worker."""
    with LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        protocol="tls://",
        host="127.0.0.1",
        dashboard_address=None,
        security=security.security(certificates[0]),
    ) as made:
        yield made.scheduler_address


def test_a_run_through_tls(address, certificates, toy, tmp_path):
    from twinarm.workflows.run import run_folder_of, simulate_bank
    from twinarm.workflows.run_folder import locked

    digests = set()
    for cluster in (Cluster(scheduler=address, certificates=certificates[0]), Cluster(1, processes=False)):
        folder = run_folder_of(toy(16), tmp_path / f"run-{len(digests)}")
        with locked(folder):
            digests.add(simulate_bank(folder, toy(16), cluster, 8).digest)
    assert len(digests) == 1


def test_wrong_certificates_are_told_as_such(twinarm, address, certificates, tmp_path):
    words = ("run", "toy-trial.yaml", "--out", tmp_path / "run", "--scheduler", address)
    code, _, err = twinarm(*words, "--certificates", certificates[1])
    assert code == 2 and "do not trust each other's certificates" in err.splitlines()[-1], err
    code, _, err = twinarm(*words)
    assert code == 2 and "needs --certificates FOLDER" in err.splitlines()[-1]
    code, _, err = twinarm(*words, "--certificates", tmp_path)
    assert code == 2 and "lacks ca.pem, node.pem, node-key.pem" in err.splitlines()[-1]
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_a_key_that_does_not_fit_is_refused(certificates, tmp_path):
    for name, source in (("ca.pem", 0), ("node.pem", 0), ("node-key.pem", 1)):
        (tmp_path / name).write_bytes((certificates[source] / name).read_bytes())
    with pytest.raises(RunError, match="holds no usable certificates"):
        security.security(tmp_path)


def test_a_plain_client_is_no_way_in(address, monkeypatch):
    """The scheduler itself refuses who does not speak TLS."""
    monkeypatch.setattr(security, "PROBE_SECONDS", 0.5)
    with pytest.raises(RunError, match="no Dask scheduler answers"):
        reach(address.replace("tls://", "tcp://"), None)


@pytest.mark.parametrize(
    "address", ["tcp://192.0.2.1:8786", "192.0.2.1:8786", "tcp://[2001:db8::1]:8786", "tcp://no-such-host.invalid:1"]
)
def test_a_plain_connection_beyond_this_machine_is_refused(twinarm, tmp_path, address):
    code, _, err = twinarm("run", "toy-trial.yaml", "--out", tmp_path / "run", "--scheduler", address)
    assert code == 2 and "would be a plain connection beyond this machine" in err.splitlines()[-1]


@pytest.mark.parametrize("address", ["ucx://127.0.0.1:8786", "tcp://127.0.0.1", "tls://", "http://x:1", "tcp://x:y"])
def test_no_address(twinarm, tmp_path, address):
    code, _, err = twinarm("run", "toy-trial.yaml", "--out", tmp_path / "run", "--scheduler", address)
    assert code == 2 and "is no address; write tls://host:port" in err.splitlines()[-1]


def test_nobody_and_somebody_else_at_the_address(twinarm, tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 1)
    words = ("run", "toy-trial.yaml", "--out", tmp_path / "run", "--scheduler")
    code, _, err = twinarm(*words, "tcp://127.0.0.1:1")
    assert code == 2 and "no Dask scheduler answers at 'tcp://127.0.0.1:1' (connection refused)" in err
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_greet, args=(server,), daemon=True).start()
        code, _, err = twinarm(*words, f"tcp://127.0.0.1:{server.getsockname()[1]}")
        assert code == 2 and "is no Dask scheduler" in err.splitlines()[-1], err


def _greet(server):
    """Some other service, that says something and hangs up."""
    while True:
        try:
            with server.accept()[0] as talk:
                talk.sendall(b"220 mail.example ready\r\n" * 20)
        except OSError:
            return


def test_certificates_are_for_their_owner_and_never_overwritten(twinarm, tmp_path):
    code, out, _ = twinarm("certificates", tmp_path / "tls", "--days", "3")
    assert code == 0 and "dask scheduler --protocol tls" in out
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "tls" / "node-key.pem").stat().st_mode) == 0o600
    key = (tmp_path / "tls" / "node-key.pem").read_bytes()
    code, _, err = twinarm("certificates", tmp_path / "tls")
    assert code == 2 and "already there" in err and (tmp_path / "tls" / "node-key.pem").read_bytes() == key
    checked = [
        "openssl",
        "verify",
        "-x509_strict",
        "-CAfile",
        tmp_path / "tls" / "ca.pem",
        tmp_path / "tls" / "node.pem",
    ]
    try:
        assert subprocess.run(checked, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        pytest.skip("no openssl to check with")


def test_another_version_on_a_worker_is_one_line(tmp_path, parts):
    preload = tmp_path / "older.py"
    preload.write_text("import twinarm\ntwinarm.__version__ = '0.0.1'\n")
    plain = {"processes": False, "protocol": "tcp://", "host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(n_workers=0, **plain) as made:
        words = [sys.executable, "-m", "distributed.cli.dask_worker", made.scheduler_address, "--no-dashboard"]
        worker = subprocess.Popen(
            [*words, "--no-nanny", "--preload", str(preload)],
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(parts.parents[2])},
        )
        try:
            with Client(made.scheduler_address, set_as_default=False) as client:
                client.wait_for_workers(1, timeout=30)
            with (
                pytest.raises(RunError, match=r"worker tcp://\S+ has twinarm 0.0.1 \(here 0.1.0\); install the same"),
                connected(Cluster(scheduler=made.scheduler_address), tmp_path),
            ):
                pass
        finally:
            worker.terminate()
            worker.wait()


def test_a_worker_that_joins_later_is_asked_with_each_block(toy, tmp_path):
    """What it raises comes back as it is, so the command leaves with one line and 2."""
    unit = executor.Unit(0, ("drug",))
    with pytest.raises(RunError, match=r"worker \S+ has numpy .* \(here 1.0\); install the same lock file") as raised:
        executor.work_alike(versions() | {"numpy": "1.0"}, str(tmp_path), unit, None)
    again = pickle.loads(pickle.dumps(raised.value))
    assert (str(again), again.exit_code) == (str(raised.value), 2)
