"""The golden comparison on the terminal: ours, reference, difference and tolerance, by metric and implementation."""

import math
from collections import defaultdict

from rich.console import Console
from rich.progress import track
from rich.table import Table

from hdrbench.errors import HdrbenchError
from hdrbench.metrics.golden import Comparison, Golden, compare
from hdrbench.report.terminal import show


def run_checks(golden: Golden, only: str | None, *, verbose: bool) -> int:
    """Compare every value and print a table.

    Parameters
    ----------
    golden
        Reference values.
    only
        Part of the names of the metrics to compare, in any case; ``None`` for all.
    verbose
        A line per value instead of one, that of the largest share of its tolerance, per metric and implementation.

    Returns
    -------
    int
        How many values are outside their tolerance.

    Raises
    ------
    HdrbenchError
        If nothing is left to compare, or nothing could be compared.
    """
    chosen = [entry for entry in golden.entries if (only or "").lower() in entry["metric"].lower()]
    if not chosen:
        raise HdrbenchError(f"no reference value is of a metric called '{only}'")
    results = [compare(entry, golden) for entry in track(chosen, "comparing", console=Console(stderr=True))]
    families: dict[tuple[str, str], list[Comparison]] = defaultdict(list)
    for result in results:
        families[result.metric, result.implementation].append(result)
    table = Table(title=f"{golden.folder}: {len(results)} values")
    for heading in ("metric", "checked against"):
        table.add_column(heading)
    for heading in ("ours", "reference", "difference", "tolerance", "compared", "outside", "skipped"):
        table.add_column(heading, justify="right")
    for family in families.values():
        for group in [[result] for result in family] if verbose else [family]:
            table.add_row(*_row(group))
    show(table)
    if all(result.skipped for result in results):
        raise HdrbenchError(f"none of the {len(results)} values could be compared: {results[0].skipped}")
    reasons = dict.fromkeys(f"{result.metric}: {result.skipped}" for result in results if result.skipped)
    for result in results:
        if result.failed:
            print(f"failed  {result.id}: {result.failed}")
    for reason in reasons:
        print(f"skipped  {reason}")
    return sum(not result.passed for result in results if result.skipped is None)


def _row(group: list[Comparison]) -> list[str]:
    compared = [result for result in group if result.skipped is None]
    counts = [len(compared), sum(not result.passed for result in compared), len(group) - len(compared)]
    names = [group[0].metric if len(group) > 1 else f"{group[0].metric} {group[0].id}", group[0].implementation]
    if not compared:
        return [*names, "–", "–", "–", "–", *map(str, counts)]
    worst = max(compared, key=lambda result: math.inf if result.failed else result.difference / result.tolerance)
    values = [f"{worst.ours:.8g}", f"{worst.reference:.8g}", f"{worst.difference:.1e}", f"{worst.tolerance:.0e}"]
    return [*names, *values, *map(str, counts)]
