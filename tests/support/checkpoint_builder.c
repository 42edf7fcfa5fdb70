/* checkpoint_builder.c - see checkpoint_builder.h. */
#include "support/checkpoint_builder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#include "support/cmocka_all.h"
#include "support/fixture.h"
#include "weights/encode.h"

enum { PATH = 256, MESSAGE = 1024 };

/* ---- Bytes that grow ---------------------------------------------------------------------------------- */

void bytes_add(bytes *b, const void *data, size_t size) {
  if (b->size + size > b->capacity) {
    b->capacity = 2 * b->capacity + size;
    b->data = realloc(b->data, b->capacity);
    assert_non_null(b->data);
  }
  if (size > 0) memcpy(b->data + b->size, data, size);
  b->size += size;
}

void bytes_add_text(bytes *b, const char *text) {
  bytes_add(b, text, strlen(text));
}

void bytes_free(bytes *b) {
  free(b->data);
  *b = (bytes){0};
}

void bytes_write(const bytes *b, const char *path) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  if (b->size > 0) assert_int_equal(fwrite(b->data, 1, b->size, f), b->size);
  assert_int_equal(fclose(f), 0);
}

void bytes_read(bytes *b, const char *path) {
  char buffer[4096];
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, f)) > 0;) bytes_add(b, buffer, n);
  fclose(f);
}

static void add_number(bytes *b, uint64_t value, int width) {
  uint8_t out[8];
  for (int i = 0; i < width; i++) out[i] = (uint8_t)(value >> (8 * i));
  bytes_add(b, out, (size_t)width);
}

/* ---- Parts of pickles --------------------------------------------------------------------------------- */

void pickle_string(bytes *b, const char *text) {
  bytes_add_text(b, "X");
  add_number(b, strlen(text), 4);
  bytes_add_text(b, text);
}

void pickle_integer(bytes *b, int64_t value) {
  bytes_add(b, "\x8a\x08", 2);
  add_number(b, (uint64_t)value, 8);
}

static void pickle_integers(bytes *b, const int64_t *values, size_t count) {
  bytes_add_text(b, "(");
  for (size_t i = 0; i < count; i++) pickle_integer(b, values[i]);
  bytes_add_text(b, "t");
}

void pickle_tensor(bytes *b, const pickled_tensor *t) {
  int64_t stride[RST_TENSOR_DIMS], step = 1;
  bool contiguous = true;
  for (size_t i = 0; i < t->ndim; i++) contiguous = contiguous && t->stride[i] == 0;
  for (size_t i = t->ndim; contiguous && i-- > 0;) {
    stride[i] = step;
    step *= t->size[i];
  }
  bytes_add_text(b, "ctorch._utils\n_rebuild_tensor_v2\n((");
  pickle_string(b, "storage");
  bytes_add_text(b, "ctorch\n");
  bytes_add_text(b, t->type);
  bytes_add_text(b, "\n");
  pickle_string(b, t->key);
  pickle_string(b, "cpu");
  pickle_integer(b, t->storage_elements);
  bytes_add_text(b, "tQ");
  pickle_integer(b, t->offset);
  pickle_integers(b, t->size, t->ndim);
  pickle_integers(b, contiguous ? stride : t->stride, t->ndim);
  bytes_add(b, "\x89NtR", 4);
}

/* ---- Checkpoints -------------------------------------------------------------------------------------- */

static void add_tensor(built *out, bytes *program, const recipe *r, size_t index) {
  const rst_tensor_spec *spec = &r->model->specs[index];
  float *values = fixture_alloc(spec->elements, sizeof *values);
  char key[32], name[2 * RST_TENSOR_NAME];
  snprintf(key, sizeof key, "%zu", index);
  snprintf(name, sizeof name, "%s%s", r->prefix != NULL ? r->prefix : "", spec->name);
  random_model_values(r->model, spec, 0, spec->elements, values);
  built_storage_set(out, key, values, spec->elements);
  free(values);
  pickled_tensor t = {.type = "FloatStorage",
                      .key = key,
                      .storage_elements = (int64_t)spec->elements,
                      .ndim = (size_t)spec->ndim};
  for (int i = 0; i < spec->ndim; i++) t.size[i] = (int64_t)spec->shape[i];
  pickle_string(program, name);
  pickle_tensor(program, &t);
}

built build(recipe *r) {
  built out = {0};
  bytes *p = &out.program;
  bytes_add(p, "\x80\x02}(", 4);
  if (r->wrapper != NULL) {
    pickle_string(p, r->wrapper);
    bytes_add_text(p, "}(");
  }
  for (size_t i = 0; i < r->model->count; i++)
    if (r->omit == NULL || strcmp(r->omit, r->model->specs[i].name) != 0) add_tensor(&out, p, r, i);
  bytes_add(p, r->inner.data, r->inner.size);
  if (r->wrapper != NULL) bytes_add_text(p, "u");
  bytes_add(p, r->outer.data, r->outer.size);
  bytes_add_text(p, "u.");
  bytes_free(&r->inner);
  bytes_free(&r->outer);
  return out;
}

void built_free(built *b) {
  for (size_t i = 0; i < b->count; i++) bytes_free(&b->storages[i].data);
  free(b->storages);
  bytes_free(&b->program);
  *b = (built){0};
}

void built_storage_set(built *b, const char *key, const float *values, size_t count) {
  size_t i = 0;
  while (i < b->count && strcmp(b->storages[i].key, key) != 0) i++;
  if (i == b->count) {
    b->storages = realloc(b->storages, ++b->count * sizeof *b->storages);
    assert_non_null(b->storages);
    b->storages[i] = (built_storage){.element_size = 4};
    snprintf(b->storages[i].key, sizeof b->storages[i].key, "%s", key);
  }
  b->storages[i].data.size = 0;
  bytes_add(&b->storages[i].data, values, count * sizeof *values);
}

static void add_record(zip_t *zip, const zip_options *o, const char *name, const void *data, size_t size) {
  char path[PATH];
  snprintf(path, sizeof path, "%s%s", o->folder != NULL ? o->folder : "archive/", name);
  if (o->without != NULL && strcmp(o->without, name) == 0) return;
  zip_source_t *source = zip_source_buffer(zip, data, size, 0);
  assert_non_null(source);
  zip_int64_t index = zip_file_add(zip, path, source, 0);
  assert_true(index >= 0);
  zip_set_file_compression(zip, (zip_uint64_t)index, o->deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
}

void write_zip(const built *b, const char *path, const zip_options *options) {
  static const zip_options none = {0};
  const zip_options *o = options != NULL ? options : &none;
  zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
  assert_non_null(zip);
  add_record(zip, o, "data.pkl", b->program.data, b->program.size);
  if (o->byte_order != NULL) add_record(zip, o, "byteorder", o->byte_order, strlen(o->byte_order));
  if (o->more != NULL) add_record(zip, o, o->more, o->more_data, strlen(o->more_data));
  for (size_t i = 0; i < b->count; i++) {
    char name[PATH];
    snprintf(name, sizeof name, "data/%s", b->storages[i].key);
    add_record(zip, o, name, b->storages[i].data.data, b->storages[i].data.size);
  }
  assert_int_equal(zip_close(zip), 0);
}

void legacy_preamble(bytes *out) {
  static const char magic[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.";
  bytes_add(out, magic, sizeof magic - 1);
  bytes_add(out, "\x80\x02}(", 4);
  pickle_string(out, "protocol_version");
  bytes_add(out, "M\xe9\x03", 3);
  pickle_string(out, "little_endian");
  bytes_add(out, "\x88u.", 3);
}

void legacy_file(const built *b, bytes *out) {
  legacy_preamble(out);
  bytes_add(out, b->program.data, b->program.size);
  bytes_add_text(out, "](");
  for (size_t i = 0; i < b->count; i++) pickle_string(out, b->storages[i].key);
  bytes_add_text(out, "e.");
  for (size_t i = 0; i < b->count; i++) {
    add_number(out, b->storages[i].data.size / b->storages[i].element_size, 8);
    bytes_add(out, b->storages[i].data.data, b->storages[i].data.size);
  }
}

/* ---- Converting --------------------------------------------------------------------------------------- */

int workshop_open(void **state) {
  workshop *w = fixture_alloc(1, sizeof *w);
  rst_architecture a = architecture_small(2, 2);
  w->folder = fixture_folder();
  snprintf(w->input, PATH, "%s/x.pth", w->folder);
  snprintf(w->manifest, PATH, "%s/w.json", w->folder);
  snprintf(w->tensors, PATH, "%s/w.safetensors", w->folder);
  workshop_model(w, &a);
  *state = w;
  return 0;
}

int workshop_close(void **state) {
  workshop *w = *state;
  random_model_free(&w->model);
  fixture_remove_folder(w->folder);
  free(w);
  return 0;
}

void workshop_model(workshop *w, const rst_architecture *architecture) {
  rst_error err = {.message = ""};
  random_model_free(&w->model);
  rst_status status = random_model_init(&w->model, architecture, 5, RST_DTYPE_BF16, &err);
  assert_string_equal(err.message, "");
  assert_int_equal(status, RST_OK);
}

static void assert_same_architecture(const rst_architecture *a, const rst_architecture *b) {
  assert_int_equal(a->in_channels, b->in_channels);
  assert_int_equal(a->out_channels, b->out_channels);
  assert_int_equal(a->dim, b->dim);
  assert_int_equal(a->levels, b->levels);
  assert_int_equal(a->num_refinement_blocks, b->num_refinement_blocks);
  for (int l = 0; l < a->levels; l++) {
    assert_int_equal(a->num_blocks[l], b->num_blocks[l]);
    assert_int_equal(a->heads[l], b->heads[l]);
    assert_int_equal(a->ffn_hidden[l], b->ffn_hidden[l]);
    assert_int_equal(a->attention[l], b->attention[l]);
    assert_memory_equal(&a->prompts[l], &b->prompts[l], sizeof a->prompts[l]);
  }
  assert_int_equal(a->bias, b->bias);
  assert_int_equal(a->norm_bias, b->norm_bias);
  assert_int_equal(a->dual_pixel, b->dual_pixel);
  assert_int_equal(a->residual, b->residual);
}

static void assert_same_values(const workshop *w, const rst_weights *weights) {
  for (size_t i = 0; i < w->model.count; i++) {
    const rst_tensor_spec *spec = &w->model.specs[i];
    const rst_tensor *tensor = rst_weights_tensor(weights, spec->name);
    float *expected = fixture_alloc(spec->elements, sizeof(float));
    float *found = fixture_alloc(spec->elements, sizeof(float));
    random_model_values(&w->model, spec, 0, spec->elements, expected);
    rst_tensor_read(tensor, NULL, 0, spec->elements, found, NULL);
    assert_memory_equal(found, expected, spec->elements * sizeof(float));
    free(expected);
    free(found);
  }
}

static rst_status convert(const workshop *w, bool sandbox, rst_error *err) {
  rst_convert_options options;
  rst_convert_options_init(&options);
  options.sandbox = sandbox;
  *err = (rst_error){.message = ""};
  return rst_weights_convert(w->input, w->manifest, &options, err);
}

void assert_converts(workshop *w) {
  rst_error err;
  rst_weights *weights;
  for (int sandbox = 0; sandbox <= 1; sandbox++) {
    rst_status status = convert(w, sandbox, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(status, RST_OK);
    status = rst_weights_open(w->manifest, &weights, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(status, RST_OK);
    assert_same_architecture(rst_weights_architecture(weights), &w->model.architecture);
    assert_same_values(w, weights);
    rst_weights_close(weights);
  }
}

void assert_refused(workshop *w, const char *message) {
  rst_error err;
  char expected[MESSAGE];
  snprintf(expected, sizeof expected, "%s: %s", w->input, message);
  for (int sandbox = 0; sandbox <= 1; sandbox++) {
    rst_status status = convert(w, sandbox, &err);
    assert_string_equal(err.message, expected);
    assert_int_equal(status, RST_ERROR_WEIGHTS);
    assert_int_not_equal(access(w->manifest, F_OK), 0);
    assert_int_not_equal(access(w->tensors, F_OK), 0);
  }
}

void assert_recipe_converts(workshop *w, recipe *r) {
  built b = build(r);
  write_zip(&b, w->input, NULL);
  built_free(&b);
  assert_converts(w);
}

void assert_recipe_refused(workshop *w, recipe *r, const char *message) {
  built b = build(r);
  write_zip(&b, w->input, NULL);
  built_free(&b);
  assert_refused(w, message);
}
