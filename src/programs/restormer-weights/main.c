/* restormer-weights: makes manifests of checkpoints, describes them, checks them. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "programs/common/cli.h"
#include "programs/restormer-weights/info.h"
#include "restormer.h"

static const char PROGRAM[] = "restormer-weights";

enum { MAX_THREADS = 1024, MAX_INFO_SIDE = 1000000, PAPER_SIDE = 256 /* the papers' GMAC are for 256 x 256 */ };

static const char HELP[] =
    "usage: restormer-weights convert CHECKPOINT -o OUT.json [options]\n"
    "       restormer-weights info WEIGHTS.json [--size WxH] [--threads N] [--json]\n"
    "       restormer-weights verify WEIGHTS.json\n"
    "\n"
    "convert  makes a manifest, OUT.json, and its tensors, OUT.safetensors, of a PyTorch checkpoint\n"
    "         (.pth, .ckpt; zip or legacy form) or a safetensors file. Code in a checkpoint is never run.\n"
    "  -o, --output OUT.json  the manifest to write\n"
    "      --dtype TYPE       f32, f16 or bf16 (default: as in the checkpoint)\n"
    "      --name TEXT        what the manifest says of the model, free text each\n"
    "      --task TEXT\n"
    "      --license TEXT\n"
    "      --source TEXT\n"
    "      --no-residual      the network gives the picture itself, not what is added to it\n"
    "      --no-sandbox       take the checkpoint apart in the program itself instead of a process without rights\n"
    "info     says what a model is and what it costs.\n"
    "      --size WxH         size of the picture that GMAC and memory are for (default: 256x256)\n"
    "  -t, --threads N        threads that memory is for (default: as many as the process may use)\n"
    "      --json             one JSON object instead of a table\n"
    "verify   checks everything: manifest, files, tensors, hashes, values.\n"
    "\n"
    "  -h, --help             this text\n"
    "  -V, --version          the version\n"
    "\n"
    "Exit status: 0 done, 2 wrong usage, 3 weights cannot be used, 5 output cannot be written,\n"
    "6 out of memory, 130 interrupted.\n";

enum {
  OPTION_DTYPE = 256,
  OPTION_NAME,
  OPTION_TASK,
  OPTION_LICENSE,
  OPTION_SOURCE,
  OPTION_NO_RESIDUAL,
  OPTION_NO_SANDBOX,
  OPTION_SIZE,
  OPTION_JSON
};

typedef struct arguments {
  const char *input, *output;
  rst_convert_options convert;
  info_run run;
  bool json;
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
  options.notice = print_notice;
  options.cancelled = is_interrupted;
  if (a->output == NULL)
    return cli_fail(PROGRAM, RST_ERROR_USAGE, "convert: -o OUT.json is missing (see --help)");
  cli_catch_signals();
  rst_status status = rst_weights_convert(a->input, a->output, &options, &err);
  if (status == RST_CANCELLED) return cli_fail(PROGRAM, status, "interrupted");
  return status == RST_OK ? 0 : cli_fail_error(PROGRAM, status, &err);
}

static int run_info(const arguments *a) {
  rst_error err;
  rst_weights *weights;
  rst_status status = rst_weights_open(a->input, &weights, &err);
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
  rst_status status = rst_weights_open(a->input, &weights, &err);
  if (status == RST_OK) status = rst_weights_verify(weights, &err);
  rst_weights_close(weights);
  if (status != RST_OK) return cli_fail_error(PROGRAM, status, &err);
  cli_print_line(stdout, "%s: good", a->input);
  return cli_finish_stdout(PROGRAM, 0);
}

static const struct option convert_options[] = {
    {"output", required_argument, NULL, 'o'},
    {"dtype", required_argument, NULL, OPTION_DTYPE},
    {"name", required_argument, NULL, OPTION_NAME},
    {"task", required_argument, NULL, OPTION_TASK},
    {"license", required_argument, NULL, OPTION_LICENSE},
    {"source", required_argument, NULL, OPTION_SOURCE},
    {"no-residual", no_argument, NULL, OPTION_NO_RESIDUAL},
    {"no-sandbox", no_argument, NULL, OPTION_NO_SANDBOX},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};
static const struct option info_options[] = {
    {"size", required_argument, NULL, OPTION_SIZE},
    {"threads", required_argument, NULL, 't'},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};
static const struct option verify_options[] = {
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static const struct command {
  const char *name, *input, *short_options;
  const struct option *options;
  int (*run)(const arguments *a);
} commands[] = {
    {"convert", "CHECKPOINT", ":o:hV", convert_options, run_convert},
    {"info", "WEIGHTS.json", ":t:hV", info_options, run_info},
    {"verify", "WEIGHTS.json", ":hV", verify_options, run_verify},
};

/* ---- Command line -------------------------------------------------------------------------- */

static int print_help(void) {
  fputs(HELP, stdout);
  return cli_finish_stdout(PROGRAM, 0);
}

static int print_version(void) {
  printf("%s %s\n", PROGRAM, rst_version());
  return cli_finish_stdout(PROGRAM, 0);
}

static bool take_threads(arguments *a, int *status) {
  long threads;
  if (!cli_parse_long(optarg, 1, MAX_THREADS, &threads)) {
    *status = cli_fail(PROGRAM, RST_ERROR_USAGE, "--threads '%s': expected a whole number from 1 to %d",
                       optarg, (int)MAX_THREADS);
    return false;
  }
  a->run.threads = (int)threads;
  return true;
}

/* False, with a message and *status set, when the value is wrong. */
static bool take_option(int option, arguments *a, int *status) {
  switch (option) {
    case 'o':
      a->output = optarg;
      return true;
    case OPTION_DTYPE:
      a->convert.dtype = optarg;
      return true;
    case OPTION_NAME:
      a->convert.name = optarg;
      return true;
    case OPTION_TASK:
      a->convert.task = optarg;
      return true;
    case OPTION_LICENSE:
      a->convert.license = optarg;
      return true;
    case OPTION_SOURCE:
      a->convert.source = optarg;
      return true;
    case OPTION_NO_RESIDUAL:
      a->convert.no_residual = true;
      return true;
    case OPTION_NO_SANDBOX:
      a->convert.sandbox = false;
      return true;
    case 't':
      return take_threads(a, status);
    case OPTION_JSON:
      a->json = true;
      return true;
    default:
      break; /* OPTION_SIZE */
  }
  if (cli_parse_size(optarg, MAX_INFO_SIDE, &a->run.width, &a->run.height)) return true;
  *status = cli_fail(PROGRAM, RST_ERROR_USAGE, "--size '%s': expected WxH, each from 1 to %d", optarg,
                     (int)MAX_INFO_SIDE);
  return false;
}

static int run_command(const struct command *command, int argc, char *argv[]) {
  arguments a = {.run = {.width = PAPER_SIDE, .height = PAPER_SIDE}};
  int option, status;
  rst_convert_options_init(&a.convert);
  a.convert.sandbox = true;
  opterr = 0;
  while ((option = getopt_long(argc, argv, command->short_options, command->options, NULL)) != -1) {
    if (option == '?' || option == ':') return cli_fail_option(PROGRAM, option, command->options, argv);
    if (option == 'h') return print_help();
    if (option == 'V') return print_version();
    if (!take_option(option, &a, &status)) return status;
  }
  if (argc - optind != 1)
    return cli_fail(PROGRAM, RST_ERROR_USAGE, "%s: %d arguments, expected one: %s (see --help)",
                    command->name, argc - optind, command->input);
  a.input = argv[optind];
  return command->run(&a);
}

int main(int argc, char *argv[]) {
  cli_open_standard_files();
  if (argc < 2) {
    fputs(HELP, stderr);
    return cli_exit_status(RST_ERROR_USAGE);
  }
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
    if (strcmp(argv[1], commands[i].name) == 0) return run_command(&commands[i], argc - 1, argv + 1);
  if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) return print_help();
  if (strcmp(argv[1], "-V") == 0 || strcmp(argv[1], "--version") == 0) return print_version();
  return cli_fail(PROGRAM, RST_ERROR_USAGE,
                  "unknown command '%s', expected convert, info or verify (see --help)", argv[1]);
}
