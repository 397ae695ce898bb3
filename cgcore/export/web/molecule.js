// A molecule of beads on a canvas: turned, in perspective, drawn from behind to the front.
(function (self) {
  const { minus, dot, cross, length } = self.CgMeasure;
  const BEAD_NM = 0.05, STICK_NM = 0.018, EYE_NM = 2.5;
  const COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9"]; // Okabe and Ito, by species

  const unit = (a) => a.map((c) => c / length(a));

  const mean = (x, beads) => [0, 1, 2].map((k) => beads.reduce((sum, i) => sum + x[3 * i + k], 0) / beads.length);

  // Positions about N, CA and C: N to C from left to right, CA above them, so that the molecule does not tumble and what is
  // seen is the turning of its ends; a molecule without phi about its mean.
  function laid({ names, dihedrals }, x) {
    const beads = names.map((_, i) => i), [, n, ca, c] = dihedrals.phi ?? [];
    const centre = mean(x, dihedrals.phi ? [n, ca, c] : beads), from = (i) => centre.map((m, k) => x[3 * i + k] - m);
    if (!dihedrals.phi) return beads.map(from);
    const across = unit(minus(x, c, n)), toN = minus(x, n, ca);
    const up = unit(toN.map((v, k) => dot(toN, across) * across[k] - v));
    return beads.map((i) => [across, up, cross(across, up)].map((axis) => dot(axis, from(i))));
  }

  function shade(context, x, y, radius, colour) {
    const light = context.createRadialGradient(x - radius / 3, y - radius / 3, radius / 8, x, y, radius);
    light.addColorStop(0, "#fff");
    light.addColorStop(0.35, colour);
    light.addColorStop(1, colour);
    context.fillStyle = light;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
  }

  class Molecule {
    constructor(canvas) {
      this.canvas = canvas;
      this.yaw = 0;
      this.pitch = 0.35;
    }

    show(model, position) {
      this.points = laid(model, position);
      this.reach ??= 1.15 * Math.max(...this.points.map(length)) + BEAD_NM;
      const kinds = [...new Set(model.species)];
      this.colours = model.species.map((kind) => COLOURS[kinds.indexOf(kind) % COLOURS.length]);
      this.model = model;
    }

    projected(size) {
      const [cy, sy, cp, sp] = [Math.cos(this.yaw), Math.sin(this.yaw), Math.cos(this.pitch), Math.sin(this.pitch)];
      return this.points.map(([x, y, z]) => {
        const turned = [cy * x + sy * z, cy * z - sy * x];
        const [up, depth] = [cp * y - sp * turned[1], sp * y + cp * turned[1]];
        const scale = (size / 2 / this.reach) * (EYE_NM / (EYE_NM - depth));
        return { x: size / 2 + scale * turned[0], y: size / 2 - scale * up, depth, scale };
      });
    }

    draw(colour) {
      const { canvas, model } = this, size = canvas.width, context = canvas.getContext("2d");
      context.clearRect(0, 0, size, size);
      if (!model) return;
      const points = this.projected(size);
      const parts = points.map((p, i) => ({ depth: p.depth, draw: () => this.bead(context, p, i) }));
      for (const [i, j] of model.bonds) {
        const [a, b] = [points[i], points[j]];
        parts.push({ depth: (a.depth + b.depth) / 2 - BEAD_NM, draw: () => this.stick(context, a, b, colour("--live-stick")) });
      }
      parts.sort((a, b) => a.depth - b.depth).forEach((part) => part.draw());
    }

    bead(context, { x, y, scale }, i) {
      shade(context, x, y, BEAD_NM * scale, this.colours[i]);
      context.font = `600 ${0.9 * BEAD_NM * scale}px sans-serif`;
      Object.assign(context, { fillStyle: "#fff", strokeStyle: "#10202e", lineWidth: 0.2 * BEAD_NM * scale });
      Object.assign(context, { textAlign: "center", textBaseline: "middle", lineJoin: "round" });
      const name = this.model.names[i].split("_")[0];
      context.strokeText(name, x, y);
      context.fillText(name, x, y);
    }

    stick(context, a, b, colour) {
      Object.assign(context, { strokeStyle: colour, lineWidth: STICK_NM * (a.scale + b.scale), lineCap: "round" });
      context.beginPath();
      context.moveTo(a.x, a.y);
      context.lineTo(b.x, b.y);
      context.stroke();
    }
  }

  self.CgMolecule = Molecule;
})(self);
