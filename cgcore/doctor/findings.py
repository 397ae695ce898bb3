"""From numbers to words: each finding says what, how sure, and what to do."""

from typing import NamedTuple

import numpy as np

from cgcore.doctor import thresholds
from cgcore.doctor.examine import Broken, Examination, OfMolecule
from cgcore.doctor.stereo import KEPT, LOST, PATH
from cgcore.units import kT

ARTEFACT, BARRIER, CLEAR, UNKNOWN, NOTE = "artefact", "barrier", "clear", "unknown", "note"
MARKS = {ARTEFACT: "✗", BARRIER: "!", CLEAR: "✓", UNKNOWN: "?", NOTE: "·"}


class Finding(NamedTuple):
    """kind: "symmetry", "stereo", "typing", "steps", "depth", "lengths", "unsampled", "noise"; level: ARTEFACT (a model will show it), BARRIER (it is in
    the model, behind a barrier), CLEAR, UNKNOWN (too little data), NOTE."""

    kind: str
    level: str
    what: str
    sure: str
    do: str


def findings(found: Examination) -> tuple[Finding, ...]:
    """All findings, those of the symmetry bound first."""
    per_molecule = [
        f for m in found.molecules for f in (*symmetry(m), *stereo(m), *typing(m), *_steps(m), *_depth(m, found))
    ]
    return (*per_molecule, *_lengths(found), _unsampled(found), *_noise(found))


def level_of(broken: Broken, independent: float) -> str:
    """The verdict on one symmetry that the molecule does not have."""
    worst = broken.worst
    if worst is None:
        return UNKNOWN
    if independent < thresholds.LEAST:
        return UNKNOWN
    if worst.excess > thresholds.BOUND_BIT and worst.sure(thresholds.DEVIATIONS):
        return {None: ARTEFACT, PATH: BARRIER, KEPT: CLEAR}[broken.path]
    return UNKNOWN if independent < thresholds.INDEPENDENT else CLEAR


def symmetry(m: OfMolecule) -> list[Finding]:
    if not m.broken:
        words = f"all {len(m.symmetries.model)} symmetries of the model are symmetries of the molecule"
        return [Finding("symmetry", CLEAR, words, "exact: by the graphs of atoms and beads", "nothing")]
    found = []
    for broken in m.broken:
        level, worst = level_of(broken, m.independent), broken.worst
        if worst is None:
            found.append(Finding("symmetry", UNKNOWN, f"{broken.name}: no observable shows it", "", "name one"))
            continue
        cost = (
            f"at least {_pm(worst.bound)} bit from the reference in {worst.observable}, "
            f"free-energy difference of {'at least ' if worst.at_least else ''}{_pm(worst.free_energy)} kJ/mol made zero"
        )
        sure = f"noise alone gives {worst.floor:.2g} bit; about {m.independent:.0f} independent frames"
        what = {
            ARTEFACT: f"{broken.name}: equally likely in every model of positions and species; {cost}",
            BARRIER: f"{broken.name}: in the model, behind the planar barrier of a stereocentre; once crossed, {cost}",
            CLEAR: f"{broken.name}: no harm"
            + (
                ", all five points of a stereocentre stand in the way"
                if broken.path == KEPT
                else f", the reference has this symmetry to within {max(worst.excess, 3 * worst.bound.error):.2g} bit"
            ),
            UNKNOWN: f"{broken.name}: too few independent frames to say; so far {cost}",
        }[level]
        found.append(Finding("symmetry", level, what, sure, _remedy(broken, level)))
    return found


def _remedy(broken: Broken, level: str) -> str:
    if level == CLEAR:
        return "nothing"
    if level == UNKNOWN:
        return "a longer reference"
    if broken.element.moves and broken.element.parity > 0:
        return "the species proposed below, which tell these beads apart"
    if broken.element.moves:
        return "the species proposed below; they remove this symmetry whatever the hand"
    if level == BARRIER:
        return "an improper-dihedral prior at the stereocentre, or watch for inversions"
    return (
        "keep a fourth bead at the stereocentre (CB of a peptide), or a potential with SO(3) symmetry (pseudoscalars)"
    )


def stereo(m: OfMolecule) -> list[Finding]:
    if not m.stereo:
        return [Finding("stereo", CLEAR, "the molecule has no stereocentre", "exact: by the graph of atoms", "nothing")]
    found = []
    mixed = f"; a mixture of hands, {100 * m.hands.left_over:.0f} % the rarer" if m.hands.racemic else ""
    for state in (LOST, PATH, KEPT):
        mine = [s for s in m.stereo if s.state == state]
        if not mine:
            continue
        names = ", ".join(s.centre for s in mine[:6]) + (" ..." if len(mine) > 6 else "")
        what = f"{len(mine)} of {len(m.stereo)} stereocentres {state} ({names}){mixed}"
        seen = [s for s in mine if np.isfinite(s.agreement)]
        sure = "exact: fewer than four beads show it"
        if seen:
            worst = min(seen, key=lambda s: s.planar)
            sure = (
                f"sign right in {100 * min(s.agreement for s in seen):.4g} % of the frames; the plane is "
                f"{worst.planar:.1f} standard deviations off"
            )
        both = m.hands.racemic and all(level_of(b, m.independent) == CLEAR for b in m.broken if not b.element.moves)
        level = {LOST: NOTE, PATH: CLEAR if both else BARRIER, KEPT: CLEAR}[state]
        prior = "nothing: the sample has both hands" if both else "an improper-dihedral prior"
        do = {LOST: "see the mirror image above", PATH: prior, KEPT: "nothing"}[state]
        found.append(Finding("stereo", level, what, sure, do))
    return found


def typing(m: OfMolecule) -> list[Finding]:
    t, names = m.typing, m.molecule.beads
    n_species, proposed = len(set(m.molecule.species)), len(set(t.proposed))
    sure = "exact: by the automorphisms of both graphs"
    if not t.must_differ:
        words = f"{n_species} species add no symmetry of permutations; {proposed} (by composition) would do"
        return [Finding("typing", CLEAR, words, sure, "nothing")]
    pairs = ", ".join(f"{names[a]}≠{names[b]}" for a, b in t.must_differ[:4])
    more = " ..." if len(t.must_differ) > 4 else ""
    words = f"{n_species} species make beads alike that the molecule tells apart: {pairs}{more}"
    return [Finding("typing", NOTE, words, sure, f"the typing 'doctor' of the proposed map file: {proposed} species")]


def _steps(m: OfMolecule) -> list[Finding]:
    v = m.vibration
    if v is None:
        return []
    held = f"; {v.rigid} bonds that the reference held fixed are left out" if v.rigid else ""
    if not v.bond:
        return [
            Finding("steps", NOTE, f"too few frames for how fast {m.molecule.size} beads vibrate{held}", "", "nothing")
        ]
    what = f"the fastest bond vibration, {v.bond}, takes {_pm(v.period_fs)} fs{held}"
    do = f"time steps of at most {v.step_fs:.1f} fs, a tenth of it; watch the energy without a thermostat"
    return [Finding("steps", NOTE, what, "quasi-harmonic, by the positions", do)]


def _depth(m: OfMolecule, found: Examination) -> list[Finding]:
    """Of the dihedral that the forces fix worst."""
    if not m.depths:
        return []
    d, thermal = max(m.depths, key=lambda d: d.plain), kT(found.temperature_K)
    best = d.plain if d.optimal is None else min(d.plain, d.optimal)
    least = f", those of the least noisy map to ± {d.optimal:.2g}" if d.optimal is not None else ""
    what = f"along {d.dihedral} the forces of {d.samples} samples fix the free energy to ± {d.plain:.2g} kJ/mol{least}"
    if d.plain < thermal / 2:
        return [Finding("depth", CLEAR, what, "by drawing blocks of frames again", "nothing")]
    do = ["train on cgcore.force_maps.optimised"] if best < 0.8 * d.plain else []
    more = (2 * best / thermal) ** 2
    do += [f"{more:.2g} times the frames, for half of kT"] if more > 1.5 else []
    return [Finding("depth", NOTE, what, "by drawing blocks of frames again", "; ".join(do) or "nothing")]


def _lengths(found: Examination) -> list[Finding]:
    known = [x for x in found.lengths if np.isfinite(x.separation)]
    if not known:
        words = "no bead that could be taken for a partner comes near"
        return [Finding("lengths", CLEAR, words, "", "nothing")] if found.lengths else []
    x = min(known, key=lambda x: x.separation)
    rate = f"error rate {_pm(x.error_rate)}" if x.error_rate.value else f"error rate below {x.at_most:.1g}"
    species = "" if x.closest == x.of_species else f" (of its species {_nm(x.of_species)})"
    what = (
        f"bonds {x.pair} reach {x.bonded[1]:.3f} nm, strangers like the partner come to {x.closest:.3f} nm{species}: "
        f"ratio {x.separation:.2f}, {rate}"
    )
    sure = f"{x.samples} bonds seen; a ratio below {thresholds.SEPARATION:.2f} is calibrated on the study's maps"
    if x.separation >= thresholds.SEPARATION:
        return [Finding("lengths", CLEAR, what, sure, "nothing")]
    do = "bonded terms or bond-typed edges, or smaller beads; species do not help between equal molecules"
    return [Finding("lengths", ARTEFACT, f"partners can be confused: {what}", sure, do)]


def _unsampled(found: Examination) -> Finding:
    """Gaps between bonds and strangers. Networks were seen to go through those between molecules; whether they go through
    those within one, nobody has looked."""
    gaps = [x for x in found.unsampled if x.on_the_way]
    if not gaps:
        held = f"; {len(found.unsampled)} among beads that bonds hold" if found.unsampled else ""
        words = f"the frames leave no gap of distances between bonds and strangers{held}"
        return Finding("unsampled", CLEAR, words, f"by {found.n_frames} frames", "nothing")
    mine = [x for x in gaps if x.others] or gaps
    shown = ", ".join(f"{x.pair} {x.low:.3f} to {x.high:.3f} nm" for x in mine[:3]) + (" ..." if len(mine) > 3 else "")
    worst = max(mine, key=lambda x: x.in_half / (x.high - x.low))
    half = f"{worst.in_half:.3f} nm" if np.isfinite(worst.in_half) else "not to be told"
    sure = (
        f"{worst.pair}: {worst.high - worst.low:.3f} nm wide in {worst.frames} frames, {half} in half of them, so "
        + ("still closing: too few frames" if worst.closing else "more frames hardly narrow it")
    )
    if not mine[0].others:
        what = f"within a molecule no frame has pairs at {shown}: a network guesses there"
        return Finding("unsampled", NOTE, what, sure, "walls as of cgcore.potentials.unseen, should a run go there")
    what = f"no frame has pairs at {shown}, between bonds and other molecules: a network guesses there"
    return Finding("unsampled", BARRIER, what, sure, 'walls there (prior="unseen" of the notebook), or bonded terms')


def _noise(found: Examination) -> list[Finding]:
    n = found.noise
    if n is None:
        return []
    do, known = "nothing", n.at_least is not None
    what = [f"mapped forces of {n.rms:.0f} meV/Å"]
    if known:
        what[0] += f", at least {n.at_least.value:.0f} ± {n.at_least.error:.0f} of it noise of the map"
    if n.floor is not None:
        what[0] += f"{', and' if known else ', of which noise is'} at most about {n.floor:.0f} ± {n.floor_error:.0f}"
    else:
        what.append(f"no upper limit of noise before training ({n.reason})")
    if n.saved is not None:
        saved = f"{100 * n.saved.value:.0f} ± {100 * n.saved.error:.1g} %"
        what.append(f"the least noisy force map leaves {n.rms_optimal:.0f} and saves {saved} of the mean square")
        do = "train on cgcore.force_maps.optimised" if n.saved.value > 0.1 else "nothing"
    else:
        what.append(f"what a less noisy force map saves is not known ({n.reason_optimal})")
    sure = "by frames that the force map was not fitted to" if n.saved is not None else ""
    return [Finding("noise", NOTE, "; ".join(what), sure, do)]


def _nm(value: float) -> str:
    return f"{value:.3f} nm" if np.isfinite(value) else "out of reach"


def _pm(e) -> str:
    return f"{e.value:.3g} ± {e.error:.1g}" if e.error > 1e-6 else f"{e.value:.3g}"
