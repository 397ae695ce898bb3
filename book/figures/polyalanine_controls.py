"""CA beads learnt from the reference, and from its mirror image."""

from cgbook.drawing import helices


def draw(chapter):
    return helices(chapter, ["chain_ca", "chain_ca_mirror"])
