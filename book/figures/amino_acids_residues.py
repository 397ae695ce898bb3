"""Glycine, proline and threonine, a row each."""

from cgbook.drawing import ramachandrans

PLACES = [
    ["reference_gly2_obc2", "gly_core", None, "gly_heavy_atom", "gly_united_atom"],
    ["reference_pro2_obc2", "pro_core", "pro_core_beta", "pro_heavy_atom", "pro_united_atom"],
    ["reference_thr2_obc2", "thr_core", "thr_core_beta", "thr_heavy_atom", "thr_united_atom"],
]


def draw(chapter):
    return ramachandrans(chapter, PLACES)
