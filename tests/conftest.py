"""Reference data: tests that need it skip with a reason, or fail where it is required."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest


def _reference_is_required() -> bool:
    return os.environ.get("TWINARM_REQUIRE_REFERENCE") == "1"


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The folder of reference data."""
    folder = os.environ.get("TWINARM_DATA", "")
    if folder and Path(folder).is_dir():
        return Path(folder)
    missing = f"TWINARM_DATA={folder!r} is no folder; set it to the folder of reference data"
    if _reference_is_required():
        pytest.fail(missing)
    pytest.skip(missing)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where reference data is required, a skipped `reference` test is a failed one."""
    report = yield
    is_xfail = hasattr(report, "wasxfail")
    if report.skipped and not is_xfail and item.get_closest_marker("reference") and _reference_is_required():
        report.outcome = "failed"
        report.longrepr = f"a reference test may not be skipped here: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a file that skips itself as a whole, where no test is left to carry the mark."""
    report = yield
    if (
        report.skipped
        and isinstance(collector, pytest.Module)
        and "mark.reference" in collector.path.read_text(encoding="utf-8")
        and _reference_is_required()
    ):
        report.outcome = "failed"
        report.longrepr = f"a reference test may not be skipped here: {report.longrepr}"
    return report
