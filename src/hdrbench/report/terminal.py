"""Tables on the terminal."""

from rich.console import Console
from rich.table import Table

PLAIN_WIDTH = 180


def show(table: Table) -> None:
    """Print a table; into a file or a pipe, which have no width, with room enough that nothing is cut."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    console.print(table)
