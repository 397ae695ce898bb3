"""All that the hexane chapter reads, from finished runs: tables, table 1, figures."""

from pathlib import Path

from cgcore.book import hexane_exchange, hexane_figures, hexane_table1, hexane_tables, hexane_unseen


def publish(runs: list[Path], folder: Path) -> list[Path]:
    """Write what the chapter shows of the runs to `folder`; what was written. Raises as `hexane_tables.collect`."""
    written = hexane_tables.collect(runs, folder) + hexane_table1.write(folder) + hexane_exchange.write(runs, folder)
    return written + hexane_unseen.write(folder) + hexane_figures.draw(folder)
