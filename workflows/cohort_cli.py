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
PageFile = Annotated[Path | None, typer.Option("--out", help="A page to write as well (.html).")]
Levels = Annotated[
    list[str] | None,
    typer.Option("--level", metavar="VARIABLE:WORD=WORD", help="A word of the data, as the cohort has it; repeat."),
]
Columns = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="VARIABLE=COLUMN", help="A column of the data with another name; repeat."),
]
Rows = Annotated[str, typer.Option("--rows", metavar="CRITERION", help="Which rows of the data, by its own columns.")]
Weights = Annotated[str, typer.Option("--weights", metavar="COLUMN", help="Survey weights, a column of the data.")]


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
    demographics: Annotated[
        str,
        typer.Option("--demographics", metavar="TARGET", help="A census (eu27-2023, us-census-2020) or plan (.csv)."),
    ] = "",
    quota: Annotated[bool, typer.Option("--quota", help="Fill the shares of age, sex and race evenly.")] = False,
    draws: Annotated[
        int,
        typer.Option("--population-draws", min=0, max=10_000, help="So many draws of the population's parameters."),
    ] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Draw twins of a population, implausible candidates left out, of those who meet criteria."""
    with console.guarded(debug):
        from . import cohort_sample

        wanted = cohort_sample.Wanted(twins, seed, tuple(where or ()), demographics, quota, draws)
        cohort_sample.sample_command(population, wanted, out, as_json)


@cohort_app.command()
def calibrate(
    cohort: Cohort,
    targets: Annotated[
        Path, typer.Argument(metavar="TARGETS", help="Published statistics: a .yaml file, or a name of the library.")
    ],
    out: OutFile,
    select: Annotated[bool, typer.Option("--select", help="Accept twins by weight instead of weighting them.")] = False,
    simulate: Annotated[
        str,
        typer.Option("--simulate", metavar="PROTOCOL", help="Simulate its run-in; targets may name baseline_ENDPOINT."),
    ] = "",
    seed: Seed = 1,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Weight or select the twins of a cohort so that it matches published statistics."""
    with console.guarded(debug):
        from . import cohort_commands

        cohort_commands.calibrate_command(cohort, targets, out, seed if select else None, simulate, as_json)


@cohort_app.command()
def compare(
    cohort: Cohort,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Real people: .csv, .csv.gz or .parquet, one a row.")],
    out: Annotated[Path, typer.Option("--out", help="The page to write (.html).")] = Path("comparison.html"),
    column: Columns = None,
    level: Levels = None,
    rows: Rows = "",
    weights: Weights = "",
    leave_out: Annotated[
        list[str] | None, typer.Option("--leave-out", metavar="VARIABLE", help="A variable not to compare; repeat.")
    ] = None,
    seed: Seed = 1,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare a cohort with real people: margins, correlations, and whether a classifier can tell them apart."""
    with console.guarded(debug):
        from . import cohort_commands

        asked = cohort_commands.Asked(tuple(column or ()), tuple(level or ()), rows, weights)
        cohort_commands.compare_command(cohort, data, out, asked, tuple(leave_out or ()), seed, as_json)


@cohort_app.command()
def represent(
    cohort: Cohort,
    target: Annotated[str, typer.Option("--target", help="Census: us-adults, us, us-census-2020 or eu27-2023.")],
    precision: Annotated[
        float, typer.Option("--precision", help="Wanted half-width of a 95 % interval of a mean, in SD.")
    ] = 0.1,
    out: PageFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say whom a cohort represents, and which groups have too few twins for a stated precision."""
    with console.guarded(debug):
        from . import cohort_commands

        cohort_commands.represent_command(cohort, target, precision, out, as_json)


@cohort_app.command()
def privacy(
    cohort: Cohort,
    training: Annotated[Path, typer.Argument(metavar="TRAINING", help="The people it was learned from.")],
    held_out: Annotated[Path, typer.Argument(metavar="HELD_OUT", help="People of the same kind, held back.")],
    column: Columns = None,
    seed: Seed = 1,
    out: PageFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say whether a cohort gives the people away that its population was learned from. Leaves 3 when it does."""
    with console.guarded(debug):
        from . import cohort_commands

        asked = cohort_commands.Asked(tuple(column or ()))
        code = cohort_commands.privacy_command(cohort, (training, held_out), asked, seed, out, as_json)
    raise typer.Exit(code)


@cohort_app.command("import")
def import_(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="Patients: a table .csv, .csv.gz or .parquet, or FHIR R4 bundles (.json, .ndjson, a folder).",
        ),
    ],
    population: Annotated[str, typer.Option("--like", metavar="POPULATION", help="Whose variables and units.")],
    out: OutFile,
    column: Columns = None,
    level: Levels = None,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", metavar="VARIABLE", help="A variable to take over, in place of all; repeat."),
    ] = None,
    on: Annotated[str, typer.Option("--on", metavar="DAY", help="FHIR: ages and latest values of this day.")] = "",
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help="Leave rows and records with faults out; they are counted.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Read patients as a cohort; units are checked and converted, faults named by line or record."""
    with console.guarded(debug):
        from . import cohort_commands, cohort_import_command

        asked = cohort_commands.Asked(tuple(column or ()), tuple(level or ()))
        wanted = cohort_import_command.Wanted(tuple(keep or ()), on, leave_out)
        cohort_import_command.import_command(source, population, out, asked, wanted, as_json)
