/* Pictures as users have them on networks as they were trained: grey on RGB and the other way round, alpha,
 * two views.
 *
 * The network sees one or two views of 1 or 3 channels and gives 1 or 3. A picture with as many colour
 * channels goes through in one run, read and written in place. A grey one on an RGB network is read as three
 * equal channels, and the mean of the three results is its grey. A colour one on a grey network takes a run
 * for each channel. A network that makes grey of colour, or colour of grey, takes one run, too. */
#include <math.h>
#include <string.h>

#include "base/budget.h"
#include "base/error.h"
#include "base/memory.h"
#include "image/image.h"
#include "model/session.h"
#include "restormer.h"

/* How a picture fits the model. */
typedef struct fit {
  int views;         /* 2: dual pixel */
  int view_channels; /* of each view that the network sees */
  int colors;        /* of the picture: 1 or 3 */
  int results;       /* channels that the network gives */
  int result_colors; /* of the restored picture */
  int runs;          /* 3: channel by channel */
  bool average;      /* three results become one grey */
} fit;

/* ---- Whether it fits ----------------------------------------------------------------------- */

static rst_status check_picture(const rst_image *image, const char *which, rst_error *err) {
  if (image->samples == NULL || image->width == 0 || image->height == 0 || image->channels < 1 ||
      image->channels > 4)
    return rst_fail(err, RST_ERROR_USAGE, "the %s picture is empty", which);
  if (image->sample != RST_SAMPLE_F32) return RST_OK;
  const float *samples = image->samples;
  size_t channels = (size_t)image->channels;
  for (size_t i = 0; i < image->width * image->height * channels; i++)
    if (!isfinite(samples[i]))
      return rst_fail(err, RST_ERROR_INPUT, "the %s picture has a sample that is not finite at (%zu, %zu)",
                      which, i / channels % image->width, i / channels / image->width);
  return RST_OK;
}

static fit fit_of(const rst_architecture *a, int channels) {
  fit p = {.views = a->dual_pixel ? 2 : 1, .colors = rst_color_channels(channels), .runs = 1};
  p.view_channels = a->in_channels / p.views;
  p.results = p.result_colors = a->out_channels;
  if (p.results != p.view_channels) return p;
  p.result_colors = p.colors;
  p.average = p.colors < p.view_channels;
  if (p.colors > p.view_channels) p.runs = p.colors;
  return p;
}

static bool is_picture(int channels) {
  return channels == 1 || channels == 3;
}

static rst_status check_fit(const rst_architecture *a, const rst_image *input, const rst_image *right, fit *p,
                            rst_error *err) {
  *p = fit_of(a, input->channels);
  if (p->view_channels * p->views != a->in_channels || !is_picture(p->view_channels) ||
      !is_picture(p->results) || (p->views == 2 && p->results != p->view_channels))
    return rst_fail(err, RST_ERROR_USAGE,
                    "the model makes %d channels of %d, but a picture is grey or RGB, beside its alpha: only "
                    "a program that fills the channels itself, with rst_restore, can run this model",
                    a->out_channels, a->in_channels);
  if (p->results != p->view_channels && p->colors > p->view_channels)
    return rst_fail(err, RST_ERROR_USAGE,
                    "the model makes colour of grey, and the picture has colour already");
  if (right == NULL && p->views == 2)
    return rst_fail(err, RST_ERROR_USAGE, "the model needs the right view of a dual-pixel picture");
  if (right != NULL && p->views == 1)
    return rst_fail(err, RST_ERROR_USAGE, "the model takes no right view, it is not a dual-pixel model");
  if (right != NULL && (right->width != input->width || right->height != input->height))
    return rst_fail(err, RST_ERROR_USAGE,
                    "the right view has size %zu x %zu, expected that of the left, %zu x %zu", right->width,
                    right->height, input->width, input->height);
  return RST_OK;
}

/* Bytes per pixel of the buffers for a run; 0 where there is none. */
static size_t views_pixel(const fit *p) {
  return p->views == 2 ? 2 * (size_t)p->view_channels * sizeof(float) : 0;
}

static size_t results_pixel(const fit *p) {
  return p->average ? (size_t)p->view_channels * sizeof(float) : 0;
}

size_t rst_restore_image_held(const rst_architecture *architecture, int channels) {
  const fit p = fit_of(architecture, channels);
  /* A copy with other colours under full transparency, at worst of floats, and what fills it. */
  const size_t filled = rst_has_alpha(channels) ? (size_t)channels * sizeof(float) + sizeof(uint32_t) : 0;
  return views_pixel(&p) + results_pixel(&p) + filled;
}

int rst_restore_image_channels(const rst_architecture *architecture, int channels) {
  return fit_of(architecture, channels).result_colors + rst_has_alpha(channels);
}

/* ---- Pixels for a run ---------------------------------------------------------------------- */

/* `channels` channels of the picture from channel `first` on; of a grey picture, the one over and over. */
static rst_pixels view_of(const rst_image *image, int first, int channels) {
  bool grey = rst_color_channels(image->channels) == 1;
  uint8_t *samples = image->samples;
  return (rst_pixels){.samples = samples + (grey ? 0 : (size_t)first * rst_sample_size(image->sample)),
                      .sample = image->sample,
                      .width = image->width,
                      .height = image->height,
                      .channels = channels,
                      .row_stride = (ptrdiff_t)image->width * image->channels,
                      .column_stride = image->channels,
                      .channel_stride = grey ? 0 : 1};
}

/* Interleaved floats without anything else. */
static rst_pixels floats(float *samples, const rst_image *size, int channels) {
  return (rst_pixels){.samples = samples,
                      .sample = RST_SAMPLE_F32,
                      .width = size->width,
                      .height = size->height,
                      .channels = channels,
                      .row_stride = (ptrdiff_t)size->width * channels,
                      .column_stride = channels,
                      .channel_stride = 1};
}

/* Copies a view to channels `at`, `at` + 1, ... of `pixels`, interleaved floats. */
static void gather(const rst_pixels *view, const rst_pixels *pixels, int at) {
  size_t size = rst_sample_size(view->sample);
  for (size_t y = 0; y < view->height; y++)
    for (int c = 0; c < view->channels; c++) {
      ptrdiff_t from = (ptrdiff_t)y * view->row_stride + c * view->channel_stride;
      float *to = (float *)pixels->samples + (ptrdiff_t)y * pixels->row_stride + at + c;
      rst_convert_samples((const uint8_t *)view->samples + from * (ptrdiff_t)size, view->sample,
                          (size_t)view->column_stride, to, RST_SAMPLE_F32, (size_t)pixels->column_stride,
                          view->width);
    }
}

/* The mean of three channels is the first (and only) colour of `output`. */
static void average(const float *rgb, rst_image *output) {
  size_t size = rst_sample_size(output->sample), step = (size_t)output->channels * size;
  uint8_t *to = output->samples;
  for (size_t i = 0; i < output->width * output->height; i++, rgb += 3, to += step) {
    float mean = (float)(((double)rgb[0] + (double)rgb[1] + (double)rgb[2]) / 3);
    rst_convert_samples(&mean, RST_SAMPLE_F32, 1, to, output->sample, 1, 1);
  }
}

static void copy_alpha(const rst_image *input, rst_image *output) {
  const size_t channels = (size_t)input->channels, out = (size_t)output->channels;
  if (!rst_has_alpha(input->channels)) return;
  const uint8_t *from = (const uint8_t *)input->samples + (channels - 1) * rst_sample_size(input->sample);
  uint8_t *to = (uint8_t *)output->samples + (out - 1) * rst_sample_size(output->sample);
  rst_convert_samples(from, input->sample, channels, to, output->sample, out, input->width * input->height);
}

/* ---- Running ------------------------------------------------------------------------------- */

/* Buffers for what cannot be read or written in place; NULL where it can. */
typedef struct buffers {
  float *views;   /* both views together */
  float *results; /* three channels that become one */
} buffers;

static rst_status run_all(rst_session *session, const fit *p, const rst_image *input, const rst_image *right,
                          const buffers *b, rst_image *output, rst_error *err) {
  for (int i = 0; i < p->runs; i++) {
    rst_pixels in = view_of(input, i, p->view_channels), out = view_of(output, i, p->results);
    if (p->views == 2) {
      rst_pixels both = floats(b->views, input, 2 * p->view_channels);
      rst_pixels other = view_of(right, i, p->view_channels);
      gather(&in, &both, 0);
      gather(&other, &both, p->view_channels);
      in = both;
    }
    if (p->average) out = floats(b->results, input, p->view_channels);
    rst_status status = rst_session_run_part(session, &in, &out, i, p->runs, err);
    if (status != RST_OK) return status;
  }
  if (p->average) average(b->results, output);
  copy_alpha(input, output);
  return RST_OK;
}

/* With the output and its place in the budget; the buffers' is taken here. */
static rst_status run_with_buffers(rst_session *session, const fit *p, const rst_image *input,
                                   const rst_image *right, rst_image *output, rst_error *err) {
  const bool hidden = rst_image_has_hidden(input);
  const size_t pixels = input->width * input->height,
               filled_pixel =
                   hidden ? (size_t)input->channels * rst_sample_size(input->sample) + sizeof(uint32_t) : 0,
               bytes = pixels * (views_pixel(p) + results_pixel(p) + filled_pixel);
  rst_budget *budget = rst_session_budget(session);
  rst_status status = rst_budget_claim(budget, bytes, "the restored picture", err);
  if (status != RST_OK) return status;
  buffers b = {0};
  rst_image *filled = hidden ? rst_image_fill_hidden(input) : NULL;
  if (p->views == 2) b.views = rst_alloc(pixels, views_pixel(p));
  if (p->average) b.results = rst_alloc(pixels, results_pixel(p));
  if ((hidden && filled == NULL) || (p->views == 2 && b.views == NULL) || (p->average && b.results == NULL))
    status = rst_fail_memory(err, "the restored picture");
  if (status == RST_OK) status = rst_session_resize(session, input->width, input->height, err);
  if (status == RST_OK) {
    rst_session_tell_plan(session);
    status = run_all(session, p, hidden ? filled : input, right, &b, output, err);
  }
  rst_free(b.results);
  rst_free(b.views);
  rst_image_free(filled);
  rst_budget_give(budget, bytes);
  return status;
}

rst_status rst_session_restore(rst_session *session, const rst_image *input, const rst_image *right,
                               rst_sample output_sample, rst_image **output, rst_error *err) {
  fit p;
  *output = NULL;
  rst_status status = check_picture(input, right == NULL ? "input" : "left", err);
  if (status == RST_OK && right != NULL) status = check_picture(right, "right", err);
  if (status == RST_OK)
    status = check_fit(rst_model_architecture(rst_session_model(session)), input, right, &p, err);
  if (status != RST_OK) return status;
  rst_session_make_room(session, input->width, input->height);
  const int channels = p.result_colors + rst_has_alpha(input->channels);
  rst_image *result = rst_image_make(input->width, input->height, channels, output_sample);
  if (result == NULL) status = rst_fail_memory(err, "the restored picture");
  if (status == RST_OK) status = rst_image_count(result, rst_session_budget(session), err);
  if (status == RST_OK) status = run_with_buffers(session, &p, input, right, result, err);
  if (status == RST_OK) status = rst_image_copy_metadata(input, result, err);
  if (status == RST_OK)
    *output = result;
  else
    rst_image_free(result);
  return rst_end(err, status);
}

rst_status rst_restore_image(const rst_model *model, const rst_image *input, const rst_image *right,
                             rst_sample output_sample, rst_image **output, const rst_session_options *options,
                             rst_error *err) {
  rst_session *session;
  *output = NULL;
  rst_status status = rst_session_create(model, 0, 0, options, &session, err);
  if (status != RST_OK) return status;
  status = rst_session_restore(session, input, right, output_sample, output, err);
  rst_session_free(session);
  return status;
}
