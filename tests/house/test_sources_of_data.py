"""Every file of data says where it comes from and under which licence."""

import csv
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ["models", "cohorts", "trials", "workflows", "tests"]
LICENCE = re.compile(r"licen[cs]e", re.IGNORECASE)


def _data_files() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in {".csv", ".json"})


def says_its_source(path: Path) -> bool:
    """A README beside the file that names it, its source and its licence; or fields of the file that do."""
    readme = path.parent / "README.md"
    if readme.is_file():
        text = readme.read_text(encoding="utf-8")
        if path.name in text and "source" in text.lower() and LICENCE.search(text):
            return True
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as lines:
            fields = set(next(csv.reader(lines), []))
    else:
        content = json.loads(path.read_text(encoding="utf-8"))
        fields = set(content) if isinstance(content, dict) else set()
    return "source" in fields and bool(fields & {"licence", "license"})


def test_every_data_file_says_its_source():
    silent = [path.relative_to(ROOT).as_posix() for path in _data_files() if not says_its_source(path)]
    assert silent == [], "name the file, its source and its licence in a README.md beside it"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "x,y\n1,2\n", False),
        ("a.csv", "x,source\n1,Smith 2020\n", False),
        ("a.csv", "x,source,licence\n1,Smith 2020,CC BY 4.0\n", True),
        ("a.json", '{"x": 1}', False),
        ("a.json", '{"x": 1, "source": "Smith 2020", "license": "CC0"}', True),
    ],
)
def test_fields_that_name_the_source(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert says_its_source(tmp_path / name) is expected


def test_readme_must_name_the_file(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n", encoding="utf-8")
    (tmp_path / "README.md").write_text("b.csv. Source: Smith 2020. Licence: CC0.", encoding="utf-8")
    assert not says_its_source(tmp_path / "a.csv")
    (tmp_path / "README.md").write_text("a.csv. Source: Smith 2020. Licence: CC0.", encoding="utf-8")
    assert says_its_source(tmp_path / "a.csv")
