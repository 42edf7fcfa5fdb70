/* checkpoint.h - the files that weights come in: PyTorch's zip form, its older plain form, and safetensors.
 */
#ifndef RST_WEIGHTS_CHECKPOINT_CHECKPOINT_H
#define RST_WEIGHTS_CHECKPOINT_CHECKPOINT_H

#include "base/file.h"
#include "weights/checkpoint/pickle.h"
#include "weights/safetensors.h"

typedef struct rst_checkpoint {
  const char *path; /* the caller's */
  rst_contents file;
  rst_pickle pickle;     /* all values */
  const rst_value *root; /* what the checkpoint holds; of safetensors, a dict of its tensors */
  rst_safetensors safetensors;
  struct zip *zip;           /* NULL unless it is one */
  char *folder;              /* that all its records are in, with the slash, or "" */
  uint8_t *program;          /* data.pkl of a zip */
  const rst_storage *loaded; /* the one in loaded_data, read from a zip */
  uint8_t *loaded_data;
  size_t inflated; /* bytes of records read from a zip so far */
} rst_checkpoint;

/* Reads the file into memory, and looks at nothing yet. `cancelled`, which may be NULL, is asked every now
 * and then, here and below, and given `user`: true ends the reading with RST_CANCELLED. Also
 * RST_ERROR_WEIGHTS or RST_ERROR_MEMORY, with nothing left to close. */
rst_status rst_checkpoint_load(const char *path, bool (*cancelled)(void *user), void *user,
                               rst_checkpoint *checkpoint, rst_error *err);
/* Fills in the root of a loaded checkpoint, whose form is told by its content. The same errors; it is closed
 * by the caller. */
rst_status rst_checkpoint_parse(rst_checkpoint *checkpoint, rst_error *err);
void rst_checkpoint_close(rst_checkpoint *checkpoint);

/* The storage->bytes bytes of a storage; valid until the next call. */
rst_status rst_checkpoint_data(rst_checkpoint *checkpoint, const rst_storage *storage, const uint8_t **data,
                               rst_error *err);

/* Bytes that a checkpoint may become when it is read, and its weights when they are written: in proportion to
 * the file. Deflated zeros, and views with strides of 0, can be any number of times as large. */
size_t rst_checkpoint_allowance(const rst_checkpoint *checkpoint);

/* ---- The three forms: each fills in the root of a loaded checkpoint --------------------------------- */

rst_status rst_checkpoint_open_zip(rst_checkpoint *checkpoint, rst_error *err);
rst_status rst_checkpoint_open_legacy(rst_checkpoint *checkpoint, rst_error *err);
rst_status rst_checkpoint_open_safetensors(rst_checkpoint *checkpoint, rst_error *err);

void rst_checkpoint_close_zip(rst_checkpoint *checkpoint);
/* Allocates *data. */
rst_status rst_checkpoint_read_zip(rst_checkpoint *checkpoint, const rst_storage *storage, uint8_t **data,
                                   rst_error *err);

#endif
