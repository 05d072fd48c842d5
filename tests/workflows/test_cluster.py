"""A local cluster is reachable from this machine alone, and is gone when the run is."""

import logging
import os
import signal
from pathlib import Path

import psutil
import pytest

from twinarm.workflows.cluster import Cluster, Connection, connected, connection


@pytest.mark.parametrize("processes", [True, False])
def test_only_loopback_listens(tmp_path, processes):
    me = psutil.Process()
    before = {child.pid for child in me.children(recursive=True)}
    with connected(Cluster(1, processes=processes), tmp_path / "tmp") as client:
        family = [me, *me.children(recursive=True)]
        listening = [c.laddr.ip for p in family for c in p.net_connections() if c.status == psutil.CONN_LISTEN]
        assert set(listening) <= {"127.0.0.1"}
        assert client.submit(sum, (1, 2)).result() == 3
    left = {c.pid for c in me.children(recursive=True) if "resource_tracker" not in " ".join(c.cmdline())}
    assert left <= before


def test_workers_do_not_see_ctrl_c_from_their_first_moment_on(tmp_path):
    """The mask that they started with, and that their own children inherit."""

    def masks():
        me = psutil.Process()
        return [signals(one.pid) for one in (me, me.parent()) if "spawn" in " ".join(one.cmdline())]

    def signals(pid):
        line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("SigBlk"))
        return int(line.split()[1], 16)

    with connected(Cluster(2), tmp_path / "tmp") as client:
        found = client.run(masks)
    sigint = 1 << (signal.SIGINT - 1)
    assert len(found) == 2 and all(mask & sigint for each in found.values() for mask in each)
    assert not signals(os.getpid()) & sigint


def test_a_connection_is_made_on_demand(tmp_path):
    with connection(Cluster(1, processes=False), tmp_path / "tmp") as made:
        assert isinstance(made, Connection) and made.made is None
        assert made.client() is made.client()
    assert logging.getLogger("distributed").level == logging.CRITICAL


def test_workers_are_the_cores_of_this_process():
    assert Cluster().size >= 1 and Cluster(3).size == 3
