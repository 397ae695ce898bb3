"""The engine's benchmark: contestants are as wide as they are told, compute the same, and are refused where they do not."""

import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
import turns
from engine_peers import of_third_order
from engine_speed import differences, refuse
from engine_systems import of_run
from engine_training import batches, loss, updates

from cgcore.config import MACEConfig
from cgcore.potentials import mace

BENCHMARKS = Path(turns.__file__).parent
SERVES = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
import turns
turns.TURN_S = 0.02
print("what a library prints")
about = {"cores": len(os.sched_getaffinity(0)), "threads": {os.environ[name] for name in turns.THREADS} == {sys.argv[2]}}
turns.serve(about, {"short": lambda: time.sleep(0.002), "long": lambda: time.sleep(0.02)})
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes are held to cores on Linux alone")
def test_a_program_has_the_cores_it_is_given_and_tells_seconds_of_a_call():
    with turns.Program([sys.executable, "-c", SERVES, str(BENCHMARKS), "1"], 1) as program:
        assert program.answer() == {"cores": 1, "threads": True}
        seconds = turns.interleaved({n: lambda n=n: program.turn(n) for n in ("short", "long")}, repeats=2)
    assert seconds["short"].shape == (2,)
    assert seconds["short"].min() >= 0.002
    assert seconds["long"].min() >= 0.02


@pytest.mark.skipif(sys.platform != "linux", reason="processes are held to cores on Linux alone")
def test_a_program_that_ends_is_no_contestant():
    with (
        turns.Program([sys.executable, "-c", "raise SystemExit(3)"], 1) as program,
        pytest.raises(SystemExit, match="without an answer, exit code 3"),
    ):
        program.answer()


def test_turns_alternate_and_the_first_round_is_not_counted():
    order = []
    turn = {name: lambda name=name: order.append(name) or float(len(order)) for name in "ab"}
    found = turns.interleaved(turn, repeats=2)
    assert order == list("ababab")
    np.testing.assert_array_equal(found["a"], [3, 5])
    told = turns.told("a", found["a"] / 1000, per=2)
    assert told == pytest.approx({"a_ms": 2.0, "a_ms_low": 1.5, "a_ms_high": 2.5})


@pytest.mark.parametrize("correlation", (1, 2))
def test_a_third_order_of_zero_weights_leaves_energies_as_they_are(correlation):
    config = MACEConfig(correlation=correlation, channels=4, radial_width=8, readout_width=4, cutoff_nm=0.5)
    model = mace.Model(config=config, species=(0, 1, 1, 0), n_species=2, mean_neighbours=3.0, energy_scale=1.0)
    params = mace.build(model).init(jax.random.key(0))
    position = np.random.default_rng(0).normal(size=(4, 3)) * 0.12
    raised, of_three = of_third_order(model, params)
    assert raised == replace(model, config=replace(config, correlation=3))
    energies = [mace.build(m).energy(p, position, np.full(3, np.inf)) for m, p in ((model, params), (raised, of_three))]
    assert abs(energies[0]) > 1e-3
    np.testing.assert_allclose(energies[1], energies[0], rtol=1e-12)


def test_who_computes_something_else_is_refused():
    energy, force = np.array([-2.0, 4.0]), np.ones((2, 5, 3))
    wanted = {"energy": energy, "force": force}
    apart = differences({"energy": energy * [1, 1 + 1e-3], "force": 1.002 * force}, wanted)
    np.testing.assert_allclose(apart, (1e-3, 2e-3))
    refuse("near", {"force": 1e-5}, 1e-4)
    for wrong in (2e-4, float("nan")):
        with pytest.raises(SystemExit, match="they differ by"):
            refuse("far", {"force": wrong}, 1e-4)


def test_an_update_is_one_of_a_training():
    """Its loss is that of the parameters before it, on the batch that is drawn first."""
    s = of_run("amino_acids", "core")
    model = replace(s.model, config=MACEConfig(correlation=1, layers=1, channels=4))
    potential = mace.build(model)
    training = replace(s.training, batch_size=4)
    s = replace(s, model=model, params=potential.init(jax.random.key(0)), training=training)
    wanted = loss(potential, s.frames)(s.params, *next(batches(s, training)))
    assert updates(potential, s, training)() == pytest.approx(float(wanted), rel=1e-5)
