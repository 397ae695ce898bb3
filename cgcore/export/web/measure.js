// What is measured of a frame: positions x are nm, three numbers a bead. Used in the worker, and by the page for the start.
(function (self) {
  const SAMPLE = 10; // steps between two samples: a matter of the trajectory, not of how fast it is computed
  const minus = (x, i, j) => [0, 1, 2].map((k) => x[3 * i + k] - x[3 * j + k]);
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const length = (a) => Math.sqrt(dot(a, a));

  // Radians in (-pi, pi], by the convention of IUPAC.
  function dihedral(x, [i, j, k, l]) {
    const [a, b, c] = [minus(x, j, i), minus(x, k, j), minus(x, l, k)];
    return Math.atan2(length(b) * dot(a, cross(b, c)), dot(cross(a, b), cross(b, c)));
  }

  // The volume that three bonds of a centre span, by their lengths: its sign tells a stereocentre from its mirror image.
  function volume(x, [centre, ...three]) {
    const [a, b, c] = three.map((i) => minus(x, i, centre));
    return dot(cross(a, b), c) / (length(a) * length(b) * length(c));
  }

  // The stereocentre, as CA, N, C and CB; null for a map without CB.
  function centre(model) {
    const cb = model.names.indexOf("CB"), [, n, ca, c] = model.dihedrals.phi;
    return cb < 0 ? null : [ca, n, c, cb];
  }

  // Of a liquid all positions; of a molecule phi, psi and the volume at the stereocentre, 0 where the beads have none.
  function sample(x, model) {
    if (model.box) return Array.from(x);
    const four = centre(model);
    return [dihedral(x, model.dihedrals.phi), dihedral(x, model.dihedrals.psi), four ? volume(x, four) : 0];
  }

  // Lengths; without images, for beads of a liquid are not wrapped.
  const bonds = (x, model) => model.bonds.map(([i, j]) => length(minus(x, i, j)));

  // nm^2 between beads i and j, by the nearest image in a box.
  function square(x, i, j, box) {
    let sum = 0;
    for (let k = 0; k < 3; k++) {
      const d = x[3 * i + k] - x[3 * j + k];
      sum += (d - box[k] * Math.round(d / box[k])) ** 2;
    }
    return sum;
  }

  self.CgMeasure = { SAMPLE, square, dihedral, volume, centre, sample, bonds, minus, dot, cross, length };
})(self);
