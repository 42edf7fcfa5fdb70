#include "noise.h"

#include <math.h>

void noise_start(noise *source, const char *text) {
  uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
  for (; *text != '\0'; text++) hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
  *source = (noise){.state = hash};
}

/* Uniform in [-1, 1). */
static double uniform(noise *source) {
  uint64_t z = source->state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  z ^= z >> 31;
  return (double)(z >> 11) * 0x1p-52 - 1;
}

/* The natural logarithm of x > 0: with x = m 2^e and t = (m - 1) / (m + 1), it is e ln 2 + 2 (t + t^3/3 +
 * t^5/5 + ...). */
static double logarithm(double x) {
  int e;
  double m = frexp(x, &e);
  if (m < 0.70710678118654752) {
    m *= 2;
    e--;
  }
  const double t = (m - 1) / (m + 1); /* at most 0.172 */
  double sum = 0;
  for (int k = 23; k >= 1; k -= 2) sum = sum * t * t + 1.0 / k;
  return 0.69314718055994531 * e + 2 * t * sum;
}

double noise_next(noise *source) {
  if (source->has_spare) {
    source->has_spare = false;
    return source->spare;
  }
  double x, y, square;
  do {
    x = uniform(source);
    y = uniform(source);
    square = x * x + y * y;
  } while (square >= 1 || square == 0);
  const double factor = sqrt(-2 * logarithm(square) / square);
  source->spare = y * factor;
  source->has_spare = true;
  return x * factor;
}
