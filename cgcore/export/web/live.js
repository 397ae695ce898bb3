// The element: <figure class="cg-live" data-folder="…/" data-models='{"core": "Core"}'> around a still picture, which is seen
// on paper and where the engine or workers are not supported. What a model needs is loaded when the element comes into view.
(function (self) {
  const DRAW_MS = 40, CALM_MS = 1000, TELL_MS = 250, ANNOUNCE_MS = 15000;
  const STOP_NS = 10; // where a run pauses by itself, so that no forgotten page keeps a processor busy
  const calm = self.matchMedia("(prefers-reduced-motion: reduce)");
  const scripts = new Map();

  function load(address) {
    if (!scripts.has(address))
      scripts.set(address, new Promise((done, failed) => {
        const script = Object.assign(document.createElement("script"), { src: address, onload: done });
        script.onerror = () => {
          scripts.delete(address);
          failed(new Error(`${address} did not load`));
        };
        document.head.append(script);
      }));
    return scripts.get(address);
  }

  const summary = ({ ns, tally: { events }, scene }) =>
    `${ns.toFixed(ns < 0.1 ? 3 : 2)} ns, ${events} ${scene.event[events === 1 ? 0 : 1]}.`;

  class Live {
    constructor(figure) {
      this.figure = figure;
      this.titles = JSON.parse(figure.dataset.models);
      this.stopNs = Number(figure.dataset.stopNs ?? STOP_NS);
      this.runs = new Map();
      this.drawn = this.told = this.announced = -Infinity;
      const asked = { choose: (name) => this.choose(name), play: () => this.play(), reset: () => this.reset(), redraw: () => this.draw() };
      this.panel = new self.CgPanel(figure, this.titles, asked);
      this.watch();
    }

    watch() {
      const near = new IntersectionObserver(([entry]) => {
        this.near = entry.isIntersecting;
        if (this.near && !this.name) this.choose(Object.keys(this.titles)[0]);
        else this.follow();
      }, { rootMargin: "100px" });
      near.observe(this.figure);
      document.addEventListener("visibilitychange", () => this.follow());
      new MutationObserver(() => this.draw()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
      new ResizeObserver(() => this.draw()).observe(this.figure);
    }

    get run() { return this.runs.get(this.name); }

    // Look at another model; it runs if the one before did.
    async choose(name) {
      const { folder } = this.figure.dataset, playing = this.run?.wanted;
      this.name = name;
      try {
        await Promise.all([load(`${folder}engine.wasm.js`), load(`${folder}${name}.js`)]);
      } catch (error) {
        return this.panel.say(`${error.message}; press the button of the model to try again.`);
      }
      if (name !== this.name) return; // another one was chosen meanwhile
      for (const [other, run] of this.runs) if (other !== name) run.stop();
      if (!this.run) this.begin(self.CgModels[name].choice ?? {});
      this.run.wanted ||= Boolean(playing);
      this.panel.show(this.run);
      this.figure.dataset.ready = name;
      this.follow();
    }

    begin(choice) {
      this.run?.end();
      const model = self.CgModels[this.name], told = (run) => run === this.run && this.heard(run);
      const usual = { hand: "L", temperatureK: model.temperatureK, seed: 1 };
      this.runs.set(this.name, new self.CgRun(this.name, model, { ...usual, ...choice }, this.stopNs, told));
    }

    reset() {
      if (!this.run) return;
      this.begin(this.panel.choice);
      this.panel.show(this.run);
      this.panel.say("Back at the start.");
      this.draw();
    }

    play() {
      const { run } = this;
      if (!run) return;
      if (run.wanted) run.stop();
      else run.want();
      this.panel.say(run.wanted ? "Running." : `Paused at ${summary(run)}`);
      this.follow();
    }

    // Run what is wanted while it can be seen.
    follow() {
      this.run?.follow(this.near && !document.hidden);
      this.draw();
    }

    heard(run) {
      const now = performance.now(), { events } = run.tally;
      if (!run.wanted) {
        this.panel.say(run.lost ? `${run.lost}; no frame counts from here on. Reset to begin again.` : `Paused at ${summary(run)}`);
        return this.draw();
      }
      if (events !== run.said && now - this.announced > ANNOUNCE_MS) {
        [run.said, this.announced] = [events, now];
        this.panel.say(summary(run));
      }
      if (now - this.drawn > (calm.matches ? CALM_MS : DRAW_MS)) this.draw(now - this.told > TELL_MS);
    }

    draw(numbers = true) {
      const { run } = this, now = performance.now();
      if (!run) return;
      this.drawn = now;
      self.requestAnimationFrame(() => this.panel.draw(run));
      if (!numbers) return;
      this.told = now;
      this.panel.tell(run);
    }
  }

  if (self.Worker && self.CgEngine.supported())
    for (const figure of document.querySelectorAll("figure.cg-live")) figure.live = new Live(figure);
})(self);
