/* Files that cameras, scanners, web pages and other programs make, with faults that do no harm, and what they
 * say about their pictures: files of tests/data/images, whose pixels djpeg and ImageMagick agree upon. */
#include <string.h>

#include <zlib.h>

#include "support/blob.h"
#include "support/cmocka_all.h"
#include "support/pictures.h"

typedef struct told {
  int warnings;
  char last[256];
} told;

static void on_warning(void *user, const char *message) {
  told *t = user;
  t->warnings++;
  snprintf(t->last, sizeof t->last, "%s", message);
}

/* The file; `told` gets what was said. */
static rst_image *read_told(const char *name, told *t) {
  char path[128];
  rst_image *image;
  rst_error err = {.message = ""};
  rst_image_read_options how;
  rst_image_read_options_init(&how);
  memset(t, 0, sizeof *t);
  how.warning = on_warning;
  how.user = t;
  snprintf(path, sizeof path, "tests/data/images/%s", name);
  if (rst_image_read(path, &how, &image, &err) != RST_OK) fail_msg("%s", err.message);
  return image;
}

static uint32_t checksum(const rst_image *image) {
  const size_t size = image->width * image->height * (size_t)image->channels * rst_sample_size(image->sample);
  return (uint32_t)adler32_z(1, image->samples, size);
}

static void test_faults_that_do_no_harm_are_told(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int channels;
    uint32_t checksum; /* Adler-32 of ImageMagick's pixels */
    const char *warning;
  } files[] = {
      {"base.jpg", 3, 0x9e5ac274, ""},
      {"marker0.jpg", 3, 0x9e5ac274, ""},
      {"nodht.jpg", 3, 0x9e5ac274, ""},
      {"noeoi.jpg", 3, 0x9e5ac274, "JPEG: Premature end of JPEG file"},
      {"samsung.jpg", 3, 0x9e5ac274, ""},
      {"g.jpg", 1, 0x503ff094, ""},
      {"or6.jpg", 3, 0x2e6c100e, ""},
      {"p_apng1.png", 3, 0x2f1b5e3e, "PNG: is animated; only its still picture is read"},
      {"p_badtext.png", 3, 0x2f1b5e3e, "PNG: chunk tEXt is left out: it is damaged (its CRC is wrong)"},
      {"p_badtime_after.png", 3, 0x2f1b5e3e, "PNG: chunk tIME is left out: it is damaged (its CRC is wrong)"},
      {"p_extra.png", 3, 0x2f1b5e3e, "PNG: more compressed bytes than the pixels need"},
      {"p_pal2_long.png", 3, 0x909c420a, "PNG: chunk PLTE has 256 colours, of which 2 bits reach 4"},
      {"p_pal_trns_first.png", 3, 0xb34c4264, "PNG: chunk tRNS is left out: it comes before the palette"},
      {"p_pal_trns_long.png", 3, 0xb34c4264, "PNG: chunk tRNS is left out: its size is wrong"},
      {"p_rgb_plte_after.png", 3, 0x2f1b5e3e, "PNG: chunk PLTE is left out: it comes after the pixels"},
      {"p_rgba_trns.png", 4, 0xbd61485b, "PNG: chunk tRNS is left out: the picture has alpha"},
      {"p_trns_late.png", 3, 0x2f1b5e3e, "PNG: chunk tRNS is left out: it comes after the pixels"},
      {"p_trns_short.png", 3, 0x2f1b5e3e, "PNG: chunk tRNS is left out: its size is wrong"},
  };
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    told t;
    rst_image *image = read_told(files[i].name, &t);
    assert_int_equal(image->channels, files[i].channels);
    if (checksum(image) != files[i].checksum) fail_msg("%s: %08x", files[i].name, checksum(image));
    assert_int_equal(t.warnings, files[i].warning[0] != '\0');
    if (strstr(t.last, files[i].warning) == NULL) fail_msg("%s", t.last);
    rst_image_free(image);
  }
}

static void test_cmyk_without_a_marker_is_plain_ink(void **state) {
  (void)state;
  static const uint8_t bars[3][3] = {{0, 255, 255}, {255, 0, 255}, {255, 255, 0}};
  told t;
  rst_image *image = read_told("ck_noadobe.jpg", &t);
  assert_int_equal(image->channels, 3);
  for (size_t y = 0; y < 16; y++)
    for (size_t x = 0; x < 24; x++)
      for (size_t c = 0; c < 3; c++) {
        int wanted = y < 8 ? bars[x / 8][c] : bars[x / 8][c] / 2,
            v = ((uint8_t *)image->samples)[(y * 24 + x) * 3 + c];
        assert_in_range(v - wanted + 100, 96, 104);
      }
  rst_image_free(image);
}

/* The same file with a profile: a segment behind its first marker. */
static void test_cmyk_profiles_are_told(void **state) {
  (void)state;
  static const uint8_t segment[] =
      "\xff\xe2\0\x11"
      "ICC_PROFILE\0\1\1!"; /* one part of one, of a byte */
  told t = {0};
  rst_image *image;
  rst_image_read_options how;
  rst_image_read_options_init(&how);
  how.warning = on_warning;
  how.user = &t;
  blob file = blob_of_file("tests/data/images/ck_noadobe.jpg"), with = {0};
  blob_put(&with, file.data, 2);
  blob_put(&with, segment, sizeof segment - 1);
  blob_put(&with, file.data + 2, file.size - 2);
  assert_int_equal(rst_image_decode("f", with.data, with.size, &how, &image, NULL), RST_OK);
  assert_string_equal(t.last, "f: JPEG: its CMYK profile is not used: colours are approximate");
  size_t size;
  assert_null(rst_image_metadata(image, RST_METADATA_ICC, &size));
  rst_image_free(image);
  blob_free(&with);
  blob_free(&file);
}

static void test_pfm_of_other_programs(void **state) {
  (void)state;
  told t;
  rst_image *plain = read_told("f_le.pfm", &t), *crlf = read_told("f_crlf.pfm", &t),
            *blank = read_told("f_trailsp.pfm", &t), *photoshop = read_told("f_ps.pfm", &t);
  assert_true(((float *)plain->samples)[plain->channels] > 0.09f);
  picture_assert_equal(plain, crlf);
  picture_assert_equal(plain, blank);
  const float *top = photoshop->samples;
  const size_t row = photoshop->width * (size_t)photoshop->channels;
  assert_true(top[0] < top[(photoshop->height - 1) * row]);
  rst_image_free(plain);
  rst_image_free(crlf);
  rst_image_free(blank);
  rst_image_free(photoshop);
}

/* ---- Orientation --------------------------------------------------------------------------- */

/* A grey file of 2 x 3 pixels, 1 2 / 3 4 / 5 6, whose EXIF has that orientation in that byte order. */
static blob oriented_png(int orientation, bool big) {
  static const uint8_t raw[] = {0, 1, 2, 0, 3, 4, 0, 5, 6};
  uint8_t little_exif[] = "II*\0\x8\0\0\0\1\0\x12\1\3\0\1\0\0\0?\0\0\0\0\0\0\0",
          big_exif[] = "MM\0*\0\0\0\x8\0\1\1\x12\0\3\0\0\0\1\0?\0\0\0\0\0\0";
  blob file = {0}, zlib = {0};
  little_exif[18] = big_exif[19] = (uint8_t)orientation;
  blob_zlib(&zlib, raw, sizeof raw);
  blob_png_header(&file, 2, 3, 8, 0, 0);
  blob_png_chunk(&file, "eXIf", big ? big_exif : little_exif, 26);
  blob_png_chunk(&file, "pHYs", "\0\0\0\1\0\0\0\2\1", 9);
  blob_png_chunk(&file, "IDAT", zlib.data, zlib.size);
  blob_png_chunk(&file, "IEND", NULL, 0);
  blob_free(&zlib);
  return file;
}

static void test_orientations_are_applied_and_reset(void **state) {
  (void)state;
  static const char *const expected[] = {"",       "123456", "214365", "654321", "563412",
                                         "135246", "531642", "642531", "246135"};
  for (int big = 0; big < 2; big++)
    for (int o = 0; o <= 9; o++) {
      blob file = oriented_png(o, big);
      rst_image *image;
      size_t size;
      const int shown = o >= 1 && o <= 8 ? o : 1;
      assert_int_equal(rst_image_decode("f", file.data, file.size, NULL, &image, NULL), RST_OK);
      assert_int_equal(image->width, shown >= 5 ? 3 : 2);
      assert_int_equal(image->height, shown >= 5 ? 2 : 3);
      for (size_t i = 0; i < 6; i++)
        assert_int_equal(((uint8_t *)image->samples)[i], expected[shown][i] - '0');
      const uint8_t *exif = rst_image_metadata(image, RST_METADATA_EXIF, &size);
      assert_int_equal(size, 26);
      assert_int_equal(rst_exif_orientation(exif, size), 1);
      const uint8_t *phys = rst_image_metadata(image, RST_METADATA_PHYS, &size);
      assert_int_equal(phys[3], shown >= 5 ? 2 : 1);
      rst_image_free(image);
      blob_free(&file);
    }
}

static void test_exif_that_is_cut_or_lies_has_no_orientation(void **state) {
  (void)state;
  blob file = oriented_png(6, false);
  const uint8_t *exif = file.data + 33 + 8; /* behind signature, IHDR and its own head */
  assert_int_equal(rst_exif_orientation(exif, 26), 6);
  for (size_t size = 0; size < 22; size++) assert_int_equal(rst_exif_orientation(exif, size), 1);
  uint8_t lying[26];
  memcpy(lying, exif, 26);
  lying[4] = 0xff, lying[7] = 0xff;
  assert_int_equal(rst_exif_orientation(lying, 26), 1);
  memcpy(lying, exif, 26);
  lying[8] = lying[9] = 0xff; /* entries without end */
  lying[10] = 0;
  assert_int_equal(rst_exif_orientation(lying, 26), 1);
  blob_free(&file);
}

/* ---- Metadata ------------------------------------------------------------------------------ */

static rst_image *image_with_everything(void) {
  rst_image *image;
  static const char exif[] = "II*\0\x8\0\0\0\0\0\0\0\0";
  assert_int_equal(rst_image_create(4, 3, 3, RST_SAMPLE_U8, &image, NULL), RST_OK);
  uint8_t profile[70000];
  for (size_t i = 0; i < sizeof profile; i++) profile[i] = (uint8_t)(i * i >> 8);
  assert_int_equal(rst_image_set_metadata(image, RST_METADATA_ICC, profile, sizeof profile, NULL), RST_OK);
  assert_int_equal(rst_image_set_metadata(image, RST_METADATA_EXIF, exif, sizeof exif, NULL), RST_OK);
  assert_int_equal(rst_image_set_metadata(image, RST_METADATA_XMP, "<x/>", 4, NULL), RST_OK);
  assert_int_equal(rst_image_set_metadata(image, RST_METADATA_SRGB, "\1", 1, NULL), RST_OK);
  assert_int_equal(rst_image_set_metadata(image, RST_METADATA_GAMA, "\0\0\xb1\x8f", 4, NULL), RST_OK);
  assert_int_equal(
      rst_image_set_metadata(image, RST_METADATA_CHRM, "0123456789abcdef0123456789abcdef", 32, NULL), RST_OK);
  assert_int_equal(rst_image_set_metadata(image, RST_METADATA_CICP, "\x9\x10\0\1", 4, NULL), RST_OK);
  /* 300 and 600 dots per inch */
  assert_int_equal(rst_image_set_metadata(image, RST_METADATA_PHYS, "\0\0\x2e\x23\0\0\x5c\x46\1", 9, NULL),
                   RST_OK);
  assert_int_equal(rst_image_add_text(image, "Comment", "of the picture", NULL), RST_OK);
  assert_int_equal(rst_image_add_text(image, "Author", "\xc3\xa4\xe2\x82\xac", NULL), RST_OK);
  return image;
}

static void assert_same(const rst_image *a, const rst_image *b, rst_metadata kind) {
  size_t n, m;
  const void *p = rst_image_metadata(a, kind, &n), *q = rst_image_metadata(b, kind, &m);
  assert_int_equal(n, m);
  if (n > 0) assert_memory_equal(p, q, n);
}

/* Written in the format and read again. */
static rst_image *through(const rst_image *image, const char *format, bool strip, told *t) {
  void *data;
  size_t size;
  rst_image *back;
  rst_image_write_options how;
  rst_image_write_options_init(&how);
  memset(t, 0, sizeof *t);
  how.format = format;
  how.strip = strip;
  how.warning = on_warning;
  how.user = t;
  assert_int_equal(rst_image_encode(image, &how, &data, &size, NULL), RST_OK);
  assert_int_equal(rst_image_decode("f", data, size, NULL, &back, NULL), RST_OK);
  rst_free(data);
  return back;
}

static void test_png_keeps_everything(void **state) {
  (void)state;
  told t;
  rst_image *image = image_with_everything(), *back = through(image, "png", false, &t);
  for (int k = 0; k < RST_METADATA_TEXT; k++) assert_same(image, back, (rst_metadata)k);
  assert_int_equal(rst_image_text_count(back), 2);
  const char *keyword;
  assert_string_equal(rst_image_text(back, 1, &keyword), "\xc3\xa4\xe2\x82\xac");
  assert_string_equal(keyword, "Author");
  assert_null(rst_image_text(back, 2, NULL));
  assert_int_equal(t.warnings, 0);
  rst_image_free(back);
  rst_image_free(image);
}

static void test_jpeg_keeps_what_it_can_and_says_the_rest(void **state) {
  (void)state;
  told t;
  rst_image *image = image_with_everything(), *back = through(image, "jpeg", false, &t);
  assert_same(image, back, RST_METADATA_ICC); /* more than one segment */
  assert_same(image, back, RST_METADATA_EXIF);
  assert_same(image, back, RST_METADATA_XMP);
  assert_same(image, back, RST_METADATA_PHYS);
  assert_int_equal(rst_image_text_count(back), 2);
  assert_string_equal(rst_image_text(back, 0, NULL), "of the picture");
  assert_string_equal(rst_image_text(back, 1, NULL), "Author: \xc3\xa4\xe2\x82\xac");
  assert_string_equal(t.last, "the encoded picture: JPEG holds no cICP: left out");
  assert_int_equal(t.warnings, 1);
  rst_image_free(back);
  rst_image_free(image);
}

/* Of a JPEG with that comment, which has `size` bytes. */
static void assert_comment(const char *comment, size_t size, const char *expected) {
  char placeholder[64] = {0};
  void *data;
  size_t file_size;
  rst_image *image, *back;
  rst_image_write_options how;
  rst_image_write_options_init(&how);
  how.format = "jpeg";
  assert_int_equal(rst_image_create(4, 3, 3, RST_SAMPLE_U8, &image, NULL), RST_OK);
  memset(placeholder, '_', size);
  assert_int_equal(rst_image_add_text(image, "Comment", placeholder, NULL), RST_OK);
  assert_int_equal(rst_image_encode(image, &how, &data, &file_size, NULL), RST_OK);
  uint8_t *at = data;
  while (memcmp(at, placeholder, size) != 0) at++;
  memcpy(at, comment, size);
  assert_int_equal(rst_image_decode("f", data, file_size, NULL, &back, NULL), RST_OK);
  assert_int_equal(rst_image_text_count(back), expected != NULL);
  if (expected != NULL) assert_string_equal(rst_image_text(back, 0, NULL), expected);
  rst_image_free(back);
  rst_image_free(image);
  rst_free(data);
}

#define ASSERT_COMMENT(comment, expected) assert_comment(comment, sizeof(comment) - 1, expected)

static void test_comments_of_a_jpeg_in_other_encodings(void **state) {
  (void)state;
  ASSERT_COMMENT("caf\xc3\xa9", "caf\xc3\xa9");
  ASSERT_COMMENT("caf\xe9 \xa9 \xff", "caf\xc3\xa9 \xc2\xa9 \xc3\xbf"); /* Latin-1 */
  ASSERT_COMMENT("\xc3\xa9 caf\xe9", "\xc3\x83\xc2\xa9 caf\xc3\xa9");   /* not UTF-8 as a whole */
  ASSERT_COMMENT("ends with 0\0", "ends with 0");
  ASSERT_COMMENT("two\0parts\0\xe9\0", "twoparts\xc3\xa9");
  ASSERT_COMMENT("\0\0\0\0\0\0\0\0", NULL);
}

static void test_formats_without_metadata_say_so(void **state) {
  (void)state;
  told t;
  rst_image *image = image_with_everything(), *back = through(image, "bmp", false, &t);
  assert_int_equal(t.warnings, 1);
  assert_string_equal(t.last, "the encoded picture: BMP holds no colour profile, EXIF, XMP, cICP: left out");
  rst_image_free(back);
  rst_image_free(image);
}

static void test_stripped_files_have_none(void **state) {
  (void)state;
  static const char *const formats[] = {"png", "jpeg", "bmp"};
  for (size_t i = 0; i < 3; i++) {
    told t;
    rst_image *image = image_with_everything(), *back = through(image, formats[i], true, &t);
    assert_int_equal(rst_image_metadata_kinds(back), 0);
    assert_int_equal(t.warnings, 0);
    rst_image_free(back);
    rst_image_free(image);
  }
}

static void test_profiles_of_files_survive(void **state) {
  (void)state;
  static const char *const names[] = {"icc.png", "icc.jpg"}, *const formats[] = {"png", "jpeg"};
  for (size_t i = 0; i < 4; i++) {
    told t;
    size_t size;
    rst_image *image = read_told(names[i % 2], &t), *back = through(image, formats[i / 2], false, &t);
    assert_non_null(rst_image_metadata(image, RST_METADATA_ICC, &size));
    assert_memory_equal((const char *)rst_image_metadata(image, RST_METADATA_ICC, &size) + 36, "acsp", 4);
    assert_same(image, back, RST_METADATA_ICC);
    rst_image_free(back);
    rst_image_free(image);
  }
  told t;
  rst_image *linear = read_told("lin.png", &t), *back = through(linear, "jpeg", false, &t);
  size_t size;
  assert_memory_equal(rst_image_metadata(linear, RST_METADATA_GAMA, &size), "\0\1\x86\xa0", 4);
  assert_string_equal(t.last, "the encoded picture: JPEG holds no gamma: left out");
  rst_image_free(back);
  rst_image_free(linear);
}

static void test_wrong_metadata_are_refused(void **state) {
  (void)state;
  rst_image *image;
  assert_int_equal(rst_image_create(1, 1, 1, RST_SAMPLE_U8, &image, NULL), RST_OK);
  assert_int_equal(rst_image_set_metadata(image, RST_METADATA_GAMA, "123", 3, NULL), RST_ERROR_USAGE);
  assert_int_equal(rst_image_set_metadata(image, RST_METADATA_TEXT, "123", 3, NULL), RST_ERROR_USAGE);
  assert_int_equal(rst_image_add_text(image, "", "x", NULL), RST_ERROR_USAGE);
  rst_image_free(image);
}

/* ---- Alpha --------------------------------------------------------------------------------- */

static void test_alpha_is_put_on_a_background(void **state) {
  (void)state;
  told t;
  rst_image *disc = read_told("tr.png", &t), *back = through(disc, "jpeg", false, &t);
  assert_int_equal(disc->channels, 4);
  assert_int_equal(back->channels, 3);
  for (size_t c = 0; c < 3; c++) assert_in_range(((uint8_t *)back->samples)[c], 250, 255);
  assert_string_equal(t.last, "the encoded picture: JPEG has no alpha: put on the background #ffffff");
  rst_image_free(back);
  rst_image_free(disc);
}

static void test_backgrounds_mix_by_alpha(void **state) {
  (void)state;
  static const uint8_t background[] = {255, 0, 51};
  uint8_t rgba[] = {0, 100, 200, 255, 10, 20, 30, 0, 0, 255, 0, 51}, grey_alpha[] = {100, 255, 7, 0}, row[9];
  rst_image color = {.width = 3, .height = 1, .channels = 4, .samples = rgba},
            grey = {.width = 2, .height = 1, .channels = 2, .samples = grey_alpha};
  rst_image_row(&color, 0, RST_SAMPLE_U8, background, row);
  assert_memory_equal(row, ((uint8_t[]){0, 100, 200, 255, 0, 51, 204, 51, 41}), 9);
  rst_image_row(&grey, 0, RST_SAMPLE_U8, background, row);
  assert_memory_equal(row, ((uint8_t[]){100, 82}), 2); /* 0.299 * 255 + 0.114 * 51 */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_faults_that_do_no_harm_are_told),
      cmocka_unit_test(test_cmyk_without_a_marker_is_plain_ink),
      cmocka_unit_test(test_cmyk_profiles_are_told),
      cmocka_unit_test(test_pfm_of_other_programs),
      cmocka_unit_test(test_orientations_are_applied_and_reset),
      cmocka_unit_test(test_exif_that_is_cut_or_lies_has_no_orientation),
      cmocka_unit_test(test_png_keeps_everything),
      cmocka_unit_test(test_jpeg_keeps_what_it_can_and_says_the_rest),
      cmocka_unit_test(test_comments_of_a_jpeg_in_other_encodings),
      cmocka_unit_test(test_formats_without_metadata_say_so),
      cmocka_unit_test(test_stripped_files_have_none),
      cmocka_unit_test(test_profiles_of_files_survive),
      cmocka_unit_test(test_wrong_metadata_are_refused),
      cmocka_unit_test(test_alpha_is_put_on_a_background),
      cmocka_unit_test(test_backgrounds_mix_by_alpha),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
