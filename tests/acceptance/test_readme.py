"""The model, the protocol and the commands that the README shows are complete: copied out of it, they run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w/.-]+)`:\n\n```\w+\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL))


def test_the_model_is_short():
    assert sorted(FILES) == ["bp-trial.yaml", "clinic/bp_drug.py", "clinic/turnover.py", "week.py"]
    assert FILES["clinic/bp_drug.py"].count("\n") < 60
    assert FILES["clinic/turnover.py"].count("\n") <= 20
    assert FILES["week.py"].count("\n") <= 20


def test_the_notebook_shows_the_same_equations():
    assert (ROOT / "notebooks" / "clinic" / "turnover.py").read_text(encoding="utf-8") == FILES["clinic/turnover.py"]


def test_a_newcomer_simulates_a_hundred_thousand_twins(tmp_path):
    """The two files, copied out of the page into an empty folder, print what the page says."""
    for name in ("clinic/turnover.py", "week.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(FILES[name], encoding="utf-8")
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "week.py"], cwd=tmp_path, env=here, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "100_000" in FILES["week.py"]
    assert f"$ python week.py\n{done.stdout}```" in README


def test_every_command_of_the_table_is_one():
    from twinarm.workflows.cli import app

    known = {(c.name or c.callback.__name__).replace("_", "-") for c in app.registered_commands}
    known |= {group.name for group in app.registered_groups}
    rows = [row for row in README.splitlines() if row.startswith("| `twinarm ")]
    assert {name for row in rows for name in re.findall(r"`twinarm ([\w-]+)", row)} == known


def test_links_and_folders_are_there():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    folders = re.findall(r"^(\w+/) ", README, flags=re.MULTILINE)
    assert len(folders) == 8
    assert [place for place in (*links, *folders) if not (ROOT / place).exists()] == []


@pytest.mark.slow
def test_the_model_and_its_protocol_run(tmp_path):
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    twinarm = Path(sys.executable).with_name("twinarm")
    for words in (["validate", "bp-trial.yaml"], ["run", "bp-trial.yaml", "--twins", "12"]):
        assert f"twinarm {' '.join(words[:2])}\n" in README
        done = subprocess.run([twinarm, *words], cwd=tmp_path, env=kept, capture_output=True, text=True)
        assert done.returncode in (0, 3), done.stderr  # 3: a gate may fail where twelve subjects say too little
    assert (tmp_path / "runs" / "bp-trial" / "report.html").is_file()
