/* A checkpoint in any form (zip, the older plain form, safetensors), up to the architecture that it holds,
 * and the first value of every tensor. */
#include <string.h>

#include <zlib.h>

#include "fuzz.h"
#include "image/image.h"
#include "weights/checkpoint/conversion.h"

/* ---- Checksums of the records of a zip file that are stored as they are -------------------------------- */

enum {
  END = 22, /* bytes of the record at the end of the file, with the number of entries and where they begin */
  END_COUNT = 10,
  END_BEGIN = 16,
  ENTRY = 46, /* of an entry of the directory, before its name */
  ENTRY_METHOD = 10,
  ENTRY_CRC = 16,
  ENTRY_SIZE = 20,
  ENTRY_NAME = 28, /* bytes of the name, of what is extra and of the comment */
  ENTRY_PLACE = 42,
  LOCAL = 30, /* of the header before a record */
  LOCAL_CRC = 14,
  LOCAL_NAME = 26
};

static void mend_record(uint8_t *data, size_t size, uint8_t *entry) {
  const size_t place = rst_le32(entry + ENTRY_PLACE), bytes = rst_le32(entry + ENTRY_SIZE);
  if (rst_le16(entry + ENTRY_METHOD) != 0 || place > size || size - place < LOCAL) return;
  uint8_t *local = data + place;
  const size_t skip = LOCAL + rst_le16(local + LOCAL_NAME) + rst_le16(local + LOCAL_NAME + 2);
  if (size - place < skip || size - place - skip < bytes) return;
  const uint32_t crc = (uint32_t)crc32(0, local + skip, (uInt)bytes);
  rst_put_le32(local + LOCAL_CRC, crc);
  rst_put_le32(entry + ENTRY_CRC, crc);
}

static void mend_zip(uint8_t *data, size_t size) {
  if (size < END || memcmp(data, "PK\3\4", 4) != 0) return;
  const uint8_t *end = data + size - END;
  if (memcmp(end, "PK\5\6", 4) != 0) return;
  size_t at = rst_le32(end + END_BEGIN);
  for (size_t i = rst_le16(end + END_COUNT); i > 0 && at <= size && size - at >= ENTRY; i--) {
    uint8_t *entry = data + at;
    mend_record(data, size, entry);
    at += ENTRY + rst_le16(entry + ENTRY_NAME) + rst_le16(entry + ENTRY_NAME + 2) +
          rst_le16(entry + ENTRY_NAME + 4);
  }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (seed % FUZZ_LEFT_WRONG != 0) mend_zip(data, size);
  return size;
}

/* ---- The target ---------------------------------------------------------------------------------------- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *path = fuzz_file(0, data, size);
  rst_error err = {.message = ""};
  rst_conversion c = {0};
  rst_status status = rst_checkpoint_load(path, NULL, NULL, &c.checkpoint, &err);
  if (status == RST_OK) {
    status = rst_conversion_read(&c, &err);
    for (size_t i = 0; status == RST_OK && i < c.count; i++) {
      float value;
      status = c.values(&c, i, &c.specs[i], 0, 1, &value, &err);
    }
    rst_conversion_close(&c);
  }
  fuzz_check(status, RST_ERROR_WEIGHTS, &err);
  return 0;
}
