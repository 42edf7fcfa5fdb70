#include "model/pack.h"

#include <string.h>

#include "base/bfloat16.h"
#include "base/error.h"
#include "base/memory.h"

static bool finite_all(const float *v, size_t n) {
  uint32_t bad = 0;
  for (size_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, v + i, sizeof bits);
    bad |= (bits & 0x7f800000) + 0x00800000; /* the top bit where the exponent is all ones */
  }
  return bad >> 31 == 0;
}

static rst_status read_checked(const char *path, const rst_tensor *t, size_t first, size_t count, float *out,
                               rst_error *err) {
  rst_tensor_read(t, first, count, out);
  if (finite_all(out, count)) return RST_OK;
  return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %s: a value that is not finite", path, t->name);
}

rst_status rst_pack_vector(const char *path, const rst_tensor *tensor, float *out, rst_error *err) {
  return read_checked(path, tensor, 0, tensor->elements, out, err);
}

/* ---- Panels -------------------------------------------------------------------------------- */

/* How many k's of a panel are worked on at a time: they stay in the first-level cache. */
enum { K_BLOCK = 64, FOLD_AT_ONCE = 4 };

/* What becomes one panel: 16 rows as floats, a zero ahead of each, and their biases. */
typedef struct panel_source {
  float *rows;
  size_t pitch; /* from row to row */
  float bias[RST_GROUP];
} panel_source;

static rst_status read_rows(const char *path, const rst_tensor *tensor, const rst_tensor *tensor_bias,
                            const ptrdiff_t *present, panel_source *source, rst_error *err) {
  const size_t length = tensor->elements / tensor->shape[0];
  for (size_t c = 0; c < RST_GROUP; c++) {
    float *row = source->rows + c * source->pitch;
    source->bias[c] = 0;
    if (present[c] == RST_NO_SOURCE) {
      memset(row, 0, length * sizeof *row);
      continue;
    }
    const size_t index = (size_t)present[c];
    rst_status status = read_checked(path, tensor, index * length, length, row, err);
    if (status == RST_OK && tensor_bias != NULL)
      status = read_checked(path, tensor_bias, index, 1, &source->bias[c], err);
    if (status != RST_OK) return status;
  }
  return RST_OK;
}

/* block[i][c] = element ks[i] of row c; RST_NO_SOURCE is the zero ahead of the row. */
static void transpose(const panel_source *source, const ptrdiff_t *ks, size_t count,
                      float (*restrict block)[RST_GROUP]) {
  enum { ROWS = 8 }; /* whose addresses stay in registers */
  for (size_t c = 0; c < RST_GROUP; c += ROWS) {
    const float *row[ROWS];
    for (size_t j = 0; j < ROWS; j++) row[j] = source->rows + (c + j) * source->pitch;
    for (size_t i = 0; i < count; i++)
      for (size_t j = 0; j < ROWS; j++) block[i][c + j] = row[j][ks[i]];
  }
}

/* Folds into `count` k's of a block (a constant to the callers); adds what they have for the bias to sums. */
static inline void fold_some(const rst_fold *fold, const ptrdiff_t *ks, size_t count,
                             float (*restrict block)[RST_GROUP], double *restrict sums) {
  float weight[FOLD_AT_ONCE];
  double bias[FOLD_AT_ONCE];
  for (size_t i = 0; i < count; i++) {
    const bool padding = ks[i] == RST_NO_SOURCE;
    weight[i] = padding ? 0 : fold->weight[ks[i]];
    bias[i] = padding || fold->bias == NULL ? 0 : (double)fold->bias[ks[i]];
  }
  for (size_t c = 0; c < RST_GROUP; c++) {
    double sum = sums[c];
    for (size_t i = 0; i < count; i++) {
      sum += (double)block[i][c] * bias[i];
      block[i][c] *= weight[i];
    }
    sums[c] = sum;
  }
}

/* Each column's sum runs over k in rising order. */
static void fold_block(const rst_fold *fold, const ptrdiff_t *ks, size_t count,
                       float (*restrict block)[RST_GROUP], double *restrict sums) {
  size_t i = 0;
  for (; i + FOLD_AT_ONCE <= count; i += FOLD_AT_ONCE) fold_some(fold, ks + i, FOLD_AT_ONCE, block + i, sums);
  for (; i < count; i++) fold_some(fold, ks + i, 1, block + i, sums);
}

/* Pairs of k side by side: see rst_gemm. */
static void round_block(float block[][RST_GROUP], size_t count, uint16_t *out) {
  for (size_t i = 0; i < count; i += 2, out += 2 * RST_GROUP)
    for (size_t c = 0; c < RST_GROUP; c++) {
      out[2 * c] = rst_f32_to_bf16(block[i][c]);
      out[2 * c + 1] = rst_f32_to_bf16(block[i + 1][c]);
    }
}

static void pack_panel(const panel_source *source, const rst_fold *fold, bool bf16, const rst_packed *to,
                       size_t panel) {
  void *w = (uint8_t *)to->w + panel * to->k * RST_GROUP * (bf16 ? sizeof(uint16_t) : sizeof(float));
  double sums[RST_GROUP] = {0};
  for (size_t first = 0; first < to->k; first += K_BLOCK) {
    float exact[K_BLOCK][RST_GROUP];
    float(*block)[RST_GROUP] = bf16 ? exact : (float(*)[RST_GROUP])w + first;
    const size_t count = to->k - first < K_BLOCK ? to->k - first : K_BLOCK;
    transpose(source, to->ks + first, count, block);
    if (fold != NULL) fold_block(fold, to->ks + first, count, block, sums);
    if (bf16) round_block(block, count, (uint16_t *)w + first * RST_GROUP);
  }
  if (to->bias == NULL) return;
  for (size_t c = 0; c < RST_GROUP; c++)
    to->bias[panel * RST_GROUP + c] =
        fold == NULL ? source->bias[c] : (float)((double)source->bias[c] + sums[c]);
}

rst_status rst_pack_linear(const char *path, const rst_tensor *tensor, const rst_tensor *tensor_bias,
                           const ptrdiff_t *rows, size_t panels, const rst_fold *fold, bool bf16,
                           const rst_packed *to, size_t count, rst_error *err) {
  const size_t pitch = tensor->elements / tensor->shape[0] + RST_GROUP;
  float *values = rst_alloc_zeroed(pitch, RST_GROUP * sizeof *values);
  if (values == NULL) return rst_fail_memory(err, "packing weights");
  panel_source source = {.rows = values + RST_GROUP, .pitch = pitch};
  rst_status status = RST_OK;
  for (size_t p = 0; p < panels && status == RST_OK; p++) {
    status = read_rows(path, tensor, tensor_bias, rows + p * RST_GROUP, &source, err);
    for (size_t i = 0; i < count && status == RST_OK; i++) pack_panel(&source, fold, bf16, &to[i], p);
  }
  rst_free(values);
  rst_tensor_release(tensor);
  return status;
}

rst_status rst_pack_depthwise(const char *path, const rst_tensor *tensor, const rst_tensor *tensor_bias,
                              const ptrdiff_t *rows, size_t columns, float *weights, float *bias,
                              rst_error *err) {
  for (size_t c = 0; c < columns; c++) {
    float taps[RST_TAPS] = {0}, b = 0;
    if (rows[c] != RST_NO_SOURCE) {
      rst_status status = read_checked(path, tensor, (size_t)rows[c] * RST_TAPS, RST_TAPS, taps, err);
      if (status == RST_OK && tensor_bias != NULL)
        status = read_checked(path, tensor_bias, (size_t)rows[c], 1, &b, err);
      if (status != RST_OK) return status;
    }
    float *group = weights + c / RST_GROUP * RST_TAPS * RST_GROUP + c % RST_GROUP;
    for (size_t t = 0; t < RST_TAPS; t++) group[t * RST_GROUP] = taps[t];
    bias[c] = b;
  }
  return RST_OK;
}
