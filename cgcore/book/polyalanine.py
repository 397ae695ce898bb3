"""All that the polyalanine chapter reads, from finished runs: tables, figures, trajectories to look at."""

from pathlib import Path

from cgcore.book import polyalanine_figures, polyalanine_reference, polyalanine_tables, polyalanine_views


def publish(runs: list[Path], folder: Path) -> list[Path]:
    """Write what the chapter shows of the runs to `folder`; what was written. Raises as `polyalanine_tables.collect`."""
    written = polyalanine_tables.collect(runs, folder) + polyalanine_reference.write(folder)
    return written + polyalanine_views.write(runs, folder) + polyalanine_figures.draw(folder)
