"""How wrong a symmetry that the molecule does not have must make a model, from reference frames alone."""

from typing import NamedTuple

import numpy as np

from cgcore.analysis.blocks import Estimate, filled, jackknife
from cgcore.analysis.surface import symmetry_bound
from cgcore.doctor.groups import Element
from cgcore.doctor.observables import Observable, edges, place
from cgcore.units import kT

DRAWS = 40
RULE_OF_THREE = 3.0
"""Events that a Poisson variable of so large a mean gives at least one of, with 95 %."""


class Bound(NamedTuple):
    """What a symmetry costs in one observable.

    bound: least Jensen-Shannon divergence in bit of any model with the symmetry to the reference, with its standard
    error; floor: what sampling noise alone gives; free_energy: kJ/mol between the part of the observable's space that the
    reference prefers and its image, which the model makes zero; at_least: nothing was seen in the image, so that this is a
    lower bound (95 %).
    """

    observable: str
    bound: Estimate
    floor: float
    free_energy: Estimate
    at_least: bool

    @property
    def excess(self) -> float:
        """The bound beyond noise, in bit."""
        return max(0.0, self.bound.value - self.floor)

    def sure(self, deviations: float = 3.0) -> bool:
        """Whether the bound is beyond noise by so many standard errors."""
        return self.excess > deviations * max(self.bound.error, 1e-12)


def bound_of(
    observable: Observable, blocks: list[np.ndarray], element: Element, *, temperature_K: float, inefficiency: float
) -> Bound:
    """The bound in one observable for one element of a coset.

    blocks: nearly independent sets of frames (t, n, 3) nm; inefficiency: frames that are worth one.
    """
    counts, _ = histograms(observable, blocks, element)
    counts = counts[:, :, counts.any((0, 1))]
    free_energy, at_least = forced_free_energy(counts, temperature_K, inefficiency)
    return Bound(observable.name, jackknife(least_divergence, counts), floor(counts), free_energy, at_least)


def histograms(
    observable: Observable, blocks: list[np.ndarray], element: Element
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Count the observable of x, and of g x, in blocks of frames (t, n, 3) nm: (B, 2, M), and the edges of its M bins."""
    x, ends = np.concatenate(blocks), np.cumsum([len(b) for b in blocks])[:-1]
    bins = edges(observable, x)
    size = int(np.prod([len(edge) - 1 for edge in bins]))
    identity = Element(tuple(range(x.shape[1])), 1)
    places = [np.split(place(observable, x, g, bins), ends) for g in (identity, element)]
    return np.array([[np.bincount(p, minlength=size) for p in block] for block in zip(*places, strict=True)]), bins


def least_divergence(rows: np.ndarray) -> float:
    """min_Q (JS(P_1, Q) + JS(P_2, Q)) / 2 in bit, for histograms P_i (2, M): of an observable of x, and of its image g x.

    A model with the symmetry gives both of them one distribution, the best being this Q.
    """
    # as halves of one distribution over both, which exchanging the halves must leave as it is
    return max(0.0, symmetry_bound(rows / rows.sum(1, keepdims=True) / 2, lambda halves: halves[::-1]))


def floor(table: np.ndarray, seed: int = 0) -> float:
    """Mean of `least_divergence` if the system had the symmetry: each block's two histograms (B, 2, M) change places at random."""
    rng, table = np.random.default_rng(seed), filled(table)
    draws = [np.array([rng.permutation(block) for block in table]).sum(0) for _ in range(DRAWS)]
    return float(np.mean([least_divergence(rows) for rows in draws]))


def forced_free_energy(pair: np.ndarray, temperature_K: float, inefficiency: float) -> tuple[Estimate, bool]:
    """kT ln(p(D) / p(gD)) in kJ/mol, with D where the reference prefers x to g x; a model with the symmetry gives zero.

    pair: counts (B, 2, M) of x and of g x. D is chosen for each block by all others, else noise alone would give a
    preference. Where gD is never seen, the value is that of RULE_OF_THREE independent events, a lower bound (True).
    """
    pair = filled(pair)
    total = pair.sum(0)
    inside = np.zeros((len(pair), 2))
    for b, block in enumerate(pair):
        first, second = total - block
        inside[b] = block[0][first > second].sum(), block[1][first > second].sum()
    here, there = inside.sum(0)
    if not here:
        return Estimate(0.0, 0.0), False
    if not there:
        return Estimate(kT(temperature_K) * float(np.log(max(1.0, here / inefficiency / RULE_OF_THREE))), 0.0), True
    return jackknife(lambda n: kT(temperature_K) * float(np.log(max(n[0], 0.5) / max(n[1], 0.5))), inside), False
