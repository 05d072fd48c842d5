"""Words of a message: one line, and the nearest name."""

from twinarm.models.problems import did_you_mean, dotted, one_line


def test_messages_are_one_line():
    assert one_line("a\nb\t\x1b[0m") == "a\\nb\\t\\x1b[0m"
    assert len(one_line("x" * 1000)) == 60
    assert dotted(("arms", 1, "a\nb")) == "arms[1].a\\nb"
    assert did_you_mean("seeed", ["seed", "title"], "no") == "did you mean 'seed'?"
    assert did_you_mean("qqq", ["seed", "title"], "no") == "no"
