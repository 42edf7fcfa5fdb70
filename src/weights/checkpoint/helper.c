/* Checkpoints in a helper process without rights (src/sandbox): it takes them apart as the process itself
 * would, and sends the architecture and, in their order and once for each of the writer's two passes, the
 * values. */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "weights/checkpoint/conversion.h"

enum { NOTICE, NETWORK, VALUES }; /* kinds of records */
enum { PASSES = 2, PIECE = 16384 /* values */ };

typedef struct network {
  rst_architecture architecture;
  int32_t dtype;
} network;

/* ---- In the helper ------------------------------------------------------------------------------ */

static void send_notice(void *user, const char *message) {
  rst_sandbox_send(user, NOTICE, message, strlen(message));
}

static rst_status send_tensor(rst_conversion *c, size_t index, rst_sandbox *sandbox, rst_error *err) {
  float values[PIECE];
  const rst_tensor_spec *spec = &c->specs[index];
  for (size_t first = 0; first < spec->elements; first += PIECE) {
    const size_t count = rst_min(spec->elements - first, PIECE);
    rst_status status = c->values(c, index, spec, first, count, values, err);
    if (status != RST_OK) return status;
    if (!rst_sandbox_send(sandbox, VALUES, values, count * sizeof *values)) return RST_CANCELLED;
  }
  return RST_OK;
}

static rst_status take_apart(void *user, rst_sandbox *sandbox, rst_error *err) {
  rst_conversion *c = user;
  c->options.notice = c->options.notice != NULL ? send_notice : NULL;
  c->options.user = sandbox;
  c->options.cancelled = c->checkpoint.pickle.cancelled =
      NULL; /* the caller's process asks it, and kills this one */
  rst_status status = rst_conversion_read(c, err);
  if (status != RST_OK) return status;
  const network found = {c->architecture, (int32_t)c->dtype};
  if (!rst_sandbox_send(sandbox, NETWORK, &found, sizeof found)) return RST_CANCELLED;
  for (int pass = 0; pass < PASSES; pass++)
    for (size_t i = 0; i < c->count && status == RST_OK; i++) status = send_tensor(c, i, sandbox, err);
  return status;
}

/* ---- In the caller's process -------------------------------------------------------------------- */

static rst_status complain(const rst_conversion *c, rst_error *err) {
  return rst_fail(err, RST_ERROR_WEIGHTS, "%s: its decoder gives a network that makes no sense",
                  c->checkpoint.path);
}

static void take_notice(const rst_conversion *c, const rst_sandbox_record *record) {
  rst_error line; /* which makes it printable, and of bounded length */
  rst_error_format(&line, "%.*s", (int)record->size, (const char *)record->data);
  c->options.notice(c->options.user, line.message);
}

/* Bytes that are no bool must not be read as one. */
static bool are_bools(const void *bytes, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (((const unsigned char *)bytes)[i] > 1) return false;
  return true;
}

static rst_status take_network(rst_conversion *c, const rst_sandbox_record *record, rst_error *err) {
  network found;
  rst_architecture *a = &found.architecture;
  if (record->kind != NETWORK || record->size != sizeof found) return complain(c, err);
  memcpy(&found, record->data, sizeof found);
  if (!are_bools(a->attention, sizeof a->attention) || !are_bools(&a->bias, sizeof a->bias) ||
      !are_bools(&a->norm_bias, sizeof a->norm_bias) || !are_bools(&a->dual_pixel, sizeof a->dual_pixel) ||
      !are_bools(&a->residual, sizeof a->residual))
    return complain(c, err);
  if (found.dtype != RST_DTYPE_F32 && found.dtype != RST_DTYPE_F16 && found.dtype != RST_DTYPE_BF16)
    return complain(c, err);
  c->architecture = *a;
  c->dtype = (rst_dtype)found.dtype;
  return rst_architecture_check(a, c->checkpoint.path, err);
}

static rst_status take_values(void *user, size_t index, const rst_tensor_spec *spec, size_t first,
                              size_t count, float *out, rst_error *err) {
  (void)index, (void)spec, (void)first; /* all in order */
  rst_conversion *c = user;
  for (size_t got = 0; got < count;) {
    if (c->left == 0) {
      rst_sandbox_record record;
      bool more;
      rst_status status = rst_sandbox_next(c->helper, &record, &more, err);
      if (status != RST_OK) return status;
      if (!more || record.kind != VALUES || record.size % sizeof *out != 0 || record.size == 0)
        return complain(c, err);
      c->at = record.data;
      c->left = record.size / sizeof *out;
    }
    const size_t n = rst_min(count - got, c->left);
    memcpy(out + got, c->at, n * sizeof *out);
    c->at += n * sizeof *out;
    c->left -= n;
    got += n;
  }
  return RST_OK;
}

rst_status rst_conversion_read_isolated(rst_conversion *c, rst_error *err) {
  enum { LEAST_SECONDS = 60, BYTES_PER_SECOND = 1 << 20 }; /* a slow processor */
  const size_t pickles = 512 << 20, storage = (size_t)1 << 31;
  const rst_sandbox_options options = {
      .name = c->checkpoint.path,
      .status = RST_ERROR_WEIGHTS,
      .memory = (uint64_t)pickles + rst_min(rst_checkpoint_allowance(&c->checkpoint), storage),
      .seconds = LEAST_SECONDS + (unsigned)(c->checkpoint.file.size / BYTES_PER_SECOND),
      .idle = LEAST_SECONDS,
      .cancelled = c->options.cancelled,
      .user = c->options.user};
  rst_sandbox_record record;
  bool more = false;
  rst_status status = rst_sandbox_start(&options, take_apart, c, &c->helper, err);
  do {
    if (status == RST_OK) status = rst_sandbox_next(c->helper, &record, &more, err);
    if (status != RST_OK) return status;
    if (more && record.kind == NOTICE && c->options.notice != NULL) take_notice(c, &record);
  } while (more && record.kind == NOTICE);
  if (!more) return complain(c, err);
  c->values = take_values;
  return take_network(c, &record, err);
}
