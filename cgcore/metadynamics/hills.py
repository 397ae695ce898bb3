"""What a metadynamics added, in the format of PLUMED's HILLS files (kJ/mol, nm, ps, rad).

PLUMED writes the heights of well-tempered hills times gamma / (gamma - 1), so that their sum is -F; so does `write_hills`,
and `read_hills` takes it back. The model stands in a comment, which PLUMED skips.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import grid
from .config import MetadynamicsConfig, MetadynamicsError
from .grid import Axis
from .variables import Collective
from .walk import Walk

MODEL = "# model "
CHUNK = 256


@dataclass(frozen=True, kw_only=True)
class Hills:
    """H hills of D variables. periods: (low, high), None where there is none; model: what they were added to, None if not
    known."""

    names: tuple[str, ...]
    periods: tuple[tuple[float, float] | None, ...]
    widths: tuple[float, ...]
    bias_factor: float | None
    time: np.ndarray  # (H,) ps
    centre: np.ndarray  # (H, D)
    height: np.ndarray  # (H,) kJ/mol, as they were added
    model: str | None = None

    @property
    def scale(self) -> float:
        """Of heights in the file by those that were added."""
        return 1.0 if self.bias_factor is None else self.bias_factor / (self.bias_factor - 1)


def hills_of(
    walk: Walk,
    variables: tuple[Collective, ...],
    config: MetadynamicsConfig,
    *,
    replica: int | None = None,
    model: str | None = None,
) -> Hills:
    """The hills of one replica, or in the order of time those of all, as a shared bias is made of."""
    chosen = slice(None) if replica is None else slice(replica, replica + 1)
    time = np.broadcast_to(walk.time, walk.height.shape)
    arrays = (array[chosen].swapaxes(0, 1) for array in (walk.cv, walk.height, time))
    cv, height, time = (array.reshape(-1, *array.shape[2:]) for array in arrays)
    added = height > 0
    return Hills(
        names=tuple(v.name for v in variables),
        periods=tuple((v.axis.low, v.axis.high) if v.axis.periodic else None for v in variables),
        widths=tuple(v.width for v in variables),
        bias_factor=config.bias_factor,
        time=time[added],
        centre=cv[added],
        height=height[added],
        model=model,
    )


def total(hills: Hills, axes: tuple[Axis, ...]) -> np.ndarray:
    """The bias as a table of `grid`: the sum of all hills, in double precision."""
    table = grid.empty(axes)
    for k in range(0, len(hills.time), CHUNK):
        part = hills.height[k : k + CHUNK, None]
        for axis, width, centre in zip(axes, hills.widths, hills.centre[k : k + CHUNK].T, strict=True):
            d = axis.points - centre[:, None]
            if axis.periodic:
                d -= (axis.high - axis.low) * np.round(d / (axis.high - axis.low))
            g = np.exp(-0.5 * (d / width) ** 2)
            bump = np.stack([g, -axis.step * d / width**2 * g], axis=-1).reshape(len(g), -1)
            part = (part[:, :, None] * bump[:, None]).reshape(len(g), -1)
        table += part.sum(0).reshape(table.shape)
    return table


def write_hills(path: Path, hills: Hills):
    """Write a HILLS file that PLUMED's tools read."""
    names = " ".join(hills.names)
    lines = [] if hills.model is None else [MODEL + hills.model]
    lines += [f"#! FIELDS time {names} {' '.join(f'sigma_{name}' for name in hills.names)} height biasf"]
    lines += ["#! SET multivariate false", "#! SET kerneltype gaussian"]
    for name, period in zip(hills.names, hills.periods, strict=True):
        if period:
            low, high = ("-pi", "pi") if np.allclose(period, (-math.pi, math.pi)) else map(str, period)
            lines += [f"#! SET min_{name} {low}", f"#! SET max_{name} {high}"]
    # PLUMED's own word for hills of one height
    gamma = "-1" if hills.bias_factor is None else f"{hills.bias_factor:.9g}"
    widths = " ".join(f"{width:.9g}" for width in hills.widths)
    for time, centre, height in zip(hills.time, hills.centre, hills.height * hills.scale, strict=True):
        place = " ".join(f"{s:.9f}" for s in centre)
        lines.append(f"{time:.6f} {place} {widths} {height:.9g} {gamma}")
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_hills(path: Path) -> Hills:
    """Read a HILLS file. Raises MetadynamicsError for one that holds no hills, or hills of changing shape."""
    fields, constants, model, rows = [], {}, None, []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        words = line.split()
        if line.startswith(MODEL):
            model = line.removeprefix(MODEL).strip()
        elif words[:2] == ["#!", "FIELDS"]:
            fields = words[2:]
        elif words[:2] == ["#!", "SET"] and len(words) == 4:
            constants[words[2]] = words[3]
        elif words and not words[0].startswith("#"):
            rows.append(words)
    names = tuple(f.removeprefix("sigma_") for f in fields if f.startswith("sigma_"))
    if not rows or not names or fields[: 1 + len(names)] != ["time", *names]:
        raise MetadynamicsError(f"{path}: want a HILLS file with '#! FIELDS time ...' and a line a hill")
    if constants.get("multivariate", "false") != "false" or any(len(row) != len(fields) for row in rows):
        raise MetadynamicsError(f"{path}: want hills of one width a variable, and a number a field")
    column = dict(zip(fields, np.array(rows, float).T, strict=True))
    shape = np.stack([column["biasf"], *(column[f"sigma_{name}"] for name in names)])
    if not np.allclose(shape, shape[:, :1], rtol=1e-6):
        raise MetadynamicsError(f"{path}: want hills of one width and one bias factor, they change along the file")
    gamma = float(shape[0, 0])
    hills = Hills(
        names=names,
        periods=tuple(_period(constants, name) for name in names),
        widths=tuple(map(float, shape[1:, 0])),
        bias_factor=gamma if gamma > 1 else None,
        time=column["time"],
        centre=np.stack([column[name] for name in names], axis=-1),
        height=column["height"],
        model=model,
    )
    return Hills(**vars(hills) | {"height": hills.height / hills.scale})


def _period(constants: dict[str, str], name: str) -> tuple[float, float] | None:
    if f"min_{name}" not in constants:
        return None
    ends = (constants[f"{end}_{name}"] for end in ("min", "max"))
    return tuple({"-pi": -math.pi, "pi": math.pi}.get(end) or float(end) for end in ends)
