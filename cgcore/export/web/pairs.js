// What is counted of a liquid whose molecules are two beads: which beads are paired, and how far apart those of the start are.
(function (self) {
  const { square, SAMPLE } = self.CgMeasure;
  const FROM = 0.2, TO = 0.8, BINS = 60; // nm of the histogram; what is further counts in its last bin
  const HOLD_PS = 1; // for which a new pair has to last

  const partners = (bonds) => {
    const other = new Int32Array(2 * bonds.length);
    for (const [i, j] of bonds) [other[i], other[j]] = [j, i];
    return other;
  };

  class Pairs {
    // Of the positions at the start. model: {bonds, species, box, longestNm, dtPs}.
    constructor(_, model) {
      this.model = model;
      [this.first, this.settled, this.current] = [0, 1, 2].map(() => partners(model.bonds));
      this.since = new Int32Array(this.first.length);
      this.parted = new Uint8Array(this.first.length);
      this.counts = new Uint32Array(BINS);
      this.total = this.most = this.events = 0;
    }

    // Molecules whose beads were not paired at the start.
    get switched() { return this.settled.reduce((n, other, i) => n + (other !== this.first[i]), 0) / 2; }

    add(samples) {
      const size = 3 * this.first.length;
      for (let k = 0; k < samples.length; k += size) this.one(samples.subarray(k, k + size));
    }

    one(x) {
      const { box, bonds, longestNm, dtPs } = this.model, n = this.first.length, before = this.current.slice();
      for (const [i, j] of bonds) {
        const bin = Math.floor(((Math.sqrt(square(x, i, j, box)) - FROM) / (TO - FROM)) * BINS);
        this.most = Math.max(this.most, ++this.counts[Math.min(Math.max(bin, 0), BINS - 1)]);
      }
      this.total += bonds.length;
      while (this.swapped(x));
      for (let i = 0; i < n; i++) {
        const same = this.current[i] === before[i], apart = square(x, i, this.settled[i], box) > longestNm ** 2;
        this.since[i] = same ? this.since[i] + 1 : 1;
        this.parted[i] = (this.parted[i] && this.since[i] > 1) || apart;
      }
      this.settle(Math.max(2, Math.round(HOLD_PS / (SAMPLE * dtPs))));
    }

    // Whether two pairs have changed partners because that shortens the sum of their squares.
    swapped(x) {
      const { species, box } = this.model, { current } = this, far = (i, j) => square(x, i, j, box);
      const pairs = [...current.keys()].filter((i) => i < current[i]);
      for (let p = 0; p < pairs.length; p++)
        for (let q = p + 1; q < pairs.length; q++) {
          const [a, b, c, d] = [pairs[p], current[pairs[p]], pairs[q], current[pairs[q]]], own = far(a, b) + far(c, d);
          const crossed = species[b] === species[d] && far(a, d) + far(c, b) < own;
          if (!crossed && !(species[b] === species[c] && far(a, c) + far(b, d) < own)) continue;
          for (const [i, j] of crossed ? [[a, d], [c, b]] : [[a, c], [b, d]]) [current[i], current[j]] = [j, i];
          return true;
        }
      return false;
    }

    // Beads that old and new pairs join count as one rearrangement, once all have kept their new partners and left the old.
    settle(hold) {
      const { settled, current, since, parted } = this, seen = new Set();
      for (let i = 0; i < settled.length; i++) {
        if (seen.has(i)) continue;
        const ring = [];
        let j = i;
        do {
          ring.push(j, settled[j]);
          j = current[settled[j]];
        } while (j !== i);
        ring.forEach((j) => seen.add(j));
        if (ring.length < 3 || !ring.every((j) => since[j] >= hold && parted[j])) continue;
        for (const j of ring) [settled[j], parted[j]] = [current[j], 0];
        this.events += 1;
      }
    }

    // kJ/mol above the bin that was visited most, NaN where none was.
    freeEnergy(temperatureK) {
      const kT = 0.00831446261815324 * temperatureK;
      return Float64Array.from(this.counts, (n) => (n ? -kT * Math.log(n / this.most) : NaN));
    }
  }

  self.CgPairs = { Pairs, FROM, TO, BINS };
})(self);
