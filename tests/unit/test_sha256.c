/* SHA-256 against the examples of FIPS 180-4 (NIST's "SHA-256" example values and the long message). */
#include <string.h>

#include "base/sha256.h"
#include "support/cmocka_all.h"

/* The digest of `repeat` copies of `text`, taken in pieces of `step` bytes. */
static void digest_hex(const char *text, size_t repeat, size_t step, char hex[RST_SHA256_HEX]) {
  rst_sha256 sha;
  uint8_t digest[RST_SHA256_BYTES];
  size_t size = strlen(text);
  rst_sha256_init(&sha);
  for (size_t r = 0; r < repeat; r++)
    for (size_t i = 0; i < size; i += step)
      rst_sha256_update(&sha, text + i, size - i < step ? size - i : step);
  rst_sha256_final(&sha, digest);
  rst_sha256_hex(digest, hex);
}

static void test_fips_vectors(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t repeat;
    const char *hex;
  } vectors[] = {
      {"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopq"
       "rst"
       "nopqrstu",
       1, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
      {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 15625,
       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
    char hex[RST_SHA256_HEX];
    digest_hex(vectors[i].text, vectors[i].repeat, 1000, hex);
    assert_string_equal(hex, vectors[i].hex);
  }
}

static void test_pieces_give_the_same_digest_as_the_whole(void **state) {
  (void)state;
  char text[300];
  for (size_t length = 0; length < sizeof text; length++) { /* every padding length, both padding blocks */
    memset(text, 'x', length);
    text[length] = '\0';
    char whole[RST_SHA256_HEX];
    digest_hex(text, 1, sizeof text, whole);
    for (size_t step = 1; step < 130; step += 21) {
      char pieces[RST_SHA256_HEX];
      digest_hex(text, 1, step, pieces);
      assert_string_equal(pieces, whole);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fips_vectors),
      cmocka_unit_test(test_pieces_give_the_same_digest_as_the_whole),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
