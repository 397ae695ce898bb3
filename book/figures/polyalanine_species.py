"""CA beads under four typings."""

from cgbook.drawing import helices


def draw(chapter):
    return helices(chapter, ["chain_ca", "chain_ca_symmetric", "chain_ca_single", "chain_ca_alternating"])
