#include "options.h"

#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "programs/common/cli.h"
#include "programs/common/models.h"
#include "progress.h"

enum { MAX_THREADS = 1024, MAX_JOBS = 256, MAX_SHARDS = 1 << 20, OVERLAP = 32 };

/* ---- Values -------------------------------------------------------------------------------------- */

static bool take_precision(const char *text, void *precision) {
  if (strcmp(text, "f32") == 0) text = "float32";
  int p = 0;
  while (p < RST_PRECISION_COUNT && strcmp(text, rst_precision_name((rst_precision)p)) != 0) p++;
  if (p == RST_PRECISION_COUNT) return false;
  *(rst_precision *)precision = (rst_precision)p;
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

static bool take_format(const char *text, void *format) {
  const rst_image_format *found = rst_image_format_named(text);
  if (found == NULL || !found->writes) return false;
  *(const char **)format = found->name;
  return true;
}

/* Whole numbers of at most 9 digits with `separator` between them. */
static bool take_numbers(const char *text, char separator, size_t *numbers, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const size_t digits = strspn(text, "0123456789");
    if (digits < 1 || digits > 9 || text[digits] != (i + 1 < count ? separator : '\0')) return false;
    numbers[i] = strtoul(text, NULL, 10);
    text += digits + 1;
  }
  return true;
}

static bool take_shard(const char *text, void *value) {
  size_t numbers[2];
  if (!take_numbers(text, '/', numbers, 2) || numbers[0] < 1 || numbers[0] > numbers[1] ||
      numbers[1] > MAX_SHARDS)
    return false;
  *(shard *)value = (shard){(int)numbers[0], (int)numbers[1]};
  return true;
}

static bool take_region(const char *text, void *value) {
  size_t n[4];
  if (!take_numbers(text, ',', n, 4) || n[2] == 0 || n[3] == 0) return false;
  *(rectangle *)value = (rectangle){n[0], n[1], n[2], n[3]};
  return true;
}

static bool take_depth(const char *text, void *depth) {
  const bool known = strcmp(text, "8") == 0 || strcmp(text, "16") == 0 || strcmp(text, "auto") == 0;
  if (known) *(int *)depth = *text == 'a' ? 0 : *text == '8' ? 8 : 16;
  return known;
}

static bool take_background(const char *text, void *background) {
  uint8_t *rgb = background;
  if (strcmp(text, "white") == 0 || strcmp(text, "black") == 0) {
    memset(rgb, text[0] == 'w' ? 255 : 0, 3);
    return true;
  }
  if (*text == '#') text++;
  if (strlen(text) != 6 || strspn(text, "0123456789abcdefABCDEF") != 6) return false;
  const unsigned long value = strtoul(text, NULL, 16);
  for (int i = 0; i < 3; i++) rgb[i] = (uint8_t)(value >> (16 - 8 * i));
  return true;
}

/* ---- The table ----------------------------------------------------------------------------------- */

#define AT(member) .at = offsetof(cli_options, member)

static const cli_option table[] = {
    {.help = "Input and output"},
    {"recursive", 'r', .kind = CLI_FLAG, AT(recursive),
     .help = "Restore the pictures in subfolders of input folders, too; the output folder mirrors them."},
    {"suffix", 0, .argument = "TEXT", .kind = CLI_TEXT, AT(suffix),
     .help = "Put TEXT before the ending of every file's name in the output folder."},
    {"format", 0, .argument = "NAME", .kind = CLI_OTHER, AT(format), .take = take_format,
     .choices = "png|jpeg|tiff|webp|bmp|tga|pfm",
     .expected = "the name of a format that can be written (see --help)",
     .help = "Format of the output, as --version -v lists them: png, jpeg, ... Default: what the ending "
             "of OUTPUT names; in a folder that of the input where it can be written, else png; for "
             "standard output png."},
    {"skip-existing", 0, .kind = CLI_FLAG, AT(skip_existing),
     .help = "Leave out pictures whose output exists: what an interrupted run has left to do."},
    {"shard", 0, .argument = "I/N", .kind = CLI_OTHER, AT(shard), .take = take_shard,
     .expected = "I/N, whole numbers with I from 1 to N",
     .help = "Restore only the I-th of N parts of the pictures, 1 to N, for several machines to share a "
             "folder: of all inputs, whether their outputs exist or not, the I-th and every N-th after it, "
             "folders being sorted by name. All parts have to be given the same inputs."},
    {"region", 0, .argument = "X,Y,W,H", .kind = CLI_OTHER, AT(region), .take = take_region,
     .expected = "X,Y,W,H, whole numbers of pixels",
     .help = "Cut W x H pixels out, the left top one at (X, Y), and restore only them: for a quick look."},
    {"preview", 0, .kind = CLI_FLAG, AT(preview),
     .help = "Write the picture before and after, side by side."},
    {"strength", 0, .argument = "S", .kind = CLI_NUMBER, AT(strength), .min = 0, .max = 1,
     .help = "Mix input and result: 0 is the input, 1 (default) the result."},
    {"depth", 0, .argument = "BITS", .kind = CLI_OTHER, AT(depth), .take = take_depth, .choices = "8|16|auto",
     .help = "Bits of the output's samples: 8, 16, or auto (default: those of the input; 16 for PFM) "
             "where the format can hold them."},
    {"quality", 0, .argument = "Q", .kind = CLI_INT, AT(quality), .min = 1, .max = 100,
     .help = "Quality of JPEG output, 1 to 100. Default: 95."},
    {"background", 0, .argument = "COLOR", .kind = CLI_OTHER, AT(background), .take = take_background,
     .choices = "white|black", .expected = "white, black or RRGGBB, six hexadecimal digits",
     .help = "What is put under transparent pixels where the output's format has no alpha: white "
             "(default), black or RRGGBB in hexadecimal digits."},
    {"strip", 0, .kind = CLI_FLAG, AT(strip),
     .help = "Write no metadata: no colour profile, EXIF, XMP, resolution or texts."},
    {"max-pixels", 0, .argument = "N", .kind = CLI_COUNT, AT(max_pixels),
     .help = "Refuse inputs of more pixels, with K, M, G or T for powers of 1000. Default: 2^30."},

    {.help = "Model"},
    {"weights", 'w', .argument = "NAME", .kind = CLI_WEIGHTS, AT(weights),
     .help = "Weights to use: the path of a manifest (*.json), or the name of one (without .json) in the "
             "folders of $RESTORMER_WEIGHTS_PATH, in $XDG_DATA_HOME/restormer (~/.local/share/restormer) "
             "or among those that come with restormer-cli. Default: $RESTORMER_WEIGHTS, else " MODELS_DEFAULT
             "."},
    {"list-weights", 0, .kind = CLI_FLAG, AT(list_weights),
     .help = "List the weights that are found by their names, with parameters, type, path and task."},
    {"right", 0, .argument = "IMAGE", .kind = CLI_FILE, AT(right),
     .help = "Second view, for a dual-pixel model; with an output folder the folder of the second views, "
             "which have the names of the first ones."},
    {"window", 0, .argument = "N", .kind = CLI_PIXELS, AT(run.window), .min = 1,
     .help = "Attention over overlapping windows of N pixels instead of the whole picture (test-time "
             "local statistics). 384 suits the published models; windows of a few pixels take much more "
             "time and memory."},

    {.help = "Computing"},
    {"threads", 't', .argument = "N", .kind = CLI_INT, AT(threads), .min = 1, .max = MAX_THREADS,
     .help = "Threads to use. Default: as many as the process may use. The result is the same for every N "
             "(with tiles for lack of memory: up to 16)."},
    {"jobs", 'j', .argument = "N", .kind = CLI_INT, AT(jobs), .min = 1, .max = MAX_JOBS,
     .help = "Pictures to restore at once, which share threads and memory. Default: of up to 128 x 128 "
             "pixels as many as there are threads, larger ones one by one."},
    {"precision", 0, .argument = "P", .kind = CLI_OTHER, AT(model.precision), .take = take_precision,
     .choices = "float32|bf16|int8",
     .help = "float32 (default, exact), bf16 (bfloat16 products added in float32: faster on processors that "
             "have them, half the memory) or int8 (products of 8-bit integers where most of the work is: "
             "faster still, less exact, 55 dB or more from float32 with the models that ship)."},
    {"isa", 0, .argument = "NAME", .kind = CLI_OTHER, AT(model.isa), .take = take_isa,
     .choices = "auto|baseline|avx2|avxvnni|avx512|avx512vnni|avx512bf16|amx|neon|neondot",
     .help = "Instruction set: auto (default), baseline, avx2, avxvnni, avx512, avx512vnni, avx512bf16, amx, neon or neondot."},
    {"max-memory", 0, .argument = "SIZE", .kind = CLI_BYTES, AT(max_memory),
     .help = "Bytes to take at the most, with K, M, G or T for powers of 1024. Default: what the system "
             "has available. A picture that needs more is restored in tiles, which is said."},
    {"tile", 0, .argument = "N", .kind = CLI_PIXELS, AT(run.tile), .min = 1,
     .help = "Tiles of N pixels, a multiple of 8 (2^(levels - 1)). Default: the whole picture at once, "
             "because attention is global."},
    {"overlap", 0, .argument = "M", .kind = CLI_PIXELS, AT(run.overlap),
     .help = "Pixels that neighbouring tiles share. Default: 32, but at most a quarter of a tile. Tiles "
             "that are chosen for lack of memory share a quarter, at most 128."},
    {"blend", 0, .argument = "KIND", .kind = CLI_CHOICE, AT(run.blend), .choices = "ramp|uniform",
     .help = "How overlapping tiles are joined: ramp (default; weights that rise linearly) or uniform "
             "(their mean)."},

    {"no-sandbox", 0, .kind = CLI_FLAG, AT(no_sandbox),
     .help =
         "Decode pictures in the program itself instead of a process without rights: where the kernel has "
         "no seccomp, or under a debugger."},

    {.help = "Messages"},
    {"progress", 0, .argument = "KIND", .kind = CLI_CHOICE, AT(progress), .choices = PROGRESS_KINDS,
     .help = "What to tell on standard error while it runs: auto (default: bar on a terminal, else "
             "lines), bar, lines (for every picture of a folder, in the order in which they are finished, "
             "and every 5 seconds), json (an object a line, for programs) or none."},
    {"stats", 0, .argument = "FILE", .kind = CLI_FILE, AT(stats),
     .help = "Write a line of JSON for every picture to FILE, or to standard output where it is -: sizes, "
             "seconds of each stage, memory, tiles, precision, instruction set, and the model with its "
             "hash (of the manifest)."},
    {"quiet", 'q', .kind = CLI_FLAG, AT(quiet),
     .help = "No progress, warnings and notes: only what went wrong."},
    {"verbose", 'v', .kind = CLI_FLAG, AT(verbose),
     .help = "Tell model, pictures, plan, times and peak memory on standard error."},
    CLI_HELP(AT(help)),
    {"version", 'V', .kind = CLI_FLAG, AT(version),
     .help = "Print the version; with -v also instruction sets and formats."},
    CLI_GENERATE(AT(generate)),
};

static const cli_program program = {
    .name = PROGRAM,
    .usage = "[options] INPUT OUTPUT\n[options] INPUT... FOLDER/",
    .about =
        "Restores pictures (removes noise, blur, rain, ...: what the weights were trained for) with the "
        "Restormer transformer. INPUT is a picture, told apart by content, or a folder of them; - is "
        "standard input or output. The ending of OUTPUT chooses its format; outputs in a FOLDER have the "
        "names of their inputs. A 16-bit INPUT gives a 16-bit output where the format can hold it; PFM "
        "holds the network's exact float result.",
    .more =
        "Exit status:\n"
        "  0    done\n"
        "  1    of the pictures for a FOLDER some failed, as was told; the others are done\n"
        "  2    wrong usage\n"
        "  3    the weights cannot be used\n"
        "  4    a picture cannot be read\n"
        "  5    the output cannot be written\n"
        "  6    out of memory\n"
        "  7    a computation overflowed\n"
        "  130  interrupted\n"
        "A picture that failed has no new output, and an existing one is untouched.\n",
    .options = table,
    .count = sizeof table / sizeof table[0],
};

/* ---- The command line ---------------------------------------------------------------------------- */

/* A quarter of the tile, in steps that models of every number of levels allow. */
static size_t default_overlap(size_t tile) {
  const size_t step = (size_t)1 << (RST_MAX_LEVELS - 1), overlap = tile / 4 / step * step;
  return overlap < OVERLAP ? overlap : OVERLAP;
}

static void print_formats(const char *title, bool writes) {
  printf("%s:", title);
  const rst_image_format *f;
  for (size_t i = 0; (f = rst_image_format_at(i)) != NULL; i++)
    if (writes ? f->writes : f->reads) printf(" %s", f->name);
  putchar('\n');
}

static void print_version(bool verbose) {
  printf(PROGRAM " %s\n", rst_version());
  if (!verbose) return;
  printf("instruction sets:");
  for (int isa = RST_ISA_BASELINE; isa < RST_ISA_COUNT; isa++) {
    if (rst_isa_available((rst_isa)isa)) printf(" %s", rst_isa_name((rst_isa)isa));
  }
  printf("\nused: %s\n", rst_isa_name(rst_isa_best()));
  printf("pictures are decoded in %s\n", rst_sandbox_available()
                                             ? "a process without rights"
                                             : "the program itself: this build has no sandbox");
  print_formats("formats read", false);
  print_formats("formats written", true);
}

static options_action wrong(const char *text) {
  cli_fail(PROGRAM, RST_ERROR_USAGE, "%s", text);
  return OPTIONS_WRONG;
}

/* Else every picture would fail. */
static bool depth_fits_format(const cli_options *options) {
  rst_image_write_options write;
  const rst_image_format *format;
  rst_error err;
  rst_image_write_options_init(&write);
  write.format = options->format;
  write.depth = options->depth;
  if (write.format == NULL || rst_image_output_format("--depth", &write, &format, &err) == RST_OK)
    return true;
  cli_fail_error(PROGRAM, RST_ERROR_USAGE, &err);
  return false;
}

options_action options_parse(int argc, char **argv, cli_options *options) {
  *options = (cli_options){.generate = -1, .strength = 1, .background = {255, 255, 255}};
  rst_model_options_init(&options->model);
  rst_session_options_init(&options->run);
  options->run.overlap = SIZE_MAX;
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
  if (options->suffix != NULL && strchr(options->suffix, '/') != NULL)
    return wrong("--suffix: belongs into a file's name, which has no slash");
  if (!depth_fits_format(options)) return OPTIONS_WRONG;
  options->model.threads = options->threads;
  if (options->run.overlap == SIZE_MAX)
    options->run.overlap = default_overlap(options->run.tile);
  else if (options->run.tile == 0)
    return wrong("--overlap: goes with --tile");
  options->names = argv + optind;
  options->count = (size_t)(argc - optind);
  if (options->count < 2) {
    cli_fail(PROGRAM, RST_ERROR_USAGE, "expected INPUT and OUTPUT, found %zu file name%s (see --help)",
             options->count, options->count == 1 ? "" : "s");
    return OPTIONS_WRONG;
  }
  if (options->stats != NULL && strcmp(options->stats, "-") == 0 &&
      strcmp(options->names[options->count - 1], "-") == 0)
    return wrong("--stats -: standard output is the picture's");
  return OPTIONS_RESTORE;
}
