"""The commands of `twinarm cohort`. What a command needs is imported inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import console

cohort_app = typer.Typer(help="Twins of a population, and how like people they are.", no_args_is_help=True)

Population = Annotated[str, typer.Argument(metavar="POPULATION", help="A name of the library or a file.")]
Cohort = Annotated[Path, typer.Argument(metavar="COHORT", help="A cohort: .csv, .parquet or .zarr.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed.")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
OutFile = Annotated[Path, typer.Option("--out", help="A file .csv or .parquet, or a folder .zarr.")]
Page = Annotated[Path, typer.Option("--out", help="The page (.html).")]
Columns = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="VARIABLE=COLUMN", help="A column of the data with another name; repeat."),
]
Weights = Annotated[str | None, typer.Option("--weights", metavar="COLUMN", help="Survey weights of the data.")]


@cohort_app.command()
def sample(
    population: Population,
    twins: Annotated[int, typer.Option("--twins", min=1, max=10_000_000, help="How many.")],
    out: OutFile,
    seed: Seed = 1,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="CRITERION", help='What twins must meet, like "age > 70"; repeat for more.'),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Draw twins of a population, implausible candidates left out, of those who meet criteria."""
    with console.guarded(debug):
        from . import cohort_commands

        cohort_commands.sample_command(population, twins, seed, out, tuple(where or ()), as_json)


@cohort_app.command()
def calibrate(
    cohort: Cohort,
    targets: Annotated[Path, typer.Argument(metavar="TARGETS", help="Published statistics (.yaml).")],
    out: OutFile,
    select: Annotated[bool, typer.Option("--select", help="Accept twins by weight instead of weighting them.")] = False,
    seed: Seed = 1,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Weight or select the twins of a cohort so that it matches published statistics."""
    with console.guarded(debug):
        from . import cohort_commands

        cohort_commands.calibrate_command(cohort, targets, out, seed if select else None, as_json)
