/* runner.c - times the library from inside one process: packing and, warm, restoring.
 *
 * With several manifests their runs take turns. One JSON object per manifest on stdout, seconds and bytes. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "peak.h"
#include "restormer.h"

static const char USAGE[] =
    "usage: runner [options] MANIFEST...\n"
    "  --size WxH        of the picture, random pixels [256x256]\n"
    "  --precision P     f32, bf16 or int8 [f32]\n"
    "  --isa NAME        instruction set [auto]\n"
    "  --threads N       [all]\n"
    "  --repeat N        runs of each model [5]\n";

enum { MOST_MODELS = 16, MOST_REPEATS = 1000 };

typedef struct settings {
  size_t width, height;
  rst_model_options model;
  int threads, repeats;
} settings;

typedef struct subject {
  const char *manifest;
  rst_model *model;
  double open, pack, runs[MOST_REPEATS];
} subject;

__attribute__((noreturn)) static void refuse(const char *option, const char *value) {
  fprintf(stderr, "runner: --%s: cannot be '%s'\n", option, value);
  exit(2);
}

static long parse(const char *option, const char *text, char end_mark, long most, char **end) {
  errno = 0;
  const long value = strtol(text, end, 10);
  if (*end == text || **end != end_mark || errno != 0 || value < 1 || value > most) refuse(option, text);
  return value;
}

static rst_precision parse_precision(const char *text) {
  static const char *const names[RST_PRECISION_COUNT] = {"f32", "bf16", "int8"};
  for (int p = 0; p < RST_PRECISION_COUNT; p++)
    if (strcmp(text, names[p]) == 0) return (rst_precision)p;
  refuse("precision", text);
}

static rst_isa parse_isa(const char *text) {
  for (int isa = 0; isa < RST_ISA_COUNT; isa++)
    if (strcmp(text, rst_isa_name((rst_isa)isa)) == 0) return (rst_isa)isa;
  refuse("isa", text);
}

static settings parse_options(int argc, char **argv) {
  static const struct option options[] = {
      {"size", required_argument, NULL, 's'},   {"precision", required_argument, NULL, 'p'},
      {"isa", required_argument, NULL, 'i'},    {"threads", required_argument, NULL, 't'},
      {"repeat", required_argument, NULL, 'n'}, {NULL, 0, NULL, 0}};
  settings s = {.width = 256, .height = 256, .repeats = 5};
  rst_model_options_init(&s.model);
  char *end;
  for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    switch (option) {
      case 's':
        s.width = (size_t)parse("size", optarg, 'x', 1 << 20, &end);
        s.height = (size_t)parse("size", end + 1, '\0', 1 << 20, &end);
        break;
      case 'p':
        s.model.precision = parse_precision(optarg);
        break;
      case 'i':
        s.model.isa = parse_isa(optarg);
        break;
      case 't':
        s.threads = s.model.threads = (int)parse("threads", optarg, '\0', 4096, &end);
        break;
      case 'n':
        s.repeats = (int)parse("repeat", optarg, '\0', MOST_REPEATS, &end);
        break;
      default:
        fputs(USAGE, stderr);
        exit(2);
    }
  }
  return s;
}

static rst_status load(subject *x, const char *manifest, const settings *s, rst_error *err) {
  rst_weights *weights;
  x->manifest = manifest;
  const double start = bench_now();
  rst_status status = rst_weights_open(manifest, &weights, err);
  if (status != RST_OK) return status;
  x->open = bench_now() - start;
  status = rst_model_create(weights, &s->model, &x->model, err);
  rst_weights_close(weights);
  x->pack = bench_now() - start - x->open;
  return status;
}

static rst_pixels new_pixels(const settings *s, int channels) {
  const size_t count = s->width * s->height * (size_t)channels;
  float *samples = calloc(count, sizeof *samples);
  if (samples == NULL) {
    fputs("runner: out of memory\n", stderr);
    exit(2);
  }
  uint32_t state = 1;
  for (size_t i = 0; i < count; i++) {
    state = state * 1664525U + 1013904223U;
    samples[i] = (float)(state >> 24) / 255.0F;
  }
  return (rst_pixels){.samples = samples,
                      .sample = RST_SAMPLE_F32,
                      .width = s->width,
                      .height = s->height,
                      .channels = channels,
                      .row_stride = (ptrdiff_t)s->width * channels,
                      .column_stride = channels,
                      .channel_stride = 1};
}

static rst_status run(subject *x, int repeat, const settings *s, rst_error *err) {
  const rst_architecture *a = rst_model_architecture(x->model);
  const rst_pixels in = new_pixels(s, a->in_channels), out = new_pixels(s, a->out_channels);
  const rst_session_options options = {.struct_size = sizeof options, .threads = s->threads};
  const double start = bench_now();
  const rst_status status = rst_restore(x->model, &in, &out, &options, err);
  x->runs[repeat] = bench_now() - start;
  free(in.samples);
  free(out.samples);
  return status;
}

static void print(const subject *x, const settings *s) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const uint64_t macs = rst_architecture_macs(rst_model_architecture(x->model), s->width, s->height);
  printf(
      "{\"manifest\": \"%s\", \"macs\": %llu, \"open\": %.6f, \"pack\": %.6f, \"peak_bytes\": %lld, "
      "\"runs\": [",
      x->manifest, (unsigned long long)macs, x->open, x->pack, (long long)usage.ru_maxrss * 1024);
  for (int i = 0; i < s->repeats; i++) printf("%s%.6f", i > 0 ? ", " : "", x->runs[i]);
  printf("]}\n");
}

int main(int argc, char **argv) {
  const settings s = parse_options(argc, argv);
  const int count = argc - optind;
  if (count < 1 || count > MOST_MODELS) {
    fputs(USAGE, stderr);
    return 2;
  }
  static subject subjects[MOST_MODELS];
  rst_error err;
  rst_status status = RST_OK;
  for (int i = 0; i < count && status == RST_OK; i++) status = load(&subjects[i], argv[optind + i], &s, &err);
  for (int n = 0; n < s.repeats; n++)
    for (int i = 0; i < count && status == RST_OK; i++) status = run(&subjects[i], n, &s, &err);
  if (status != RST_OK) fprintf(stderr, "runner: %s\n", err.message);
  for (int i = 0; i < count && status == RST_OK; i++) print(&subjects[i], &s);
  for (int i = 0; i < count; i++) rst_model_free(subjects[i].model);
  return status == RST_OK ? 0 : 2;
}
