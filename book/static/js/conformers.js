// Beside a surface over φ and ψ the conformer of the chosen cell: click a cell, or move by the arrow keys.
for (const figure of document.querySelectorAll("figure.conformers")) {
  const probe = document.createElement("canvas");
  if (probe.getContext("webgl2") || probe.getContext("webgl")) load().then(() => start(figure), (e) => console.warn("the picture stays:", e));
}

// One promise for all views of a page (cgcore/viewer.html), which loads the script once.
function load() {
  if (window.$3Dmol) return Promise.resolve();
  return window.molviewScript ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = document.documentElement.dataset.content_root + "_static/js/3Dmol-min.js";
    script.onload = resolve;
    script.onerror = () => reject(new Error("3Dmol.js did not load"));
    document.head.append(script);
  });
}

function start(figure) {
  const scene = JSON.parse(figure.querySelector("script").textContent);
  const { molecule, beads, bins, cells, energies } = scene;
  const packed = new Int16Array(Uint8Array.from(atob(scene.positions), (c) => c.charCodeAt(0)).buffer);
  const [nAtoms, nBeads] = [molecule.elements.length, beads.names.length];
  const width = 360 / bins;

  const make = (tag, name, attributes = {}) => {
    const made = document.createElement(tag);
    made.className = name;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const pad = make("div", "pad", { role: "slider", tabindex: 0, "aria-label": "Cell of the surface, arrow keys move along φ and ψ",
                                   "aria-valuemin": 0, "aria-valuemax": cells.length - 1 });
  const marker = make("div", "marker");
  const [left, bottom, wide, high] = scene.axes;
  Object.assign(pad.style, { left: `${100 * left}%`, bottom: `${100 * bottom}%`, width: `${100 * wide}%`, height: `${100 * high}%` });
  Object.assign(marker.style, { width: `${100 / bins}%`, height: `${100 / bins}%` });
  const [beside, stage, told, mirror] = [make("div", "beside"), make("div", "stage", { "aria-hidden": true }), make("p", "told"),
                                         make("button", "mirror", { type: "button" })];
  mirror.textContent = "Go to (−φ, −ψ)";
  pad.append(marker);
  figure.querySelector(".surface").append(pad);
  beside.append(stage, told, mirror);
  figure.querySelector(".surface").after(beside);

  const view = $3Dmol.createViewer(stage, { backgroundColor: "white" });
  let now = null;

  const range = (i) => `${i * width - 180}° to ${(i + 1) * width - 180}°`.replace(/-/g, "−");
  const place = (cell) => [Math.floor(cell / bins), cell % bins];
  const image = (cell) => bins * bins - 1 - cell; // (−φ, −ψ)
  const energy = (cell) => (cells.includes(cell) ? `${energies[cells.indexOf(cell)].toFixed(1)} kJ/mol` : "never visited");

  function go(cell) {
    const [i, j] = place(cell), where = `φ ${range(i)}, ψ ${range(j)}`;
    if (!cells.includes(cell)) {
      told.textContent = `${where}: never visited`;
      return;
    }
    now = cell;
    told.textContent = `${where}: ${energy(cell)}; at (−φ, −ψ) ${energy(image(cell))}`;
    pad.setAttribute("aria-valuenow", cells.indexOf(cell));
    pad.setAttribute("aria-valuetext", told.textContent);
    mirror.disabled = !cells.includes(image(cell));
    Object.assign(marker.style, { left: `${(100 * i) / bins}%`, bottom: `${(100 * j) / bins}%` });
    draw(positions(cells.indexOf(cell)));
  }

  function positions(k) {
    const n = nAtoms + nBeads, of = packed.subarray(3 * n * k, 3 * n * (k + 1));
    return Array.from({ length: n }, (_, p) => {
      const [x, y, z] = of.subarray(3 * p, 3 * p + 3);
      return { x: x / scene.perAngstrom, y: y / scene.perAngstrom, z: z / scene.perAngstrom };
    });
  }

  function stick(x, [a, b], { colours, stick: radius }, alpha) {
    const middle = { x: (x[a].x + x[b].x) / 2, y: (x[a].y + x[b].y) / 2, z: (x[a].z + x[b].z) / 2 };
    for (const end of [a, b])
      view.addCylinder({ start: x[end], end: middle, radius, color: colours[end], alpha, fromCap: 1, toCap: 0 });
  }

  function draw(x) {
    const [atoms, over] = [x.slice(0, nAtoms), x.slice(nAtoms)];
    view.removeAllShapes();
    for (const bond of molecule.bonds) stick(atoms, bond, molecule, 1);
    atoms.forEach((center, k) => view.addSphere({ center, radius: molecule.radius[k], color: molecule.colours[k] }));
    for (const bond of beads.bonds) stick(over, bond, beads, 0.55);
    over.forEach((center, k) => view.addSphere({ center, radius: beads.radius, color: beads.colours[k], alpha: 0.55 }));
    view.render();
  }

  // The next cell in a direction that the reference visited, over the edge to the other side.
  function move(di, dj) {
    let [i, j] = place(now);
    do [i, j] = [(i + di + bins) % bins, (j + dj + bins) % bins];
    while (!cells.includes(i * bins + j));
    go(i * bins + j);
  }

  const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  pad.addEventListener("keydown", (event) => {
    if (!STEPS[event.key]) return;
    event.preventDefault();
    move(...STEPS[event.key]);
  });
  pad.addEventListener("click", (event) => {
    const box = pad.getBoundingClientRect();
    const along = (share) => Math.min(bins - 1, Math.max(0, Math.floor(share * bins)));
    go(along((event.clientX - box.left) / box.width) * bins + along((box.bottom - event.clientY) / box.height));
  });
  mirror.addEventListener("click", () => go(image(now)));
  stage.addEventListener("wheel", (event) => { if (!event.ctrlKey) event.stopPropagation(); }, true);

  // Shapes do not count when the view is fitted to what it holds, atoms do, drawn or not.
  const k = cells.indexOf(scene.start);
  view.addModel().addAtoms(positions(k).map((p) => ({ elem: "C", bonds: [], bondOrder: [], ...p })));
  view.setStyle({}, {});
  view.zoomTo();
  view.zoom(1.25);
  go(scene.start);
  figure.dataset.drawn = "true";
}
