/* What a helper says of a checkpoint is not believed when it makes no sense. */
#include "weights/checkpoint/helper.c"

#include "support/cmocka_all.h"

static rst_architecture small(void) {
  return (rst_architecture){.in_channels = 3,
                            .out_channels = 3,
                            .dim = 2,
                            .levels = 1,
                            .num_blocks = {1},
                            .heads = {1},
                            .ffn_hidden = {5},
                            .attention = {true},
                            .residual = true};
}

static rst_status take(network *found, unsigned kind, size_t size, rst_error *err) {
  rst_conversion c = {.checkpoint = {.path = "x.pth"}};
  const rst_sandbox_record record = {kind, found, size};
  return take_network(&c, &record, err);
}

static void assert_taken(network found, rst_status status, const char *message) {
  rst_error err = {.message = ""};
  assert_int_equal(take(&found, NETWORK, sizeof found, &err), status);
  assert_string_equal(err.message, message);
}

#define NONSENSE "x.pth: its decoder gives a network that makes no sense"

static void networks(void **state) {
  (void)state;
  const network good = {small(), RST_DTYPE_F16};
  assert_taken(good, RST_OK, "");
  network bad = good;
  bad.architecture.heads[0] = 0;
  assert_taken(bad, RST_ERROR_WEIGHTS, "x.pth: heads[0] 0, expected a divisor of the level's width, 2");
  bad = good;
  bad.architecture.levels = 1000;
  assert_taken(bad, RST_ERROR_WEIGHTS, "x.pth: number of levels 1000, expected 1 to 5");
  bad = good;
  bad.dtype = RST_DTYPE_F64;
  assert_taken(bad, RST_ERROR_WEIGHTS, NONSENSE);
  bad.dtype = -1;
  assert_taken(bad, RST_ERROR_WEIGHTS, NONSENSE);
  bool *const flags[] = {&bad.architecture.attention[RST_MAX_LEVELS - 1], &bad.architecture.bias,
                         &bad.architecture.norm_bias, &bad.architecture.dual_pixel,
                         &bad.architecture.residual};
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
    bad = good;
    memset(flags[i], 2, 1);
    rst_error err;
    assert_int_equal(take(&bad, NETWORK, sizeof bad, &err), RST_ERROR_WEIGHTS);
    assert_string_equal(err.message, NONSENSE);
  }
  rst_error err;
  bad = good;
  assert_int_equal(take(&bad, VALUES, sizeof bad, &err), RST_ERROR_WEIGHTS);
  assert_int_equal(take(&bad, NETWORK, sizeof bad - 1, &err), RST_ERROR_WEIGHTS);
}

/* ---- Values ------------------------------------------------------------------------------------- */

enum { COUNT = 10 };

typedef struct lie {
  size_t sizes[4]; /* of records, in bytes; 0 ends them */
  unsigned kind;
} lie;

static rst_status send_records(void *user, rst_sandbox *sandbox, rst_error *err) {
  const lie *l = user;
  const float values[COUNT + 1] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  const uint8_t *at = (const uint8_t *)values;
  for (size_t i = 0; l->sizes[i] != 0; at += l->sizes[i++])
    if (!rst_sandbox_send(sandbox, l->kind, at, l->sizes[i]))
      return rst_fail(err, RST_ERROR_WEIGHTS, "not taken");
  return RST_OK;
}

static rst_status take_from(lie l, float values[COUNT], rst_error *err) {
  const rst_sandbox_options options = {
      .name = "x.pth", .status = RST_ERROR_WEIGHTS, .memory = 1 << 26, .seconds = 20};
  rst_conversion c = {.checkpoint = {.path = "x.pth"}};
  *err = (rst_error){.message = ""};
  assert_int_equal(rst_sandbox_start(&options, send_records, &l, &c.helper, err), RST_OK);
  rst_status status = take_values(&c, 0, NULL, 0, 4, values, err);
  if (status == RST_OK) status = take_values(&c, 1, NULL, 0, COUNT - 4, values + 4, err);
  rst_sandbox_stop(c.helper);
  return status;
}

static void values_come_in_pieces_of_any_size(void **state) {
  (void)state;
  if (!rst_sandbox_available()) skip();
  const lie pieces[] = {{{40}, VALUES}, {{4, 4, 32}, VALUES}, {{12, 28}, VALUES}, {{16, 24}, VALUES}};
  for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
    float values[COUNT];
    rst_error err;
    assert_int_equal(take_from(pieces[i], values, &err), RST_OK);
    for (int k = 0; k < COUNT; k++) assert_true(values[k] == (float)(k + 1));
  }
  const lie lies[] = {{{16, 20}, VALUES}, {{16, 23}, VALUES}, {{16, 24}, NETWORK}, {{0}, VALUES}};
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    float values[COUNT];
    rst_error err;
    assert_int_equal(take_from(lies[i], values, &err), RST_ERROR_WEIGHTS);
    assert_string_equal(err.message, NONSENSE);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(networks),
      cmocka_unit_test(values_come_in_pieces_of_any_size),
  };
  return cmocka_run_group_tests_name("checkpoint helper", tests, NULL, NULL);
}
