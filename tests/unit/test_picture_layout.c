/* How pictures are laid out for a network. The network is a stand-in that is defined here: what it is given
 * and how often is what matters. */
#define rst_session stand_in_session
#define rst_session_create stand_in_create
#define rst_session_free stand_in_free
#define rst_session_model stand_in_model
#define rst_session_budget stand_in_budget
#define rst_session_make_room stand_in_make_room
#define rst_session_resize stand_in_resize
#define rst_session_tell_plan stand_in_tell_plan
#define rst_session_run_part stand_in_run_part
#define rst_session_restore tested_session_restore
#define rst_model_architecture stand_in_architecture
#define rst_restore_image tested_restore_image
#define rst_restore_image_held tested_restore_image_held
#define rst_restore_image_channels tested_restore_image_channels
#include "api/restore_image.c"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/fixture.h"
#include "support/pictures.h"

enum { MAX_RUNS = 4 };

struct rst_model {
  rst_architecture architecture;
};

static struct {
  int runs, inputs[MAX_RUNS], plans;
  rst_status status; /* what it answers */
} network;

struct rst_session {
  const rst_model *model;
  rst_session_options options;
  size_t width, height;
};

rst_status rst_session_create(const rst_model *model, size_t width, size_t height,
                              const rst_session_options *options, rst_session **session, rst_error *err) {
  *session = rst_alloc_zeroed(1, sizeof **session);
  if (*session == NULL) return rst_fail_memory(err, "the session");
  **session = (rst_session){.model = model, .width = width, .height = height};
  if (options != NULL) (*session)->options = *options;
  return RST_OK;
}

void rst_session_free(rst_session *session) {
  rst_free(session);
}

const rst_model *rst_session_model(const rst_session *session) {
  return session->model;
}

rst_budget *rst_session_budget(const rst_session *session) {
  return session->options.budget;
}

void rst_session_make_room(rst_session *session, size_t width, size_t height) {
  assert_true(width > 0 && height > 0);
  session->width = session->height = 0;
}

rst_status rst_session_resize(rst_session *session, size_t width, size_t height, rst_error *err) {
  (void)err;
  session->width = width, session->height = height;
  return RST_OK;
}

void rst_session_tell_plan(const rst_session *session) {
  assert_true(session->width > 0);
  network.plans++;
}

const rst_architecture *rst_model_architecture(const rst_model *model) {
  return &model->architecture;
}

static float load(const rst_pixels *p, size_t x, size_t y, int c) {
  float v;
  ptrdiff_t i = (ptrdiff_t)y * p->row_stride + (ptrdiff_t)x * p->column_stride + c * p->channel_stride;
  const uint8_t *at = (const uint8_t *)p->samples + i * (ptrdiff_t)rst_sample_size(p->sample);
  rst_convert_samples(at, p->sample, 1, &v, RST_SAMPLE_F32, 1, 1);
  return v;
}

static void store(const rst_pixels *p, size_t x, size_t y, int c, float v) {
  ptrdiff_t i = (ptrdiff_t)y * p->row_stride + (ptrdiff_t)x * p->column_stride + c * p->channel_stride;
  uint8_t *at = (uint8_t *)p->samples + i * (ptrdiff_t)rst_sample_size(p->sample);
  rst_convert_samples(&v, RST_SAMPLE_F32, 1, at, p->sample, 1, 1);
}

/* Output channel c: half of input channel c plus c / 10; with two views also a quarter of the other one's. */
static float expected(float left, float right, int c) {
  return left / 2 + right / 4 + (float)c / 10;
}

rst_status rst_session_run_part(rst_session *session, const rst_pixels *input, const rst_pixels *output,
                                int part, int parts, rst_error *err) {
  const rst_session_options *options = &session->options;
  assert_int_equal(part, network.runs);
  network.inputs[network.runs++ % MAX_RUNS] = input->channels;
  assert_int_equal(input->channels, session->model->architecture.in_channels);
  assert_int_equal(output->channels, session->model->architecture.out_channels);
  assert_int_equal(input->width, session->width);
  assert_int_equal(input->height, session->height);
  assert_int_equal(input->width, output->width);
  assert_int_equal(input->height, output->height);
  for (size_t y = 0; y < input->height; y++)
    for (size_t x = 0; x < input->width; x++)
      for (int c = 0; c < output->channels; c++) {
        bool two = input->channels > output->channels;
        float right = two ? load(input, x, y, c + output->channels) : 0;
        store(output, x, y, c, expected(load(input, x, y, c), right, c));
      }
  if (options->progress != NULL && !options->progress(options->user, (part + 0.5) / parts))
    return rst_fail(err, RST_CANCELLED, "cancelled");
  if (options->progress != NULL) options->progress(options->user, (part + 1.0) / parts);
  return network.status;
}

/* As picture_restore. */
static rst_status restore_image(const rst_model *model, const rst_image *input, const rst_image *right,
                                rst_sample sample, rst_image *output, const rst_session_options *options,
                                rst_error *err) {
  rst_image *image;
  rst_status status = rst_restore_image(model, input, right, sample, &image, options, err);
  *output = picture_take(image);
  return status;
}

static rst_model model_of(int in_channels, int out_channels, bool dual_pixel) {
  rst_model m = {
      .architecture = {.in_channels = in_channels, .out_channels = out_channels, .dual_pixel = dual_pixel}};
  return m;
}

static int reset(void **state) {
  (void)state;
  memset(&network, 0, sizeof network);
  return 0;
}

static float sample_at(const rst_image *p, size_t pixel, int c) {
  float v;
  size_t i = pixel * (size_t)p->channels + (size_t)c, size = rst_sample_size(p->sample);
  rst_convert_samples((const uint8_t *)p->samples + i * size, p->sample, 1, &v, RST_SAMPLE_F32, 1, 1);
  return v;
}

/* Restores, checks shape, alpha and the number of runs; free the result. */
static rst_image restore(const rst_model *model, const rst_image *input, const rst_image *right,
                         rst_sample sample, int runs) {
  rst_image output;
  rst_error err = {.message = ""};
  if (restore_image(model, input, right, sample, &output, NULL, &err) != RST_OK) fail_msg("%s", err.message);
  assert_int_equal(output.width, input->width);
  assert_int_equal(output.height, input->height);
  assert_int_equal(output.channels, rst_restore_image_channels(&model->architecture, input->channels));
  assert_int_equal(output.sample, sample);
  assert_int_equal(network.runs, runs);
  assert_int_equal(network.plans, 1);
  network.runs = network.plans = 0;
  return output;
}

static void assert_sample(float actual, float wanted, rst_sample sample) {
  float step = sample == RST_SAMPLE_U8 ? 0.51f / 255 : sample == RST_SAMPLE_U16 ? 0.51f / 65535 : 1e-6f;
  if (sample != RST_SAMPLE_F32) wanted = fminf(fmaxf(wanted, 0), 1);
  if (!(fabsf(actual - wanted) <= step)) fail_msg("%.9g, expected %.9g", (double)actual, (double)wanted);
}

static void check_plain(int channels, rst_sample from, rst_sample to) {
  int colors = rst_color_channels(channels);
  rst_model model = model_of(colors, colors, false);
  rst_image in = picture_random(5, 4, channels, from, 1), out = restore(&model, &in, NULL, to, 1);
  for (size_t i = 0; i < 20; i++) {
    for (int c = 0; c < colors; c++)
      assert_sample(sample_at(&out, i, c), expected(sample_at(&in, i, c), 0, c), to);
    if (channels > colors) assert_sample(sample_at(&out, i, colors), sample_at(&in, i, colors), to);
  }
  rst_image_clear(&out);
  rst_image_clear(&in);
}

static void test_pictures_like_the_model_take_one_run(void **state) {
  (void)state;
  for (int channels = 1; channels <= 4; channels++)
    for (int from = RST_SAMPLE_U8; from <= RST_SAMPLE_F32; from++)
      for (int to = RST_SAMPLE_U8; to <= RST_SAMPLE_F32; to++)
        check_plain(channels, (rst_sample)from, (rst_sample)to);
}

static void test_alpha_is_untouched(void **state) {
  (void)state;
  rst_model model = model_of(3, 3, false);
  rst_image in = picture_random(16, 16, 4, RST_SAMPLE_U8, 1),
            same = restore(&model, &in, NULL, RST_SAMPLE_U8, 1);
  rst_image wide = restore(&model, &in, NULL, RST_SAMPLE_U16, 1);
  for (size_t i = 3; i < 1024; i += 4) {
    assert_int_equal(((uint8_t *)same.samples)[i], ((uint8_t *)in.samples)[i]);
    assert_int_equal(((uint16_t *)wide.samples)[i], 257 * ((uint8_t *)in.samples)[i]);
  }
  rst_image_clear(&wide);
  rst_image_clear(&same);
  rst_image_clear(&in);
}

static void test_grey_pictures_run_as_three_equal_channels_and_stay_grey(void **state) {
  (void)state;
  rst_model model = model_of(3, 3, false);
  for (int channels = 1; channels <= 2; channels++)
    for (int to = RST_SAMPLE_U8; to <= RST_SAMPLE_F32; to++) {
      rst_image in = picture_random(5, 4, channels, RST_SAMPLE_U8, 1);
      rst_image out = restore(&model, &in, NULL, (rst_sample)to, 1);
      for (size_t i = 0; i < 20; i++) { /* the mean of the channels */
        assert_sample(sample_at(&out, i, 0), expected(sample_at(&in, i, 0), 0, 1), (rst_sample)to);
        if (channels == 2) assert_sample(sample_at(&out, i, 1), sample_at(&in, i, 1), (rst_sample)to);
      }
      rst_image_clear(&out);
      rst_image_clear(&in);
    }
}

static void test_colour_pictures_run_channel_by_channel_on_a_grey_model(void **state) {
  (void)state;
  rst_model model = model_of(1, 1, false);
  for (int channels = 3; channels <= 4; channels++) {
    rst_image in = picture_random(5, 4, channels, RST_SAMPLE_U16, 1),
              out = restore(&model, &in, NULL, RST_SAMPLE_F32, 3);
    for (size_t i = 0; i < 20; i++) {
      for (int c = 0; c < 3; c++)
        assert_sample(sample_at(&out, i, c), expected(sample_at(&in, i, c), 0, 0), RST_SAMPLE_F32);
      if (channels == 4) assert_sample(sample_at(&out, i, 3), sample_at(&in, i, 3), RST_SAMPLE_F32);
    }
    rst_image_clear(&out);
    rst_image_clear(&in);
  }
}

/* Models that make grey of colour (of grey, too: as three equal channels), and colour of grey. */
static void check_other_colours(int channels, int model_in, int model_out) {
  rst_model model = model_of(model_in, model_out, false);
  rst_image in = picture_random(5, 4, channels, RST_SAMPLE_U8, 1),
            out = restore(&model, &in, NULL, RST_SAMPLE_F32, 1);
  const bool grey = channels <= 2;
  assert_int_equal(out.channels, model_out + (channels % 2 == 0));
  for (size_t i = 0; i < 20; i++) {
    for (int c = 0; c < model_out; c++) {
      const float other = model_in > model_out ? sample_at(&in, i, grey ? 0 : 1) : 0;
      assert_sample(sample_at(&out, i, c), expected(sample_at(&in, i, grey ? 0 : c), other, c),
                    RST_SAMPLE_F32);
    }
    if (channels % 2 == 0)
      assert_sample(sample_at(&out, i, model_out), sample_at(&in, i, channels - 1), RST_SAMPLE_F32);
  }
  rst_image_clear(&out);
  rst_image_clear(&in);
}

static void test_models_that_give_other_colours_than_they_take(void **state) {
  (void)state;
  for (int channels = 1; channels <= 4; channels++) check_other_colours(channels, 3, 1);
  for (int channels = 1; channels <= 2; channels++) check_other_colours(channels, 1, 3);
}

static void check_views(int left_channels, int right_channels, int view_channels) {
  rst_model model = model_of(2 * view_channels, view_channels, true);
  int colors = rst_color_channels(left_channels);
  rst_image left = picture_random(5, 4, left_channels, RST_SAMPLE_U8, 1);
  rst_image right = picture_random(5, 4, right_channels, RST_SAMPLE_U16, 2);
  rst_image out = restore(&model, &left, &right, RST_SAMPLE_F32, colors > view_channels ? 3 : 1);
  for (size_t i = 0; i < 20; i++)
    for (int c = 0; c < colors; c++) {
      float l = sample_at(&left, i, c), r = 0;
      bool grey_right = right_channels <= 2;
      if (colors < view_channels) /* the mean over three channels, of which the right view may have others */
        for (int k = 0; k < 3; k++) r += sample_at(&right, i, grey_right ? 0 : k) / 3;
      else
        r = sample_at(&right, i, grey_right ? 0 : c);
      assert_sample(sample_at(&out, i, c),
                    expected(l, r,
                             view_channels == 1 ? 0
                             : colors == 1      ? 1
                                                : c),
                    RST_SAMPLE_F32);
    }
  rst_image_clear(&out);
  rst_image_clear(&right);
  rst_image_clear(&left);
}

static void test_two_views_of_any_kind(void **state) {
  (void)state;
  for (int left = 1; left <= 4; left++)
    for (int right = 1; right <= 4; right++)
      for (int view = 1; view <= 3; view += 2) check_views(left, right, view);
}

static void test_hidden_colours_are_those_of_the_nearest_pixel(void **state) {
  (void)state;
  rst_model model = model_of(1, 1, false);
  /* grey and alpha; 9: hidden */
  static uint8_t samples[] = {9, 0, 9, 0,   9,   0, 9, 0, 9, 0, 9, 0, 50, 1, 9,
                              0, 9, 0, 200, 255, 9, 0, 9, 0, 9, 0, 9, 0,  9, 0};
  static const uint8_t filled[] = {50, 50, 50, 200, 200, 50, 50, 50, 200, 200, 50, 50, 50, 200, 200};
  rst_image in = {.width = 5, .height = 3, .channels = 2, .sample = RST_SAMPLE_U8, .samples = samples};
  rst_image out = restore(&model, &in, NULL, RST_SAMPLE_F32, 1);
  for (size_t i = 0; i < 15; i++) {
    assert_sample(sample_at(&out, i, 0), expected((float)filled[i] / 255, 0, 0), RST_SAMPLE_F32);
    assert_sample(sample_at(&out, i, 1), sample_at(&in, i, 1), RST_SAMPLE_F32);
  }
  rst_image_clear(&out);
  for (size_t i = 1; i < 30; i += 2) samples[i] = 0; /* nothing is seen: nothing to fill with */
  out = restore(&model, &in, NULL, RST_SAMPLE_F32, 1);
  assert_sample(sample_at(&out, 6, 0), expected(50.0f / 255, 0, 0), RST_SAMPLE_F32);
  rst_image_clear(&out);
}

/* ---- Progress ------------------------------------------------------------------------------ */

typedef struct record {
  int calls;
  double fractions[8];
  int stop_at; /* the call that cancels; 0: none */
} record;

static bool on_progress(void *user, double fraction) {
  record *r = user;
  r->fractions[r->calls++ % 8] = fraction;
  return r->calls != r->stop_at;
}

static void test_progress_counts_all_runs_as_one(void **state) {
  (void)state;
  static const double wanted[] = {0.5 / 3, 1.0 / 3, 1.5 / 3, 2.0 / 3, 2.5 / 3, 1};
  rst_model model = model_of(1, 1, false);
  record r = {0};
  rst_session_options options = {SESSION, .progress = on_progress, .user = &r};
  rst_image in = picture_random(2, 2, 3, RST_SAMPLE_U8, 1), out;
  assert_int_equal(restore_image(&model, &in, NULL, RST_SAMPLE_U8, &out, &options, NULL), RST_OK);
  assert_int_equal(r.calls, 6);
  for (size_t i = 0; i < 6; i++) assert_true(fabs(r.fractions[i] - wanted[i]) < 1e-12);
  rst_image_clear(&out);
  rst_image_clear(&in);
}

static void test_cancelling_stops_at_once(void **state) {
  (void)state;
  rst_model model = model_of(1, 1, false);
  record r = {.stop_at = 3};
  rst_session_options options = {SESSION, .progress = on_progress, .user = &r};
  rst_image in = picture_random(2, 2, 3, RST_SAMPLE_U8, 1), out;
  assert_int_equal(restore_image(&model, &in, NULL, RST_SAMPLE_U8, &out, &options, NULL), RST_CANCELLED);
  assert_int_equal(network.runs, 2);
  assert_null(out.samples);
  rst_image_clear(&in);
}

/* ---- Errors -------------------------------------------------------------------------------- */

static void assert_refused(const rst_model *model, const rst_image *in, const rst_image *right,
                           rst_status status, const char *message) {
  rst_image out;
  rst_error err = {.message = ""};
  assert_int_equal(restore_image(model, in, right, RST_SAMPLE_U8, &out, NULL, &err), status);
  assert_string_equal(err.message, message);
  assert_null(out.samples);
  assert_int_equal(network.runs, 0);
}

static void test_what_does_not_fit_is_refused(void **state) {
  (void)state;
  rst_model rgb = model_of(3, 3, false), dual = model_of(6, 3, true), map = model_of(4, 3, false),
            twice = model_of(6, 6, true), mono = model_of(6, 1, true), colour = model_of(1, 3, false);
  rst_image in = picture_random(4, 3, 3, RST_SAMPLE_U8, 1), other = picture_random(3, 4, 3, RST_SAMPLE_U8, 1),
            empty = {0};
  assert_refused(&dual, &in, NULL, RST_ERROR_USAGE, "the model needs the right view of a dual-pixel picture");
  assert_refused(&rgb, &in, &in, RST_ERROR_USAGE,
                 "the model takes no right view, it is not a dual-pixel model");
  assert_refused(&dual, &in, &other, RST_ERROR_USAGE,
                 "the right view has size 3 x 4, expected that of the left, 4 x 3");
#define OTHER_CHANNELS(out, in)                                       \
  "the model makes " out " channels of " in                           \
  ", but a picture is grey or RGB, beside its alpha: only a program " \
  "that fills the channels itself, with rst_restore, can run this model"
  assert_refused(&map, &in, NULL, RST_ERROR_USAGE, OTHER_CHANNELS("3", "4"));
  assert_refused(&twice, &in, &in, RST_ERROR_USAGE, OTHER_CHANNELS("6", "6"));
  assert_refused(&mono, &in, &in, RST_ERROR_USAGE, OTHER_CHANNELS("1", "6"));
  assert_refused(&colour, &in, NULL, RST_ERROR_USAGE,
                 "the model makes colour of grey, and the picture has colour already");
  assert_refused(&rgb, &empty, NULL, RST_ERROR_USAGE, "the input picture is empty");
  assert_refused(&dual, &in, &empty, RST_ERROR_USAGE, "the right picture is empty");
  rst_image_clear(&other);
  rst_image_clear(&in);
}

static void test_samples_that_are_not_finite_are_refused(void **state) {
  (void)state;
  rst_model rgb = model_of(3, 3, false), dual = model_of(6, 3, true);
  rst_image in = picture_random(4, 3, 3, RST_SAMPLE_F32, 1),
            good = picture_random(4, 3, 3, RST_SAMPLE_F32, 1);
  ((float *)in.samples)[3 * (1 * 4 + 2) + 1] = (float)NAN;
  assert_refused(&rgb, &in, NULL, RST_ERROR_INPUT,
                 "the input picture has a sample that is not finite at (2, 1)");
  assert_refused(&dual, &in, &good, RST_ERROR_INPUT,
                 "the left picture has a sample that is not finite at (2, 1)");
  ((float *)in.samples)[3 * (1 * 4 + 2) + 1] = -(float)INFINITY;
  assert_refused(&dual, &good, &in, RST_ERROR_INPUT,
                 "the right picture has a sample that is not finite at (2, 1)");
  rst_image_clear(&good);
  rst_image_clear(&in);
}

static void test_failures_of_the_network_are_passed_on(void **state) {
  (void)state;
  rst_model model = model_of(3, 3, false);
  rst_image in = picture_random(4, 3, 3, RST_SAMPLE_U8, 1), out;
  network.status = RST_ERROR_MEMORY;
  assert_int_equal(restore_image(&model, &in, NULL, RST_SAMPLE_U8, &out, NULL, NULL), RST_ERROR_MEMORY);
  assert_null(out.samples);
  rst_image_clear(&in);
}

static rst_status restore_once(void *picture, rst_error *err) {
  rst_model model = model_of(6, 3, true);
  rst_image out;
  network.runs = 0;
  rst_status status = restore_image(&model, picture, picture, RST_SAMPLE_U8, &out, NULL, err);
  rst_image_clear(&out);
  return status;
}

static void test_every_failed_allocation_is_out_of_memory(void **state) {
  (void)state;
  rst_image in = picture_random(4, 3, 1, RST_SAMPLE_U8, 1);
  assert_int_equal(fail_each_alloc(restore_once, &in), 5);
  rst_image_clear(&in);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, reset)
  const struct CMUnitTest tests[] = {
      TEST(test_pictures_like_the_model_take_one_run),
      TEST(test_alpha_is_untouched),
      TEST(test_grey_pictures_run_as_three_equal_channels_and_stay_grey),
      TEST(test_colour_pictures_run_channel_by_channel_on_a_grey_model),
      TEST(test_models_that_give_other_colours_than_they_take),
      TEST(test_two_views_of_any_kind),
      TEST(test_hidden_colours_are_those_of_the_nearest_pixel),
      TEST(test_progress_counts_all_runs_as_one),
      TEST(test_cancelling_stops_at_once),
      TEST(test_what_does_not_fit_is_refused),
      TEST(test_samples_that_are_not_finite_are_refused),
      TEST(test_failures_of_the_network_are_passed_on),
      TEST(test_every_failed_allocation_is_out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
