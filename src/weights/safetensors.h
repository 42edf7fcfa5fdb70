/* safetensors.h - reads a safetensors file in place: 8 bytes with the length of the header, the header in
 * JSON, the tensors' bytes. https://huggingface.co/docs/safetensors */
#ifndef RST_WEIGHTS_SAFETENSORS_H
#define RST_WEIGHTS_SAFETENSORS_H

#include "base/input.h"
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
  rst_input input;      /* open when the file is */
  uint64_t size, begin; /* bytes of the file; where its data begin */
  rst_tensor *tensors;  /* in the order of their data, which need not be aligned */
  size_t count;
  rst_safetensors_kind kind;
  char data_sha256[RST_SHA256_HEX]; /* what the metadata says, "" when that is nothing */
  char *names;                      /* the tensors' names, one after the other */
} rst_safetensors;

/* Opens the file and checks all of the header: every range inside the file and as long as dtype and shape
 * say, no overlap, no gap, no name twice, nothing unknown. The values are not looked at. `bytes` is the size
 * that the file must have, or RST_ANY_BYTES. The tensors' data stay in the file. RST_ERROR_WEIGHTS or
 * RST_ERROR_MEMORY, with `file` zeroed. */
rst_status rst_safetensors_open(const char *path, uint64_t bytes, rst_safetensors_kind kind,
                                rst_safetensors *file, rst_error *err);
/* The same of a file in memory, where its tensors' data stay. */
rst_status rst_safetensors_scan(const char *path, const uint8_t *data, size_t size, rst_safetensors_kind kind,
                                rst_safetensors *file, rst_error *err);
void rst_safetensors_close(rst_safetensors *file); /* a zeroed one is allowed */

#endif
