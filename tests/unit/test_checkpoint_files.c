/* Checkpoints that PyTorch wrote (tests/data/checkpoints), damaged ones, and a lack of memory. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/checkpoint_builder.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/fixture.h"
#include "weights/checkpoint/checkpoint.h"

#define DATA "tests/data/checkpoints/"

static void convert_file(workshop *w, const char *name) {
  snprintf(w->input, sizeof w->input, "%s%s", DATA, name);
  if (access(w->input, R_OK) != 0) fail_msg("%s: %s; tests run in the top folder", w->input, strerror(errno));
}

/* The values that make-checkpoints gives the tensor. */
static void assert_values(const rst_weights *weights, const rst_tensor_spec *spec) {
  const rst_tensor *tensor = rst_weights_tensor(weights, spec->name);
  float *found = fixture_alloc(spec->elements, sizeof *found);
  assert_non_null(tensor);
  rst_tensor_read(tensor, NULL, 0, spec->elements, found, NULL);
  for (size_t i = 0; i < spec->elements; i++) {
    int expected = (int)((7 * i + 13 * strlen(spec->name)) % 127) - 63;
    assert_true(found[i] == (float)expected / 64);
  }
  free(found);
}

/* The network of make-checkpoints. */
static rst_architecture its_architecture(void) {
  rst_architecture a = architecture_small(2, 2);
  a.heads[1] = 2;
  a.ffn_hidden[0] = 5;
  a.ffn_hidden[1] = 10;
  return a;
}

/* The input must give the workshop's model with those values, stored as `dtype`. */
static void assert_converts_to(workshop *w, const char *dtype) {
  rst_error err = {.message = ""};
  rst_weights *weights;
  rst_weights_info info;
  rst_weights_info_init(&info);
  rst_status status = rst_weights_convert(w->input, w->manifest, NULL, &err);
  assert_string_equal(err.message, "");
  assert_int_equal(status, RST_OK);
  assert_int_equal(rst_weights_open(w->manifest, &weights, NULL), RST_OK);
  assert_int_equal(rst_weights_verify(weights, NULL), RST_OK);
  rst_weights_get_info(weights, &info);
  assert_string_equal(info.dtype, dtype);
  assert_memory_equal(info.architecture, &w->model.architecture, sizeof *info.architecture);
  for (size_t k = 0; k < w->model.count; k++) assert_values(weights, &w->model.specs[k]);
  rst_weights_close(weights);
}

static void files_of_pytorch_convert(void **state) {
  workshop *w = *state;
  const struct {
    const char *file, *dtype;
  } cases[] = {{"params.pth", "F32"},
               {"bare.pth", "F32"},
               {"ema.pth", "F32"},
               {"legacy.pth", "F32"},
               {"legacy-protocol5.pth", "F32"},
               {"legacy-one-storage.pth", "F32"},
               {"one-storage.pth", "F32"},
               {"lightning.ckpt", "F32"},
               {"half-module.pth", "F16"},
               {"bfloat16.pth", "BF16"},
               {"double.pth", "F32"},
               {"mixed.pth", "F32"},
               {"strided.pth", "F32"},
               {"parameters.pth", "F32"},
               {"protocol4.pth", "F32"}};
  const rst_architecture a = its_architecture();
  workshop_model(w, &a);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    convert_file(w, cases[i].file);
    assert_converts_to(w, cases[i].dtype);
  }
}

static void note(void *user, const char *message) {
  snprintf(user, 256, "%s", message);
}

static void a_promptir_as_its_trainer_writes_it_converts(void **state) {
  workshop *w = *state;
  rst_architecture a = its_architecture();
  a.prompts[1] =
      (rst_prompt){.length = 2, .dim = 6, .size = 3, .heads = 5, .ffn_hidden = 7, .out_channels = 4};
  workshop_model(w, &a);
  convert_file(w, "promptir.ckpt");
  assert_converts_to(w, "F32");
  char said[256] = "";
  const rst_convert_options options = {.struct_size = sizeof options, .notice = note, .user = said};
  assert_int_equal(rst_weights_convert(w->input, w->manifest, &options, NULL), RST_OK);
  assert_string_equal(
      said, DATA "promptir.ckpt: leaves out 6 tensors beside the network: net.chnl_reduce1.weight, ...");
}

static void files_of_pytorch_that_would_run_code_are_refused(void **state) {
  workshop *w = *state;
  convert_file(w, "command.pth");
  assert_refused(w, "pickle asks for posix.system, which a checkpoint of weights does not need");
  convert_file(w, "whole-model.pth");
  assert_refused(w,
                 "pickle asks for torch.nn.modules.conv.Conv2d, which a checkpoint of weights does not need");
}

/* ---- Damage ------------------------------------------------------------------------------------------- */

/* Either it works or it says why not. The files are removed: to replace them would wait for the disk. */
static void convert_any(workshop *w) {
  rst_error err = {.message = ""};
  rst_status status = rst_weights_convert(w->input, w->manifest, NULL, &err);
  assert_true(status == RST_OK || status == RST_ERROR_WEIGHTS);
  assert_true((status == RST_OK) == (err.message[0] == '\0'));
  assert_true((status == RST_OK) == (unlink(w->manifest) == 0));
  assert_true((status == RST_OK) == (unlink(w->tensors) == 0));
  assert_int_equal(unlink(w->input), 0);
}

static void convert_damaged(workshop *w, const bytes *file) {
  bytes_write(file, w->input);
  convert_any(w);
}

static void damage(workshop *w, bytes *file, uint64_t seed, size_t rounds, size_t reach) {
  bytes copy = {0};
  bytes_add(&copy, file->data, file->size);
  for (uint64_t round = 0; round < rounds; round++) {
    uint64_t changes = 1 + random_bits(seed, 8 * round) % 4;
    for (uint64_t i = 0; i < changes; i++) {
      uint64_t bits = random_bits(seed, 8 * round + 1 + i);
      copy.data[(bits >> 8) % reach] = (uint8_t)bits;
    }
    convert_damaged(w, &copy);
    memcpy(copy.data, file->data, file->size);
  }
  for (size_t i = 0; i < rounds / 8; i++) {
    copy.size = (size_t)(random_bits(seed + 1, i) % file->size);
    convert_damaged(w, &copy);
  }
  bytes_free(&copy);
}

static void damaged_files_are_read_or_refused(void **state) {
  workshop *w = *state;
  const struct {
    const char *file;
    size_t reach; /* damage is done to so many bytes at the beginning; 0: everywhere */
  } cases[] = {{"legacy-one-storage.pth", 6000},
               {"legacy-protocol5.pth", 6000},
               {"lightning.ckpt", 9000},
               {"half-module.pth", 0}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char path[128];
    bytes file = {0};
    snprintf(path, sizeof path, "%s%s", DATA, cases[i].file);
    bytes_read(&file, path);
    damage(w, &file, 100 + 2 * i, 1000, cases[i].reach > 0 ? cases[i].reach : file.size);
    bytes_free(&file);
  }
}

/* A zip's checksums would hide the program from the damage above. */
static void damaged_programs_in_zips_are_read_or_refused(void **state) {
  workshop *w = *state;
  recipe r = {.model = &w->model, .wrapper = "params", .prefix = "module."};
  built b = build(&r);
  bytes good = {0};
  bytes_add(&good, b.program.data, b.program.size);
  for (uint64_t round = 0; round < 1000; round++) {
    memcpy(b.program.data, good.data, good.size);
    for (uint64_t i = 0; i <= round % 3; i++) {
      uint64_t bits = random_bits(77, 4 * round + i);
      b.program.data[(bits >> 8) % good.size] = (uint8_t)bits;
    }
    write_zip(&b, w->input, NULL);
    convert_any(w);
  }
  bytes_free(&good);
  built_free(&b);
}

/* Tensors that take turns between two storages have them inflated again and again. */
static void storages_are_inflated_only_so_often(void **state) {
  workshop *w = *state;
  recipe r = {.model = &w->model};
  built b = build(&r);
  write_zip(&b, w->input, &(zip_options){.deflate = true});
  rst_checkpoint c;
  rst_error err = {.message = ""};
  assert_int_equal(rst_checkpoint_load(w->input, NULL, NULL, &c, &err), RST_OK);
  assert_int_equal(rst_checkpoint_parse(&c, &err), RST_OK);
  const rst_storage *one = rst_pickle_storage(&c.pickle, (rst_text){"0", 1}),
                    *two = rst_pickle_storage(&c.pickle, (rst_text){"1", 1});
  const uint8_t *data;
  const size_t allowance = rst_checkpoint_allowance(&c);
  assert_int_equal(allowance, 64 * c.file.size + (1 << 20));
  c.inflated = allowance - one->bytes - two->bytes;
  assert_int_equal(rst_checkpoint_data(&c, one, &data, &err), RST_OK);
  assert_int_equal(rst_checkpoint_data(&c, two, &data, &err), RST_OK);
  assert_int_equal(rst_checkpoint_data(&c, two, &data, &err), RST_OK); /* it is still there */
  assert_int_equal(rst_checkpoint_data(&c, one, &data, &err), RST_ERROR_WEIGHTS);
  char message[512];
  snprintf(message, sizeof message,
           "%s: record archive/data/0: %zu bytes, which make more than %zu of a file of %zu bytes", w->input,
           one->bytes, allowance, c.file.size);
  assert_string_equal(err.message, message);
  rst_checkpoint_close(&c);
  built_free(&b);
}

/* ---- Interruption ------------------------------------------------------------------------------------- */

static bool stop_after(void *user) {
  return (*(int *)user)-- == 0;
}

/* Wherever it is stopped, nothing is left. */
static void cancel_anywhere(workshop *w, bool sandbox) {
  const char *const files[] = {"params.pth", "legacy.pth"};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    rst_status status = RST_CANCELLED;
    int stops = 0;
    convert_file(w, files[i]);
    while (status == RST_CANCELLED) {
      int left = stops++;
      rst_convert_options options;
      rst_convert_options_init(&options);
      options.cancelled = stop_after;
      options.user = &left;
      options.sandbox = sandbox;
      status = rst_weights_convert(w->input, w->manifest, &options, NULL);
      if (status == RST_CANCELLED) assert_int_not_equal(access(w->manifest, F_OK), 0);
      if (status == RST_CANCELLED) assert_int_not_equal(access(w->tensors, F_OK), 0);
    }
    assert_int_equal(status, RST_OK);
    assert_true(stops > 50);
    assert_int_equal(unlink(w->manifest), 0);
    assert_int_equal(unlink(w->tensors), 0);
  }
}

static void a_conversion_can_be_cancelled_anywhere(void **state) {
  cancel_anywhere(*state, false);
}

static void a_conversion_in_a_helper_can_be_cancelled_anywhere(void **state) {
  cancel_anywhere(*state, true);
}

/* ---- Memory ------------------------------------------------------------------------------------------- */

static rst_status convert_once(void *user, rst_error *err) {
  const workshop *w = user;
  return rst_weights_convert(w->input, w->manifest, NULL, err);
}

static rst_status convert_in_a_helper(void *user, rst_error *err) {
  const workshop *w = user;
  rst_convert_options options;
  rst_convert_options_init(&options);
  options.sandbox = true;
  return rst_weights_convert(w->input, w->manifest, &options, err);
}

static void every_allocation_may_fail(void **state) {
  workshop *w = *state;
  const char *const files[] = {"legacy.pth", "lightning.ckpt"};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    convert_file(w, files[i]);
    assert_true(fail_each_alloc(convert_once, w) >= 15);
    assert_true(fail_each_alloc(convert_in_a_helper, w) >= 15);
  }
  snprintf(w->input, sizeof w->input, "%s", w->tensors);
  snprintf(w->manifest, sizeof w->manifest, "%s/again.json", w->folder);
  assert_true(fail_each_alloc(convert_once, w) >= 15);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, workshop_open, workshop_close)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(files_of_pytorch_convert),
      TEST(a_promptir_as_its_trainer_writes_it_converts),
      TEST(files_of_pytorch_that_would_run_code_are_refused),
      TEST(damaged_files_are_read_or_refused),
      TEST(damaged_programs_in_zips_are_read_or_refused),
      TEST(storages_are_inflated_only_so_often),
      TEST(a_conversion_can_be_cancelled_anywhere),
      TEST(a_conversion_in_a_helper_can_be_cancelled_anywhere),
      TEST(every_allocation_may_fail),
  };
  return cmocka_run_group_tests_name("checkpoint files", tests, NULL, NULL);
}
