"""A protocol file says one protocol: names and paths, the text that is written back, the schema, the starter."""

import jsonschema
import pytest
from hypothesis import given, settings, strategies as st

from twinarm.models.yaml_text import read_yaml
from twinarm.trials.protocol import Protocol, ProtocolError
from twinarm.trials.protocol_file import (
    LIBRARY,
    library_protocols,
    load_protocol,
    read_protocol,
    require_simulation,
    with_seed,
    with_twins,
)
from twinarm.trials.protocol_writer import write_protocol
from twinarm.trials.schema import protocol_schema
from twinarm.trials.template import starter


def said(caught) -> str:
    return str(caught.value)


# ---- the library


@pytest.mark.parametrize("name", library_protocols())
def test_library_protocol_loads_under_its_own_name(name):
    assert load_protocol(name).name == name


@pytest.mark.parametrize("name", library_protocols())
def test_library_protocol_is_written_and_read_back(name):
    protocol = load_protocol(name)
    again = read_protocol("again.yaml", write_protocol(protocol).encode())
    assert again == protocol
    assert again.digest == protocol.digest


@pytest.mark.parametrize("name", library_protocols())
def test_library_protocol_meets_the_schema(name):
    path = LIBRARY / f"{name}.yaml"
    assert schema_faults(path.read_bytes()) == []


def test_closed_loop_protocol_says_what_the_published_trial_did():
    protocol = load_protocol("t1d-closed-loop")
    # Brown 2019, N Engl J Med 381:1707: 168 subjects, two of three with the closed loop, 26 weeks.
    assert (protocol.subjects, protocol.allocation.ratio, protocol.schedule.duration) == (168, (1, 2), 182.0)
    assert (protocol.control.name, [arm.name for arm in protocol.experimental]) == ("open-loop", ["closed-loop"])


# ---- where a protocol is


def test_a_path_is_read(tmp_path, small):
    path = tmp_path / "mine.yaml"
    path.write_text(small, encoding="utf-8")
    assert load_protocol(path) == load_protocol(str(path)) == read_protocol("x", small.encode())


def test_a_byte_order_mark_and_windows_line_ends_are_read(small):
    content = b"\xef\xbb\xbf" + small.replace("\n", "\r\n").encode()
    assert read_protocol("x", content) == read_protocol("x", small.encode())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("t1d-closed-lop", "did you mean 't1d-closed-loop'?"),
        ("zzz", "give the path of a file, with its suffix '.yaml'"),
        ("no/such/trial.yaml", "no/such/trial.yaml: got no such file; expected a protocol file"),
        ("bad\0name.yaml", "got an error: embedded null byte"),
        ("x" * 5000 + ".yaml", "got an error: file name too long"),
    ],
)
def test_a_protocol_that_is_not_there(name, words):
    with pytest.raises(ProtocolError) as caught:
        load_protocol(name)
    assert words in said(caught)
    assert "\n" not in said(caught)


def test_a_misspelled_file_is_found_beside(tmp_path, small):
    (tmp_path / "closed_loop.yaml").write_text(small)
    with pytest.raises(ProtocolError, match=r"did you mean 'closed_loop\.yaml'"):
        load_protocol(tmp_path / "closed-loop.yaml")


def test_a_folder_is_no_protocol(tmp_path):
    with pytest.raises(ProtocolError, match=r"got a folder; expected a protocol file; name") as refused:
        load_protocol(str(tmp_path) + "/.")
    assert str(refused.value).count("got") == 1


def test_a_misspelt_key_is_one_problem(small, tmp_path):
    (tmp_path / "misspelt.yaml").write_text(small.replace("\nsubjects:", "\nsubjetcs:"))
    with pytest.raises(ProtocolError) as refused:
        load_protocol(tmp_path / "misspelt.yaml")
    assert [problem.fix for problem in refused.value.problems] == ["did you mean 'subjects'?"]


# ---- units and defaults


def test_spelling_of_units_comments_and_order_do_not_change_the_digest(small):
    other = small.replace("at: 84 day}", "at: 12 week}  # the end").replace("duration: 12 week", "duration: 2016 hour")
    lines = other.split("\n")
    lines = [*lines[1:5], lines[0], *lines[5:]]
    first, second = read_protocol("x", small.encode()), read_protocol("x", "\n".join(lines).encode())
    assert first.schedule.duration == second.schedule.duration == 84.0
    assert first.digest == second.digest


def test_a_changed_number_changes_the_digest(small):
    assert (
        read_protocol("x", small.encode()).digest != read_protocol("x", small.replace("0.975", "0.98").encode()).digest
    )


# ---- what is written back

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(title=WORDS, days=st.floats(1e-9, 1e9), margin=NUMBERS, settings_=st.dictionaries(WORDS, VALUES, max_size=4))
def test_any_protocol_is_written_and_read_back(title, days, margin, settings_):
    protocol = load_protocol("veteran")
    data = protocol.model_dump()
    data["analyses"][0]["decision"]["margin"] = margin
    data["endpoints"][0]["settings"] = settings_
    changed = Protocol.model_validate(data | {"title": title, "dropout": ({"probability": 0.1, "over": days},)})
    again = read_yaml("x", write_protocol(changed).encode())
    assert again.problems == []
    read = Protocol.model_validate(again.data, context={"from_file": True})
    assert read == changed
    assert read.digest == changed.digest


# ---- what a command line changes


def test_twins_and_seed_are_changed(small):
    protocol = read_protocol("x", small.encode())
    assert with_twins(protocol, 90).population.twins == 90
    assert with_twins(protocol, 59).subjects == 59  # a trial is never larger than its bank
    assert with_seed(protocol, 8).seed == 8
    assert with_seed(with_twins(protocol, 90), 8).arms == protocol.arms


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: with_twins(p, 10**9), "--twins: got 1000000000; expected"),
        (lambda p: with_seed(p, -1), "--seed: got -1; expected"),
    ],
)
def test_a_change_is_checked(small, change, words):
    with pytest.raises(ProtocolError) as caught:
        change(read_protocol("x", small.encode()))
    assert said(caught).startswith(words)
    assert "\n" not in said(caught)


def test_data_alone_cannot_be_simulated():
    require_simulation(load_protocol("t1d-closed-loop"))
    with pytest.raises(ProtocolError) as caught:
        require_simulation(load_protocol("veteran"))
    assert "'veteran', which describes data only" in said(caught)
    assert "twinarm analyse" in said(caught)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("measure: time-to-event", "measure: survival", "endpoints[0].measure: got 'survival'"),
        ("    1: standard", "    1: standrd", "data.arms.1: got 'standrd'; expected an arm"),
        ("    2: test\n", "", "data.arms: got no word for the arm 'test'"),
        ("    overall_survival:\n", "    survival:\n", "data.endpoints: got no column for 'overall_survival'"),
        ("adjust: [karnofsky", "adjust: [karno", "analyses[0].adjust[0]: got 'karno'"),
        ("margin: 1,", "margin: 0,", "write 1 for 'no difference'"),
        ("data:\n", "subjects: 3\ndata:\n", "expected the key 'model' (a simulation needs model, population"),
        ("    none_expected: because death", "    # because death", "estimands[0].none_expected: got no intercurrent"),
    ],
)
def test_a_protocol_of_data_is_checked(old, new, words):
    text = (LIBRARY / "veteran.yaml").read_text()
    assert old in text
    with pytest.raises(ProtocolError) as caught:
        read_protocol("veteran.yaml", text.replace(old, new, 1).encode())
    assert words in said(caught)


# ---- schema


def schema_faults(content: bytes) -> list[str]:
    data = lists(read_yaml("x", content).data)
    validator = jsonschema.Draft202012Validator(protocol_schema())
    return [error.message for error in validator.iter_errors(data)]


def lists(value):
    """An editor reads lists as JSON arrays."""
    if isinstance(value, tuple):
        return [lists(item) for item in value]
    return {key: lists(item) for key, item in value.items()} if isinstance(value, dict) else value


def test_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(protocol_schema())


def test_the_small_protocol_meets_the_schema(small):
    assert schema_faults(small.encode()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seed: 7", "sed: 7"),
        ("title: A small trial\n", ""),
        ("subjects: 60", "subjects: 1"),
        ("subjects: 60", "subjects: sixty"),
        ("  duration: 12 week", "  duration: 12"),
        ("role: control", "role: controll"),
        ("adherence: 0.9", "adherence: 1.1"),
        ("format: 1", "format: 2"),
        ("name: small", "name: Small"),
        ("accept: [-9, -1]", "accept: [-9]"),
    ],
)
def test_a_malformed_protocol_does_not_meet_the_schema(small, old, new):
    assert old in small
    assert schema_faults(small.replace(old, new, 1).encode())


# ---- starter


@pytest.mark.parametrize("name", library_protocols())
def test_a_starter_is_the_library_protocol_under_another_name(name):
    text = starter("my-trial", based_on=name)
    assert text.startswith("# my-trial, started from")
    protocol = read_protocol("my-trial.yaml", text.encode())
    assert protocol == load_protocol(name).model_copy(update={"name": "my-trial"})


@pytest.mark.parametrize("name", ["My Trial", "", "../x", "t1d-closed-loop", "a" * 61])
def test_a_starter_needs_a_name_of_its_own(name):
    with pytest.raises(ProtocolError, match="expected a new name"):
        starter(name)
