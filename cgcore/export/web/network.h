/* Energy and forces of a packed MACE with 32 channels; the network is that of cgcore/potentials/mace/network.py, its
   derivatives are written by hand:

    A = sum_j R(r_ij) h_j Y(r_ij),  a = W A,  B = polynomial(a),  h = W' B + skip,  E = sum readout(h) */

#include "library.h"

typedef struct { int l1, l2, l3, sum, out; } Path; /* degrees sent, of harmonics, out; first row among sums and outputs */
typedef struct { int depth, factor, component, end; } Term; /* of a polynomial, see there */
typedef struct { float from, to, stiffness; } Range;
typedef struct { int i, j; float r, unit[3], y[16]; } Pair;
typedef struct { int from, pair, turned; float y[16]; } Edge;
typedef struct { /* `outputs`, `sums`: rows of them; `value`, `slope`: of radial functions, (pairs, paths, 32) */
  int paths, sums, outputs;
  const Path *path;
  const float **sender;
  float *by_sender, *table, *value, *slope;
} Layer;

/* What a model file says, in its order. */
static struct {
  int magic, words, n, species, paths, terms0, terms1, couplings, hidden, ranges, bessel, kinds, near, power, width, knots;
  float first_root, cutoff, box[3];
} of;
static const int *kind, *near, *coupled; /* near: (n, of.near, 2) beads that bonds lead to, and by how many */
static const float *mass, *embedding, *net[2], *linear0, *poly0, *last, *up, *strength, *linear1, *poly1, *skip, *hidden, *readout;
static const Term *terms0, *terms1;
static const Path *paths1, paths0[4] = {{0, 0, 0, 0, 0}, {0, 1, 1, 1, 1}, {0, 2, 2, 4, 4}, {0, 3, 3, 9, 9}};
static const Range *ranges;

/* What is made of it, and what the passes leave for each other. */
static Layer layers[2];
static int n_layers, n_pairs, *first_edge;
static Pair *pairs;
static Edge *edges;
static float *linear0_t, *up_t, *linear1_t, *ones, *by_y, *by_r, *a0, *first, *by_first, *sent, *by_sent;
static float *sums, *outputs, *a, *da, *db, *scalars;

static float *position, *force;
static double step_root;

/* ---- radial functions: tables at load, then quintic Hermite interpolation in sqrt(r) ---- */

/* Bessel functions times the envelope (Gasteiger et al., ICLR 2020), by s = sqrt(r). */
static void radial_basis(double s, Jet *out) {
  double c = of.cutoff, x = s * s / c, e = 1, e1 = 0, e2 = 0;
  for (int k = 0; k < 3; k++) { /* -(p+1)(p+2)/2 x^p + p(p+2) x^(p+1) - p(p+1)/2 x^(p+2) */
    int p = of.power, q = p + k;
    double w = k == 0 ? -0.5 * (p + 1) * (p + 2) : k == 1 ? (double)p * (p + 2) : -0.5 * p * (p + 1), power = w;
    for (int i = 0; i < q - 2; i++) power *= x;
    e += power * x * x, e1 += q * power * x, e2 += q * (q - 1) * power;
  }
  Jet root = {s, 1, 0}, r = times(root, root), by_x = {e, e1, e2};
  Jet envelope = times(chain(by_x, scaled(r, 1 / c)), chain((Jet){1 / r.v, -1 / (r.v * r.v), 2 / (r.v * r.v * r.v)}, r));
  double theta = PI * x, sine = sin_(theta), cosine = sin_(PI / 2 - theta), sn = 0, cn = 1;
  for (int n = 1; n <= of.bessel; n++) {
    double turned = sn * cosine + cn * sine;
    cn = cn * cosine - sn * sine, sn = turned;
    Jet wave = chain((Jet){sn, n * cn, -n * n * sn}, scaled(r, PI / c));
    out[n - 1] = scaled(times(wave, envelope), sqrt_(2 / c));
  }
}

/* The radial network of a layer at every knot, for each kind of edge if they are told apart; four rows for each of n
   functions: the value, how much it rises to the next knot, and two derivatives in steps. Rises are subtracted here, in double precision, for they make the slopes. */
static float *tabulated(const float *weights, int n) {
  const int kinds = of.kinds ? of.kinds : 1;
  float *out = rows(4ul * n * of.knots * kinds);
  Jet *x = room(sizeof(Jet) * of.width), *y = room(sizeof(Jet) * of.width);
  double *before = room(sizeof(double) * n * LANES);
  for (int row = 0; row < of.knots * kinds; row++) {
    const int k = row % of.knots;
    const float *w = weights;
    radial_basis(of.first_root + step_root * k, x);
    for (int q = 0; q < of.kinds; q++) x[of.bessel + q] = scaled(x[0], q == row / of.knots);
    for (int depth = 0, inputs = of.bessel + of.kinds; depth < 3; depth++, inputs = of.width) {
      for (int o = 0; o < of.width; o++) y[o] = (Jet){0, 0, 0};
      for (int i = 0; i < inputs; i++, w += of.width)
        for (int o = 0; o < of.width; o++) y[o] = plus(y[o], scaled(x[i], w[o]));
      for (int o = 0; o < of.width; o++) x[o] = silu(scaled(y[o], 1 / sqrt_(inputs)));
    }
    for (int o = 0; o < n * LANES; o++) {
      float *at = out + (row * n + o / LANES) * 4 * LANES + o % LANES;
      Jet f = {0, 0, 0};
      for (int i = 0; i < of.width && k + 1 < of.knots; i++) f = plus(f, scaled(x[i], w[i * n * LANES + o]));
      f = scaled(f, 1 / sqrt_(of.width)); /* zero at the last knot, the cut-off, to the last digit */
      at[0] = f.v, at[2 * LANES] = f.d * step_root, at[3 * LANES] = f.dd * step_root * step_root;
      if (k) at[(1 - 4 * n) * LANES] = f.v - before[o];
      before[o] = f.v;
    }
  }
  return out;
}

/* How many bonds lead from i to j, as far as that is told apart. */
static int bonds_between(int i, int j) {
  for (int b = i * of.near; b < (i + 1) * of.near; b++)
    if (near[2 * b] == j) return near[2 * b + 1];
  return 0;
}

/* Radial functions of pair p, whose edges are of a kind, and their derivatives by r; below the first knot they are constant. */
static void interpolate(double r, int kind_of_edge, int p) {
  double s = sqrt_(r), at = (s - of.first_root) / step_root, per_r = at > 0 ? 0.5 / (s * step_root) : 0;
  at = at > 0 ? at : 0;
  int k = (int)at < of.knots - 2 ? (int)at : of.knots - 2;
  double t = at - k, u = 1 - t, t2 = t * t, u2 = u * u;
  const float w[5] = {t2 * t * (10 + t * (6 * t - 15)), t * u2 * u * (1 + 3 * t), 0.5 * t2 * u2 * u,
                      -u * t2 * t * (1 + 3 * u), 0.5 * u2 * t2 * t};
  const float d[5] = {per_r * 30 * t2 * u2, per_r * u2 * (1 + 2 * t - 15 * t2), per_r * t * u2 * (1 - 2.5 * t),
                      per_r * t2 * (1 + 2 * u - 15 * u2), -per_r * u * t2 * (1 - 2.5 * u)};
  for (Layer *layer = layers; layer < layers + n_layers; layer++)
    for (int q = 0, n = layer->paths; q < n; q++) {
      const f4 *low = (f4 *)(layer->table + 4 * ((kind_of_edge * of.knots + k) * n + q) * LANES), *high = low + 4 * n * BLOCKS;
      f4 *f = (f4 *)(layer->value + (p * n + q) * LANES), *g = (f4 *)(layer->slope + (p * n + q) * LANES);
      for (int b = 0; b < BLOCKS; b++) {
        const f4 rise = low[b + BLOCKS], x1 = low[b + 2 * BLOCKS], x2 = low[b + 3 * BLOCKS];
        const f4 y1 = high[b + 2 * BLOCKS], y2 = high[b + 3 * BLOCKS];
        f[b] = low[b] + (w[0] * rise + (w[1] * x1 + w[2] * x2) + (w[3] * y1 + w[4] * y2));
        g[b] = d[0] * rise + (d[1] * x1 + d[2] * x2) + (d[3] * y1 + d[4] * y2);
      }
    }
}

/* ---- pairs ---- */

/* Energy of a pair in ranges that no frame has, as potentials/barrier.py has it; dE/dr is added to `by`. */
static double barriers(int i, int j, double r, float *by) {
  const Range *range = ranges + (kind[i] * of.species + kind[j]) * of.ranges;
  double sum = 0;
  for (int g = 0; g < of.ranges; g++, range++)
    if (range->from < r && r < range->to) {
      int wall = range->from == 0;
      double w = wall ? 1 : range->to - range->from, x = (range->to - r) / w, y = wall ? x : x * (1 - x);
      sum += range->stiffness / 2 * (w * y) * (w * y);
      *by += range->stiffness * w * y * (wall ? -1 : 2 * x - 1);
    }
  return sum;
}

/* Pairs within the cut-off with all that belongs to them, and the edges of each bead; energy of the barriers. */
static double find_pairs(void) {
  double sum = 0;
  const int n = of.n;
  n_pairs = 0;
  for (int i = 0; i <= n; i++) first_edge[i] = 0;
  for (int i = 0; i < n; i++)
    for (int j = i + 1; j < n; j++) {
      double d[3], square = 0;
      for (int c = 0; c < 3; c++) {
        d[c] = (double)position[3 * i + c] - position[3 * j + c];
        if (of.box[c] > 0) d[c] -= of.box[c] * rint_(d[c] / of.box[c]);
        square += d[c] * d[c];
      }
      if (square != square) sum = square; /* positions that are no numbers have no energy */
      if (!(square < (double)of.cutoff * of.cutoff)) continue;
      double r = sqrt_(square > 1e-12 ? square : 1e-12);
      Pair *pair = pairs + n_pairs;
      pair->i = i, pair->j = j, pair->r = r;
      for (int c = 0; c < 3; c++) pair->unit[c] = d[c] / r;
      harmonics(pair->unit, pair->y);
      interpolate(r, bonds_between(i, j), n_pairs);
      by_r[n_pairs] = 0;
      for (int m = 0; m < 16; m++) by_y[16 * n_pairs + m] = 0;
      sum += barriers(i, j, r, by_r + n_pairs);
      first_edge[i]++, first_edge[j]++, n_pairs++;
    }
  for (int i = 1; i <= n; i++) first_edge[i] += first_edge[i - 1];
  for (int p = n_pairs - 1; p >= 0; p--)
    for (int end = 0; end < 2; end++) {
      Edge *edge = edges + --first_edge[end ? pairs[p].j : pairs[p].i];
      edge->from = end ? pairs[p].i : pairs[p].j, edge->pair = p, edge->turned = end;
      for (int m = 0; m < 16; m++) edge->y[m] = end && is_odd(m) ? -pairs[p].y[m] : pairs[p].y[m];
    }
  return sum;
}

/* What the passes left in by_y and by_r as forces. */
static void push(void) {
  for (int c = 0; c < 3 * of.n; c++) force[c] = 0;
  for (int p = 0; p < n_pairs; p++) {
    const Pair *pair = pairs + p;
    float g[3], along = 0;
    harmonics_gradient(pair->unit, by_y + 16 * p, g);
    for (int c = 0; c < 3; c++) along += g[c] * pair->unit[c];
    for (int c = 0; c < 3; c++) {
      float f = (g[c] - along * pair->unit[c]) / pair->r + by_r[p] * pair->unit[c];
      force[3 * pair->i + c] -= f, force[3 * pair->j + c] += f;
    }
  }
}

/* ---- messages: sums over neighbours, S_(p c m) = sum_j R_p(r_ij) h_jc Y_m, and back ---- */

static inline void gather_rows(const int n, const int w, const Layer *layer, int i, int p, int c, float *out) {
  const int m0 = layer->path[p].l2 * layer->path[p].l2;
  for (int b = 0; b < BLOCKS; b += w) {
    f4 sum[14] = {{0}};
    for (int e = first_edge[i]; e < first_edge[i + 1]; e++) {
      const f4 *radial = (f4 *)(layer->value + (edges[e].pair * layer->paths + p) * LANES);
      const f4 *sender = (f4 *)(layer->sender[edges[e].from] + c * LANES);
      for (int v = 0; v < w; v++) {
        f4 x = radial[b + v] * sender[b + v];
        for (int m = 0; m < n; m++) sum[m * w + v] += edges[e].y[m0 + m] * x;
      }
    }
    for (int m = 0; m < n; m++)
      for (int v = 0; v < w; v++) ((f4 *)(out + m * LANES))[b + v] = sum[m * w + v];
  }
}

static void gather(const Layer *layer, int i, float *out) {
  for (int p = 0; p < layer->paths; p++) {
    const Path *path = layer->path + p;
    for (int c = path->l1 * path->l1; c < (path->l1 + 1) * (path->l1 + 1); c++) {
      float *to = out + (path->sum + (c - path->l1 * path->l1) * (2 * path->l2 + 1)) * LANES;
      if (path->l2 == 0) gather_rows(1, 8, layer, i, p, c, to);
      else if (path->l2 == 1) gather_rows(3, 4, layer, i, p, c, to);
      else if (path->l2 == 2) gather_rows(5, 2, layer, i, p, c, to);
      else gather_rows(7, 2, layer, i, p, c, to);
    }
  }
}

/* Of dE/dS in `change` what an edge passes on through harmonics of one degree: paths p of `layer` with n = 2 l2 + 1. */
static inline f4 scatter_rows(const int n, const Layer *layer, const Edge *edge, int p, int end, const float *change) {
  const int m0 = (n - 1) * (n - 1) / 4, at = edge->pair * layer->paths;
  f4 by_m[7] = {{0}}, by_distance = {0};
  float y[7];
  for (int m = 0; m < n; m++) y[m] = edge->y[m0 + m];
  for (int b = 0; b < BLOCKS; b++)
    for (int q = p; q < end; q++) {
      const Path *path = layer->path + q;
      f4 radial = ((f4 *)(layer->value + (at + q) * LANES))[b], slope = ((f4 *)(layer->slope + (at + q) * LANES))[b];
      const float *row = change + path->sum * LANES;
      for (int c = path->l1 * path->l1; c < (path->l1 + 1) * (path->l1 + 1); c++, row += n * LANES) {
        f4 sender = ((f4 *)(layer->sender[edge->from] + c * LANES))[b], sent = sender * radial, along = {0};
        for (int m = 0; m < n; m++) {
          f4 x = ((f4 *)(row + m * LANES))[b];
          along += y[m] * x;
          by_m[m] += sent * x;
        }
        by_distance += along * sender * slope;
        if (layer->by_sender) ((f4 *)(layer->by_sender + (4 * edge->from + c) * LANES))[b] += along * radial;
      }
    }
  for (int m = 0; m < n; m++) {
    float sum = total(by_m[m]);
    by_y[16 * edge->pair + m0 + m] += edge->turned && is_odd(m0) ? -sum : sum;
  }
  return by_distance;
}

static void scatter(const Layer *layer, int i, const float *change) {
  for (const Edge *edge = edges + first_edge[i]; edge < edges + first_edge[i + 1]; edge++) {
    f4 sum = {0};
    for (int l2 = 0, p = 0, end; l2 < 4; l2++, p = end) {
      for (end = p; end < layer->paths && layer->path[end].l2 == l2; end++);
      if (l2 == 0) sum += scatter_rows(1, layer, edge, p, end, change);
      else if (l2 == 1) sum += scatter_rows(3, layer, edge, p, end, change);
      else if (l2 == 2) sum += scatter_rows(5, layer, edge, p, end, change);
      else sum += scatter_rows(7, layer, edge, p, end, change);
    }
    by_r[edge->pair] += total(sum);
  }
}

/* ---- symmetric contraction ---- */

/* out_c += sum_i a_i (w_ci + sum_j a_j (w_cij + sum_l a_l w_cijl)). Terms are every w in this order, each with its depth 0,
   1 or 2, the row of its last factor, c, and the term after those below it; w has a row for each. */
static void polynomial(const Term *term, int n, const float *w, const float *x, float *out) {
  for (int b = 0; b < LANES; b += 8)
    for (int t = 0; t < n;) {
      const Term *one = term + t;
      f8 outer = *(f8 *)(w + t++ * LANES + b);
      while (t < one->end) {
        const Term *two = term + t;
        f8 middle = *(f8 *)(w + t++ * LANES + b);
        for (; t < two->end; t++) middle += *(f8 *)(w + t * LANES + b) * *(f8 *)(x + term[t].factor * LANES + b);
        outer += middle * *(f8 *)(x + two->factor * LANES + b);
      }
      *(f8 *)(out + one->component * LANES + b) += outer * *(f8 *)(x + one->factor * LANES + b);
    }
}

/* dE/dx of `polynomial`, 16 rows, for dE/dout in `change`; sum_c change_c out_c into `result`, a row. */
static void pull_polynomial(const Term *term, int n, const float *w, const float *x, const float *change, float *by, float *result) {
  clear(by, 16);
  for (int b = 0; b < LANES; b += 8) {
    f8 sum = {0};
    for (int t = 0; t < n;) {
      const Term *one = term + t;
      f8 outer = *(f8 *)(w + t++ * LANES + b), by_out = *(f8 *)(change + one->component * LANES + b);
      f8 by_outer = by_out * *(f8 *)(x + one->factor * LANES + b);
      while (t < one->end) {
        const Term *two = term + t;
        f8 middle = *(f8 *)(w + t++ * LANES + b), factor = *(f8 *)(x + two->factor * LANES + b), by_middle = by_outer * factor;
        for (; t < two->end; t++) {
          f8 c = *(f8 *)(w + t * LANES + b);
          middle += c * *(f8 *)(x + term[t].factor * LANES + b);
          *(f8 *)(by + term[t].factor * LANES + b) += by_middle * c;
        }
        outer += middle * factor;
        *(f8 *)(by + two->factor * LANES + b) += by_outer * middle;
      }
      *(f8 *)(by + one->factor * LANES + b) += by_out * outer;
      sum += by_outer * outer;
    }
    *(f8 *)(result + b) = sum;
  }
}

/* ---- passes over the beads ---- */

static double first_layer(int i) {
  float *x = a0 + 16 * i * LANES;
  gather(layers, i, sums);
  clear(x, 16);
  for (int l = 0; l < 4; l++) mix(l, sums + l * l * LANES, linear0 + (4 * kind[i] + l) * LANES * LANES, x + l * l * LANES);
  clear(outputs, 4);
  polynomial(terms0, of.terms0, poly0 + kind[i] * of.terms0 * LANES, x, outputs);
  if (!of.paths) return dot(outputs, last);
  for (int c = 0; c < LANES; c++) first[i * LANES + c] = outputs[c];
  clear(sent + 4 * i * LANES, 4);
  mix(0, outputs, up, sent + 4 * i * LANES);
  mix(1, outputs + LANES, up + LANES * LANES, sent + (4 * i + 1) * LANES);
  return 0;
}

/* Energy of a bead from its scalars x and those of the first layer; dE/dx into `by`.
   v_h = x . hidden_h + first_i . skip_h, E = sum_h readout_h silu(v_h) + first_i . last. */
static double read_out(int i, const float *x, float *by) {
  const float *y = first + i * LANES, *own = skip + kind[i] * of.hidden * LANES;
  f4 *by_x = (f4 *)by, *by_y = (f4 *)(by_first + i * LANES);
  double sum = dot(y, last);
  for (int b = 0; b < BLOCKS; b++) by_x[b] = (f4){0}, by_y[b] = ((f4 *)last)[b];
  for (int h = 0; h < of.hidden; h++) {
    double v = dot(x, hidden + h * LANES) + dot(y, own + h * LANES), s = 1 / (1 + exp_(-v));
    float slope = readout[h] * s * (1 + v * (1 - s));
    sum += readout[h] * v * s;
    for (int b = 0; b < BLOCKS; b++) {
      by_x[b] += slope * ((f4 *)(hidden + h * LANES))[b];
      by_y[b] += slope * ((f4 *)(own + h * LANES))[b];
    }
  }
  return sum;
}

static double second_layer(int i) {
  const int matrix = LANES * LANES;
  gather(layers + 1, i, sums);
  clear(outputs, layers[1].outputs);
  for (int k = 0; k < of.couplings; k++)
    for (int b = 0; b < BLOCKS; b++)
      ((f4 *)(outputs + coupled[2 * k] * LANES))[b] += strength[k] * ((f4 *)(sums + coupled[2 * k + 1] * LANES))[b];
  clear(a, 16);
  for (int p = 0; p < of.paths; p++) {
    int l = paths1[p].l3;
    mix(l, outputs + paths1[p].out * LANES, linear1 + p * matrix, a + l * l * LANES);
  }
  pull_polynomial(terms1, of.terms1, poly1 + kind[i] * of.terms1 * LANES, a, ones, da, scalars);
  double sum = read_out(i, scalars, db);
  for (int m = 0; m < 16; m++)
    for (int b = 0; b < BLOCKS; b++) ((f4 *)(da + m * LANES))[b] *= ((f4 *)db)[b];
  clear(outputs, layers[1].outputs);
  for (int p = 0; p < of.paths; p++) {
    int l = paths1[p].l3;
    mix(l, da + l * l * LANES, linear1_t + p * matrix, outputs + paths1[p].out * LANES);
  }
  clear(sums, layers[1].sums);
  for (int k = 0; k < of.couplings; k++)
    for (int b = 0; b < BLOCKS; b++)
      ((f4 *)(sums + coupled[2 * k + 1] * LANES))[b] += strength[k] * ((f4 *)(outputs + coupled[2 * k] * LANES))[b];
  scatter(layers + 1, i, sums);
  return sum;
}

static void pull_first_layer(int i) {
  for (int c = 0; c < LANES; c++) db[c] = of.paths ? by_first[i * LANES + c] : last[c];
  if (of.paths) {
    clear(db + LANES, 3);
    mix(0, by_sent + 4 * i * LANES, up_t, db);
    mix(1, by_sent + (4 * i + 1) * LANES, up_t + LANES * LANES, db + LANES);
  }
  pull_polynomial(terms0, of.terms0, poly0 + kind[i] * of.terms0 * LANES, a0 + 16 * i * LANES, db, da, scalars);
  clear(sums, 16);
  for (int l = 0; l < 4; l++) mix(l, da + l * l * LANES, linear0_t + (4 * kind[i] + l) * LANES * LANES, sums + l * l * LANES);
  scatter(layers, i, sums);
}

/* Energy, kJ/mol, and forces at the positions; not a number where positions are none. */
static double energy_and_forces(void) {
  double energy = find_pairs();
  for (int i = 0; i < of.n; i++) energy += first_layer(i);
  if (of.paths) {
    clear(by_sent, 4 * of.n);
    for (int i = 0; i < of.n; i++) energy += second_layer(i);
  }
  for (int i = 0; i < of.n; i++) pull_first_layer(i);
  push();
  return energy;
}
