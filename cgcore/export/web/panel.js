// What is seen of the element: buttons, both pictures, numbers, and one line that is read out.
(function (self) {
  const TEMPERATURES_K = [200, 250, 300, 350, 400, 500];
  const HTML = `
<div class="models" role="group" aria-label="Model"></div>
<div class="views">
  <div class="view"><canvas class="molecule" role="img" aria-label="The beads, as they move"></canvas>
    <label class="turn">Turn <input type="range" min="-180" max="180" value="0"></label></div>
  <div class="view map"><span class="psi" aria-hidden="true">ψ</span><canvas class="surface" role="img"
    aria-label="Free energy over φ and ψ, which fills as the simulation runs; lines are the reference"></canvas>
    <div class="phi" aria-hidden="true"><span>−180°</span><span>φ</span><span>180°</span></div></div>
</div>
<div class="controls"><button type="button" class="play">Run</button><button type="button" class="reset">Reset</button>
  <label>Start as <select class="hand"><option value="L">L</option><option value="D">D</option></select></label>
  <label>Temperature <select class="temperature">${TEMPERATURES_K.map((T) => `<option value="${T}">${T} K</option>`).join("")}</select></label>
  <label>Seed <input class="seed" type="number" min="0" max="999999" step="1"></label></div>
<dl class="numbers"><div><dt>Simulated</dt><dd class="ns"></dd></div><div><dt>Speed</dt><dd class="speed"></dd></div>
  <div><dt>Crossings</dt><dd class="crossings"></dd></div><div><dt>Hand now</dt><dd class="side"></dd></div>
  <div><dt>Frames at φ &gt; 0</dt><dd class="positive"></dd></div></dl>
<p class="key"><span class="scale" aria-hidden="true"></span> 0 to 20 kJ/mol<span class="lines"></span></p>
<p class="definition"></p>
<p class="said" role="status"></p>`;
  const OF_CENTRE = `A <em>crossing</em> is CB passing through the plane of N, CA and C, until the volume that the three
    bonds of CA span has a third of its size at the start on the other side. φ &gt; 0 alone is none: the left-handed helix is
    part of L-alanine.`;
  const [OF_L, OF_D] = self.CgTally.CORES.map((core) => core.map((c) => `${String(c).replace("-", "−")}°`).join(" to "));
  const OF_PHI = `No bead says which hand it is; φ has to. A <em>crossing</em> is φ going from one of ${OF_L} (L) and ${OF_D}
    (D) to the other; between them it is on the side it was last.`;

  class Panel {
    // titles: of the models, by name; asked: what is called when a button is pressed, {choose, play, reset, redraw}.
    constructor(figure, titles, asked) {
      this.element = Object.assign(document.createElement("div"), { className: "live", innerHTML: HTML });
      figure.prepend(this.element);
      this.find = (name) => this.element.querySelector(`.${name}`);
      this.molecule = new self.CgMolecule(this.find("molecule"));
      this.surface = new self.CgSurface(this.find("surface"));
      for (const [name, title] of Object.entries(titles)) {
        const button = Object.assign(document.createElement("button"), { type: "button", textContent: title });
        button.dataset.name = name;
        button.addEventListener("click", () => asked.choose(name));
        this.find("models").append(button);
      }
      this.find("play").addEventListener("click", asked.play);
      for (const name of ["reset", "hand", "temperature", "seed"])
        this.find(name).addEventListener(name === "reset" ? "click" : "change", asked.reset);
      this.turned(asked.redraw);
    }

    turned(redraw) {
      const slider = this.find("turn").querySelector("input"), canvas = this.find("molecule");
      slider.addEventListener("input", () => { this.molecule.yaw = (slider.value * Math.PI) / 180; redraw(); });
      canvas.addEventListener("pointermove", (event) => {
        if (!event.buttons) return;
        const around = Number(slider.value) + event.movementX;
        slider.value = around > 180 ? around - 360 : around < -180 ? around + 360 : around;
        this.molecule.yaw = (slider.value * Math.PI) / 180;
        this.molecule.pitch = Math.min(Math.max(this.molecule.pitch + event.movementY / 60, -1.5), 1.5);
        redraw();
      });
      canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    }

    get choice() {
      const [hand, T, seed] = ["hand", "temperature", "seed"].map((name) => this.find(name).value);
      return { hand, temperatureK: Number(T), seed: Math.abs(Math.trunc(Number(seed))) || 0 };
    }

    // Say which model is looked at, how it was started, and what a crossing is.
    show({ name, model, choice }) {
      for (const button of this.find("models").children) button.setAttribute("aria-pressed", button.dataset.name === name);
      this.find("hand").value = choice.hand;
      this.find("hand").parentElement.hidden = !model.starts.D;
      const kelvin = this.find("temperature"), known = [...kelvin.options].some(({ value }) => Number(value) === choice.temperatureK);
      if (!known) kelvin.add(new Option(`${choice.temperatureK} K`, choice.temperatureK));
      kelvin.value = choice.temperatureK;
      this.find("seed").value = choice.seed;
      this.find("definition").innerHTML = self.CgMeasure.centre(model) ? OF_CENTRE : OF_PHI;
      const { reference } = model;
      this.find("lines").textContent = reference
        ? `; lines: the reference${choice.hand === "D" ? ", mirrored" : ""}, at ${Object.keys(reference.contours).join(", ")} kJ/mol`
        : "";
    }

    tell({ ns, speed, tally, running, wanted, lost, choice, model }) {
      const { reference } = model, positive = (100 * tally.positive) / tally.total;
      const words = {
        ns: `${ns.toFixed(ns < 1 ? 3 : 2)} ns`,
        speed: running && speed ? `${Math.round(speed / 100) * 100} steps/s` : "paused",
        crossings: String(tally.crossings),
        side: tally.hand,
        positive: tally.total ? `${positive.toFixed(positive < 1 ? 2 : 0)} %` : "–",
        play: wanted ? "Pause" : "Run",
      };
      if (reference && tally.total) words.positive += ` (reference ${(100 * (choice.hand === "D" ? 1 - reference.phiPositive : reference.phiPositive)).toPrecision(2)} %)`;
      for (const [name, text] of Object.entries(words))
        if (this.find(name).textContent !== text) this.find(name).textContent = text;
      this.find("play").disabled = Boolean(lost);
    }

    draw({ model, position, tally, choice }) {
      const style = getComputedStyle(this.element), colour = (name) => style.getPropertyValue(name).trim();
      for (const canvas of this.element.querySelectorAll("canvas")) {
        const size = Math.round(canvas.clientWidth * (self.devicePixelRatio || 1));
        if (size && canvas.width !== size) canvas.width = canvas.height = size;
      }
      this.molecule.show(model, position);
      this.molecule.draw(colour);
      const F = tally.freeEnergy(choice.temperatureK);
      this.surface.draw(colour, F, model.reference, choice.hand === "D", tally.last);
    }

    say(words) { this.find("said").textContent = words; }
  }

  self.CgPanel = Panel;
})(self);
