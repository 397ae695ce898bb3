// Graphs as lists of neighbours, and the isomorphisms between two labellings of one graph.
(function (self) {
  function neighbours(n, bonds) {
    const near = Array.from({ length: n }, () => []);
    for (const [i, j] of bonds) {
      near[i].push(j);
      near[j].push(i);
    }
    return near.map((list) => [...new Set(list)].sort((a, b) => a - b));
  }

  // The number of the part that each node belongs to, parts numbered as they first appear.
  function parts(near) {
    const part = Array(near.length).fill(-1);
    let count = 0;
    near.forEach((_, first) => {
      if (part[first] >= 0) return;
      const waiting = [first];
      part[first] = count;
      while (waiting.length)
        for (const next of near[waiting.pop()])
          if (part[next] < 0) {
            part[next] = count;
            waiting.push(next);
          }
      count += 1;
    });
    return part;
  }

  // Bonds from one node to all others, Infinity where there is no way.
  function steps(near, first) {
    const found = Array(near.length).fill(Infinity), waiting = [first];
    found[first] = 0;
    for (const i of waiting)
      for (const j of near[i])
        if (found[j] === Infinity) {
          found[j] = found[i] + 1;
          waiting.push(j);
        }
    return found;
  }

  function path(near, first, last) {
    const far = steps(near, last), nodes = [first];
    while (nodes.at(-1) !== last) nodes.push(near[nodes.at(-1)].find((j) => far[j] === far[nodes.at(-1)] - 1));
    return nodes;
  }

  // Colours of both labellings, refined by those of the neighbours until no more classes come: equal ones may be mapped.
  function refined(near, labels) {
    let colours = labels.map((side) => side.map(String)), classes = 0;
    for (;;) {
      const names = new Map(), name = (text) => names.get(text) ?? names.set(text, names.size).get(text);
      colours = colours.map((side) => side.map((own, i) => name(`${own}|${near[i].map((j) => side[j]).sort().join()}`)));
      if (names.size === classes) return colours;
      classes = names.size;
    }
  }

  // Yield every map of the nodes of a connected graph onto themselves that keeps edges and takes label `from` to label `to`.
  function* isomorphisms(near, from, to) {
    const [ours, theirs] = refined(near, [from, to]), n = near.length;
    const count = (side, colour) => side.filter((c) => c === colour).length;
    if (ours.some((colour) => count(ours, colour) !== count(theirs, colour))) return;
    const rarest = ours.map((colour, i) => [count(ours, colour), i]).sort((a, b) => a[0] - b[0] || a[1] - b[1])[0]?.[1] ?? 0;
    const far = steps(near, rarest), order = near.map((_, i) => i).sort((a, b) => far[a] - far[b] || a - b);
    const image = Array(n).fill(-1), used = Array(n).fill(false);
    const fits = (i, k) => !used[k] && ours[i] === theirs[k] && near[i].every((j) => image[j] < 0 || near[k].includes(image[j]));
    function* extended(depth) {
      if (depth === n) return yield [...image];
      const i = order[depth], known = near[i].find((j) => image[j] >= 0);
      for (const k of known === undefined ? near.keys() : near[image[known]]) {
        if (!fits(i, k)) continue;
        [image[i], used[k]] = [k, true];
        yield* extended(depth + 1);
        [image[i], used[k]] = [-1, false];
      }
    }
    yield* extended(0);
  }

  function first(iterator, most) {
    const found = [];
    for (const item of iterator) {
      found.push(item);
      if (found.length === most) break;
    }
    return found;
  }

  const pairs = (items) => items.flatMap((a, k) => items.slice(k + 1).map((b) => [a, b]));

  self.CgGraphs = { neighbours, parts, steps, path, refined, isomorphisms, first, pairs };
})(self);
