/* writer.h - writes a manifest and its safetensors file. */
#ifndef RST_WEIGHTS_WRITER_H
#define RST_WEIGHTS_WRITER_H

#include "weights/weights.h"

/* Fills out[0..count) with the elements [first, first + count) of tensor `index` of rst_architecture_tensors,
 * in C order. Tensors are asked for in that order, each from its first element to its last, in pieces. */
typedef rst_status (*rst_tensor_values)(void *user, size_t index, const rst_tensor_spec *spec, size_t first,
                                        size_t count, float *out, rst_error *err);

typedef struct rst_writing {
  const char *where; /* begins messages about values: the file that they come from */
  const char
      *manifest_path; /* ends in .json; the tensors go beside it, into the same name with .safetensors */
  const rst_architecture *architecture;
  rst_dtype dtype;                            /* of all tensors in the file */
  const char *name, *task, *license, *source; /* UTF-8; NULL: left out */
  rst_tensor_values values;
  void *user; /* passed to values */
} rst_writing;

/* Writes both files. They appear when both are complete, tensors first; when that fails, files of these names
 * that were there before are as they were, as long as the system can rename a complete temporary file onto
 * its path. A value that is not finite or does not fit the type is RST_ERROR_WEIGHTS; a manifest path or a
 * text that cannot be used is RST_ERROR_USAGE; also RST_ERROR_OUTPUT, RST_ERROR_MEMORY and what `values`
 * returns. */
rst_status rst_weights_write(const rst_writing *writing, rst_error *err);

/* The path of the tensors that belong to a manifest; free with rst_free. RST_ERROR_USAGE when manifest_path
 * does not end in .json, RST_ERROR_MEMORY. */
rst_status rst_tensors_path(const char *manifest_path, char **tensors_path, rst_error *err);

/* True when all of the text is valid UTF-8, as JSON has to be. */
bool rst_is_utf8(const char *text);

#endif
