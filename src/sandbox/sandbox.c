#include "sandbox/sandbox.h"

#ifdef RST_HAVE_SECCOMP

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"

#if defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { POLL_MS = 50, END = 256 /* the kind of the last record: a status and its message */ };

struct rst_sandbox {
  int records, memory; /* descriptors: a pipe, and a file in memory */
  uint64_t most_shared;
  bool shared;
};

typedef struct record {
  uint32_t kind, size;
} record;

typedef struct ending {
  int32_t status;
  char message[sizeof(rst_error)];
} ending;

/* ---- The helper's end ---------------------------------------------------------------------- */

static bool write_all(int fd, const void *data, size_t size) {
  for (const char *at = data; size > 0;) {
    ssize_t n = write(fd, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    size -= (size_t)n;
  }
  return true;
}

bool rst_sandbox_send(rst_sandbox *sandbox, unsigned kind, const void *data, size_t size) {
  if (size > RST_SANDBOX_RECORD) return false;
  const record head = {kind, (uint32_t)size};
  return write_all(sandbox->records, &head, sizeof head) && write_all(sandbox->records, data, size);
}

void *rst_sandbox_share(rst_sandbox *sandbox, size_t bytes) {
  if (sandbox->shared || bytes == 0 || bytes > sandbox->most_shared) return NULL;
  if (ftruncate(sandbox->memory, (off_t)bytes) != 0) return NULL;
  void *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, sandbox->memory, 0);
  sandbox->shared = data != MAP_FAILED;
  return sandbox->shared ? data : NULL;
}

/* ---- Becoming the helper ------------------------------------------------------------------- */

/* The caller's handlers are none of the helper's business. */
static void reset_signals(void) {
  struct sigaction standard = {.sa_handler = SIG_DFL};
  sigset_t none;
  sigemptyset(&standard.sa_mask);
  sigemptyset(&none);
  for (int i = 1; i < NSIG; i++) sigaction(i, &standard, NULL);
  signal(SIGPIPE, SIG_IGN); /* a caller that is gone shows when it is written to, */
  signal(SIGXFSZ, SIG_IGN); /* and a limit when it is reached */
  sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_others(int a, int b) {
  int low = a < b ? a : b, high = a < b ? b : a;
  const int first = SANITIZED ? STDERR_FILENO + 1 : 0; /* a sanitizer's report has to go somewhere */
  for (int fd = first; fd < low; fd++) close(fd);
  for (int fd = low + 1; fd < high; fd++) close(fd);
  if (close_range((unsigned)high + 1, ~0u, 0) == 0) return;
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  for (int fd = high + 1; fd < (int)limit.rlim_cur; fd++) close(fd);
}

/* Pages of address space that the process has; 0: unknown. */
static uint64_t address_space(void) {
  char text[64] = "";
  int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const bool known = read(fd, text, sizeof text - 1) > 0;
  close(fd);
  return known ? strtoull(text, NULL, 10) : 0;
}

#define LOWER(resource, soft, hard)                                                  \
  do {                                                                               \
    struct rlimit limit;                                                             \
    if (getrlimit(resource, &limit) != 0 || limit.rlim_cur <= (rlim_t)(soft)) break; \
    limit = (struct rlimit){(rlim_t)(soft), (rlim_t)(hard)};                         \
    setrlimit(resource, &limit);                                                     \
  } while (0)

static void limit_resources(const rst_sandbox_options *options) {
  uint64_t pages = SANITIZED ? 0 : address_space(); /* sanitizers take terabytes of addresses */
  LOWER(RLIMIT_CORE, 0, 0);
  LOWER(RLIMIT_FSIZE, options->shared, options->shared); /* of the shared memory */
  if (options->seconds > 0)                              /* SIGXCPU at the first, SIGKILL at the second */
    LOWER(RLIMIT_CPU, options->seconds, options->seconds + 1);
  if (options->memory == 0 || pages == 0) return;
  uint64_t most = pages * (uint64_t)sysconf(_SC_PAGESIZE) + options->memory + options->shared;
  LOWER(RLIMIT_AS, most, most);
}

__attribute__((noreturn)) static void help(const rst_sandbox_options *options, rst_sandbox *sandbox,
                                           pid_t caller, rst_sandbox_work work, void *user) {
  reset_signals();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != caller) _exit(1); /* it died before that */
  close_others(sandbox->records, sandbox->memory);
  limit_resources(options);
  rst_error err = {.message = ""};
  ending end = {.message = ""};
  const char *reason = rst_sandbox_enter(sandbox->records, sandbox->memory);
  if (reason == NULL)
    end.status = (int32_t)work(user, sandbox, &err);
  else
    end.status = (int32_t)rst_fail(
        &err, options->status,
        "%s: cannot be read in a process of its own without rights: %s; --no-sandbox does without",
        options->name, reason);
  memcpy(end.message, err.message, sizeof end.message);
  rst_sandbox_send(sandbox, END, &end, sizeof end);
  _exit(0);
}

/* ---- The caller's end ---------------------------------------------------------------------- */

typedef struct caller {
  const rst_sandbox_options *options;
  rst_error *err;
  int records, memory;
  pid_t helper;
  record head; /* of the record that comes in */
  uint8_t *data;
  size_t got; /* bytes of the head, then of the data */
  bool in_data, ended;
  ending end;
} caller;

#define NONSENSE "its decoder gives an answer that makes no sense: the file is damaged, or an attack"

static rst_status complain(const caller *c, const char *what) {
  return rst_fail(c->err, c->options->status, "%s: %s", c->options->name, what);
}

/* What the helper says must make sense. */
static rst_status take_record(caller *c) {
  if (c->ended) return complain(c, NONSENSE);
  if (c->head.kind != END) {
    bool taken = c->options->receive != NULL &&
                 c->options->receive(c->options->user, c->head.kind, c->data, c->head.size);
    return taken ? RST_OK : complain(c, NONSENSE);
  }
  if (c->head.size != sizeof c->end) return complain(c, NONSENSE);
  memcpy(&c->end, c->data, sizeof c->end);
  c->ended = c->end.status >= RST_OK && c->end.status <= RST_CANCELLED;
  c->end.message[sizeof c->end.message - 1] = '\0';
  return c->ended ? RST_OK : complain(c, NONSENSE);
}

/* Bytes that are still to come of what is being read. */
static size_t missing(const caller *c) {
  return (c->in_data ? c->head.size : sizeof c->head) - c->got;
}

static rst_status take_bytes(caller *c, size_t n) {
  c->got += n;
  if (!c->in_data && missing(c) == 0) {
    if (c->head.size > RST_SANDBOX_RECORD || c->head.kind > END) return complain(c, NONSENSE);
    c->data = rst_alloc(c->head.size, 1);
    if (c->data == NULL) return rst_fail_memory(c->err, c->options->name);
    c->in_data = true;
    c->got = 0;
  }
  if (!c->in_data || missing(c) > 0) return RST_OK;
  rst_status status = take_record(c);
  rst_free(c->data);
  c->data = NULL;
  c->in_data = false;
  c->got = 0;
  return status;
}

/* Takes records until the helper has closed its end. */
static rst_status listen_to_helper(caller *c) {
  for (;;) {
    if (c->options->cancelled != NULL && c->options->cancelled(c->options->user))
      return rst_fail(c->err, RST_CANCELLED, "%s: cancelled", c->options->name);
    struct pollfd p = {.fd = c->records, .events = POLLIN};
    if (poll(&p, 1, POLL_MS) <= 0) continue; /* or a signal, which may be what cancelled tells of */
    void *to = c->in_data ? (void *)(c->data + c->got) : (void *)((uint8_t *)&c->head + c->got);
    ssize_t n = read(c->records, to, missing(c));
    if (n == 0) return RST_OK;
    if (n < 0 && errno != EINTR && errno != EAGAIN)
      return rst_fail_errno(c->err, c->options->status, c->options->name, "cannot be read", errno);
    rst_status status = n > 0 ? take_bytes(c, (size_t)n) : RST_OK;
    if (status != RST_OK) return status;
  }
}

/* The helper has ended without an answer. */
static rst_status explain(const caller *c, int status) {
  int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  const rst_sandbox_options *o = c->options;
  if (number == SIGXCPU)
    return rst_fail(c->err, o->status, "%s: takes more than %u s of processor time to be read", o->name,
                    o->seconds);
  if (number == SIGSYS)
    return complain(c, "its decoder has tried what no decoder does, and was stopped: the file is an attack");
  if (number == SIGKILL)
    return rst_fail(c->err, RST_ERROR_MEMORY, "%s: its decoder was killed, perhaps for lack of memory",
                    o->name);
  if (number != 0)
    return rst_fail(c->err, o->status,
                    "%s: its decoder has crashed (signal %d): the file is damaged, or an attack", o->name,
                    number);
  return complain(c, "its decoder has ended without an answer");
}

static rst_status take_shared(const caller *c, rst_shared *shared) {
  struct stat st;
  if (fstat(c->memory, &st) != 0 || st.st_size < 0 || (uint64_t)st.st_size > c->options->shared)
    return complain(c, NONSENSE);
  if (st.st_size == 0) return RST_OK;
  void *data = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, c->memory, 0);
  if (data == MAP_FAILED) return rst_fail_memory(c->err, c->options->name);
  madvise(data, (size_t)st.st_size, MADV_DONTFORK); /* no later helper can change it */
  *shared = (rst_shared){data, (size_t)st.st_size};
  return RST_OK;
}

static rst_status wait_for_helper(caller *c, rst_shared *shared) {
  rst_status result = listen_to_helper(c);
  if (result != RST_OK) kill(c->helper, SIGKILL);
  int status = 0;
  pid_t waited;
  while ((waited = waitpid(c->helper, &status, 0)) < 0 && errno == EINTR) continue;
  rst_free(c->data);
  if (result != RST_OK) return result;
  /* A process that ignores SIGCHLD is not told how its children end. */
  bool badly = waited == c->helper && !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  if (!c->ended || badly) return explain(c, status);
  if (c->end.status != RST_OK) return rst_fail(c->err, (rst_status)c->end.status, "%s", c->end.message);
  return take_shared(c, shared);
}

static rst_status start(caller *c, rst_sandbox_work work, void *user) {
  int ends[2];
  const rst_sandbox_options *o = c->options;
  c->memory = memfd_create("restormer", MFD_CLOEXEC);
  if (c->memory < 0) return rst_fail_errno(c->err, o->status, o->name, "no memory can be shared", errno);
  if (pipe2(ends, O_CLOEXEC) != 0) return rst_fail_errno(c->err, o->status, o->name, "no pipe", errno);
  pid_t self = getpid();
  c->helper = fork();
  if (c->helper == 0) {
    rst_sandbox sandbox = {.records = ends[1], .memory = c->memory, .most_shared = o->shared};
    help(o, &sandbox, self, work, user);
  }
  int reason = errno;
  close(ends[1]);
  c->records = ends[0];
  return c->helper > 0
             ? RST_OK
             : rst_fail_errno(c->err, RST_ERROR_MEMORY, o->name, "no process to read it in", reason);
}

/* The allocators of sanitizers are no better than POSIX asks: a fork while another thread holds one of their locks is a
 * helper that waits forever. (The C libraries see to theirs.) A folder of threads has two links and one for each. */
static bool may_fork(void) {
  struct stat st;
  return !SANITIZED || (stat("/proc/self/task", &st) == 0 && st.st_nlink <= 3);
}

bool rst_sandbox_available(void) {
  return may_fork();
}

rst_status rst_sandbox_run(const rst_sandbox_options *options, rst_sandbox_work work, void *user,
                           rst_shared *shared, rst_error *err) {
  caller c = {.options = options, .err = err, .records = -1, .memory = -1};
  *shared = (rst_shared){0};
  rst_status status = start(&c, work, user);
  if (status == RST_OK) status = wait_for_helper(&c, shared);
  if (c.records >= 0) close(c.records);
  if (c.memory >= 0) close(c.memory);
  return status;
}

void rst_shared_free(rst_shared *shared) {
  if (shared->data != NULL) munmap(shared->data, shared->size);
  *shared = (rst_shared){0};
}

#else /* Work in the process itself: the caller asks rst_sandbox_available first. */

#include "base/error.h"

bool rst_sandbox_available(void) {
  return false;
}

rst_status rst_sandbox_run(const rst_sandbox_options *options, rst_sandbox_work work, void *user,
                           rst_shared *shared, rst_error *err) {
  (void)work, (void)user;
  *shared = (rst_shared){0};
  return rst_fail(err, options->status, "%s: this build has no sandbox", options->name);
}

void rst_shared_free(rst_shared *shared) {
  *shared = (rst_shared){0};
}

bool rst_sandbox_send(rst_sandbox *sandbox, unsigned kind, const void *data, size_t size) {
  (void)sandbox, (void)kind, (void)data, (void)size;
  return false;
}

void *rst_sandbox_share(rst_sandbox *sandbox, size_t bytes) {
  (void)sandbox, (void)bytes;
  return NULL;
}

#endif
