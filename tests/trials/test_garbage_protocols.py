"""Whatever is done to a protocol file, it is a protocol or it has problems at places of the file."""

from hypothesis import HealthCheck, given, settings, strategies as st

from twinarm.trials.protocol import ProtocolError
from twinarm.trials.protocol_file import read_protocol

QUICK = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# fmt: off
GARBAGE = [
    "~", "[]", "{}", "-1", "1e400", ".inf", "true", "'", "[1,2", "{a:b}", "&x", "*x", "!!set", "x:y", "0x10",
    "2024-01-01", "--", "é", "a.b.c", "%", "|", ">-", "@", "`", "?", "", '"', "<script>", "5 mg", "x: y",
    "- - -", "\t", "&x y", "[1, 2", "9" * 50,
]
# fmt: on


def holds(text: str | bytes, problems_of) -> None:
    """Either a protocol, or problems that stand in the file; nothing else is raised."""
    content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    try:
        read_protocol("small.yaml", content)
    except ProtocolError:
        problems_of(content)


@QUICK
@given(number=st.integers(0, 200), what=st.sampled_from(["drop", "double", "indent", "swap"]))
def test_lines_that_are_dropped_doubled_moved(small, number, what, problems_of):
    lines = small.split("\n")
    at = number % (len(lines) - 2)
    if what == "drop":
        del lines[at]
    elif what == "double":
        lines.insert(at, lines[at])
    elif what == "indent":
        lines[at] = "  " + lines[at]
    else:
        lines[at], lines[at + 1] = lines[at + 1], lines[at]
    holds("\n".join(lines), problems_of)


@QUICK
@given(number=st.integers(0, 200), garbage=st.sampled_from(GARBAGE) | st.text(max_size=12))
def test_values_of_another_kind(small, number, garbage, problems_of):
    lines = small.split("\n")
    keyed = [n for n, line in enumerate(lines) if ": " in line]
    at = keyed[number % len(keyed)]
    lines[at] = lines[at].split(": ")[0] + ": " + garbage
    holds("\n".join(lines), problems_of)


@QUICK
@given(number=st.integers(0, 200), place=st.integers(0, 40), letter=st.characters(codec="utf-8") | st.just(""))
def test_typing_errors(small, number, place, letter, problems_of):
    lines = small.split("\n")
    at = number % len(lines)
    lines[at] = lines[at][:place] + letter + lines[at][place + 1 :]
    holds("\n".join(lines), problems_of)


@QUICK
@given(start=st.integers(0, 3000), junk=st.binary(max_size=20))
def test_bytes(small, start, junk, problems_of):
    content = small.encode()
    at = start % len(content)
    holds(content[:at] + junk + content[at + len(junk) :], problems_of)


@QUICK
@given(junk=st.binary(max_size=200))
def test_only_bytes(junk, problems_of):
    holds(junk, problems_of)
