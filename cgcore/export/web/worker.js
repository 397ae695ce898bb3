// The loop that steps one model, after engine.js and measure.js in the source of a worker. It takes
// {start: {wasm, model, position, seed, temperatureK}} once, then {run, until: steps}; it tells {steps, seconds, samples,
// position} as it goes, and {lost: words} once frames no longer count.
const PART_MS = 25; // after which the page is told, and listened to
const TOLERANCE_NM = 0.05; // by which a bond may leave its length at the start, as in the simulations of the book

const next = new MessageChannel(); // a timer of zero would wait for milliseconds
let engine, model, lengths, started, running = false, queued = false, steps = 0, until = 0;

function queue() {
  if (!queued) next.port2.postMessage(null);
  queued = true;
}

async function start({ wasm, model: given, position, seed, temperatureK }) {
  model = given;
  engine = await CgEngine.create(wasm, model);
  engine.start({ position, temperatureK, seed, dtPs: model.dtPs, frictionPerPs: model.frictionPerPs });
  lengths = CgMeasure.bonds(engine.position, model);
}

// Why frames do not count any more; in a liquid only the energy says so.
function lost() {
  if (Number.isNaN(engine.energy)) return "The energy is no number any more";
  if (model.box) return null;
  const now = CgMeasure.bonds(engine.position, model), k = now.findIndex((r, k) => Math.abs(r - lengths[k]) >= TOLERANCE_NM);
  return k < 0 ? null : `The bond ${model.bonds[k].map((i) => model.names[i].split("_")[0]).join("–")} has left its length by ${TOLERANCE_NM} nm`;
}

function part() {
  queued = false;
  if (!running) return;
  const began = performance.now(), samples = [];
  let words = null;
  while (!words && steps < until && performance.now() - began < PART_MS) {
    engine.step(CgMeasure.SAMPLE);
    steps += CgMeasure.SAMPLE;
    words = lost();
    if (!words) samples.push(...CgMeasure.sample(engine.position, model));
  }
  const seconds = (performance.now() - began) / 1000;
  self.postMessage({ steps, seconds, samples: Float32Array.from(samples), position: engine.position.slice() });
  running = !words && steps < until;
  if (words) self.postMessage({ lost: words });
  else queue();
}

next.port1.onmessage = part;
self.onmessage = async ({ data }) => {
  if (data.start) {
    started = start(data.start);
    started.catch((error) => self.postMessage({ lost: `The simulation did not start (${error.message})` }));
    return;
  }
  await started;
  ({ run: running, until } = data);
  queue();
};
