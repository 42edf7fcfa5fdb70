/* restormer-compare: how different two pictures are, and whether that is too much. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "html.h"
#include "programs/common/cli.h"
#include "programs/common/options.h"
#include "restormer.h"

#define PROGRAM "restormer-compare"

enum { EXIT_LIMIT_NOT_MET = 1, SSIM_WINDOW = 11 };

typedef struct arguments {
  const char *a, *b, *diff, *html;
  bool no_sandbox, json, help, version;
  int generate;                        /* a cli_form, or -1 */
  double max_diff, min_psnr, min_ssim; /* NAN: not given */
} arguments;

typedef struct comparison {
  rst_image *a, *b;
  rst_difference difference;
  double unit;          /* what max_difference is counted in: 1 / unit of white */
  rst_image *picture;   /* of the differences; NULL: not asked for */
  double amplification; /* of that */
} comparison;

/* ---- Arguments ----------------------------------------------------------------------------- */

#define AT(member) .at = offsetof(arguments, member)

static const cli_option table[] = {
    {.help = "Limits"},
    {"max-diff", 0, .argument = "N", .kind = CLI_NUMBER, AT(max_diff), .max = 1e9,
     .help = "Fail when a sample differs by more than N, in steps of the finer of the two sample types (8 "
             "bits: 1 of 255, 16 bits: 1 of 65535, PFM: 1.0 of white)."},
    {"min-psnr", 0, .argument = "DB", .kind = CLI_NUMBER, AT(min_psnr), .min = -1000, .max = 1000,
     .help = "Fail when the PSNR of the colours is below DB."},
    {"min-ssim", 0, .argument = "S", .kind = CLI_NUMBER, AT(min_ssim), .min = -1, .max = 1,
     .help = "Fail when the SSIM of the colours is below S (Wang et al. 2004, from -1 to 1)."},

    {.help = "Input"},
    {"no-sandbox", 0, .kind = CLI_FLAG, AT(no_sandbox),
     .help =
         "Decode pictures in the program itself instead of a process without rights: where the kernel has "
         "no seccomp, or under a debugger."},

    {.help = "Output"},
    {"diff", 0, .argument = "OUT", .kind = CLI_FILE, AT(diff),
     .help = "Write the absolute difference of the colours, amplified so that the largest is white."},
    {"html", 0, .argument = "OUT", .kind = CLI_FILE, AT(html),
     .help = "Write one page for browsers, with all that it needs in it: a slider between A and B, the "
             "difference, and the numbers."},
    {"json", 0, .kind = CLI_FLAG, AT(json),
     .help = "Print one JSON object. psnr is null for equal pictures, ssim where a side is shorter than "
             "11 pixels."},
    CLI_HELP(AT(help)),
    {"version", 'V', .kind = CLI_STOP, AT(version), .help = "Print the version."},
    CLI_GENERATE(AT(generate)),
};

static const cli_program program = {
    .name = PROGRAM,
    .usage = "[options] A B",
    .about = "Tells how different two pictures of the same size are.",
    .more =
        "Exit status:\n"
        "  0  every limit given is met\n"
        "  1  one is not\n"
        "  2  wrong usage\n"
        "  4  a picture cannot be read, or the two cannot be compared\n"
        "  5  an output cannot be written\n"
        "  6  out of memory\n",
    .options = table,
    .count = sizeof table / sizeof table[0],
};

static bool same_file(const char *a, const char *b) {
  struct stat sa, sb;
  return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static int check_outputs(const arguments *args) {
  rst_error err;
  const rst_image_format *format;
  rst_status status = args->diff != NULL ? rst_image_output_format(args->diff, NULL, &format, &err) : RST_OK;
  if (status != RST_OK) return cli_fail_error(PROGRAM, status, &err);
  if (args->html != NULL && strcmp(args->html, "-") == 0)
    return cli_fail(PROGRAM, RST_ERROR_USAGE, "--html -: standard output has the numbers; name a file");
  const char *outputs[] = {args->diff, args->html};
  for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++)
    if (outputs[i] != NULL && (same_file(outputs[i], args->a) || same_file(outputs[i], args->b)))
      return cli_fail(PROGRAM, RST_ERROR_USAGE, "%s: is one of the pictures to compare", outputs[i]);
  return RST_OK;
}

static int parse_arguments(int argc, char **argv, arguments *args) {
  *args =
      (arguments){.max_diff = (double)NAN, .min_psnr = (double)NAN, .min_ssim = (double)NAN, .generate = -1};
  if (!cli_parse_options(&program, argc, argv, args)) return cli_exit_status(RST_ERROR_USAGE);
  if (args->help || args->version || args->generate >= 0) return RST_OK;
  if (argc - optind != 2)
    return cli_fail(PROGRAM, RST_ERROR_USAGE, "expected two pictures, found %d (see --help)", argc - optind);
  args->a = argv[optind];
  args->b = argv[optind + 1];
  return check_outputs(args);
}

/* ---- The difference picture ---------------------------------------------------------------- */

/* Differences that are not numbers are as white as the largest. */
static double difference_at(const comparison *c, size_t i) {
  double d = fabs(rst_image_value(c->a, i) - rst_image_value(c->b, i));
  return isfinite(d) ? d : 1;
}

static rst_status make_difference(comparison *c, rst_error *err) {
  size_t channels = (size_t)rst_image_channels(c->a), colors = channels >= 3 ? 3 : 1;
  size_t width = rst_image_width(c->a), height = rst_image_height(c->a), pixels = width * height;
  rst_status status = rst_image_create(width, height, (int)colors, RST_SAMPLE_U8, &c->picture, err);
  if (status != RST_OK) return status;
  uint8_t *samples = rst_image_samples(c->picture);
  double largest = 0;
  for (size_t i = 0; i < pixels; i++)
    for (size_t k = 0; k < colors; k++) largest = fmax(largest, difference_at(c, i * channels + k));
  c->amplification = largest > 0 ? 1 / largest : 1;
  for (size_t i = 0; i < pixels; i++)
    for (size_t k = 0; k < colors; k++)
      samples[i * colors + k] = (uint8_t)lrint(255 * c->amplification * difference_at(c, i * channels + k));
  return RST_OK;
}

static int write_pictures(const arguments *args, comparison *c) {
  rst_error err;
  rst_status status = make_difference(c, &err);
  if (status != RST_OK)
    return cli_fail(PROGRAM, status, "%s: %s", args->diff != NULL ? args->diff : args->html, err.message);
  if (args->diff != NULL) status = rst_image_write(args->diff, c->picture, NULL, &err);
  if (status == RST_OK && args->html != NULL) {
    const html_page page = {args->a,    args->b,          c->a,           c->b,
                            c->picture, c->amplification, &c->difference, c->unit};
    status = html_write(args->html, &page, &err);
  }
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
  rst_print_json_string(stdout, args->a);
  printf(", \"b\": ");
  rst_print_json_string(stdout, args->b);
  printf(", \"width\": %zu, \"height\": %zu, \"channels\": %d, \"max_difference\": ", rst_image_width(c->a),
         rst_image_height(c->a), rst_image_channels(c->a));
  cli_print_json_number(stdout, d->max_difference);
  printf(", \"white\": ");
  cli_print_json_number(stdout, c->unit);
  printf(", \"psnr\": ");
  cli_print_json_number(stdout, d->psnr);
  printf(", \"ssim\": ");
  cli_print_json_number(stdout, d->ssim);
  if (args->diff != NULL) {
    printf(", \"diff\": ");
    rst_print_json_string(stdout, args->diff);
    printf(", \"amplification\": ");
    cli_print_json_number(stdout, c->amplification);
  }
  printf(", \"met\": %s}\n", met ? "true" : "false");
}

static int compare(const arguments *args, comparison *c) {
  rst_error err;
  rst_image_read_options how;
  rst_image_read_options_init(&how);
  how.sandbox = !args->no_sandbox;
  rst_status status = rst_image_read(args->a, &how, &c->a, &err);
  if (status == RST_OK) status = rst_image_read(args->b, &how, &c->b, &err);
  if (status != RST_OK) return cli_fail_error(PROGRAM, status, &err);
  status = rst_image_compare(c->a, c->b, &c->difference, &err);
  if (status != RST_OK) return cli_fail(PROGRAM, status, "%s, %s: %s", args->a, args->b, err.message);
  size_t bytes = rst_sample_size(rst_image_sample(c->a)), other = rst_sample_size(rst_image_sample(c->b));
  if (other > bytes) bytes = other;
  c->unit = bytes == 1 ? 255 : bytes == 2 ? 65535 : 1;
  return args->diff == NULL && args->html == NULL ? RST_OK : write_pictures(args, c);
}

int main(int argc, char **argv) {
  cli_open_standard_files();
  arguments args;
  int status = parse_arguments(argc, argv, &args);
  if (status != RST_OK) return status;
  if (args.help || args.version || args.generate >= 0) {
    if (args.help)
      cli_print_help(&program, stdout);
    else if (args.version)
      printf(PROGRAM " %s\n", rst_version());
    else
      cli_print_form(&program, (cli_form)args.generate, stdout);
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
  rst_image_free(c.picture);
  rst_image_free(c.b);
  rst_image_free(c.a);
  return status;
}
