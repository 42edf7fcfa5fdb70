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
#include <time.h>
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
  const int refused = rst_sandbox_enter(sandbox->records, sandbox->memory);
  if (refused == 0)
    end.status = (int32_t)work(user, sandbox, &err);
  else if (refused == ENOMEM)
    end.status = (int32_t)rst_fail_memory(&err, options->name);
  else
    end.status = (int32_t)rst_fail(
        &err, options->status,
        "%s: cannot be read in a process of its own without rights: the kernel takes no filter of "
        "system calls (seccomp); --no-sandbox does without",
        options->name);
  memcpy(end.message, err.message, sizeof end.message);
  rst_sandbox_send(sandbox, END, &end, sizeof end);
  _exit(0);
}

/* ---- The caller's end ---------------------------------------------------------------------- */

struct rst_helper {
  rst_sandbox_options options;
  rst_error *err;      /* of the call that runs */
  int records, memory; /* descriptors; -1: none */
  pid_t pid;           /* 0: waited for */
  uint8_t *data;       /* of the last record */
  size_t room;
  struct timespec used; /* processor time */
  unsigned idle;        /* polls since it has grown */
};

#define NONSENSE "its decoder gives an answer that makes no sense: the file is damaged, or an attack"

static rst_status complain(const rst_helper *h, const char *what) {
  return rst_fail(h->err, h->options.status, "%s: %s", h->options.name, what);
}

/* Whether the helper sleeps and sleeps: a lock that nobody opens. Asked with every poll that has brought
 * nothing. */
static bool hangs(rst_helper *h) {
  clockid_t clock;
  struct timespec now;
  if (h->options.idle == 0 || clock_getcpuclockid(h->pid, &clock) != 0 || clock_gettime(clock, &now) != 0)
    return false;
  const bool same = now.tv_sec == h->used.tv_sec && now.tv_nsec == h->used.tv_nsec;
  h->used = now;
  h->idle = same ? h->idle + 1 : 0;
  return h->idle / (1000 / POLL_MS) >= h->options.idle;
}

/* Fewer bytes than that when the helper has closed its end. */
static rst_status read_bytes(rst_helper *h, void *to, size_t size, size_t *got) {
  const rst_sandbox_options *o = &h->options;
  for (*got = 0; *got < size;) {
    if (o->cancelled != NULL && o->cancelled(o->user))
      return rst_fail(h->err, RST_CANCELLED, "%s: cancelled", o->name);
    struct pollfd p = {.fd = h->records, .events = POLLIN};
    const int ready = poll(&p, 1, POLL_MS);
    if (ready == 0 && hangs(h)) return complain(h, "its decoder hangs: the file is damaged, or an attack");
    if (ready <= 0) continue; /* or a signal, which may be what cancelled tells of */
    ssize_t n = read(h->records, (uint8_t *)to + *got, size - *got);
    if (n == 0) break;
    if (n < 0 && errno != EINTR && errno != EAGAIN)
      return rst_fail_errno(h->err, o->status, o->name, "cannot be read", errno);
    if (n > 0) *got += (size_t)n;
  }
  return RST_OK;
}

static rst_status make_room(rst_helper *h, size_t size) {
  if (size <= h->room) return RST_OK;
  rst_free(h->data);
  h->data = rst_alloc(size, 1);
  h->room = h->data != NULL ? size : 0;
  return h->data != NULL ? RST_OK : rst_fail_memory(h->err, h->options.name);
}

/* How the helper has ended; 0 of a process that ignores SIGCHLD, which is not told. */
static int wait_for(rst_helper *h) {
  int status = 0;
  pid_t waited;
  while ((waited = waitpid(h->pid, &status, 0)) < 0 && errno == EINTR) continue;
  const bool known = waited == h->pid;
  h->pid = 0;
  return known ? status : 0;
}

/* The helper has ended without an answer. */
static rst_status explain(const rst_helper *h, int status) {
  int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  const rst_sandbox_options *o = &h->options;
  if (number == SIGXCPU)
    return rst_fail(h->err, o->status, "%s: takes more than %u s of processor time to be read", o->name,
                    o->seconds);
  if (number == SIGSYS)
    return complain(h, "its decoder has tried what no decoder does, and was stopped: the file is an attack");
  if (number == SIGKILL)
    return rst_fail(h->err, RST_ERROR_MEMORY, "%s: its decoder was killed, perhaps for lack of memory",
                    o->name);
  if (number != 0)
    return rst_fail(h->err, o->status,
                    "%s: its decoder has crashed (signal %d): the file is damaged, or an attack", o->name,
                    number);
  return complain(h, "its decoder has ended without an answer");
}

/* The last record: after it there is nothing, and the helper ends well. */
static rst_status take_ending(rst_helper *h, size_t size) {
  ending end;
  uint8_t more;
  size_t got;
  if (size != sizeof end) return complain(h, NONSENSE);
  memcpy(&end, h->data, sizeof end);
  if (end.status < RST_OK || end.status > RST_CANCELLED) return complain(h, NONSENSE);
  end.message[sizeof end.message - 1] = '\0';
  rst_status status = read_bytes(h, &more, 1, &got);
  if (status != RST_OK) return status;
  if (got != 0) return complain(h, NONSENSE);
  const int ended = wait_for(h);
  if (!WIFEXITED(ended) || WEXITSTATUS(ended) != 0) return explain(h, ended);
  return end.status == RST_OK ? RST_OK : rst_fail(h->err, (rst_status)end.status, "%s", end.message);
}

rst_status rst_sandbox_next(rst_helper *h, rst_sandbox_record *taken, bool *more, rst_error *err) {
  record head = {0};
  size_t got, got_data = 0;
  h->err = err;
  *more = false;
  rst_status status = read_bytes(h, &head, sizeof head, &got);
  if (status != RST_OK) return status;
  if (got == sizeof head) {
    if (head.size > RST_SANDBOX_RECORD || head.kind > END) return complain(h, NONSENSE);
    status = make_room(h, head.size);
    if (status == RST_OK) status = read_bytes(h, h->data, head.size, &got_data);
    if (status != RST_OK) return status;
  }
  if (got < sizeof head || got_data < head.size) return explain(h, wait_for(h));
  if (head.kind == END) return take_ending(h, head.size);
  *taken = (rst_sandbox_record){head.kind, h->data, head.size};
  *more = true;
  return RST_OK;
}

static rst_status start(rst_helper *h, rst_sandbox_work work, void *user) {
  int ends[2];
  const rst_sandbox_options *o = &h->options;
  h->memory = memfd_create("restormer", MFD_CLOEXEC);
  if (h->memory < 0) return rst_fail_errno(h->err, o->status, o->name, "no memory can be shared", errno);
  if (pipe2(ends, O_CLOEXEC) != 0) return rst_fail_errno(h->err, o->status, o->name, "no pipe", errno);
  pid_t self = getpid(), pid = fork();
  if (pid == 0) {
    rst_sandbox sandbox = {.records = ends[1], .memory = h->memory, .most_shared = o->shared};
    help(o, &sandbox, self, work, user);
  }
  int reason = errno;
  close(ends[1]);
  h->records = ends[0];
  if (pid < 0)
    return rst_fail_errno(h->err, RST_ERROR_MEMORY, o->name,
                          "no process can be made to read it in (--no-sandbox does without)", reason);
  h->pid = pid;
  return RST_OK;
}

rst_status rst_sandbox_start(const rst_sandbox_options *options, rst_sandbox_work work, void *user,
                             rst_helper **helper, rst_error *err) {
  *helper = rst_alloc(1, sizeof **helper);
  if (*helper == NULL) return rst_fail_memory(err, options->name);
  **helper = (rst_helper){.options = *options, .err = err, .records = -1, .memory = -1};
  rst_status status = start(*helper, work, user);
  if (status == RST_OK) return RST_OK;
  rst_sandbox_stop(*helper);
  *helper = NULL;
  return status;
}

void rst_sandbox_stop(rst_helper *h) {
  if (h == NULL) return;
  if (h->pid > 0) {
    kill(h->pid, SIGKILL);
    wait_for(h);
  }
  if (h->records >= 0) close(h->records);
  if (h->memory >= 0) close(h->memory);
  rst_free(h->data);
  rst_free(h);
}

static rst_status take_shared(const rst_helper *h, rst_shared *shared) {
  struct stat st;
  if (fstat(h->memory, &st) != 0 || st.st_size < 0 || (uint64_t)st.st_size > h->options.shared)
    return complain(h, NONSENSE);
  if (st.st_size == 0) return RST_OK;
  void *data = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, h->memory, 0);
  if (data == MAP_FAILED) return rst_fail_memory(h->err, h->options.name);
  madvise(data, (size_t)st.st_size, MADV_DONTFORK); /* no later helper can change it */
  *shared = (rst_shared){data, (size_t)st.st_size};
  return RST_OK;
}

rst_status rst_sandbox_run(const rst_sandbox_options *o, rst_sandbox_work work, void *user,
                           rst_shared *shared, rst_error *err) {
  rst_helper *h;
  rst_sandbox_record taken;
  bool more = true;
  *shared = (rst_shared){0};
  rst_status status = rst_sandbox_start(o, work, user, &h, err);
  while (status == RST_OK && more) {
    status = rst_sandbox_next(h, &taken, &more, err);
    if (status == RST_OK && more &&
        (o->receive == NULL || !o->receive(o->user, taken.kind, taken.data, taken.size)))
      status = complain(h, NONSENSE);
  }
  if (status == RST_OK) status = take_shared(h, shared);
  rst_sandbox_stop(h);
  return status;
}

/* The allocators of sanitizers are no better than POSIX asks: a fork while another thread holds one of their
 * locks is a helper that waits forever. (The C libraries see to theirs.) A folder of threads has two links
 * and one for each. */
static bool may_fork(void) {
  struct stat st;
  return !SANITIZED || (stat("/proc/self/task", &st) == 0 && st.st_nlink <= 3);
}

bool rst_sandbox_available(void) {
  return may_fork();
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
  rst_helper *none;
  *shared = (rst_shared){0};
  return rst_sandbox_start(options, work, user, &none, err);
}

rst_status rst_sandbox_start(const rst_sandbox_options *options, rst_sandbox_work work, void *user,
                             rst_helper **helper, rst_error *err) {
  (void)work, (void)user;
  *helper = NULL;
  return rst_fail(err, options->status, "%s: this build has no sandbox", options->name);
}

rst_status rst_sandbox_next(rst_helper *helper, rst_sandbox_record *record, bool *more, rst_error *err) {
  (void)helper, (void)record, (void)err;
  *more = false;
  return RST_OK;
}

void rst_sandbox_stop(rst_helper *helper) {
  (void)helper;
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
