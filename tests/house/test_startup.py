"""The command line starts quickly because it loads nothing heavy."""

import subprocess
import sys

HEAVY = ["arviz", "dask", "distributed", "matplotlib", "numba", "numpy", "nutpie", "pandas", "pint", "pydantic"]
HEAVY += ["pymc", "pytensor", "scipy", "xarray", "zarr"]
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
