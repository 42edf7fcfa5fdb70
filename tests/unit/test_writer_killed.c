/* Writing a model onto an existing one in a process that is killed at every step of it in turn: what is there
 * afterwards is the old model or the new one, whole, and neither with the other's tensors. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cmocka_all.h"
#include "support/random_model.h"
#include "support/scratch.h"
#include "weights/writer.h"

static int steps_left; /* until the process is killed; 0: it is not */

static void step(void) {
  if (steps_left > 0 && --steps_left == 0) raise(SIGKILL);
}

/* In place of the C library's, for the library under test as well. The parameters have names of their own. */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
int rename(const char *from, const char *to) {
  step();
  const int result = renameat(AT_FDCWD, from, AT_FDCWD, to);
  step();
  return result;
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
  step();
  const int result = (int)syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
  step();
  return result;
}

int unlink(const char *path) {
  step();
  const int result = unlinkat(AT_FDCWD, path, 0);
  step();
  return result;
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

static bool step_now_and_then(void *caller) {
  int *calls = caller;
  if (++*calls % 8 == 0) step();
  return false;
}

static rst_status values(void *user, size_t index, const rst_tensor_spec *spec, size_t first, size_t count,
                         float *out, rst_error *err) {
  (void)index, (void)err;
  random_model_values(user, spec, first, count, out);
  return RST_OK;
}

static rst_status write_model(random_model *model) {
  int calls = 0;
  const rst_writing writing = {.where = "x.pth",
                               .manifest_path = "w.json",
                               .architecture = &model->architecture,
                               .dtype = RST_DTYPE_F32,
                               .values = values,
                               .user = model,
                               .cancelled = step_now_and_then,
                               .caller = &calls};
  return rst_weights_write(&writing, NULL);
}

/* True when the process came to the end before the step. */
static bool write_and_die(random_model *model, int at) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    steps_left = at;
    _exit(write_model(model) == RST_OK ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
  return WIFEXITED(status);
}

/* Whether w.json is `model`; all of it is checked. */
static bool is_there(const random_model *model) {
  rst_weights *weights;
  rst_error err = {.message = ""};
  rst_status status = rst_weights_open("w.json", &weights, &err);
  assert_string_equal(err.message, "");
  assert_int_equal(status, RST_OK);
  assert_int_equal(rst_weights_verify(weights, NULL), RST_OK);
  float found, expected;
  const rst_tensor_spec *spec = &model->specs[0];
  rst_tensor_read(rst_weights_tensor(weights, spec->name), NULL, 0, 1, &found, NULL);
  random_model_values(model, spec, 0, 1, &expected);
  rst_weights_close(weights);
  return found == expected;
}

static void test_old_or_new_whenever_it_is_killed(void **state) {
  (void)state;
  const rst_architecture a = architecture_small(2, 2);
  random_model models[2];
  for (size_t i = 0; i < 2; i++)
    assert_int_equal(random_model_init(&models[i], &a, 1 + i, RST_DTYPE_F32, NULL), RST_OK);
  assert_int_equal(write_model(&models[0]), RST_OK);
  int killed = 0, changed = 0, old = 0;
  /* The model that is there is written over by the other one, until that comes to its end. */
  for (bool done = false; !done;) {
    done = write_and_die(&models[1 - old], ++killed);
    const bool still = is_there(&models[old]);
    if (!still) assert_true(is_there(&models[1 - old]));
    if (done) assert_false(still);
    if (!still) changed++, old = 1 - old;
  }
  assert_true(killed > 12);
  assert_true(changed > 1); /* once by a process that was killed right after the last rename */
  for (size_t i = 0; i < 2; i++) random_model_free(&models[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_old_or_new_whenever_it_is_killed, scratch_enter, scratch_leave),
  };
  return cmocka_run_group_tests_name("writer killed", tests, NULL, NULL);
}
