/* safetensors.h - reads a safetensors file in place: 8 bytes with the length of the header, the header in
 * JSON, the tensors' bytes. https://huggingface.co/docs/safetensors */
#ifndef RST_WEIGHTS_SAFETENSORS_H
#define RST_WEIGHTS_SAFETENSORS_H

#include "base/file.h"
#include "base/sha256.h"
#include "weights/weights.h"

#define RST_ANY_BYTES UINT64_MAX
#define RST_DATA_SHA256 \
  "data_sha256" /* key of the metadata, and of a manifest's file: the SHA-256 of the data */

typedef enum rst_safetensors_kind {
  RST_SAFETENSORS_WEIGHTS, /* of a manifest: F32, F16 and BF16 only, up to RST_TENSOR_DIMS dimensions */
  RST_SAFETENSORS_ANY      /* a checkpoint: any type, unknown ones as RST_DTYPE_BYTES, of any dimensions */
} rst_safetensors_kind;

typedef struct rst_safetensors {
  char *path;
  rst_mapping mapping; /* the whole file; the tensors' data point into it */
  rst_tensor *tensors; /* in the order of their data, which need not be aligned */
  size_t count;
  rst_safetensors_kind kind;
  char data_sha256[RST_SHA256_HEX]; /* what the metadata says, "" when that is nothing */
  char *names;                      /* the tensors' names, one after the other */
} rst_safetensors;

/* Maps the file and checks all of the header: every range inside the file and as long as dtype and shape say,
 * no overlap, no gap, no name twice, nothing unknown. The values are not looked at. `bytes` is the size that
 * the file must have, or RST_ANY_BYTES. RST_ERROR_WEIGHTS or RST_ERROR_MEMORY, with `file` zeroed. */
rst_status rst_safetensors_open(const char *path, uint64_t bytes, rst_safetensors_kind kind,
                                rst_safetensors *file, rst_error *err);
void rst_safetensors_close(rst_safetensors *file); /* a zeroed one is allowed */

#endif
