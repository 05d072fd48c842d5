"""What a person at the terminal sees: progress, errors in a line, and what the exit code means."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from .progress import Progress

USER_ERROR, BUG, TRY_AGAIN, INTERRUPTED, NOT_READ = 2, 70, 75, 130, 141
MEANINGS = {
    0: "ok",
    2: "usage, protocol, data or environment to mend",
    3: "a gate failed: no efficacy statement",
    4: "failed twins above the limit: no analysis",
    5: "a difference was found",
    70: "a fault of the program",
    75: "try again: the same command goes on",
    130: "interrupted",
    141: "nobody reads the output any more",
}
LINE_SECONDS = 5.0
_WRONG_PLACE = (errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EROFS, errno.ENAMETOOLONG)


def say(text: str = "") -> None:
    """A line on standard output."""
    print(text, flush=True)


def complain(text: str) -> None:
    """Lines on standard error."""
    print(text, file=sys.stderr, flush=True)


def emit(value: Any) -> None:
    """One JSON line on standard output."""
    print(json.dumps(value, allow_nan=False), flush=True)


@contextmanager
def guarded(debug: bool, scratch: Path | None = None) -> Iterator[None]:
    """Leave with the right code and one line a problem; tracebacks go to a file, or to the terminal with `debug`."""
    before = {number: signal.signal(number, _ended) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    except KeyboardInterrupt:
        complain("interrupted; start the same command again to go on")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read the output (`| head`) has seen enough; what is still to be flushed goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(NOT_READ)
    except Exception as error:
        _leave(error, debug, scratch)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ended(number: int, _frame: FrameType | None) -> NoReturn:
    """Where no block is in flight there is nothing to wait for."""
    complain(f"stopped by {signal.Signals(number).name}; start the same command again to go on")
    sys.exit(TRY_AGAIN)


def _leave(error: Exception, debug: bool, scratch: Path | None) -> NoReturn:
    from .run_folder import RunError

    if debug:
        traceback.print_exception(error)
    if isinstance(error, RunError):
        complain(str(error))
        sys.exit(error.exit_code)
    if isinstance(error, ValueError) and type(error).__module__.startswith("twinarm."):  # the project's own: bad input
        complain(str(error))
        sys.exit(USER_ERROR)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        complain(f"the disk is full ({error.filename or 'no space left'}); make room and start the same command again")
        sys.exit(TRY_AGAIN)
    if isinstance(error, OSError) and error.errno in (errno.EIO, errno.ESTALE):
        complain(f"the disk failed ({error.filename or error.strerror}); see to it and start the same command again")
        sys.exit(TRY_AGAIN)
    if isinstance(error, OSError) and error.filename and error.errno in _WRONG_PLACE:
        complain(f"{error.filename}: {(error.strerror or 'cannot be written').lower()}; give another folder with --out")
        sys.exit(USER_ERROR)
    where = "" if debug else f"; the traceback is in {_keep_traceback(error, scratch)}"
    complain(f"a fault of the program: {type(error).__name__}: {' '.join(str(error).split())[:300]}{where}")
    sys.exit(BUG)


def _keep_traceback(error: Exception, scratch: Path | None) -> Path:
    """A file in the run folder's `tmp` where there is a run folder, else in the machine's."""
    folder = Path(tempfile.gettempdir())
    try:
        if scratch is not None and scratch.parent.is_dir():
            scratch.mkdir(exist_ok=True)
            folder = scratch
        handle, name = tempfile.mkstemp(prefix="twinarm-fault-", suffix=".txt", dir=folder)
    except OSError:
        handle, name = tempfile.mkstemp(prefix="twinarm-fault-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    return Path(name)


@contextmanager
def watched(as_json: bool) -> Iterator[Callable[[Progress], None]]:
    """A reporter of progress: a bar on a terminal, else JSON lines, on standard output with `--json`."""
    if as_json:
        yield _lines(emit, 0.0)
    elif sys.stderr.isatty():
        with _bar() as notify:
            yield notify
    else:
        yield _lines(lambda line: complain(json.dumps(line)), LINE_SECONDS)


class _Pace:
    """Twins x arms a second since the first progress of a simulation, without those that were there before."""

    def __init__(self) -> None:
        self.begun: float | None = None

    def rate(self, progress: Progress) -> float | None:
        """None while nothing can be said."""
        if progress.stage != "simulation":
            return None
        now = time.monotonic()
        self.begun = now if self.begun is None else self.begun
        made = progress.done - progress.reused
        return made / (now - self.begun) if made and now > self.begun + 0.5 else None


def _lines(write: Callable[[dict[str, Any]], None], every: float) -> Callable[[Progress], None]:
    """A line for each stage, its end, and in between at most every so many seconds."""
    said: dict[str, Any] = {"stage": "", "at": 0.0}
    pace = _Pace()

    def notify(progress: Progress) -> None:
        rate = pace.rate(progress)
        is_last = progress.done == progress.total
        if progress.stage == said["stage"] and not is_last and time.monotonic() < said["at"] + every:
            return
        said.update(stage=progress.stage, at=time.monotonic())
        line: dict[str, Any] = {"event": "progress", "stage": progress.stage}
        if progress.total:
            line |= {key: value for key, value in vars(progress).items() if key != "stage"}
            line |= {
                "per_second": round(rate, 1) if rate else None,
                "left_seconds": round((progress.total - progress.done) / rate, 1) if rate else None,
            }
        write(line)

    return notify


@contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress as Bar, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]}"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("screening", total=None, rate="", failed="")
        pace = _Pace()

        def notify(progress: Progress) -> None:
            rate = pace.rate(progress)
            bar.update(
                task,
                description=progress.stage,
                total=progress.total or None,
                completed=progress.done,
                rate=f"{rate:.0f}/s" if rate else "",
                failed=_failures(progress),
            )

        yield notify


def _failures(progress: Progress) -> str:
    """Failed twins in words, the quarantined among them."""
    if not progress.failed:
        return ""
    return f"{progress.failed} failed" + (f", {progress.quarantined} quarantined" if progress.quarantined else "")


def table(title: str, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """A small table on standard output: drawn on a terminal, aligned text elsewhere."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        drawn = Table(title=title, title_justify="left")
        for name in header:
            drawn.add_column(name)
        for row in rows:
            drawn.add_row(*row)
        Console().print(drawn)
        return
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    if title:
        say(title)
    for row in (header, *rows):
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def size(count: float) -> str:
    """Bytes for people.

    >>> size(1536), size(3e9)
    ('1.5 KB', '2.79 GB')
    """
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} TB"


def duration(seconds: float) -> str:
    """Seconds for people.

    >>> duration(0.4), duration(90), duration(7300)
    ('under 1 s', '1 min 30 s', '2 h 1 min')
    """
    if seconds < 1:
        return "under 1 s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
