/* noise.h - normal random numbers that are the same on every machine. */
#ifndef QUALITY_NOISE_H
#define QUALITY_NOISE_H

#include <stdbool.h>
#include <stdint.h>

/* An integer generator (SplitMix64) and Marsaglia's polar method, computed with nothing but + - * / and
 * square roots, which IEEE 754 rounds in one way only; the C library's logarithm would not do. */
typedef struct noise {
  uint64_t state;
  double spare;
  bool has_spare;
} noise;

/* The sequence that belongs to this text (a picture's file name). */
void noise_start(noise *source, const char *text);

/* The next number, of mean 0 and deviation 1. */
double noise_next(noise *source);

#endif
