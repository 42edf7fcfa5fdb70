/* random_model.c - see random_model.h. */
#include "support/random_model.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "weights/writer.h"

/* ---- Random numbers --------------------------------------------------------------------------------------
 */

/* The index steps through a Weyl sequence (the golden ratio), and two rounds of xor-shift and multiply spread
 * it. */
uint64_t random_bits(uint64_t seed, uint64_t index) {
  uint64_t z = seed * UINT64_C(0xd1342543de82ef95) + (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
  for (int round = 0; round < 2; round++) {
    z ^= z >> 32;
    z *= UINT64_C(0xd6e8feb86659fd93);
  }
  return z ^ (z >> 32);
}

float random_unit(uint64_t seed, uint64_t index) {
  const int32_t step = (int32_t)(random_bits(seed, index) >> 40) - (1 << 23);
  return (float)step / (float)(1 << 23);
}

/* ---- Architectures ---------------------------------------------------------------------------------------
 */

void architecture_set_factor(rst_architecture *architecture, double factor) {
  for (int l = 0; l < architecture->levels; l++)
    architecture->ffn_hidden[l] = (int)((double)(architecture->dim << l) * factor);
}

rst_architecture architecture_small(int dim, int levels) {
  rst_architecture a = {.in_channels = 3,
                        .out_channels = 3,
                        .dim = dim,
                        .levels = levels,
                        .num_refinement_blocks = 1,
                        .norm_bias = true,
                        .residual = true};
  for (int l = 0; l < levels; l++) {
    a.num_blocks[l] = 1;
    a.heads[l] = 1;
    a.attention[l] = true;
  }
  architecture_set_factor(&a, 2.66);
  return a;
}

rst_architecture architecture_published(void) {
  static const int BLOCKS[] = {4, 6, 6, 8}, HEADS[] = {1, 2, 4, 8};
  rst_architecture a = architecture_small(48, 4);
  for (int l = 0; l < 4; l++) {
    a.num_blocks[l] = BLOCKS[l];
    a.heads[l] = HEADS[l];
  }
  a.num_refinement_blocks = 4;
  return a;
}

static void add_prompt(rst_architecture *a, int level, int length, int dim, int size, int heads) {
  const int joined = (a->dim << level) + dim, out = level == a->levels - 1 && level > 1 ? level - 1 : level;
  a->prompts[level] = (rst_prompt){.length = length,
                                   .dim = dim,
                                   .size = size,
                                   .heads = heads,
                                   .ffn_hidden = (int)((double)joined * 2.66),
                                   .out_channels = a->dim << out};
}

void architecture_add_prompts(rst_architecture *a) {
  for (int l = 1; l < a->levels; l++) add_prompt(a, l, 1 + l, a->dim + 2 * l, 11 - 2 * l, 2);
}

rst_architecture architecture_prompted(int dim, int levels) {
  rst_architecture a = architecture_small(dim, levels);
  architecture_add_prompts(&a);
  return a;
}

rst_architecture architecture_promptir(void) {
  rst_architecture a = architecture_published();
  add_prompt(&a, 1, 5, 64, 64, 4);
  add_prompt(&a, 2, 5, 128, 32, 4);
  add_prompt(&a, 3, 5, 320, 16, 4);
  return a;
}

/* ---- Models ----------------------------------------------------------------------------------------------
 */

rst_status random_model_init(random_model *model, const rst_architecture *architecture, uint64_t seed,
                             rst_dtype dtype, rst_error *err) {
  *model = (random_model){.architecture = *architecture, .seed = seed, .dtype = dtype};
  const rst_status status = rst_architecture_check(architecture, "random model", err);
  if (status != RST_OK) return status;
  return rst_architecture_tensors(architecture, &model->specs, &model->count, err);
}

void random_model_free(random_model *model) {
  rst_free(model->specs);
  *model = (random_model){0};
}

/* Values are centre + radius * [-1, 1). */
typedef struct spread {
  double centre, radius;
} spread;

static bool ends_with(const char *name, const char *ending) {
  const size_t n = strlen(name), m = strlen(ending);
  return n >= m && strcmp(name + n - m, ending) == 0;
}

static spread tensor_spread(const rst_tensor_spec *spec) {
  if (ends_with(spec->name, ".temperature")) return (spread){1.5, 1};
  if (ends_with(spec->name, ".prompt_param")) return (spread){0, 1};
  if (ends_with(spec->name, ".body.weight")) return (spread){1, 0.2};
  if (ends_with(spec->name, ".bias")) return (spread){0, 0.1};
  const double fan_in = (double)spec->elements / (double)spec->shape[0];
  const double gain = strcmp(spec->name, "output.weight") == 0        ? 0.1
                      : ends_with(spec->name, ".linear_layer.weight") ? 3
                                                                      : 1;
  return (spread){0, gain * sqrt(3 / fan_in)};
}

/* Drops the bits that the type has not; what is too small for a normal F16 number becomes 0. */
static float represent(float value, rst_dtype dtype) {
  if (dtype == RST_DTYPE_F32) return value;
  if (dtype == RST_DTYPE_F16 && fabsf(value) < 0x1p-14F) return 0;
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  bits &= dtype == RST_DTYPE_BF16 ? UINT32_C(0xffff0000) : UINT32_C(0xffffe000);
  memcpy(&value, &bits, sizeof bits);
  return value;
}

static uint64_t name_hash(const char *name) {
  uint64_t hash = 0;
  for (; *name != '\0'; name++) hash = random_bits(hash, (unsigned char)*name);
  return hash;
}

void random_model_values(const random_model *model, const rst_tensor_spec *spec, size_t first, size_t count,
                         float *out) {
  const spread s = tensor_spread(spec);
  const uint64_t seed = random_bits(model->seed, name_hash(spec->name));
  for (size_t i = 0; i < count; i++)
    out[i] = represent((float)(s.centre + s.radius * (double)random_unit(seed, first + i)), model->dtype);
}

void random_model_fetch(void *user, const char *name, size_t elements, double *out) {
  const random_model *model = user;
  for (size_t i = 0; i < model->count; i++) {
    const rst_tensor_spec *spec = &model->specs[i];
    if (strcmp(spec->name, name) != 0) continue;
    if (spec->elements != elements) {
      fprintf(stderr, "random model: tensor %s has %zu elements, asked for %zu\n", name, spec->elements,
              elements);
      abort();
    }
    for (size_t e = 0; e < elements; e++) {
      float value;
      random_model_values(model, spec, e, 1, &value);
      out[e] = (double)value;
    }
    return;
  }
  fprintf(stderr, "random model: no tensor %s\n", name);
  abort();
}

/* ---- Files -----------------------------------------------------------------------------------------------
 */

static rst_status file_values(void *user, size_t index, const rst_tensor_spec *spec, size_t first,
                              size_t count, float *out, rst_error *err) {
  (void)index;
  (void)err;
  random_model_values(user, spec, first, count, out);
  return RST_OK;
}

rst_status random_model_write(const random_model *model, const char *manifest_path, rst_error *err) {
  random_model copy = *model; /* the callback's user pointer is not const */
  const rst_writing writing = {.where = "random model",
                               .manifest_path = manifest_path,
                               .architecture = &model->architecture,
                               .dtype = model->dtype,
                               .name = "random",
                               .task = "testing",
                               .license = "MIT",
                               .source = "random weights, not trained",
                               .values = file_values,
                               .user = &copy};
  return rst_weights_write(&writing, err);
}

static void put_tensor(FILE *f, const random_model *model, const rst_tensor_spec *spec) {
  fprintf(f, "    \"%s\": {\"shape\": [", spec->name);
  for (int i = 0; i < spec->ndim; i++) fprintf(f, "%s%zu", i == 0 ? "" : ", ", spec->shape[i]);
  fprintf(f, "], \"data\": [");
  for (size_t e = 0; e < spec->elements; e++) {
    float value;
    random_model_values(model, spec, e, 1, &value);
    fprintf(f, "%s%.9g", e == 0 ? "" : ", ", (double)value);
  }
  fprintf(f, "]}");
}

rst_status random_model_write_inline(const random_model *model, const char *manifest_path, rst_error *err) {
  FILE *f = fopen(manifest_path, "w");
  if (f == NULL) return rst_fail(err, RST_ERROR_OUTPUT, "%s: cannot be written", manifest_path);
  fprintf(f, "{\n  \"format\": \"restormer-weights\",\n  \"version\": 1,\n");
  fprintf(f, "  \"name\": \"random\",\n  \"source\": \"random weights, not trained\",\n");
  char architecture[RST_ARCHITECTURE_JSON];
  rst_architecture_json(&model->architecture, architecture, sizeof architecture);
  fprintf(f, "  \"model\": %s,\n  \"tensors\": {\n", architecture);
  for (size_t i = 0; i < model->count; i++) {
    put_tensor(f, model, &model->specs[i]);
    fprintf(f, i + 1 < model->count ? ",\n" : "\n");
  }
  fprintf(f, "  }\n}\n");
  const bool failed = ferror(f) != 0;
  if (fclose(f) != 0 || failed)
    return rst_fail(err, RST_ERROR_OUTPUT, "%s: cannot be written", manifest_path);
  return RST_OK;
}
