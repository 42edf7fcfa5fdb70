/* rst_weights_convert: checkpoint in, manifest and safetensors out. */
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/text.h"
#include "weights/checkpoint/conversion.h"

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

/* The checkpoint must not be the file that is replaced. */
static rst_status check_output(const char *checkpoint, const char *output, rst_error *err) {
  struct stat a, b;
  rst_status status = rst_manifest_path_check(output, err);
  if (status != RST_OK) return status;
  if (stat(checkpoint, &a) == 0 && stat(output, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
    return rst_fail(err, RST_ERROR_USAGE, "%s: is the checkpoint itself, which would be overwritten", output);
  return RST_OK;
}

/* ---- All of it ---------------------------------------------------------------------------------- */

/* Strides of 0 make a network of any size of a few bytes. */
static rst_status check_growth(const rst_conversion *c, rst_error *err) {
  const size_t allowance = rst_checkpoint_allowance(&c->checkpoint);
  rst_tensor_spec *specs;
  size_t count, parameters = 0;
  rst_status status = rst_architecture_tensors(&c->architecture, &specs, &count, err);
  if (status != RST_OK) return status;
  for (size_t i = 0; i < count; i++)
    if (!rst_add(parameters, specs[i].elements, &parameters)) parameters = SIZE_MAX;
  rst_free(specs);
  if (parameters <= allowance / sizeof(float)) return RST_OK;
  return rst_fail(err, RST_ERROR_WEIGHTS, "%s: %zu parameters, expected at most %zu in a file of %zu bytes",
                  c->checkpoint.path, parameters, allowance / sizeof(float), c->checkpoint.file.size);
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

static rst_status write_conversion(rst_conversion *c, const char *manifest_path, rst_dtype dtype,
                                   rst_error *err) {
  const rst_convert_options *options = &c->options;
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
                         .values = c->values,
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
  rst_conversion c = {.options = o};
  status = rst_checkpoint_load(checkpoint_path, o.cancelled, o.user, &c.checkpoint, err);
  if (status != RST_OK) return status;
  const bool isolated = o.sandbox && rst_sandbox_available();
  status = isolated ? rst_conversion_read_isolated(&c, err) : rst_conversion_read(&c, err);
  if (status == RST_OK) status = check_growth(&c, err);
  if (status == RST_OK) status = write_conversion(&c, manifest_path, o.dtype == NULL ? c.dtype : dtype, err);
  rst_conversion_close(&c);
  return rst_end(err, status);
}
