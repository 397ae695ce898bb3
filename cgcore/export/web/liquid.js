// The scene of a liquid of two-bead molecules: its box, which beads are paired, and how far the pairs of the start are apart.
(function (self) {
  const { FROM, TO, BINS, Pairs } = self.CgPairs;
  const RADIUS_NM = 0.07, HIGHEST = 20; // kJ/mol, the top of the picture
  const CORNERS = [...Array(8).keys()].map((k) => [k & 1, (k >> 1) & 1, k >> 2].map((side) => side - 0.5));
  const EDGES = [[0, 1], [0, 2], [0, 4], [1, 3], [1, 5], [2, 3], [2, 6], [3, 7], [4, 5], [4, 6], [5, 7], [6, 7]];

  // Each pair whole, its first bead inside the box, whose middle is the origin.
  function placed(x, box, pairs) {
    const points = [], image = (d, k) => d - box[k] * Math.round(d / box[k]);
    for (const [i, j] of pairs) {
      points[i] = box.map((_, k) => image(x[3 * i + k], k));
      points[j] = points[i].map((at, k) => at + image(x[3 * j + k] - x[3 * i + k], k));
    }
    return points;
  }

  class Distances {
    constructor(canvas) { this.canvas = canvas; }

    // F: kJ/mol in BINS from FROM to TO; reference: the same of the atomistic liquid.
    draw(colour, F, reference) {
      const { canvas } = this, size = canvas.width, context = canvas.getContext("2d"), bar = size / BINS;
      const height = (value) => size * Math.min(value / HIGHEST, 1);
      context.clearRect(0, 0, size, size);
      context.fillStyle = colour("--live-press");
      F.forEach((value, k) => {
        if (!Number.isNaN(value)) context.fillRect(k * bar, height(value), bar, size - height(value));
      });
      const path = new Path2D();
      reference.forEach((value, k) => {
        if (value !== null) path[path.begun ? "lineTo" : "moveTo"]((k + 0.5) * bar, height(value));
        path.begun = value !== null;
      });
      for (const [name, width] of [["--live-ground", 5], ["--live-now", 2.5]]) {
        Object.assign(context, { strokeStyle: colour(name), lineWidth: (width * size) / 400, lineJoin: "round" });
        context.stroke(path);
      }
    }
  }

  self.CgLiquid = {
    event: ["rearrangement", "rearrangements"],
    across: [`${FROM}`, "r of the first pairs (nm)", `${TO}`],
    up: "F",
    shown: "Free energy of the distance between beads that were paired at the start, upside down: the fuller, the more often",
    numbers: { events: "Rearrangements", switched: "Molecules with a new partner" },
    scale: "",
    tally: (sample, model) => new Pairs(sample, model),
    words: ({ tally, model }) => ({ events: String(tally.events), switched: `${tally.switched} of ${model.bonds.length}` }),
    define: ({ longestNm }) => `A <em>rearrangement</em> is molecules whose beads are paired anew, with a smaller sum of squared
      distances, for 1 ps, and whose old partners have meanwhile been more than ${longestNm.toFixed(2)} nm apart, farther than in any
      frame of the reference. Beads of such molecules are orange.`,
    lines: () => `Bars: −k<sub>B</sub>T ln P, 0 kJ/mol at the top and ${HIGHEST} at the foot; line: the atomistic reference`,
    lay(model, x, { settled, first }) {
      const pairs = [...settled.keys()].filter((i) => i < settled[i]).map((i) => [i, settled[i], settled[i] !== first[i]]);
      const marked = Array.from(settled, (other, i) => other !== first[i]), corners = CORNERS.map((c) => c.map((s, k) => s * model.box[k]));
      return { points: placed(x, model.box, pairs), kinds: model.species, names: null, sticks: pairs, radius: RADIUS_NM, marked, corners, edges: EDGES };
    },
    picture(canvas) {
      const distances = new Distances(canvas);
      return (colour, { model, tally, choice }) =>
        distances.draw(colour, tally.freeEnergy(choice.temperatureK), model.reference?.distance ?? []);
    },
  };
})(self);
