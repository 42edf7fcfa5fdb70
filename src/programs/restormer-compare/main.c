/* restormer-compare: how different two pictures are, and whether that is too much. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "programs/common/cli.h"
#include "restormer.h"

#define PROGRAM "restormer-compare"

enum { EXIT_LIMIT_NOT_MET = 1, SSIM_WINDOW = 11 };

typedef struct arguments {
  const char *a, *b, *diff;
  bool json, help, version;
  /* NAN: not given */
  double max_diff, min_psnr, min_ssim;
} arguments;

typedef struct comparison {
  rst_picture a, b;
  rst_difference difference;
  double unit;          /* what max_difference is counted in: 1 / unit of white */
  double amplification; /* of the difference picture */
} comparison;

static const char help[] =
    "usage: " PROGRAM
    " [options] A B\n"
    "Tells how different two pictures of the same size are.\n"
    "\n"
    "  --max-diff N   fail when a sample differs by more than N, in steps of the finer of the two\n"
    "                 sample types (8 bits: 1 of 255, 16 bits: 1 of 65535, PFM: 1.0 of white)\n"
    "  --min-psnr DB  fail when the PSNR of the colours is below DB\n"
    "  --min-ssim S   fail when the SSIM of the colours is below S (Wang et al. 2004, from -1 to 1)\n"
    "  --diff OUT     write the absolute difference of the colours, amplified so that the largest is white\n"
    "  --json         print one JSON object; psnr is null for equal pictures, ssim where a side is\n"
    "                 shorter than 11 pixels\n"
    "  -h, --help     print this\n"
    "  -V, --version  print the version\n"
    "\n"
    "Exit status: 0 every limit given is met, 1 one is not, 2 wrong usage, 4 a picture cannot be read or "
    "the\n"
    "two cannot be compared, 5 the difference picture or standard output cannot be written, 6 out of "
    "memory.\n";

/* ---- Arguments ----------------------------------------------------------------------------- */

enum { OPTION_MAX_DIFF = 256, OPTION_MIN_PSNR, OPTION_MIN_SSIM, OPTION_DIFF, OPTION_JSON };

static int parse_limit(const char *name, double min, double max, double *value) {
  if (cli_parse_double(optarg, min, max, value)) return RST_OK;
  return cli_fail(PROGRAM, RST_ERROR_USAGE, "--%s %s: expected a number from %g to %g", name, optarg, min,
                  max);
}

static int parse_option(int code, arguments *args) {
  switch (code) {
    case OPTION_MAX_DIFF:
      return parse_limit("max-diff", 0, 1e9, &args->max_diff);
    case OPTION_MIN_PSNR:
      return parse_limit("min-psnr", -1000, 1000, &args->min_psnr);
    case OPTION_MIN_SSIM:
      return parse_limit("min-ssim", -1, 1, &args->min_ssim);
    case OPTION_DIFF:
      args->diff = optarg;
      return RST_OK;
    case OPTION_JSON:
      args->json = true;
      return RST_OK;
    case 'h':
      args->help = true;
      return RST_OK;
    default:
      args->version = true;
      return RST_OK;
  }
}

static bool same_file(const char *a, const char *b) {
  struct stat sa, sb;
  return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static int check_diff(const arguments *args) {
  if (args->diff == NULL) return RST_OK;
  if (!rst_picture_can_write(args->diff))
    return cli_fail(PROGRAM, RST_ERROR_USAGE,
                    "%s: unknown ending, expected .png, .jpg, .jpeg, .bmp, .tga or .pfm", args->diff);
  if (same_file(args->diff, args->a) || same_file(args->diff, args->b))
    return cli_fail(PROGRAM, RST_ERROR_USAGE, "%s: is one of the pictures to compare", args->diff);
  return RST_OK;
}

static int parse_arguments(int argc, char **argv, arguments *args) {
  static const struct option options[] = {{"max-diff", required_argument, NULL, OPTION_MAX_DIFF},
                                          {"min-psnr", required_argument, NULL, OPTION_MIN_PSNR},
                                          {"min-ssim", required_argument, NULL, OPTION_MIN_SSIM},
                                          {"diff", required_argument, NULL, OPTION_DIFF},
                                          {"json", no_argument, NULL, OPTION_JSON},
                                          {"help", no_argument, NULL, 'h'},
                                          {"version", no_argument, NULL, 'V'},
                                          {0}};
  *args = (arguments){.max_diff = (double)NAN, .min_psnr = (double)NAN, .min_ssim = (double)NAN};
  opterr = 0;
  for (int code; (code = getopt_long(argc, argv, ":hV", options, NULL)) != -1;) {
    int status =
        code == '?' || code == ':' ? cli_fail_option(PROGRAM, code, options, argv) : parse_option(code, args);
    if (status != RST_OK || args->help || args->version) return status;
  }
  if (argc - optind != 2)
    return cli_fail(PROGRAM, RST_ERROR_USAGE, "expected two pictures, found %d (see --help)", argc - optind);
  args->a = argv[optind];
  args->b = argv[optind + 1];
  return check_diff(args);
}

/* ---- The difference picture ---------------------------------------------------------------- */

/* Differences that are not numbers are as white as the largest. */
static double difference_at(const comparison *c, size_t i) {
  double d = fabs(rst_picture_value(&c->a, i) - rst_picture_value(&c->b, i));
  return isfinite(d) ? d : 1;
}

static int write_difference(const char *path, comparison *c) {
  size_t channels = (size_t)c->a.channels, colors = channels >= 3 ? 3 : 1, pixels = c->a.width * c->a.height;
  uint8_t *samples = calloc(pixels, colors);
  if (samples == NULL) return cli_fail(PROGRAM, RST_ERROR_MEMORY, "%s: out of memory", path);
  double largest = 0;
  for (size_t i = 0; i < pixels; i++)
    for (size_t k = 0; k < colors; k++) largest = fmax(largest, difference_at(c, i * channels + k));
  c->amplification = largest > 0 ? 1 / largest : 1;
  for (size_t i = 0; i < pixels; i++)
    for (size_t k = 0; k < colors; k++)
      samples[i * colors + k] = (uint8_t)lrint(255 * c->amplification * difference_at(c, i * channels + k));
  rst_picture picture = {c->a.width, c->a.height, (int)colors, RST_SAMPLE_U8, samples};
  rst_error err;
  rst_status status = rst_picture_write(path, &picture, &err);
  free(samples);
  return status == RST_OK ? RST_OK : cli_fail_error(PROGRAM, status, &err);
}

/* ---- Results ------------------------------------------------------------------------------- */

/* Complains when a limit was given and is not met; a NaN meets none. */
static bool limits_are_met(const arguments *args, const rst_difference *d) {
  bool met = true;
  if (!isnan(args->max_diff) && !(d->max_difference <= args->max_diff)) {
    cli_fail(PROGRAM, RST_OK, "%s: largest difference %.9g, expected at most %.9g", args->b,
             d->max_difference, args->max_diff);
    met = false;
  }
  if (!isnan(args->min_psnr) && !(d->psnr >= args->min_psnr)) {
    cli_fail(PROGRAM, RST_OK, "%s: PSNR %.4f dB, expected at least %.9g", args->b, d->psnr, args->min_psnr);
    met = false;
  }
  if (!isnan(args->min_ssim) && isnan(d->ssim)) {
    cli_fail(PROGRAM, RST_OK, "%s: no SSIM, which needs pictures of %d x %d finite pixels or more", args->b,
             SSIM_WINDOW, SSIM_WINDOW);
    met = false;
  } else if (!isnan(args->min_ssim) && !(d->ssim >= args->min_ssim)) {
    cli_fail(PROGRAM, RST_OK, "%s: SSIM %.6f, expected at least %.9g", args->b, d->ssim, args->min_ssim);
    met = false;
  }
  return met;
}

static void print_text(const arguments *args, const comparison *c) {
  const rst_difference *d = &c->difference;
  printf("largest difference  %.9g of %g\n", d->max_difference, c->unit);
  printf("PSNR                %.4f dB\n", d->psnr);
  if (isnan(d->ssim))
    printf("SSIM                none\n");
  else
    printf("SSIM                %.6f\n", d->ssim);
  if (args->diff != NULL)
    cli_print_line(stdout, "difference picture  %s, amplified %.6g times", args->diff, c->amplification);
}

static void print_json(const arguments *args, const comparison *c, bool met) {
  const rst_difference *d = &c->difference;
  printf("{\"a\": ");
  cli_print_json_string(stdout, args->a);
  printf(", \"b\": ");
  cli_print_json_string(stdout, args->b);
  printf(", \"width\": %zu, \"height\": %zu, \"channels\": %d, \"max_difference\": ", c->a.width, c->a.height,
         c->a.channels);
  cli_print_json_number(stdout, d->max_difference);
  printf(", \"white\": ");
  cli_print_json_number(stdout, c->unit);
  printf(", \"psnr\": ");
  cli_print_json_number(stdout, d->psnr);
  printf(", \"ssim\": ");
  cli_print_json_number(stdout, d->ssim);
  if (args->diff != NULL) {
    printf(", \"diff\": ");
    cli_print_json_string(stdout, args->diff);
    printf(", \"amplification\": ");
    cli_print_json_number(stdout, c->amplification);
  }
  printf(", \"met\": %s}\n", met ? "true" : "false");
}

static int compare(const arguments *args, comparison *c) {
  rst_error err;
  rst_status status = rst_picture_read(args->a, &c->a, &err);
  if (status == RST_OK) status = rst_picture_read(args->b, &c->b, &err);
  if (status != RST_OK) return cli_fail_error(PROGRAM, status, &err);
  status = rst_picture_compare(&c->a, &c->b, &c->difference, &err);
  if (status != RST_OK) return cli_fail(PROGRAM, status, "%s, %s: %s", args->a, args->b, err.message);
  size_t bytes = rst_sample_size(c->a.sample), other = rst_sample_size(c->b.sample);
  if (other > bytes) bytes = other;
  c->unit = bytes == 1 ? 255 : bytes == 2 ? 65535 : 1;
  return args->diff == NULL ? RST_OK : write_difference(args->diff, c);
}

int main(int argc, char **argv) {
  arguments args;
  int status = parse_arguments(argc, argv, &args);
  if (status != RST_OK) return status;
  if (args.help || args.version) {
    if (args.help)
      fputs(help, stdout);
    else
      printf(PROGRAM " %s\n", rst_version());
    return cli_finish_stdout(PROGRAM, RST_OK);
  }
  comparison c = {0};
  status = compare(&args, &c);
  if (status == RST_OK) {
    bool met = limits_are_met(&args, &c.difference);
    if (args.json)
      print_json(&args, &c, met);
    else
      print_text(&args, &c);
    status = cli_finish_stdout(PROGRAM, met ? RST_OK : EXIT_LIMIT_NOT_MET);
  }
  rst_picture_free(&c.b);
  rst_picture_free(&c.a);
  return status;
}
