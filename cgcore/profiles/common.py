"""What the templates' configurations have in common: words out of a list, lengths, settings of one network alone."""

from ..config import FRAME_PS, ConfigError, MDConfig, check_type, did_you_mean, from_dict

FORCE_MAPS = ("sum", "optimal")
"""The forces of a bead: the sum of its atoms', as in the study, or the linear combination with the least noise."""
PRIORS = ("none", "unseen")
"""What is joined to a fitted potential: nothing, or walls where no frame has a pair of beads, `potentials.unseen`."""


def check_word(name: str, value, known):
    """Raise ConfigError unless value is one of the known words, with the one that was likely meant."""
    if value not in known:
        raise ConfigError(f"{name}: want one of {sorted(known)}, got {value!r}{did_you_mean(value, known)}")


def frames_of(length_ps: float) -> int:
    """Frames in a simulation of so many ps. Raises ConfigError for less than one, and for what is no number."""
    check_type("length_ps", length_ps, float)
    if not FRAME_PS <= length_ps < float("inf"):
        raise ConfigError(f"length_ps: want at least one frame of {FRAME_PS} ps, got {length_ps}")
    return round(length_ps / FRAME_PS)


def langevin(numbers: dict, replicas: int | None, length_ps: float | None, seed: int) -> MDConfig:
    """Langevin dynamics of as many replicas, each so long, as asked for, or of the profile's numbers; a frame each 0.5 ps."""
    n_frames = frames_of(numbers["length_ps"] if length_ps is None else length_ps)
    replicas = numbers["replicas"] if replicas is None else replicas
    return from_dict(MDConfig, dict(replicas=replicas, n_frames=n_frames, steps_per_frame=250, seed=seed))


def network(potential: str, layers: int | None, nu: int, bond_types: bool, **others) -> dict:
    """Settings of a network as its configuration takes them. Raises ConfigError for settings of MACE given to another."""
    numbers = others | ({} if layers is None else dict(layers=layers))
    if potential == "mace":
        return numbers | dict(correlation=nu, bond_types=bond_types)
    if (nu, bond_types) != (2, False):
        raise ConfigError(f"nu and bond_types are settings of MACE alone, got nu = {nu}, bond_types = {bond_types}")
    return numbers
