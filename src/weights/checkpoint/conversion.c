/* A checkpoint taken apart: which network, which architecture, which values. */
#include "weights/checkpoint/conversion.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"

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
  rst_conversion *c = user;
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

static rst_dtype usual_dtype(const rst_conversion *c) {
  rst_dtype first = c->views[0]->dtype;
  for (size_t i = 1; i < c->count; i++)
    if (c->views[i]->dtype != first) return RST_DTYPE_F32;
  return first == RST_DTYPE_F64 ? RST_DTYPE_F32 : first;
}

/* ---- Notices ------------------------------------------------------------------------------------ */

static void tell(const rst_conversion *c) {
  rst_error line;
  const rst_convert_options *options = &c->options;
  const char *path = c->checkpoint.path;
  if (options->notice == NULL) return;
  const rst_network *taken = &c->dict.network, *other = &c->dict.other;
  if (other->dict != NULL) {
    rst_error_format(&line, "%s: takes the %sweights in %s, not those in %s", path,
                     taken->averaged ? "averaged " : "", rst_network_place(taken), rst_network_place(other));
    options->notice(options->user, line.message);
  } else if (taken->averaged) {
    rst_error_format(&line, "%s: takes the averaged weights in %s", path, taken->place);
    options->notice(options->user, line.message);
  }
  if (c->dict.left_out_count > 0) {
    rst_error_format(&line, "%s: leaves out %zu tensor%s beside the network: %.*s%s", path,
                     c->dict.left_out_count, c->dict.left_out_count == 1 ? "" : "s",
                     rst_text_shown(c->dict.left_out), c->dict.left_out.bytes,
                     c->dict.left_out_count == 1 ? "" : ", ...");
    options->notice(options->user, line.message);
  }
  const rst_architecture *a = &c->architecture;
  if (!a->residual && !a->dual_pixel && !options->no_residual) {
    rst_error_format(&line, "%s: %d channels in, %d out: taken for a network without the residual connection",
                     path, a->in_channels, a->out_channels);
    options->notice(options->user, line.message);
  }
}

/* ---- All of it ---------------------------------------------------------------------------------- */

rst_status rst_conversion_read(rst_conversion *c, rst_error *err) {
  const char *path = c->checkpoint.path;
  rst_status status = rst_checkpoint_parse(&c->checkpoint, err);
  if (status == RST_OK) status = rst_state_dict_find(c->checkpoint.root, path, &c->dict, err);
  if (status == RST_OK) status = rst_state_dict_architecture(&c->dict, path, &c->architecture, err);
  if (status == RST_OK)
    status = rst_state_dict_match(&c->dict, path, &c->architecture, &c->specs, &c->views, &c->count, err);
  if (status != RST_OK) return status;
  if (c->options.no_residual) c->architecture.residual = false;
  c->dtype = usual_dtype(c);
  c->values = read_values;
  tell(c);
  return RST_OK;
}

void rst_conversion_close(rst_conversion *c) {
  rst_sandbox_stop(c->helper);
  rst_free(c->specs);
  rst_free(c->views);
  rst_state_dict_free(&c->dict);
  rst_checkpoint_close(&c->checkpoint);
}
