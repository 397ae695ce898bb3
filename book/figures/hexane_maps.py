"""The three maps of hexane: one molecule of the liquid, and its beads."""

from cgbook import drawing

MAPS = (("four_site", "Four-site"), ("three_site", "Three-site"), ("two_site", "Two-site"))


def draw(chapter):
    return drawing.maps("hexane", "hex", [(name, "published", title) for name, title in MAPS])
