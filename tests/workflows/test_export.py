"""A finished run and its report go to any fsspec URL: in memory, on a path, and on a server that speaks S3."""

import errno
import hashlib
import os
import socket
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pytest

from twinarm.workflows import analyse, export
from twinarm.workflows.cluster import Cluster
from twinarm.workflows.export import SUMS, export_run, exported
from twinarm.workflows.run import run_folder_of, simulate_bank
from twinarm.workflows.run_folder import RunError, locked
from twinarm.workflows.seal import seal


@pytest.fixture
def run(tmp_path, toy):
    """A run with results and report of no content, and with what must not be copied."""
    folder = run_folder_of(toy(8), tmp_path / "run")
    simulate_bank(folder, toy(8), Cluster(1, processes=False), 4)
    folder.results.write_text("{}")
    folder.report.write_text("a report")
    seal(folder)
    for path in (folder.lock, folder.scratch / "worker", folder.root / ".report.html.part"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("of no value")
    return folder


def held(url):
    """name -> content below a URL."""
    files, root = fsspec.core.url_to_fs(url)
    files.invalidate_cache()
    return {name.split(root.strip("/") + "/")[1]: files.cat_file(name) for name in files.find(root)}


def is_a_copy(url, run):
    found = held(url)
    sums = found.pop(SUMS).decode().splitlines()
    assert sums == [f"{hashlib.sha256(found[name]).hexdigest()}  {name}" for name in sorted(found)]
    return found == {p.relative_to(run.root).as_posix(): p.read_bytes() for p in exported(run)}


@pytest.fixture
def s3(monkeypatch):
    """A bucket on a server of our own."""
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = uuid.uuid4().hex  # what the server holds outlives it
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir(bucket)
    yield f"s3://{bucket}"
    server.stop()
    fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.fixture
def memory():
    yield "memory://evidence"
    fsspec.filesystem("memory").rm("/evidence", recursive=True)


@pytest.mark.parametrize("place", ["memory", "s3", "path"])
def test_a_run_is_copied_whole_and_over_nothing(twinarm, request, run, tmp_path, place):
    url = str(tmp_path / "copy") if place == "path" else f"{request.getfixturevalue(place)}/copies/one"
    code, out, err = twinarm("export", run.root, url)
    assert code == 0, err
    assert out == f"exported {len(list(exported(run)))} files to {url}; {SUMS} there lists their digests\n"
    assert is_a_copy(url, run)
    code, out, err = twinarm("export", run.root, url)
    assert (code, out, err) == (2, "", f"{url} holds something already; give an empty place\n")


@pytest.mark.parametrize("place", ["memory", "s3", "path"])
def test_a_report_is_written_to(twinarm, request, run, tmp_path, monkeypatch, place):
    monkeypatch.setattr(analyse, "report_again", lambda folder: None)
    url = f"{tmp_path if place == 'path' else request.getfixturevalue(place)}/reports/one.html"
    assert twinarm("report", run.root, "--to", url)[:2] == (0, f"report   {url}\n")
    assert fsspec.open(url).fs.cat_file(url) == run.report.read_bytes()


def test_a_store_that_refuses_is_one_line(run, s3, twinarm):
    code, out, err = twinarm("export", run.root, "s3://no-such-bucket/one")
    assert (code, out, len(err.splitlines())) == (2, "", 1), err
    assert err.startswith("s3://no-such-bucket/one cannot be written to: ")


def test_nobody_at_the_stores_address_is_one_line(run, twinarm, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    settings = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    for name, value in (settings | {"AWS_MAX_ATTEMPTS": "1"}).items():
        monkeypatch.setenv(name, value)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    code, out, err = twinarm("export", run.root, "s3://bucket/one")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    assert (code, out, len(err.splitlines())) == (2, "", 1), err
    assert "cannot be written to: " in err and str(port) in err


def test_an_absent_extra_is_named(run, monkeypatch):
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(RunError, match=r"s3://bucket/one needs the extra s3: pip install 'twinarm\[s3\]'"):
        export_run(run, "s3://bucket/one")


@pytest.mark.parametrize(
    ("url", "told"), [("nowhere://a/b", "Protocol not known: nowhere"), ("/proc/none/x", "cannot be written to: ")]
)
def test_no_such_place_is_one_line(twinarm, run, url, told):
    code, out, err = twinarm("export", run.root, url)
    assert (code, out, len(err.splitlines())) == (2, "", 1) and told in err


def test_what_is_not_finished_or_at_work_is_not_exported(twinarm, run, memory, tmp_path):
    with locked(run):
        assert "another run is at work" in twinarm("export", run.root, memory)[2]
    run.results.unlink()
    assert "run it to the end" in twinarm("export", run.root, memory)[2]
    assert "is no run folder" in twinarm("export", tmp_path, memory)[2]
    fsspec.filesystem("memory").makedirs("/evidence", exist_ok=True)


@pytest.mark.parametrize("harm", ["results", "chunk", "record"])
def test_what_is_damaged_is_not_passed_on(twinarm, run, tmp_path, harm):
    harmed = {
        "results": run.results,
        "chunk": run.outcomes / "drift" / "c.1.0.0",
        "record": run.record("drug", 1),
    }[harm]
    harmed.write_bytes(b"{")
    answer = twinarm("export", run.root, tmp_path / "copy")
    assert answer[0] == 2 and "is damaged (" in answer[2] and "start the run again to mend it" in answer[2]
    assert twinarm("report", run.root)[0] == 2
    assert not (tmp_path / "copy").exists() and run.report.read_text() == "a report"


def test_a_run_is_not_copied_into_itself(twinarm, run):
    before = sorted(run.root.rglob("*"))
    answer = twinarm("export", run.root, run.root / "copy")
    assert answer[0] == 2 and "lies within the run; give another place" in answer[2]
    assert sorted(run.root.rglob("*")) == before


def test_a_full_disk_is_tried_again_and_leaves_nothing_half_written(twinarm, run, tmp_path, monkeypatch):
    whole, copied = export._copy, []

    def copy(path, files, place):
        whole(path, files, place)
        copied.append(place)
        if len(copied) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(export, "_copy", copy)
    place = tmp_path / "copy"
    answer = twinarm("export", run.root, place)
    assert answer[0] == 75 and "the disk is full; make room and start the same command again" in answer[2]
    assert len(copied) == 3 and not place.exists()


def test_a_report_that_cannot_be_written_leaves_what_is_there(twinarm, run, tmp_path, monkeypatch):
    monkeypatch.setattr(analyse, "report_again", lambda folder: None)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "mine.txt").write_text("of value")
    assert twinarm("report", run.root, "--to", folder)[0] == 2
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
    older = folder / "older.html"
    older.write_text("an older report")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert twinarm("report", run.root, "--to", older)[0] == 75
    assert older.read_text() == "an older report"
    assert {path.name for path in folder.iterdir()} == {"mine.txt", "older.html"}


def test_a_place_that_can_only_be_read(twinarm, run):
    class Nothing(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Nothing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/copy"
        code, _, err = twinarm("export", run.root, url)
        server.shutdown()
    assert code == 2 and err == f"{url}: http can only be read; give a path or a URL such as s3://bucket/folder\n"
