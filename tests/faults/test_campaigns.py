"""Short campaigns: nothing lost and nothing doubled after deaths, crashes, damage and poison (long: `campaign.py`).

Each is done by a process of its own, as the sweeps fork and want no threads beside them.
"""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from campaigns.common import PARTS, ROOT, environment, toy_file

CALL = """
import json, sys
from pathlib import Path
sys.path.insert(0, {here!r})
from campaigns import {module}
if __name__ == "__main__":
    print(json.dumps({module}.{call}))
"""


def campaign(folder: Path, module: str, call: str) -> dict:
    """What a campaign answers; `folder` in the call is its folder."""
    script = folder / "call.py"
    call = call.replace("folder", f"Path({str(folder)!r})")
    script.write_text(CALL.format(here=str(Path(__file__).parent), module=module, call=call))
    words = [sys.executable, str(script)]
    done = subprocess.run(words, cwd=PARTS, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The small run that the sweeps disturb."""
    folder = tmp_path_factory.mktemp("small")
    campaign(folder, "crashes", "reference(folder).name")
    return folder


@pytest.mark.parametrize("error", [None, errno.ENOSPC, errno.EIO])
def test_some_crash_points(small, error):
    found = campaign(small, "crashes", f"sweep(folder, {error}, 5, seed=3)")
    assert found["wrong"] == [] and found["points"] > 100
    assert set(found["exits"]) == ({"137"} if error is None else {"75"})


def test_some_damage(small):
    found = campaign(small, "corruption", "corruption(folder, 20, seed=5)")
    assert (found["wrong"], found["missed by verify"]) == ([], [])


@pytest.mark.slow
def test_some_deaths(tmp_path):
    campaign(tmp_path, "deaths", "undisturbed(folder, 500, 25, seconds_per_twin=0.01)[1]")
    found = campaign(tmp_path, "deaths", "deaths(folder, 500, 25, 4, 1, own_scheduler=False)")
    assert found["differences"] == [] and sum(found["died"].values()) >= 2


@pytest.mark.slow
def test_every_kind_of_poison(tmp_path):
    found = campaign(tmp_path, "poison", "poison(folder, 200, 1, 25)")
    assert found["wrong"] == [] and found["is refused"]
    assert "placebo: 4 quarantined" in found["counts"]


@pytest.mark.root
@pytest.mark.slow
def test_a_small_disk_that_fills_up_and_grows(tmp_path):
    """A real full disk: exit 75 and one line; with more room the same command goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], check=False)
    if os.geteuid() != 0 or mounted.returncode != 0:
        pytest.skip("a small disk cannot be mounted here: it needs the rights of root")
    try:
        protocol = toy_file(tmp_path / "trial.yaml", 200)
        words = [sys.executable, "-m", "twinarm.workflows.cli", "run", protocol, "--out", disk / "run", "--threads"]
        full = subprocess.run(words, cwd=PARTS, env=environment(), capture_output=True, text=True, check=False)
        said = [line for line in full.stderr.splitlines() if not line.startswith('{"event"')]
        assert full.returncode == 75 and len(said) == 1 and "disk is full" in said[0], full.stderr
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        again = subprocess.run(words, cwd=PARTS, env=environment(), capture_output=True, text=True, check=False)
        assert again.returncode in (0, 3), again.stderr
        assert ROOT.exists() and (disk / "run" / "report.html").exists()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=False)
