// A packed MACE that moves in a page: engine.wasm with a model file of `cgcore export --to web`. A classic script, which
// defines CgEngine on `self`, in windows and in workers alike. Units are nm, ps, g/mol, kJ/mol and K.
//
//     const engine = await CgEngine.create(wasmBytes, model);
//     engine.start({position: model.starts.L[0], seed: 1});
//     engine.step(100);
"use strict";

self.CgEngine = (() => {
  const REFUSED = [
    null,
    "its weights are no model of cgcore, or of another version; write it again with `cgcore export`",
    "its weights are damaged; copied in part, or edited?",
    "it has more beads than engine.wasm takes",
  ];
  const NEEDED = ["names", "mass", "starts", "check", "dtPs", "frictionPerPs", "temperatureK", "weights"];
  const TOLERANCE = 1e-4; // of energies and forces, root mean square; single precision leaves some 1e-5
  const SIMD = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11]);

  const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

  class CgEngine {
    #wasm;
    #mass;
    #model;
    #steps = 0;
    #dtPs = 0;
    #temperatureK;

    /** Whether this browser has WebAssembly with the vectors that engine.wasm is made of. */
    static supported() {
      return typeof WebAssembly === "object" && WebAssembly.validate(SIMD);
    }

    /** The engine of a model, each with a memory of its own, at its first start. Throws an Error that says what is wrong.
     *  wasm: the bytes of engine.wasm, or them as base64. */
    static async create(wasm, model) {
      const title = `model ${model?.title ?? "without a title"}`;
      const missing = NEEDED.filter((name) => model?.[name] === undefined);
      if (missing.length) throw new Error(`${title}: want a model file of \`cgcore export --to web\`, lacks ${missing.join(", ")}`);
      let words;
      try {
        words = bytesOf(model.weights);
      } catch {
        throw new Error(`${title}: ${REFUSED[2]}`);
      }
      const {instance} = await WebAssembly.instantiate(typeof wasm === "string" ? bytesOf(wasm) : wasm);
      const {memory, reserve, load, beads} = instance.exports;
      const at = reserve(words.length);
      new Uint8Array(memory.buffer, at, words.length).set(words);
      const refused = REFUSED[load(at, words.length)];
      if (refused) throw new Error(`${title}: ${refused}`);
      if (beads() !== model.names.length) throw new Error(`${title}: names ${model.names.length} beads, its weights are of ${beads()}`);
      const engine = new CgEngine(instance.exports, model);
      engine.#verify(title);
      return engine;
    }

    constructor(exports, model) {
      const view = (address) => new Float32Array(exports.memory.buffer, address, 3 * model.names.length);
      this.#wasm = exports;
      this.#model = model;
      this.#mass = model.mass;
      this.#temperatureK = model.temperatureK;
      this.n = model.names.length;
      this.energy = NaN;
      this.position = view(exports.positions());
      this.velocity = view(exports.velocities());
      this.force = view(exports.forces());
    }

    get timePs() {
      return this.#steps * this.#dtPs;
    }

    /** Twice the kinetic energy is 3 N kT on average. */
    get kinetic() {
      return this.velocity.reduce((sum, v, k) => sum + (this.#mass[Math.floor(k / 3)] * v * v) / 2, 0);
    }

    /** Of the thermostat; what is set holds from the next step on. */
    get temperatureK() {
      return this.#temperatureK;
    }
    set temperatureK(kelvin) {
      this.#temperatureK = kelvin;
      this.#wasm.set_temperature(kelvin);
    }

    /** Begin at positions (3 N numbers) with velocities drawn from the seed; without friction at constant energy. */
    start({position, seed = 0, temperatureK, dtPs, frictionPerPs} = {}) {
      const {temperatureK: kelvin, dtPs: dt, frictionPerPs: friction} = this.#model;
      this.#place(position);
      this.#temperatureK = temperatureK ?? kelvin;
      this.#dtPs = dtPs ?? dt;
      this.#steps = 0;
      this.energy = this.#wasm.start(seed, this.#temperatureK, this.#dtPs, frictionPerPs ?? friction);
    }

    /** Energy and forces of the positions as they are. */
    evaluate() {
      this.energy = this.#wasm.evaluate();
      return this.energy;
    }

    /** Go on by n steps; the energy, which is NaN once the simulation has failed. */
    step(n = 1) {
      this.energy = this.#wasm.steps(n);
      this.#steps += n;
      return this.energy;
    }

    #place(position) {
      if (position?.length !== 3 * this.n) throw new Error(`start: want positions of ${this.n} beads, ${3 * this.n} numbers, got ${position?.length}`);
      this.position.set(position);
    }

    /** Hold energy and forces against those that the model was exported with. */
    #verify(title) {
      const {position, energy, force} = this.#model.check;
      this.#place(position);
      this.evaluate();
      const size = (x) => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));
      const error = Math.max(Math.abs(this.energy / energy - 1), size(force.map((f, k) => f - this.force[k])) / size(force));
      if (!(error < TOLERANCE)) throw new Error(`${title}: energy or forces differ by ${error.toExponential(1)} from those exported; is engine.wasm of another version?`);
    }
  }
  return CgEngine;
})();
