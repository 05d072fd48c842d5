"""Two hosts, as network namespaces joined by a cable, TLS between them: the cable is out for twenty seconds.

The driver and the scheduler are on one host, the workers on the other; both see the run folder.
"""

import json
import os
import subprocess
import sys
import time

import pytest

from twinarm.workflows.cluster import Cluster
from twinarm.workflows.run import run_folder_of, simulate_bank
from twinarm.workflows.run_folder import locked
from twinarm.workflows.security import AUTHORITY, CERTIFICATE, KEY, make_certificates

pytestmark = [pytest.mark.slow, pytest.mark.root]

CUT_SECONDS = 20
DRIVER, WORKER = "10.251.7.1", "10.251.7.2"


def ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True)


@pytest.fixture
def hosts():
    """Names of two namespaces; `ip -n NAME link set cable down` cuts the cable."""
    if os.geteuid() != 0:
        pytest.skip("only root can make network namespaces")
    names = [f"twinarm-{side}-{os.getpid()}" for side in ("driver", "worker")]
    try:
        try:
            for name in names:
                ip("netns", "add", name)
                ip("-n", name, "link", "set", "lo", "up")
            ends = ["cable", "netns", names[0], "type", "veth", "peer", "name", "cable", "netns", names[1]]
            ip("link", "add", *ends)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no network namespaces here: {getattr(error, 'stderr', error)}")
        for name, address in zip(names, (DRIVER, WORKER), strict=True):
            ip("-n", name, "address", "add", f"{address}/24", "dev", "cable")
            ip("-n", name, "link", "set", "cable", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


@pytest.fixture
def start(parts, tmp_path):
    """Start a module on a host; all are ended with the test, what they said is in NAME.txt."""
    started = []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(parts), str(parts.parents[2])])}

    def begin(host, name, module, *words):
        command = ["ip", "netns", "exec", host, sys.executable, "-m", module, *map(str, words)]
        with (tmp_path / f"{name}.txt").open("w") as said:
            process = subprocess.Popen(command, env=environment, cwd=parts, stdout=said, stderr=subprocess.STDOUT)
        started.append(process)
        return process

    yield begin
    for process in reversed(started):
        process.terminate()
    for process in reversed(started):
        process.wait(timeout=30)


def records(out):
    return len(list(out.glob("records/*/*.json")))


def test_a_cut_cable_loses_nothing(hosts, start, toy, tmp_path):
    folder = run_folder_of(toy(60), tmp_path / "here")
    with locked(folder):
        expected = simulate_bank(folder, toy(60), Cluster(2, processes=False), 7).digest
    tls = tmp_path / "tls"
    make_certificates(tls, 2)
    files = ("--tls-ca-file", tls / AUTHORITY, "--tls-cert", tls / CERTIFICATE, "--tls-key", tls / KEY)
    address = f"tls://{DRIVER}:8786"
    listen = ("--protocol", "tls", "--host", DRIVER, "--port", 8786, "--no-dashboard")
    start(hosts[0], "scheduler", "distributed.cli.dask_scheduler", *listen, *files)
    work = ("--host", WORKER, "--nworkers", 2, "--nthreads", 1, "--no-dashboard")
    start(hosts[1], "worker", "distributed.cli.dask_worker", address, *work, *files)
    wait_for(lambda: "Registered to" in (tmp_path / "worker.txt").read_text(), 60)
    out, means = tmp_path / "run", json.dumps({"scheduler": address, "certificates": str(tls)})
    protocol = toy(60, seconds_per_twin=0.2).model_dump_json()
    driver = start(hosts[0], "driver", "toy.bank", out, protocol, means, 2)
    wait_for(lambda: records(out) > 3 or driver.poll() is not None, 60)
    assert driver.poll() is None, (tmp_path / "driver.txt").read_text()
    ip("-n", hosts[0], "link", "set", "cable", "down")
    time.sleep(CUT_SECONDS)
    assert driver.poll() is None and records(out) < 60, "the cable was out while there was work to do"
    ip("-n", hosts[0], "link", "set", "cable", "up")
    assert driver.wait(timeout=180) == 0, (tmp_path / "driver.txt").read_text()
    assert (tmp_path / "driver.txt").read_text().split()[-1] == expected


def wait_for(is_so, seconds):
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.1)
