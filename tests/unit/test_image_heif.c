/* HEIC and AVIF that ask a decoder for more than they say: found before it sees them. */
#include <string.h>

#include "image/heif.h"
#include "support/blob.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"

/* ---- Files --------------------------------------------------------------------------------- */

#define HEIC "tests/data/images/h.heic"
#define AVIF "tests/data/images/h.avif"

static rst_status check(const blob *b, rst_error *err) {
  rst_image_read_options options;
  rst_image_read_options_init(&options);
  return rst_heif_check(&(rst_source){"f", b->data, b->size, err, &options});
}

static void expect_refused(const blob *b, const char *message) {
  rst_error err = {.message = ""};
  assert_int_equal(check(b, &err), RST_ERROR_INPUT);
  assert_string_equal(err.message, message);
  if (!rst_image_format_named("heif")->reads) return;
  rst_image *image;
  assert_int_equal(rst_image_decode("f", b->data, b->size, NULL, &image, &err), RST_ERROR_INPUT);
  assert_string_equal(err.message, message);
}

/* Where `bytes` stand, after `from`. */
static size_t place_of(const blob *b, const void *bytes, size_t size, size_t from) {
  for (size_t at = from; at + size <= b->size; at++)
    if (memcmp(b->data + at, bytes, size) == 0) return at;
  fail_msg("not there");
  return 0;
}

/* Puts `size` bytes before an item's own, at the end of the file. `place` is that of its place, length behind
 * it. */
static void put_before(blob *b, size_t place, const void *bytes, size_t size) {
  const size_t begin = rst_be32(b->data + place), length = rst_be32(b->data + place + 10), end = b->size;
  blob old = {0};
  blob_put(&old, b->data + begin, length);
  blob_put(b, bytes, size);
  blob_put(b, old.data, length);
  rst_put_be32(b->data + place, (uint32_t)end);
  rst_put_be32(b->data + place + 10, (uint32_t)(size + length));
  blob_free(&old);
}

/* ---- Pictures made of pictures --------------------------------------------------------------- */

static void test_sound_files_pass(void **state) {
  (void)state;
  static const char *const paths[] = {HEIC, AVIF};
  for (size_t i = 0; i < 2; i++) {
    blob b = blob_of_file(paths[i]);
    rst_error err = {.message = ""};
    if (check(&b, &err) != RST_OK) fail_msg("%s: %s", paths[i], err.message);
    blob_free(&b);
  }
}

/* libheif decodes such a picture in threads without end. */
static void test_picture_made_of_itself(void **state) {
  (void)state;
  blob b = blob_of_file(HEIC);
  const size_t at = place_of(&b, "dimg\0\2\0\1\0\1", 10, 0);
  b.data[at + 9] = 2;
  expect_refused(&b, "f: HEIF: damaged: a picture that is made of itself");
  memcpy(b.data + at, "auxl", 4); /* its own alpha */
  expect_refused(&b, "f: HEIF: damaged: a picture that is made of itself");
  memcpy(b.data + at, "thmb", 4); /* which nobody decodes */
  rst_error err;
  assert_int_equal(check(&b, &err), RST_OK);
  blob_free(&b);
}

static void test_reference_longer_than_its_box(void **state) {
  (void)state;
  blob b = blob_of_file(HEIC);
  b.data[place_of(&b, "dimg\0\2\0\1\0\1", 10, 0) + 7] = 2;
  expect_refused(&b, "f: HEIF: damaged: a reference has another size than its box");
  blob_free(&b);
}

static void test_other_coders_are_refused(void **state) {
  (void)state;
  blob b = blob_of_file(HEIC);
  memcpy(b.data + place_of(&b, "hvc1", 4, 0), "jpeg", 4);
  expect_refused(&b, "f: HEIF: damaged: a picture of another kind than HEVC and AV1");
  blob_free(&b);
}

/* ---- Bounds ---------------------------------------------------------------------------------- */

/* Ends a box that began at `begin`, with room for its size. */
static void end_box(blob *b, size_t begin) {
  rst_put_be32(b->data + begin, (uint32_t)(b->size - begin));
}

static size_t begin_box(blob *b, const char *type) {
  const size_t begin = b->size;
  blob_be32(b, 0);
  blob_text(b, type);
  return begin;
}

static size_t begin_full_box(blob *b, const char *type, uint32_t version) {
  const size_t begin = begin_box(b, type);
  blob_be32(b, version << 24);
  return begin;
}

static void put_reference(blob *b, const char *type, unsigned from, unsigned to) {
  const size_t box = begin_box(b, type);
  blob_be16(b, from);
  blob_be16(b, 1);
  blob_be16(b, to);
  end_box(b, box);
}

/* Items 1, which is the picture, to `items`, each the same as what it is made of. */
static void put_identities(blob *b, unsigned items) {
  size_t box = begin_full_box(b, "pitm", 0);
  blob_be16(b, 1);
  end_box(b, box);
  box = begin_full_box(b, "iinf", 0);
  blob_be16(b, items);
  for (unsigned i = 1; i <= items; i++) {
    const size_t entry = begin_full_box(b, "infe", 2);
    blob_be16(b, i);
    blob_be16(b, 0);
    blob_text(b, "iden");
    blob_u8(b, 0);
    end_box(b, entry);
  }
  end_box(b, box);
}

/* A chain of identities, and item 2 as the alpha of one that is not there, so many times. */
static blob references(unsigned items, unsigned alphas) {
  blob b = {0};
  const size_t meta = begin_full_box(&b, "meta", 0);
  put_identities(&b, items);
  const size_t box = begin_full_box(&b, "iref", 0);
  for (unsigned i = 1; i < items; i++) put_reference(&b, "dimg", i, i + 1);
  for (unsigned i = 0; i < alphas; i++) put_reference(&b, "auxl", 2, items + 1);
  end_box(&b, box);
  end_box(&b, meta);
  return b;
}

static void expect_bound(unsigned items, unsigned alphas, const char *message) {
  blob b = references(items, alphas);
  rst_error err = {.message = ""};
  assert_int_equal(check(&b, &err), message == NULL ? RST_OK : RST_ERROR_INPUT);
  assert_string_equal(err.message, message == NULL ? "" : message);
  blob_free(&b);
}

static void test_depth_is_bounded(void **state) {
  (void)state;
  expect_bound(9, 0, NULL);
  expect_bound(10, 0,
               "f: HEIF: damaged: a picture that is made of pictures that are made of pictures, and so on");
}

static void test_references_are_bounded(void **state) {
  (void)state;
  expect_bound(2, 2047, NULL);
  expect_bound(2, 2048, "f: HEIF: damaged: too many references");
}

/* ---- Sizes ----------------------------------------------------------------------------------- */

/* That of h.heic, with 16384 x 16384 in place of 64 x 64. */
static const uint8_t LARGE[] = {0x42, 0x01, 0x01, 0x03, 0x70, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00,
                                0x03, 0x00, 0x00, 0x03, 0x00, 0x1e, 0xa0, 0x00, 0x20, 0x00, 0x80, 0x01,
                                0x00, 0x05, 0x96, 0xea, 0xae, 0x9a, 0xe6, 0xe0, 0x40, 0x40, 0xc0, 0x80,
                                0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x03, 0x00, 0x84};
#define LARGE_MESSAGE \
  "f: HEIF: 268439552 pixels have to be decoded for a picture of 24 x 20, expected 4201984"

/* Reduced, and 65536 x 65536; in a unit of that kind with its size. */
static const uint8_t LARGE_AV1[] = {0x0a, 7, 0x18, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xc0};

static void test_sizes_of_streams(void **state) {
  (void)state;
  blob heic = blob_of_file(HEIC), avif = blob_of_file(AVIF);
  const size_t unit = place_of(&heic, "\x42\1\1\3", 4, 0);
  assert_int_equal(rst_hevc_unit_pixels(heic.data + unit, 42), 64 * 64);
  assert_int_equal(rst_hevc_unit_pixels(LARGE, sizeof LARGE), 1 << 28);
  assert_int_equal(rst_hevc_unit_pixels(LARGE, 20), UINT64_MAX);
  assert_int_equal(rst_hevc_unit_pixels((const uint8_t *)"\x40\1", 2), 0);
  const size_t stream = place_of(&avif, "mdat", 4, 0) + 4;
  assert_int_equal(rst_av1_pixels(avif.data + stream, avif.size - stream), 24 * 20);
  assert_int_equal(rst_av1_pixels(LARGE_AV1, sizeof LARGE_AV1), UINT64_C(1) << 32);
  /* One that is not reduced says how many bits sizes have, 5 and 4, and frames may use all of them. Before
   * that it has all that it can have: timing, delays, two points, one of a high level. */
  static const uint8_t open[] = {0x08, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                 0x03, 0x8c, 0x00, 0x00, 0x00, 0x00, 0x00, 0x84, 0x00,
                                 0x11, 0x80, 0x20, 0x00, 0x00, 0x10, 0xee, 0x70};
  assert_int_equal(rst_av1_pixels(open, sizeof open), 32 * 16);
  assert_int_equal(rst_av1_pixels(open, sizeof open - 2), UINT64_MAX);
  blob_free(&heic);
  blob_free(&avif);
}

/* In the decoder's configuration, where the encoder puts it: 1.2 GB for each tile. */
static void test_size_in_the_configuration(void **state) {
  (void)state;
  enum { OLD = 42, MORE = sizeof LARGE - OLD };
  blob b = blob_of_file(HEIC), large = {0};
  const size_t unit = place_of(&b, "\0\x2a\x42\1\1\3", 6, 0) + 2;
  static const char *const boxes[] = {"meta", "iprp", "ipco", "hvcC"};
  for (size_t i = 0; i < 4; i++) {
    uint8_t *size = b.data + place_of(&b, boxes[i], 4, 0) - 4;
    rst_put_be32(size, rst_be32(size) + MORE);
  }
  b.data[unit - 1] = sizeof LARGE;
  uint8_t *place = b.data + place_of(&b, "\0\0\1\xd1", 4, 0);
  rst_put_be32(place, rst_be32(place) + MORE);
  blob_put(&large, b.data, unit);
  blob_put(&large, LARGE, sizeof LARGE);
  blob_put(&large, b.data + unit + OLD, b.size - unit - OLD);
  expect_refused(&large, LARGE_MESSAGE);
  blob_free(&large);
  blob_free(&b);
}

/* In the stream, which is where AV1 has it, and where HEVC may change it. */
static void test_size_in_the_stream(void **state) {
  (void)state;
  uint8_t unit[4 + sizeof LARGE];
  blob b = blob_of_file(HEIC);
  rst_put_be32(unit, sizeof LARGE);
  memcpy(unit + 4, LARGE, sizeof LARGE);
  put_before(&b, place_of(&b, "\0\0\1\xd1", 4, 0), unit, sizeof unit);
  expect_refused(&b, LARGE_MESSAGE);
  blob_free(&b);
  b = blob_of_file(AVIF);
  put_before(&b, place_of(&b, "\0\0\1\x0e", 4, 0), LARGE_AV1, sizeof LARGE_AV1);
  expect_refused(&b,
                 "f: HEIF: 4294967296 pixels have to be decoded for a picture of 24 x 20, expected 4201984");
  blob_free(&b);
}

/* Pieces whose places and sizes take no bytes in the file: there can be any number of them. */
static void test_pieces_and_bytes_of_items_are_bounded(void **state) {
  (void)state;
  blob b = blob_of_file(HEIC);
  uint8_t *places = b.data + place_of(&b, "iloc", 4, 0) + 4;
  memcpy(places, "\1\0\0\0\0\0\0\1\0\1\0\0\0\0\xff\xff", 16);
  expect_refused(&b, "f: HEIF: damaged: its items are in too many pieces");
  places[14] = 0; /* 255 */
  expect_refused(&b, "f: HEIF: damaged: its items have more bytes than the file");
  blob_free(&b);
}

/* ---- Damage ---------------------------------------------------------------------------------- */

/* Any byte of the boxes, and any end: an answer, and nothing read beyond them. */
static void test_damage_is_an_answer(void **state) {
  (void)state;
  static const char *const paths[] = {HEIC, AVIF};
  static const uint8_t values[] = {0, 1, 2, 0x7f, 0x80, 0xff};
  for (size_t i = 0; i < 2; i++) {
    blob b = blob_of_file(paths[i]);
    for (size_t at = 0; at < b.size; at++) {
      const uint8_t old = b.data[at];
      rst_error err;
      for (size_t v = 0; v < sizeof values; v++) {
        b.data[at] = values[v];
        const rst_status status = check(&b, &err);
        assert_true(status == RST_OK || (status == RST_ERROR_INPUT && strlen(err.message) > 10));
      }
      b.data[at] = old;
      blob cut = {0}; /* with an end that sanitizers see */
      blob_put(&cut, b.data, at);
      check(&cut, &err);
      blob_free(&cut);
    }
    blob_free(&b);
  }
}

static rst_status check_file(void *user, rst_error *err) {
  return check(user, err);
}

static void test_every_failed_allocation_is_out_of_memory(void **state) {
  (void)state;
  blob b = blob_of_file(HEIC);
  assert_true(fail_each_alloc(check_file, &b) >= 2);
  blob_free(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sound_files_pass),
      cmocka_unit_test(test_picture_made_of_itself),
      cmocka_unit_test(test_reference_longer_than_its_box),
      cmocka_unit_test(test_other_coders_are_refused),
      cmocka_unit_test(test_depth_is_bounded),
      cmocka_unit_test(test_references_are_bounded),
      cmocka_unit_test(test_sizes_of_streams),
      cmocka_unit_test(test_size_in_the_configuration),
      cmocka_unit_test(test_size_in_the_stream),
      cmocka_unit_test(test_pieces_and_bytes_of_items_are_bounded),
      cmocka_unit_test(test_damage_is_an_answer),
      cmocka_unit_test(test_every_failed_allocation_is_out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
