/* restormer-weights: makes manifests of checkpoints, describes them, checks them. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "programs/common/cli.h"
#include "programs/common/models.h"
#include "programs/common/options.h"
#include "programs/restormer-weights/info.h"
#include "restormer.h"

#define PROGRAM "restormer-weights"

enum {
  MAX_THREADS = 1024,
  MAX_INFO_SIDE = 1000000,
  PAPER_SIDE = 256 /* the papers' GMAC are for 256 x 256 */
};

typedef struct arguments {
  const char *input, *output;
  rst_convert_options convert;
  bool no_sandbox;
  info_run run;
  bool json, help, version;
  int generate; /* a cli_form, or -1 */
} arguments;

/* ---- Commands; argv[0] is the command ------------------------------------------------------- */

static void print_notice(void *user, const char *message) {
  (void)user;
  cli_print_line(stderr, "%s: %s", PROGRAM, message);
}

static bool is_interrupted(void *user) {
  (void)user;
  return cli_interrupted();
}

static int run_convert(const arguments *a) {
  rst_error err;
  rst_convert_options options = a->convert;
  options.sandbox = !a->no_sandbox;
  options.notice = print_notice;
  options.cancelled = is_interrupted;
  if (a->output == NULL)
    return cli_fail(PROGRAM, RST_ERROR_USAGE, "convert: -o OUT.json is missing (see --help)");
  cli_catch_signals();
  rst_status status = rst_weights_convert(a->input, a->output, &options, &err);
  if (status == RST_CANCELLED) return cli_fail(PROGRAM, status, "interrupted");
  return status == RST_OK ? 0 : cli_fail_error(PROGRAM, status, &err);
}

/* Finds and opens what `name` means; *path is for free(). */
static rst_status open_weights(const char *name, char **path, rst_weights **weights, rst_error *err) {
  *weights = NULL;
  rst_status status = models_find(name, path, err);
  return status == RST_OK ? rst_weights_open(*path, weights, err) : status;
}

static int run_info(const arguments *a) {
  rst_error err;
  rst_weights *weights;
  char *path;
  rst_status status = open_weights(a->input, &path, &weights, &err);
  free(path);
  if (status != RST_OK) return cli_fail_error(PROGRAM, status, &err);
  rst_weights_info info;
  rst_weights_info_init(&info);
  rst_weights_get_info(weights, &info);
  (a->json ? info_print_json : info_print_table)(&info, &a->run);
  rst_weights_close(weights);
  return cli_finish_stdout(PROGRAM, 0);
}

static int run_verify(const arguments *a) {
  rst_error err;
  rst_weights *weights;
  char *path;
  rst_status status = open_weights(a->input, &path, &weights, &err);
  if (status == RST_OK) status = rst_weights_verify(weights, &err);
  rst_weights_close(weights);
  if (status == RST_OK) cli_print_line(stdout, "%s: good", path);
  free(path);
  return status == RST_OK ? cli_finish_stdout(PROGRAM, 0) : cli_fail_error(PROGRAM, status, &err);
}

/* ---- Command line -------------------------------------------------------------------------- */

static bool take_size(const char *text, void *value) {
  info_run *run = value;
  return cli_parse_size(text, MAX_INFO_SIDE, &run->width, &run->height);
}

static bool take_dtype(const char *text, void *dtype) {
  *(const char **)dtype = text;
  return strcmp(text, "f32") == 0 || strcmp(text, "f16") == 0 || strcmp(text, "bf16") == 0;
}

#define AT(member) .at = offsetof(arguments, member)
#define CONVERT .command = "convert"
#define INFO .command = "info"

static const cli_option table[] = {
    {.help = "convert"},
    {"output", 'o', .argument = "OUT.json", .kind = CLI_FILE, AT(output), CONVERT,
     .help = "The manifest to write; its tensors come beside it."},
    {"dtype", 0, .argument = "TYPE", .kind = CLI_OTHER, AT(convert.dtype), CONVERT, .take = take_dtype,
     .choices = "f32|f16|bf16",
     .help = "Type of the tensors: f32, f16 or bf16. Default: as in the checkpoint."},
    {"name", 0, .argument = "TEXT", .kind = CLI_TEXT, AT(convert.name), CONVERT,
     .help = "What the manifest says of the model, free text: its name."},
    {"task", 0, .argument = "TEXT", .kind = CLI_TEXT, AT(convert.task), CONVERT, .help = "What it is for."},
    {"license", 0, .argument = "TEXT", .kind = CLI_TEXT, AT(convert.license), CONVERT,
     .help = "Its licence."},
    {"source", 0, .argument = "TEXT", .kind = CLI_TEXT, AT(convert.source), CONVERT,
     .help = "Where it comes from."},
    {"no-residual", 0, .kind = CLI_FLAG, AT(convert.no_residual), CONVERT,
     .help = "The network gives the restored picture itself, not what is added to the input. The tensors "
             "do not tell; without this option only dual-pixel networks and those with other channels out "
             "than in are taken for such."},
    {"no-sandbox", 0, .kind = CLI_FLAG, AT(no_sandbox), CONVERT,
     .help = "Take the checkpoint apart in the program itself instead of a process without rights: where "
             "the kernel has no seccomp, or under a debugger."},

    {.help = "info"},
    {"size", 0, .argument = "WxH", .kind = CLI_OTHER, AT(run), INFO, .take = take_size,
     .expected = "WxH, each from 1 to 1000000",
     .help = "The picture that GMAC and memory are for. Default: 256x256."},
    {"threads", 't', .argument = "N", .kind = CLI_INT, AT(run.threads), INFO, .min = 1, .max = MAX_THREADS,
     .help = "The threads that memory is for. Default: as many as the process may use."},
    {"json", 0, .kind = CLI_FLAG, AT(json), INFO, .help = "Print one JSON object instead of a table."},

    {.help = "All commands, or none"},
    CLI_HELP(AT(help)),
    {"version", 'V', .kind = CLI_STOP, AT(version), .help = "Print the version."},
    CLI_GENERATE(AT(generate)),
};

static const cli_program program = {
    .name = PROGRAM,
    .usage = "convert CHECKPOINT -o OUT.json [options]\ninfo WEIGHTS [options]\nverify WEIGHTS",
    .about =
        "convert makes a manifest, OUT.json, and its tensors, OUT.safetensors, of a PyTorch checkpoint "
        "(.pth, .ckpt; zip or legacy form) or a safetensors file. Code in a checkpoint is never run. info "
        "says what a model is and what it costs. verify checks everything: manifest, files, tensors, "
        "hashes, values. WEIGHTS is the path of a manifest (*.json), or the name of one (without .json) that "
        "restormer-cli --weights finds by it (restormer-cli --list-weights lists them).",
    .more =
        "Exit status:\n"
        "  0    done\n"
        "  2    wrong usage\n"
        "  3    the weights cannot be used\n"
        "  5    the output cannot be written\n"
        "  6    out of memory\n"
        "  130  interrupted\n",
    .commands = "convert|info|verify",
    .weights = "info|verify",
    .options = table,
    .count = sizeof table / sizeof table[0],
};

static const struct command {
  const char *name, *input;
  int (*run)(const arguments *a);
} commands[] = {
    {"", NULL, NULL}, /* none */
    {"convert", "CHECKPOINT", run_convert},
    {"info", "WEIGHTS", run_info},
    {"verify", "WEIGHTS", run_verify},
};

static int run_command(const struct command *command, int argc, char *argv[]) {
  arguments a = {.run = {.width = PAPER_SIDE, .height = PAPER_SIDE}, .generate = -1};
  cli_program used = program;
  used.command = command->name;
  rst_convert_options_init(&a.convert);
  if (!cli_parse_options(&used, argc, argv, &a)) return cli_exit_status(RST_ERROR_USAGE);
  if (a.help || a.version || a.generate >= 0) {
    if (a.help)
      cli_print_help(&program, stdout);
    else if (a.version)
      printf(PROGRAM " %s\n", rst_version());
    else
      cli_print_form(&program, (cli_form)a.generate, stdout);
    return cli_finish_stdout(PROGRAM, 0);
  }
  if (command->run == NULL)
    return cli_fail(PROGRAM, RST_ERROR_USAGE, "expected a command: convert, info or verify (see --help)");
  if (argc - optind != 1)
    return cli_fail(PROGRAM, RST_ERROR_USAGE, "%s: %d arguments, expected one: %s (see --help)",
                    command->name, argc - optind, command->input);
  a.input = argv[optind];
  return command->run(&a);
}

int main(int argc, char *argv[]) {
  cli_open_standard_files();
  if (argc < 2) {
    cli_print_help(&program, stderr);
    return cli_exit_status(RST_ERROR_USAGE);
  }
  if (argv[1][0] == '-') return run_command(&commands[0], argc, argv);
  for (size_t i = 1; i < sizeof commands / sizeof commands[0]; i++)
    if (strcmp(argv[1], commands[i].name) == 0) return run_command(&commands[i], argc - 1, argv + 1);
  return cli_fail(PROGRAM, RST_ERROR_USAGE,
                  "unknown command '%s', expected convert, info or verify (see --help)", argv[1]);
}
