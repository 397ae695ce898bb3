"""Core, which cannot tell left from right, Core Beta, and the reference."""

from cgbook.drawing import ramachandrans


def draw(chapter):
    return ramachandrans(chapter, [["core", "core_beta", "reference_ala2"]])
