/* rst_weights_convert: checkpoint in, manifest and safetensors out. */
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/text.h"
#include "weights/checkpoint/checkpoint.h"
#include "weights/checkpoint/state_dict.h"
#include "weights/writer.h"

typedef struct conversion {
  rst_checkpoint checkpoint;
  rst_state_dict dict;
  rst_architecture architecture;
  rst_tensor_spec *specs;
  const rst_tensor_view **views; /* of specs */
  size_t count;
} conversion;

/* ---- Values ------------------------------------------------------------------------------------- */

static bool is_contiguous(const rst_tensor_view *view) {
  size_t step = 1;
  for (size_t i = view->ndim; i-- > 0;) {
    if (view->size[i] != 1 && view->stride[i] != step) return false;
    step *= view->size[i];
  }
  return true;
}

/* Where element `index` in C order lies, in elements from the tensor's first. */
static size_t place_of(const rst_tensor_view *view, size_t index) {
  size_t place = 0;
  for (size_t i = view->ndim; i-- > 0;) {
    place += index % view->size[i] * view->stride[i];
    index /= view->size[i];
  }
  return place;
}

static rst_status read_values(void *user, size_t index, const rst_tensor_spec *spec, size_t first,
                              size_t count, float *out, rst_error *err) {
  (void)spec;
  conversion *c = user;
  const rst_tensor_view *view = c->views[index];
  const uint8_t *data;
  rst_status status = rst_checkpoint_data(&c->checkpoint, view->storage, &data, err);
  if (status != RST_OK) return status;
  size_t size = rst_dtype_size(view->dtype);
  data += view->start + view->offset * size;
  if (is_contiguous(view)) {
    rst_decode(view->dtype, data + first * size, count, out);
    return RST_OK;
  }
  for (size_t i = 0; i < count; i++)
    rst_decode(view->dtype, data + place_of(view, first + i) * size, 1, &out[i]);
  return RST_OK;
}

/* ---- Options ------------------------------------------------------------------------------------ */

static rst_status parse_dtype(const char *name, rst_dtype *dtype, rst_error *err) {
  static const struct {
    const char *name;
    rst_dtype dtype;
  } names[] = {{"f32", RST_DTYPE_F32}, {"f16", RST_DTYPE_F16}, {"bf16", RST_DTYPE_BF16}};
  for (size_t i = 0; name != NULL && i < sizeof names / sizeof names[0]; i++)
    if (strcmp(name, names[i].name) == 0) {
      *dtype = names[i].dtype;
      return RST_OK;
    }
  return name == NULL ? RST_OK : rst_fail(err, RST_ERROR_USAGE, "dtype %s, expected f32, f16 or bf16", name);
}

/* F16 and BF16 when all tensors are, else F32. */
static rst_dtype usual_dtype(const conversion *c) {
  rst_dtype first = c->views[0]->dtype;
  for (size_t i = 1; i < c->count; i++)
    if (c->views[i]->dtype != first) return RST_DTYPE_F32;
  return first == RST_DTYPE_F64 ? RST_DTYPE_F32 : first;
}

/* The checkpoint must not be the file that is replaced. */
static rst_status check_output(const char *checkpoint, const char *output, rst_error *err) {
  struct stat a, b;
  rst_status status = rst_manifest_path_check(output, err);
  if (status != RST_OK) return status;
  if (stat(checkpoint, &a) == 0 && stat(output, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
    return rst_fail(err, RST_ERROR_USAGE, "%s: is the checkpoint itself, which would be overwritten", output);
  return RST_OK;
}

/* ---- Notices ------------------------------------------------------------------------------------ */

static void tell(const conversion *c, const rst_convert_options *options) {
  rst_error line;
  if (options->notice == NULL) return;
  const rst_network *taken = &c->dict.network, *other = &c->dict.other;
  if (other->dict != NULL) {
    rst_error_format(&line, "%s: takes the %sweights in %s, not those in %s", c->checkpoint.path,
                     taken->averaged ? "averaged " : "", rst_network_place(taken), rst_network_place(other));
    options->notice(options->user, line.message);
  } else if (taken->averaged) {
    rst_error_format(&line, "%s: takes the averaged weights in %s", c->checkpoint.path, taken->place);
    options->notice(options->user, line.message);
  }
  if (c->dict.left_out_count > 0) {
    rst_error_format(&line, "%s: leaves out %zu tensor%s beside the network: %.*s%s", c->checkpoint.path,
                     c->dict.left_out_count, c->dict.left_out_count == 1 ? "" : "s",
                     rst_text_shown(c->dict.left_out), c->dict.left_out.bytes,
                     c->dict.left_out_count == 1 ? "" : ", ...");
    options->notice(options->user, line.message);
  }
  const rst_architecture *a = &c->architecture;
  if (!a->residual && !a->dual_pixel && !options->no_residual) {
    rst_error_format(&line, "%s: %d channels in, %d out: taken for a network without the residual connection",
                     c->checkpoint.path, a->in_channels, a->out_channels);
    options->notice(options->user, line.message);
  }
}

/* ---- All of it ---------------------------------------------------------------------------------- */

/* Strides of 0 make a network of any size of a few bytes. */
static rst_status check_growth(const conversion *c, rst_error *err) {
  const size_t allowance = rst_checkpoint_allowance(&c->checkpoint);
  size_t parameters = 0; /* rst_state_dict_match has counted them: no overflow */
  for (size_t i = 0; i < c->count; i++) parameters += c->specs[i].elements;
  if (parameters <= allowance / sizeof(float)) return RST_OK;
  return rst_fail(err, RST_ERROR_WEIGHTS, "%s: %zu parameters, expected at most %zu in a file of %zu bytes",
                  c->checkpoint.path, parameters, allowance / sizeof(float), c->checkpoint.file.size);
}

static rst_status open_conversion(conversion *c, const char *path, const rst_convert_options *options,
                                  rst_error *err) {
  rst_status status = rst_checkpoint_open(path, options->cancelled, options->user, &c->checkpoint, err);
  if (status == RST_OK) status = rst_state_dict_find(c->checkpoint.root, path, &c->dict, err);
  if (status == RST_OK) status = rst_state_dict_architecture(&c->dict, path, &c->architecture, err);
  if (status == RST_OK)
    status = rst_state_dict_match(&c->dict, path, &c->architecture, &c->specs, &c->views, &c->count, err);
  if (options->no_residual) c->architecture.residual = false;
  return status == RST_OK ? check_growth(c, err) : status;
}

static void close_conversion(conversion *c) {
  rst_free(c->specs);
  rst_free(c->views);
  rst_state_dict_free(&c->dict);
  rst_checkpoint_close(&c->checkpoint);
}

/* Where the caller gives no name, it is the checkpoint's, without folder and ending. */
static rst_status default_name(const char *path, char **name, rst_error *err) {
  const char *slash = strrchr(path, '/');
  *name = rst_string_copy(slash != NULL ? slash + 1 : path);
  if (*name == NULL) return rst_fail_memory(err, "a name");
  char *dot = strrchr(*name, '.');
  if (dot != NULL && dot != *name) *dot = '\0';
  return RST_OK;
}

static rst_status write_conversion(conversion *c, const char *manifest_path,
                                   const rst_convert_options *options, rst_dtype dtype, rst_error *err) {
  char *name = NULL;
  rst_status status = options->name != NULL ? RST_OK : default_name(c->checkpoint.path, &name, err);
  if (status != RST_OK) return status;
  const char *derived = name != NULL && rst_is_utf8(name) ? name : NULL;
  rst_writing writing = {.where = c->checkpoint.path,
                         .manifest_path = manifest_path,
                         .architecture = &c->architecture,
                         .dtype = dtype,
                         .name = options->name != NULL ? options->name : derived,
                         .task = options->task,
                         .license = options->license,
                         .source = options->source,
                         .values = read_values,
                         .user = c,
                         .notice = options->notice,
                         .cancelled = options->cancelled,
                         .caller = options->user};
  status = rst_weights_write(&writing, err);
  rst_free(name);
  return status;
}

rst_status rst_weights_convert(const char *checkpoint_path, const char *manifest_path,
                               const rst_convert_options *options, rst_error *err) {
  rst_convert_options o;
  rst_convert_options_init(&o);
  rst_dtype dtype = RST_DTYPE_F32;
  rst_status status = rst_options_read(&o, sizeof o, options, "rst_convert_options", err);
  if (status == RST_OK) status = parse_dtype(o.dtype, &dtype, err);
  if (status == RST_OK) status = check_output(checkpoint_path, manifest_path, err);
  if (status != RST_OK) return status;
  conversion c = {0};
  status = open_conversion(&c, checkpoint_path, &o, err);
  if (status == RST_OK && o.dtype == NULL) dtype = usual_dtype(&c);
  if (status == RST_OK) tell(&c, &o);
  if (status == RST_OK) status = write_conversion(&c, manifest_path, &o, dtype, err);
  close_conversion(&c);
  return rst_end(err, status);
}
