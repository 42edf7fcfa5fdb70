/* The table of options as man pages and shells want it. */
#include <string.h>

#include "programs/common/options.h"

/* ---- mdoc ---------------------------------------------------------------------------------------- */

/* Text with what roff takes for its own escaped; a sentence begins a line, as mdoc wants it. */
static void print_roff(FILE *stream, const char *text) {
  bool begins = true;
  for (; *text != '\0'; text++) {
    if (begins && (*text == '.' || *text == '\'')) fputs("\\&", stream);
    begins = false;
    if (*text == '\\')
      fputs("\\e", stream);
    else if (*text == '-' && text[1] == '-')
      fputs("\\-", stream);
    else if (*text == '.' && text[1] == ' ' && text[2] >= 'A' && text[2] <= 'Z') {
      fputs(".\n", stream);
      text++, begins = true;
    } else
      putc(*text, stream);
  }
  putc('\n', stream);
}

static void print_man(const cli_program *program, FILE *stream) {
  for (size_t i = 0; i < program->count; i++) {
    const cli_option *o = &program->options[i];
    if (o->name == NULL) {
      fprintf(stream, "%s.Ss %s\n.Bl -tag -width Ds\n", i > 0 ? ".El\n" : "", o->help);
      continue;
    }
    fputs(".It Fl ", stream);
    if (o->letter != 0) fprintf(stream, "%c , ", o->letter);
    fprintf(stream, "-%s%s%s\n", o->name, o->argument != NULL ? " Ar " : "",
            o->argument != NULL ? o->argument : "");
    print_roff(stream, o->help);
  }
  fputs(".El\n", stream);
}

/* ---- Completions --------------------------------------------------------------------------------- */

static const char list_weights[] = "restormer-cli --list-weights 2>/dev/null | cut -d\" \" -f1";

/* The choices with blanks between them. */
static void print_choices(const char *choices, FILE *stream) {
  for (; *choices != '\0'; choices++) putc(*choices == '|' ? ' ' : *choices, stream);
}

/* The beginning of the help, without what a quoted string of a shell would trip over. */
static void print_short_help(const cli_option *o, FILE *stream) {
  for (const char *c = o->help; *c != '\0' && strchr(".;:(", *c) == NULL; c++) {
    if (*c == ' ' && c[1] == '(') break;
    if (strchr("'\"`$\\[]", *c) == NULL) putc(*c, stream);
  }
}

static void print_function_name(const cli_program *program, FILE *stream) {
  for (const char *c = program->name; *c != '\0'; c++) putc(*c == '-' ? '_' : *c, stream);
}

/* The command after one of program->commands; NULL: that was the last. */
static const char *next_command(const char *command) {
  const char *end = strchr(command, '|');
  return end != NULL ? end + 1 : NULL;
}

/* The options of a command, with NULL those that belong to none, with blanks before or between them. */
static void print_names(const cli_program *program, const char *command, FILE *stream) {
  const char *blank = command != NULL ? " " : "";
  for (size_t i = 0; i < program->count; i++) {
    const cli_option *o = &program->options[i];
    if (o->name == NULL || (o->command == NULL) != (command == NULL)) continue;
    if (command != NULL && (strncmp(o->command, command, strlen(o->command)) != 0)) continue;
    fprintf(stream, "%s--%s", blank, o->name);
    blank = " ";
  }
}

static void print_bash(const cli_program *program, FILE *stream) {
  fputs("_", stream);
  print_function_name(program, stream);
  fputs(
      "() {\n"
      "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
      "  compopt -o filenames 2>/dev/null\n"
      "  case $prev in\n",
      stream);
  for (size_t i = 0; i < program->count; i++) {
    const cli_option *o = &program->options[i];
    if (o->name == NULL || o->argument == NULL) continue;
    fputs("    ", stream);
    if (o->letter != 0) fprintf(stream, "-%c | ", o->letter);
    fprintf(stream, "--%s) ", o->name);
    if (o->kind == CLI_WEIGHTS)
      fprintf(stream, "COMPREPLY=($(compgen -W '$(%s)' -- \"$cur\") $(compgen -f -- \"$cur\"))",
              list_weights);
    else if (o->kind == CLI_FILE)
      fputs("COMPREPLY=($(compgen -f -- \"$cur\"))", stream);
    else if (o->choices != NULL) {
      fputs("COMPREPLY=($(compgen -W '", stream);
      print_choices(o->choices, stream);
      fputs("' -- \"$cur\"))", stream);
    } else
      fputs("COMPREPLY=()", stream);
    fputs("; return ;;\n", stream);
  }
  fputs("  esac\n  local words='", stream);
  print_names(program, NULL, stream);
  fputs("'\n", stream);
  for (const char *c = program->commands; c != NULL; c = next_command(c)) {
    const int n = (int)strcspn(c, "|");
    fprintf(stream, "  [[ ${COMP_WORDS[1]} != %.*s ]] || words+='", n, c);
    print_names(program, c, stream);
    fputs("'\n", stream);
  }
  if (program->commands != NULL) {
    fputs("  [[ $COMP_CWORD != 1 ]] || words+='", stream);
    for (const char *c = program->commands; c != NULL; c = next_command(c))
      fprintf(stream, " %.*s", (int)strcspn(c, "|"), c);
    fputs("'\n", stream);
  }
  fprintf(stream, "  if [[ $cur == -*%s ]]; then\n", program->commands != NULL ? " || $COMP_CWORD == 1" : "");
  fputs(
      "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
      "  else\n"
      "    COMPREPLY=($(compgen -f -- \"$cur\"))\n",
      stream);
  if (program->weights != NULL)
    fprintf(stream, "    [[ ${COMP_WORDS[1]} != @(%s) ]] || COMPREPLY+=($(compgen -W '$(%s)' -- \"$cur\"))\n",
            program->weights, list_weights);
  fputs(
      "  fi\n"
      "}\n"
      "complete -F _",
      stream);
  print_function_name(program, stream);
  fprintf(stream, " %s\n", program->name);
}

#define ZSH_WEIGHTS "_alternative \"names\\:name\\:($(%s))\" \"files\\:file\\:_files\"" /* list_weights */

static void print_zsh(const cli_program *program, FILE *stream) {
  fprintf(stream, "#compdef %s\n\n_arguments -s -S \\\n", program->name);
  for (size_t i = 0; i < program->count; i++) {
    const cli_option *o = &program->options[i];
    if (o->name == NULL) continue;
    fputs("  ", stream);
    if (o->letter != 0)
      fprintf(stream, "'(-%c --%s)'{-%c,--%s%s}'[", o->letter, o->name, o->letter, o->name,
              o->argument != NULL ? "=" : "");
    else
      fprintf(stream, "'--%s%s[", o->name, o->argument != NULL ? "=" : "");
    print_short_help(o, stream);
    putc(']', stream);
    if (o->argument != NULL) {
      fprintf(stream, ":%s:", o->argument);
      if (o->kind == CLI_WEIGHTS)
        fprintf(stream, "{" ZSH_WEIGHTS "}", list_weights);
      else if (o->kind == CLI_FILE)
        fputs("_files", stream);
      else if (o->choices != NULL) {
        putc('(', stream);
        print_choices(o->choices, stream);
        putc(')', stream);
      }
    }
    fputs("' \\\n", stream);
  }
  if (program->commands != NULL) {
    fputs("  '1:command:(", stream);
    print_choices(program->commands, stream);
    fputs(")' \\\n", stream);
  }
  if (program->weights != NULL)
    fprintf(stream, "  '*:file:{if [[ $words[2] == (%s) ]]; then " ZSH_WEIGHTS "; else _files; fi}'\n",
            program->weights, list_weights);
  else
    fputs("  '*:file:_files'\n", stream);
}

static void print_fish(const cli_program *program, FILE *stream) {
  if (program->commands != NULL) {
    fprintf(stream, "complete -c %s -n __fish_use_subcommand -x -a '", program->name);
    print_choices(program->commands, stream);
    fputs("'\n", stream);
  }
  if (program->weights != NULL) {
    fprintf(stream, "complete -c %s -n '__fish_seen_subcommand_from ", program->name);
    print_choices(program->weights, stream);
    fprintf(stream, "' -a '(%s)'\n", list_weights);
  }
  for (size_t i = 0; i < program->count; i++) {
    const cli_option *o = &program->options[i];
    if (o->name == NULL) continue;
    fprintf(stream, "complete -c %s", program->name);
    if (o->command != NULL) fprintf(stream, " -n '__fish_seen_subcommand_from %s'", o->command);
    if (o->letter != 0) fprintf(stream, " -s %c", o->letter);
    fprintf(stream, " -l %s", o->name);
    if (o->kind == CLI_WEIGHTS)
      fprintf(stream, " -r -F -a '(%s)'", list_weights);
    else if (o->kind == CLI_FILE)
      fputs(" -r -F", stream);
    else if (o->argument != NULL) {
      fputs(" -x", stream);
      if (o->choices != NULL) {
        fputs(" -a '", stream);
        print_choices(o->choices, stream);
        putc('\'', stream);
      }
    }
    fputs(" -d '", stream);
    print_short_help(o, stream);
    fputs("'\n", stream);
  }
}

void cli_print_form(const cli_program *program, cli_form form, FILE *stream) {
  switch (form) {
    case CLI_FORM_MAN:
      print_man(program, stream);
      break;
    case CLI_FORM_BASH:
      print_bash(program, stream);
      break;
    case CLI_FORM_ZSH:
      print_zsh(program, stream);
      break;
    case CLI_FORM_FISH:
      print_fish(program, stream);
      break;
  }
}
