"""The nine models of alanine and both references."""

from cgbook.drawing import ramachandrans

PLACES = [
    ["reference_ala2", "atomistic", "united_atom", "heavy_atom"],
    ["reference_ala2_obc2", "core", "core_unique", "core_single"],
    [None, "core_beta", "core_beta_unique", "core_beta_single"],
]


def draw(chapter):
    return ramachandrans(chapter, PLACES)
