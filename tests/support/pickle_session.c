#include "support/pickle_session.h"

#include <stdlib.h>
#include <string.h>

#include "support/cmocka_all.h"

const rst_value *read_ok(session *s, program p) {
  rst_error err = {.message = ""};
  const rst_value *value;
  size_t used;
  rst_pickle_init(&s->pickle, "x.pth");
  s->copy = malloc(p.size);
  assert_non_null(s->copy);
  memcpy(s->copy, p.bytes, p.size);
  rst_status status = rst_pickle_read(&s->pickle, s->copy, p.size, &value, &used, &err);
  assert_string_equal(err.message, "");
  assert_int_equal(status, RST_OK);
  assert_int_equal(used, p.size);
  return value;
}

void end(session *s) {
  rst_pickle_free(&s->pickle);
  free(s->copy);
}

void assert_fails(program p, const char *message) {
  session s = {.copy = malloc(p.size > 0 ? p.size : 1)};
  rst_error err = {.message = ""};
  const rst_value *value;
  size_t used;
  assert_non_null(s.copy);
  memcpy(s.copy, p.bytes, p.size);
  rst_pickle_init(&s.pickle, "x.pth");
  rst_status status = rst_pickle_read(&s.pickle, s.copy, p.size, &value, &used, &err);
  assert_string_equal(err.message, message);
  assert_int_equal(status, RST_ERROR_WEIGHTS);
  assert_null(value);
  end(&s);
}
