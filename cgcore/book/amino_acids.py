"""All that the chapter on amino acids reads, from finished runs: tables, figures, a passage to look at."""

from pathlib import Path

from cgcore.book import amino_crossing, amino_figures, amino_tables


def publish(runs: list[Path], folder: Path) -> list[Path]:
    """Write what the chapter shows of the runs to `folder`; what was written. Raises as `amino_tables.collect`."""
    written = amino_tables.collect(runs, folder) + amino_crossing.write(runs, folder)
    return written + amino_figures.draw(folder)
