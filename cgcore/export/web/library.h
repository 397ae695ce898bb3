/* What a module without a library has to bring: memory, functions, jets, spherical harmonics, rows of channels and random numbers. */

typedef float f4 __attribute__((vector_size(16)));
typedef float f8 __attribute__((vector_size(32), aligned(16)));
typedef unsigned long long u64;
enum { LANES = 32, BLOCKS = LANES / 4, PAGE = 65536 };

static const double PI = 3.141592653589793;

/* Memory that is never given back. */

extern unsigned char __heap_base;
static unsigned long free_from;

static void *room(unsigned long bytes) {
  if (!free_from) free_from = (unsigned long)&__heap_base;
  unsigned long start = (free_from + 127) & ~127ul;
  free_from = start + bytes;
  unsigned long have = __builtin_wasm_memory_size(0), want = (free_from + PAGE - 1) / PAGE;
  if (want > have && __builtin_wasm_memory_grow(0, want - have) == (unsigned long)-1) __builtin_trap();
  return (void *)start;
}
static float *floats(unsigned long n) { return room(4 * n); }
static float *rows(unsigned long n) { return room(4 * LANES * n); }

static inline double sqrt_(double x) { return __builtin_sqrt(x); }
static inline double rint_(double x) { return __builtin_rint(x); }

static inline double bits(u64 x) {
  union { u64 u; double d; } both = {x};
  return both.d;
}

static double exp_(double x) {
  if (x < -700) return 0;
  if (x > 700) return bits(0x7ff0000000000000);
  double k = rint_(x * 1.4426950408889634), sum = 1;
  double r = (x - k * 0x1.62e42feep-1) - k * 0x1.a39ef35793c76p-33; /* ln 2 in two parts */
  for (int n = 13; n > 0; n--) sum = 1 + sum * r / n;
  return sum * bits((u64)((long long)k + 1023) << 52);
}

/* Of 0 < x, by log m = 2 artanh((m - 1) / (m + 1)) of the mantissa. */
static double log_(double x) {
  union { double d; u64 u; } both = {x};
  int e = (int)(both.u >> 52) - 1022;
  double m = bits((both.u & 0xfffffffffffff) | 0x3fe0000000000000);
  if (m < 0.7071067811865476) m *= 2, e--;
  double s = (m - 1) / (m + 1), power = s, sum = 0;
  for (int n = 1; n < 24; n += 2, power *= s * s) sum += power / n;
  return 2 * sum + e * 0.6931471805599453;
}

/* Of at most pi. */
static double sin_(double x) {
  double sum = 1;
  for (int n = 32; n > 1; n -= 2) sum = 1 - sum * x * x / (n * (n + 1));
  return x * sum;
}

/* A value with its first and second derivative. */
typedef struct { double v, d, dd; } Jet;

static inline Jet plus(Jet x, Jet y) { return (Jet){x.v + y.v, x.d + y.d, x.dd + y.dd}; }
static inline Jet scaled(Jet x, double k) { return (Jet){k * x.v, k * x.d, k * x.dd}; }
static inline Jet times(Jet x, Jet y) { return (Jet){x.v * y.v, x.d * y.v + x.v * y.d, x.dd * y.v + 2 * x.d * y.d + x.v * y.dd}; }

/* f(x), of f and its derivatives at x. */
static inline Jet chain(Jet f, Jet x) { return (Jet){f.v, f.d * x.d, f.dd * x.d * x.d + f.d * x.dd}; }

/* SILU_GAIN of network.py times silu(x). */
static Jet silu(Jet x) {
  double s = 1 / (1 + exp_(-x.v));
  return scaled(chain((Jet){x.v * s, s * (1 + x.v * (1 - s)), s * (1 - s) * (2 + x.v * (1 - 2 * s))}, x), 1.6791767923989418);
}

/* Real spherical harmonics of degrees 0 to 3 with |Y_l|^2 = 2 l + 1, in e3nn's order. */
static const float R3 = 1.7320508f, R5 = 2.236068f, R7 = 2.6457513f, R15 = 3.8729833f, R105 = 10.246951f;
static const float R35_2 = 4.1833f, R21_8 = 1.6201852f; /* roots of 35 / 2 and 21 / 8 */

static inline int is_odd(int m) { return (m >= 1 && m < 4) || m >= 9; }

static void harmonics(const float *unit, float *out) {
  float x = unit[0], y = unit[1], z = unit[2], xx = x * x, yy = y * y, zz = z * z, h = 4 * yy - xx - zz;
  out[0] = 1;
  out[1] = R3 * x, out[2] = R3 * y, out[3] = R3 * z;
  out[4] = R15 * x * z, out[5] = R15 * x * y, out[6] = R5 * (yy - 0.5f * (xx + zz)), out[7] = R15 * y * z;
  out[8] = 0.5f * R15 * (zz - xx);
  out[9] = R35_2 * x * (1.5f * zz - 0.5f * xx), out[10] = R105 * x * y * z, out[11] = R21_8 * h * x;
  out[12] = R7 * y * (yy - 1.5f * (xx + zz)), out[13] = R21_8 * h * z, out[14] = 0.5f * R105 * y * (zz - xx);
  out[15] = R35_2 * z * (0.5f * zz - 1.5f * xx);
}

/* sum_m c_m grad Y_m, as polynomials in all of space: what is along the vector is for the caller to take out. */
static void harmonics_gradient(const float *unit, const float *c, float *g) {
  float x = unit[0], y = unit[1], z = unit[2], xx = x * x, yy = y * y, zz = z * z, h = 4 * yy - xx - zz;
  float c4 = R15 * c[4], c5 = R15 * c[5], c6 = R5 * c[6], c7 = R15 * c[7], c8 = R15 * c[8], c9 = R35_2 * c[9];
  float c10 = R105 * c[10], c11 = R21_8 * c[11], c12 = R7 * c[12], c13 = R21_8 * c[13], c14 = R105 * c[14];
  float c15 = R35_2 * c[15], steep = 1.5f * (zz - xx);
  g[0] = R3 * c[1] + c4 * z + c5 * y - c6 * x - c8 * x + c9 * steep + c10 * y * z + c11 * (h - 2 * xx) - 3 * c12 * x * y -
         2 * c13 * x * z - c14 * x * y - 3 * c15 * x * z;
  g[1] = R3 * c[2] + c5 * x + 2 * c6 * y + c7 * z + c10 * x * z + 8 * c11 * x * y + c12 * (3 * yy - 1.5f * (xx + zz)) +
         8 * c13 * y * z + 0.5f * c14 * (zz - xx);
  g[2] = R3 * c[3] + c4 * x - c6 * z + c7 * y + c8 * z + 3 * c9 * x * z + c10 * x * y - 2 * c11 * x * z - 3 * c12 * y * z +
         c13 * (h - 2 * zz) + c14 * y * z + c15 * steep;
}

/* Rows of 32 channels. out += x matrix, n rows; w vectors at once, as many as registers hold. */
static inline void mix_rows(const int n, const int w, const float *x, const float *matrix, float *out) {
  for (int b = 0; b < BLOCKS; b += w) {
    f4 sum[14];
    for (int r = 0; r < n; r++)
      for (int v = 0; v < w; v++) sum[r * w + v] = ((f4 *)(out + r * LANES))[b + v];
    for (int k = 0; k < LANES; k++)
      for (int v = 0; v < w; v++) {
        f4 column = ((f4 *)(matrix + k * LANES))[b + v];
        for (int r = 0; r < n; r++) sum[r * w + v] += x[r * LANES + k] * column;
      }
    for (int r = 0; r < n; r++)
      for (int v = 0; v < w; v++) ((f4 *)(out + r * LANES))[b + v] = sum[r * w + v];
  }
}

/* out += x matrix for the 2 l + 1 rows of a degree. */
static void mix(int l, const float *x, const float *matrix, float *out) {
  if (l == 0) mix_rows(1, 8, x, matrix, out);
  else if (l == 1) mix_rows(3, 4, x, matrix, out);
  else if (l == 2) mix_rows(5, 2, x, matrix, out);
  else mix_rows(7, 2, x, matrix, out);
}

static void clear(float *x, int n_rows) { for (int i = 0; i < n_rows * LANES; i++) x[i] = 0; }
static float total(f4 x) { return (x[0] + x[2]) + (x[1] + x[3]); }

static float dot(const float *x, const float *y) {
  f4 sum = {0};
  for (int b = 0; b < BLOCKS; b++) sum += ((f4 *)x)[b] * ((f4 *)y)[b];
  return total(sum);
}

/* xoshiro256++ (Blackman & Vigna, ACM TOMS 47, 36, 2021), seeded by splitmix64; normal numbers by Marsaglia's polar method. */
typedef struct { u64 s[4]; double spare; int has_spare; } Random;

static void seed_random(Random *random, u64 seed) {
  for (int i = 0; i < 4; i++) {
    u64 z = seed += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9, z = (z ^ z >> 27) * 0x94d049bb133111eb;
    random->s[i] = z ^ z >> 31;
  }
  random->has_spare = 0;
}

static u64 rotated(u64 x, int k) { return x << k | x >> (64 - k); }

/* Between -1 and 1. */
static double uniform(Random *random) {
  u64 *s = random->s, result = rotated(s[0] + s[3], 23) + s[0], t = s[1] << 17;
  s[2] ^= s[0], s[3] ^= s[1], s[1] ^= s[2], s[0] ^= s[3], s[2] ^= t, s[3] = rotated(s[3], 45);
  return (double)(long long)(result >> 11) * 0x1p-52 - 1;
}

static double normal(Random *random) {
  if (random->has_spare) return random->has_spare = 0, random->spare;
  double x, y, square;
  do x = uniform(random), y = uniform(random), square = x * x + y * y;
  while (square >= 1 || square == 0);
  double scale = sqrt_(-2 * log_(square) / square);
  random->spare = y * scale, random->has_spare = 1;
  return x * scale;
}
