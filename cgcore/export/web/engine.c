/* Energy, forces and dynamics of a packed MACE as one WebAssembly module without a library.

Every operation rounds as it is written, in an order that is written: a seed gives the same bits wherever this runs.
Units are nm, ps, g/mol, kJ/mol and K. Build it with `python -m cgcore.export.web.build`. */

#include "network.h"

#define EXPORT(name) __attribute__((export_name(#name)))

enum { MAGIC = 0x43474d32, MOST_BEADS = 256 };
enum { LOADED, NO_MODEL, DAMAGED, TOO_LARGE };
static const double KB = 0.0083144626;

static float *velocity;
static double step_ps, friction, kelvin, energy;
static Random random_state;

/* Energy, kJ/mol, and forces at the positions as they are. */
EXPORT(evaluate) double evaluate(void) { return energy = energy_and_forces(); }

EXPORT(set_temperature) void set_temperature(double to_kelvin) { kelvin = to_kelvin; }

/* Velocities of the temperature from a seed; at constant energy, without friction, of beads that stay in their place. */
EXPORT(start) double start(unsigned seed, double to_kelvin, double dt_ps, double friction_per_ps) {
  double drift[3] = {0}, whole = 0;
  kelvin = to_kelvin, step_ps = dt_ps, friction = friction_per_ps;
  seed_random(&random_state, seed);
  for (int i = 0; i < of.n; i++) {
    whole += mass[i];
    for (int c = 0; c < 3; c++) {
      velocity[3 * i + c] = sqrt_(KB * kelvin / mass[i]) * normal(&random_state);
      drift[c] += mass[i] * velocity[3 * i + c];
    }
  }
  for (int k = 0; k < 3 * of.n && friction == 0; k++) velocity[k] -= drift[k % 3] / whole;
  return evaluate();
}

/* Steps in the BAOAB splitting of Langevin dynamics (Leimkuhler & Matthews, J. Chem. Phys. 138, 174102, 2013), without
   friction velocity Verlet. The energy at the end; it stops where that is no number. */
EXPORT(steps) double steps(int number) {
  double c = exp_(-friction * step_ps), spread = sqrt_((1 - c * c) * KB * kelvin);
  for (int s = 0; s < number && energy == energy; s++) {
    for (int k = 0; k < 3 * of.n; k++) {
      double m = mass[k / 3], v = velocity[k] + step_ps / 2 * force[k] / m, x = position[k] + step_ps / 2 * v;
      if (friction > 0) v = c * v + spread / sqrt_(m) * normal(&random_state);
      position[k] = x + step_ps / 2 * v, velocity[k] = v;
    }
    evaluate();
    for (int k = 0; k < 3 * of.n; k++) velocity[k] += step_ps / 2 * force[k] / mass[k / 3];
  }
  return energy;
}

EXPORT(positions) float *positions(void) { return position; }
EXPORT(velocities) float *velocities(void) { return velocity; }
EXPORT(forces) float *forces(void) { return force; }
EXPORT(beads) int beads(void) { return of.n; }

/* Room for a model file of so many bytes, to be written there before `load`. */
EXPORT(reserve) void *reserve(int bytes) { return room(bytes); }

static float *transposed(const float *matrices, int n) {
  float *out = rows(LANES * n);
  for (int m = 0; m < n; m++)
    for (int i = 0; i < LANES; i++)
      for (int j = 0; j < LANES; j++) out[(m * LANES + j) * LANES + i] = matrices[(m * LANES + i) * LANES + j];
  return out;
}

static const void *next(const int **at, int words) {
  const int *here = *at;
  *at += words;
  return here;
}

/* Read a model that stands where `reserve` said, and make its tables: LOADED, or why not. */
EXPORT(load) int load(const int *file, int bytes) {
  enum { HEADER = sizeof of / 4 };
  const int *at = file + HEADER;
  if (bytes < 4 * HEADER || file[0] != MAGIC) return NO_MODEL;
  if (bytes % 4 || file[1] != bytes / 4) return DAMAGED;
  unsigned sum = 2166136261u;
  for (int k = 0; k + 1 < file[1]; k++) sum = (sum ^ (unsigned)file[k]) * 16777619u;
  if (sum != (unsigned)file[file[1] - 1]) return DAMAGED;
  __builtin_memcpy(&of, file, 4 * HEADER);
  if (of.n > MOST_BEADS) return TOO_LARGE;
  const int n = of.n, s = of.species, matrix = LANES * LANES, narrow = of.width * (of.bessel + of.kinds + 2 * of.width);
  kind = next(&at, n), near = next(&at, 2 * n * of.near), mass = next(&at, n), embedding = next(&at, s * LANES);
  net[0] = next(&at, narrow + of.width * 4 * LANES), linear0 = next(&at, 4 * s * matrix);
  terms0 = next(&at, 4 * of.terms0), poly0 = next(&at, s * of.terms0 * LANES);
  last = next(&at, LANES), ranges = next(&at, 3 * s * s * of.ranges);
  layers[0] = (Layer){.paths = 4, .sums = 16, .outputs = 4, .path = paths0}, n_layers = of.paths ? 2 : 1;
  if (of.paths) {
    net[1] = next(&at, narrow + of.width * of.paths * LANES), up = next(&at, 2 * matrix);
    paths1 = next(&at, 5 * of.paths), coupled = next(&at, 2 * of.couplings), strength = next(&at, of.couplings);
    linear1 = next(&at, of.paths * matrix), terms1 = next(&at, 4 * of.terms1), poly1 = next(&at, s * of.terms1 * LANES);
    skip = next(&at, s * of.hidden * LANES), hidden = next(&at, of.hidden * LANES), readout = next(&at, of.hidden);
    const Path *path = paths1 + of.paths - 1;
    layers[1] = (Layer){.paths = of.paths, .path = paths1, .outputs = path->out + 2 * path->l3 + 1};
    layers[1].sums = path->sum + (2 * path->l1 + 1) * (2 * path->l2 + 1);
    up_t = transposed(up, 2), linear1_t = transposed(linear1, of.paths);
    sent = rows(4 * n), by_sent = rows(4 * n), first = rows(n), by_first = rows(n);
  }
  if (at != file + of.words - 1) return DAMAGED;
  position = floats(3 * n), velocity = floats(3 * n), force = floats(3 * n);
  linear0_t = transposed(linear0, 4 * s);
  a0 = rows(16 * n), sums = rows(16 + layers[1].sums), outputs = rows(4 + layers[1].outputs);
  a = rows(16), da = rows(16), db = rows(4), scalars = rows(1), ones = rows(1);
  for (int c = 0; c < LANES; c++) ones[c] = 1;
  const int most = n * (n - 1) / 2;
  pairs = room(sizeof(Pair) * most), edges = room(sizeof(Edge) * 2 * most), first_edge = room(4 * (n + 1));
  by_y = floats(16 * most), by_r = floats(most);
  step_root = (sqrt_(of.cutoff) - of.first_root) / (of.knots - 1);
  for (int k = 0; k < n_layers; k++) {
    Layer *layer = layers + k;
    layer->table = tabulated(net[k], layer->paths);
    layer->value = rows(layer->paths * most), layer->slope = rows(layer->paths * most);
    layer->sender = room(n * sizeof(float *)), layer->by_sender = k ? by_sent : 0;
    for (int i = 0; i < n; i++) layer->sender[i] = k ? sent + 4 * i * LANES : embedding + kind[i] * LANES;
  }
  return LOADED;
}
