// One simulation in a worker of its own, which goes on where it was when it is looked at again.
(function (self) {
  const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer;

  class Run {
    // choice: {hand, temperatureK, seed}; stopNs: after how long it pauses by itself, again and again; told: called with the
    // run whenever something has changed.
    constructor(name, model, choice, stopNs, told) {
      Object.assign(this, { name, model, choice, stopNs, told, untilNs: stopNs });
      const starts = model.starts[choice.hand] ?? Object.values(model.starts)[0];
      this.position = Float32Array.from(starts[choice.seed % starts.length]);
      this.scene = model.box ? self.CgLiquid : self.CgPeptide;
      this.tally = this.scene.tally(self.CgMeasure.sample(this.position, model), model);
      this.steps = this.speed = this.said = 0;
      this.wanted = this.running = false;
      this.lost = null;
    }

    get ns() { return (this.steps * this.model.dtPs) / 1000; }

    get until() { return Math.round((1000 * this.untilNs) / this.model.dtPs); }

    want() {
      this.wanted = !this.lost;
      if (this.steps >= this.until) this.untilNs += this.stopNs;
    }

    stop() {
      this.wanted = false;
      this.follow(false);
    }

    follow(seen) {
      const wanted = this.wanted && seen;
      if (wanted === this.running) return;
      this.running = wanted;
      if (wanted) this.worker ??= this.started();
      this.worker.postMessage({ run: wanted, until: this.until });
    }

    started() {
      const source = URL.createObjectURL(new Blob([self.CgWorker], { type: "text/javascript" }));
      const worker = new Worker(source), { model, position, choice: { seed, temperatureK } } = this;
      worker.onmessage = ({ data }) => this.heard(data);
      worker.onerror = (event) => this.heard({ lost: `the simulation failed: ${event.message}` });
      worker.postMessage({ start: { wasm: bytes(self.CgWasm), model, position, seed, temperatureK } });
      return worker;
    }

    heard({ lost, steps, seconds, samples, position }) {
      if (lost) {
        this.lost = lost;
      } else {
        const speed = (steps - this.steps) / seconds;
        this.speed = this.speed ? 0.9 * this.speed + 0.1 * speed : speed;
        Object.assign(this, { steps, position });
        this.tally.add(samples);
      }
      if (this.lost || this.steps >= this.until) this.wanted = this.running = false;
      this.told(this);
    }

    end() { this.worker?.terminate(); }
  }

  self.CgRun = Run;
})(self);
