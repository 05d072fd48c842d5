"""What a newcomer does, in a folder of their own: start from a shipped trial, change it, try it, run it, err."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TWINARM = Path(sys.executable).with_name("twinarm")
LOADS = {"src", "srcset", "data", "poster", "action", "formaction", "background"}


def twinarm(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """The installed command, started in a folder, without what the checkout's environment may add."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "TWINARM_DATA")}
    return subprocess.run([TWINARM, *map(str, words)], cwd=folder, env=kept, capture_output=True, text=True)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with a trial at 90 instead of 100 mg/m2, and nothing beside it."""
    folder = tmp_path_factory.mktemp("home") / "trials-of-mine"
    folder.mkdir()
    done = twinarm(folder, "init", "my-trial", "--based-on", "docetaxel-dose")
    assert (done.returncode, done.stdout) == (0, "wrote my-trial.yaml\n"), done.stderr
    protocol = folder / "my-trial.yaml"
    text = protocol.read_text(encoding="utf-8")
    assert text.count("dose: 100 mg/m^2") == 1
    protocol.write_text(text.replace("dose: 100 mg/m^2", "dose: 90 mg/m^2"), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(home) -> subprocess.CompletedProcess[str]:
    return twinarm(home, "run", "my-trial.yaml", "--twins", 12)


def test_the_edited_protocol_is_valid_and_another_one(home):
    edited = twinarm(home, "validate", "my-trial.yaml")
    shipped = twinarm(home, "validate", "docetaxel-dose")
    assert (edited.returncode, shipped.returncode) == (0, 0), edited.stderr + shipped.stderr
    assert edited.stdout.split("digest")[1] != shipped.stdout.split("digest")[1]


def test_plan_writes_nothing(home):
    before = sorted(path.name for path in home.iterdir())
    done = twinarm(home, "plan", "my-trial.yaml", "--twins", 12)
    assert done.returncode == 0, done.stderr
    assert "12 x 2" in done.stdout
    assert sorted(path.name for path in home.iterdir()) == before


def test_run_leaves_a_report(home, run):
    assert run.returncode in (0, 3), run.stderr  # 3: a gate may fail where twelve subjects say too little
    assert f"exit     {run.returncode}" in run.stdout
    report = home / "runs" / "my-trial" / "report.html"
    assert str(report) in run.stdout
    assert "90 mg" in report.read_text(encoding="utf-8")
    assert sorted(path.name for path in home.iterdir()) == ["my-trial.yaml", "runs"]


class _Loaded(HTMLParser):
    """What a browser would fetch to show a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            is_fetched = name in LOADS or (name.endswith("href") and tag != "a")
            if is_fetched and value and not value.startswith(("#", "data:")):
                self.found.append(f"{tag} {name}={value}")


def test_the_report_needs_nothing_else(home, run):
    text = (home / "runs" / "my-trial" / "report.html").read_text(encoding="utf-8")
    page = _Loaded()
    page.feed(text)
    assert page.found == []
    assert re.findall(r"url\((?!#|['\"]?(?:#|data:))[^)]*\)|@import[^;]*", text) == []
    assert str(home) not in text, "a page that is sent to others names no folder of its author"


def test_the_same_command_again_changes_nothing(home, run):
    again = twinarm(home, "run", "my-trial.yaml", "--twins", 12)
    assert again.returncode == run.returncode
    assert again.stdout.split("outcomes ")[1] == run.stdout.split("outcomes ")[1]
    assert twinarm(home, "verify", "runs/my-trial").returncode == 0


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("subjects: 300", "subjcts: 300", "did you mean 'subjects'?"),
        ("dose: 90 mg/m^2", "dose: 90", "write '90 mg/m^2'"),
        ("dose: 90 mg/m^2", "dose: 90 mg", "cannot be read in mg/m^2"),
        ("arm: dose-100", "arm: dose-110", "did you mean 'dose-100'?"),
        ("name: docetaxel-nsclc", "name: docetaxl-nsclc", "did you mean 'docetaxel-nsclc'?"),
    ],
)
def test_a_fault_is_named_with_its_place_and_its_cure(home, old, new, told):
    text = (home / "my-trial.yaml").read_text(encoding="utf-8")
    assert old in text
    faulty = home / "faulty.yaml"
    faulty.write_text(text.replace(old, new), encoding="utf-8")
    done = twinarm(home, "validate", faulty.name)
    faulty.unlink()
    line = 1 + text[: text.index(old)].count("\n")
    assert done.returncode == 2
    assert told in done.stderr and f"faulty.yaml:{line}:" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_places_are_refused(home, run):
    missing = twinarm(home, "run", "my-trail.yaml")
    assert (missing.returncode, "did you mean 'my-trial.yaml'?" in missing.stderr) == (2, True)
    file = twinarm(home, "run", "my-trial.yaml", "--out", "my-trial.yaml")
    assert (file.returncode, "is a file; give a folder" in file.stderr) == (2, True)
    other = twinarm(home, "run", "my-trial.yaml", "--twins", 13)
    assert (other.returncode, "holds a run of another protocol" in other.stderr) == (2, True)
