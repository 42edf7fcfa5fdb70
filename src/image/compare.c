/* How different two pictures are: largest difference, PSNR and SSIM. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/image.h"

/* SSIM as in Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From Error Visibility to Structural
 * Similarity", IEEE TIP 2004: Gaussian window of 11 x 11 with sigma 1.5, normalised; K1 = 0.01, K2 = 0.03;
 * peak 1.0; population (co)variances; the mean over all windows that lie within the picture. */
enum { WINDOW = 11, MAPS = 5 };
#define SSIM_SIGMA 1.5
#define SSIM_C1 (0.01 * 0.01)
#define SSIM_C2 (0.03 * 0.03)

/* One channel of a picture as doubles with the peak at `unit`. */
typedef struct plane {
  const rst_image *image;
  rst_sample common; /* the sample type in which both pictures are compared */
  int channel;
} plane;

/* The larger type holds the values of the smaller exactly (times 257), or as a writer of PFM makes floats of
 * them. */
static double get_sample(const rst_image *p, rst_sample common, size_t i) {
  switch (p->sample) {
    case RST_SAMPLE_U8: {
      uint8_t v = ((const uint8_t *)p->samples)[i];
      return common == RST_SAMPLE_U8    ? v
             : common == RST_SAMPLE_U16 ? rst_u16_of_u8(v)
                                        : (double)rst_f32_of_u8(v);
    }
    case RST_SAMPLE_U16: {
      uint16_t v = ((const uint16_t *)p->samples)[i];
      return common == RST_SAMPLE_U16 ? v : (double)rst_f32_of_u16(v);
    }
    case RST_SAMPLE_F32:
      break;
  }
  return (double)((const float *)p->samples)[i];
}

static double peak_of(rst_sample common) {
  return common == RST_SAMPLE_U8 ? 255 : common == RST_SAMPLE_U16 ? 65535 : 1;
}

static double get_normalised(const plane *p, size_t x, size_t y) {
  size_t i = (y * p->image->width + x) * (size_t)p->image->channels + (size_t)p->channel;
  return get_sample(p->image, p->common, i) / peak_of(p->common);
}

/* ---- Largest difference and PSNR ----------------------------------------------------------- */

static void compare_samples(const rst_image *a, const rst_image *b, rst_sample common, rst_difference *d) {
  int channels = a->channels, colors = rst_color_channels(channels);
  size_t pixels = a->width * a->height;
  double largest = 0, squares = 0;
  for (size_t y = 0, i = 0; y < a->height; y++) {
    double row = 0; /* sums of rows keep the rounding small */
    for (size_t x = 0; x < a->width; x++)
      for (int c = 0; c < channels; c++, i++) {
        double va = get_sample(a, common, i), vb = get_sample(b, common, i);
        double difference = va == vb ? 0 : fabs(va - vb); /* equal infinities are equal */
        if (!isnan(largest) && !(difference <= largest)) largest = difference; /* a NaN comes in, and stays */
        if (c < colors) row += difference * difference;
      }
    squares += row;
  }
  double peak = peak_of(common), mse = squares / ((double)pixels * colors) / (peak * peak);
  d->max_difference = largest;
  d->psnr = mse == 0 ? (double)INFINITY : -10 * log10(mse);
}

/* ---- SSIM ---------------------------------------------------------------------------------- */

static void make_window(double window[WINDOW]) {
  const int centre = WINDOW / 2;
  double sum = 0;
  for (int i = 0; i < WINDOW; i++) {
    double x = i - centre;
    window[i] = exp(-x * x / (2 * SSIM_SIGMA * SSIM_SIGMA));
    sum += window[i];
  }
  for (int i = 0; i < WINDOW; i++) window[i] /= sum;
}

/* Row y of the maps a, b, a a, b b, a b, filtered horizontally: [MAPS][out_width]. `row` is [2][width]. */
static void filter_row(const plane *a, const plane *b, size_t y, const double window[WINDOW], double *row,
                       double *maps) {
  size_t width = a->image->width, n = width - WINDOW + 1;
  for (size_t x = 0; x < width; x++) {
    row[x] = get_normalised(a, x, y);
    row[width + x] = get_normalised(b, x, y);
  }
  for (size_t x = 0; x < n; x++) {
    double s[MAPS] = {0};
    for (size_t k = 0; k < WINDOW; k++) {
      double va = row[x + k], vb = row[width + x + k], w = window[k];
      s[0] += w * va;
      s[1] += w * vb;
      s[2] += w * va * va;
      s[3] += w * vb * vb;
      s[4] += w * va * vb;
    }
    for (size_t m = 0; m < MAPS; m++) maps[m * n + x] = s[m];
  }
}

/* The sum of the SSIM of a row of windows, whose filtered rows are ring[(first + k) % WINDOW]. */
static double sum_windows(const double *ring, size_t first, const double window[WINDOW], size_t n) {
  double sum = 0;
  for (size_t x = 0; x < n; x++) {
    double s[MAPS] = {0};
    for (size_t k = 0; k < WINDOW; k++) {
      const double *maps = ring + (first + k) % WINDOW * MAPS * n;
      for (size_t m = 0; m < MAPS; m++) s[m] += window[k] * maps[m * n + x];
    }
    double va = s[2] - s[0] * s[0], vb = s[3] - s[1] * s[1], vab = s[4] - s[0] * s[1];
    sum += (2 * s[0] * s[1] + SSIM_C1) * (2 * vab + SSIM_C2) /
           ((s[0] * s[0] + s[1] * s[1] + SSIM_C1) * (va + vb + SSIM_C2));
  }
  return sum;
}

static double plane_ssim(const plane *a, const plane *b, const double window[WINDOW], double *ring,
                         double *row) {
  size_t n = a->image->width - WINDOW + 1, height = a->image->height;
  double sum = 0;
  for (size_t y = 0; y < height; y++) {
    filter_row(a, b, y, window, row, ring + y % WINDOW * MAPS * n);
    if (y + 1 >= WINDOW) sum += sum_windows(ring, y + 1 - WINDOW, window, n);
  }
  return sum / (double)n / (double)(height - WINDOW + 1);
}

static rst_status compare_structure(const rst_image *a, const rst_image *b, rst_sample common, double *ssim,
                                    rst_error *err) {
  double window[WINDOW];
  int colors = rst_color_channels(a->channels);
  *ssim = (double)NAN;
  if (a->width < WINDOW || a->height < WINDOW) return RST_OK;
  double *ring = rst_alloc(a->width, WINDOW * MAPS * sizeof *ring),
         *row = rst_alloc(a->width, 2 * sizeof *row);
  rst_status status =
      ring == NULL || row == NULL ? rst_fail_memory(err, "the comparison of two pictures") : RST_OK;
  if (status == RST_OK) {
    make_window(window);
    *ssim = 0;
    for (int c = 0; c < colors; c++) {
      plane pa = {a, common, c}, pb = {b, common, c};
      *ssim += plane_ssim(&pa, &pb, window, ring, row) / colors;
    }
  }
  rst_free(row);
  rst_free(ring);
  return status;
}

rst_status rst_image_compare(const rst_image *a, const rst_image *b, rst_difference *difference,
                             rst_error *err) {
  *difference = (rst_difference){0};
  if (a->width != b->width || a->height != b->height)
    return rst_fail(err, RST_ERROR_INPUT, "the sizes differ: %zu x %zu and %zu x %zu", a->width, a->height,
                    b->width, b->height);
  if (a->channels != b->channels)
    return rst_fail(err, RST_ERROR_INPUT, "the numbers of channels differ: %d and %d", a->channels,
                    b->channels);
  rst_sample common = a->sample > b->sample ? a->sample : b->sample;
  rst_difference d = {0};
  rst_status status = compare_structure(a, b, common, &d.ssim, err);
  if (status != RST_OK) return status;
  compare_samples(a, b, common, &d);
  *difference = d;
  return rst_end(err, RST_OK);
}
