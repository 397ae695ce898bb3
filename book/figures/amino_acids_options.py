"""Core by a network that gives mirror images the same energy, by one that tells them apart, and the reference."""

from cgbook.drawing import ramachandrans


def draw(chapter):
    return ramachandrans(chapter, [["core", "core_so_3", "reference_ala2"]])
