#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "programs/common/cli.h"

enum { MAX_THREADS = 1024 };
enum { OPTION_RIGHT = 256 }; /* options without a short form */

static const struct option long_options[] = {
    {"weights", required_argument, NULL, 'w'}, /* model */
    {"right", required_argument, NULL, OPTION_RIGHT},
    {"threads", required_argument, NULL, 't'}, /* running */
    {"quiet", no_argument, NULL, 'q'},         /* what is told */
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

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
  options_action action = OPTIONS_RESTORE;
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
        if (!cli_parse_long(optarg, 1, MAX_THREADS, &options->threads)) {
          cli_fail(PROGRAM, RST_ERROR_USAGE, "--threads '%s': expected a whole number from 1 to %d", optarg,
                   MAX_THREADS);
          return OPTIONS_WRONG;
        }
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
      "                       the same for every N\n"
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
