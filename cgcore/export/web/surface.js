// The surface over phi and psi on a canvas, with the reference's contours over it and where the molecule is now.
(function (self) {
  const HIGHEST = 20; // kJ/mol, where the scale of colours ends

  const rgb = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));

  // Colours in equal steps over 0 to 1, mixed in between.
  function mixed(colours, share) {
    const place = Math.min(Math.max(share, 0), 1) * (colours.length - 1), k = Math.min(Math.floor(place), colours.length - 2);
    return colours[k].map((c, i) => c + (place - k) * (colours[k + 1][i] - c));
  }

  const palette = (colour) => colour("--live-scale").split(/[\s,]+/).map(rgb);

  class Surface {
    constructor(canvas) {
      this.canvas = canvas;
      this.grid = document.createElement("canvas");
    }

    // F: kJ/mol by phi and psi, NaN where nothing was; reference: {contours: {kJ/mol: lines [phi, psi, ...] in degrees}} or
    // null; turned: whether the reference is that of the mirror image; now: phi and psi in rad, or null.
    draw(colour, F, reference, turned, now) {
      const { canvas } = this, size = canvas.width, context = canvas.getContext("2d");
      context.clearRect(0, 0, size, size);
      context.imageSmoothingEnabled = false;
      context.drawImage(this.cells(F, palette(colour)), 0, 0, size, size);
      this.planes(context, colour, size);
      if (reference) this.contours(context, colour, size, reference.contours, turned ? -1 : 1);
      if (now) this.point(context, colour, size, now);
    }

    cells(F, colours) {
      const bins = Math.sqrt(F.length), image = new ImageData(bins, bins);
      F.forEach((value, k) => {
        if (Number.isNaN(value)) return;
        const [phi, psi] = [Math.floor(k / bins), k % bins];
        image.data.set([...mixed(colours, value / HIGHEST), 255], 4 * ((bins - 1 - psi) * bins + phi));
      });
      Object.assign(this.grid, { width: bins, height: bins });
      this.grid.getContext("2d").putImageData(image, 0, 0);
      return this.grid;
    }

    planes(context, colour, size) {
      Object.assign(context, { strokeStyle: colour("--live-line"), lineWidth: size / 400 });
      context.setLineDash([size / 80, size / 80]);
      for (const [x, y] of [[0.5, 0], [0, 0.5]]) {
        context.beginPath();
        context.moveTo(x * size, y * size);
        context.lineTo((x || 1) * size, (y || 1) * size);
        context.stroke();
      }
      context.setLineDash([]);
    }

    contours(context, colour, size, contours, sign) {
      const path = new Path2D(), place = (degrees) => (0.5 + (sign * degrees) / 360) * size;
      for (const line of Object.values(contours).flat())
        for (let k = 0; k < line.length; k += 2)
          path[k ? "lineTo" : "moveTo"](place(line[k]), size - place(line[k + 1]));
      for (const [name, width] of [["--live-ground", 4], ["--live-ink", 1.5]]) {
        Object.assign(context, { strokeStyle: colour(name), lineWidth: (width * size) / 400, lineJoin: "round" });
        context.stroke(path);
      }
    }

    point(context, colour, size, [phi, psi]) {
      context.beginPath();
      context.arc((0.5 + phi / (2 * Math.PI)) * size, (0.5 - psi / (2 * Math.PI)) * size, size / 50, 0, 2 * Math.PI);
      Object.assign(context, { fillStyle: colour("--live-now"), strokeStyle: colour("--live-ground"), lineWidth: size / 150 });
      context.fill();
      context.stroke();
    }
  }

  self.CgSurface = Surface;
})(self);
