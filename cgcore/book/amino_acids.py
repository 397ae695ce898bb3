"""All that the chapter on amino acids reads, from finished runs: tables, figures, a passage to look at."""

from pathlib import Path

from cgcore.book import amino_crossing, amino_figures, amino_forces, amino_tables, map_pictures

MODELS = [(which.map, which.typing, which.label) for row in amino_figures.NINE for which in row[1:]]


def publish(runs: list[Path], folder: Path) -> list[Path]:
    """Write what the chapter shows of the runs to `folder`; what was written. Raises as `amino_tables.collect`."""
    written = amino_tables.collect(runs, folder) + amino_crossing.write(runs, folder)
    written.append(map_pictures.draw(folder / "maps.png", "ala2", MODELS, residue="ala"))
    return written + amino_figures.draw(folder) + amino_forces.write(folder)
