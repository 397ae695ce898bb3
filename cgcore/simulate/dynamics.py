"""One step of one replica, as a pure function of its state and of noise that is drawn beforehand."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from ..config import MDConfig
from ..units import kT


class State(NamedTuple):
    """One replica: position (N, 3) nm, momentum (N, 3) g/mol nm/ps, force (N, 3) kJ/mol/nm and energy () at position.

    bias_state: that of a bias, a dict of arrays; None where there is none.
    """

    position: Array
    momentum: Array
    force: Array
    energy: Array
    bias_state: dict[str, Array] | None = None


def step(
    state: State, noise: Array | None, evaluate: Callable, mass: Array, dt: Array, config: MDConfig
) -> tuple[State, Any]:
    """One step of dp = F dt - gamma p dt + sqrt(2 gamma m kT) dW in the BAOAB splitting, or of dp = F dt without noise.

    B: p += F dt/2;  A: x += p/m dt/2;  O: p <- c p + sqrt((1 - c^2) m kT) xi, c = exp(-gamma dt);  A;  B
    (Leimkuhler & Matthews, J. Chem. Phys. 138, 174102, 2013). Without O it is velocity Verlet.
    noise: xi (N, 3), standard normal; evaluate(position) -> energy, force, and what else the caller is to have; mass (N,)
    g/mol; dt ps.
    """
    m = mass[:, None]
    p = state.momentum + dt / 2 * state.force
    x = state.position + dt / 2 * p / m
    if noise is not None:
        c = jnp.exp(-config.friction_per_ps * dt)
        p = c * p + jnp.sqrt((1 - c * c) * kT(config.temperature_K) * m) * noise
    x = x + dt / 2 * p / m
    energy, force, more = evaluate(x)
    return State(x, p + dt / 2 * force, force, energy, state.bias_state), more


def noise(key: Array, first: Array, n: int, shape: tuple, dtype) -> Array:
    """Standard normal numbers (n, *shape) of steps first ... first + n - 1, each from the key and its own number."""
    steps = first + jnp.arange(n)
    return jax.vmap(lambda step: jax.random.normal(jax.random.fold_in(key, step), shape, dtype))(steps)


def maxwell(key: Array, mass: Array, shape: tuple, config: MDConfig) -> Array:
    """Momenta (N, 3) of the temperature; at constant energy of a molecule or liquid that stays in its place."""
    p = jnp.sqrt(mass[:, None] * kT(config.temperature_K)) * jax.random.normal(key, shape, mass.dtype)
    if config.ensemble == "nve":
        p = p - mass[:, None] * (jnp.sum(p, axis=0) / jnp.sum(mass))[None]
    return p


def kinetic(momentum: Array, mass: Array) -> Array:
    """K = sum p^2 / 2m of one frame, kJ/mol."""
    return 0.5 * jnp.sum(momentum**2 / mass[:, None])
