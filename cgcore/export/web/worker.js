// The loop that steps one model, after engine.js and measure.js in the source of a worker. It takes
// {start: {wasm, model, position, seed, temperatureK}} once, then {run, until: steps}; it tells {steps, seconds, samples,
// position} as it goes, and {lost: words} once frames no longer count.
const SAMPLE = 10; // steps between two samples: a matter of the trajectory, not of how fast it is computed
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

function broken() {
  const now = CgMeasure.bonds(engine.position, model);
  const k = now.findIndex((r, k) => !(Math.abs(r - lengths[k]) < TOLERANCE_NM)); // not: a number that is none is broken
  return k < 0 ? null : model.bonds[k].map((i) => model.names[i].split("_")[0]).join("–");
}

function part() {
  queued = false;
  if (!running) return;
  const began = performance.now(), samples = [];
  let bond = null;
  while (!bond && steps < until && performance.now() - began < PART_MS) {
    engine.step(SAMPLE);
    steps += SAMPLE;
    bond = broken();
    if (!bond) samples.push(...CgMeasure.sample(engine.position, model));
  }
  const seconds = (performance.now() - began) / 1000;
  self.postMessage({ steps, seconds, samples: Float32Array.from(samples), position: engine.position.slice() });
  running = !bond && steps < until;
  if (bond) self.postMessage({ lost: `The bond ${bond} has left its length by ${TOLERANCE_NM} nm` });
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
