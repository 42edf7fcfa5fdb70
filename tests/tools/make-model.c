/* make-model.c - writes a manifest of any architecture with reproducible random weights
 * (support/random_model.h). */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/random_model.h"

static const char USAGE[] =
    "usage: make-model [options] OUT.json\n"
    "Writes OUT.json and OUT.safetensors: a model with random weights, the same on every machine.\n"
    "Options are taken in order: --full and --blocks go before lists that have an entry for each level.\n"
    "  --full               the published architecture (26.1 M parameters)\n"
    "  --dim N              width of level 1 [8]\n"
    "  --blocks N,...       blocks of each level, 1 to 5 of them; sets the number of levels [1,1,1,1]\n"
    "  --refinement N       refinement blocks [1]\n"
    "  --heads N,...        heads of each level [1,...]\n"
    "  --factor F           ffn_expansion_factor [2.66]\n"
    "  --hidden N,...       hidden width of each level's GDFN, instead of --factor\n"
    "  --attention KIND,... mdta or none, for all levels or each [mdta]\n"
    "  --norm KIND          WithBias or BiasFree [WithBias]\n"
    "  --bias               convolutions have biases\n"
    "  --in N, --out N      channels of input and output [3]\n"
    "  --dual-pixel         a dual-pixel model: 6 channels in, no residual\n"
    "  --prompts            a prompt on every level but the first\n"
    "  --no-residual        the input is not added to the output\n"
    "  --seed N             [1]\n"
    "  --dtype TYPE         f32, f16 or bf16 [f32]\n"
    "  --inline             all tensors in OUT.json\n";

enum { MAX_NUMBER = 1 << 20 }; /* of any option; the architecture has limits of its own */

typedef struct settings {
  rst_architecture architecture;
  double factor;
  bool own_hidden, prompts;
  int seed;
  rst_dtype dtype;
  bool in_manifest;
} settings;

__attribute__((noreturn)) static void refuse(const char *option, const char *value) {
  fprintf(stderr, "make-model: --%s: cannot be '%s'\n", option, value);
  exit(2);
}

static int parse_int(const char *option, const char *text, char **end) {
  errno = 0;
  const long value = strtol(text, end, 10);
  if (*end == text || errno != 0 || value < 0 || value > MAX_NUMBER) refuse(option, text);
  return (int)value;
}

static int one_int(const char *option, const char *text) {
  char *end;
  const int value = parse_int(option, text, &end);
  if (*end != '\0') refuse(option, text);
  return value;
}

/* Reads a list into out[0..RST_MAX_LEVELS), returns its length. */
static int int_list(const char *option, const char *text, int *out) {
  const char *at = text;
  for (int n = 0; n < RST_MAX_LEVELS; n++) {
    char *end;
    out[n] = parse_int(option, at, &end);
    if (*end == '\0') return n + 1;
    if (*end != ',') break;
    at = end + 1;
  }
  refuse(option, text);
}

/* A list that has an entry for each level. */
static void level_list(const char *option, const char *text, int levels, int *out) {
  int values[RST_MAX_LEVELS];
  if (int_list(option, text, values) != levels) refuse(option, text);
  memcpy(out, values, (size_t)levels * sizeof *out);
}

/* More levels than before get the last one's heads and kind of attention. */
static void set_blocks(rst_architecture *a, const char *text) {
  const int before = a->levels;
  a->levels = int_list("blocks", text, a->num_blocks);
  for (int l = before; l < a->levels; l++) {
    a->heads[l] = a->heads[before - 1];
    a->attention[l] = a->attention[before - 1];
  }
}

static void set_attention(rst_architecture *a, const char *text) {
  const char *at = text;
  int n = 0;
  for (; n < a->levels; n++) {
    const size_t length = strcspn(at, ",");
    if (length != 4 || (strncmp(at, "mdta", 4) != 0 && strncmp(at, "none", 4) != 0))
      refuse("attention", text);
    a->attention[n] = *at == 'm';
    at += length;
    if (*at == '\0') break;
    at++;
  }
  if (n > 0 && n != a->levels - 1) refuse("attention", text);
  for (int l = 1; n == 0 && l < a->levels; l++) a->attention[l] = a->attention[0];
}

static double parse_factor(const char *text) {
  char *end;
  const double factor = strtod(text, &end);
  if (end == text || *end != '\0' || !isfinite(factor) || factor <= 0 || factor > 100) refuse("factor", text);
  return factor;
}

static rst_dtype parse_dtype(const char *text) {
  if (strcmp(text, "f32") == 0) return RST_DTYPE_F32;
  if (strcmp(text, "f16") == 0) return RST_DTYPE_F16;
  if (strcmp(text, "bf16") == 0) return RST_DTYPE_BF16;
  refuse("dtype", text);
}

enum {
  FULL,
  DIM,
  BLOCKS,
  REFINEMENT,
  HEADS,
  FACTOR,
  HIDDEN,
  ATTENTION,
  NORM,
  BIAS,
  IN,
  OUT,
  DUAL,
  ALONE,
  PROMPTS,
  SEED,
  DTYPE,
  INLINE,
  HELP
};

static void set_option(settings *s, int option, const char *value) {
  rst_architecture *a = &s->architecture;
  switch (option) {
    case FULL:
      *a = architecture_published();
      break;
    case DIM:
      a->dim = one_int("dim", value);
      break;
    case BLOCKS:
      set_blocks(a, value);
      break;
    case REFINEMENT:
      a->num_refinement_blocks = one_int("refinement", value);
      break;
    case HEADS:
      level_list("heads", value, a->levels, a->heads);
      break;
    case FACTOR:
      s->factor = parse_factor(value);
      break;
    case HIDDEN:
      level_list("hidden", value, a->levels, a->ffn_hidden);
      s->own_hidden = true;
      break;
    case ATTENTION:
      set_attention(a, value);
      break;
    case NORM:
      if (strcmp(value, "WithBias") != 0 && strcmp(value, "BiasFree") != 0) refuse("norm", value);
      a->norm_bias = value[0] == 'W';
      break;
    case BIAS:
      a->bias = true;
      break;
    case IN:
      a->in_channels = one_int("in", value);
      break;
    case OUT:
      a->out_channels = one_int("out", value);
      break;
    case DUAL:
      a->dual_pixel = true;
      a->residual = false;
      a->in_channels = 6;
      break;
    case ALONE:
      a->residual = false;
      break;
    case PROMPTS:
      s->prompts = true;
      break;
    case SEED:
      s->seed = one_int("seed", value);
      break;
    case DTYPE:
      s->dtype = parse_dtype(value);
      break;
    case INLINE:
      s->in_manifest = true;
      break;
    default:
      fputs(USAGE, stdout);
      exit(0);
  }
}

int main(int argc, char **argv) {
  static const struct option options[] = {
      {"full", no_argument, NULL, FULL},           {"dim", required_argument, NULL, DIM},
      {"blocks", required_argument, NULL, BLOCKS}, {"refinement", required_argument, NULL, REFINEMENT},
      {"heads", required_argument, NULL, HEADS},   {"factor", required_argument, NULL, FACTOR},
      {"hidden", required_argument, NULL, HIDDEN}, {"attention", required_argument, NULL, ATTENTION},
      {"norm", required_argument, NULL, NORM},     {"bias", no_argument, NULL, BIAS},
      {"in", required_argument, NULL, IN},         {"out", required_argument, NULL, OUT},
      {"dual-pixel", no_argument, NULL, DUAL},     {"no-residual", no_argument, NULL, ALONE},
      {"prompts", no_argument, NULL, PROMPTS},     {"seed", required_argument, NULL, SEED},
      {"dtype", required_argument, NULL, DTYPE},   {"inline", no_argument, NULL, INLINE},
      {"help", no_argument, NULL, HELP},           {NULL, 0, NULL, 0}};
  settings s = {.architecture = architecture_small(8, 4), .factor = 2.66, .seed = 1, .dtype = RST_DTYPE_F32};
  for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    if (option == '?') return 2;
    set_option(&s, option, optarg);
  }
  if (optind != argc - 1) {
    fputs(USAGE, stderr);
    return 2;
  }
  if (!s.own_hidden) architecture_set_factor(&s.architecture, s.factor);

  if (s.prompts) architecture_add_prompts(&s.architecture);

  rst_error err;
  random_model model;
  rst_status status = random_model_init(&model, &s.architecture, (uint64_t)s.seed, s.dtype, &err);
  if (status == RST_OK)
    status = s.in_manifest ? random_model_write_inline(&model, argv[optind], &err)
                           : random_model_write(&model, argv[optind], &err);
  if (status != RST_OK) fprintf(stderr, "make-model: %s\n", err.message);
  random_model_free(&model);
  return status == RST_OK ? 0 : 2;
}
