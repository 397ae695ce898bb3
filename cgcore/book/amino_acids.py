"""All that the chapter on amino acids reads, from finished runs: tables, figures, a passage to look at."""

from pathlib import Path

from cgcore.book import amino_crossing, amino_figures, amino_tables, map_pictures
from cgcore.book.amino_settings import MAPS, TYPINGS

NINE = [(map, "study", MAPS[map]) for map in ("atomistic", "united_atom", "heavy_atom")]
NINE += [
    (map, typing, ", ".join(filter(None, (MAPS[map], said))))
    for map in ("core", "core_beta")
    for typing, said in TYPINGS.items()
]
"""The study's nine models of alanine: map, typing, title."""


def publish(runs: list[Path], folder: Path) -> list[Path]:
    """Write what the chapter shows of the runs to `folder`; what was written. Raises as `amino_tables.collect`."""
    written = amino_tables.collect(runs, folder) + amino_crossing.write(runs, folder)
    written.append(map_pictures.draw(folder / "maps.png", "ala2", NINE, residue="ala"))
    return written + amino_figures.draw(folder)
