"""What can be said of the kernels for graphics cards, with a card and without one.

Without: energies and forces on Warp's processor device beside double precision, launches a step, and what the compiler made
for cards that are not here: registers, bytes of stack, where spilled registers go, and bytes of code. With one: times.
"""

import os
import struct
from pathlib import Path
from tempfile import TemporaryDirectory

import jax
import jax.numpy as jnp
import warp as wp
from engine_systems import System

from cgcore.potentials.compiled import ON_WARP, for_simulation
from cgcore.potentials.mace import build
from cgcore.potentials.mace.warp import call, dynamics, kernel

CARDS = (75, 80, 90)
"""Compute capabilities: T4, A100, H100 and H200."""
REGISTERS, STACK = 0x2F, 0x11
"""Attributes of a function in the section .nv.info of a cubin."""
FEW = 4
"""Frames that energies and forces are compared on."""


def agreement(s: System) -> dict:
    """Of trained weights by Warp, on the card or the processor, the relative errors against double precision."""
    before, os.environ[ON_WARP] = os.environ.get(ON_WARP, ""), "1"
    try:
        starts = s.starts(FEW)
        _, weights, (told,) = for_simulation(build(s.model), s.params, starts, s.molecule.box)
    finally:
        os.environ[ON_WARP] = before
    if "why" in told:
        raise SystemExit(f"{s.label}: {told['why']}")
    launches = [launched(weights, jnp.asarray(starts[:1]), steps) for steps in (1, 11)]
    errors = {name: told[name] for name in ("energy_error", "force_error")}
    counts = {"launches_a_step": (launches[1] - launches[0]) // 10, "launches_a_call": launches[0] - launches[1] // 11}
    return {"beads": starts.shape[1], "device": jax.default_backend(), "knots": told["knots"]} | errors | counts


def launched(weights, position: jax.Array, steps: int) -> int:
    """How many kernels one call for so many steps launches."""
    count, launch = [], wp.launch

    def counted(*arguments, **named):
        count.append(arguments[0].key)
        return launch(*arguments, **named)

    wp.launch = counted
    try:
        n = position.shape[1]
        none = jnp.zeros_like(position)
        state = jnp.zeros((1, 2), jnp.uint32), jnp.zeros(3), jnp.zeros(1, jnp.int32), jnp.zeros(3)
        given = jnp.ones(n), *state, position, none, none
        jax.block_until_ready(call.advance(weights, *given, steps=steps, slots=min(n - 1, 60)))
    finally:
        wp.launch = launch
    return len(count)


def compiled() -> dict[str, dict]:
    """What each kernel takes of each of CARDS: registers of a thread, bytes of its stack, and kB of code."""
    out: dict[str, dict] = {}
    with TemporaryDirectory() as folder:
        for module, width in ((kernel.first_layer.module, 32 * call.WARPS), (dynamics.integrate.module, 32)):
            module.options["block_dim"] = width
            paths = wp.compile_aot_module(module, arch=list(CARDS), use_ptx=False, module_dir=folder)
            for arch, path in zip(CARDS, paths, strict=True):
                for name, numbers in functions(Path(path).read_bytes()).items():
                    out.setdefault(name, {"threads": width}).update({f"{k}_{arch}": n for k, n in numbers.items()})
    return out


def functions(cubin: bytes) -> dict[str, dict]:
    """Registers, stack and code of each kernel in a cubin, which is an ELF file."""
    start, (size, n, of_names) = struct.unpack_from("<Q", cubin, 0x28)[0], struct.unpack_from("<HHH", cubin, 0x3A)
    heads = [struct.unpack_from("<IIQQQQIIQQ", cubin, start + k * size) for k in range(n)]

    def text(at: int) -> str:
        return cubin[at : cubin.index(b"\0", at)].decode()

    sections = {text(heads[of_names][4] + h[0]): h for h in heads}
    symbols, strings = sections[".symtab"], sections[".strtab"][4]
    names = [
        text(strings + struct.unpack_from("<I", cubin, at)[0])
        for at in range(symbols[4], symbols[4] + symbols[5], symbols[9])
    ]
    out = {
        name.removeprefix(".text."): {"registers": None, "stack_bytes": None, "code_kB": h[5] / 1000}
        for name, h in sections.items()
        if name.startswith(".text.")
    }
    at, end = sections[".nv.info"][4], sum(sections[".nv.info"][4:6])
    while at < end:
        kind, attribute, length = struct.unpack_from("<BBH", cubin, at)
        if kind == 4 and attribute in (REGISTERS, STACK):
            symbol, value = struct.unpack_from("<II", cubin, at + 4)
            if names[symbol] in out:
                out[names[symbol]]["registers" if attribute == REGISTERS else "stack_bytes"] = value
        at += 4 + (length if kind == 4 else 0)
    return {name.split("_cuda_kernel")[0].rpartition("_")[0]: table for name, table in out.items()}
