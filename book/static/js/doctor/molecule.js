// A PDB file as a molecule of atoms, and the beads that a map makes of it. Wrong input throws an Error with words for the reader.
(function (self) {
  const { neighbours, parts, pairs } = self.CgGraphs;
  const CAPS = { ACE: "C", NME: "N", NH2: "N" };
  const BACKBONE = ["N", "CA", "C"];
  // Covalent radii, nm: Cordero et al., Dalton Trans. 2832 (2008). Nearer than APART times their sum, atoms are bonded.
  const RADII = { H: 0.031, B: 0.084, C: 0.076, N: 0.071, O: 0.066, F: 0.057, Si: 0.111, P: 0.107, S: 0.105, Cl: 0.102, Se: 0.12, Br: 0.12, I: 0.139 };
  const OTHER = 0.15, APART = 1.15;

  function read(text) {
    const lines = text.split(/\r?\n/), end = lines.findIndex((line) => line.startsWith("END"));
    const atoms = lines.slice(0, end < 0 ? undefined : end).filter((line) => /^(ATOM  |HETATM)/.test(line)).map((line) => ({
      serial: line.slice(6, 11).trim(), name: line.slice(12, 16).trim(), alternate: line[16].trim(),
      residue: line.slice(17, 21).trim(), place: line.slice(21, 27), number: line.slice(22, 27).trim(),
      element: symbol(line), x: [30, 38, 46].map((k) => parseFloat(line.slice(k, k + 8)) / 10),
    }));
    if (!atoms.length) throw new Error("Want a PDB file with lines ATOM or HETATM; this text has none.");
    if (atoms.some((atom) => atom.x.some(Number.isNaN))) throw new Error("Want coordinates in columns 31 to 54 of every atom.");
    const twice = atoms.find((atom) => atom.alternate && atom.alternate !== "A");
    if (twice) throw new Error(`${label(twice)} has alternate locations; want each atom once.`);
    if (!atoms.some((atom) => atom.element === "H")) throw new Error("Want hydrogens, without which no stereocentre can be told; a crystal structure has none. Add them first.");
    return { atoms, bonds: bonds(atoms, lines) };
  }

  const label = (atom) => `${atom.residue}${atom.number}:${atom.name}`;

  function symbol(line) {
    const written = line.slice(76, 78).trim() || line.slice(12, 16).replace(/[^A-Za-z]/g, "").slice(0, 1);
    return written[0].toUpperCase() + written.slice(1).toLowerCase();
  }

  function bonds(atoms, lines) {
    const radius = atoms.map((atom) => RADII[atom.element] ?? OTHER), found = new Set();
    atoms.forEach((a, i) => {
      for (let j = i + 1; j < atoms.length; j++) {
        const most = APART * (radius[i] + radius[j]), x = a.x, y = atoms[j].x;
        if (Math.abs(x[0] - y[0]) < most && Math.hypot(x[0] - y[0], x[1] - y[1], x[2] - y[2]) < most) found.add(`${i},${j}`);
      }
    });
    const place = new Map(atoms.map((atom, i) => [atom.serial, i]));
    for (const line of lines.filter((line) => line.startsWith("CONECT"))) {
      const [from, ...to] = line.slice(6).match(/.{1,5}/g).map((text) => place.get(text.trim()));
      for (const other of to)
        if (from !== undefined && other !== undefined) found.add(`${Math.min(from, other)},${Math.max(from, other)}`);
    }
    return [...found].map((text) => text.split(",").map(Number)).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  }

  // The atoms, one a bead, of each residue that the rule of a map takes.
  function chosen(atoms, map) {
    const residues = new Map(), groups = [];
    atoms.forEach(({ place, residue }, i) => residues.set(place + residue, [...(residues.get(place + residue) ?? []), i]));
    [...residues.values()].forEach((members, number) => {
      const { residue } = atoms[members[0]], index = new Map(members.map((i) => [atoms[i].name, i]));
      const cap = CAPS[residue], missing = BACKBONE.find((name) => !index.has(name));
      if (!cap && missing) throw new Error(`Want a peptide without water and ions; residue ${residue}${atoms[members[0]].number} has no ${missing}.`);
      const names = cap ? [cap].filter((name) => map.atoms.includes(name)) : map.atoms;
      for (const name of names.filter((name) => index.has(name)))
        groups.push({ number, stem: cap ? `${name}_${residue.toLowerCase()}` : name, residue, atom: index.get(name) });
    });
    const absent = map.atoms.find((name) => !groups.some(({ stem }) => stem === name));
    if (absent) throw new Error(`No residue has an atom ${absent}; want a map without it.`);
    return groups;
  }

  function named(groups) {
    const times = new Map(), ordinal = new Map();
    for (const { stem } of groups) times.set(stem, (times.get(stem) ?? 0) + 1);
    for (const { stem, number } of groups)
      if (times.get(stem) > 1 && !ordinal.has(number)) ordinal.set(number, ordinal.size + 1);
    return groups.map(({ stem, number }) => (times.get(stem) > 1 ? `${stem}_${ordinal.get(number)}` : stem));
  }

  function species(groups, beads, atoms, typing) {
    const words = groups.map(({ stem, residue, atom }, k) => {
      if (typing.labels) return typing.labels[beads[k]] ?? typing.labels[stem];
      return { composition: atoms[atom].element, bead: beads[k], residue: `${residue}_${stem}`, nothing: "bead" }[typing.by];
    });
    const labelled = Object.keys(typing.labels ?? {}).filter((name) => !beads.includes(name) && !groups.some(({ stem }) => stem === name));
    if (labelled.length || words.includes(undefined)) throw new Error("This typing names the beads of another chain.");
    const kinds = [...new Set(words)];
    return words.map((word) => kinds.indexOf(word));
  }

  function beadBonds({ bonds }, beadOf, throughLeftOut) {
    const ends = bonds.map(([i, j]) => [beadOf[i], beadOf[j]]);
    if (throughLeftOut) {
      const part = parts(neighbours(beadOf.length, bonds.filter(([i, j]) => beadOf[i] < 0 && beadOf[j] < 0)));
      const touched = new Map();
      for (const [i, j] of [...bonds, ...bonds.map(([i, j]) => [j, i])])
        if (beadOf[i] < 0 && beadOf[j] >= 0) touched.set(part[i], (touched.get(part[i]) ?? new Set()).add(beadOf[j]));
      for (const beads of touched.values()) ends.push(...pairs([...beads]));
    }
    const kept = ends.filter(([a, b]) => a >= 0 && b >= 0 && a !== b).map(([a, b]) => [Math.min(a, b), Math.max(a, b)]);
    return [...new Map(kept.map((pair) => [pair.join(), pair])).values()].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  }

  // {beads, species, bonds, x of the beads; atoms, atomBonds, beadOf: -1 for atoms that are left out}
  function mapped(file, map, typingName) {
    const { atoms } = file, groups = chosen(atoms, map), beads = named(groups), beadOf = atoms.map(() => -1);
    groups.forEach(({ atom }, bead) => { beadOf[atom] = bead; });
    const own = beadBonds(file, beadOf, map.bonds_through_left_out);
    if (new Set(parts(neighbours(atoms.length, file.bonds))).size > 1) throw new Error("Want one molecule; the atoms of this file fall into several. Keep one chain, without water and ions.");
    if (new Set(parts(neighbours(beads.length, own))).size > 1) throw new Error("The beads of this map are not connected by bonds.");
    return {
      beads, bonds: own, beadOf, species: species(groups, beads, atoms, map.typings[typingName]),
      x: groups.map(({ atom }) => atoms[atom].x), atoms: atoms.map((atom) => ({ ...atom, label: label(atom) })), atomBonds: file.bonds,
    };
  }

  self.CgMolecules = { read, mapped };
})(self);
