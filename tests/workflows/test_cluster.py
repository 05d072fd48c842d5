"""A local cluster is reachable from this machine alone, and is gone when the run is."""

import logging

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


def test_a_connection_is_made_on_demand(tmp_path):
    with connection(Cluster(1, processes=False), tmp_path / "tmp") as made:
        assert isinstance(made, Connection) and made.made is None
        assert made.client() is made.client()
    assert logging.getLogger("distributed").level == logging.CRITICAL


def test_workers_are_the_cores_of_this_process():
    assert Cluster().size >= 1 and Cluster(3).size == 3
