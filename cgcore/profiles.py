"""From a template's parameters to one resolved configuration: what they leave open is read from the template's profile.

`notebooks/profiles/<system>.toml` holds the numbers: data and defaults of the system, settings of each map, and for each
profile the frames, the training, and replicas and length of each protocol; a table under a profile has what larger maps
(`size`) take instead. A profile without maps is for any: what its table would say is read from the frames (`suggestions`).
"""

from dataclasses import replace

from . import map_files
from .config import (
    FORCE_MAPS,
    FRAME_PS,
    POTENTIALS,
    PROTOCOLS,
    WEIGHTS,
    ConfigError,
    RunConfig,
    check_range,
    check_type,
    check_word,
    did_you_mean,
    from_dict,
    whole_frames,
)
from .store import read_toml
from .store.bundled import profile_file, profile_roots

UNKNOWN_MAP = {"cutoff_nm": 1.0}
"""In place of what frames say of a map, where only the parameters are to be checked."""

OF_ANY = "; notebooks/molecule.ipynb takes any other molecule and map"


def systems() -> list[str]:
    """The systems that have a profile."""
    return sorted({path.stem for root in profile_roots() for path in root.glob("*.toml")})


def system_table(system: str) -> dict:
    """The profile file of a system."""
    return read_toml(profile_file(system))


def configure(
    system: str,
    *,
    of_map: dict | None = None,
    profile: str = "quick",
    protocol: str = "nvt",
    residue: str | None = None,
    map: str | None = None,
    typing: str = "published",
    reference: str | None = None,
    force_map: str = "sum",
    mirror: bool = False,
    weights: str = "boltzmann",
    potential: str = "mace",
    nu: int = 2,
    layers: int | None = None,
    cutoff_nm: float | None = None,
    symmetry: str = "O3",
    bond_types: bool = False,
    prior: str | None = None,
    dt_ps: float | None = None,
    frames: int | None = None,
    epochs: int | None = None,
    replicas: int | None = None,
    length_ps: float | None = None,
    seed: int = 22,
    **unknown,
) -> RunConfig:
    """The configuration of one run of a template; None takes the profile's, the map's or the network's own value.

    Args:
        system: a template, as hexane, amino_acids or polyalanine.
        of_map: what is known of the map, as `suggestions.of_map` gives it for systems whose profile lists no maps.
        prior: joined by "+", out of PRIORS, or "none"; None is the profile's, else "repulsion" for a network and "none" for
            splines.
        nu, bond_types: of MACE only. layers, cutoff_nm, symmetry: of networks only.

    Raises:
        ConfigError: an unknown word, a value of the wrong type or range, a setting of one potential given to another, or an
            unknown parameter.
    """
    for name in unknown:
        names = sorted(configure.__kwdefaults__)
        raise ConfigError(f"unknown parameter {name!r}; known are {names}{did_you_mean(name, names)}")
    known = system_table(system)
    data = known["data"] | {} if residue is None else known["data"] | {"residue": residue}
    data |= {} if map is None else {"map": map}
    if "maps" in known:
        check_word("map", data["map"], known["maps"], OF_ANY)
        of_map = known["maps"][data["map"]]
        check_word("residue", data["residue"], known.get("references", [known["data"]["residue"]]), OF_ANY)
        if (data["residue"], data["map"]) == ("gly", "core_beta"):
            raise ConfigError("map 'core_beta': residue 'gly' has no beta carbon; want map core")
    if of_map is None:
        raise ConfigError(
            f"{system}: what to take for a map is read from its frames; configure it by `cgcore.steps.configure`"
        )
    check_type("map", data.get("map"), str)
    check_type("typing", typing, str)
    map_files.find(data["map"], typing, data.get("residue"))
    check_word("profile", profile, known["profiles"])
    check_word("force_map", force_map, FORCE_MAPS)
    check_word("weights", weights, WEIGHTS)
    check_word("potential", potential, POTENTIALS)
    numbers = _numbers(known["profiles"][profile], of_map.get("size"))
    check_word("protocol", protocol, [name for name in PROTOCOLS if name in numbers])
    if protocol == "inversion" and (data["map"] == "core" or data["residue"] == "gly"):
        raise ConfigError(
            f"protocol 'inversion': want a map with a bead CB, which map {data['map']!r} of {data['residue']!r} has not"
        )
    chosen_frames = numbers.get("frames") if frames is None else frames
    data |= dict(typing=typing, force_map=force_map, mirror=mirror, weights=weights, frames=chosen_frames)
    data["reference"] = _reference(known, data, reference)
    train = (
        numbers["train"] | of_map.get("train", {}) | dict(seed=seed) | ({} if epochs is None else dict(epochs=epochs))
    )
    network = dict(nu=nu, layers=layers, cutoff_nm=cutoff_nm, symmetry=symmetry, bond_types=bond_types)
    raw = dict(
        system=system, protocol=protocol, data=data, prior=_priors(prior, potential, numbers.get("prior", "repulsion"))
    )
    raw |= dict(train=None if potential == "spline" else train)
    raw["md"] = _dynamics(protocol, of_map, numbers[protocol], replicas, length_ps, dt_ps, seed)
    settings = from_dict(POTENTIALS[potential], _settings(potential, of_map, **network))
    return replace(from_dict(RunConfig, raw), potential=settings)


def _numbers(profile: dict, size: str | None) -> dict:
    """A profile's numbers with those of a larger map in their places."""
    larger = profile.get(size, {}) if size else {}
    merged = profile | larger
    return merged | {"train": profile["train"] | larger.get("train", {})}


def _reference(known: dict, data: dict, reference: str | None) -> str:
    """A set or a folder; None takes the system's own, and "obc2" the residue's in implicit water."""
    check_type("reference", reference, str | None)
    if reference == "obc2" and "references" in known:
        return f"{data['residue']}2_obc2"
    if reference is not None:
        return reference
    if "maps" not in known:
        raise ConfigError("reference: want a set of `cgcore sets`, or a folder of frames with forces, got none")
    if "references" in known:
        return known["references"][data["residue"]]
    return data["reference"]


def _priors(prior: str | None, potential: str, usual: str) -> list[str]:
    if prior is None:
        prior = "none" if potential == "spline" else usual
    check_type("prior", prior, str)
    return [] if prior == "none" else sorted(prior.split("+"))


def _settings(potential: str, of_map: dict, *, nu, layers, cutoff_nm, symmetry, bond_types) -> dict:
    """Settings of a potential as its configuration takes them."""
    for name, value, usual in (("nu", nu, 2), ("bond_types", bond_types, False)):
        if potential != "mace" and value != usual:
            raise ConfigError(f"{name} is a setting of MACE alone, got {name} = {value} for {potential}")
    if potential == "spline":
        for name, value, usual in (
            ("layers", layers, None),
            ("cutoff_nm", cutoff_nm, None),
            ("symmetry", symmetry, "O3"),
        ):
            if value != usual:
                raise ConfigError(f"{name} is a setting of networks, not of splines; got {value}")
        return {}
    check_type("nu", nu, int)
    check_range("nu", nu, least=1, most=3)
    common = dict(cutoff_nm=of_map["cutoff_nm"] if cutoff_nm is None else cutoff_nm, symmetry=symmetry)
    common |= {} if layers is None else dict(layers=layers)
    return common | (dict(correlation=nu, bond_types=bond_types) if potential == "mace" else {})


def _dynamics(protocol: str, of_map: dict, numbers: dict, replicas, length_ps, dt_ps, seed: int) -> dict:
    """Steps of 2 fs as in the paper unless the map says less, and of 1 fs for an inversion; a frame each FRAME_PS."""
    length_ps = numbers["length_ps"] if length_ps is None else length_ps
    if dt_ps is None:
        dt_ps = 0.001 if protocol == "inversion" else of_map.get("dt_ps", 0.002)
    check_type("dt_ps", dt_ps, float)
    check_range("dt_ps", dt_ps, above=0, most=FRAME_PS)
    return dict(
        replicas=numbers["replicas"] if replicas is None else replicas,
        n_frames=whole_frames("length_ps", length_ps, FRAME_PS),
        steps_per_frame=whole_frames("dt_ps", FRAME_PS, dt_ps),
        dt_ps=dt_ps,
        temperature_K=of_map.get("temperature_K", 300.0),
        ensemble="nve" if protocol == "nve" else "nvt",
        seed=seed,
    )
