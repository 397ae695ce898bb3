// Beads on a canvas: turned, in perspective, drawn from behind to the front.
(function (self) {
  const { length } = self.CgMeasure;
  const EYE = 5; // distance of the eye, in what the picture reaches
  const COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9"]; // Okabe and Ito, by species

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

    // What a scene has laid out: points (nm, about the middle) with their kinds, radius and names or null; sticks [i, j,
    // marked]; beads that are marked; corners of a box and its edges, or none.
    show(laid) {
      this.laid = laid;
      this.reach ??= 1.15 * Math.max(...[...laid.points, ...laid.corners].map(length)) + laid.radius;
      const kinds = [...new Set(laid.kinds)];
      this.colours = laid.kinds.map((kind) => COLOURS[kinds.indexOf(kind) % COLOURS.length]);
    }

    projected(points, size) {
      const [cy, sy, cp, sp] = [Math.cos(this.yaw), Math.sin(this.yaw), Math.cos(this.pitch), Math.sin(this.pitch)];
      return points.map(([x, y, z]) => {
        const turned = [cy * x + sy * z, cy * z - sy * x];
        const [up, depth] = [cp * y - sp * turned[1], sp * y + cp * turned[1]];
        const scale = (size / 2 / this.reach) * (EYE / (EYE - depth / this.reach));
        return { x: size / 2 + scale * turned[0], y: size / 2 - scale * up, depth, scale };
      });
    }

    draw(colour) {
      const { canvas, laid } = this, size = canvas.width, context = canvas.getContext("2d");
      context.clearRect(0, 0, size, size);
      if (!laid) return;
      const points = this.projected(laid.points, size), corners = this.projected(laid.corners, size), stick = 0.36 * laid.radius;
      for (const [i, j] of laid.edges) this.stick(context, corners[i], corners[j], colour("--live-line"), stick / 6);
      const parts = points.map((p, i) => ({ depth: p.depth, draw: () => this.bead(context, p, i, colour) }));
      for (const [i, j, marked] of laid.sticks) {
        const [a, b] = [points[i], points[j]], of = colour(marked ? "--live-now" : "--live-stick");
        parts.push({ depth: (a.depth + b.depth) / 2 - laid.radius, draw: () => this.stick(context, a, b, of, stick) });
      }
      parts.sort((a, b) => a.depth - b.depth).forEach((part) => part.draw());
    }

    bead(context, { x, y, scale }, i, colour) {
      const { radius, names, marked } = this.laid;
      shade(context, x, y, radius * scale, marked[i] ? colour("--live-now") : this.colours[i]);
      if (!names) return;
      context.font = `600 ${0.9 * radius * scale}px sans-serif`;
      Object.assign(context, { fillStyle: "#fff", strokeStyle: "#10202e", lineWidth: 0.2 * radius * scale });
      Object.assign(context, { textAlign: "center", textBaseline: "middle", lineJoin: "round" });
      context.strokeText(names[i], x, y);
      context.fillText(names[i], x, y);
    }

    stick(context, a, b, colour, width) {
      Object.assign(context, { strokeStyle: colour, lineWidth: width * (a.scale + b.scale), lineCap: "round" });
      context.beginPath();
      context.moveTo(a.x, a.y);
      context.lineTo(b.x, b.y);
      context.stroke();
    }
  }

  self.CgMolecule = Molecule;
})(self);
