"""Tables of text on stdout, for ``capgen models list`` and ``capgen data list``."""

import sys

import typer

from capgen.cli.console import printable


def show_table(rows: list[tuple[str, ...]]) -> None:
    """Print a table to a terminal, and columns of plain text to anything else."""
    shown = [tuple(map(printable, row)) for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table()
        for index, title in enumerate(shown[0]):
            table.add_column(title, no_wrap=index == 0)  # a name is what one copies
        for row in shown[1:]:
            table.add_row(*map(Text, row))
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        typer.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip().encode())
