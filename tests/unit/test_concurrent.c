/* One model used by many threads at once, each with pictures of its own, decoded in helper processes: the
 * same bytes as one after the other. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_all.h"
#include "support/model_fixture.h"

enum { THREADS = 8, RESTORES = 100, SIDE = 20, SAMPLES = 3 * SIDE * SIDE };

typedef struct work {
  const rst_model *model;
  float *inputs, *alone, *together; /* of each restore */
  void *file;                       /* a picture to decode */
  size_t size;
  int first;
  const char *wrong;
} work;

static rst_status restore_one(const work *w, int i, float *output) {
  const rst_pixels in = fixture_planar(w->inputs + (size_t)i * SAMPLES, RST_SAMPLE_F32, 3, SIDE, SIDE);
  const rst_pixels out = fixture_planar(output, RST_SAMPLE_F32, 3, SIDE, SIDE);
  rst_session_options options;
  rst_session_options_init(&options);
  options.threads = 1 + i % 3;
  return rst_restore(w->model, &in, &out, &options, NULL);
}

static bool decodes(const work *w) {
  rst_image *image;
  rst_image_read_options options;
  rst_image_read_options_init(&options);
  options.sandbox = true;
  bool ok = rst_image_decode("p.png", w->file, w->size, &options, &image, NULL) == RST_OK &&
            rst_image_width(image) == 2 && ((uint8_t *)rst_image_samples(image))[5] == 6;
  rst_image_free(image);
  return ok;
}

static void *restore_some(void *user) {
  work *w = user;
  for (int i = w->first; i < RESTORES; i += THREADS) {
    if (!decodes(w)) w->wrong = "a picture";
    if (restore_one(w, i, w->together + (size_t)i * SAMPLES) != RST_OK) w->wrong = "a restore";
  }
  return NULL;
}

static void encode(work *w) {
  rst_image *image;
  rst_image_write_options options;
  rst_image_write_options_init(&options);
  options.format = "png";
  assert_int_equal(rst_image_create(2, 1, 3, RST_SAMPLE_U8, &image, NULL), RST_OK);
  memcpy(rst_image_samples(image), "\1\2\3\4\5\6", 6);
  assert_int_equal(rst_image_encode(image, &options, &w->file, &w->size, NULL), RST_OK);
  rst_image_free(image);
}

static void test_restores_at_once_give_the_same_bytes_as_one_by_one(void **state) {
  (void)state;
  const rst_architecture a = architecture_small(8, 2);
  random_model random = fixture_random(&a, 3);
  rst_model *model = fixture_model(&random, RST_ISA_AUTO, RST_PRECISION_F32);
  const size_t all = (size_t)RESTORES * SAMPLES;
  work w = {.model = model, .inputs = fixture_samples(4, all)};
  w.alone = fixture_alloc(all, sizeof(float));
  w.together = fixture_alloc(all, sizeof(float));
  encode(&w);
  for (int i = 0; i < RESTORES; i++)
    assert_int_equal(restore_one(&w, i, w.alone + (size_t)i * SAMPLES), RST_OK);
  pthread_t threads[THREADS];
  work parts[THREADS];
  for (int t = 0; t < THREADS; t++) {
    parts[t] = w;
    parts[t].first = t;
    assert_int_equal(pthread_create(&threads[t], NULL, restore_some, &parts[t]), 0);
  }
  for (int t = 0; t < THREADS; t++) {
    pthread_join(threads[t], NULL);
    if (parts[t].wrong != NULL) fail_msg("%s went wrong", parts[t].wrong);
  }
  assert_memory_equal(w.alone, w.together, all * sizeof(float));
  rst_free(w.file);
  free(w.together);
  free(w.alone);
  free(w.inputs);
  rst_model_free(model);
  random_model_free(&random);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_restores_at_once_give_the_same_bytes_as_one_by_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
