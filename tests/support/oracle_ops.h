/* oracle_ops.h - the pieces of the network, one by one, in plain float64: what the kernels are compared with.
 *
 * Written from the formulas, as clear as possible and never tuned. Maps are planar: x[(c * height + y) *
 * width + x], or x[c * pixels + p] where the place of a pixel does not matter. `out` must not overlap an
 * input unless said so. Weights have the state dict's layout. There is nothing to fail but memory, and that
 * aborts. */
#ifndef TESTS_SUPPORT_ORACLE_OPS_H
#define TESTS_SUPPORT_ORACLE_OPS_H

#include <stddef.h>

/* count zeroed doubles; free with free(). Aborts when there is no memory. */
double *oracle_alloc(size_t count);

/* Layer norm over the channels of each pixel, eps 1e-5, var the biased variance about the mean:
 * with a bias (x - mean) / sqrt(var + eps) * weight + bias; bias NULL is BiasFree: x / sqrt(var + eps) *
 * weight. */
void oracle_layer_norm(const double *x, size_t channels, size_t pixels, const double *weight,
                       const double *bias, double *out);

/* out[o][p] = bias[o] + sum_i weight[o][i] x[i][p]; bias may be NULL. */
void oracle_conv1x1(const double *x, size_t in_channels, size_t pixels, const double *weight,
                    const double *bias, size_t out_channels, double *out);

/* 3x3 with zero padding 1; weight [out][in][3][3]; bias may be NULL. */
void oracle_conv3x3(const double *x, size_t in_channels, size_t height, size_t width, const double *weight,
                    const double *bias, size_t out_channels, double *out);

/* Each channel by its own 3x3 with zero padding 1; weight [channels][3][3]; bias may be NULL. */
void oracle_dwconv3x3(const double *x, size_t channels, size_t height, size_t width, const double *weight,
                      const double *bias, double *out);

/* x/2 (1 + erf(x / sqrt 2)) */
double oracle_gelu(double x);

/* out[c][p] = gelu(x[c][p]) * x[hidden + c][p] for the `hidden` channels of either half. */
void oracle_gate(const double *x, size_t hidden, size_t pixels, double *out);

/* The d x d matrices of attention, d = channels / heads, out[head][i][j], over the pixels of one window:
 * softmax over j of temperature[head] * <q_i, k_j> / (max(|q_i|, 1e-12) max(|k_j|, 1e-12)).
 * The window is the rows top.. and columns left.. of maps that are `width` wide (and height * width apart).
 */
typedef struct oracle_window {
  size_t top, left, height, width;
} oracle_window;
void oracle_attention_matrix(const double *q, const double *k, size_t channels, size_t heads, size_t height,
                             size_t width, const double *temperature, oracle_window window, double *out);

/* Starts of the windows along an axis of `length` pixels, windows of min(length, window) pixels (all of it
 * when window is 0). Writes at most `length` starts, returns how many. */
size_t oracle_window_starts(size_t length, size_t window, size_t *starts);

/* A v, with A over the whole map (window 0) or, per window of `window` pixels, over that window, and then for
 * each pixel the mean over the windows that hold it. */
void oracle_attention(const double *q, const double *k, const double *v, size_t channels, size_t heads,
                      size_t height, size_t width, const double *temperature, size_t window, double *out);

/* out[4c + 2i + j][y][x] = x[c][2y + i][2x + j]; height and width are the input's and even. */
void oracle_pixel_unshuffle(const double *x, size_t channels, size_t height, size_t width, double *out);
/* The inverse: `channels`, a multiple of 4, `height` and `width` are the input's. */
void oracle_pixel_shuffle(const double *x, size_t channels, size_t height, size_t width, double *out);

/* The index inside 0..length-1 that position i >= 0 shows after reflection without repeating the edge, as
 * often as needed; a single pixel is repeated. */
size_t oracle_reflect(size_t i, size_t length);

/* Bilinear to another size, centres of pixels on centres of pixels; where it shrinks, no more than two pixels
 * of an axis are looked at. */
void oracle_resize(const double *x, size_t channels, size_t height, size_t width, size_t out_height,
                   size_t out_width, double *out);

/* row[0 .. count) becomes its softmax. */
void oracle_softmax(double *row, size_t count);

#endif
