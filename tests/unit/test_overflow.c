/* Weights so large that something inside the network overflows while all that is stored, read and written is
 * finite by itself: an error, in every precision and on every instruction set, and never a picture. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_all.h"
#include "support/model_fixture.h"

enum { DIM = 8, SIDE = 20, SAMPLES = 3 * SIDE * SIDE };

typedef struct change {
  const char *tensor;
  size_t first, count; /* of its elements; 0: all */
  float factor;
} change;

static const change changes[] = {
    {"patch_embed.proj.weight", 0, 0, 1e21F},                        /* the variance of a layer norm */
    {"encoder_level1.0.attn.qkv.weight", 0, DIM *DIM, 1e25F},        /* the norm of q */
    {"encoder_level1.0.attn.qkv.weight", DIM *DIM, DIM *DIM, 1e25F}, /* of k */
    {"encoder_level1.0.attn.qkv_dwconv.weight", 9 * DIM, 9, 1e25F},  /* of one channel of k */
    {"encoder_level1.0.ffn.project_in.weight", 0, 0, 1e30F},         /* the gate times the value */
    {"latent.0.attn.project_out.weight", 0, 0, 1e38F},               /* sums */
    {"down1_2.body.0.weight", 0, 0, 1e21F},
};

static rst_weights *open_changed(const random_model *random, const change *c, char *folder) {
  char path[512];
  rst_weights *weights;
  rst_error err;
  snprintf(path, sizeof path, "%s/w.json", folder);
  if (random_model_write(random, path, &err) != RST_OK) fail_msg("%s", err.message);
  assert_int_equal(rst_weights_open(path, &weights, NULL), RST_OK);
  const rst_tensor *t = rst_weights_tensor(weights, c->tensor);
  assert_non_null(t);
  const size_t count = c->count != 0 ? c->count : t->elements;
  float *values = fixture_alloc(count, sizeof *values);
  assert_int_equal(rst_tensor_read(t, NULL, c->first, count, values, NULL), RST_OK);
  for (size_t i = 0; i < count; i++) values[i] *= c->factor;
  FILE *f = fopen(t->file->path, "r+b");
  assert_non_null(f);
  assert_int_equal(fseek(f, (long)(t->offset + c->first * sizeof *values), SEEK_SET), 0);
  assert_int_equal(fwrite(values, sizeof *values, count, f), count);
  assert_int_equal(fclose(f), 0);
  free(values);
  return weights;
}

static void expect_overflow(const rst_weights *weights, const change *c, rst_isa isa,
                            rst_precision precision) {
  rst_model_options how;
  rst_model_options_init(&how);
  how.isa = isa, how.precision = precision;
  rst_model *model;
  rst_error err;
  /* What a precision cannot hold is refused when it is packed. */
  rst_status status = rst_model_create(weights, &how, &model, &err);
  if (status == RST_ERROR_WEIGHTS && strstr(err.message, "too large") != NULL) return;
  if (status != RST_OK) fail_msg("%s: %s", c->tensor, err.message);
  float *samples = fixture_samples(1, SAMPLES);
  const rst_pixels pixels = fixture_planar(samples, RST_SAMPLE_F32, 3, SIDE, SIDE);
  status = rst_restore(model, &pixels, &pixels, NULL, &err);
  if (status != RST_ERROR_NUMBERS)
    fail_msg("%s on %s in %s: status %d, %g", c->tensor, rst_isa_name(isa), rst_precision_name(precision),
             (int)status, (double)samples[0]);
  free(samples);
  rst_model_free(model);
}

static void overflow_inside_is_an_error(void **state) {
  (void)state;
  const rst_architecture a = architecture_small(DIM, 2);
  random_model random = fixture_random(&a, 3);
  for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
    char *folder = fixture_folder();
    rst_weights *weights = open_changed(&random, &changes[i], folder);
    for (int isa = RST_ISA_BASELINE; isa < RST_ISA_COUNT; isa++)
      for (int precision = 0; precision < RST_PRECISION_COUNT; precision++)
        if (rst_isa_available((rst_isa)isa))
          expect_overflow(weights, &changes[i], (rst_isa)isa, (rst_precision)precision);
    rst_weights_close(weights);
    fixture_remove_folder(folder);
  }
  random_model_free(&random);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(overflow_inside_is_an_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
