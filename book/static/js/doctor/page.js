// The form of the doctor: <div class="cg-doctor">, with maps and examples from CgDoctorData. What is read stays in the browser.
(function (self) {
  const { maps, examples } = self.CgDoctorData;
  const MOST_ATOMS = 600; // beyond, one waits too long for an answer
  const options = (entries) => entries.map(([value, text]) => `<option value="${value}">${text}</option>`).join("");
  const HTML = `<div class="asked">
<label>Molecule <select class="example">${options(Object.keys(examples).map((name) => [name, name]))}<option value="">a file</option></select></label>
<label>PDB file, with hydrogens <input type="file" accept=".pdb,.ent"></label>
<label>Map <select class="map">${options(Object.entries(maps).map(([name, map]) => [name, map.title]))}</select></label>
<label>Typing <select class="typing"></select></label></div>
<div class="verdict" role="status"></div>`;
  const PATHS = {
    null: ["✗", "in every model of positions and species, with nothing in the way"],
    kept: ["✓", "no harm, all five points of a stereocentre stand in the way"],
    "kept with inversion path": ["!", "in the model, behind the plane of a stereocentre"],
  };
  const STATES = { lost: "✗", "kept with inversion path": "!", kept: "✓" };

  const element = (name, text, more = {}) => Object.assign(document.createElement(name), { textContent: text }, more);

  function lines(molecule, { stereo, broken, symmetries, typing }) {
    const name = (centre) => molecule.atoms[centre.atom].label, told = [];
    for (const [state, mark] of Object.entries(STATES)) {
      const of = stereo.filter((centre) => centre.state === state);
      if (of.length) told.push(`${mark} ${of.length} of ${stereo.length} stereocentres ${state} (${of.map(name).join(", ")})`);
    }
    if (!stereo.length) told.push("✓ the molecule has no stereocentre, by the graph of its atoms");
    for (const { name, path } of broken) told.push(`${PATHS[path][0]} ${name}: ${PATHS[path][1]}`);
    if (!broken.length) told.push(`✓ all ${symmetries} symmetries of the model are symmetries of the molecule`);
    const species = new Set(molecule.species).size, enough = new Set(typing.proposed).size;
    const alike = typing.differ.map(([a, b]) => `${molecule.beads[a]} and ${molecule.beads[b]}`);
    told.push(alike.length
      ? `· ${species} species make beads alike that the molecule tells apart: ${alike.slice(0, 6).join(", ")}${alike.length > 6 ? " …" : ""}; ${enough} species would do`
      : `✓ ${species} species add no symmetry of permutations; ${enough} would do`);
    return told;
  }

  class Form {
    constructor(box) {
      box.innerHTML = HTML;
      this.find = (name) => box.querySelector(name);
      this.find(".map").addEventListener("change", () => this.typings());
      this.find(".typing").addEventListener("change", () => this.examine());
      this.find(".example").addEventListener("change", () => this.take(examples[this.find(".example").value]));
      this.find("input").addEventListener("change", () => this.open(this.find("input").files[0]));
      box.addEventListener("dragover", (event) => event.preventDefault());
      box.addEventListener("drop", (event) => {
        event.preventDefault();
        this.open(event.dataTransfer.files[0]);
      });
      this.text = Object.values(examples)[0];
      this.typings();
    }

    async open(file) {
      if (!file) return;
      this.find(".example").value = "";
      this.take(await file.text());
    }

    take(text) {
      this.text = text;
      this.examine();
    }

    typings() {
      const { typings } = maps[this.find(".map").value];
      this.find(".typing").innerHTML = options(Object.entries(typings).map(([name, { description }]) => [name, description.replace(/[:(].*/, "").trim()]));
      this.examine();
    }

    examine() {
      if (this.text === undefined) return;
      const verdict = this.find(".verdict");
      try {
        const file = self.CgMolecules.read(this.text);
        if (file.atoms.length > MOST_ATOMS) throw new Error(`${file.atoms.length} atoms are too many for a page; \`uv run cgcore doctor\` takes them.`);
        const molecule = self.CgMolecules.mapped(file, maps[this.find(".map").value], this.find(".typing").value);
        const told = lines(molecule, self.CgDoctor.examine(molecule)), list = element("ul", "");
        list.append(...told.map((line) => element("li", line)));
        verdict.replaceChildren(element("p", `${molecule.atoms.length} atoms, ${molecule.beads.length} beads:`), list);
      } catch (error) {
        verdict.replaceChildren(element("p", error.message, { className: "refused" }));
      }
    }
  }

  for (const box of document.querySelectorAll(".cg-doctor")) box.doctor = new Form(box);
})(self);
