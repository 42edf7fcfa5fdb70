/* The files that checkpoints come in: zip, plain form, safetensors, and what is wrong with them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/checkpoint_builder.h"
#include "support/cmocka_all.h"

static built build_plain(workshop *w) {
  recipe r = {.model = &w->model, .wrapper = "params"};
  return build(&r);
}

static void write_text(const char *path, const char *text) {
  bytes b = {0};
  bytes_add_text(&b, text);
  bytes_write(&b, path);
  bytes_free(&b);
}

/* ---- The forms ---------------------------------------------------------------------------------------- */

static void the_zip_form(void **state) {
  workshop *w = *state;
  built b = build_plain(w);
  const zip_options options[] = {{0},
                                 {.deflate = true},
                                 {.byte_order = "little"},
                                 {.folder = ""},
                                 {.folder = "a/b c/"},
                                 {.more = "version", .more_data = "3\n"},
                                 {.more = ".data/serialization_id", .more_data = "1234"}};
  for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
    write_zip(&b, w->input, &options[i]);
    assert_converts(w);
  }
  built_free(&b);
}

static void the_plain_form(void **state) {
  workshop *w = *state;
  built b = build_plain(w);
  bytes file = {0};
  legacy_file(&b, &file);
  bytes_write(&file, w->input);
  bytes_free(&file);
  built_free(&b);
  assert_converts(w);
}

static void safetensors_of_every_type(void **state) {
  workshop *w = *state;
  const rst_dtype types[] = {RST_DTYPE_F32, RST_DTYPE_F16, RST_DTYPE_BF16};
  char manifest[256];
  snprintf(manifest, sizeof manifest, "%s/in.json", w->folder);
  snprintf(w->input, sizeof w->input, "%s/in.safetensors", w->folder);
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
    rst_architecture a = w->model.architecture;
    random_model_free(&w->model);
    assert_int_equal(random_model_init(&w->model, &a, 9, types[i], NULL), RST_OK);
    unlink(w->input);
    assert_int_equal(random_model_write(&w->model, manifest, NULL), RST_OK);
    assert_converts(w);
  }
}

static void files_that_are_no_checkpoint(void **state) {
  workshop *w = *state;
  const char *neither = "is neither a PyTorch checkpoint nor a safetensors file";
  write_text(w->input, "\x01\x02");
  assert_refused(w, neither);
  unlink(w->input);
  assert_refused(w, "cannot be opened: No such file or directory");
  static const char zeros[257];
  bytes b = {0};
  bytes_add(&b, zeros, sizeof zeros);
  bytes_add_text(&b, "ustar  ");
  bytes_write(&b, w->input);
  bytes_free(&b);
  assert_refused(
      w,
      "is a tar file, the form of PyTorch before 0.1.10, which is not read; loading it and saving it again "
      "with a newer PyTorch helps");
}

/* ---- Zip: what is wrong ------------------------------------------------------------------------------- */

static void a_zip_that_is_cut_short(void **state) {
  workshop *w = *state;
  built b = build_plain(w);
  write_zip(&b, w->input, NULL);
  built_free(&b);
  bytes file = {0};
  bytes_read(&file, w->input);
  file.size /= 2;
  bytes_write(&file, w->input);
  bytes_free(&file);
  assert_refused(
      w, "is a zip file that is cut short: the directory at its end is missing (an incomplete download?)");
}

static void a_zip_of_something_else(void **state) {
  workshop *w = *state;
  built b = build_plain(w);
  write_zip(&b, w->input, &(zip_options){.without = "data.pkl"});
  assert_refused(
      w,
      "is a zip file, but not a PyTorch checkpoint: it has no data.pkl; the first in it is archive/data/0");
  write_zip(&b, w->input, &(zip_options){.more = "more/data.pkl", .more_data = "N."});
  assert_refused(w, "is a zip file with more than one data.pkl");
  write_zip(&b, w->input, &(zip_options){.more = "constants.pkl", .more_data = ")."});
  assert_refused(w, "is a TorchScript archive, expected a checkpoint of weights");
  built_free(&b);
}

static void a_zip_of_another_byte_order(void **state) {
  workshop *w = *state;
  built b = build_plain(w);
  write_zip(&b, w->input, &(zip_options){.byte_order = "big"});
  assert_refused(w, "byte order \"big\", expected \"little\"");
  built_free(&b);
}

static void a_record_that_is_missing_or_of_another_size(void **state) {
  workshop *w = *state;
  built b = build_plain(w);
  write_zip(&b, w->input, &(zip_options){.without = "data/3"});
  assert_refused(w, "record archive/data/3: is missing");
  b.storages[0].data.size -= 4;
  write_zip(&b, w->input, NULL);
  assert_refused(w, "record archive/data/0: 212 bytes, expected 216");
  built_free(&b);
}

/* Much smaller in the file than in memory. */
static void a_record_that_is_a_bomb(void **state) {
  workshop *w = *state;
  built b = build_plain(w);
  static const char zeros[4096];
  while (b.program.size <= 64 << 20) bytes_add(&b.program, zeros, sizeof zeros);
  size_t size = b.program.size;
  bytes file = {0};
  write_zip(&b, w->input, &(zip_options){.deflate = true});
  bytes_read(&file, w->input);
  char message[256];
  snprintf(message, sizeof message, "record archive/data.pkl: %zu bytes, expected at most %d", size,
           64 << 20);
  assert_refused(w, message);
  b.program.size = 64 << 20;
  write_zip(&b, w->input, &(zip_options){.deflate = true});
  file.size = 0;
  bytes_read(&file, w->input);
  snprintf(message, sizeof message,
           "record archive/data.pkl: %d bytes, which make more than %zu of a file of %zu bytes", 64 << 20,
           64 * file.size + (1 << 20), file.size);
  assert_refused(w, message);
  bytes_free(&file);
  built_free(&b);

  b = build_plain(w);
  while (b.storages[0].data.size < 1 << 20) bytes_add(&b.storages[0].data, zeros, sizeof zeros);
  write_zip(&b, w->input, &(zip_options){.deflate = true});
  snprintf(message, sizeof message, "record archive/data/0: %zu bytes, expected 216",
           b.storages[0].data.size);
  assert_refused(w, message);
  built_free(&b);
}

static void a_record_that_was_changed(void **state) {
  workshop *w = *state;
  built b = build_plain(w);
  write_zip(&b, w->input, NULL);
  bytes file = {0};
  bytes_read(&file, w->input);
  uint8_t *values = memmem(file.data, file.size, b.storages[0].data.data, b.storages[0].data.size);
  assert_non_null(values);
  values[10] ^= 1;
  bytes_write(&file, w->input);
  assert_refused(w, "record archive/data/0: CRC error");
  bytes_free(&file);
  built_free(&b);
}

/* The only tensor of the recipe that is not as the model has it. */
static void add_output(recipe *r, const pickled_tensor *t) {
  r->omit = "output.weight";
  pickle_string(&r->inner, "output.weight");
  pickle_tensor(&r->inner, t);
}

static pickled_tensor output_tensor(void) {
  return (pickled_tensor){
      .type = "FloatStorage", .key = "new", .storage_elements = 108, .ndim = 4, .size = {3, 4, 3, 3}};
}

static void a_storage_whose_key_is_too_long(void **state) {
  workshop *w = *state;
  char key[600];
  memset(key, 'k', sizeof key - 1);
  key[sizeof key - 1] = '\0';
  pickled_tensor t = output_tensor();
  t.key = key;
  recipe r = {.model = &w->model};
  add_output(&r, &t);
  assert_recipe_refused(w, &r, "pickle has a storage that is not described as torch.save does it");
}

/* The directory of the zip file says so; the record itself is small. */
static void a_storage_too_large_for_any_model(void **state) {
  workshop *w = *state;
  pickled_tensor t = output_tensor();
  t.storage_elements = (1 << 29) + 1;
  recipe r = {.model = &w->model};
  add_output(&r, &t);
  built b = build(&r);
  const float value = 0;
  built_storage_set(&b, "new", &value, 1);
  write_zip(&b, w->input, NULL);
  built_free(&b);
  assert_refused(w, "record archive/data/new: 4 bytes, expected 2147483652");

  enum { ENTRY = 46, SIZE_IN_ENTRY = 24 }; /* of the directory: its length before the name */
  bytes file = {0};
  bytes_read(&file, w->input);
  static const char name[] = "archive/data/new";
  for (size_t i = ENTRY; i + sizeof name <= file.size; i++) {
    uint8_t *entry = file.data + i - ENTRY;
    if (memcmp(entry, "PK\1\2", 4) == 0 && memcmp(file.data + i, name, sizeof name - 1) == 0)
      memcpy(entry + SIZE_IN_ENTRY, "\x04\x00\x00\x80", 4);
  }
  bytes_write(&file, w->input);
  bytes_free(&file);
  assert_refused(w, "record archive/data/new: 2147483652 bytes, expected at most 2147483648");
}

/* ---- The plain form: what is wrong -------------------------------------------------------------------- */

static void assert_legacy_refused(workshop *w, const void *data, size_t size, const char *message) {
  bytes b = {0};
  bytes_add(&b, data, size);
  bytes_write(&b, w->input);
  bytes_free(&b);
  assert_refused(w, message);
}
#define LEGACY_REFUSED(w, literal, message) assert_legacy_refused(w, literal, sizeof(literal) - 1, message)
#define MAGIC "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."

static void a_preamble_that_is_not_pytorchs(void **state) {
  workshop *w = *state;
  LEGACY_REFUSED(w, "\x80\x02}.", "is a pickle, but not one that torch.save wrote");
  LEGACY_REFUSED(w, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x1a.",
                 "is a pickle, but not one that torch.save wrote");
  LEGACY_REFUSED(w, MAGIC "M\xe8\x03.", "protocol of PyTorch's plain form is not 1001");
  LEGACY_REFUSED(w, MAGIC "N.", "protocol of PyTorch's plain form is not 1001");
  LEGACY_REFUSED(w, MAGIC "M\xe9\x03.}.", "does not tell its byte order");
  LEGACY_REFUSED(w, MAGIC "M\xe9\x03.N.", "does not tell its byte order");
  LEGACY_REFUSED(w, MAGIC "M\xe9\x03.}\x8c\x0dlittle_endian\x89s.",
                 "byte order \"big\", expected \"little\"");
  LEGACY_REFUSED(w, MAGIC "M\xe9\x03", "its pickle is damaged at byte 3: it ends too early");
}

/* The preamble, the object, and then `rest`. */
static void assert_rest_refused(workshop *w, const built *b, const void *rest, size_t size,
                                const char *message) {
  bytes file = {0};
  legacy_preamble(&file);
  bytes_add(&file, b->program.data, b->program.size);
  bytes_add(&file, rest, size);
  bytes_write(&file, w->input);
  bytes_free(&file);
  assert_refused(w, message);
}
#define REST_REFUSED(w, b, literal, message) assert_rest_refused(w, b, literal, sizeof(literal) - 1, message)

static void a_list_of_storages_that_is_wrong(void **state) {
  workshop *w = *state;
  built b = build_plain(w);
  REST_REFUSED(w, &b, "N.", "None in place of the list of its storages");
  REST_REFUSED(w, &b, "]Na.", "the key of a storage is None, expected a str");
  REST_REFUSED(w, &b, "]\x8c\x03xyza.", "storage xyz is listed, but no tensor uses it");
  REST_REFUSED(w, &b, "].", "storage 0 is missing");
  REST_REFUSED(w, &b,
               "]\x8c\x01"
               "0a.",
               "ends in the middle of storage 0");
  REST_REFUSED(w, &b,
               "]\x8c\x01"
               "0a.\x36\x00\x00\x00\x00\x00\x00",
               "ends in the middle of storage 0");
  REST_REFUSED(w, &b,
               "]\x8c\x01"
               "0a.\x36\x00\x00\x00\x00\x00\x00\x00values",
               "ends in the middle of storage 0");
  bytes rest = {0};
  static const char values[216];
  bytes_add_text(&rest,
                 "](\x8c\x01"
                 "0\x8c\x01"
                 "0e.");
  bytes_add(&rest, "\x36\x00\x00\x00\x00\x00\x00\x00", 8);
  bytes_add(&rest, values, sizeof values);
  assert_rest_refused(w, &b, rest.data, rest.size, "storage 0 is listed twice");
  rest.size = 0;
  bytes_add_text(&rest,
                 "](\x8c\x01"
                 "0e.");
  bytes_add(&rest, "\x37\x00\x00\x00\x00\x00\x00\x00", 8);
  bytes_add(&rest, values, sizeof values);
  assert_rest_refused(w, &b, rest.data, rest.size, "storage 0: 55 elements, expected 54");
  bytes_free(&rest);
  built_free(&b);
}

/* ---- Values ------------------------------------------------------------------------------------------- */

static void convert_as(workshop *w, const char *dtype, rst_status expected, const char *message) {
  rst_error err = {.message = ""};
  char full[1024];
  snprintf(full, sizeof full, "%s: %s", w->input, message);
  rst_status status = rst_weights_convert(
      w->input, w->manifest,
      &(rst_convert_options){.struct_size = sizeof(rst_convert_options), .dtype = dtype}, &err);
  assert_string_equal(err.message, message[0] != '\0' ? full : "");
  assert_int_equal(status, expected);
}

static void a_value_that_cannot_be_stored_is_named(void **state) {
  workshop *w = *state;
  built b = build_plain(w);
  float values[54] = {0};
  values[7] = NAN;
  built_storage_set(&b, "0", values, 54);
  write_zip(&b, w->input, NULL);
  assert_refused(w, "tensor patch_embed.proj.weight: element 7 is NaN, which is not a finite number");
  values[7] = 70000;
  built_storage_set(&b, "0", values, 54);
  write_zip(&b, w->input, NULL);
  built_free(&b);
  convert_as(w, "f16", RST_ERROR_WEIGHTS,
             "tensor patch_embed.proj.weight: element 7 is 70000, which does not fit F16");
  convert_as(w, "bf16", RST_OK, "");
}

static void float64_is_rounded_to_float32(void **state) {
  workshop *w = *state;
  double values[108];
  for (size_t i = 0; i < 108; i++) values[i] = 1.0 / (double)(i + 1);
  for (int large = 0; large < 2; large++) {
    pickled_tensor t = output_tensor();
    t.type = "DoubleStorage";
    recipe r = {.model = &w->model};
    add_output(&r, &t);
    built b = build(&r);
    if (large) values[3] = -1e300;
    built_storage_set(&b, "new", (const float *)(const void *)values, 216);
    write_zip(&b, w->input, NULL);
    built_free(&b);
    if (large) {
      convert_as(w, NULL, RST_ERROR_WEIGHTS,
                 "tensor output.weight: element 3 is -Inf, which is not a finite number");
      continue;
    }
    convert_as(w, NULL, RST_OK, "");
    rst_weights *weights;
    assert_int_equal(rst_weights_open(w->manifest, &weights, NULL), RST_OK);
    float found[108];
    rst_tensor_read(rst_weights_tensor(weights, "output.weight"), NULL, 0, 108, found, NULL);
    for (size_t i = 0; i < 108; i++) assert_true(found[i] == (float)values[i]);
    rst_weights_close(weights);
  }
}

static void strides_and_offsets_are_followed(void **state) {
  workshop *w = *state;
  const rst_tensor_spec *spec = &w->model.specs[w->model.count - 1];
  float values[108], stored[5 + 108] = {0};
  assert_string_equal(spec->name, "output.weight");
  random_model_values(&w->model, spec, 0, 108, values);
  /* [3][4][3][3] stored as [y][x][in][out] */
  for (size_t o = 0; o < 3; o++)
    for (size_t i = 0; i < 4; i++)
      for (size_t p = 0; p < 9; p++) stored[5 + (p * 4 + i) * 3 + o] = values[(o * 4 + i) * 9 + p];
  pickled_tensor t = output_tensor();
  t.storage_elements = 5 + 108;
  t.offset = 5;
  memcpy(t.stride, (int64_t[]){1, 3, 36, 12}, 4 * sizeof *t.stride);
  recipe r = {.model = &w->model};
  add_output(&r, &t);
  built b = build(&r);
  built_storage_set(&b, "new", stored, 5 + 108);
  write_zip(&b, w->input, NULL);
  assert_converts(w);
  bytes file = {0};
  legacy_file(&b, &file);
  bytes_write(&file, w->input);
  assert_converts(w);
  bytes_free(&file);
  built_free(&b);
}

/* Views with strides of 0 are tensors of any size. */
static void a_network_that_is_too_large_for_its_file(void **state) {
  enum { MOST = 2048 }; /* elements of the longest vector */
  static const float values[MOST];
  workshop *w = *state;
  rst_architecture a = architecture_small(256, 1);
  workshop_model(w, &a);
  recipe r = {.model = &w->model};
  built b = build(&r);
  bytes program = {0}, file = {0};
  bytes_add_text(&program, "}(");
  for (size_t i = 0; i < w->model.count; i++) {
    const rst_tensor_spec *spec = &w->model.specs[i];
    pickled_tensor t = {
        .type = "FloatStorage", .key = "0", .storage_elements = MOST, .ndim = (size_t)spec->ndim};
    for (int d = 0; d < spec->ndim; d++) {
      t.size[d] = (int64_t)spec->shape[d];
      t.stride[d] = d == spec->ndim - 1;
    }
    pickle_string(&program, spec->name);
    pickle_tensor(&program, &t);
  }
  bytes_add_text(&program, "u.");
  bytes_free(&b.program);
  b.program = program;
  built_storage_set(&b, "0", values, MOST);
  b.count = 1;
  write_zip(&b, w->input, &(zip_options){.deflate = true});
  bytes_read(&file, w->input);
  size_t parameters = 0;
  for (size_t i = 0; i < w->model.count; i++) parameters += w->model.specs[i].elements;
  char message[256];
  snprintf(message, sizeof message, "%zu parameters, expected at most %zu in a file of %zu bytes", parameters,
           (64 * file.size + (1 << 20)) / 4, file.size);
  assert_refused(w, message);
  bytes_free(&file);
  b.count = w->model.count;
  built_free(&b);
}

static void a_tensor_beyond_its_storage(void **state) {
  workshop *w = *state;
  const struct {
    int64_t elements, offset, stride[4];
  } cases[] = {{107, 0, {36, 9, 3, 1}},        {108, 1, {36, 9, 3, 1}},
               {108, 0, {37, 9, 3, 1}},        {108, INT64_MAX, {36, 9, 3, 1}},
               {108, 0, {INT64_MAX, 9, 3, 1}}, {108, 0, {INT64_MAX / 2, INT64_MAX / 2, 3, 1}}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    pickled_tensor t = output_tensor();
    t.storage_elements = cases[i].elements;
    t.offset = cases[i].offset;
    memcpy(t.stride, cases[i].stride, sizeof cases[i].stride);
    recipe r = {.model = &w->model};
    add_output(&r, &t);
    char message[128];
    snprintf(message, sizeof message,
             "tensor output.weight: reaches beyond its storage new, which has %d bytes for it",
             (int)(4 * cases[i].elements));
    assert_recipe_refused(w, &r, message);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, workshop_open, workshop_close)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(the_zip_form),
      TEST(the_plain_form),
      TEST(safetensors_of_every_type),
      TEST(files_that_are_no_checkpoint),
      TEST(a_zip_that_is_cut_short),
      TEST(a_zip_of_something_else),
      TEST(a_zip_of_another_byte_order),
      TEST(a_record_that_is_missing_or_of_another_size),
      TEST(a_record_that_is_a_bomb),
      TEST(a_record_that_was_changed),
      TEST(a_storage_whose_key_is_too_long),
      TEST(a_storage_too_large_for_any_model),
      TEST(a_preamble_that_is_not_pytorchs),
      TEST(a_list_of_storages_that_is_wrong),
      TEST(a_value_that_cannot_be_stored_is_named),
      TEST(float64_is_rounded_to_float32),
      TEST(strides_and_offsets_are_followed),
      TEST(a_tensor_beyond_its_storage),
      TEST(a_network_that_is_too_large_for_its_file),
  };
  return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
