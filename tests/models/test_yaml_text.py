"""YAML 1.2 with places: scalars of the core schema, and what is wrong with a file said in its own kind."""

import pytest

from twinarm.models.yaml_text import MAX_BYTES, read_yaml, scalar


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("010", 10),
        ("0o10", 8),
        ("0x1f", 31),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-1", -1),
        ("+2.", 2.0),
        ("", None),
        ("null", None),
        ("True", True),
        ("no", "no"),
        ("on", "on"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("=", "="),
    ],
)
def test_scalar_of_the_core_schema(word, value):
    assert scalar(word) == value
    assert type(scalar(word)) is type(value)


def test_keys_are_words_and_lists_are_tuples():
    data = read_yaml("x", b"1: [a, 'b', \"1\"]\ntrue: x\n").data
    assert data == {"1": ("a", "b", "1"), "true": "x"}


def test_places_are_those_of_an_editor():
    text = read_yaml("x", b"a:\n  - b: 1\n    c: [2, 3]\n")
    assert text.place(("a", 0, "b")).key == (2, 5)
    assert text.place(("a", 0, "c", 1)).value == (3, 12)
    assert text.place(("a", 0, "d")) == text.place(("a", 0))  # the nearest block around it


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "x:1:1: got an empty file; expected a population; begin"),
        (b"a" * (MAX_BYTES + 1), f"expected at most {MAX_BYTES}; is this the population file?"),
        (b"a: 1\n---\nb: 2\n", "x:2:1: got a second document; expected one document; keep one population a file"),
        (b"[" * 50, "nested at most 30 deep; a population is far smaller than that"),
        (b"a: \xff\n", "x:1:4: got the byte 0xff; expected text in UTF-8; save the file as UTF-8"),
        (b"a: [1\n", "got what is not YAML"),
    ],
)
def test_what_cannot_be_read_is_said_in_the_words_of_its_kind(content, words):
    text = read_yaml("x", content, "population", "begin")
    assert not text.is_read and text.data is None
    (problem,) = text.problems
    assert words in str(problem)


def test_small_faults_are_gathered_and_the_rest_is_read():
    text = read_yaml("x", b"a: 1\na: 2\nb: &x 3\nc: .inf\n")
    assert text.is_read and text.data == {"a": 1, "b": 3, "c": 0.0}
    assert [problem.line for problem in text.problems] == [2, 3, 4]
