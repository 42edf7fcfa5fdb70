/* test_budget.c - budgets, what counts in them, and what the system is found to have available. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/available.h"
#include "base/budget.h"
#include "support/cmocka_all.h"
#include "support/model_fixture.h"
#include "support/scratch.h"

/* ---- Accounting ------------------------------------------------------------------------------------------
 */

static void what_fits_is_counted(void **state) {
  (void)state;
  rst_budget *b = fixture_budget(1000);
  assert_int_equal(rst_budget_limit(b), 1000);
  assert_true(rst_budget_take(b, 600));
  assert_false(rst_budget_take(b, 401));
  assert_false(rst_budget_take(b, UINT64_MAX));
  assert_int_equal(rst_budget_used(b), 600);
  assert_true(rst_budget_take(b, 400));
  assert_int_equal(rst_budget_left(b), 0);
  assert_false(rst_budget_take(b, 1));
  rst_budget_give(b, 600);
  assert_int_equal(rst_budget_left(b), 600);
  rst_budget_free(b);
  assert_true(rst_budget_take(NULL, UINT64_MAX));
  assert_true(rst_budget_left(NULL) == UINT64_MAX);
  rst_budget_give(NULL, 1);
}

static void no_limit_is_what_is_available(void **state) {
  (void)state;
  rst_budget *b = fixture_budget(0);
  assert_true(rst_budget_limit(b) > 0);
  assert_int_equal(rst_budget_used(b), 0);
  rst_budget_free(b);
}

/* Weights that are in the budget are not counted again by the plan of a run, and everything is given back. */
static void weights_count_once(void **state) {
  (void)state;
  const rst_architecture a = architecture_small(16, 3);
  random_model random = fixture_random(&a, 1);
  rst_weights *weights = fixture_weights(&random);
  random_model_free(&random);
  rst_plan planned = {.struct_size = sizeof planned};
  assert_int_equal(
      rst_plan_restore(&a, NULL, 80, 64, &(rst_session_options){SESSION, .threads = 16}, &planned, NULL),
      RST_OK);
  rst_session_options options = {SESSION, .threads = 16, .budget = fixture_budget(planned.bytes)};
  rst_model *model;
  assert_int_equal(
      rst_model_create(
          weights, &(rst_model_options){.struct_size = sizeof(rst_model_options), .budget = options.budget},
          &model, NULL),
      RST_OK);
  assert_int_equal(rst_budget_used(options.budget), planned.weight_bytes);
  rst_session *session;
  assert_int_equal(rst_session_create(model, 80, 64, &options, &session, NULL), RST_OK);
  rst_plan found = {.struct_size = sizeof found};
  rst_session_plan(session, &found);
  assert_memory_equal(&found, &planned, sizeof planned);
  assert_int_equal(rst_budget_left(options.budget), 0);
  rst_session_free(session);
  assert_true(rst_budget_take(options.budget, 1));
  assert_int_equal(rst_session_create(model, 80, 64, &options, &session, NULL), RST_OK);
  rst_session_plan(session, &found);
  assert_true(found.tile > 0);
  rst_session_free(session);
  rst_model_free(model);
  assert_int_equal(rst_budget_used(options.budget), 1);
  rst_budget_free(options.budget);
  rst_weights_close(weights);
}

static void weights_that_do_not_fit(void **state) {
  (void)state;
  const rst_architecture a = architecture_small(8, 2);
  random_model random = fixture_random(&a, 1);
  rst_weights *weights = fixture_weights(&random);
  random_model_free(&random);
  rst_budget *budget = fixture_budget(1000);
  rst_model *model;
  rst_error err;
  assert_int_equal(
      rst_model_create(weights,
                       &(rst_model_options){.struct_size = sizeof(rst_model_options), .budget = budget},
                       &model, &err),
      RST_ERROR_MEMORY);
  assert_string_equal(err.message, "out of memory for the packed weights: 0.1 MB; 0.0 of 0.0 MB are left");
  assert_null(model);
  assert_int_equal(rst_budget_used(budget), 0);
  rst_budget_free(budget);
  rst_weights_close(weights);
}

/* ---- The system, as files of our own ---------------------------------------------------------------------
 */

/* Writes a file of the pretended system and the folders that it lies in. */
static void put(const char *path, const char *text) {
  char part[256];
  for (size_t i = 0; path[i] != '\0'; i++)
    if (path[i] == '/' && i > 0) {
      snprintf(part, sizeof part, "%.*s", (int)i, path);
      mkdir(part, 0700);
    }
  scratch_put_text(path, text);
}

enum { MIB = 1 << 20 };

static void expect_mib(uint64_t mib) {
  const uint64_t found = rst_available_memory("root"), expected = mib * MIB - mib * MIB / 8;
  if (found != expected) fail_msg("%" PRIu64 " bytes available, expected %" PRIu64, found, expected);
}

static void machine_alone(void **state) {
  (void)state;
  put("root/proc/meminfo", "MemTotal: 999999999 kB\nMemFree: 1 kB\nMemAvailable:   819200 kB\n");
  expect_mib(800);
}

static void groups_of_version_2_up_to_the_root(void **state) {
  (void)state;
  put("root/proc/meminfo", "MemAvailable: 819200 kB\n");
  put("root/proc/self/cgroup", "0::/a/b\n");
  put("root/sys/fs/cgroup/a/b/memory.max", "max\n");
  put("root/sys/fs/cgroup/a/b/memory.current", "1048576\n");
  expect_mib(800);
  /* The group above: 400 MiB, of which 150 are used, 50 of them cached files that make way. */
  put("root/sys/fs/cgroup/a/memory.max", "419430400\n");
  put("root/sys/fs/cgroup/a/memory.current", "157286400\n");
  put("root/sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 52428800\nactive_file 7\n");
  expect_mib(300);
  put("root/sys/fs/cgroup/a/b/memory.high", "209715200\n"); /* 200 MiB less 1 */
  expect_mib(199);
  put("root/sys/fs/cgroup/memory.max", "104857600\n"); /* a container's own group is the mounted root */
  put("root/sys/fs/cgroup/memory.current", "0\n");
  expect_mib(100);
  put("root/sys/fs/cgroup/memory.current", "104857601\n");
  expect_mib(0);
}

static void groups_of_version_1(void **state) {
  (void)state;
  put("root/proc/meminfo", "MemAvailable: 819200 kB\n");
  put("root/proc/self/cgroup",
      "5:cpu,cpuacct:/x\n4:hugetlb,memory:/docker/deadbeef\n1:name=systemd:/\n0::/\n");
  put("root/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  put("root/sys/fs/cgroup/memory/memory.usage_in_bytes", "5000000000\n");
  expect_mib(800);
  put("root/sys/fs/cgroup/memory/docker/memory.limit_in_bytes", "629145600\n");
  put("root/sys/fs/cgroup/memory/docker/memory.usage_in_bytes", "209715200\n");
  put("root/sys/fs/cgroup/memory/docker/memory.stat", "inactive_file 1\ntotal_inactive_file 104857600\n");
  expect_mib(500);
  put("root/sys/fs/cgroup/memory/docker/deadbeef/memory.limit_in_bytes", "314572800\n");
  expect_mib(300);
}

static void damaged_files_say_nothing(void **state) {
  (void)state;
  put("root/proc/meminfo", "MemAvailable: 819200 kB\n");
  put("root/proc/self/cgroup", "\n:\n0:\n0::\n:::::\n,,,:memory:\n4:memory\n");
  put("root/sys/fs/cgroup/memory.max", "many\n");
  expect_mib(800);
}

/* Three quarters of the addresses that are left; in a child, for the limit cannot be taken back. */
static void address_space_counts(void **state) {
  (void)state;
  put("root/proc/meminfo", "MemAvailable: 819200 kB\n");
  put("root/proc/self/statm", "1000 1 1 1 0 1 0\n");
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    const uint64_t used = 1000 * (uint64_t)sysconf(_SC_PAGESIZE);
    const struct rlimit limit = {(rlim_t)(used + 400 * (uint64_t)MIB), RLIM_INFINITY};
    if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(2);
    _exit(rst_available_memory("root") == 300 * (uint64_t)MIB ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, scratch_enter, scratch_leave)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_fits_is_counted),
      cmocka_unit_test(no_limit_is_what_is_available),
      cmocka_unit_test(weights_count_once),
      cmocka_unit_test(weights_that_do_not_fit),
      IN_A_FOLDER(machine_alone),
      IN_A_FOLDER(groups_of_version_2_up_to_the_root),
      IN_A_FOLDER(groups_of_version_1),
      IN_A_FOLDER(damaged_files_say_nothing),
      IN_A_FOLDER(address_space_counts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
