// What can be said of a map without frames, as cgcore.doctor says it: stereocentres, symmetries of model and molecule, typing.
// A symmetry is {permutation, parity}: x -> parity * x[permutation].
(function (self) {
  const { neighbours, steps, path, refined, isomorphisms, first, pairs } = self.CgGraphs;
  const LONE_PAIR = ["S", "Se", "P", "As"]; // whose pyramids of three neighbours do not turn inside out
  const MOST = 5000, MOST_LIFTS = 64;

  const minus = (a, b) => a.map((c, k) => c - b[k]);
  const triple = ([a, b, c]) =>
    a[0] * (b[1] * c[2] - b[2] * c[1]) + a[1] * (b[2] * c[0] - b[0] * c[2]) + a[2] * (b[0] * c[1] - b[1] * c[0]);
  // The sign of the volume of the next three points about the first.
  const hand = (x, [centre, ...others]) => Math.sign(triple(others.slice(0, 3).map((i) => minus(x[i], x[centre]))));

  // The graph without leaves that may be folded into their parent: nodes that are left, what hung on them, and their labels.
  function folded({ atoms, beadOf }, near, mayFold) {
    const parent = near.map((list, leaf) => (list.length === 1 && near[list[0]].length > 1 && mayFold(leaf, list[0]) ? list[0] : null));
    const nodes = atoms.map((_, i) => i).filter((i) => parent[i] === null), place = new Map(nodes.map((i, k) => [i, k]));
    const leaves = nodes.map((i) => near[i].filter((leaf) => parent[leaf] === i));
    return {
      nodes, place,
      near: nodes.map((i) => near[i].filter((j) => place.has(j)).map((j) => place.get(j))),
      elements: nodes.map((i) => atoms[i].element),
      leaves: leaves.map((list) => list.map((leaf) => atoms[leaf].element).sort()),
      labels: nodes.map((i, k) => `${atoms[i].element}(${leaves[k].map((leaf) => `${atoms[leaf].element}${beadOf[leaf] >= 0}`).sort()})`),
    };
  }

  function alike(chemical, centre, a, b) {
    const marked = (neighbour) => chemical.elements.map((element, k) => `${element}(${chemical.leaves[k]})${k === centre}${k === neighbour}`);
    return first(isomorphisms(chemical.near, marked(a), marked(b)), 1).length > 0;
  }

  // Atoms with four branches, or three beside a lone pair, of which no two are alike.
  function stereocentres(molecule, near) {
    const chemical = folded(molecule, near, () => true);
    const [colours] = refined(chemical.near, [chemical.elements.map((element, k) => `${element}(${chemical.leaves[k]})`)]);
    return chemical.nodes.map((atom, k) => ({ atom, k, neighbours: near[atom] })).filter(({ atom, k, neighbours: around }) => {
      const degrees = LONE_PAIR.includes(molecule.atoms[atom].element) ? [3, 4] : [4], leaves = chemical.leaves[k];
      return degrees.includes(around.length) && new Set(leaves).size === leaves.length &&
        !pairs(chemical.near[k]).some(([a, b]) => colours[a] === colours[b] && alike(chemical, k, a, b));
    });
  }

  // The bead of a centre and the nearest bead along each of its branches, as far as these are different.
  function shownBy({ beadOf }, near, { atom, neighbours: around }) {
    const without = near.map((list, i) => (i === atom ? [] : list.filter((j) => j !== atom))), own = beadOf[atom], nearest = [];
    around.forEach((neighbour, branch) => {
      const far = steps(without, neighbour);
      const beads = far.map((n, i) => [n, beadOf[i], branch]).filter(([n, bead]) => n < Infinity && bead >= 0 && bead !== own);
      if (beads.length) nearest.push(beads.reduce((best, one) => (compare(one, best) < 0 ? one : best)));
    });
    const branchOf = new Map();
    for (const [, bead, branch] of nearest.sort(compare)) if (!branchOf.has(bead)) branchOf.set(bead, branch);
    const ordered = [...branchOf].sort((a, b) => a[1] - b[1]).map(([bead]) => bead);
    return own < 0 ? ordered : [own, ...ordered];
  }

  const compare = (a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2];

  // The sign of the permutation in which a lift takes the neighbours of a centre to those of its image.
  function turned(atoms, lift, centre, image) {
    const targets = centre.neighbours.map((n) => lift.get(n) ?? null);
    const left = new Map(image.neighbours.filter((n) => !targets.includes(n)).map((n) => [atoms[n].element, n]));
    const order = centre.neighbours.map((n, k) => image.neighbours.indexOf(targets[k] ?? left.get(atoms[n].element)));
    return (-1) ** pairs(order).filter(([a, b]) => a > b).length;
  }

  // With which parities a permutation of the beads is a symmetry of the atoms.
  function parities(molecule, graph, permutation, centres, sign) {
    const bead = graph.nodes.map((i) => molecule.beadOf[i]), label = (of) => graph.labels.map((text, k) => `${text}@${of(bead[k])}`);
    const lifts = isomorphisms(graph.near, label((b) => (b < 0 ? b : permutation[b])), label((b) => b)), found = new Set();
    for (const lifted of first(lifts, MOST_LIFTS)) {
      if (!centres.length) return [1, -1];
      const lift = new Map(lifted.map((k, i) => [graph.nodes[i], graph.nodes[k]]));
      const signs = new Set(centres.map((centre, k) => {
        const l = centres.findIndex(({ atom }) => atom === lift.get(centre.atom));
        return turned(molecule.atoms, lift, centre, centres[l]) * sign[k] * sign[l];
      }));
      if (signs.size === 1) found.add([...signs][0]);
    }
    return [...found];
  }

  const key = ({ permutation, parity }) => `${permutation}|${parity}`;
  const moved = ({ permutation }) => permutation.filter((k, i) => k !== i).length;
  const lexical = (p, q) => { const k = p.findIndex((v, i) => v !== q[i]); return k < 0 ? 0 : p[k] - q[k]; };

  // G, H, and the simplest element of each coset of H in G but H itself.
  function symmetries(molecule, near, beadNear, centres, sign) {
    const every = first(isomorphisms(beadNear, molecule.species, molecule.species), MOST + 1).sort(lexical);
    if (every.length > MOST) throw new Error(`The typed bead graph has more than ${MOST} symmetries.`);
    const graph = folded(molecule, near, (leaf, parent) => molecule.beadOf[leaf] < 0 || molecule.beadOf[leaf] === molecule.beadOf[parent]);
    const model = every.flatMap((permutation) => [1, -1].map((parity) => ({ permutation, parity })));
    const own = every.flatMap((permutation) => parities(molecule, graph, permutation, centres, sign).map((parity) => ({ permutation, parity })));
    const covered = new Set(own.map(key)), cosets = [];
    for (const g of [...model].sort((a, b) => moved(a) - moved(b) || b.parity - a.parity || lexical(a.permutation, b.permutation))) {
      if (covered.has(key(g))) continue;
      cosets.push(g);
      for (const h of own) covered.add(key({ permutation: h.permutation.map((k) => g.permutation[k]), parity: h.parity * g.parity }));
    }
    return { model, own, cosets };
  }

  // What stands in the way of a symmetry: a stereocentre of five beads, one of four, or nothing.
  function obstacle({ permutation, parity }, kept, x) {
    const turnedOver = kept.filter(({ state, beads }) => state !== "lost" && hand(x, beads) * hand(x, beads.map((b) => permutation[b])) * parity < 0);
    return ["kept", "kept with inversion path"].find((state) => turnedOver.some((centre) => centre.state === state)) ?? null;
  }

  function describe({ permutation, parity }, { beads }, beadNear) {
    const mirror = parity < 0 ? "mirror image" : "", every = pairs(beads.map((_, i) => i)).map(([i, j]) => path(beadNear, i, j));
    const backbone = every.reduce((longest, one) => (one.length > longest.length ? one : longest), [0]);
    const changed = permutation.map((k, i) => [i, k]).filter(([i, k]) => i !== k);
    if (!changed.length) return mirror || "identity";
    const words = backbone.length > 1 && permutation[backbone[0]] === backbone.at(-1) ? "chain reversal"
      : `exchange ${changed.slice(0, 4).map(([i, k]) => `${beads[i]}→${beads[k]}`).join(", ")}${changed.length > 4 ? " ..." : ""}`;
    return mirror ? `${words} with ${mirror}` : words;
  }

  const orbits = (group, n) => self.CgGraphs.parts(neighbours(n, group.flatMap(({ permutation }) => permutation.map((k, i) => [i, k]))));

  // Pairs of beads that only symmetries of the model exchange, and the fewest species that add no symmetry.
  function typing(molecule, beadNear, { model, own }) {
    const n = molecule.beads.length, [orbit, typed] = [orbits(own, n), orbits(model, n)];
    const composition = molecule.beads.map((_, bead) => molecule.atoms.filter((_, i) => molecule.beadOf[i] === bead).map(({ element }) => element).sort().join());
    const allowed = new Set(own.map(({ permutation }) => permutation.join()));
    const proposed = merged(beadNear, allowed, orbit, (a, b) => composition[a] === composition[b]);
    const differ = pairs(orbit.map((_, i) => i)).filter(([a, b]) => typed[a] === typed[b] && orbit[a] !== orbit[b]);
    return { differ, proposed, coarsest: merged(beadNear, allowed, proposed, () => true) };
  }

  function merged(beadNear, allowed, classes, mayMerge) {
    let species = [...classes];
    const kept = [];
    for (const s of new Set(species)) {
      const into = kept.find((into) => {
        const trial = species.map((t) => (t === s ? into : t));
        if (!mayMerge(species.indexOf(into), species.indexOf(s))) return false;
        for (const p of isomorphisms(beadNear, trial, trial)) if (!allowed.has(p.join())) return false;
        species = trial;
        return true;
      });
      if (into === undefined) kept.push(s);
    }
    const order = [...new Set(species)];
    return species.map((s) => order.indexOf(s));
  }

  // molecule: of CgMolecules.mapped. Everything by index; names are the molecule's.
  function examine(molecule) {
    const near = neighbours(molecule.atoms.length, molecule.atomBonds), beadNear = neighbours(molecule.beads.length, molecule.bonds);
    const centres = stereocentres(molecule, near), x = molecule.atoms.map((atom) => atom.x);
    const signs = centres.map(({ atom, neighbours: around }) => hand(x, [atom, ...around]));
    const stereo = centres.map((centre) => {
      const beads = shownBy(molecule, near, centre);
      return { atom: centre.atom, beads, state: beads.length < 4 ? "lost" : beads.length === 5 ? "kept" : "kept with inversion path" };
    });
    const groups = symmetries(molecule, near, beadNear, centres, signs.map((s) => s * signs[0]));
    const broken = groups.cosets.map((element) => ({ name: describe(element, molecule, beadNear), path: obstacle(element, stereo, molecule.x), ...element }));
    return { stereo, broken, symmetries: groups.model.length, own: groups.own.length, typing: typing(molecule, beadNear, groups) };
  }

  self.CgDoctor = { examine };
})(self);
