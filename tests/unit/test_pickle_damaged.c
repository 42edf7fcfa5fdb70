/* The pickle interpreter: damaged and hostile pickles are refused and do no harm. */
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/pickle_session.h"
#include "support/random_model.h"

/* ---- Damage ------------------------------------------------------------------------------------------- */

#define DAMAGED(at, reason) "x.pth: its pickle is damaged at byte " at ": " reason
#define EMPTY "its stack is empty"

static void a_program_that_ends_too_early(void **state) {
  (void)state;
  assert_fails(P(""), DAMAGED("0", "it ends too early"));
  assert_fails(P("N"), DAMAGED("1", "it ends too early"));
  /* Every opcode with something behind it, cut before its end. */
  static const program cut[] = {P("K"),
                                P("M\x01"),
                                P("J\x01\x02\x03"),
                                P("\x8a"),
                                P("\x8a\x02\x01"),
                                P("\x8b\x01\x00\x00"),
                                P("\x8b\x01\x00\x00\x00"),
                                P("G\x01\x02\x03\x04\x05\x06\x07"),
                                P("I12"),
                                P("L12"),
                                P("F1.5"),
                                P("X\x01\x00\x00"),
                                P("X\x02\x00\x00\x00x"),
                                P("X\xff\xff\xff\xffx"),
                                P("\x8c"),
                                P("\x8c\x02x"),
                                P("\x8d\x01\x00\x00\x00\x00\x00\x00"),
                                P("\x8d\xff\xff\xff\xff\xff\xff\xff\xffx"),
                                P("T\x02\x00\x00\x00x"),
                                P("U\x02x"),
                                P("B\x02\x00\x00\x00x"),
                                P("C\x02x"),
                                P("\x8e\x02\x00\x00\x00\x00\x00\x00\x00x"),
                                P("\x96\x02\x00\x00\x00\x00\x00\x00\x00x"),
                                P("S'x'"),
                                P("Vx"),
                                P("cos"),
                                P("cos\nsystem"),
                                P("\x80"),
                                P("\x95\x01\x00\x00\x00\x00\x00\x00"),
                                P("g1"),
                                P("h"),
                                P("j\x01\x00\x00")};
  for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++)
    assert_fails(cut[i], DAMAGED("0", "it ends too early"));
  assert_fails(P("Np1"), DAMAGED("1", "it ends too early"));
  assert_fails(P("Nq"), DAMAGED("1", "it ends too early"));
  assert_fails(P("Nr\x01\x00\x00"), DAMAGED("1", "it ends too early"));
}

static void an_empty_stack(void **state) {
  (void)state;
  static const program empty[] = {
      P("."),    P("0"),    P("2"),    P("a"),    P("s"),    P("R"),     P("b"),    P("Q"),
      P("\x81"), P("\x85"), P("\x92"), P("\x93"), P("\x94"), P("q\x01"), P("p1\n"), P("r\x01\x00\x00\x00")};
  for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) assert_fails(empty[i], DAMAGED("0", EMPTY));
  assert_fails(P("N\x86"), DAMAGED("1", EMPTY));
  assert_fails(P("NN\x87"), DAMAGED("2", EMPTY));
  assert_fails(P("Na"), DAMAGED("1", EMPTY));
  assert_fails(P("}NNNs"), DAMAGED("4", "items are added to what cannot hold them"));
}

static void items_below_a_mark_are_out_of_reach(void **state) {
  (void)state;
  assert_fails(P("N(."), DAMAGED("2", EMPTY));
  assert_fails(P("N(\x85."), DAMAGED("2", EMPTY));
  assert_fails(P("](Na."), DAMAGED("3", EMPTY));
  assert_fails(P("(Ne."), DAMAGED("2", EMPTY));
  assert_fails(P("N(R."), DAMAGED("2", EMPTY));
}

static void a_missing_mark(void **state) {
  (void)state;
  static const program unmarked[] = {P("t"), P("l"), P("d"), P("e"), P("u"), P("1"), P("\x90"), P("\x91")};
  for (size_t i = 0; i < sizeof unmarked / sizeof unmarked[0]; i++)
    assert_fails(unmarked[i], DAMAGED("0", "a mark is missing"));
}

static void misuse_of_the_memo(void **state) {
  (void)state;
  const char *never = DAMAGED("0", "it asks for what was never put into the memo");
  assert_fails(P("h\x00."), never);
  assert_fails(P("j\xff\xff\xff\xff."), never);
  assert_fails(P("g7\n."), never);
  assert_fails(P("g18446744073709551616\n."), DAMAGED("0", "a memo index is not a number"));
  assert_fails(P("g-1\n."), DAMAGED("0", "a memo index is not a number"));
  assert_fails(P("Np\n."), DAMAGED("1", "a memo index is not a number"));
  assert_fails(P("Nr\xff\xff\xff\xff."), DAMAGED("1", "its stack or memo is larger than any checkpoint's"));
  assert_fails(P("Nq\x05j\x06\x00\x00\x00."), DAMAGED("3", "it asks for what was never put into the memo"));
}

static void values_in_places_where_they_make_no_sense(void **state) {
  (void)state;
  assert_fails(P("Ix\n."), DAMAGED("0", "a number is not one"));
  assert_fails(P("I\n."), DAMAGED("0", "a number is not one"));
  assert_fails(P("F1.5x\n."), DAMAGED("0", "a number is not one"));
  assert_fails(P("Sx\n."), DAMAGED("0", "a string lacks its quotes"));
  assert_fails(P("S'\n."), DAMAGED("0", "a string lacks its quotes"));
  assert_fails(P("S'x\"\n."), DAMAGED("0", "a string lacks its quotes"));
  assert_fails(P("\x8b\xff\xff\xff\xff."), DAMAGED("0", "a length is negative"));
  assert_fails(P("(Nd."), DAMAGED("2", "a key has no value"));
  assert_fails(P("}(Nu."), DAMAGED("3", "a key has no value"));
  assert_fails(P("NNa."), DAMAGED("2", "items are added to what cannot hold them"));
  assert_fails(P("}Na."), DAMAGED("2", "items are added to what cannot hold them"));
  assert_fails(P("]NNs."), DAMAGED("3", "items are added to what cannot hold them"));
  assert_fails(P("N(\x90."), DAMAGED("2", "items are added to what cannot hold them"));
  assert_fails(P("NN\x93."), DAMAGED("2", "the name of a class is not a str"));
  assert_fails(P("ccollections\nOrderedDict\nNR."), DAMAGED("26", "arguments are not a tuple"));
  assert_fails(P("\xff."), DAMAGED("0", "0xff is not an opcode"));
  assert_fails(P("\x80\x06."), "x.pth: pickle protocol 6, expected 0 to 5");
  assert_fails(P("N)R."), "x.pth: pickle calls None, which is not a class or function");
  assert_fails(P("NNb."),
               "x.pth: pickle sets the state of None, which a checkpoint of weights does not need");
}

static void arguments_that_do_not_fit(void **state) {
  (void)state;
#define MISFIT(name) "x.pth: pickle gives " name " arguments that do not fit it"
#define V2 "ctorch._utils\n_rebuild_tensor_v2\n"
  const char *v2 = MISFIT("torch._utils._rebuild_tensor_v2");
  assert_fails(P(V2 ")R."), v2);
  assert_fails(P(V2 "(NK\x00)))tR."), v2);
  assert_fails(P(V2 "(" FLOATS "N)))tR."), v2);
  assert_fails(P(V2 "(" FLOATS "J\xff\xff\xff\xff))tR."), v2);                 /* offset */
  assert_fails(P(V2 "(" FLOATS "K\x00)tR."), v2);                              /* no stride */
  assert_fails(P(V2 "(" FLOATS "K\x00NNtR."), v2);                             /* no sequences */
  assert_fails(P(V2 "(" FLOATS "K\x00K\x01\x85)tR."), v2);                     /* of different lengths */
  assert_fails(P(V2 "(" FLOATS "K\x00J\xff\xff\xff\xff\x85K\x01\x85tR."), v2); /* negative size */
  assert_fails(P(V2 "(" FLOATS "K\x00K\x01\x85J\xff\xff\xff\xff\x85tR."), v2); /* negative stride */
  assert_fails(P(V2 "(" FLOATS "K\x00N\x85K\x01\x85tR."), v2);
  assert_fails(P("ctorch._utils\n_rebuild_tensor_v3\n(" FLOATS "K\x00))tR."),
               MISFIT("torch._utils._rebuild_tensor_v3"));
  assert_fails(P("ctorch._utils\n_rebuild_tensor_v3\n(" FLOATS "K\x00))NNNtR."),
               MISFIT("torch._utils._rebuild_tensor_v3"));
  assert_fails(P("ctorch._utils\n_rebuild_parameter\nN\x85R."), MISFIT("torch._utils._rebuild_parameter"));
  assert_fails(P("ctorch._tensor\n_rebuild_from_type_v2\n)R."),
               MISFIT("torch._tensor._rebuild_from_type_v2"));
  assert_fails(P("ctorch._tensor\n_rebuild_from_type_v2\n(ctorch\nSize\nN)NtR."),
               MISFIT("torch._tensor._rebuild_from_type_v2"));
  assert_fails(P("ctorch\nSize\n)R."), MISFIT("torch.Size"));
  assert_fails(P("ctorch\nFloatStorage\n)R."), MISFIT("torch.FloatStorage"));
  assert_fails(P("ctorch\nfloat32\n)R."), MISFIT("torch.float32"));
  assert_fails(P("ccollections\nOrderedDict\nN\x85R."), MISFIT("collections.OrderedDict"));
  assert_fails(P("ccollections\nOrderedDict\n]Na\x85R."), MISFIT("collections.OrderedDict"));
  assert_fails(P("ccollections\nOrderedDict\n])a\x85R."), MISFIT("collections.OrderedDict"));
}

static void storages_that_are_not_described_rightly(void **state) {
  (void)state;
  const char *wrong = "x.pth: pickle has a storage that is not described as torch.save does it";
  assert_fails(P("NQ."), wrong);
  assert_fails(P(")Q."), wrong);
  assert_fails(P("(\x8c\x06modulectorch\nFloatStorage\n\x8c\x01"
                 "0NK\x01tQ."),
               wrong);
  assert_fails(P("(\x8c\x07storageN\x8c\x01"
                 "0NK\x01tQ."),
               wrong);
  assert_fails(P("(\x8c\x07storagectorch\nSize\n\x8c\x01"
                 "0NK\x01tQ."),
               wrong);
  assert_fails(P("(\x8c\x07storagectorch\nFloatStorage\nK\x01NK\x01tQ."), wrong);
  assert_fails(P("(\x8c\x07storagectorch\nFloatStorage\n\x8c\x01"
                 "0NNtQ."),
               wrong);
  assert_fails(P("(\x8c\x07storagectorch\nFloatStorage\n\x8c\x01"
                 "0NJ\xff\xff\xff\xfftQ."),
               wrong);
  /* too many elements for their bytes to be counted */
  assert_fails(P("(\x8c\x07storagectorch\nFloatStorage\n\x8c\x01"
                 "0N\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7ftQ."),
               wrong);
  /* views: not a tuple, negative, beyond the end */
  assert_fails(P("(\x8c\x07storagectorch\nFloatStorage\n\x8c\x01"
                 "0NK\x04K\x01tQ."),
               wrong);
  assert_fails(P("(\x8c\x07storagectorch\nFloatStorage\n\x8c\x01"
                 "0NK\x04(NJ\xff\xff\xff\xffK\x01ttQ."),
               wrong);
  assert_fails(P("(\x8c\x07storagectorch\nFloatStorage\n\x8c\x01"
                 "0NK\x04(NK\x02K\x03ttQ."),
               wrong);
  assert_fails(P("(\x8c\x07storagectorch\nFloatStorage\n\x8c\x01"
                 "0NK\x04(N\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x03ttQ."),
               wrong);
  assert_fails(P(STORAGE("torch\nFloatStorage", "0", "\x04") STORAGE("torch\nFloatStorage", "0", "\x05") "."),
               "x.pth: pickle describes storage 0 in two ways");
  assert_fails(P(STORAGE("torch\nFloatStorage", "0", "\x04") STORAGE("torch\nIntStorage", "0", "\x04") "."),
               "x.pth: pickle describes storage 0 in two ways");
}

/* ---- Hostile sizes ------------------------------------------------------------------------------------ */

/* `count` times `byte`, then the end. */
static void assert_repeated(char byte, size_t count, const char *last, const char *message) {
  size_t n = strlen(last);
  char *bytes = malloc(count + n);
  assert_non_null(bytes);
  memset(bytes, byte, count);
  for (size_t i = 0; i < n; i++) bytes[count + i] = last[i];
  if (message != NULL) {
    assert_fails((program){bytes, count + n}, message);
  } else {
    session s;
    read_ok(&s, (program){bytes, count + n});
    end(&s);
  }
  free(bytes);
}

static void deep_nesting_does_not_overflow_the_stack(void **state) {
  (void)state;
  enum { DEPTH = 200000 };
  char *bytes = malloc(DEPTH + 3);
  assert_non_null(bytes);
  memset(bytes, '\x85', DEPTH + 3); /* a tuple in a tuple in a tuple ... */
  bytes[0] = 'N';
  bytes[DEPTH + 2] = '.';
  session s;
  const rst_value *value = read_ok(&s, (program){bytes, DEPTH + 3});
  for (size_t i = 0; i < DEPTH + 1; i++) {
    assert_int_equal(value->kind, RST_VALUE_TUPLE);
    value = value->as.list.items[0];
  }
  assert_int_equal(value->kind, RST_VALUE_NONE);
  end(&s);
  free(bytes);
}

static void a_list_may_hold_itself(void **state) {
  (void)state;
  session s;
  const rst_value *value = read_ok(&s, P("]q\x00h\x00"
                                         "a."));
  assert_int_equal(value->kind, RST_VALUE_LIST);
  assert_ptr_equal(value->as.list.items[0], value);
  end(&s);
}

static void stack_and_marks_have_a_limit(void **state) {
  (void)state;
  const char *message = DAMAGED("1048576", "its stack or memo is larger than any checkpoint's");
  assert_repeated('2', 10, "0.", DAMAGED("0", EMPTY));
  assert_repeated('(', (1 << 20) + 1, ".", message);
  assert_repeated('(', 1000, "N.", NULL);
  assert_repeated(')', (1 << 20) + 1, ".", message);
}

static void memory_has_a_limit(void **state) {
  (void)state;
  rst_pickle pickle;
  rst_pickle_init(&pickle, "x.pth");
  pickle.heap.limit = 4096;
  char bytes[1024];
  memset(bytes, 'N', sizeof bytes);
  rst_error err = {.message = ""};
  const rst_value *value;
  size_t used;
  rst_status status = rst_pickle_read(&pickle, (const uint8_t *)bytes, sizeof bytes, &value, &used, &err);
  assert_int_equal(status, RST_ERROR_WEIGHTS);
  assert_string_equal(err.message, "x.pth: its pickle needs more than 4096 bytes of memory");
  rst_pickle_free(&pickle);
}

/* ---- Fuzzing and memory ------------------------------------------------------------------------------- */

static const program seed_program =
    P("\x80\x02}q\x00(X\x06\x00\x00\x00paramsq\x01"
      "ccollections\nOrderedDict\nq\x02)Rq\x03(X\x01\x00\x00\x00wq\x04"
      "ctorch._utils\n_rebuild_tensor_v2\nq\x05((X\x07\x00\x00\x00storageq\x06"
      "ctorch\nFloatStorage\nq\x07X\x01\x00\x00\x00"
      "0q\x08X\x03\x00\x00\x00"
      "cpuq\x09K\x0ctq\x0aQK\x00K\x02K\x03\x86"
      "q\x0bK\x03K\x01\x86q\x0c\x89h\x02)Rq\x0dtq\x0eRq\x0f"
      "X\x01\x00\x00\x00nq\x10M\x00\x01u}X\x09\x00\x00\x00_metadatah\x03sbX\x05\x00\x00\x00"
      "epochq\x11](K\x01G@\x08\x00\x00\x00\x00\x00\x00\x8a\x01\xff"
      "eX\x03\x00\x00\x00"
      "argcargparse\nNamespace\n)R}(X\x02\x00\x00\x00lrNubu.");

static void run_damaged(const uint8_t *bytes, size_t size) {
  rst_pickle pickle;
  rst_error err = {.message = ""};
  const rst_value *value;
  size_t used;
  uint8_t *copy = malloc(size > 0 ? size : 1);
  assert_non_null(copy);
  memcpy(copy, bytes, size);
  rst_pickle_init(&pickle, "x.pth");
  rst_status status = rst_pickle_read(&pickle, copy, size, &value, &used, &err);
  assert_true(status == RST_OK || status == RST_ERROR_WEIGHTS);
  assert_true((status == RST_OK) == (value != NULL));
  assert_true((status == RST_OK) == (err.message[0] == '\0'));
  assert_true(used <= size);
  rst_pickle_free(&pickle);
  free(copy);
}

static void damaged_programs_are_read_or_refused(void **state) {
  (void)state;
  enum { ROUNDS = 30000 };
  uint8_t bytes[1024];
  assert_true(seed_program.size <= sizeof bytes);
  session s;
  read_ok(&s, seed_program);
  end(&s);
  for (size_t size = 0; size < seed_program.size; size++)
    run_damaged((const uint8_t *)seed_program.bytes, size);
  for (uint64_t round = 0; round < ROUNDS; round++) {
    memcpy(bytes, seed_program.bytes, seed_program.size);
    uint64_t changes = 1 + random_bits(1, round) % 4;
    for (uint64_t i = 0; i < changes; i++) {
      uint64_t bits = random_bits(2, 4 * round + i);
      bytes[(bits >> 8) % seed_program.size] = (uint8_t)bits;
    }
    run_damaged(bytes, seed_program.size);
  }
}

static rst_status read_seed(void *user, rst_error *err) {
  (void)user;
  rst_pickle pickle;
  const rst_value *value;
  size_t used;
  rst_pickle_init(&pickle, "x.pth");
  rst_status status =
      rst_pickle_read(&pickle, (const uint8_t *)seed_program.bytes, seed_program.size, &value, &used, err);
  rst_pickle_free(&pickle);
  return status;
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  assert_true(fail_each_alloc(read_seed, NULL) >= 4); /* heap, stack, marks, memo, storages */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_program_that_ends_too_early),
      cmocka_unit_test(an_empty_stack),
      cmocka_unit_test(items_below_a_mark_are_out_of_reach),
      cmocka_unit_test(a_missing_mark),
      cmocka_unit_test(misuse_of_the_memo),
      cmocka_unit_test(values_in_places_where_they_make_no_sense),
      cmocka_unit_test(arguments_that_do_not_fit),
      cmocka_unit_test(storages_that_are_not_described_rightly),
      cmocka_unit_test(deep_nesting_does_not_overflow_the_stack),
      cmocka_unit_test(a_list_may_hold_itself),
      cmocka_unit_test(stack_and_marks_have_a_limit),
      cmocka_unit_test(memory_has_a_limit),
      cmocka_unit_test(damaged_programs_are_read_or_refused),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests_name("pickle, damaged", tests, NULL, NULL);
}
