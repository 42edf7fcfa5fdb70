/* quality - how well a model restores: noise is added to every picture of a folder, restormer-cli takes it
 * away, and what comes back is compared with the clean picture. */
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
    "Adds Gaussian noise to every picture of FOLDER (float, neither clamped nor rounded, the same on every\n"
    "machine), restores it with restormer-cli, and prints mean PSNR and SSIM against the clean picture; the\n"
    "result is clamped and rounded to 8 bits first. OUT, a folder, gets pictures.csv and sheet.png.\n"
    "\n"
    "  --cli FILE      the program to run [restormer-cli]\n"
    "  --weights FILE  manifest [the program's default]\n"
    "  --sigmas LIST   deviations of the noise, of 255 [0,15,25,50]\n"
    "  --tile N        size of the tiles in the tiled runs [256]\n"
    "  --limit N       only N of the pictures, evenly spread\n"
    "  --float32-only  no runs in bf16 and in tiles\n"
    "\n"
    "Exit status: 1 when a clean picture (sigma 0) comes back with less than 40 dB, or bf16 is further from "
    "float32\n"
    "than 50 dB; otherwise that of restormer-cli.\n";

enum { MOST_SIGMAS = 16, SHEET_ROWS = 4, EXIT_LIMIT_NOT_MET = 1 };
static const double LEAST_CLEAN = 40, LEAST_BF16 = 50; /* dB */

typedef enum run_mode { FLOAT32, BF16, TILES, MODES } run_mode;
static const char *const mode_names[MODES] = {"float32", "bf16", "tiles"};

typedef struct settings {
  const char *cli, *weights, *tile, *folder, *out;
  double sigmas[MOST_SIGMAS];
  size_t sigma_count, limit;
  bool float32_only;
} settings;

typedef struct totals { /* of one sigma; sums over pictures but for the lowest */
  double noisy, psnr[MODES], ssim[MODES], lowest[MODES];
  double bf16, bf16_lowest; /* PSNR of bf16 against float32 */
} totals;

typedef struct measurement {
  settings settings;
  picture_list list;
  totals totals[MOST_SIGMAS];
  contact_sheet sheet;
  size_t sheet_row, sheet_column; /* of the next cell; row SIZE_MAX: this picture is not on it */
  FILE *csv;
} measurement;

static run_mode modes_of(const settings *s) {
  return s->float32_only ? FLOAT32 + 1 : MODES;
}

/* ---- Options ------------------------------------------------------------------------------- */

static bool parse_sigmas(const char *text, settings *s) {
  s->sigma_count = 0;
  for (const char *at = text; s->sigma_count < MOST_SIGMAS; at++) {
    char *end;
    const double sigma = strtod(at, &end);
    if (end == at || !(sigma >= 0 && sigma <= 1000)) return false;
    s->sigmas[s->sigma_count++] = sigma;
    if (*end == '\0') return true;
    if (*end != ',') return false;
    at = end;
  }
  return false;
}

static int parse_options(int argc, char **argv, settings *s) {
  static const struct option options[] = {{"cli", required_argument, NULL, 'c'},
                                          {"weights", required_argument, NULL, 'w'},
                                          {"tile", required_argument, NULL, 't'},
                                          {"sigmas", required_argument, NULL, 's'},
                                          {"limit", required_argument, NULL, 'l'},
                                          {"float32-only", no_argument, NULL, 'f'},
                                          {0}};
  *s = (settings){.cli = "restormer-cli", .tile = "256"};
  parse_sigmas("0,15,25,50", s);
  opterr = 0;
  for (int code; (code = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
    long limit = 0;
    if (code == '?' || code == ':') return cli_fail_option(PROGRAM, code, options, argv);
    if (code == 'c') s->cli = optarg;
    if (code == 'w') s->weights = optarg;
    if (code == 't') s->tile = optarg;
    if (code == 'f') s->float32_only = true;
    if (code == 's' && !parse_sigmas(optarg, s))
      return cli_fail(PROGRAM, RST_ERROR_USAGE, "--sigmas %s: expected up to %d numbers with commas", optarg,
                      MOST_SIGMAS);
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
  return RST_OK;
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
  if (mode == BF16) {
    argv[n++] = "--precision";
    argv[n++] = "bf16";
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

/* Compares the result in `path` with the clean picture, and in bf16 with the one of float32, which is left in
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
    t->lowest[mode] = fmin(t->lowest[mode], d.psnr);
    fprintf(m->csv, "%s,%g,%s,%.4f,%.5f\n", name, m->settings.sigmas[k], mode_names[mode], d.psnr, d.ssim);
    if (mode == FLOAT32 && m->settings.sigmas[k] > 0) put_on_sheet(m, bytes);
  }
  if (status == RST_OK && mode == BF16) {
    status = rst_image_compare(*exact, restored, &d, err);
    t->bf16 += d.psnr;
    t->bf16_lowest = fmin(t->bf16_lowest, d.psnr);
  }
  if (status == RST_OK && mode == FLOAT32) {
    *exact = restored;
    restored = NULL;
  }
  rst_image_free(bytes);
  rst_image_free(restored);
  return status;
}

/* Makes the noisy picture and writes it to `path`. */
static rst_status degrade(measurement *m, const char *name, size_t k, const rst_image *clean,
                          const char *path, rst_error *err) {
  rst_image *noisy = NULL, *bytes = NULL;
  rst_difference d = {0};
  const double sigma = m->settings.sigmas[k];
  rst_status status = pictures_add_noise(clean, name, sigma, &noisy, err);
  if (status == RST_OK) status = rst_image_write(path, noisy, NULL, err);
  if (status == RST_OK) status = rst_image_compare(clean, noisy, &d, err);
  if (status == RST_OK) status = pictures_to_bytes(noisy, &bytes, err);
  if (status == RST_OK && sigma > 0) put_on_sheet(m, bytes);
  m->totals[k].noisy += d.psnr;
  rst_image_free(bytes);
  rst_image_free(noisy);
  return status;
}

static int measure_at(measurement *m, const char *name, size_t k, const rst_image *clean) {
  rst_error err;
  rst_image *exact = NULL;
  char *noisy = join(m->settings.out, "noisy.pfm"), *restored = join(m->settings.out, "restored.pfm");
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
  char *path = join(m->settings.folder, name);
  rst_status failure = rst_image_read(path, NULL, &picture, &err);
  free(path);
  if (failure == RST_OK) failure = pictures_to_bytes(picture, &clean, &err);
  if (failure != RST_OK) cli_fail_error(PROGRAM, failure, &err);
  int status = cli_exit_status(failure);
  m->sheet_column = 0;
  for (size_t k = 0; k < m->settings.sigma_count && status == 0; k++) status = measure_at(m, name, k, clean);
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
  printf("Pictures: %zu; noise: Gaussian; means of PSNR (dB) and SSIM\n\n", count);
  printf("         noisy%17s", "float32");
  if (all) printf("%17s%17s%23s", "bf16", tiles, "bf16 against float32");
  printf("\nsigma     PSNR");
  for (run_mode mode = 0; mode < modes_of(s); mode++) printf("     PSNR    SSIM");
  printf("%s\n", all ? "      mean PSNR  lowest" : "");
  for (size_t k = 0; k < s->sigma_count; k++) {
    const totals *t = &m->totals[k];
    printf("%5g  %7.2f", s->sigmas[k], t->noisy / n);
    for (run_mode mode = 0; mode < modes_of(s); mode++)
      printf("  %7.2f  %.4f", t->psnr[mode] / n, t->ssim[mode] / n);
    if (all) printf("  %13.2f %7.2f", t->bf16 / n, t->bf16_lowest);
    putchar('\n');
  }
}

static int check_limits(const measurement *m) {
  bool met = true;
  for (size_t k = 0; k < m->settings.sigma_count; k++) {
    const totals *t = &m->totals[k];
    for (run_mode mode = 0; mode < modes_of(&m->settings) && m->settings.sigmas[k] == 0; mode++)
      if (!(t->lowest[mode] >= LEAST_CLEAN)) {
        met = false;
        cli_print_line(stderr, PROGRAM ": clean pictures, %s: lowest PSNR %.2f dB, expected at least %g",
                       mode_names[mode], t->lowest[mode], LEAST_CLEAN);
      }
    if (!(t->bf16_lowest >= LEAST_BF16)) {
      met = false;
      cli_print_line(stderr,
                     PROGRAM ": sigma %g, bf16 against float32: lowest PSNR %.2f dB, expected at least %g",
                     m->settings.sigmas[k], t->bf16_lowest, LEAST_BF16);
    }
  }
  return met ? 0 : EXIT_LIMIT_NOT_MET;
}

static int measure(measurement *m) {
  const settings *s = &m->settings;
  const size_t count = s->limit > 0 && s->limit < m->list.count ? s->limit : m->list.count;
  int status = RST_OK;
  fputs("picture,sigma,mode,psnr,ssim\n", m->csv);
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
  return check_limits(m);
}

/* Opens what the measurement writes. */
static int start(measurement *m) {
  rst_error err;
  rst_status status = pictures_list(m->settings.folder, &m->list, &err);
  size_t columns = 1; /* the clean picture */
  for (size_t k = 0; k < m->settings.sigma_count; k++) columns += m->settings.sigmas[k] > 0 ? 2 : 0;
  for (size_t k = 0; k < m->settings.sigma_count; k++) {
    m->totals[k].bf16_lowest = INFINITY;
    for (run_mode mode = 0; mode < MODES; mode++) m->totals[k].lowest[mode] = INFINITY;
  }
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
  return cli_finish_stdout(PROGRAM, status);
}
