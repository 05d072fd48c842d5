"""The command line starts quickly because it loads nothing heavy."""

import subprocess
import sys
import time

HEAVY = ["arviz", "nutpie", "panel", "pymc", "pytensor", "scipy.stats"]
HELP = """
import sys
sys.argv = ["twinarm", "--help"]
from twinarm.workflows.cli import main
try:
    status = main()
except SystemExit as stop:
    status = stop.code
assert not status, status
"""
REPORT = f"""
print("loaded:", *[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""


def _help(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_help_loads_nothing_heavy():
    result = _help(HELP + REPORT)
    assert result.returncode == 0, result.stderr
    assert "run" in result.stdout
    assert result.stderr.splitlines()[-1] == "loaded:"


def test_help_takes_under_half_a_second():
    seconds = []
    for _ in range(12):  # the best of several: a busy machine slows a start, nothing speeds one up
        start = time.perf_counter()
        result = _help(HELP)
        seconds.append(time.perf_counter() - start)
        assert result.returncode == 0, result.stderr
        if seconds[-1] < 0.5:
            return
    raise AssertionError(f"`twinarm --help` took {min(seconds):.2f} s at best, want under 0.5 s")
