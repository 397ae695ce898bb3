"""The nine maps of capped alanine."""

from cgbook import drawing

ALL = (("published", ""), ("unique", ", all species different"), ("single", ", one species"))
MAPS = [(name, "published", title) for name, title in (("atomistic", "Atomistic"), ("united_atom", "United Atom"))]
MAPS += [("heavy_atom", "published", "Heavy Atom")]
MAPS += [
    (name, typing, title + words)
    for name, title in (("core", "Core"), ("core_beta", "Core Beta"))
    for typing, words in ALL
]


def draw(chapter):
    return drawing.maps("ala2", "ala", MAPS)
