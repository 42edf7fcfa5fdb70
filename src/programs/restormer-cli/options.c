#include "options.h"

#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "programs/common/cli.h"

enum { MAX_THREADS = 1024, OVERLAP = 32 };

/* ---- Values -------------------------------------------------------------------------------------- */

static bool take_precision(const char *text, void *precision) {
  const bool bf16 = strcmp(text, "bf16") == 0;
  if (!bf16 && strcmp(text, "float32") != 0 && strcmp(text, "f32") != 0) return false;
  *(rst_precision *)precision = bf16 ? RST_PRECISION_BF16 : RST_PRECISION_F32;
  return true;
}

static bool take_isa(const char *text, void *isa) {
  for (int i = 0; i < RST_ISA_COUNT; i++)
    if (strcmp(text, rst_isa_name((rst_isa)i)) == 0) {
      *(rst_isa *)isa = (rst_isa)i;
      return true;
    }
  return false;
}

/* ---- The table ----------------------------------------------------------------------------------- */

#define AT(member) .at = offsetof(cli_options, member)

static const cli_option table[] = {
    {.help = "Model"},
    {"weights", 'w', "NAME", .kind = CLI_WEIGHTS, AT(weights),
     .help = "Weights to use: the path of a manifest (*.json), or the name of one (without .json) in the "
             "folders of "
             "$RESTORMER_WEIGHTS_PATH, in $XDG_DATA_HOME/restormer (~/.local/share/restormer) or among those "
             "that come "
             "with restormer-cli. Default: $RESTORMER_WEIGHTS, else denoise."},
    {"list-weights", 0, .kind = CLI_FLAG, AT(list_weights),
     .help = "List the weights that are found by their names, with parameters, type, path and task."},
    {"right", 0, "IMAGE", .kind = CLI_FILE, AT(right), .help = "Second view, for a dual-pixel model."},
    {"window", 0, "N", .kind = CLI_PIXELS, AT(run.window), .min = 1,
     .help = "Attention over overlapping windows of N pixels instead of the whole picture (test-time local "
             "statistics). 384 suits the published models; windows of a few pixels take much more time and "
             "memory."},

    {.help = "Computing"},
    {"threads", 't', "N", .kind = CLI_INT, AT(threads), .min = 1, .max = MAX_THREADS,
     .help = "Threads to use. Default: as many as the process may use. The result is the same for every N "
             "(with tiles "
             "for lack of memory: up to 16)."},
    {"precision", 0, "P", .kind = CLI_OTHER, AT(model.precision), .take = take_precision,
     .choices = "float32|bf16",
     .help = "float32 (default, exact) or bf16 (bfloat16 products added in float32: faster on processors "
             "that have "
             "them, half the memory)."},
    {"isa", 0, "NAME", .kind = CLI_OTHER, AT(model.isa), .take = take_isa,
     .choices = "auto|baseline|avx2|avx512|avx512bf16|neon",
     .help = "Instruction set: auto (default), baseline, avx2, avx512, avx512bf16 or neon."},
    {"max-memory", 0, "SIZE", .kind = CLI_BYTES, AT(max_memory),
     .help = "Bytes to take at the most, with K, M, G or T for powers of 1024. Default: what the system has "
             "available. "
             "A picture that needs more is restored in tiles, which is said."},
    {"tile", 0, "N", .kind = CLI_PIXELS, AT(run.tile), .min = 1,
     .help =
         "Tiles of N pixels, a multiple of 8 (2^(levels - 1)). Default: the whole picture at once, because "
         "attention is global."},
    {"overlap", 0, "M", .kind = CLI_PIXELS, AT(run.overlap),
     .help = "Pixels that neighbouring tiles share. Default: 32, but at most a quarter of a tile. Tiles that "
             "are chosen "
             "for lack of memory share a quarter, at most 128."},
    {"blend", 0, "KIND", .kind = CLI_CHOICE, AT(run.blend), .choices = "ramp|uniform",
     .help = "How overlapping tiles are joined: ramp (default; weights that rise linearly) or uniform (their "
             "mean)."},

    {"no-sandbox", 0, .kind = CLI_FLAG, AT(no_sandbox),
     .help = "Decode pictures in the program itself instead of a process without rights: where the kernel has no "
             "seccomp, or under a debugger."},

    {.help = "Messages"},
    {"quiet", 'q', .kind = CLI_FLAG, AT(quiet), .help = "No progress, no notes: only what went wrong."},
    {"verbose", 'v', .kind = CLI_FLAG, AT(verbose),
     .help = "Tell model, pictures, plan, times and peak memory on standard error."},
    {"help", 'h', .kind = CLI_STOP, AT(help), .help = "Print this text."},
    {"version", 'V', .kind = CLI_FLAG, AT(version),
     .help = "Print the version; with -v also the instruction sets of this machine."},
    {"generate", 0, "KIND", .kind = CLI_CHOICE, AT(generate), .choices = CLI_FORMS,
     .help =
         "Print these options as man (a list for a manual page) or the completions of bash, zsh or fish."},
};

static const cli_program program = {
    .name = PROGRAM,
    .usage = "[options] INPUT OUTPUT",
    .about =
        "Restores a picture (removes noise, blur, rain, ...: what the weights were trained for) with the "
        "Restormer "
        "transformer. INPUT is a PNG, JPEG, BMP, TGA, PNM or PFM file, told apart by content; the ending of "
        "OUTPUT "
        "chooses its format: .png .jpg .jpeg .bmp .tga .pfm. A 16-bit INPUT gives a 16-bit PNG; PFM holds "
        "the "
        "network's exact float result.",
    .more =
        "Exit status:\n"
        "  0    done\n"
        "  2    wrong usage\n"
        "  3    the weights cannot be used\n"
        "  4    a picture cannot be read\n"
        "  5    the output cannot be written\n"
        "  6    out of memory\n"
        "  130  interrupted\n"
        "After any but 0 there is no new output, and an existing one is untouched.\n",
    .options = table,
    .count = sizeof table / sizeof table[0],
};

/* ---- The command line ---------------------------------------------------------------------------- */

/* A quarter of the tile, in steps that models of every number of levels allow. */
static size_t default_overlap(size_t tile) {
  const size_t step = (size_t)1 << (RST_MAX_LEVELS - 1), overlap = tile / 4 / step * step;
  return overlap < OVERLAP ? overlap : OVERLAP;
}

static options_action take_files(int count, char **names, cli_options *options) {
  if (count != 2) {
    cli_fail(PROGRAM, RST_ERROR_USAGE, "expected INPUT and OUTPUT, found %d file name%s (see --help)", count,
             count == 1 ? "" : "s");
    return OPTIONS_WRONG;
  }
  options->input = names[0];
  options->output = names[1];
  return OPTIONS_RESTORE;
}

static void print_version(bool verbose) {
  printf(PROGRAM " %s\n", rst_version());
  if (!verbose) return;
  printf("instruction sets:");
  for (int isa = RST_ISA_BASELINE; isa < RST_ISA_COUNT; isa++) {
    if (rst_isa_available((rst_isa)isa)) printf(" %s", rst_isa_name((rst_isa)isa));
  }
  printf("\nused: %s\n", rst_isa_name(rst_isa_best()));
  printf("pictures are decoded in %s\n",
         rst_sandbox_available() ? "a process without rights" : "the program itself: this build has no sandbox");
}

options_action options_parse(int argc, char **argv, cli_options *options) {
  *options = (cli_options){.run.overlap = SIZE_MAX, .generate = -1};
  rst_model_options_init(&options->model);
  if (!cli_parse_options(&program, argc, argv, options)) return OPTIONS_WRONG;
  if (options->help) {
    cli_print_help(&program, stdout);
    return OPTIONS_TELL;
  }
  if (options->version) {
    print_version(options->verbose);
    return OPTIONS_TELL;
  }
  if (options->generate >= 0) {
    cli_print_form(&program, (cli_form)options->generate, stdout);
    return OPTIONS_TELL;
  }
  if (options->list_weights) return OPTIONS_LIST_WEIGHTS;
  options->model.threads = options->run.threads = options->threads;
  if (options->run.overlap == SIZE_MAX) {
    options->run.overlap = default_overlap(options->run.tile);
  } else if (options->run.tile == 0) {
    cli_fail(PROGRAM, RST_ERROR_USAGE, "--overlap: goes with --tile");
    return OPTIONS_WRONG;
  }
  return take_files(argc - optind, argv + optind, options);
}
