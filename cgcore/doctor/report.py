"""`cgcore doctor`: from a map and a trajectory to an examination, as text for the terminal, as JSON, and as files."""

import json
from pathlib import Path

from cgcore import mapping as maps
from cgcore import store
from cgcore.config import ConfigError, check_range
from cgcore.doctor.examine import Examination, OfMolecule, examine
from cgcore.doctor.findings import CLEAR, LEVELS, NOTE, Finding, findings, level_of
from cgcore.doctor.species import map_text, proposal
from cgcore.frames import Frames, Topology
from cgcore.io import load
from cgcore.reference import sets
from cgcore.store.files import plain


def diagnose(
    name: str,
    trajectory: str,
    *,
    typing: str = "published",
    residue: str | None = None,
    topology: Path | None = None,
    frame_ps: float | None = None,
    stride: int = 1,
    temperature_K: float | None = None,
    constraints: str | None = None,
) -> Examination:
    """Read, map and examine.

    Args:
        name: a bundled map, or a TOML file.
        trajectory: a set of `cgcore sets`, a folder of `cgcore reference` or `cgcore import`, or a trajectory file; then topology is
            needed.
        residue: one of the map's, that the topology must hold; None for whichever it holds.
        temperature_K: None for that of the reference, 300 for a trajectory file.
        frame_ps: spacing of frames, for files without times.
        constraints: "none", "h-bonds" or "all-bonds", what the run of a trajectory file had where frames cannot tell.

    Raises what `mapping.load`, the readers and `examine` raise, which explain themselves.
    """
    known = {"frame_ps": frame_ps, "stride": stride, "temperature_K": temperature_K, "constraints": constraints}
    atoms, frames, temperature_K = read_frames(trajectory, topology=topology, **known)
    mapping = maps.load(name, atoms, typing=typing, residue=residue)
    return examine(mapping, atoms, frames, temperature_K=temperature_K)


def read_frames(
    trajectory: str,
    *,
    topology: Path | None,
    frame_ps,
    stride: int,
    temperature_K: float | None,
    constraints: str | None,
) -> tuple[Topology, Frames, float]:
    """Read a set, a folder, or a trajectory file with its topology, and their temperature; arguments and errors of `diagnose`."""
    check_range("temperature_K", temperature_K, above=0, most=10_000)
    check_range("frame_ps", frame_ps, above=0, most=1_000_000)
    if topology is not None:
        known = {"constraints": constraints, "temperature_K": temperature_K or 300.0, "frame_ps": frame_ps}
        return *load(topology, [trajectory], stride=stride, **known), known["temperature_K"]
    if Path(trajectory).is_file():
        raise ConfigError(f"{trajectory}: want the topology of a trajectory file as well: --topology FILE.pdb")
    if frame_ps is not None or constraints is not None:
        raise ConfigError(
            f"{trajectory}: --frame-ps and --constraints are for trajectory files; a reference knows its own"
        )
    return *sets.load(trajectory, stride=stride), temperature_K or sets.temperature_K(trajectory)


def headline(examination: Examination) -> str:
    """The worst level of all findings."""
    levels = {f.level for f in findings(examination)} - {NOTE} | {CLEAR}
    return next(level for level in LEVELS if level in levels)


def worst_first(examination: Examination) -> list[Finding]:
    """All findings in the order in which a person should read them."""
    return sorted(findings(examination), key=lambda f: list(LEVELS).index(f.level))


def verdict(examination: Examination) -> str:
    """What a person reads in ten seconds: one line each, the worst first."""
    mapping, worst = examination.mapping, LEVELS[headline(examination)]["headline"]
    frames = f"{examination.n_frames} frames"
    if examination.beads.weight is not None:
        frames += f" of a run with a bias, worth {examination.beads.counting:.0f} that count alike"
    lines = [f"{mapping.name}, typing {mapping.typing}, {frames}: {worst}"]
    for f in worst_first(examination):
        lines.append(f"{LEVELS[f.level]['mark']} {f.kind}: {f.what}")
        if f.level not in (CLEAR, NOTE):
            lines.append(f"    sure: {f.sure}")
        if f.do != "nothing" and f.level == NOTE:
            lines[-1] += f"; do: {f.do}"
        elif f.do != "nothing":
            lines.append(f"    do: {f.do}")
    return "\n".join(lines)


def to_dict(examination: Examination) -> dict:
    """Plain values for JSON; NaN and infinity become None."""
    return plain(
        _named(
            {
                "map": examination.mapping.name,
                "typing": examination.mapping.typing,
                "n_frames": examination.n_frames,
                "counting": examination.beads.counting,
                "temperature_K": examination.temperature_K,
                "verdict": headline(examination),
                "findings": findings(examination),
                "molecules": [_molecule(m) for m in examination.molecules],
                "lengths": [
                    x._asdict() | {"closest": x.closest, "separation": x.separation} for x in examination.lengths
                ],
                "unsampled": [x._asdict() | {"closing": x.closing} for x in examination.unsampled],
                "noise": examination.noise,
                "virial": examination.virial,
            }
        )
    )


def as_json(examination: Examination) -> str:
    """What `to_dict` returns as text."""
    return json.dumps(to_dict(examination), indent=1, ensure_ascii=False)


def write(examination: Examination, name: str, folder: Path) -> list[Path]:
    """Write the verdict, every number as JSON, and for one kind of molecule the map file with proposed typings.

    name: of the map. Returns the files.
    """
    stem = Path(folder) / Path(name).stem
    stem.parent.mkdir(parents=True, exist_ok=True)
    words, numbers, proposed = (stem.with_name(stem.name + end) for end in (".txt", ".json", "_doctor.toml"))
    words.write_text(f"{verdict(examination)}\n", encoding="utf-8")
    store.write_json(numbers, to_dict(examination))
    if len(examination.molecules) > 1:
        return [words, numbers]
    (m,) = examination.molecules
    proposed.write_text(proposal(map_text(name), examination.mapping, m.molecule, m.typing), encoding="utf-8")
    return [words, numbers, proposed]


def _molecule(m: OfMolecule) -> dict:
    """One kind of molecule, its beads by name."""

    def names(beads) -> list[str]:
        return [m.molecule.beads[k] for k in beads]

    return {
        "beads": m.molecule.beads,
        "copies": len(m.molecule.copies),
        "independent_frames": m.independent,
        "symmetries_of_model": len(m.symmetries.model),
        "symmetries_of_molecule": len(m.symmetries.molecule),
        "broken": [
            {
                "name": b.name,
                "permutation": names(b.element.permutation),
                "parity": b.element.parity,
                "path": b.path or "open",
                "level": level_of(b, m.independent),
                "bounds": b.bounds,
            }
            for b in m.broken
        ],
        "vibration": m.vibration,
        "pmf_errors": m.pmf_errors,
        "rarer_handedness": m.handedness.rarer,
        "stereocentres": [s._asdict() | {"beads": names(s.beads)} for s in m.stereo],
        "orbits": [names(orbit) for orbit in m.typing.orbits],
        "typed_orbits": [names(orbit) for orbit in m.typing.typed_orbits],
        "proposed_species": dict(zip(m.molecule.beads, m.typing.proposed, strict=True)),
        "coarsest_species": dict(zip(m.molecule.beads, m.typing.coarsest, strict=True)),
    }


def _named(value):
    """Nested values with dictionaries in place of named tuples."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {k: _named(v) for k, v in value.items()}
    return [_named(v) for v in value] if isinstance(value, list | tuple) else value
