#include "programs/restormer-weights/info.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "programs/common/cli.h"

/* ---- Memory -------------------------------------------------------------------------------- */

typedef struct memory {
  bool known; /* false: more than can be counted */
  uint64_t weights, working, pictures, total;
} memory;

/* Of a run of restormer-cli from 8-bit pictures to an 8-bit picture. */
static memory memory_of(const rst_architecture *a, const info_run *run, rst_precision precision) {
  const rst_model_options model = {.struct_size = sizeof model, .precision = precision};
  const rst_session_options options = {.struct_size = sizeof options, .threads = run->threads};
  rst_plan plan;
  rst_plan_init(&plan);
  rst_error err;
  if (rst_plan_restore(a, &model, run->width, run->height, &options, &plan, &err) != RST_OK ||
      plan.bytes == UINT64_MAX)
    return (memory){.known = false};
  const uint64_t samples = (uint64_t)a->in_channels + (uint64_t)a->out_channels;
  const uint64_t pixel = samples + rst_restore_image_held(a, a->out_channels);
  memory m = {true, plan.weight_bytes, plan.working_bytes, run->width * run->height * pixel, 0};
  m.total = cli_memory_in_all(plan.bytes, m.pictures);
  return m;
}

static double megabytes(uint64_t bytes) {
  return (double)bytes / 1e6;
}

/* ---- Table --------------------------------------------------------------------------------- */

static void print_text(const char *label, const char *text) {
  if (text[0] != '\0') cli_print_line(stdout, "%-12s %s", label, text);
}

static void print_stages(const rst_architecture *a) {
  rst_stage_info s;
  rst_stage_info_init(&s);
  for (size_t i = 0; rst_architecture_stage(a, i, &s); i++) {
    char heads[16] = "-";
    if (s.heads > 0) snprintf(heads, sizeof heads, "%d", s.heads);
    if (i == 0)
      printf("\n%-16s  %6s  %6s  %5s  %10s  %s\n", "stage", "width", "blocks", "heads", "ffn hidden",
             "block");
    printf("%-16s  %6d  %6d  %5s  %10d  %s\n", s.name, s.width, s.blocks, heads, s.ffn_hidden, s.block);
  }
}

static void print_prompts(const rst_architecture *a) {
  for (int l = 0; l < a->levels; l++) {
    const rst_prompt *p = &a->prompts[l];
    if (p->length > 0)
      printf("prompt%-6d %d components of %d channels, %dx%d\n", l, p->length, p->dim, p->size, p->size);
  }
}

static void print_memory(const rst_architecture *a, const info_run *run) {
  for (int i = 0; i < RST_PRECISION_COUNT; i++) {
    const memory m = memory_of(a, run, (rst_precision)i);
    printf("%-12s %-7s ", i == 0 ? "memory" : "", rst_precision_name((rst_precision)i));
    if (m.known)
      printf("%.1f MB: %.1f weights, %.1f to work in, the rest pictures and program\n", megabytes(m.total),
             megabytes(m.weights), megabytes(m.working));
    else
      printf("more than can be counted\n");
  }
  printf("%-12s for %zux%zu at once, ", "", run->width, run->height);
  if (run->threads == 0)
    printf("as many threads as processors\n");
  else
    printf("%d thread%s\n", run->threads, run->threads == 1 ? "" : "s");
}

void info_print_table(const rst_weights_info *info, const info_run *run) {
  const rst_architecture *a = info->architecture;
  print_text("name", info->name);
  print_text("task", info->task);
  print_text("license", info->license);
  print_text("source", info->source);
  print_text("sha256", info->sha256);
  printf("%-12s %d in, %d out%s\n", "channels", a->in_channels, a->out_channels,
         a->dual_pixel ? ", dual pixel" : "");
  printf("%-12s %s\n", "output", a->residual ? "input + network" : "network alone");
  printf("%-12s %s\n", "layer norm", a->norm_bias ? "WithBias" : "BiasFree");
  printf("%-12s %s\n", "bias", a->bias ? "yes" : "no");
  print_prompts(a);
  printf("%-12s %" PRIu64 "\n", "parameters", info->parameters);
  printf("%-12s %s, %" PRIu64 " bytes\n", "stored as", info->dtype, info->bytes);
  double gmac = (double)rst_architecture_macs(a, run->width, run->height) / 1e9;
  printf("%-12s %.*f for %zux%zu (convolutions, as the papers count)\n", "GMAC", gmac >= 0.1 ? 2 : 6, gmac,
         run->width, run->height);
  print_memory(a, run);
  print_stages(a);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static void print_json_text(const char *key, const char *text) {
  printf("  \"%s\": ", key);
  rst_print_json_string(stdout, text);
  printf(",\n");
}

static void print_json_memory(const rst_architecture *a, const info_run *run) {
  printf("  \"threads\": %d,\n  \"memory\": {\n", run->threads);
  for (int i = 0; i < RST_PRECISION_COUNT; i++) {
    const memory m = memory_of(a, run, (rst_precision)i);
    printf("    \"%s\": ", rst_precision_name((rst_precision)i));
    if (m.known)
      printf("{\"total\": %" PRIu64 ", \"weights\": %" PRIu64 ", \"working\": %" PRIu64
             ", \"pictures\": %" PRIu64 "}",
             m.total, m.weights, m.working, m.pictures);
    else
      printf("null");
    printf("%s\n", i + 1 < RST_PRECISION_COUNT ? "," : "");
  }
  printf("  }\n");
}

void info_print_json(const rst_weights_info *info, const info_run *run) {
  printf("{\n");
  print_json_text("name", info->name);
  print_json_text("task", info->task);
  print_json_text("license", info->license);
  print_json_text("source", info->source);
  print_json_text("sha256", info->sha256);
  char model[RST_ARCHITECTURE_JSON];
  rst_architecture_json(info->architecture, model, sizeof model);
  printf("  \"model\": %s,\n", model);
  printf("  \"parameters\": %" PRIu64 ",\n  \"dtype\": \"%s\",\n  \"bytes\": %" PRIu64 ",\n",
         info->parameters, info->dtype, info->bytes);
  printf("  \"width\": %zu,\n  \"height\": %zu,\n  \"macs\": %" PRIu64 ",\n", run->width, run->height,
         rst_architecture_macs(info->architecture, run->width, run->height));
  print_json_memory(info->architecture, run);
  printf("}\n");
}
