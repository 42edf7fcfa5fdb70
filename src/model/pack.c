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
    bad |= (bits & 0x7f800000) == 0x7f800000;
  }
  return bad == 0;
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

/* Transposes 16 rows of `length` into a panel. */
static void pack_panel(const float *rows, size_t length, const ptrdiff_t *present, const ptrdiff_t *ks,
                       size_t k, bool bf16, void *panel) {
  float *out = panel;
  uint16_t *half = panel;
  for (size_t i = 0; i < k; i++) {
    float column[RST_GROUP] = {0};
    if (ks[i] != RST_NO_SOURCE)
      for (size_t c = 0; c < RST_GROUP; c++)
        if (present[c] != RST_NO_SOURCE) column[c] = rows[c * length + (size_t)ks[i]];
    if (!bf16) {
      memcpy(out + i * RST_GROUP, column, sizeof column);
    } else {
      /* Pairs of k side by side: see rst_gemm. */
      uint16_t *pair = half + i / 2 * 2 * RST_GROUP + i % 2;
      for (size_t c = 0; c < RST_GROUP; c++) pair[2 * c] = rst_f32_to_bf16(column[c]);
    }
  }
}

static void fold_row(float *row, size_t length, const rst_fold *fold, float *bias) {
  if (fold->bias != NULL) {
    double sum = 0;
    for (size_t i = 0; i < length; i++) sum += (double)row[i] * (double)fold->bias[i];
    *bias = (float)((double)*bias + sum);
  }
  for (size_t i = 0; i < length; i++) row[i] *= fold->weight[i];
}

rst_status rst_pack_linear(const char *path, const rst_tensor *tensor, const rst_tensor *tensor_bias,
                           rst_matrix_map map, const rst_fold *fold, bool bf16, size_t k, size_t panels,
                           void *w, float *bias, rst_error *err) {
  const size_t length = tensor->elements / tensor->shape[0];
  const size_t panel_bytes = k * RST_GROUP * (bf16 ? sizeof(uint16_t) : sizeof(float));
  float *rows = rst_alloc_zeroed(length, RST_GROUP * sizeof *rows);
  if (rows == NULL) return rst_fail_memory(err, "packing weights");
  rst_status status = RST_OK;
  for (size_t p = 0; p < panels && status == RST_OK; p++) {
    const ptrdiff_t *present = map.rows + p * RST_GROUP;
    for (size_t c = 0; c < RST_GROUP && status == RST_OK; c++) {
      float b = 0;
      if (present[c] != RST_NO_SOURCE) {
        const size_t source = (size_t)present[c];
        status = read_checked(path, tensor, source * length, length, rows + c * length, err);
        if (status == RST_OK && tensor_bias != NULL)
          status = read_checked(path, tensor_bias, source, 1, &b, err);
        if (status == RST_OK && fold != NULL) fold_row(rows + c * length, length, fold, &b);
      }
      if (bias != NULL) bias[p * RST_GROUP + c] = b;
    }
    pack_panel(rows, length, present, map.ks, k, bf16, (uint8_t *)w + p * panel_bytes);
  }
  rst_free(rows);
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
