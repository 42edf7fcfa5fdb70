/* test_blending.c - tiled runs in detail: tiles of many sizes that see all that a pixel depends on, the
 * weights of both ways of blending, memory limits, threads, layouts, progress. test_tiles.c has the
 * properties a user sees. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_all.h"
#include "support/model_fixture.h"

/* Pictures are planar RGB floats. */
typedef struct picture {
  size_t height, width;
  float *samples;
} picture;

static size_t count_of(const picture *p) {
  return 3 * p->height * p->width;
}

static picture new_picture(size_t height, size_t width) {
  return (picture){height, width, fixture_alloc(3 * height * width, sizeof(float))};
}

static picture random_picture(size_t height, size_t width) {
  return (picture){height, width, fixture_samples(width, 3 * height * width)};
}

static picture restore(const rst_model *model, const picture *input, const rst_session_options *options) {
  picture output = new_picture(input->height, input->width);
  const rst_pixels from = fixture_planar(input->samples, RST_SAMPLE_F32, 3, input->height, input->width);
  const rst_pixels to = fixture_planar(output.samples, RST_SAMPLE_F32, 3, input->height, input->width);
  rst_error err;
  if (rst_restore(model, &from, &to, options, &err) != RST_OK) fail_msg("%s", err.message);
  return output;
}

static double largest_difference(const picture *a, const picture *b) {
  double largest = 0;
  for (size_t i = 0; i < count_of(a); i++) {
    const double difference = fabs((double)a->samples[i] - (double)b->samples[i]);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

static rst_model *new_model(int dim, int levels, bool attention) {
  rst_architecture a = architecture_small(dim, levels);
  for (int l = 0; l < levels; l++) a.attention[l] = attention;
  random_model weights = fixture_random(&a, 21);
  rst_model *model = fixture_model(&weights, RST_ISA_AUTO, RST_PRECISION_F32);
  random_model_free(&weights);
  return model;
}

/* ---- What tiles must not change --------------------------------------------------------------------------
 */

/* Without attention a pixel depends on few neighbours: in a flat stack of two blocks on 4 in every direction,
 * in one of three levels on 25 (each convolution of level l adds 2^l). Tiles blend over the middle third of
 * their overlap. */
static void tiles_beyond_the_receptive_field(void **state) {
  (void)state;
  static const struct {
    int levels;
    size_t height, width, tile, overlap;
  } cases[] = {{1, 50, 77, 24, 15},
               {1, 29, 30, 16, 14},
               {1, 90, 20, 31, 17},
               {3, 201, 270, 128, 84},
               {3, 130, 410, 120, 80}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    rst_model *model = new_model(6, cases[i].levels, false);
    picture input = random_picture(cases[i].height, cases[i].width);
    picture whole = restore(model, &input, NULL);
    const rst_session_options options = {SESSION, .tile = cases[i].tile, .overlap = cases[i].overlap};
    picture tiled = restore(model, &input, &options);
    const double difference = largest_difference(&whole, &tiled);
    if (!(difference <= 2e-6))
      fail_msg("%zu x %zu, tile %zu, overlap %zu: %g", cases[i].width, cases[i].height, cases[i].tile,
               cases[i].overlap, difference);
    free(input.samples);
    free(whole.samples);
    free(tiled.samples);
    rst_model_free(model);
  }
}

/* ---- Blending --------------------------------------------------------------------------------------------
 */

/* What the network makes of a part of the picture alone. */
static picture restore_part(const rst_model *model, const picture *input, size_t top, size_t left,
                            size_t height, size_t width) {
  picture part = new_picture(height, width);
  for (size_t c = 0; c < 3; c++)
    for (size_t y = 0; y < height; y++)
      for (size_t x = 0; x < width; x++)
        part.samples[(c * height + y) * width + x] =
            input->samples[(c * input->height + top + y) * input->width + left + x];
  picture output = restore(model, &part, NULL);
  free(part.samples);
  return output;
}

/* Three tiles of 32 columns at 0, 16 and 32, the last one at the edge: where one stands alone, where two
 * overlap. */
static void tiles_are_blended_with_their_weights(void **state) {
  (void)state;
  enum { HEIGHT = 32, WIDTH = 64, TILE = 32, STEP = 16, TILES = 3 };
  rst_model *model = new_model(8, 3, true);
  picture input = random_picture(HEIGHT, WIDTH);
  picture parts[TILES];
  for (size_t i = 0; i < TILES; i++) parts[i] = restore_part(model, &input, 0, i * STEP, HEIGHT, TILE);
  for (rst_blend blend = RST_BLEND_RAMP; blend <= RST_BLEND_UNIFORM; blend++) {
    const rst_session_options options = {SESSION, .tile = TILE, .overlap = STEP, .blend = blend};
    picture tiled = restore(model, &input, &options);
    for (size_t c = 0; c < 3; c++)
      for (size_t y = 0; y < HEIGHT; y++)
        for (size_t x = 0; x < WIDTH; x++) {
          const size_t second = x < STEP           ? 0
                                : x / STEP < TILES ? x / STEP
                                                   : TILES - 1; /* the later tile over x */
          const size_t first = second > 0 && x < (second + 1) * STEP ? second - 1 : second;
          /* The share of the later tile: half of it, or the ramp over the middle third of the 16 columns. */
          const double at = (double)(x - second * STEP) + 0.5;
          double share = fmin(1, fmax(0, (at - 16.0 / 3) / (16.0 / 3)));
          if (blend == RST_BLEND_UNIFORM) share = 0.5;
          const double a = (double)parts[first].samples[(c * HEIGHT + y) * TILE + x - first * STEP];
          const double b = (double)parts[second].samples[(c * HEIGHT + y) * TILE + x - second * STEP];
          const double expected = (1 - share) * a + share * b;
          const double found = (double)tiled.samples[(c * HEIGHT + y) * WIDTH + x];
          if (!(fabs(found - expected) <= 1e-6))
            fail_msg("blend %d, column %zu, row %zu: %g, expected %g", (int)blend, x, y, found, expected);
        }
    free(tiled.samples);
  }
  for (size_t i = 0; i < TILES; i++) free(parts[i].samples);
  free(input.samples);
  rst_model_free(model);
}

/* ---- Memory limits ---------------------------------------------------------------------------------------
 */

static void plan(const rst_model *model, const picture *p, const rst_session_options *options,
                 rst_plan *out) {
  rst_error err;
  if (rst_plan_restore(rst_model_architecture(model), NULL, p->width, p->height, options, out, &err) !=
      RST_OK)
    fail_msg("%s", err.message);
}

static void a_limit_makes_tiles_that_keep_it(void **state) {
  (void)state;
  rst_model *model = new_model(8, 3, true);
  picture input = random_picture(203, 310);
  picture whole = restore(model, &input, &(rst_session_options){SESSION, .threads = 1});
  rst_plan at_once = {.struct_size = sizeof at_once};
  plan(model, &input, &(rst_session_options){SESSION, .threads = 16},
       &at_once); /* tiles are chosen for so many */
  assert_int_equal(at_once.tile, 0);
  assert_int_equal(at_once.tiles, 1);
  assert_true(at_once.bytes == at_once.weight_bytes + at_once.working_bytes);
  for (uint64_t limit = at_once.bytes + 1; limit >= at_once.bytes / 3; limit -= at_once.bytes / 9 + 1) {
    const rst_session_options options = {SESSION, .threads = 1, .budget = fixture_budget(limit)};
    rst_plan p = {.struct_size = sizeof p};
    plan(model, &input, &options, &p);
    assert_true(p.bytes <= limit);
    picture output = restore(model, &input, &options);
    if (limit >= at_once.bytes) {
      assert_int_equal(p.tile, 0);
      assert_memory_equal(output.samples, whole.samples, count_of(&whole) * sizeof(float));
    } else {
      assert_true(p.tile > 0 && p.tile % 4 == 0 && p.overlap < p.tile && p.tiles > 1);
      /* Choosing the same tiles oneself gives the same bytes. */
      const rst_session_options own = {SESSION, .threads = 1, .tile = p.tile, .overlap = p.overlap};
      picture same = restore(model, &input, &own);
      assert_memory_equal(output.samples, same.samples, count_of(&whole) * sizeof(float));
      free(same.samples);
    }
    free(output.samples);
    rst_budget_free(options.budget);
  }
  free(input.samples);
  free(whole.samples);
  rst_model_free(model);
}

static void a_limit_that_nothing_keeps(void **state) {
  (void)state;
  rst_model *model = new_model(8, 3, true);
  picture input = random_picture(40, 50), output = new_picture(40, 50);
  const rst_pixels from = fixture_planar(input.samples, RST_SAMPLE_F32, 3, 40, 50);
  const rst_pixels to = fixture_planar(output.samples, RST_SAMPLE_F32, 3, 40, 50);
  const rst_session_options options = {SESSION, .budget = fixture_budget(1)};
  rst_error err;
  assert_int_equal(rst_restore(model, &from, &to, &options, &err), RST_ERROR_MEMORY);
  static const char START[] = "50 x 40 pixels take ",
                    END[] = " MB even in the smallest tiles, allowed are 0 MB";
  assert_memory_equal(err.message, START, sizeof START - 1);
  assert_string_equal(err.message + strlen(err.message) - (sizeof END - 1), END);
  rst_budget_free(options.budget);
  free(input.samples);
  free(output.samples);
  rst_model_free(model);
}

/* ---- Threads, layouts, progress --------------------------------------------------------------------------
 */

static void threads_and_layouts_do_not_matter(void **state) {
  (void)state;
  enum { HEIGHT = 50, WIDTH = 83, COUNT = 3 * HEIGHT * WIDTH };
  rst_model *model = new_model(8, 2, true);
  uint8_t planar_in[COUNT], planar_out[COUNT], in[COUNT], out[COUNT];
  for (size_t i = 0; i < COUNT; i++) planar_in[i] = (uint8_t)random_bits(1, i);
  for (size_t i = 0; i < COUNT; i++) {
    const size_t c = i % 3, x = i / 3 % WIDTH, y = HEIGHT - 1 - i / 3 / WIDTH; /* interleaved, bottom up */
    in[i] = planar_in[(c * HEIGHT + y) * WIDTH + x];
  }
  rst_session_options options = {SESSION, .threads = 1, .tile = 32, .overlap = 12};
  const rst_pixels from = fixture_planar(planar_in, RST_SAMPLE_U8, 3, HEIGHT, WIDTH);
  const rst_pixels to = fixture_planar(planar_out, RST_SAMPLE_U8, 3, HEIGHT, WIDTH);
  assert_int_equal(rst_restore(model, &from, &to, &options, NULL), RST_OK);
  for (options.threads = 1; options.threads <= 3; options.threads++) {
    rst_pixels views[2] = {fixture_interleaved(in, RST_SAMPLE_U8, 3, HEIGHT, WIDTH),
                           fixture_interleaved(out, RST_SAMPLE_U8, 3, HEIGHT, WIDTH)};
    for (size_t i = 0; i < 2; i++) {
      views[i].samples = (uint8_t *)views[i].samples + (HEIGHT - 1) * views[i].row_stride;
      views[i].row_stride = -views[i].row_stride;
    }
    assert_int_equal(rst_restore(model, &views[0], &views[1], &options, NULL), RST_OK);
    for (size_t i = 0; i < COUNT; i++) {
      const size_t c = i % 3, x = i / 3 % WIDTH, y = HEIGHT - 1 - i / 3 / WIDTH;
      if (out[i] != planar_out[(c * HEIGHT + y) * WIDTH + x])
        fail_msg("%d threads: column %zu, row %zu differ", options.threads, x, y);
    }
  }
  rst_model_free(model);
}

typedef struct watch {
  int calls, stop_at;
  double last;
  bool fell;
} watch;

static bool watching(void *user, double fraction) {
  watch *w = user;
  w->fell = w->fell || fraction < w->last || fraction > 1;
  w->last = fraction;
  return ++w->calls != w->stop_at;
}

static void one_progress_over_all_tiles(void **state) {
  (void)state;
  rst_model *model = new_model(8, 2, true);
  picture input = random_picture(64, 64);
  watch w = {0};
  rst_session_options options = {SESSION, .tile = 32, .overlap = 8, .progress = watching, .user = &w};
  picture output = restore(model, &input, &options);
  assert_false(w.fell);
  assert_true(w.last == 1);
  const rst_pixels from = fixture_planar(input.samples, RST_SAMPLE_F32, 3, 64, 64);
  const rst_pixels to = fixture_planar(output.samples, RST_SAMPLE_F32, 3, 64, 64);
  const int calls = w.calls;
  for (int stop = 1; stop < calls; stop += 7) {
    w = (watch){.stop_at = stop};
    const rst_status status = rst_restore(model, &from, &to, &options, NULL);
    /* A run that is slow is asked more often than one that is not, which may then be through before. */
    assert_int_equal(status, w.calls < stop ? RST_OK : RST_CANCELLED);
    assert_true(w.calls <= stop && (w.calls == stop || stop > 1));
  }
  free(input.samples);
  free(output.samples);
  rst_model_free(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tiles_beyond_the_receptive_field),
      cmocka_unit_test(tiles_are_blended_with_their_weights),
      cmocka_unit_test(a_limit_makes_tiles_that_keep_it),
      cmocka_unit_test(a_limit_that_nothing_keeps),
      cmocka_unit_test(threads_and_layouts_do_not_matter),
      cmocka_unit_test(one_progress_over_all_tiles),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
