// The scene of a peptide: its beads about N, CA and C, the surface over phi and psi, its hand and how often that changes.
(function (self) {
  const { minus, dot, cross, length, centre } = self.CgMeasure;
  const RADIUS_NM = 0.05;
  const OF_CENTRE = `A <em>crossing</em> is CB passing through the plane of N, CA and C, until the volume that the three
    bonds of CA span has a third of its size at the start on the other side. φ &gt; 0 alone is none: the left-handed helix is
    part of L-alanine.`;
  const [OF_L, OF_D] = self.CgTally.CORES.map((core) => core.map((c) => `${String(c).replace("-", "−")}°`).join(" to "));
  const OF_PHI = `No bead says which hand it is; φ has to. A <em>crossing</em> is φ going from one of ${OF_L} (L) and ${OF_D}
    (D) to the other; between them it is on the side it was last.`;

  const unit = (a) => a.map((c) => c / length(a));

  const mean = (x, beads) => [0, 1, 2].map((k) => beads.reduce((sum, i) => sum + x[3 * i + k], 0) / beads.length);

  // Positions about N, CA and C: N to C from left to right, CA above them, so that the molecule does not tumble and what is
  // seen is the turning of its ends; a molecule without phi about its mean.
  function placed({ names, dihedrals }, x) {
    const beads = names.map((_, i) => i), [, n, ca, c] = dihedrals.phi ?? [];
    const middle = mean(x, dihedrals.phi ? [n, ca, c] : beads), from = (i) => middle.map((m, k) => x[3 * i + k] - m);
    if (!dihedrals.phi) return beads.map(from);
    const across = unit(minus(x, c, n)), toN = minus(x, n, ca);
    const up = unit(toN.map((v, k) => dot(toN, across) * across[k] - v));
    return beads.map((i) => [across, up, cross(across, up)].map((axis) => dot(axis, from(i))));
  }

  function positive({ tally, choice, model: { reference } }) {
    if (!tally.total) return "–";
    const share = (100 * tally.positive) / tally.total, found = `${share.toFixed(share < 1 ? 2 : 0)} %`;
    if (!reference) return found;
    const wanted = choice.hand === "D" ? 1 - reference.phiPositive : reference.phiPositive;
    return `${found} (reference ${(100 * wanted).toPrecision(2)} %)`;
  }

  self.CgPeptide = {
    event: ["crossing", "crossings"],
    across: ["−180°", "φ", "180°"],
    up: "ψ",
    shown: "Free energy over φ and ψ, which fills as the simulation runs; lines are the reference",
    numbers: { events: "Crossings", side: "Hand now", positive: "Frames at φ > 0" },
    scale: "0 to 20 kJ/mol",
    tally: (sample) => new self.CgTally.Tally(sample),
    words: (run) => ({ events: String(run.tally.events), side: run.tally.hand, positive: positive(run) }),
    define: (model) => (centre(model) ? OF_CENTRE : OF_PHI),
    lines: (model, choice) => `; lines: the reference${choice.hand === "D" ? ", mirrored" : ""}, at ${Object.keys(model.reference.contours).join(", ")} kJ/mol`,
    lay(model, x) {
      const names = model.names.map((name) => name.split("_")[0]), sticks = model.bonds;
      return { points: placed(model, x), kinds: model.species, names, sticks, radius: RADIUS_NM, marked: [], corners: [], edges: [] };
    },
    picture(canvas) {
      const surface = new self.CgSurface(canvas);
      return (colour, { model, tally, choice }) =>
        surface.draw(colour, tally.freeEnergy(choice.temperatureK), model.reference, choice.hand === "D", tally.last);
    },
  };
})(self);
