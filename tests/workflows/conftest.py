"""A toy trial whose runs take a second: its parts lie in `parts/`, named in protocols by dotted path and by file."""

from pathlib import Path

import pytest

from twinarm.trials.protocol_file import load_protocol

PARTS = Path(__file__).parent / "parts"


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toy parts can be imported, and their files are beside the working folder."""
    monkeypatch.syspath_prepend(str(PARTS))
    monkeypatch.chdir(PARTS)
    return PARTS


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
