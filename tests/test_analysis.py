from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.distance import jensenshannon

from cgcore.analysis import blocks, ramachandran, stability, surface
from cgcore.frames import Ensemble, Frames
from cgcore.units import KB


def random_distribution(seed, bins=6):
    return np.random.default_rng(seed).gamma(0.3, size=(bins, bins))


# Surfaces


def histogram(phi, psi, bins, mask=None):
    return surface.normalised(surface.counts2d(phi, psi, bins, mask).sum(0))


def test_bins_are_their_own_mirror_image():
    e = surface.edges(24)
    np.testing.assert_allclose(e, -e[::-1], atol=0)
    rng = np.random.default_rng(0)
    phi, psi = rng.normal(-1.2, 0.5, 5000), rng.uniform(-np.pi, np.pi, 5000)
    P = histogram(phi, psi, 24)
    assert P.sum() == pytest.approx(1)
    np.testing.assert_array_equal(histogram(-phi, -psi, 24), surface.reflected(P))
    np.testing.assert_array_equal(histogram(psi, phi, 24), surface.exchanged(P))


def test_histogram_is_periodic_and_masked():
    P = histogram([[np.pi, -np.pi, 0.1]], [[0.1, 0.1, np.nan]], 4, [[True, True, False]])
    assert P[0, 2] == 1.0
    by_hand = np.histogram2d([0.1, 2.0, -3.0], [0.3, -2.0, 1.0], bins=8, range=[[-np.pi, np.pi]] * 2)[0]
    np.testing.assert_allclose(histogram([0.1, 2.0, -3.0], [0.3, -2.0, 1.0], 8), by_hand / 3)
    counts = surface.counts2d([[0.1, 0.1], [2.0, 0.1]], [[0.1, 0.1], [2.0, 0.1]], 4)
    assert counts[0, 2, 2] == 2 and counts[1, 2, 2] == 1 and counts[1, 3, 3] == 1


def test_histogram_refuses_what_is_no_data():
    with pytest.raises(ValueError, match="1 of 2 counted frames"):
        surface.counts2d([[0.0, np.nan]], [[0.0, 0.0]], 4)
    with pytest.raises(ValueError, match="equal shapes"):
        surface.counts2d(np.zeros((1, 2)), np.zeros((1, 3)), 4)
    with pytest.raises(ValueError, match="no frame was counted"):
        histogram([[0.0]], [[0.0]], 4, [[False]])


def test_free_energy_inverts_a_boltzmann_population():
    F = np.array([[0.0, 2.5], [10.0, 1.0]])
    P = np.exp(-F / (KB * 300.0))
    np.testing.assert_allclose(surface.free_energy(7 * P, 300.0), F, atol=1e-12)
    P[1, 0] = 0
    assert np.isnan(surface.free_energy(P, 300.0)).sum() == 1


def test_jensen_shannon_by_hand():
    p, q = np.array([0.5, 0.5, 0, 0]), np.array([0, 0, 0.5, 0.5])
    assert surface.jensen_shannon(p, p) == 0
    assert surface.jensen_shannon(p, q) == pytest.approx(1)
    # P = (1, 0), Q = (1/2, 1/2): M = (3/4, 1/4)
    by_hand = 0.5 * np.log2(4 / 3) + 0.5 * (0.5 * np.log2(2 / 3) + 0.5 * np.log2(2))
    assert surface.jensen_shannon([1, 0], [1, 1]) == pytest.approx(by_hand)
    a, b = random_distribution(0), random_distribution(1)
    assert surface.jensen_shannon(a, b) == pytest.approx(jensenshannon(a.ravel(), b.ravel(), base=2) ** 2)
    with pytest.raises(ValueError, match="equal shapes"):
        surface.jensen_shannon(a, b[:3])


def test_symmetry_indices():
    P = random_distribution(2)
    for image in ramachandran.SYMMETRIES.values():
        assert surface.asymmetry(P, image) > 0.1
        assert surface.asymmetry(P + image(P), image) == pytest.approx(0, abs=1e-12)
    backwards = P + surface.exchanged(surface.reflected(P))
    assert surface.asymmetry(backwards, surface.exchanged) > 0.1
    left = np.zeros((6, 6))
    left[:3] = 1
    assert surface.asymmetry(left, surface.reflected) == pytest.approx(1)


def test_bound_of_surfaces_without_and_with_overlap():
    left = np.zeros((6, 6))
    left[:3] = random_distribution(3)[:3]
    assert surface.symmetry_bound(left, surface.reflected) == pytest.approx(1.5 - 0.75 * np.log2(3))
    P = random_distribution(4)
    symmetric = P + surface.reflected(P)
    assert surface.symmetry_bound(symmetric, surface.reflected) == pytest.approx(0, abs=1e-12)


def test_nothing_symmetric_is_nearer_than_the_bound():
    P = random_distribution(5, bins=4)
    Q = surface.nearest_symmetric(P, surface.reflected)
    np.testing.assert_allclose(Q, surface.reflected(Q), rtol=1e-12)
    assert Q.sum() == pytest.approx(1)

    def js(x):
        half = np.exp(x).reshape(2, 4)
        return surface.jensen_shannon(P, np.vstack([half, half[::-1, ::-1]]))

    found = minimize(js, np.zeros(8), tol=1e-12)
    bound = surface.symmetry_bound(P, surface.reflected)
    assert found.fun == pytest.approx(bound, abs=1e-8)
    assert bound < surface.jensen_shannon(P, (P + surface.reflected(P))) - 1e-5


def test_basins_tile_the_torus():
    grid = np.radians(np.arange(-180, 180, 5) + 2.5)
    phi, psi = (x.ravel()[None] for x in np.meshgrid(grid, grid, indexing="ij"))
    counts = surface.basin_counts(phi, psi, np.ones(phi.shape, bool))
    positive = counts.pop("phi_positive")
    assert sum(counts.values()) == phi.size and positive == phi.size / 2
    mirror = surface.basin_counts(-phi, -psi, np.ones(phi.shape, bool))
    assert mirror["alpha_L"] == counts["alpha_R"] and mirror["mirror_beta"] == counts["beta"] + counts["ppII"]


def test_basins_of_known_conformers():
    conformers = {"beta": (-157, 160), "ppII": (-75, 145), "alpha_R": (-65, -40), "alpha_L": (57, 47)}
    for name, (phi, psi) in conformers.items():
        counts = surface.basin_counts(np.radians([[phi]]), np.radians([[psi]]), np.ones((1, 1), bool))
        assert [k for k, n in counts.items() if n[0] and k != "phi_positive"] == [name]


def beads(phi, psi):
    """Two beads on the z axis, one beside the first, two beside the second at dihedrals phi and psi (C, T)."""
    axis = np.broadcast_to([[1.0, 0, 0], [0, 0, 0], [0, 0, 1]], (*phi.shape, 3, 3))
    ends = [np.stack([np.cos(a), np.sin(a), np.ones_like(a)], axis=-1)[..., None, :] for a in (phi, psi)]
    return 0.15 * np.concatenate([axis, *ends], axis=-2)


def ensemble(position, first_bad):
    C, T, N, _ = position.shape
    return Ensemble(
        position=position,
        energy=np.zeros((C, T)),
        kinetic=np.zeros((C, T)),
        time=np.arange(T) * 0.5,
        status=np.zeros(C, int),
        first_bad=np.array(first_bad),
        names=tuple("ABCDE")[:N],
    )


def test_backbone_of_an_ensemble_and_of_frames():
    want = np.random.default_rng(0).uniform(-3, 3, (2, 2, 4))
    position = beads(*want)
    quads = [0, 1, 2, 3], [0, 1, 2, 4]
    position[1, 2:] = np.nan
    phi, psi, valid = surface.backbone(ensemble(position, [4, 2]), *quads)
    np.testing.assert_array_equal(valid, [[1, 1, 1, 1], [1, 1, 0, 0]])
    for got, angle in ((phi, want[0]), (psi, want[1])):
        np.testing.assert_allclose(got, np.where(valid, angle, np.nan), rtol=1e-5)
    frames = Frames(position=position[0], force=None, box=np.full(3, np.inf), time=np.arange(4.0), names=tuple("ABCDE"))
    mirror = surface.backbone(replace(frames, position=position[0] * [1, -1, 1]), *quads)
    np.testing.assert_allclose(mirror[0], -want[0, :1], rtol=1e-5)
    np.testing.assert_allclose(mirror[1], -want[1, :1], rtol=1e-5)
    assert mirror[2].all()


# Errors


def test_jackknife_of_a_mean_is_the_standard_error():
    x = np.random.default_rng(0).normal(size=50)
    n = np.stack([x, np.ones(50)], axis=1)
    got = blocks.jackknife(lambda s: s[0] / s[1], n)
    assert got.value == pytest.approx(x.mean())
    assert got.error == pytest.approx(x.std(ddof=1) / np.sqrt(50))


def test_jackknife_of_a_nonlinear_statistic_covers_its_spread():
    """The error of an entropy, beside the spread over 200 repetitions of the whole experiment."""
    rng = np.random.default_rng(1)
    p = np.array([0.5, 0.3, 0.15, 0.05])
    samples = rng.multinomial(100, p, size=(200, 30))

    def entropy(n):
        return -np.sum(n / n.sum() * np.log2(n / n.sum()))

    estimates = [blocks.jackknife(entropy, s) for s in samples]
    spread = np.std([e.value for e in estimates], ddof=1)
    assert np.mean([e.error for e in estimates]) == pytest.approx(spread, rel=0.15)


def test_jackknife_leaves_out_empty_blocks_and_wants_two():
    n = np.array([[3, 1], [0, 0], [2, 2]])

    def share(s):
        return s[0] / s.sum()

    assert blocks.jackknife(share, n) == blocks.jackknife(share, n[[0, 2]])
    with pytest.raises(ValueError, match="at least two blocks"):
        blocks.jackknife(share, n[:2])


def ar1(a, shape, seed):
    """x_t = a x_(t-1) + noise, stationary with unit variance; its inefficiency is (1 + a) / (1 - a)."""
    from scipy.signal import lfilter

    rng = np.random.default_rng(seed)
    noise = rng.normal(size=shape) * np.sqrt(1 - a**2)
    start = rng.normal(size=(*shape[:-1], 1))
    return lfilter([1], [1, -a], noise, zi=a * start)[0]


@pytest.mark.parametrize("a", [0.0, 0.8, 0.95])
def test_inefficiency_of_an_ar1_process(a):
    x = ar1(a, (20, 20_000), seed=2) + 5
    g = (1 + a) / (1 - a)
    assert blocks.inefficiency(x) == pytest.approx(g, rel=0.05)
    np.testing.assert_allclose(blocks.autocorrelation(x)[:4], a ** np.arange(4), atol=0.02)


def test_block_mean_of_independent_and_of_correlated_numbers():
    x = np.random.default_rng(3).normal(size=(400, 100))
    mean, error = blocks.block_mean(x)
    assert abs(mean) < 4 * error
    assert error == pytest.approx(1 / np.sqrt(x.size), rel=0.1)
    a = 0.9
    x = ar1(a, (1, 400_000), seed=4)
    mean, error = blocks.block_mean(x, 200)
    assert error == pytest.approx(np.sqrt((1 + a) / (1 - a) / x.size), rel=0.15)
    assert abs(mean) < 4 * error
    with pytest.raises(ValueError, match="give n_blocks"):
        blocks.block_mean(x)
    with pytest.raises(ValueError, match="at most 4"):
        blocks.block_mean(x[:, :4], 5)
    with pytest.raises(ValueError, match="constant"):
        blocks.inefficiency(np.ones(10))


def test_pieces_keep_every_frame():
    x, valid = blocks.pieces(np.arange(10.0), np.ones(10, bool), 4)
    assert x.shape == (4, 3) and valid.sum() == 10
    np.testing.assert_array_equal(x[valid], np.arange(10.0))
    with pytest.raises(ValueError, match="2 to 10"):
        blocks.pieces(np.arange(10.0), np.ones(10, bool), 11)


def test_noise_floors_are_what_noise_gives():
    """Independent frames of one symmetric surface: the floors equal the divergences found, which are all noise."""
    rng = np.random.default_rng(5)
    P = random_distribution(6) + 0.2
    P = (P + surface.reflected(P)) / (2 * P.sum())
    ours, theirs = (rng.multinomial(200, P.ravel(), size=n).reshape(-1, 6, 6) for n in (100, 40))
    found = np.mean(
        [
            surface.jensen_shannon(rng.multinomial(20_000, P.ravel()), rng.multinomial(8_000, P.ravel()))
            for _ in range(100)
        ]
    )
    halves = [blocks.between_halves(surface.jensen_shannon, n) for n in (ours, theirs)]
    assert sum(halves) / 4 == pytest.approx(found, rel=0.2)
    index = np.mean(
        [surface.asymmetry(rng.multinomial(20_000, P.ravel()).reshape(6, 6), surface.reflected) for _ in range(100)]
    )
    floor = blocks.if_symmetric(lambda P: surface.asymmetry(P, surface.reflected), surface.reflected, ours)
    assert floor == pytest.approx(index, rel=0.2)


# Stability


def test_the_largest_bond_deviation_of_each_frame():
    bonds, equilibrium = [(0, 1), (1, 2)], np.array([0.15, 0.15])
    position = np.zeros((4, 6, 3, 3))
    position[..., 1, 0], position[..., 2, 0] = 0.15, 0.30
    position[1, 3, 2, 0] = 0.30 + 0.0499
    position[2, 4:, 2, 0] = 0.30 - 0.0501
    position[3, 2, 0, 1] = np.nan
    deviation = stability.bond_deviation(position, bonds, equilibrium)
    bad = np.argwhere(np.asarray(deviation) > 0.05)
    np.testing.assert_array_equal(bad, [[2, 4], [2, 5], [3, 2]])
    np.testing.assert_allclose(stability.bond_deviation(position[2], bonds, equilibrium), deviation[2])
    assert deviation.shape == (4, 6) and deviation[3, 2] == np.inf
    assert deviation[1, 3] == pytest.approx(0.0499, rel=1e-4)
    with pytest.raises(ValueError, match="each of 2 bonds"):
        stability.bond_deviation(position, bonds, equilibrium[:1])
    with pytest.raises(ValueError, match="no bonds"):
        stability.bond_deviation(position, np.zeros((0, 2), int), np.zeros(0))


def test_survival_and_exclusions():
    first_bad = np.array([4, 4, 1, 3])
    np.testing.assert_allclose(stability.survival(first_bad, 4), [1, 0.75, 0.75, 0.5])
    table = stability.exclusions(first_bad, 4, 0.5)
    assert table["n_replicas_failed"] == 2 and table["n_frames_excluded"] == 4 and table["n_frames"] == 12
    assert table["valid_fraction"] == 0.75 and table["ns"] == pytest.approx(0.006)
    assert table["stable_ps"] == 1.5 and table["stable_ps_sd"] == pytest.approx(0.5 * np.std(first_bad))


def test_pairs_nearer_than_any_of_the_training_are_counted():
    """Three beads on a line in a box of 2 nm: the outer two are neighbours through its wall."""
    line = np.array([[0.0, 0, 0], [0.5, 0, 0], [1.7, 0, 0]])
    box, shift = np.full(3, 2.0), np.array([[0.0, 0, 0], [0, 0, 0], [0.05, 0, 0]])
    trained = Frames(
        position=np.stack([line, line - shift]), force=None, box=box, time=np.arange(2.0), names=("A",) * 3
    )
    run = Ensemble(
        position=np.stack([line, line + shift, line + 2 * shift])[None],
        energy=np.zeros((1, 3)),
        kinetic=np.zeros((1, 3)),
        time=np.arange(3.0),
        status=np.zeros(1, int),
        first_bad=np.array([2]),
        names=("A",) * 3,
    )
    found = stability.extrapolating_frames(run, trained, box)
    assert found["n_frames_extrapolating"] == 1  # the third does not count
    np.testing.assert_allclose([found["closest_trained_nm"], found["closest_nm"]], [0.3, 0.25], rtol=1e-12)


# The table of a run


def sample(seed, C, T, right):
    """Frames in a left-handed well, with the probability `right` in its mirror image; T is correlated by fives."""
    rng = np.random.default_rng(seed)
    phi, psi = (np.repeat(rng.normal(m, 0.3, (C, T // 5)), 5, axis=1) for m in (-1.3, 1.0))
    sign = np.repeat(np.where(rng.random((C, T // 5)) < right, -1, 1), 5, axis=1)
    return phi * sign, psi * sign


def test_ramachandran_tells_a_mirror_symmetric_model_from_a_chiral_one():
    reference_phi, reference_psi = sample(0, 1, 20_000, right=0.0)
    tables = {}
    for name, right in (("chiral", 0.0), ("achiral", 0.5)):
        phi, psi = sample(1, 30, 500, right)
        valid = np.ones(phi.shape, bool)
        valid[3, 100:] = False
        phi[3, 100:] = np.nan
        tables[name], arrays = ramachandran.ramachandran(
            phi,
            psi,
            valid,
            reference_phi[0],
            reference_psi[0],
            np.ones(len(reference_psi[0]), bool),
            temperature_K=300.0,
            frame_ps=0.5,
            reference_frame_ps=0.2,
        )
    chiral, achiral = tables["chiral"], tables["achiral"]
    assert chiral["n_frames"] == 14_600 and chiral["n_frames_excluded"] == 400 and chiral["n_replicas"] == 30
    assert chiral["ns"] == pytest.approx(7.3) and chiral["reference"]["ns"] == pytest.approx(4.0)
    assert chiral["point_symmetry"] > 0.99 and chiral["phi_positive"] < 1e-3
    assert abs(achiral["phi_positive"] - 0.5) < 4 * achiral["phi_positive_error"]
    assert achiral["point_symmetry"] == pytest.approx(achiral["point_symmetry_floor"], rel=0.5)
    assert achiral["point_symmetry"] < 0.03
    assert chiral["js_reference"] == pytest.approx(chiral["js_reference_floor"], rel=0.3)
    bound = chiral["reference"]["point_symmetry_bound"]
    assert bound == pytest.approx(0.311, abs=0.001)
    assert abs(achiral["js_reference"] - bound) < 4 * achiral["js_reference_error"] + 2 * achiral["js_reference_floor"]
    assert sum(achiral[name] for name in surface.BASINS) == pytest.approx(1)
    assert all(np.isscalar(v) for k, v in achiral.items() if k != "reference")
    assert arrays["P"].sum() == pytest.approx(1) and np.nanmin(arrays["F"]) == 0
    widths = np.diff(arrays["marginal_edges"])
    for name in ("phi", "psi", "reference_phi", "reference_psi"):
        assert (arrays[f"{name}_density"] * widths).sum() == pytest.approx(1)
        assert arrays[f"{name}_density_error"].shape == widths.shape


def test_error_of_the_index_is_the_spread_between_runs():
    found = [ramachandran.summary(*sample(s, 30, 500, 0.3), np.ones((30, 500), bool), frame_ps=0.5) for s in range(25)]
    spread = np.std([t["phi_positive"] for t in found], ddof=1)
    assert np.mean([t["phi_positive_error"] for t in found]) == pytest.approx(spread, rel=0.35)
    spread = np.std([t["point_symmetry"] for t in found], ddof=1)
    assert np.mean([t["point_symmetry_error"] for t in found]) == pytest.approx(spread, rel=0.35)
