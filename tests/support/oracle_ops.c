/* oracle_ops.c - see oracle_ops.h. */
#include "support/oracle_ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

double *oracle_alloc(size_t count) {
  double *p = calloc(count ? count : 1, sizeof *p);
  if (p == NULL) {
    fprintf(stderr, "oracle: no memory for %zu doubles\n", count);
    abort();
  }
  return p;
}

void oracle_layer_norm(const double *x, size_t channels, size_t pixels, const double *weight,
                       const double *bias, double *out) {
  for (size_t p = 0; p < pixels; p++) {
    double mean = 0, var = 0;
    for (size_t c = 0; c < channels; c++) mean += x[c * pixels + p];
    mean /= (double)channels;
    for (size_t c = 0; c < channels; c++) var += (x[c * pixels + p] - mean) * (x[c * pixels + p] - mean);
    var /= (double)channels;
    const double scale = 1 / sqrt(var + 1e-5);
    for (size_t c = 0; c < channels; c++) {
      const double value = x[c * pixels + p];
      out[c * pixels + p] =
          bias != NULL ? (value - mean) * scale * weight[c] + bias[c] : value * scale * weight[c];
    }
  }
}

void oracle_conv1x1(const double *x, size_t in_channels, size_t pixels, const double *weight,
                    const double *bias, size_t out_channels, double *out) {
  for (size_t o = 0; o < out_channels; o++) {
    for (size_t p = 0; p < pixels; p++) out[o * pixels + p] = bias != NULL ? bias[o] : 0;
    for (size_t i = 0; i < in_channels; i++)
      for (size_t p = 0; p < pixels; p++)
        out[o * pixels + p] += weight[o * in_channels + i] * x[i * pixels + p];
  }
}

/* Adds the 3x3 correlation of one channel with `weight`, pixels beyond the edge being zero. */
static void add_conv3x3(const double *x, size_t height, size_t width, const double *weight, double *out) {
  for (size_t i = 0; i < 3; i++)
    for (size_t j = 0; j < 3; j++)
      for (size_t y = 0; y < height; y++) {
        if (y + i < 1 || y + i > height) continue;
        for (size_t column = 0; column < width; column++) {
          if (column + j < 1 || column + j > width) continue;
          out[y * width + column] += weight[i * 3 + j] * x[(y + i - 1) * width + column + j - 1];
        }
      }
}

void oracle_conv3x3(const double *x, size_t in_channels, size_t height, size_t width, const double *weight,
                    const double *bias, size_t out_channels, double *out) {
  const size_t pixels = height * width;
  for (size_t o = 0; o < out_channels; o++) {
    for (size_t p = 0; p < pixels; p++) out[o * pixels + p] = bias != NULL ? bias[o] : 0;
    for (size_t i = 0; i < in_channels; i++)
      add_conv3x3(x + i * pixels, height, width, weight + (o * in_channels + i) * 9, out + o * pixels);
  }
}

void oracle_dwconv3x3(const double *x, size_t channels, size_t height, size_t width, const double *weight,
                      const double *bias, double *out) {
  const size_t pixels = height * width;
  for (size_t c = 0; c < channels; c++) {
    for (size_t p = 0; p < pixels; p++) out[c * pixels + p] = bias != NULL ? bias[c] : 0;
    add_conv3x3(x + c * pixels, height, width, weight + c * 9, out + c * pixels);
  }
}

double oracle_gelu(double x) {
  return x / 2 * (1 + erf(x / sqrt(2)));
}

void oracle_gate(const double *x, size_t hidden, size_t pixels, double *out) {
  for (size_t i = 0; i < hidden * pixels; i++) out[i] = oracle_gelu(x[i]) * x[hidden * pixels + i];
}

/* The inner product of two channels over a window. */
static double inner(const double *a, const double *b, size_t map_width, oracle_window window) {
  double sum = 0;
  for (size_t y = window.top; y < window.top + window.height; y++)
    for (size_t x = window.left; x < window.left + window.width; x++)
      sum += a[y * map_width + x] * b[y * map_width + x];
  return sum;
}

void oracle_softmax(double *row, size_t count) {
  double largest = row[0], sum = 0;
  for (size_t j = 1; j < count; j++) largest = fmax(largest, row[j]);
  for (size_t j = 0; j < count; j++) sum += row[j] = exp(row[j] - largest);
  for (size_t j = 0; j < count; j++) row[j] /= sum;
}

void oracle_attention_matrix(const double *q, const double *k, size_t channels, size_t heads, size_t height,
                             size_t width, const double *temperature, oracle_window window, double *out) {
  const size_t d = channels / heads, pixels = height * width;
  for (size_t head = 0; head < heads; head++)
    for (size_t i = 0; i < d; i++) {
      const double *q_row = q + (head * d + i) * pixels;
      double *row = out + (head * d + i) * d;
      const double q_norm = fmax(sqrt(inner(q_row, q_row, width, window)), 1e-12);
      for (size_t j = 0; j < d; j++) {
        const double *k_row = k + (head * d + j) * pixels;
        const double k_norm = fmax(sqrt(inner(k_row, k_row, width, window)), 1e-12);
        row[j] = inner(q_row, k_row, width, window) / (q_norm * k_norm) * temperature[head];
      }
      oracle_softmax(row, d);
    }
}

size_t oracle_window_starts(size_t length, size_t window, size_t *starts) {
  const size_t side = window == 0 || window > length ? length : window;
  const size_t n = (length + side - 1) / side;
  const size_t step = n == 1 ? side : (length - side + n - 2) / (n - 1);
  for (size_t i = 0;; i++) {
    starts[i] = i * step;
    if (starts[i] + side < length) continue;
    starts[i] = length - side;
    return i + 1;
  }
}

/* Adds A v to `out` and 1 to `holders` at the pixels of one window. */
static void add_window(const double *matrix, const double *v, size_t channels, size_t heads, size_t height,
                       size_t width, oracle_window window, double *out, double *holders) {
  const size_t d = channels / heads;
  for (size_t y = window.top; y < window.top + window.height; y++)
    for (size_t x = window.left; x < window.left + window.width; x++) {
      for (size_t c = 0; c < channels; c++)
        for (size_t j = 0; j < d; j++)
          out[(c * height + y) * width + x] +=
              matrix[c * d + j] * v[((c / d * d + j) * height + y) * width + x];
      holders[y * width + x] += 1;
    }
}

void oracle_attention(const double *q, const double *k, const double *v, size_t channels, size_t heads,
                      size_t height, size_t width, const double *temperature, size_t window, double *out) {
  const size_t pixels = height * width;
  double *matrix = oracle_alloc(channels * (channels / heads)), *holders = oracle_alloc(pixels);
  size_t *tops = calloc(height, sizeof *tops), *lefts = calloc(width, sizeof *lefts);
  if (tops == NULL || lefts == NULL) abort();
  const size_t rows = oracle_window_starts(height, window, tops);
  const size_t columns = oracle_window_starts(width, window, lefts);
  oracle_window at = {0};
  at.height = window == 0 || window > height ? height : window;
  at.width = window == 0 || window > width ? width : window;
  for (size_t i = 0; i < channels * pixels; i++) out[i] = 0;
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < columns; c++) {
      at.top = tops[r];
      at.left = lefts[c];
      oracle_attention_matrix(q, k, channels, heads, height, width, temperature, at, matrix);
      add_window(matrix, v, channels, heads, height, width, at, out, holders);
    }
  for (size_t i = 0; i < channels * pixels; i++) out[i] /= holders[i % pixels];
  free(matrix);
  free(holders);
  free(tops);
  free(lefts);
}

void oracle_pixel_unshuffle(const double *x, size_t channels, size_t height, size_t width, double *out) {
  const size_t h = height / 2, w = width / 2;
  for (size_t c = 0; c < channels; c++)
    for (size_t y = 0; y < height; y++)
      for (size_t column = 0; column < width; column++) {
        const size_t to = 4 * c + 2 * (y % 2) + column % 2;
        out[(to * h + y / 2) * w + column / 2] = x[(c * height + y) * width + column];
      }
}

void oracle_pixel_shuffle(const double *x, size_t channels, size_t height, size_t width, double *out) {
  for (size_t c = 0; c < channels / 4; c++)
    for (size_t y = 0; y < 2 * height; y++)
      for (size_t column = 0; column < 2 * width; column++) {
        const size_t from = 4 * c + 2 * (y % 2) + column % 2;
        out[(c * 2 * height + y) * 2 * width + column] = x[(from * height + y / 2) * width + column / 2];
      }
}

/* The value at fractional index `at` of `count` values; beyond the ends, that of the end. */
static double between(const double *x, size_t count, double at) {
  const double inside = fmin(fmax(at, 0), (double)(count - 1)), share = inside - floor(inside);
  const double *first = x + (size_t)inside;
  return share == 0 ? first[0] : (1 - share) * first[0] + share * first[1];
}

void oracle_resize(const double *x, size_t channels, size_t height, size_t width, size_t out_height,
                   size_t out_width, double *out) {
  double *column = oracle_alloc(height);
  for (size_t c = 0; c < channels; c++)
    for (size_t i = 0; i < out_width; i++) {
      const double at = ((double)i + 0.5) * (double)width / (double)out_width - 0.5;
      for (size_t y = 0; y < height; y++) column[y] = between(x + (c * height + y) * width, width, at);
      for (size_t y = 0; y < out_height; y++)
        out[(c * out_height + y) * out_width + i] =
            between(column, height, ((double)y + 0.5) * (double)height / (double)out_height - 0.5);
    }
  free(column);
}

size_t oracle_reflect(size_t i, size_t length) {
  if (length == 1) return 0;
  const size_t period = 2 * (length - 1), r = i % period;
  return r < length ? r : period - r;
}
