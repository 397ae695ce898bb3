// What is seen of the element: buttons, both pictures, numbers, and one line that is read out.
(function (self) {
  const TEMPERATURES_K = [200, 250, 300, 350, 400, 500];
  const HTML = `
<div class="models" role="group" aria-label="Model"></div>
<div class="views">
  <div class="view"><canvas class="molecule" role="img" aria-label="The beads, as they move"></canvas>
    <label class="turn">Turn <input type="range" min="-180" max="180" value="0"></label></div>
  <div class="view map"><span class="up" aria-hidden="true"></span><canvas class="surface" role="img"
    aria-label="What is measured, which fills as the simulation runs"></canvas>
    <div class="across" aria-hidden="true"></div></div>
</div>
<div class="controls"><button type="button" class="play">Run</button><button type="button" class="reset">Reset</button>
  <label>Start as <select class="hand"><option value="L">L</option><option value="D">D</option></select></label>
  <label>Temperature <select class="temperature">${TEMPERATURES_K.map((T) => `<option value="${T}">${T} K</option>`).join("")}</select></label>
  <label>Seed <input class="seed" type="number" min="0" max="999999" step="1"></label></div>
<dl class="numbers"><div><dt>Simulated</dt><dd class="ns"></dd></div><div><dt>Speed</dt><dd class="speed"></dd></div></dl>
<p class="key"><span class="scale" aria-hidden="true"></span> <span class="lines"></span></p>
<p class="definition"></p>
<p class="said" role="status"></p>`;
  class Panel {
    // titles: of the models, by name; asked: what is called when a button is pressed, {choose, play, reset, redraw}.
    constructor(figure, titles, asked) {
      this.element = Object.assign(document.createElement("div"), { className: "live", innerHTML: HTML });
      figure.prepend(this.element);
      this.find = (name) => this.element.querySelector(`.${name}`);
      this.molecule = new self.CgMolecule(this.find("molecule"));
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

    // Say which model is looked at, how it was started, and what is counted.
    show({ name, model, choice, scene }) {
      if (!this.scene) this.stage(scene);
      for (const button of this.find("models").children) button.setAttribute("aria-pressed", button.dataset.name === name);
      this.find("hand").value = choice.hand;
      this.find("hand").parentElement.hidden = !model.starts.D;
      const kelvin = this.find("temperature"), known = [...kelvin.options].some(({ value }) => Number(value) === choice.temperatureK);
      if (!known) kelvin.add(new Option(`${choice.temperatureK} K`, choice.temperatureK));
      kelvin.value = choice.temperatureK;
      this.find("seed").value = choice.seed;
      this.find("definition").innerHTML = scene.define(model);
      this.find("lines").innerHTML = scene.scale + (model.reference ? scene.lines(model, choice) : "");
    }

    // What is the scene's alone: one element shows models of one scene.
    stage(scene) {
      this.scene = scene;
      this.picture = scene.picture(this.find("surface"));
      this.find("surface").setAttribute("aria-label", scene.shown);
      this.find("up").textContent = scene.up;
      this.find("across").innerHTML = scene.across.map((words) => `<span>${words}</span>`).join("");
      this.find("scale").hidden = !scene.scale;
      for (const [name, title] of Object.entries(scene.numbers)) {
        const number = Object.assign(document.createElement("div"), { innerHTML: `<dt></dt><dd class="${name}"></dd>` });
        number.firstChild.textContent = title;
        this.find("numbers").append(number);
      }
    }

    tell(run) {
      const { ns, speed, running, wanted, lost, scene } = run;
      const words = {
        ns: `${ns.toFixed(ns < 1 ? 3 : 2)} ns`,
        speed: running && speed ? `${speed.toPrecision(speed < 1000 ? 1 : 2) * 1} steps/s` : "paused",
        play: wanted ? "Pause" : "Run",
        ...scene.words(run),
      };
      for (const [name, text] of Object.entries(words))
        if (this.find(name).textContent !== text) this.find(name).textContent = text;
      this.find("play").disabled = Boolean(lost);
    }

    draw(run) {
      const { model, position, tally, scene } = run;
      const style = getComputedStyle(this.element), colour = (name) => style.getPropertyValue(name).trim();
      for (const canvas of this.element.querySelectorAll("canvas")) {
        const size = Math.round(canvas.clientWidth * (self.devicePixelRatio || 1));
        if (size && canvas.width !== size) canvas.width = canvas.height = size;
      }
      this.molecule.show(scene.lay(model, position, tally));
      this.molecule.draw(colour);
      this.picture(colour, run);
    }

    say(words) { this.find("said").textContent = words; }
  }

  self.CgPanel = Panel;
})(self);
