/* test_run_memory.c - memory of models, plans and runs: buffers that hold what sweeps ask for (which
 * AddressSanitizer sees), and every allocation failing in turn. */
#include <stdlib.h>

#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/model_fixture.h"

/* ---- Buffers ------------------------------------------------------------------------------------------- */

/* Upsampling to the first level runs in parts, which are cut into bands of their own: at 450 rows of the
 * second level the tallest band of a part has more rows than any of the whole. Without blocks no other sweep
 * needs more. */
static void bands_of_a_part_taller_than_of_the_whole(void **state) {
  (void)state;
  enum { WIDTH = 3, HEIGHT = 900, SAMPLES = 3 * WIDTH * HEIGHT };
  rst_architecture a = architecture_small(8, 2);
  a.num_blocks[0] = a.num_blocks[1] = a.num_refinement_blocks = 0;
  random_model weights = fixture_random(&a, 1);
  rst_model *model = fixture_model(&weights, RST_ISA_AUTO, RST_PRECISION_F32);
  float *input = fixture_samples(1, SAMPLES), *one = fixture_alloc(SAMPLES, sizeof *one),
        *two = fixture_alloc(SAMPLES, sizeof *two);
  fixture_restore(model, input, HEIGHT, WIDTH, 1, one);
  fixture_restore(model, input, HEIGHT, WIDTH, 2, two);
  assert_memory_equal(one, two, SAMPLES * sizeof *one);
  free(two);
  free(one);
  free(input);
  rst_model_free(model);
  random_model_free(&weights);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bands_of_a_part_taller_than_of_the_whole),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
