"""The network against mace-torch 0.3.16 (models, energies and forces in fixtures/), and models in and out of its layout."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgcore.config import MACEConfig
from cgcore.frames import Frames
from cgcore.neighbors import mean_neighbours, neighbour_counts
from cgcore.potentials.mace import Model, build, for_frames, from_mace_torch, read_mace_torch, to_mace_torch
from cgcore.potentials.mace.couplings import (
    clebsch_gordan,
    contraction_basis,
    contraction_monomials,
)
from cgcore.potentials.mace.exchange import EV, ExchangeError
from cgcore.potentials.mace.network import init, radial_basis, shapes, spherical_harmonics, symmetric_contraction

FIXTURES = sorted((Path(__file__).parent / "fixtures" / "mace_torch").glob("*.npz"))
VACUUM = np.full(3, np.inf)


def arrays(name: str) -> dict[str, np.ndarray]:
    """One fixture as a plain dict, to be changed by a test."""
    (path,) = [p for p in FIXTURES if p.stem == name]
    with np.load(path) as file:
        return dict(file)


def compiled(function):
    """Compiled with little optimisation: it runs once, and compiling is what takes the time."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def box_of(fixture: dict) -> np.ndarray:
    return np.where(fixture["pbc"], np.diag(fixture["cell"]), np.inf)


def small(correlation: int = 2, layers: int = 2) -> Model:
    config = MACEConfig(
        correlation=correlation, layers=layers, channels=3, max_ell=2, n_bessel=4, radial_width=8, readout_width=4
    )
    return Model(config=config, species=(0, 1, 1, 0, 2), n_species=3, mean_neighbours=3.5)


@pytest.fixture(scope="module")
def position() -> np.ndarray:
    """Five beads in nm, all within the cut-off of some other."""
    grid = 0.2 * np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 1.5]])
    return grid + 0.02 * np.random.default_rng(5).normal(size=grid.shape)


def test_all_eight_models_are_there():
    assert len(FIXTURES) == 8
    assert {json.loads(str(arrays(p.stem)["config"]))["mace_torch"] for p in FIXTURES} == {"0.3.16"}


@pytest.mark.parametrize("name", [p.stem for p in FIXTURES])
def test_energies_and_forces_are_those_of_mace_torch(name):
    """Agreement is to rounding; the slack of 1e-10 is for other orders of summation."""
    fixture = arrays(name)
    potential, params = from_mace_torch(fixture)
    energy, gradient = compiled(jax.value_and_grad(potential.energy, argnums=1))(
        params, fixture["positions"], box_of(fixture)
    )
    assert_allclose(energy, fixture["energy"][0], rtol=1e-10)
    assert_allclose(-gradient, fixture["forces"], rtol=1e-10, atol=1e-10 * np.abs(fixture["forces"]).max())


@pytest.mark.parametrize("name", ["liquid_nu2_L2", "mol_nu2_L2"])
def test_rows_of_neighbours_give_the_same(name):
    """The periodic model and one of a molecule through the layout of liquids."""
    fixture = arrays(name)
    model, params = read_mace_torch(fixture)
    counts = neighbour_counts(fixture["positions"][None], box_of(fixture), model.config.cutoff_nm)
    potential = build(replace(model, capacity=int(counts.max()) + 2))
    energy, gradient = compiled(jax.value_and_grad(potential.energy, argnums=1))(
        params, fixture["positions"], box_of(fixture)
    )
    assert_allclose(energy, fixture["energy"][0], rtol=1e-10)
    assert_allclose(-gradient, fixture["forces"], rtol=1e-10, atol=1e-10 * np.abs(fixture["forces"]).max())


@pytest.mark.parametrize("name", [p.stem for p in FIXTURES])
def test_a_model_read_and_written_is_unchanged(name):
    fixture = arrays(name)
    model, params = read_mace_torch(fixture)
    settings = json.loads(str(fixture["config"]))
    written = to_mace_torch(model, params, kinds=tuple(settings["atomic_numbers"]))
    assert {n for n in fixture if n.startswith(("param:", "buffer:"))} == written.keys() - {"config", "numbers"}
    for key, value in written.items():
        if key.startswith("param:"):
            assert_array_equal(value, fixture[key], err_msg=key)
        elif key.startswith("buffer:"):
            assert_allclose(value, fixture[key], atol=1e-14, err_msg=key)
    assert_array_equal(written["numbers"], fixture["numbers"])
    assert json.loads(str(written["config"])) == {k: v for k, v in settings.items() if k != "mace_torch"}


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("ell", [0, 1])
def test_contraction_bases_are_those_of_mace_torch(degree, ell):
    """The first layer of the three-fold model hands on scalars and vectors and has bases of all three degrees."""
    name = f"buffer:products.0.symmetric_contractions.contractions.{ell}.U_matrix_{degree}"
    stored = arrays("mol_nu3_L2")[name]
    basis = contraction_basis(3, degree, ell)
    assert basis.shape[0] == 2 * ell + 1
    assert_allclose(basis[0] if ell == 0 else basis, stored, atol=1e-14)


@pytest.mark.parametrize("ells", [(1, 1, 0), (1, 2, 3), (2, 2, 2), (3, 3, 2)])
def test_clebsch_gordan_coefficients_are_orthogonal(ells):
    """sum_(m1 m2) C_(m1 m2 m3) C_(m1 m2 m3') = delta / (2 l3 + 1) at unit norm."""
    c = clebsch_gordan(*ells)
    size = 2 * ells[2] + 1
    assert_allclose(np.einsum("abc,abd->cd", c, c), np.eye(size) / size, atol=1e-12)


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("correlation", [1, 2, 3])
def test_contraction_as_a_polynomial_is_the_dense_contraction(correlation, layer):
    """B_c = sum_nu U_(c i j ... p) A_i A_j ... w_p, each term with the weights of the bead's species."""
    model = small(correlation)
    c, species = model.config, np.array(model.species)
    params = init(jax.random.key(1), model)
    a = np.random.default_rng(2).normal(size=(len(species), (c.max_ell + 1) ** 2, c.channels))
    blocks = [jnp.asarray(a[:, ell**2 : (ell + 1) ** 2]) for ell in range(c.max_ell + 1)]
    contraction = compiled(
        lambda params, blocks: symmetric_contraction(model, params, layer, blocks, np.asarray(model.species))
    )
    for ell, got in zip(model.out_ells(layer), contraction(params, blocks), strict=True):
        wanted = 0.0
        for degree in range(1, correlation + 1):
            name = f"products.{layer}.symmetric_contractions.contractions.{ell}.weights"
            w = params[name + ("_max" if degree == correlation else f".{correlation - 1 - degree}")]
            slots = "ijk"[:degree]
            script = f"c{slots}p,{','.join(f'n{s}q' for s in slots)},npq->ncq"
            wanted = wanted + np.einsum(
                script, contraction_basis(c.max_ell, degree, ell), *[a] * degree, np.asarray(w)[species]
            )
        assert_allclose(got, wanted, rtol=1e-12, atol=1e-12 * np.abs(wanted).max())


def test_a_polynomial_has_each_set_of_factors_once():
    monomials, coefficients = contraction_monomials(3, 3, (0, 1))
    assert len({tuple(m) for m in monomials}) == len(monomials) < 16**3
    assert (np.diff(monomials, axis=1) >= 0).all()
    assert {ell: value.shape[:2] for ell, value in coefficients.items()} == {
        0: (1, len(monomials)),
        1: (3, len(monomials)),
    }


def test_spherical_harmonics_have_component_norm():
    vector = np.random.default_rng(3).normal(size=(20, 3))
    y = np.asarray(spherical_harmonics(3, vector))
    for ell in range(4):
        block = y[:, ell**2 : (ell + 1) ** 2]
        assert_allclose((block**2).sum(1), 2 * ell + 1, rtol=1e-12)
    assert_allclose(spherical_harmonics(3, 7.0 * vector), y, rtol=1e-12, atol=1e-12)
    assert_allclose(np.cross(y[:, 1:4], vector), 0, atol=1e-12)  # degree 1 is the direction, in the order x y z


def test_bessel_functions_are_orthonormal_and_the_envelope_ends_at_the_cutoff():
    """int_0^c (sqrt(2/c) sin(n pi r / c) / r) (... m ...) r^2 dr = delta_nm; here with the envelope divided out."""
    config = MACEConfig(cutoff_nm=0.5, n_bessel=4, envelope_power=6)
    r = np.linspace(0.0, 0.5, 4001)[1:-1]
    x = r / 0.5
    envelope = 1 - 28 * x**6 + 48 * x**7 - 21 * x**8
    basis = np.asarray(radial_basis(config, jnp.asarray(r)))
    inner = r < 0.49  # further out the envelope is too near zero to divide by
    bessel = np.sqrt(4) * np.sin(np.arange(1, 5) * np.pi * x[:, None]) / r[:, None]
    assert_allclose(basis[inner] / envelope[inner, None], bessel[inner], rtol=1e-6, atol=1e-6)
    overlap = np.einsum("rn,rm,r->nm", bessel, bessel, r**2) * (r[1] - r[0])
    assert_allclose(overlap, np.eye(4), atol=1e-9)
    assert_array_equal(radial_basis(config, jnp.array([0.5, 0.6, 3.0])), np.zeros((3, 4)))


@pytest.mark.parametrize("layers", [1, 2])
def test_a_model_in_nm_exported_in_angstrom_and_ev_gives_the_same_physics(layers, position):
    model = small(layers=layers)
    params = init(jax.random.key(4), model)
    written = to_mace_torch(model, params, kinds=(1, 6, 8), angstrom_ev=True)
    settings = json.loads(str(written["config"]))
    assert (settings["r_max"], settings["atomic_numbers"]) == (5.0, [1, 6, 8])
    assert_array_equal(written["numbers"], [1, 6, 6, 1, 8])
    exported, exported_params = from_mace_torch(written)
    potential = build(model)
    both = [
        compiled(jax.value_and_grad(lambda x, e=e, p=p: e.energy(p, x, VACUUM)))(x)
        for e, p, x in ((potential, params, position), (exported, exported_params, 10 * position))
    ]
    (energy, gradient), (energy_ev, gradient_ev) = both
    assert abs(energy) > 1e-4
    assert_allclose(energy_ev, energy / EV, rtol=1e-10)
    assert_allclose(gradient_ev, gradient / (10 * EV), rtol=1e-10, atol=1e-10 * np.abs(gradient_ev).max())
    assert_allclose(EV, 96.48533212, rtol=1e-14)


def test_a_scaled_model_is_read_with_its_scale(position):
    fixture = arrays("mol_nu1_L1")
    fixture["config"] = np.array(str(fixture["config"]).replace("scale=1 ", "scale=2.5 "))
    assert read_mace_torch(fixture)[0].energy_scale == 2.5


def test_normalisation_of_sums_comes_from_the_frames(position):
    frames = Frames(position=position[None], force=None, box=VACUUM, time=np.zeros(1), names=tuple("ABCDE"))
    model = for_frames(MACEConfig(cutoff_nm=0.3), [0, 1, 1, 0, 2], frames)
    assert model.mean_neighbours == mean_neighbours(position[None], VACUUM, 0.3)
    assert (model.species, model.n_species) == ((0, 1, 1, 0, 2), 3)


def test_parameters_as_drawn():
    """Names, shapes and order of mace-torch; unit variance but for contraction weights and the radial input."""
    model = small(correlation=3)
    params = init(jax.random.key(0), model)
    assert {name: value.shape for name, value in params.items()} == shapes(model)
    other = init(jax.random.key(1), model)
    assert all(np.abs(params[name] - other[name]).max() > 0 for name in params)
    skip = np.asarray(params["interactions.0.skip_tp.weight"])
    assert abs(skip.std() - 1) < 4 / np.sqrt(2 * skip.size)
    radial = np.asarray(params["interactions.0.conv_tp_weights.layer0.weight"])
    assert abs(radial.std() / 0.5**1.5 - 1) < 4 / np.sqrt(2 * radial.size)


def changed(**settings) -> dict:
    fixture = arrays("mol_nu2_L2")
    fixture["config"] = np.array(json.dumps(json.loads(str(fixture["config"])) | settings))
    return fixture


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gate": "tanh"}, "config gate: want silu, found tanh"),
        ({"radial_type": "gaussian"}, "config radial_type: want bessel, found gaussian"),
        ({"interaction_cls": "RealAgnosticInteractionBlock"}, "config interaction_cls: want RealAgnosticResidual"),
        ({"hidden_irreps": "32x0e+32x1e"}, r"hidden_irreps: want Kx0e\+Kx1o, found 32x0e\+32x1e"),
        ({"hidden_irreps": "32x0e"}, r"hidden_irreps: want Kx0e\+Kx1o, found 32x0e"),
        ({"hidden_irreps": "32x0e+16x1o"}, r"hidden_irreps: want Kx0e\+Kx1o, found 32x0e\+16x1o"),
        ({"model": "ScaleShiftMACE scale=1 shift=0.25"}, "without energy shift, found 0.25; subtract the isolated"),
        ({"hidden_irreps": "16x0e+16x1o"}, "parameters that do not fit the config.*wanted, found"),
        ({"atomic_numbers": [7, 8]}, r"numbers: \[.*\] are not among the model's species \[7, 8\]"),
    ],
)
def test_settings_of_another_network_are_refused(settings, message):
    with pytest.raises(ExchangeError, match=message):
        read_mace_torch(changed(**settings))


def test_a_species_that_the_model_lacks_is_refused():
    fixture = changed()
    fixture["numbers"][0] = 17
    with pytest.raises(ExchangeError, match=r"numbers: \[17\] are not among the model's species \[1, 2\]"):
        read_mace_torch(fixture)


@pytest.mark.parametrize("name", ["readouts.0.linear.weight", "interactions.0.conv_tp_weights.layer0.weight"])
def test_a_missing_parameter_is_refused(name):
    fixture = changed()
    del fixture[f"param:{name}"]
    with pytest.raises(ExchangeError, match=name):
        read_mace_torch(fixture)


@pytest.mark.parametrize("name", ["correlation", "avg_num_neighbors", "r_max"])
def test_a_missing_setting_is_refused(name):
    fixture = changed()
    fixture["config"] = np.array(json.dumps({k: v for k, v in json.loads(str(fixture["config"])).items() if k != name}))
    with pytest.raises(ExchangeError, match=name):
        read_mace_torch(fixture)


def test_a_parameter_too_many_is_refused():
    fixture = changed() | {"param:readouts.0.linear.bias": np.zeros(1)}
    with pytest.raises(ExchangeError, match=r"readouts\.0\.linear\.bias', None, \(1,\)"):
        read_mace_torch(fixture)


def test_another_basis_of_the_contraction_is_refused():
    fixture = changed()
    name = "buffer:products.0.symmetric_contractions.contractions.1.U_matrix_2"
    fixture[name] = fixture[name][..., ::-1]
    with pytest.raises(ExchangeError, match="U_matrix_2: another basis of the symmetric contraction"):
        read_mace_torch(fixture)
    fixture[name] = fixture[name][..., :-1]
    with pytest.raises(ExchangeError, match="U_matrix_2: another basis of the symmetric contraction"):
        read_mace_torch(fixture)


@pytest.mark.parametrize("kinds", [(1, 6), (6, 1, 8), (1, 1, 8)])
def test_names_of_species_must_be_as_many_and_rising(kinds):
    model = small()
    with pytest.raises(ExchangeError, match="want 3 different numbers in rising order"):
        to_mace_torch(model, init(jax.random.key(0), model), kinds=kinds)
