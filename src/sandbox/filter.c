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

/* Pages that hold code are neither made nor asked for. */
static bool allow_memory(scmp_filter_ctx filter) {
  static const int maps[] = {SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect)};
  static const int others[] = {SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(brk), SCMP_SYS(madvise)};
  bool ok = true;
  for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++)
    ok = ok &&
         seccomp_rule_add(filter, SCMP_ACT_ALLOW, maps[i], 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0;
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    ok = ok && seccomp_rule_add(filter, SCMP_ACT_ALLOW, others[i], 0) == 0;
  return ok;
}

static bool allow_result(scmp_filter_ctx filter, int records, int shared) {
  return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1,
                          SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)records)) == 0 &&
         seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ftruncate), 1,
                          SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)shared)) == 0 &&
         seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ftruncate64), 1,
                          SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)shared)) == 0;
}

/* Time, locks, random numbers for hash tables, and ending, by abort as well. */
static bool allow_rest(scmp_filter_ctx filter) {
  static const int calls[] = {SCMP_SYS(clock_gettime),  SCMP_SYS(clock_gettime64),
                              SCMP_SYS(gettimeofday),   SCMP_SYS(time),
                              SCMP_SYS(futex),          SCMP_SYS(getrandom),
                              SCMP_SYS(sched_yield),    SCMP_SYS(sched_getaffinity),
                              SCMP_SYS(getpid),         SCMP_SYS(gettid),
                              SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
                              SCMP_SYS(sigreturn),      SCMP_SYS(restart_syscall),
                              SCMP_SYS(sigaltstack), /* sanitizers look at it */
                              SCMP_SYS(exit),           SCMP_SYS(exit_group)};
  bool ok = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                             SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid())) == 0;
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
    ok = ok && seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0) == 0;
  return ok;
}

/* Decoders of AVIF and HEIC work in threads, which may do no more than the process. The C library is to make them with
 * the call whose flags can be seen. */
static bool allow_threads(scmp_filter_ctx filter) {
  return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                          SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)) == 0 &&
         seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0 &&
         seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(rseq), 0) == 0 &&
         seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(set_robust_list), 0) == 0;
}

static bool kill_attacks(scmp_filter_ctx filter) {
  static const int calls[] = {SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(socket), SCMP_SYS(connect),
                              SCMP_SYS(ptrace)};
  bool ok = true;
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
    ok = ok && seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, calls[i], 0) == 0;
  return ok;
}

const char *rst_sandbox_enter(int records, int shared) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (filter == NULL) return "a filter of system calls cannot be made";
  const char *reason = NULL;
  if (!allow_memory(filter) || !allow_result(filter, records, shared) || !allow_rest(filter) || !allow_threads(filter) ||
      !kill_attacks(filter))
    reason = "a filter of system calls cannot be made";
  else if (seccomp_load(filter) != 0) /* sets no_new_privs, too */
    reason = "the kernel takes no filter of system calls (seccomp)";
  seccomp_release(filter);
  return reason;
}

#endif
