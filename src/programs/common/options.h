/* options.h - options described once, in a table: from it come parsing, --help, the man page's list and the
 * shells' completions. */
#ifndef RST_PROGRAMS_COMMON_OPTIONS_H
#define RST_PROGRAMS_COMMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { CLI_MAX_OPTIONS = 64 };

/* What a value is and, in brackets, the type that holds it. */
typedef enum cli_kind {
  CLI_FLAG,    /* the option takes no value [bool, set to true] */
  CLI_STOP,    /* the same, and the rest of the line is not looked at */
  CLI_TEXT,    /* [const char *, points into argv] */
  CLI_FILE,    /* the same; the shells complete names of files */
  CLI_WEIGHTS, /* the same; names of files and of the weights that models_find knows */
  CLI_INT,     /* from min to max [int] */
  CLI_PIXELS,  /* from min on [size_t] */
  CLI_COUNT,   /* from 1 on, perhaps with K, M, G or T for powers of 1000 [uint64_t] */
  CLI_BYTES,   /* the same for powers of 1024 [uint64_t] */
  CLI_NUMBER,  /* from min to max [double] */
  CLI_CHOICE,  /* one of `choices` [int or an enum: its place among them] */
  CLI_OTHER    /* whatever `take` makes of it */
} cli_kind;

typedef struct cli_option {
  const char *name; /* the long form; NULL: `help` is a heading for those that follow */
  int letter;       /* the short form, 0: none */
  cli_kind kind;
  const char *argument; /* what the value is called, NULL for a flag */
  size_t at;            /* where the value goes, bytes from the beginning of the values */
  const char *help;     /* sentences */
  const char *command;  /* that the option belongs to; NULL: to all, and to none */
  double min, max;
  const char *choices;                             /* "ramp|uniform" */
  const char *expected;                            /* what a value is, where kind and choices do not tell */
  bool (*take)(const char *text, void *values_at); /* CLI_OTHER: false when the value is wrong */
} cli_option;

typedef struct cli_program {
  const char *name;
  const char *usage;    /* a line for each form of the command line */
  const char *about;    /* sentences, between usage and options in --help */
  const char *more;     /* lines that follow the options in --help */
  const char *commands; /* "convert|info", the first argument; NULL: there are none */
  const char *weights;  /* those of the commands whose argument may be the name of weights; NULL: none */
  const char *command;  /* for cli_parse_options: the one whose options are known; NULL: all options are */
  const cli_option *options;
  size_t count;
} cli_program;

/* Reads the options of a command line into `values`, leaving optind (getopt's) at the first of the other
 * arguments. False when something is wrong, which has been said on stderr. */
bool cli_parse_options(const cli_program *program, int argc, char **argv, void *values);

void cli_print_help(const cli_program *program, FILE *stream);

/* The table as "man" (mdoc, the items of a list), "bash", "zsh" or "fish" (the whole completion) has it. */
#define CLI_FORMS "man|bash|zsh|fish"
typedef enum cli_form { CLI_FORM_MAN, CLI_FORM_BASH, CLI_FORM_ZSH, CLI_FORM_FISH } cli_form;
void cli_print_form(const cli_program *program, cli_form form, FILE *stream);

/* Options that every program has; `place` is the member `at`. */
/* clang-format off */
#define CLI_HELP(place) {"help", 'h', .kind = CLI_STOP, place, .help = "Print this text."}
#define CLI_GENERATE(place) \
  {"generate", 0, .argument = "KIND", .kind = CLI_CHOICE, place, .choices = CLI_FORMS, \
   .help = "Print these options as man (a list for a manual page) or the completions of bash, zsh or fish."}
/* clang-format on */

#endif
