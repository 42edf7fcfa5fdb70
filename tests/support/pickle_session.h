/* pickle_session.h - reading pickles that stand in a test. */
#ifndef TESTS_SUPPORT_PICKLE_SESSION_H
#define TESTS_SUPPORT_PICKLE_SESSION_H

#include "weights/checkpoint/pickle.h"

/* A pickle as a string literal, which may hold zeros. */
typedef struct program {
  const char *bytes;
  size_t size;
} program;
#define P(literal) ((program){literal, sizeof(literal) - 1})

typedef struct session {
  rst_pickle pickle;
  uint8_t *copy; /* of the program, in memory of its own size: AddressSanitizer sees reads beyond its end */
} session;

/* Reads a pickle, which must be fine, all of it; end() frees what it was read into. Its path is x.pth. */
const rst_value *read_ok(session *s, program p);
void end(session *s);

/* Reading it must fail with RST_ERROR_WEIGHTS and this message. */
void assert_fails(program p, const char *message);

/* Parts of pickles: a storage of `count` (one character) elements with a key of one character. */
#define STORAGE(type, key, count)           \
  "(\x8c\x07storagec" type "\n\x8c\x01" key \
  "\x8c\x03"                                \
  "cpuK" count "tQ"
#define FLOATS STORAGE("torch\nFloatStorage", "0", "\x0c")

#endif
