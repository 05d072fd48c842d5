"""A toy trial whose runs take a second: its parts lie in `parts/`, named in protocols by dotted path and by file."""

import sys
from pathlib import Path

import pytest

from twinarm.trials.protocol_file import load_protocol
from twinarm.workflows import cli

PARTS = Path(__file__).parent / "parts"


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toy parts can be imported, and their files are beside the working folder."""
    monkeypatch.syspath_prepend(str(PARTS))
    monkeypatch.chdir(PARTS)
    return PARTS


@pytest.fixture
def twinarm(monkeypatch, capsys):
    """Call the command in this process: (exit code, standard output, standard error)."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["twinarm", *map(str, words)])
        try:
            code = cli.main()
        except SystemExit as left:
            code = left.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def toy(parts):
    """The toy protocol; `toy(twins=.., **settings of the model)` changes it."""
    protocol = load_protocol("toy-trial.yaml")

    def changed(twins=None, update=None, **settings):
        values = protocol.model_dump() | (update or {})
        values["population"]["twins"] = twins or values["population"]["twins"]
        values["model"]["settings"] = settings
        return type(protocol).model_validate(values)

    return changed
