"""An examination as text for the terminal, and as JSON."""

import numpy as np

from cgcore.doctor.examine import Examination, OfMolecule
from cgcore.doctor.findings import ARTEFACT, BARRIER, CLEAR, MARKS, NOTE, UNKNOWN, findings, level_of

ORDER = (ARTEFACT, UNKNOWN, BARRIER, NOTE, CLEAR)
HEADLINES = {
    ARTEFACT: "a model of positions and species will be wrong here",
    UNKNOWN: "too few frames for a verdict",
    BARRIER: "sound as long as no barrier is crossed",
    CLEAR: "no artefact to be expected",
}


def headline(found: Examination) -> str:
    """The worst level of all findings."""
    levels = {f.level for f in findings(found)} - {NOTE}
    return next(level for level in ORDER if level in levels | {CLEAR})


def verdict(found: Examination) -> str:
    """What a person reads in ten seconds: one line each, the worst first."""
    mapping = found.mapping
    lines = [f"{mapping.name}, typing {mapping.typing}, {found.n_frames} frames: {HEADLINES[headline(found)]}"]
    for f in sorted(findings(found), key=lambda f: ORDER.index(f.level)):
        lines.append(f"{MARKS[f.level]} {f.kind}: {f.what}")
        if f.level not in (CLEAR, NOTE):
            lines.append(f"    sure: {f.sure}")
        if f.do != "nothing" and f.level == NOTE:
            lines[-1] += f"; do: {f.do}"
        elif f.do != "nothing":
            lines.append(f"    do: {f.do}")
    return "\n".join(lines)


def to_dict(found: Examination) -> dict:
    """Plain values for JSON; NaN and infinity become None."""
    return _plain(
        {
            "map": found.mapping.name,
            "typing": found.mapping.typing,
            "n_frames": found.n_frames,
            "temperature_K": found.temperature_K,
            "verdict": headline(found),
            "findings": [f._asdict() for f in findings(found)],
            "molecules": [_molecule(m) for m in found.molecules],
            "lengths": [{**x._asdict(), "closest": x.closest, "separation": x.separation} for x in found.lengths],
            "unsampled": [{**x._asdict(), "closing": x.closing} for x in found.unsampled],
            "noise": found.noise._asdict() if found.noise else None,
        }
    )


def _molecule(m: OfMolecule) -> dict:
    names = m.molecule.beads
    return {
        "beads": names,
        "copies": len(m.molecule.copies),
        "independent_frames": m.independent,
        "symmetries_of_model": len(m.symmetries.model),
        "symmetries_of_molecule": len(m.symmetries.molecule),
        "broken": [
            {
                "name": b.name,
                "permutation": [names[k] for k in b.element.permutation],
                "parity": b.element.parity,
                "path": b.path or "open",
                "level": level_of(b, m.independent),
                "bounds": [x._asdict() for x in b.bounds],
            }
            for b in m.broken
        ],
        "together": [x._asdict() for x in m.together],
        "vibration": m.vibration,
        "depths": [d._asdict() for d in m.depths],
        "rarer_hand": m.hands.left_over,
        "stereocentres": [{**s._asdict(), "beads": [names[k] for k in s.beads]} for s in m.stereo],
        "orbits": [[names[k] for k in orbit] for orbit in m.typing.orbits],
        "typed_orbits": [[names[k] for k in orbit] for orbit in m.typing.typed_orbits],
        "proposed_species": dict(zip(names, m.typing.proposed, strict=True)),
        "coarsest_species": dict(zip(names, m.typing.coarsest, strict=True)),
    }


def _plain(value):
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
