"""From numbers to words: each finding says what, how sure, and what to do. The words are a table, `findings.toml`."""

import tomllib
from importlib import resources
from typing import NamedTuple

import numpy as np

from cgcore.doctor.examine import UNKNOWN_PATH, Broken, Examination, OfMolecule
from cgcore.doctor.stereo import KEPT, LOST, PATH
from cgcore.units import kT

TEXTS = tomllib.loads(resources.files(__package__).joinpath("findings.toml").read_text(encoding="utf-8"))
"""kind -> case -> level, what, sure, do."""

LIMITS, LEVELS = TEXTS.pop("limits"), TEXTS.pop("levels")
"""Where a number becomes a verdict, and how bad one can be: level -> mark, headline, the worst first."""
ARTEFACT, UNKNOWN, BARRIER, NOTE, CLEAR = LEVELS


class Finding(NamedTuple):
    """One answer. kind: a table of findings.toml; level: ARTEFACT, BARRIER, CLEAR, UNKNOWN or NOTE."""

    kind: str
    level: str
    what: str
    sure: str
    do: str


def findings(examination: Examination) -> tuple[Finding, ...]:
    """All findings, those of the symmetry bound first."""
    thermal = kT(examination.temperature_K)
    of_molecules = [
        finding
        for m in examination.molecules
        for finding in (*_symmetry(m), *_stereo(m), _typing(m), *_steps(m), *_pmf(m, thermal))
    ]
    return (*of_molecules, *_lengths(examination), _unsampled(examination), *_forces(examination), *_noise(examination))


def level_of(broken: Broken, independent: float) -> str:
    """The verdict on one symmetry that the molecule does not have."""
    return TEXTS["symmetry"][_case(broken, independent)]["level"]


def _say(kind: str, case: str, **numbers) -> Finding:
    """Fill in the text of one case of a kind."""
    text = TEXTS[kind][case]
    what, sure, do = (text.get(part, "").format(**numbers) for part in ("what", "sure", "do"))
    return Finding(kind, text["level"], what, sure, do or "nothing")


def _case(broken: Broken, independent: float) -> str:
    """Which of the cases of a symmetry this one is; independent: frames, of which few say little."""
    worst = broken.worst
    if worst is None:
        return "not_shown"
    if independent < LIMITS["least_independent"]:
        return "too_few"
    if worst.excess > LIMITS["bound_bit"] and worst.sure(LIMITS["deviations"]):
        return {None: "forced", PATH: "behind_plane", KEPT: "barred", UNKNOWN_PATH: "by_frames"}[broken.path]
    if independent < LIMITS["independent"]:
        return "too_few"
    return "barred" if broken.path == KEPT else "harmless"


def _symmetry(m: OfMolecule) -> list[Finding]:
    """One finding for each symmetry that the molecule does not have."""
    if not m.broken:
        return [_say("symmetry", "none_broken", n_symmetries=len(m.symmetries.model))]
    answers = []
    for broken in m.broken:
        numbers, case, worst = {"name": broken.name}, _case(broken, m.independent), broken.worst
        if worst is not None:
            at_least = "at least " if worst.at_least else ""
            numbers |= {
                "cost": f"at least {_pm(worst.bound)} bit from the reference in {worst.observable}, "
                f"free-energy difference of {at_least}{_pm(worst.free_energy)} kJ/mol made zero, both within the basins "
                "that the frames visit",
                "noise": f"noise alone gives {worst.floor:.2g} bit; about {m.independent:.0f} independent frames",
                "within": max(worst.excess, 3 * worst.bound.error),
                "remedy": TEXTS["symmetry"]["remedies"][_remedy(broken, case)],
            }
        answers.append(_say("symmetry", case, **numbers))
    return answers


def _remedy(broken: Broken, case: str) -> str:
    if broken.element.moves:
        return "exchange" if broken.element.parity > 0 else "reflected_exchange"
    return {"behind_plane": "barrier", "by_frames": "by_frames"}.get(case, "open")


def _stereo(m: OfMolecule) -> list[Finding]:
    """One finding for the stereocentres of each state."""
    if not m.stereo:
        return [_say("stereo", "none")]
    racemic = m.handedness.racemic
    mixture = f"; a mixture of enantiomers, {100 * m.handedness.rarer:.0f} % the rarer" if racemic else ""
    both = racemic and all(level_of(b, m.independent) == CLEAR for b in m.broken if not b.element.moves)
    answers = []
    for state, case in ((LOST, "lost"), (PATH, "both" if both else "path"), (KEPT, "kept")):
        if mine := [s for s in m.stereo if s.state == state]:
            names = _listed([s.centre for s in mine], 6)
            sign = "exact: fewer than four beads show it"
            if seen := [s for s in mine if np.isfinite(s.agreement)]:
                sign = (
                    f"sign right in {100 * min(s.agreement for s in seen):.4g} % of the frames; the plane is "
                    f"{min(s.planar for s in seen):.1f} standard deviations off"
                )
            answers.append(
                _say("stereo", case, n=len(mine), n_all=len(m.stereo), names=names, mixture=mixture, sign=sign)
            )
    return answers


def _typing(m: OfMolecule) -> Finding:
    names, must_differ = m.molecule.beads, m.typing.must_differ
    numbers = {"n": len(set(m.molecule.species)), "n_proposed": len(set(m.typing.proposed))}
    if not must_differ:
        return _say("typing", "enough", **numbers)
    pairs = _listed([f"{names[a]}≠{names[b]}" for a, b in must_differ], 4)
    return _say("typing", "alike", pairs=pairs, **numbers)


def _steps(m: OfMolecule) -> list[Finding]:
    v = m.vibration
    if v is None:
        return []
    rigid = f"; {v.rigid} bonds that the reference held fixed are left out" if v.rigid else ""
    case = "period" if v.bond else "too_few"
    return [_say("steps", case, v=v, period=_pm(v.period_fs), rigid=rigid, n_beads=m.molecule.size)]


def _pmf(m: OfMolecule, thermal: float) -> list[Finding]:
    """Of the dihedral that the forces fix worst."""
    if not m.pmf_errors:
        return []
    e = max(m.pmf_errors, key=lambda e: e.plain)
    optimised, best = "", e.plain
    if e.optimised is not None:
        optimised, best = f", those of the optimised force map to ± {e.optimised:.2g}", min(e.plain, e.optimised)
    more = (2 * best / thermal) ** 2
    remedies = ["train on cgcore.force_maps.optimised"] if best < 0.8 * e.plain else []
    remedies += [f"{more:.2g} times the frames, for half of kT"] if more > 1.5 else []
    case = "fixed" if e.plain < thermal / 2 else "loose"
    return [_say("pmf", case, e=e, optimised=optimised, remedy="; ".join(remedies))]


def _lengths(examination: Examination) -> list[Finding]:
    """Of the pair of species whose bonds are worst separated from other distances."""
    near = [x for x in examination.lengths if np.isfinite(x.separation)]
    if not near:
        return [_say("lengths", "none_near")] if examination.lengths else []
    x, limit = min(near, key=lambda x: x.separation), LIMITS["separation"]
    distance = f"{x.of_species:.3f} nm" if np.isfinite(x.of_species) else "out of reach"
    of_species = "" if x.closest == x.of_species else f" (of its species {distance})"
    rate = _pm(x.error_rate) if x.error_rate.value else f"below {x.at_most:.1g}"
    case = "apart" if x.separation >= limit else "confused"
    return [_say("lengths", case, x=x, of_species=of_species, rate=rate, limit=limit)]


def _unsampled(examination: Examination) -> Finding:
    """Gaps between bonds and non-bonded neighbours, those that other molecules come to before those within one."""
    gaps = [x for x in examination.unsampled if x.between]
    if not gaps:
        held = f"; {len(examination.unsampled)} among beads that bonds hold" if examination.unsampled else ""
        return _say("unsampled", "none", held=held, frames=examination.n_frames)
    mine = [x for x in gaps if x.intermolecular] or gaps
    x = max(mine, key=lambda x: x.in_half / (x.high - x.low))
    return _say(
        "unsampled",
        "between" if mine[0].intermolecular else "within",
        ranges=_listed([f"{g.pair} {g.low:.3f} to {g.high:.3f} nm" for g in mine], 3),
        x=x,
        width=x.high - x.low,
        half=f"{x.in_half:.3f} nm" if np.isfinite(x.in_half) else "not to be told",
        closing="still closing: too few frames" if x.closing else "more frames hardly narrow it",
    )


def _forces(examination: Examination) -> list[Finding]:
    """Whether forces and positions fit each other; that they contradict each other is refused before."""
    v = examination.virial
    if v is None:
        return []
    known, sure = (
        {"wanted": examination.temperature_K, "bonds": v.bonds},
        abs(v.ratio - 1) > LIMITS["deviations"] * v.error,
    )
    if v.fits is None:
        return [_say("forces", "unclear", frames=v.frames, **known)]
    case = "other" if sure and abs(v.ratio - 1) > LIMITS["temperature"] else "fit"
    of = {name: x * examination.temperature_K for name, x in (("found", v.ratio), ("error", v.error))}
    return [_say("forces", case, **of, **known)]


def _noise(examination: Examination) -> list[Finding]:
    n = examination.noise
    if n is None:
        return []
    limits = f"mapped forces of {n.rms:.0f} meV/Å"
    if n.at_least is not None:
        limits += f", at least {n.at_least.value:.0f} ± {n.at_least.error:.0f} of it noise of the map"
    if n.floor is not None:
        joint = ", of which noise is" if n.at_least is None else ", and"
        limits += f"{joint} at most about {n.floor:.0f} ± {n.floor_error:.0f}"
    else:
        limits += f"; no upper limit of noise before training ({n.reason})"
    if n.saved is None:
        return [_say("noise", "no_map", limits=limits, reason=n.reason_optimised)]
    saved = f"{100 * n.saved.value:.0f} ± {100 * n.saved.error:.1g} %"
    remedy = "train on cgcore.force_maps.optimised" if n.saved.value > 0.1 else ""
    return [_say("noise", "compared", limits=limits, optimised=n.rms_optimised, saved=saved, remedy=remedy)]


def _listed(words: list[str], most: int) -> str:
    return ", ".join(words[:most]) + (" ..." if len(words) > most else "")


def _pm(estimate) -> str:
    """A value with its standard error, where it has one."""
    return f"{estimate.value:.3g} ± {estimate.error:.1g}" if estimate.error > 1e-6 else f"{estimate.value:.3g}"
