"""A reference along whose dihedral a bias stands still: weights, forces, what goes on and what is refused."""

import shutil

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from referenced import dihedral, energies, quick

from cgcore import io
from cgcore.config import ConfigError
from cgcore.geometry import dihedrals
from cgcore.reference import bias, sets, system
from cgcore.reference.build import peptide
from cgcore.reference.errors import ReferenceRunError
from cgcore.reference.protocol import BiasConfig, bias_config, protocol
from cgcore.reference.run import simulate
from cgcore.units import kT


@pytest.fixture(scope="module")
def biased(tmp_path_factory):
    """A short run of glycine with a bias along phi."""
    folder = tmp_path_factory.mktemp("biased")
    wanted = quick(replicas=2, bias=BiasConfig(dihedral="phi", length_ns=0.03, pace_ps=0.2))
    return simulate(wanted, 0.02, folder / "run", progress=False), wanted


def test_frames_of_a_biased_run_have_their_weights_and_the_forces_of_the_system_itself(biased):
    folder, wanted = biased
    topology, frames = sets.load(folder)
    assert frames.n_frames == 2 * round(20 / wanted.frame_ps)
    built = system.prepare(wanted, 0).system
    for position, force in zip(frames.position[:3], frames.force[:3], strict=True):
        assert_allclose(force, energies(built, position)[1], atol=2.0)
    phi = dihedrals(frames.position, np.array([bias.atoms("phi", topology)]), np.full(3, np.inf))[:, 0]
    for replica, index in enumerate(frames.by_replica()[0]):
        table = np.loadtxt(folder / f"replica_{replica:02d}_bias.csv", delimiter=",", skiprows=1)
        V = np.interp(phi[index], *table.T)
        assert np.ptp(V) > 1.0
        assert_allclose(np.exp(V / kT(300)) / np.exp(V / kT(300)).mean(), frames.weights[index], rtol=0.05)


def test_a_biased_run_goes_on_with_its_own_bias_and_keeps_its_frames(biased):
    folder, wanted = biased
    before = {path.name: path.read_bytes() for path in folder.glob("*_bias.csv")}
    _, short = sets.load(folder)
    simulate(wanted, 0.03, folder, progress=False)
    _, longer = sets.load(folder)
    assert before == {path.name: path.read_bytes() for path in folder.glob("*_bias.csv")} and len(before) == 2
    first, same = short.by_replica()[0][0], longer.by_replica()[0][0][: short.n_frames // 2]
    assert_array_equal(short.position[first], longer.position[same])


def test_the_bias_of_a_torsion_is_what_metadynamics_says(biased):
    """The force of the table on the four atoms is minus the gradient of its energy."""
    folder, wanted = biased
    V = bias.read(folder / "replica_00_bias.csv", wanted.bias)
    prepared = system.prepare(wanted, 0)
    plain = energies(prepared.system, prepared.position)
    bias.add(prepared.system, bias.atoms("phi", prepared.structure.topology), V)
    with_bias = energies(prepared.system, prepared.position)
    step, moved = 1e-4, prepared.position.copy()
    four = bias.atoms("phi", prepared.structure.topology)
    others = np.setdiff1d(np.arange(len(moved)), four)  # atoms outside the dihedral feel nothing
    assert_allclose(with_bias[1][others], plain[1][others], atol=1e-8)
    up, down = (moved + sign * step * np.eye(len(moved))[:, [four[0]]] * [0, 0, 1] for sign in (1, -1))
    slope = [energies(prepared.system, x)[0] - energies(system.prepare(wanted, 0).system, x)[0] for x in (up, down)]
    assert_allclose(
        with_bias[1][four[0], 2] - plain[1][four[0], 2], -(slope[0] - slope[1]) / (2 * step), rtol=1e-3, atol=1e-3
    )


def test_a_file_of_a_biased_run_is_not_read_without_its_weights(biased):
    folder, _ = biased
    topology = io.read_topology(folder / "topology.pdb")
    with pytest.raises(io.TrajectoryError, match="frames of a run with a bias, which do not count alike"):
        io.read(folder / "replica_00.trr", topology)


@pytest.mark.parametrize("name", ["replica_00_bias.csv", "replica_00.csv"])
def test_a_bias_or_log_that_was_edited_is_refused(biased, tmp_path, name):
    folder = shutil.copytree(biased[0], tmp_path / "run")
    (folder / name).write_text((folder / name).read_text().replace("1", "2"))
    with pytest.raises(ReferenceRunError, match=name):
        sets.load(folder)


@pytest.mark.parametrize(
    ("name", "dihedral", "message"),
    [
        ("ala2", "chi", "want phi, psi, phi-2 or four different atoms such as"),
        ("ala2", "phi-3", "want one dihedral, phi-2, got 'phi-3'"),
        ("ala2", "phi-", "want one dihedral, phi-2, got 'phi-'"),
        ("ala15", "phi", "want one dihedral, phi-2 or phi-3"),
        ("ala2", "ACE1:C ALA2:N ALA2:CA ALA2:CX", "ALA2:CX"),
        ("ala2", "ALA2:N ALA2:N ALA2:CA ALA2:C", "four different atoms"),
        ("hexane", "phi", "hexane is a liquid, simulated without bias"),
    ],
)
def test_dihedrals_that_are_not_there_are_refused_before_anything_runs(tmp_path, name, dihedral, message):
    with pytest.raises(ConfigError, match=message):
        simulate(protocol(name, bias=BiasConfig(dihedral=dihedral)), 0.1, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_length_of_a_bias_without_a_dihedral_is_refused():
    assert bias_config(None, None) is None and bias_config("phi", None).length_ns == 5.0
    with pytest.raises(ConfigError, match="want a dihedral with it, --bias phi"):
        bias_config(None, 7.0)


def test_only_replicas_with_a_bias_start_beyond_the_barrier():
    biased = protocol("ala2", bias=BiasConfig(dihedral="phi"), replicas=4)
    for wanted, positive in ((protocol("ala2", replicas=4), 0), (biased, 1)):
        starts = [system.start(wanted, k) for k in range(4)]
        phi = [dihedral(*s.position[list(bias.atoms("phi", s.topology))]) for s in starts]
        assert sum(np.array(phi) > 0) == positive


def test_four_atoms_name_a_dihedral_as_well():
    topology = peptide("ala2", "extended").topology
    assert (
        bias.atoms("ACE1:C ALA2:N ALA2:CA ALA2:C", topology)
        == bias.atoms("phi", topology)
        == bias.atoms("phi-2", topology)
    )
