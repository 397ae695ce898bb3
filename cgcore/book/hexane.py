"""All that the hexane chapter reads, from finished runs: pictures of the maps, tables, table 1, figures."""

from pathlib import Path

from cgcore.book import (
    hexane_bands,
    hexane_exchange,
    hexane_figures,
    hexane_forces,
    hexane_table1,
    hexane_tables,
    hexane_unseen,
    map_pictures,
)

MAPS = [(map, "study", hexane_tables.MAPS[map]) for map in ("four_site", "three_site", "two_site")]


def publish(runs: list[Path], folder: Path) -> list[Path]:
    """Write what the chapter shows of the runs to `folder`; what was written. Raises as `hexane_tables.collect`."""
    written = hexane_tables.collect(runs, folder) + hexane_table1.write(folder) + hexane_exchange.write(runs, folder)
    written += hexane_forces.write(runs, folder) + hexane_unseen.write(folder)
    written += [map_pictures.draw(folder / "maps.png", "hexane", MAPS, residue="hex")]
    return written + hexane_bands.write(folder) + hexane_figures.draw(folder)
