/* Writing manifests and safetensors files. */
#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sha256.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/fixture.h"
#include "support/random_model.h"
#include "weights/writer.h"

enum { PATH = 256 };

/* A folder, an architecture, and a value that is not one of the random ones. */
typedef struct setting {
  char *folder;
  char manifest[PATH], tensors[PATH];
  random_model model;
  const char *odd_tensor;
  size_t odd_element;
  float odd_value;
  size_t calls;
} setting;

static int begin(void **state) {
  setting *s = fixture_alloc(1, sizeof *s);
  rst_architecture a = architecture_small(4, 2);
  assert_int_equal(random_model_init(&s->model, &a, 1, RST_DTYPE_F32, NULL), RST_OK);
  s->folder = fixture_folder();
  snprintf(s->manifest, PATH, "%s/w.json", s->folder);
  snprintf(s->tensors, PATH, "%s/w.safetensors", s->folder);
  *state = s;
  return 0;
}

static int finish(void **state) {
  setting *s = *state;
  random_model_free(&s->model);
  fixture_remove_folder(s->folder);
  free(s);
  return 0;
}

static rst_status values(void *user, size_t index, const rst_tensor_spec *spec, size_t first, size_t count,
                         float *out, rst_error *err) {
  (void)err;
  setting *s = user;
  assert_string_equal(spec->name, s->model.specs[index].name);
  random_model_values(&s->model, spec, first, count, out);
  if (s->odd_tensor != NULL && strcmp(s->odd_tensor, spec->name) == 0 && s->odd_element >= first &&
      s->odd_element < first + count)
    out[s->odd_element - first] = s->odd_value;
  return RST_OK;
}

static rst_writing writing_of(setting *s) {
  return (rst_writing){.where = "x.pth",
                       .manifest_path = s->manifest,
                       .architecture = &s->model.architecture,
                       .dtype = RST_DTYPE_F32,
                       .values = values,
                       .user = s};
}

static void assert_written(const rst_writing *w) {
  rst_error err = {.message = ""};
  rst_status status = rst_weights_write(w, &err);
  assert_string_equal(err.message, "");
  assert_int_equal(status, RST_OK);
}

static void assert_not_written(const rst_writing *w, rst_status expected, const char *message) {
  rst_error err = {.message = ""};
  assert_int_equal(rst_weights_write(w, &err), expected);
  assert_string_equal(err.message, message);
}

static char *read_file(const char *path, size_t *size) {
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  char *data = fixture_alloc(1 << 20, 1);
  *size = fread(data, 1, (1 << 20) - 1, f);
  fclose(f);
  return data;
}

static rst_weights *open_weights(const char *manifest) {
  rst_error err = {.message = ""};
  rst_weights *weights;
  rst_status status = rst_weights_open(manifest, &weights, &err);
  assert_string_equal(err.message, "");
  assert_int_equal(status, RST_OK);
  return weights;
}

static bool exists(const char *path) {
  return access(path, F_OK) == 0;
}

/* ---- What is written ---------------------------------------------------------------------------------- */

static void the_manifest_reads_like_the_documentation(void **state) {
  setting *s = *state;
  rst_writing w = writing_of(s);
  w.name = "tiny \"quoted\" \\ \xc3\xa9\n";
  w.task = "denoising";
  w.license = "MIT";
  w.source = "a test";
  assert_written(&w);
  size_t size;
  char *text = read_file(s->manifest, &size);
  const char *expected =
      "{\n"
      "  \"format\": \"restormer-weights\",\n"
      "  \"version\": 1,\n"
      "  \"name\": \"tiny \\\"quoted\\\" \\\\ \xc3\xa9\\u000a\",\n"
      "  \"task\": \"denoising\",\n"
      "  \"license\": \"MIT\",\n"
      "  \"source\": \"a test\",\n"
      "  \"model\": {\n"
      "    \"in_channels\": 3,\n"
      "    \"out_channels\": 3,\n"
      "    \"dim\": 4,\n"
      "    \"num_blocks\": [1, 1],\n"
      "    \"num_refinement_blocks\": 1,\n"
      "    \"heads\": [1, 1],\n"
      "    \"ffn_hidden\": [10, 21],\n"
      "    \"bias\": false,\n"
      "    \"layer_norm\": \"WithBias\",\n"
      "    \"attention\": [\"mdta\", \"mdta\"],\n"
      "    \"dual_pixel\": false,\n"
      "    \"residual\": true\n"
      "  },\n"
      "  \"files\": [\n"
      "    {\n"
      "      \"path\": \"w.safetensors\",\n"
      "      \"bytes\": ";
  assert_true(strncmp(text, expected, strlen(expected)) == 0);
  const char *end = "\"\n    }\n  ]\n}\n";
  assert_string_equal(text + size - strlen(end), end);
  free(text);
  rst_weights *weights = open_weights(s->manifest);
  rst_weights_info info;
  rst_weights_info_init(&info);
  rst_weights_get_info(weights, &info);
  assert_string_equal(info.name, w.name);
  assert_string_equal(info.source, w.source);
  rst_weights_close(weights);
}

static void texts_that_are_null_are_left_out(void **state) {
  setting *s = *state;
  rst_writing w = writing_of(s);
  assert_written(&w);
  size_t size;
  char *text = read_file(s->manifest, &size);
  assert_non_null(strstr(text, "\"version\": 1,\n  \"model\""));
  free(text);
}

static void attention_is_that_of_each_level(void **state) {
  setting *s = *state;
  rst_architecture a = s->model.architecture;
  a.attention[1] = false;
  random_model_free(&s->model);
  assert_int_equal(random_model_init(&s->model, &a, 1, RST_DTYPE_F32, NULL), RST_OK);
  rst_writing w = writing_of(s);
  assert_written(&w);
  size_t size;
  char *text = read_file(s->manifest, &size);
  assert_non_null(strstr(text, "\"attention\": [\"mdta\", \"none\"],\n"));
  free(text);
  rst_weights_close(open_weights(s->manifest));
}

static void the_file_of_tensors_is_aligned_and_in_order(void **state) {
  setting *s = *state;
  rst_writing w = writing_of(s);
  assert_written(&w);
  size_t size;
  char *file = read_file(s->tensors, &size);
  uint64_t length;
  memcpy(&length, file, sizeof length);
  assert_int_equal(length % 8, 0);
  static const char begin[] = "{\"__metadata__\":{\"format\":\"pt\",\"data_sha256\":\"",
                    next[] =
                        "\"},\"patch_embed.proj.weight\":{\"dtype\":\"F32\",\"shape\":[4,3,3,3],"
                        "\"data_offsets\":[0,432]}";
  assert_memory_equal(file + 8, begin, sizeof begin - 1);
  assert_memory_equal(file + 8 + sizeof begin - 1 + 64, next, sizeof next - 1);
  /* The hash is that of the data. */
  rst_sha256 hash;
  uint8_t digest[RST_SHA256_BYTES];
  char hex[RST_SHA256_HEX];
  rst_sha256_init(&hash);
  rst_sha256_update(&hash, file + 8 + length, size - 8 - length);
  rst_sha256_final(&hash, digest);
  rst_sha256_hex(digest, hex);
  assert_memory_equal(file + 8 + sizeof begin - 1, hex, 64);
  const char *at = file;
  for (size_t i = 0; i < s->model.count; i++) {
    char name[RST_TENSOR_NAME + 4];
    snprintf(name, sizeof name, "\"%s\"", s->model.specs[i].name);
    at = memmem(at, (size_t)(file + 8 + length - at), name, strlen(name));
    assert_non_null(at);
  }
  free(file);
}

static void every_value_comes_back_in_every_type(void **state) {
  setting *s = *state;
  const rst_dtype types[] = {RST_DTYPE_F32, RST_DTYPE_F16, RST_DTYPE_BF16};
  for (size_t t = 0; t < 3; t++) {
    rst_architecture a = architecture_small(40, 2); /* has tensors of more than one piece */
    random_model_free(&s->model);
    assert_int_equal(random_model_init(&s->model, &a, 3, types[t], NULL), RST_OK);
    rst_writing w = writing_of(s);
    w.dtype = types[t];
    assert_written(&w);
    rst_weights *weights = open_weights(s->manifest);
    assert_int_equal(rst_weights_verify(weights, NULL), RST_OK);
    for (size_t i = 0; i < s->model.count; i++) {
      const rst_tensor_spec *spec = &s->model.specs[i];
      const rst_tensor *tensor = rst_weights_tensor(weights, spec->name);
      float *expected = fixture_alloc(spec->elements, sizeof(float)),
            *found = fixture_alloc(spec->elements, sizeof(float));
      random_model_values(&s->model, spec, 0, spec->elements, expected);
      assert_int_equal(tensor->dtype, types[t]);
      rst_tensor_read(tensor, NULL, 0, spec->elements, found, NULL);
      assert_memory_equal(found, expected, spec->elements * sizeof(float));
      free(expected);
      free(found);
    }
    rst_weights_close(weights);
  }
}

/* ---- What is refused ---------------------------------------------------------------------------------- */

static void values_that_cannot_be_stored_are_named(void **state) {
  setting *s = *state;
  const struct {
    float value;
    rst_dtype dtype;
    const char *message;
  } cases[] = {
      {NAN, RST_DTYPE_F32,
       "x.pth: tensor latent.0.ffn.project_in.weight: element 5 is NaN, which is not a finite number"},
      {INFINITY, RST_DTYPE_F16,
       "x.pth: tensor latent.0.ffn.project_in.weight: element 5 is Inf, which is not a finite number"},
      {-INFINITY, RST_DTYPE_BF16,
       "x.pth: tensor latent.0.ffn.project_in.weight: element 5 is -Inf, which is not a finite number"},
      {1e6f, RST_DTYPE_F16,
       "x.pth: tensor latent.0.ffn.project_in.weight: element 5 is 1e+06, which does not fit F16"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    s->odd_tensor = "latent.0.ffn.project_in.weight";
    s->odd_element = 5;
    s->odd_value = cases[i].value;
    rst_writing w = writing_of(s);
    w.dtype = cases[i].dtype;
    assert_not_written(&w, RST_ERROR_WEIGHTS, cases[i].message);
    assert_false(exists(s->manifest));
    assert_false(exists(s->tensors));
  }
}

static void a_failure_leaves_an_existing_pair_as_it_was(void **state) {
  setting *s = *state;
  rst_writing w = writing_of(s);
  assert_written(&w);
  s->odd_tensor = "output.weight";
  s->odd_value = NAN;
  assert_not_written(&w, RST_ERROR_WEIGHTS,
                     "x.pth: tensor output.weight: element 0 is NaN, which is not a finite number");
  rst_weights *weights = open_weights(s->manifest);
  assert_int_equal(rst_weights_verify(weights, NULL), RST_OK);
  rst_weights_close(weights);
}

static void paths_and_texts_that_cannot_be_used(void **state) {
  setting *s = *state;
  const char *const paths[] = {"w.txt", "w", "", ".json", "folder/.json", "w.JSON"};
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    rst_writing w = writing_of(s);
    char message[PATH];
    w.manifest_path = paths[i];
    snprintf(message, PATH, "%s: the name of a manifest has to end in .json", paths[i]);
    assert_not_written(&w, RST_ERROR_USAGE, message);
  }
  const char *const texts[] = {
      "\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80",
      "a\x80"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    rst_writing w = writing_of(s);
    char message[2 * PATH];
    w.task = texts[i];
    snprintf(message, sizeof message, "%s: task is not valid UTF-8", s->manifest);
    assert_not_written(&w, RST_ERROR_USAGE, message);
  }
}

/* The manifest would be one that cannot be opened. */
static void texts_that_are_too_long(void **state) {
  setting *s = *state;
  enum { MOST = 1 << 16 };
  char *text = fixture_alloc(MOST + 2, 1), message[2 * PATH];
  memset(text, '\n', MOST); /* six characters each in JSON */
  rst_writing w = writing_of(s);
  w.name = w.task = w.license = w.source = text;
  assert_written(&w);
  rst_weights *weights = open_weights(s->manifest);
  rst_weights_info info;
  rst_weights_info_init(&info);
  rst_weights_get_info(weights, &info);
  assert_string_equal(info.source, text);
  rst_weights_close(weights);
  text[MOST] = 'x';
  snprintf(message, sizeof message, "%s: name has 65537 bytes, expected at most 65536", s->manifest);
  assert_not_written(&w, RST_ERROR_USAGE, message);
  free(text);
}

static void an_architecture_that_is_none(void **state) {
  setting *s = *state;
  rst_architecture a = s->model.architecture;
  a.dim = 0;
  rst_writing w = writing_of(s);
  w.architecture = &a;
  assert_not_written(&w, RST_ERROR_WEIGHTS, "x.pth: dim 0, expected 1 to 4096");
}

static rst_status no_values(void *user, size_t index, const rst_tensor_spec *spec, size_t first, size_t count,
                            float *out, rst_error *err) {
  (void)user, (void)index, (void)first, (void)count;
  out[0] = 0;
  return rst_fail(err, RST_ERROR_WEIGHTS, "no values for %s", spec->name);
}

static void an_error_of_the_source_is_passed_on(void **state) {
  setting *s = *state;
  rst_writing w = writing_of(s);
  w.values = no_values;
  assert_not_written(&w, RST_ERROR_WEIGHTS, "no values for patch_embed.proj.weight");
  assert_false(exists(s->tensors));
}

static void a_folder_that_is_not_there(void **state) {
  setting *s = *state;
  char path[PATH], message[2 * PATH];
  snprintf(path, PATH, "%s/none/w.json", s->folder);
  snprintf(message, sizeof message, "%s: cannot be created: No such file or directory", path);
  rst_writing w = writing_of(s);
  w.manifest_path = path;
  assert_not_written(&w, RST_ERROR_OUTPUT, message);
}

/* Puts the names of the folder's files, sorted, into `names`, with '#' for the digits of hashes. */
static void list_files(const setting *s, char names[200]) {
  struct dirent **entries;
  const int count = scandir(s->folder, &entries, NULL, alphasort);
  assert_true(count >= 2);
  names[0] = '\0';
  for (int i = 0; i < count; i++) {
    char *name = entries[i]->d_name, *hash = strchr(name, '-');
    if (hash != NULL) memset(hash + 1, '#', strspn(hash + 1, "0123456789abcdef"));
    if (name[0] != '.') snprintf(names + strlen(names), 200 - strlen(names), "%s ", name);
    free(entries[i]);
  }
  free(entries);
}

static void take_note(void *caller, const char *message) {
  snprintf(caller, 2 * PATH, "%s", message);
}

/* The old model stays, whole, beside the new one. */
static void tensors_that_are_there_are_never_overwritten(void **state) {
  setting *s = *state;
  char names[200], note[2 * PATH] = "", copy[PATH];
  rst_writing w = writing_of(s);
  w.notice = take_note;
  w.caller = note;
  assert_written(&w);
  list_files(s, names);
  assert_string_equal(names, "w.json w.safetensors ");
  assert_written(&w); /* the same once more */
  list_files(s, names);
  assert_string_equal(names, "w.json w.safetensors ");
  assert_string_equal(note, "");
  snprintf(copy, PATH, "%s/v.json", s->folder);
  assert_int_equal(rename(s->manifest, copy), 0);
  s->odd_tensor = "output.weight";
  s->odd_value = 0.25f;
  for (int i = 0; i < 2; i++) assert_written(&w);
  list_files(s, names);
  assert_string_equal(names, "v.json w-################.safetensors w.json w.safetensors ");
  assert_non_null(
      strstr(note, "/w.safetensors: is there already and is left as it is; the tensors are in w-"));
  const char *const manifests[] = {copy, s->manifest};
  for (size_t i = 0; i < 2; i++) {
    rst_weights *weights = open_weights(manifests[i]);
    float value;
    rst_tensor_read(rst_weights_tensor(weights, "output.weight"), NULL, 0, 1, &value, NULL);
    assert_int_equal(value == 0.25f, i == 1);
    assert_int_equal(rst_weights_verify(weights, NULL), RST_OK);
    rst_weights_close(weights);
  }
}

/* Two that write one model at once: the tensors that another one has written meanwhile stay, and are not this
 * model's. */
static bool write_between(void *caller) {
  setting *s = caller;
  /* Values are gone through for their hash first, when nothing is written yet. */
  if (++s->calls == s->model.count + 2) {
    FILE *f = fopen(s->tensors, "wbx");
    assert_non_null(f);
    fputs("another's", f);
    fclose(f);
  }
  return false;
}

static void tensors_that_appear_meanwhile_are_never_overwritten(void **state) {
  setting *s = *state;
  char names[200], text[16] = "";
  rst_writing w = writing_of(s);
  w.cancelled = write_between;
  w.caller = s;
  assert_written(&w);
  list_files(s, names);
  assert_string_equal(names, "w-################.safetensors w.json w.safetensors ");
  FILE *f = fopen(s->tensors, "rb");
  assert_non_null(f);
  assert_int_equal(fread(text, 1, sizeof text, f), 9);
  fclose(f);
  assert_string_equal(text, "another's");
  rst_weights *weights = open_weights(s->manifest);
  assert_int_equal(rst_weights_verify(weights, NULL), RST_OK);
  rst_weights_close(weights);
}

/* What other files are called makes no difference: a folder, a pipe, a link to nowhere. */
static void names_that_are_taken_by_no_file(void **state) {
  setting *s = *state;
  rst_writing w = writing_of(s);
  char names[200];
  assert_int_equal(mkdir(s->tensors, 0700), 0);
  assert_written(&w);
  list_files(s, names);
  assert_string_equal(names, "w-################.safetensors w.json w.safetensors ");
  assert_int_equal(rmdir(s->tensors), 0);
  assert_int_equal(mkfifo(s->tensors, 0600), 0);
  assert_written(&w);
  rst_weights_close(open_weights(s->manifest));
}

/* The tensors of another model of the same shapes under the name that the manifest has. */
static void tensors_of_another_model_are_noticed(void **state) {
  setting *s = *state;
  rst_writing w = writing_of(s);
  char other[PATH], tensors[PATH];
  assert_written(&w);
  snprintf(other, PATH, "%s/other.json", s->folder);
  snprintf(tensors, PATH, "%s/other.safetensors", s->folder);
  s->odd_tensor = "output.weight";
  s->odd_value = 0.25f;
  w.manifest_path = other;
  assert_written(&w);
  assert_int_equal(rename(tensors, s->tensors), 0);
  rst_error err;
  rst_weights *weights;
  assert_int_equal(rst_weights_open(s->manifest, &weights, &err), RST_ERROR_WEIGHTS);
  assert_non_null(strstr(err.message, "/w.safetensors: data_sha256 \""));
  assert_non_null(strstr(err.message, ": of another model"));
}

static bool stop_after(void *caller) {
  return (*(int *)caller)-- == 0;
}

/* Wherever it is stopped, nothing but the old model is there. */
static void a_cancelled_writing_leaves_what_was_there(void **state) {
  setting *s = *state;
  char names[200];
  int left = 1000000;
  rst_writing w = writing_of(s);
  assert_written(&w);
  w.cancelled = stop_after;
  w.caller = &left;
  s->odd_tensor = "output.weight";
  s->odd_value = 0.25f;
  assert_written(&w);
  const int asked = 1000000 - left;
  assert_true(asked >= 2 * (int)s->model.count);
  s->odd_value = 0.5f;
  for (int stop = 0; stop < asked; stop++) {
    rst_error err;
    left = stop;
    assert_int_equal(rst_weights_write(&w, &err), RST_CANCELLED);
  }
  list_files(s, names);
  assert_string_equal(names, "w-################.safetensors w.json w.safetensors ");
  rst_weights *weights = open_weights(s->manifest);
  assert_int_equal(rst_weights_verify(weights, NULL), RST_OK);
  rst_weights_close(weights);
}

static void a_full_disk_leaves_an_existing_pair_as_it_was(void **state) {
  setting *s = *state;
  rst_writing w = writing_of(s);
  assert_written(&w);
  struct rlimit before, tight;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
  for (rlim_t limit = 0; limit < 12000; limit += 3000) {
    tight = before;
    tight.rlim_cur = limit;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    rst_error err = {.message = ""};
    rst_status status = rst_weights_write(&w, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, RST_ERROR_OUTPUT);
    assert_non_null(strstr(err.message, ".safetensors: cannot be written: File too large"));
  }
  signal(SIGXFSZ, handler);
  rst_weights *weights = open_weights(s->manifest);
  assert_int_equal(rst_weights_verify(weights, NULL), RST_OK);
  rst_weights_close(weights);
}

static rst_status write_once(void *user, rst_error *err) {
  rst_writing w = writing_of(user);
  return rst_weights_write(&w, err);
}

static void every_allocation_may_fail(void **state) {
  setting *s = *state;
  assert_true(fail_each_alloc(write_once, s) >= 4);
  rst_weights_close(open_weights(s->manifest));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(the_manifest_reads_like_the_documentation),
      TEST(texts_that_are_null_are_left_out),
      TEST(attention_is_that_of_each_level),
      TEST(the_file_of_tensors_is_aligned_and_in_order),
      TEST(every_value_comes_back_in_every_type),
      TEST(values_that_cannot_be_stored_are_named),
      TEST(a_failure_leaves_an_existing_pair_as_it_was),
      TEST(paths_and_texts_that_cannot_be_used),
      TEST(texts_that_are_too_long),
      TEST(an_architecture_that_is_none),
      TEST(an_error_of_the_source_is_passed_on),
      TEST(a_folder_that_is_not_there),
      TEST(tensors_that_are_there_are_never_overwritten),
      TEST(tensors_that_appear_meanwhile_are_never_overwritten),
      TEST(names_that_are_taken_by_no_file),
      TEST(tensors_of_another_model_are_noticed),
      TEST(a_cancelled_writing_leaves_what_was_there),
      TEST(a_full_disk_leaves_an_existing_pair_as_it_was),
      TEST(every_allocation_may_fail),
  };
  return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
