"""The three maps of polyalanine and the reference."""

from cgbook.drawing import helices


def draw(chapter):
    return helices(chapter, ["chain_ca", "chain_core", "chain_core_beta", "reference"])
