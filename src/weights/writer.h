/* writer.h - writes a manifest and its safetensors file. */
#ifndef RST_WEIGHTS_WRITER_H
#define RST_WEIGHTS_WRITER_H

#include "weights/weights.h"

/* Fills out[0..count) with the elements [first, first + count) of tensor `index` of rst_architecture_tensors,
 * in C order. Tensors are asked for in that order, each from its first element to its last, in pieces; and
 * then all of them once more, which must give the same. */
typedef rst_status (*rst_tensor_values)(void *user, size_t index, const rst_tensor_spec *spec, size_t first,
                                        size_t count, float *out, rst_error *err);

typedef struct rst_writing {
  const char *where;         /* begins messages about values: the file that they come from */
  const char *manifest_path; /* ends in .json */
  const rst_architecture *architecture;
  rst_dtype dtype;                            /* of all tensors in the file */
  const char *name, *task, *license, *source; /* UTF-8; NULL: left out */
  rst_tensor_values values;
  void *user;                                        /* passed to values */
  void (*notice)(void *caller, const char *message); /* may be NULL: one line on what the files are called */
  bool (*cancelled)(void *caller);                   /* may be NULL */
  void *caller;                                      /* passed to both */
} rst_writing;

/* Writes both files. The tensors go beside the manifest, into NAME.safetensors or, where a file of that name
 * has other contents, into NAME-HASH.safetensors; they are complete before the manifest takes its name, and
 * no file with other contents is overwritten: whenever this ends, the manifest that was there before or the
 * new one is there, each with its tensors. A value that is not finite or does not fit the type is
 * RST_ERROR_WEIGHTS; a manifest path or a text that cannot be used is RST_ERROR_USAGE; also RST_ERROR_OUTPUT,
 * RST_ERROR_MEMORY, RST_CANCELLED and what `values` returns. */
rst_status rst_weights_write(const rst_writing *writing, rst_error *err);

/* RST_ERROR_USAGE when `path` cannot be that of a manifest to write. */
rst_status rst_manifest_path_check(const char *path, rst_error *err);

#endif
