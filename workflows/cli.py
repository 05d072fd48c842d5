"""The `twinarm` command. What a command needs is imported inside it: `twinarm --help` stays quick."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from . import console
from .cohort_cli import cohort_app
from .population_cli import population_app

app = typer.Typer(
    help="In silico clinical trials: virtual patients, every arm, one reproducible path from protocol to evidence.",
    epilog="Exit codes: 0 ok; 2 mend the input; 3 a gate failed; 4 too many failed twins; 5 a difference was found; "
    "70 a fault of the program; 75 try again; 130 interrupted; 141 output not read.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cohort_app, name="cohort")
app.add_typer(population_app, name="populations")

ProtocolName = Annotated[str, typer.Argument(metavar="PROTOCOL", help="A protocol file, or a name of the library.")]
RunName = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder of the run; by default runs/<protocol name>.")]
Twins = Annotated[int | None, typer.Option("--twins", min=1, help="Twins in the bank, instead of the protocol's.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed, instead of the protocol's.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, max=1024, help="Workers; by default one a core.")]
Scheduler = Annotated[
    str | None, typer.Option("--scheduler", metavar="ADDR", help="A Dask scheduler: tls://host:port.")
]
Certificates = Annotated[
    Path | None, typer.Option("--certificates", metavar="FOLDER", help="Certificates of a cluster beyond this machine.")
]
SlurmJobs = Annotated[int | None, typer.Option("--slurm", metavar="JOBS", min=1, help="Keep so many jobs of Slurm.")]
SlurmCores = Annotated[
    int | None, typer.Option("--slurm-cores", min=1, help="Cores of a job, each one worker; by default 1.")
]
SlurmMemory = Annotated[str | None, typer.Option("--slurm-memory", help="Memory of a job; by default 2 GB.")]
SlurmMinutes = Annotated[int | None, typer.Option("--slurm-minutes", min=2, help="Time limit of a job; by default 60.")]
Sbatch = Annotated[list[str] | None, typer.Option("--sbatch", help="An option for sbatch: --sbatch=--partition=long.")]
Share = Annotated[str | None, typer.Option("--blocks", metavar="K/N", help="Simulate blocks K, K+N, ... and stop.")]
Block = Annotated[int | None, typer.Option("--block", min=1, max=20_000, help="Twins a block, instead of the pilot's.")]
Threads = Annotated[bool, typer.Option("--threads", help="Threads of one process instead of worker processes.")]
Json = Annotated[bool, typer.Option("--json", help="JSON lines instead of text.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]


def main() -> int:
    """Entry of the `twinarm` command; returns the exit code."""
    atexit.register(gc.freeze)  # at the end nothing is left to be collected: it saves a second
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # a protocol may name the user's own modules, beside it
    try:
        code = app(standalone_mode=False)
    except typer.Abort:
        return console.INTERRUPTED
    except SystemExit as left:
        if isinstance(left.__context__, BrokenPipeError):  # the parser's own answer to it is 1
            return console.NOT_READ
        raise
    except Exception as error:
        if not hasattr(error, "format_message"):  # a usage error of the parser, which typer does not export
            raise
        console.complain(_usage(error))
        return int(getattr(error, "exit_code", console.USER_ERROR))
    return code if isinstance(code, int) else 0


def _usage(error: Any) -> str:
    """What is wrong with the words of a command, what was typed, and where the help is."""
    options = getattr(getattr(error, "param", None), "opts", ())
    typed = next((f", got {word!r}" for option, word in pairwise(sys.argv) if option in options), "")
    path = error.ctx.command_path if getattr(error, "ctx", None) else "twinarm"
    return f"{error.format_message().rstrip('.')}{typed}; see `{path} --help`"


def _version(asked: bool) -> None:
    if asked:
        from .. import __version__

        console.say(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="The version, and nothing else.")
    ] = False,
) -> None:
    """In silico clinical trials: virtual patients, every arm, one reproducible path from protocol to evidence."""


def _protocol(name: str, twins: int | None, seed: int | None) -> Any:
    from ..trials.protocol_file import load_protocol, with_seed, with_twins

    protocol = load_protocol(name)
    protocol = protocol if twins is None else with_twins(protocol, twins)
    return protocol if seed is None else with_seed(protocol, seed)


def _jobs(count: int | None, **details: Any) -> Any:
    from .run_folder import RunError
    from .slurm import Slurm

    given = {name: value for name, value in details.items() if value}
    if given and count is None:
        raise RunError("--slurm-cores, --slurm-memory, --slurm-minutes and --sbatch need --slurm JOBS; give it too")
    return None if count is None else Slurm(count, **given)


@app.command()
def run(
    protocol: ProtocolName,
    out: Out = None,
    twins: Twins = None,
    seed: Seed = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    certificates: Certificates = None,
    slurm: SlurmJobs = None,
    slurm_cores: SlurmCores = None,
    slurm_memory: SlurmMemory = None,
    slurm_minutes: SlurmMinutes = None,
    sbatch: Sbatch = None,
    block: Block = None,
    threads: Threads = False,
    prepare: Annotated[bool, typer.Option("--prepare", help="Stop before the first block.")] = False,
    blocks: Share = None,
    update: Annotated[bool, typer.Option("--update", help="Take over a folder of another protocol.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run a trial, or go on with one that was cut off."""
    from . import commands
    from .cluster import Cluster
    from .run_folder import RunError

    scratch = (out or Path("runs") / Path(protocol).stem) / "tmp"
    with console.guarded(debug, scratch):
        if sum(bool(one) for one in (scheduler, slurm, prepare, blocks)) > 1:
            raise RunError("--scheduler, --slurm, --prepare and --blocks exclude each other; give one")
        options = tuple(sbatch or ())
        jobs = _jobs(slurm, cores=slurm_cores, memory=slurm_memory, minutes=slurm_minutes, options=options)
        cluster = Cluster(workers, scheduler, not threads, certificates, jobs)
        cluster.require()
        settings = commands.RunSettings(cluster, block, update)
        chosen = _protocol(protocol, twins, seed)
        place = out or Path("runs") / chosen.name
        if blocks:
            code = commands.share_command(chosen, place, blocks, as_json)
        elif prepare:
            code = commands.prepare_command(chosen, place, settings, as_json)
        else:
            code = commands.run_command(chosen, place, settings, as_json)
    raise typer.Exit(code)


@app.command()
def validate(protocol: ProtocolName, as_json: Json = False, debug: Debug = False) -> None:
    """Check a protocol file; every problem on a line of its own."""
    with console.guarded(debug):
        chosen = _protocol(protocol, None, None)
        if as_json:
            console.emit({"name": chosen.name, "digest": chosen.digest, "valid": True})
        else:
            console.say(f"{chosen.name}: valid, digest {chosen.digest[:16]}")


@app.command()
def schema(debug: Debug = False) -> None:
    """The JSON Schema of protocol files, for editors."""
    with console.guarded(debug):
        import json

        from ..trials.schema import protocol_schema

        console.say(json.dumps(protocol_schema(), indent=2, sort_keys=True))


@app.command()
def init(
    name: Annotated[str, typer.Argument(help="Name of the new protocol.")],
    based_on: Annotated[
        str, typer.Option("--based-on", help="Protocol of the library to start from.")
    ] = "t1d-closed-loop",
    debug: Debug = False,
) -> None:
    """Write a protocol file NAME.yaml to start from."""
    with console.guarded(debug):
        from ..trials.template import starter
        from .run_folder import RunError, write_atomic

        path = Path(f"{name}.yaml")
        text = starter(name, based_on)
        if path.exists():
            raise RunError(f"{path} is already there; give another name")
        write_atomic(path, text.encode())
        console.say(f"wrote {path}")


@app.command()
def plan(
    protocol: ProtocolName,
    out: Out = None,
    twins: Twins = None,
    seed: Seed = None,
    workers: Workers = None,
    block: Block = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Try a few twins and say what the run would cost. Writes nothing."""
    from . import commands

    with console.guarded(debug):
        chosen = _protocol(protocol, twins, seed)
        commands.plan_command(chosen, out or Path("runs") / chosen.name, workers, block, as_json)


@app.command()
def status(run: RunName, as_json: Json = False, debug: Debug = False) -> None:
    """How far a run is; from any shell, at any time."""
    from . import commands

    with console.guarded(debug):
        commands.status_command(run, as_json)


@app.command()
def analyse(
    protocol: Annotated[
        str, typer.Option("--protocol", metavar="PROTOCOL", help="A protocol with a `data` block, or a name.")
    ],
    data: Annotated[
        Path | None, typer.Option("--data", help="Table of subjects (csv); by default the one that the protocol names.")
    ] = None,
    out: Out = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Analyse the data of a real trial with the same analyses and report."""
    from ..trials.protocol_file import table_path
    from . import commands

    with console.guarded(debug):
        chosen = _protocol(protocol, None, None)
        table = data or table_path(protocol, chosen)
        code = commands.analyse_command(chosen, table, out or Path("runs") / chosen.name, as_json)
    raise typer.Exit(code)


@app.command()
def report(
    run: RunName,
    to: Annotated[str | None, typer.Option("--to", metavar="URL", help="Also to a path or URL.")] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the report of a run again."""
    from . import commands

    with console.guarded(debug):
        commands.report_command(run, to, as_json)


@app.command()
def export(
    run: RunName,
    to: Annotated[str, typer.Argument(metavar="URL", help="An empty place: a path, s3://bucket/folder, ...")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Copy a finished run to any place that fsspec can write to."""
    from . import commands

    with console.guarded(debug):
        commands.export_command(run, to, as_json)


@app.command()
def verify(
    run: RunName,
    twins: Annotated[int, typer.Option("--twins", min=0, max=1000, help="Twins to simulate again.")] = 3,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Recompute the digests of a run and simulate some twins again, bit for bit."""
    from . import commands

    with console.guarded(debug):
        code = commands.verify_command(run, twins, as_json)
    raise typer.Exit(code)


@app.command()
def models(as_json: Json = False, debug: Debug = False) -> None:
    """The models of the library."""
    from . import commands

    with console.guarded(debug):
        commands.models_command(as_json)


@app.command()
def doctor(as_json: Json = False, debug: Debug = False) -> None:
    """Versions, cores and folders: what to send along with a question."""
    from . import commands

    with console.guarded(debug):
        commands.doctor_command(as_json)


@app.command()
def certificates(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder.")],
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="How long they are valid.")] = 365,
    debug: Debug = False,
) -> None:
    """Make the certificates of a cluster beyond this machine."""
    from . import commands

    with console.guarded(debug):
        commands.certificates_command(folder, days)


if __name__ == "__main__":
    sys.exit(main())
