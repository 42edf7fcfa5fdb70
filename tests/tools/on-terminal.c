/* on-terminal.c - runs a command with a terminal as its stdin, stdout and stderr, copies what it writes there
 * to stdout, and ends with its status. */
#include <errno.h>
#include <pty.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc < 2) {
    fputs("usage: on-terminal COMMAND [ARGUMENT...]\n", stderr);
    return 2;
  }
  int terminal;
  pid_t child = forkpty(&terminal, NULL, NULL, NULL);
  if (child < 0) {
    perror("on-terminal: forkpty");
    return 1;
  }
  if (child == 0) {
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    _exit(127);
  }
  char buffer[4096];
  ssize_t n;
  /* EIO is how Linux says that nobody has the other end open any more. */
  while ((n = read(terminal, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR))
    if (n > 0) fwrite(buffer, 1, (size_t)n, stdout);
  int status;
  if (fflush(stdout) != 0 || waitpid(child, &status, 0) < 0) return 1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
