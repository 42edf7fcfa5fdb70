/* The system calls that a decoder needs: memory, and telling its result. Everything else fails with EPERM,
 * which libraries that look for a configuration file or the number of processors survive; what only an attack
 * would do ends the process. */
#include "sandbox/sandbox.h"

#ifdef RST_HAVE_SECCOMP

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

/* A filter being made: once a rule could not be added, the others are not tried. */
typedef struct rules {
  scmp_filter_ctx filter;
  int failed; /* errno, or 0 */
} rules;

static void add(rules *r, uint32_t action, const int calls[], size_t count) {
  for (size_t i = 0; i < count && r->failed == 0; i++)
    r->failed = -seccomp_rule_add(r->filter, action, calls[i], 0);
}

/* An argument of that value, and one whose bits under the mask are these. (The library's macros leave fields
 * out, which compilers warn of.) */
static struct scmp_arg_cmp is(unsigned number, scmp_datum_t value) {
  return (struct scmp_arg_cmp){.arg = number, .op = SCMP_CMP_EQ, .datum_a = value};
}
static struct scmp_arg_cmp has_bits(unsigned number, scmp_datum_t mask, scmp_datum_t bits) {
  return (struct scmp_arg_cmp){.arg = number, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = bits};
}

/* Where the argument is of that kind. */
static void add_if(rules *r, int call, struct scmp_arg_cmp argument) {
  if (r->failed == 0) r->failed = -seccomp_rule_add_array(r->filter, SCMP_ACT_ALLOW, call, 1, &argument);
}

#define ADD(rules, action, calls) add(rules, action, calls, sizeof(calls) / sizeof *(calls))

/* Pages that hold code are neither made nor asked for. */
static void allow_memory(rules *r) {
  static const int maps[] = {SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect)};
  static const int others[] = {SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(brk), SCMP_SYS(madvise)};
  for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) add_if(r, maps[i], has_bits(2, PROT_EXEC, 0));
  ADD(r, SCMP_ACT_ALLOW, others);
}

static void allow_result(rules *r, int records, int shared) {
  add_if(r, SCMP_SYS(write), is(0, (scmp_datum_t)records));
  add_if(r, SCMP_SYS(ftruncate), is(0, (scmp_datum_t)shared));
  add_if(r, SCMP_SYS(ftruncate64), is(0, (scmp_datum_t)shared));
}

/* Time, locks, random numbers for hash tables, and ending, by abort as well. */
static void allow_rest(rules *r) {
  static const int calls[] = {SCMP_SYS(clock_gettime),  SCMP_SYS(clock_gettime64),
                              SCMP_SYS(gettimeofday),   SCMP_SYS(time),
                              SCMP_SYS(futex),          SCMP_SYS(getrandom),
                              SCMP_SYS(sched_yield),    SCMP_SYS(sched_getaffinity),
                              SCMP_SYS(getpid),         SCMP_SYS(gettid),
                              SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
                              SCMP_SYS(sigreturn),      SCMP_SYS(restart_syscall),
                              SCMP_SYS(sigaltstack), /* sanitizers look at it */
                              SCMP_SYS(exit),           SCMP_SYS(exit_group)};
  add_if(r, SCMP_SYS(tgkill), is(0, (scmp_datum_t)getpid()));
  ADD(r, SCMP_ACT_ALLOW, calls);
}

/* Decoders of AVIF and HEIC work in threads, which may do no more than the process. The C library is to make
 * them with the call whose flags can be seen. */
static void allow_threads(rules *r) {
  static const int hidden[] = {SCMP_SYS(clone3)}, others[] = {SCMP_SYS(rseq), SCMP_SYS(set_robust_list)};
  add_if(r, SCMP_SYS(clone), has_bits(0, CLONE_THREAD, CLONE_THREAD));
  ADD(r, SCMP_ACT_ERRNO(ENOSYS), hidden);
  ADD(r, SCMP_ACT_ALLOW, others);
}

static void kill_attacks(rules *r) {
  static const int calls[] = {SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(socket), SCMP_SYS(connect),
                              SCMP_SYS(ptrace)};
  ADD(r, SCMP_ACT_KILL_PROCESS, calls);
}

int rst_sandbox_enter(int records, int shared) {
  rules r = {.filter = seccomp_init(SCMP_ACT_ERRNO(EPERM))};
  if (r.filter == NULL) return ENOMEM;
  allow_memory(&r);
  allow_result(&r, records, shared);
  allow_rest(&r);
  allow_threads(&r);
  kill_attacks(&r);
  if (r.failed == 0) r.failed = -seccomp_load(r.filter); /* sets no_new_privs, too */
  seccomp_release(r.filter);
  return r.failed;
}

#endif
