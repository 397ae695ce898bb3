// What is counted of the samples of one run: the surface over phi and psi, the time at phi > 0, the hand and its changes.
(function (self) {
  const BINS = 48, DEGREES = 180 / Math.PI;
  const CORES = [[-150, -30], [30, 150]]; // degrees of phi, the sides of L and of D; between them the last one counts
  const SHARE = 1 / 3; // of the volume at the start, which a stereocentre has to reach on the other side

  const bin = (angle) => (Math.floor((angle / Math.PI + 1) * (BINS / 2)) + BINS) % BINS;

  class Tally {
    // Of the sample at the start, whose volume is 0 where the beads have no stereocentre.
    constructor([phi, , volume]) {
      this.volume = Math.abs(volume);
      this.hand = this.side(phi * DEGREES, volume);
      this.counts = new Uint32Array(BINS * BINS); // phi first
      this.total = this.most = this.positive = this.events = 0;
      this.last = null; // phi and psi, rad
    }

    add(samples) {
      for (let k = 0; k < samples.length; k += 3) {
        const [phi, psi, volume] = samples.subarray(k, k + 3);
        this.most = Math.max(this.most, ++this.counts[bin(phi) * BINS + bin(psi)]);
        this.total += 1;
        this.positive += phi > 0;
        const side = this.side(phi * DEGREES, volume);
        this.events += side !== this.hand;
        this.hand = side;
        this.last = [phi, psi];
      }
    }

    side(phi, volume) {
      if (this.volume) return Math.abs(volume) < SHARE * this.volume ? this.hand : volume > 0 ? "L" : "D";
      const [ofL, ofD] = CORES.map(([low, high]) => low < phi && phi < high);
      return ofL ? "L" : ofD ? "D" : this.hand ?? (phi < 0 ? "L" : "D");
    }

    // kJ/mol above the bin that was visited most, NaN where none was.
    freeEnergy(temperatureK) {
      const kT = 0.00831446261815324 * temperatureK;
      return Float64Array.from(this.counts, (n) => (n ? -kT * Math.log(n / this.most) : NaN));
    }
  }

  self.CgTally = { Tally, BINS, CORES };
})(self);
