"""The commands of `twinarm populations`. What a command needs is imported inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import console
from .cohort_cli import Columns, Debug, Json, Levels, Rows, Weights

population_app = typer.Typer(help="The populations of the library; a population of your own from a table.")


@population_app.callback(invoke_without_command=True)
def populations(context: typer.Context, as_json: Json = False, debug: Debug = False) -> None:
    """The populations of the library; with `fit` one of your own, learned from a table of people."""
    if context.invoked_subcommand is not None:
        return
    with console.guarded(debug):
        from . import population_commands

        population_commands.list_command(as_json)


@population_app.command()
def fit(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="People: .csv, .csv.gz or .parquet, one a row.")],
    out: Annotated[Path, typer.Option("--out", help="The population to write (.yaml); its tables stand beside it.")],
    only: Annotated[
        str, typer.Option("--only", metavar="A,B,...", help="Variables to learn; all columns unless given.")
    ] = "",
    column: Columns = None,
    level: Levels = None,
    rows: Rows = "",
    weights: Weights = "",
    towards: Annotated[
        str | None,
        typer.Option("--towards", metavar="POPULATION", help="Where people are few, lean on a population's figures."),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Learn a population from a table of people: margins and dependence, missing values and survey weights allowed."""
    with console.guarded(debug):
        from . import population_commands
        from .cohort_commands import Asked

        asked = Asked(tuple(column or ()), tuple(level or ()), rows, weights)
        names = tuple(name.strip() for name in only.split(",") if name.strip())
        population_commands.fit_command(data, out, asked, names, towards, as_json)
