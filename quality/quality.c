/* quality - how well a model restores: every picture of a folder is degraded, or comes with a degraded one,
 * restormer-cli restores it, and what comes back is compared with the clean picture. */
#include <errno.h>
#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pictures.h"
#include "programs/common/cli.h"

#define PROGRAM "quality"

static const char USAGE[] =
    "usage: quality [options] FOLDER OUT\n"
    "Degrades every picture of FOLDER, with Gaussian noise (float, neither clamped nor rounded) and by JPEG\n"
    "(colour 4:2:0), the same on every machine; restores it with restormer-cli; and prints mean PSNR and "
    "SSIM\n"
    "before and after, against the clean picture; results are clamped and rounded to 8 bits first. OUT, a\n"
    "folder, gets pictures.csv and sheet.png.\n"
    "\n"
    "  --pairs         FOLDER/noisy holds the degraded pictures, FOLDER/clean those of the same names\n"
    "  --cli FILE      the program to run [restormer-cli]\n"
    "  --weights FILE  manifest [the program's default]\n"
    "  --sigmas LIST   deviations of the noise, of 255; 0: the clean picture; none: no noise [0,15,25,50]\n"
    "  --jpeg LIST     qualities of JPEG, 1 to 100; none: no JPEG [10,20,40]\n"
    "  --tile N        size of the tiles in the tiled runs [256]\n"
    "  --limit N       only N of the pictures, evenly spread\n"
    "  --float32-only  no runs in bf16, in int8 and in tiles\n"
    "\n"
    "Exit status: 1 when clean pictures (sigma 0) come back with less than 45 dB on average, or a result in "
    "bf16\n"
    "or int8 is less than 50 or 55 dB from that in float32; otherwise that of restormer-cli.\n";

enum { MOST_INPUTS = 16, SHEET_ROWS = 4, EXIT_LIMIT_NOT_MET = 1 };
typedef enum run_mode { FLOAT32, BF16, INT8, TILES, MODES } run_mode;
static const char *const mode_names[MODES] = {"float32", "bf16", "int8", "tiles"};
static const double LEAST_CLEAN = 45, LEAST[MODES] = {[BF16] = 50, [INT8] = 55}; /* dB; to float32, 0: any */

typedef enum input_kind { NOISE, JPEG, PAIR } input_kind;

/* What the network gets of a picture. */
typedef struct input {
  input_kind kind;
  double value; /* sigma, quality */
} input;

typedef struct settings {
  const char *cli, *weights, *tile, *folder, *out;
  input inputs[MOST_INPUTS];
  size_t input_count, limit;
  bool float32_only, pairs;
} settings;

typedef struct totals { /* of one input; sums over pictures but for `lowest` */
  double psnr_before, ssim_before, psnr[MODES], ssim[MODES];
  double near[MODES], lowest[MODES]; /* PSNR against float32, where there is a least one */
} totals;

typedef struct measurement {
  settings settings;
  const char *clean_folder;
  char *clean_of_pairs; /* the same with --pairs, owned; else NULL */
  picture_list list;
  totals totals[MOST_INPUTS];
  contact_sheet sheet;
  size_t sheet_row, sheet_column; /* of the next cell; row SIZE_MAX: this picture is not on it */
  FILE *csv;
} measurement;

static run_mode modes_of(const settings *s) {
  return s->float32_only ? FLOAT32 + 1 : MODES;
}

/* ---- Options ------------------------------------------------------------------------------- */

/* Adds inputs of a kind, from a list with commas, or none. */
static bool parse_inputs(const char *text, input_kind kind, double low, double high, settings *s) {
  if (strcmp(text, "none") == 0) return true;
  for (const char *at = text; s->input_count < MOST_INPUTS; at++) {
    char *end;
    const double value = strtod(at, &end);
    if (end == at || !(value >= low && value <= high)) return false;
    s->inputs[s->input_count++] = (input){.kind = kind, .value = value};
    if (*end == '\0') return true;
    if (*end != ',') return false;
    at = end;
  }
  return false;
}

static int choose_inputs(const char *sigmas, const char *qualities, settings *s) {
  if (s->pairs) {
    s->inputs[s->input_count++] = (input){.kind = PAIR};
    return RST_OK;
  }
  if (!parse_inputs(sigmas, NOISE, 0, 1000, s))
    return cli_fail(PROGRAM, RST_ERROR_USAGE, "--sigmas %s: expected up to %d numbers with commas, or none",
                    sigmas, MOST_INPUTS);
  if (!parse_inputs(qualities, JPEG, 1, 100, s))
    return cli_fail(PROGRAM, RST_ERROR_USAGE,
                    "--jpeg %s: expected qualities of 1 to 100 with commas, or none", qualities);
  for (size_t k = 0; k < s->input_count; k++)
    if (s->inputs[k].kind == JPEG) s->inputs[k].value = floor(s->inputs[k].value);
  return RST_OK;
}

static int parse_options(int argc, char **argv, settings *s) {
  static const struct option options[] = {{"cli", required_argument, NULL, 'c'},
                                          {"weights", required_argument, NULL, 'w'},
                                          {"tile", required_argument, NULL, 't'},
                                          {"sigmas", required_argument, NULL, 's'},
                                          {"jpeg", required_argument, NULL, 'j'},
                                          {"pairs", no_argument, NULL, 'p'},
                                          {"limit", required_argument, NULL, 'l'},
                                          {"float32-only", no_argument, NULL, 'f'},
                                          {0}};
  *s = (settings){.cli = "restormer-cli", .tile = "256"};
  const char *sigmas = "0,15,25,50", *qualities = "10,20,40";
  opterr = 0;
  for (int code; (code = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
    long limit = 0;
    if (code == '?' || code == ':') return cli_fail_option(PROGRAM, code, options, argv);
    if (code == 'c') s->cli = optarg;
    if (code == 'w') s->weights = optarg;
    if (code == 't') s->tile = optarg;
    if (code == 'f') s->float32_only = true;
    if (code == 'p') s->pairs = true;
    if (code == 's') sigmas = optarg;
    if (code == 'j') qualities = optarg;
    if (code == 'l' && !cli_parse_long(optarg, 1, 1 << 20, &limit))
      return cli_fail(PROGRAM, RST_ERROR_USAGE, "--limit %s: expected a number of pictures", optarg);
    if (code == 'l') s->limit = (size_t)limit;
  }
  if (argc - optind != 2) {
    fputs(USAGE, stderr);
    return cli_exit_status(RST_ERROR_USAGE);
  }
  s->folder = argv[optind];
  s->out = argv[optind + 1];
  return choose_inputs(sigmas, qualities, s);
}

/* ---- One picture --------------------------------------------------------------------------- */

/* "FOLDER/NAME", to be freed; ends the program when there is no memory for it. */
static char *join(const char *folder, const char *name) {
  char *path;
  if (asprintf(&path, "%s/%s", folder, name) < 0) exit(cli_fail(PROGRAM, RST_ERROR_MEMORY, "out of memory"));
  return path;
}

static int run_cli(const settings *s, run_mode mode, const char *noisy, const char *restored) {
  const char *argv[16] = {s->cli, "--quiet"};
  size_t n = 2;
  if (s->weights != NULL) {
    argv[n++] = "--weights";
    argv[n++] = s->weights;
  }
  if (mode == BF16 || mode == INT8) {
    argv[n++] = "--precision";
    argv[n++] = mode_names[mode];
  } else if (mode == TILES) {
    argv[n++] = "--tile";
    argv[n++] = s->tile;
  }
  argv[n++] = noisy;
  argv[n++] = restored;
  pid_t child;
  int status;
  errno = posix_spawnp(&child, s->cli, NULL, NULL, (char *const *)argv, environ);
  if (errno != 0 || waitpid(child, &status, 0) < 0)
    return cli_fail(PROGRAM, RST_ERROR_USAGE, "%s: cannot be run: %s", s->cli, strerror(errno));
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void put_on_sheet(measurement *m, const rst_image *bytes) {
  if (m->sheet_row < m->sheet.rows) contact_sheet_put(&m->sheet, m->sheet_row, m->sheet_column++, bytes);
}

static bool is_clean(input in) {
  return in.kind == NOISE && in.value == 0;
}

/* The name of an input: "sigma 25", "JPEG 10", "noisy". */
static const char *label(input in, char text[32]) {
  if (in.kind == PAIR) return "noisy";
  snprintf(text, 32, "%s %g", in.kind == JPEG ? "JPEG" : "sigma", in.value);
  return text;
}

static void write_line(measurement *m, const char *name, size_t k, const char *mode,
                       const rst_difference *d) {
  char text[32];
  fprintf(m->csv, "%s,%s,%s,%.4f,%.5f\n", name, label(m->settings.inputs[k], text), mode, d->psnr, d->ssim);
}

/* Compares the result in `path` with the clean picture, and in other precisions with the one of float32,
 * which is left in
 * `*exact`. */
static rst_status judge(measurement *m, const char *name, size_t k, run_mode mode, const char *path,
                        const rst_image *clean, rst_image **exact, rst_error *err) {
  totals *t = &m->totals[k];
  rst_image *restored = NULL, *bytes = NULL;
  rst_difference d = {0};
  rst_status status = rst_image_read(path, NULL, &restored, err);
  if (status == RST_OK) status = pictures_to_bytes(restored, &bytes, err);
  if (status == RST_OK) status = rst_image_compare(clean, bytes, &d, err);
  if (status == RST_OK) {
    t->psnr[mode] += d.psnr;
    t->ssim[mode] += d.ssim;
    write_line(m, name, k, mode_names[mode], &d);
    if (mode == FLOAT32 && !is_clean(m->settings.inputs[k])) put_on_sheet(m, bytes);
  }
  if (status == RST_OK && LEAST[mode] > 0) {
    status = rst_image_compare(*exact, restored, &d, err);
    t->near[mode] += d.psnr;
    t->lowest[mode] = fmin(t->lowest[mode], d.psnr);
  }
  if (status == RST_OK && mode == FLOAT32) {
    *exact = restored;
    restored = NULL;
  }
  rst_image_free(bytes);
  rst_image_free(restored);
  return status;
}

/* Makes or reads the degraded picture. */
static rst_status make_input(const measurement *m, const char *name, input in, const rst_image *clean,
                             rst_image **degraded, rst_error *err) {
  if (in.kind == NOISE) return pictures_add_noise(clean, name, in.value, degraded, err);
  if (in.kind == JPEG) return pictures_through_jpeg(clean, (int)in.value, degraded, err);
  char *folder = join(m->settings.folder, "noisy"), *path = join(folder, name);
  rst_image *picture = NULL;
  rst_status status = rst_image_read(path, NULL, &picture, err);
  if (status == RST_OK) status = pictures_to_bytes(picture, degraded, err);
  rst_image_free(picture);
  free(path);
  free(folder);
  return status;
}

/* Writes the degraded picture to `path`. */
static rst_status degrade(measurement *m, const char *name, size_t k, const rst_image *clean,
                          const char *path, rst_error *err) {
  rst_image *degraded = NULL, *bytes = NULL;
  rst_difference d = {0};
  rst_status status = make_input(m, name, m->settings.inputs[k], clean, &degraded, err);
  if (status == RST_OK) status = rst_image_write(path, degraded, NULL, err);
  if (status == RST_OK) status = rst_image_compare(clean, degraded, &d, err);
  if (status == RST_OK) status = pictures_to_bytes(degraded, &bytes, err);
  if (status == RST_OK) {
    m->totals[k].psnr_before += d.psnr;
    m->totals[k].ssim_before += d.ssim;
    write_line(m, name, k, "before", &d);
    if (!is_clean(m->settings.inputs[k])) put_on_sheet(m, bytes);
  }
  rst_image_free(bytes);
  rst_image_free(degraded);
  return status;
}

static int measure_at(measurement *m, const char *name, size_t k, const rst_image *clean) {
  rst_error err;
  rst_image *exact = NULL;
  char *noisy = join(m->settings.out, "degraded.pfm"), *restored = join(m->settings.out, "restored.pfm");
  rst_status failure = degrade(m, name, k, clean, noisy, &err);
  int status = cli_exit_status(failure);
  for (run_mode mode = 0; mode < modes_of(&m->settings) && status == 0; mode++) {
    status = run_cli(&m->settings, mode, noisy, restored);
    if (status != 0) break;
    failure = judge(m, name, k, mode, restored, clean, &exact, &err);
    status = cli_exit_status(failure);
  }
  if (failure != RST_OK) cli_fail(PROGRAM, failure, "%s: %s", name, err.message);
  remove(noisy);
  remove(restored);
  rst_image_free(exact);
  free(noisy);
  free(restored);
  return status;
}

static int measure_picture(measurement *m, const char *name) {
  rst_error err;
  rst_image *picture = NULL, *clean = NULL;
  char *path = join(m->clean_folder, name);
  rst_status failure = rst_image_read(path, NULL, &picture, &err);
  free(path);
  if (failure == RST_OK) failure = pictures_to_bytes(picture, &clean, &err);
  if (failure != RST_OK) cli_fail_error(PROGRAM, failure, &err);
  int status = cli_exit_status(failure);
  m->sheet_column = 0;
  for (size_t k = 0; k < m->settings.input_count && status == 0; k++) status = measure_at(m, name, k, clean);
  if (status == 0) put_on_sheet(m, clean);
  rst_image_free(clean);
  rst_image_free(picture);
  return status;
}

/* ---- The folder ---------------------------------------------------------------------------- */

static void print_table(const measurement *m, size_t count) {
  const settings *s = &m->settings;
  const double n = (double)count;
  const bool all = !s->float32_only;
  char tiles[32];
  snprintf(tiles, sizeof tiles, "tiles of %s", s->tile);
  printf("Pictures: %zu; means of PSNR (dB) and SSIM\n\n", count);
  printf("                   before          float32");
  if (all)
    printf("%17s%17s%17s%23s%23s", "bf16", "int8", tiles, "bf16 against float32", "int8 against float32");
  printf("\n              PSNR    SSIM");
  for (run_mode mode = 0; mode < modes_of(s); mode++) printf("     PSNR    SSIM");
  printf("%s\n", all ? "      mean PSNR  lowest      mean PSNR  lowest" : "");
  for (size_t k = 0; k < s->input_count; k++) {
    const totals *t = &m->totals[k];
    char text[32];
    printf("%-9s  %7.2f  %.4f", label(s->inputs[k], text), t->psnr_before / n, t->ssim_before / n);
    for (run_mode mode = 0; mode < modes_of(s); mode++)
      printf("  %7.2f  %.4f", t->psnr[mode] / n, t->ssim[mode] / n);
    for (run_mode mode = 0; mode < modes_of(s); mode++)
      if (LEAST[mode] > 0) printf("  %13.2f %7.2f", t->near[mode] / n, t->lowest[mode]);
    putchar('\n');
  }
}

static int check_limits(const measurement *m, size_t count) {
  bool met = true;
  for (size_t k = 0; k < m->settings.input_count; k++) {
    const totals *t = &m->totals[k];
    for (run_mode mode = 0; mode < modes_of(&m->settings) && is_clean(m->settings.inputs[k]); mode++)
      if (!(t->psnr[mode] / (double)count >= LEAST_CLEAN)) {
        met = false;
        cli_print_line(stderr, PROGRAM ": clean pictures, %s: mean PSNR %.2f dB, expected at least %g",
                       mode_names[mode], t->psnr[mode] / (double)count, LEAST_CLEAN);
      }
    for (run_mode mode = 0; mode < modes_of(&m->settings); mode++) {
      char text[32];
      if (LEAST[mode] == 0 || t->lowest[mode] >= LEAST[mode]) continue;
      met = false;
      cli_print_line(stderr, PROGRAM ": %s, %s against float32: lowest PSNR %.2f dB, expected at least %g",
                     label(m->settings.inputs[k], text), mode_names[mode], t->lowest[mode], LEAST[mode]);
    }
  }
  return met ? 0 : EXIT_LIMIT_NOT_MET;
}

static int measure(measurement *m) {
  const settings *s = &m->settings;
  const size_t count = s->limit > 0 && s->limit < m->list.count ? s->limit : m->list.count;
  int status = RST_OK;
  fputs("picture,input,mode,psnr,ssim\n", m->csv);
  for (size_t i = 0, row = 0; i < count && status == 0; i++) {
    const bool on_sheet = row < m->sheet.rows && i == row * count / m->sheet.rows;
    m->sheet_row = on_sheet ? row++ : SIZE_MAX;
    status = measure_picture(m, m->list.names[i * m->list.count / count]);
    if (isatty(STDERR_FILENO)) fprintf(stderr, "\r%zu of %zu", i + 1, count);
  }
  if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
  if (status != RST_OK) return status;
  rst_error err;
  char *path = join(s->out, "sheet.png");
  const rst_status written = rst_image_write(path, m->sheet.picture, NULL, &err);
  free(path);
  if (written != RST_OK) return cli_fail_error(PROGRAM, written, &err);
  print_table(m, count);
  fflush(stdout); /* before what stderr says of it */
  return check_limits(m, count);
}

/* Opens what the measurement writes. */
static int start(measurement *m) {
  rst_error err;
  if (m->settings.pairs) m->clean_of_pairs = join(m->settings.folder, "clean");
  m->clean_folder = m->settings.pairs ? m->clean_of_pairs : m->settings.folder;
  rst_status status = pictures_list(m->clean_folder, &m->list, &err);
  size_t columns = 1; /* the clean picture */
  for (size_t k = 0; k < m->settings.input_count; k++) columns += is_clean(m->settings.inputs[k]) ? 0 : 2;
  for (size_t k = 0; k < m->settings.input_count; k++)
    for (run_mode mode = 0; mode < MODES; mode++) m->totals[k].lowest[mode] = INFINITY;
  size_t rows = m->list.count < SHEET_ROWS ? m->list.count : SHEET_ROWS;
  if (m->settings.limit > 0 && m->settings.limit < rows) rows = m->settings.limit;
  if (status == RST_OK) status = contact_sheet_create(rows, columns, &m->sheet, &err);
  if (status != RST_OK) return cli_fail_error(PROGRAM, status, &err);
  char *path = join(m->settings.out, "pictures.csv");
  m->csv = fopen(path, "w");
  if (m->csv == NULL) status = RST_ERROR_OUTPUT;
  if (status != RST_OK) cli_fail(PROGRAM, status, "%s: cannot be written: %s", path, strerror(errno));
  free(path);
  return cli_exit_status(status);
}

int main(int argc, char **argv) {
  static measurement m;
  int status = parse_options(argc, argv, &m.settings);
  if (status == RST_OK) status = start(&m);
  if (status == RST_OK) status = measure(&m);
  if (m.csv != NULL && fclose(m.csv) != 0 && status == RST_OK)
    status = cli_fail(PROGRAM, RST_ERROR_OUTPUT, "%s: pictures.csv cannot be written", m.settings.out);
  rst_image_free(m.sheet.picture);
  pictures_free(&m.list);
  free(m.clean_of_pairs);
  return cli_finish_stdout(PROGRAM, status);
}
