#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "programs/common/cli.h"

enum { MAX_THREADS = 1024, MAX_SIDE = 1 << 30, OVERLAP = 32 };
/* Options without a short form. */
enum {
  OPTION_RIGHT = 256,
  OPTION_PRECISION,
  OPTION_ISA,
  OPTION_WINDOW,
  OPTION_TILE,
  OPTION_OVERLAP,
  OPTION_BLEND,
  OPTION_MAX_MEMORY
};

static const struct option long_options[] = {
    {"weights", required_argument, NULL, 'w'}, /* model */
    {"right", required_argument, NULL, OPTION_RIGHT},
    {"window", required_argument, NULL, OPTION_WINDOW},
    {"threads", required_argument, NULL, 't'}, /* running */
    {"precision", required_argument, NULL, OPTION_PRECISION},
    {"isa", required_argument, NULL, OPTION_ISA},
    {"max-memory", required_argument, NULL, OPTION_MAX_MEMORY},
    {"tile", required_argument, NULL, OPTION_TILE},
    {"overlap", required_argument, NULL, OPTION_OVERLAP},
    {"blend", required_argument, NULL, OPTION_BLEND},
    {"quiet", no_argument, NULL, 'q'}, /* what is told */
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

/* ---- Values -------------------------------------------------------------------------------------- */

static bool wrong(const char *option, const char *value, const char *expected) {
  cli_fail(PROGRAM, RST_ERROR_USAGE, "--%s '%s': expected %s", option, value, expected);
  return false;
}

static bool parse_threads(const char *text, cli_options *options) {
  long threads;
  if (!cli_parse_long(text, 1, MAX_THREADS, &threads))
    return wrong("threads", text, "a whole number from 1 to 1024");
  options->model.threads = options->run.threads = (int)threads;
  return true;
}

static bool parse_precision(const char *text, rst_precision *precision) {
  if (strcmp(text, "float32") == 0 || strcmp(text, "f32") == 0)
    *precision = RST_PRECISION_F32;
  else if (strcmp(text, "bf16") == 0)
    *precision = RST_PRECISION_BF16;
  else
    return wrong("precision", text, "float32 or bf16");
  return true;
}

static bool parse_isa(const char *text, rst_isa *isa) {
  for (int i = 0; i < RST_ISA_COUNT; i++)
    if (strcmp(text, rst_isa_name((rst_isa)i)) == 0) {
      *isa = (rst_isa)i;
      return true;
    }
  return wrong("isa", text, "auto, baseline, avx2, avx512, avx512bf16 or neon");
}

static bool parse_blend(const char *text, rst_blend *blend) {
  if (strcmp(text, "ramp") == 0)
    *blend = RST_BLEND_RAMP;
  else if (strcmp(text, "uniform") == 0)
    *blend = RST_BLEND_UNIFORM;
  else
    return wrong("blend", text, "ramp or uniform");
  return true;
}

static bool parse_pixels(const char *option, const char *text, long min, size_t *pixels) {
  long value;
  if (!cli_parse_long(text, min, MAX_SIDE, &value)) return wrong(option, text, "a whole number of pixels");
  *pixels = (size_t)value;
  return true;
}

/* Options that say how to compute; false when the value is wrong, which has been said. */
static bool engine_option(int code, const char *value, cli_options *options) {
  switch (code) {
    case 't':
      return parse_threads(value, options);
    case OPTION_PRECISION:
      return parse_precision(value, &options->model.precision);
    case OPTION_ISA:
      return parse_isa(value, &options->model.isa);
    case OPTION_WINDOW:
      return parse_pixels("window", value, 1, &options->run.window);
    case OPTION_TILE:
      return parse_pixels("tile", value, 1, &options->run.tile);
    case OPTION_OVERLAP:
      return parse_pixels("overlap", value, 0, &options->run.overlap);
    case OPTION_BLEND:
      return parse_blend(value, &options->run.blend);
    default:
      return cli_parse_bytes(value, &options->run.max_memory) ||
             wrong("max-memory", value, "a number of bytes, with K, M, G or T for powers of 1024");
  }
}

/* ---- The command line ---------------------------------------------------------------------------- */

/* A quarter of the tile, in steps that models of every number of levels allow. */
static size_t default_overlap(size_t tile) {
  const size_t step = (size_t)1 << (RST_MAX_LEVELS - 1), overlap = tile / 4 / step * step;
  return overlap < OVERLAP ? overlap : OVERLAP;
}

static options_action files(int count, char **names, cli_options *options) {
  if (count != 2) {
    cli_fail(PROGRAM, RST_ERROR_USAGE, "expected INPUT and OUTPUT, found %d file name%s (see --help)", count,
             count == 1 ? "" : "s");
    return OPTIONS_WRONG;
  }
  options->input = names[0];
  options->output = names[1];
  return OPTIONS_RESTORE;
}

options_action options_parse(int argc, char **argv, cli_options *options) {
  memset(options, 0, sizeof *options);
  rst_model_options_init(&options->model);
  options_action action = OPTIONS_RESTORE;
  bool overlap_given = false;
  opterr = 0; /* messages are in this program's form */
  for (int c; (c = getopt_long(argc, argv, ":w:t:qvhV", long_options, NULL)) != -1;) {
    switch (c) {
      case 'w':
        options->weights = optarg;
        break;
      case OPTION_RIGHT:
        options->right = optarg;
        break;
      case 't':
      case OPTION_PRECISION:
      case OPTION_ISA:
      case OPTION_WINDOW:
      case OPTION_TILE:
      case OPTION_OVERLAP:
      case OPTION_BLEND:
      case OPTION_MAX_MEMORY:
        if (!engine_option(c, optarg, options)) return OPTIONS_WRONG;
        overlap_given = overlap_given || c == OPTION_OVERLAP;
        break;
      case 'q':
        options->quiet = true;
        break;
      case 'v':
        options->verbose = true;
        break;
      case 'h':
        action = OPTIONS_HELP;
        break;
      case 'V':
        action = OPTIONS_VERSION;
        break;
      default:
        cli_fail_option(PROGRAM, c, long_options, argv);
        return OPTIONS_WRONG;
    }
  }
  if (action != OPTIONS_RESTORE) return action;
  if (overlap_given && options->run.tile == 0) {
    cli_fail(PROGRAM, RST_ERROR_USAGE, "--overlap: goes with --tile");
    return OPTIONS_WRONG;
  }
  if (!overlap_given) options->run.overlap = default_overlap(options->run.tile);
  return files(argc - optind, argv + optind, options);
}

void options_print_help(void) {
  fputs(
      "usage: restormer-cli [options] INPUT OUTPUT\n"
      "\n"
      "Restores a picture (removes noise, blur, rain, ...: what the weights were trained for) with the\n"
      "Restormer transformer. INPUT is a PNG, JPEG, BMP, TGA, PNM or PFM file, told apart by content;\n"
      "the ending of OUTPUT chooses its format: .png .jpg .jpeg .bmp .tga .pfm. A 16-bit INPUT gives a\n"
      "16-bit PNG; PFM holds the network's exact float result.\n"
      "\n"
      "  -w, --weights FILE   manifest of the weights (*.json); default: $RESTORMER_WEIGHTS, else the\n"
      "                       denoiser that comes with restormer-cli\n"
      "      --right IMAGE    second view, for a dual-pixel model\n"
      "  -t, --threads N      threads to use; default: as many as the process may use; the result is\n"
      "                       the same for every N (with tiles for lack of memory: up to 16)\n"
      "      --precision P    float32 (default, exact) or bf16 (faster on processors with bf16 products,\n"
      "                       half the memory)\n"
      "      --isa NAME       auto (default), baseline, avx2, avx512, avx512bf16 or neon\n"
      "      --window N       attention over overlapping windows of N pixels instead of the whole\n"
      "                       picture (test-time local statistics; 384 suits the published models)\n"
      "      --max-memory S   bytes to take at the most (K, M, G: powers of 1024); default: what is\n"
      "                       available; a picture that needs more is restored in tiles\n"
      "      --tile N         tiles of N pixels, a multiple of 8 (2^(levels - 1)); default: the whole\n"
      "                       picture, because attention is global\n"
      "      --overlap M      pixels that neighbouring tiles share; default: 32, less for N < 128\n"
      "      --blend KIND     of overlapping tiles: ramp (default) or uniform\n"
      "  -q, --quiet          no progress bar\n"
      "  -v, --verbose        tell model, picture, time and memory on stderr\n"
      "  -h, --help           this text\n"
      "  -V, --version        version; with -v also the instruction sets\n"
      "\n"
      "Exit status:\n"
      "  0    done\n"
      "  2    wrong usage\n"
      "  3    the weights cannot be used\n"
      "  4    a picture cannot be read\n"
      "  5    the output cannot be written\n"
      "  6    out of memory\n"
      "  130  interrupted\n"
      "After any but 0 there is no new output, and an existing one is untouched.\n",
      stdout);
}
