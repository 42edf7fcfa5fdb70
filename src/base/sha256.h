/* sha256.h - SHA-256 (FIPS 180-4), in pieces or at once. */
#ifndef RST_BASE_SHA256_H
#define RST_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { RST_SHA256_BYTES = 32, RST_SHA256_HEX = 65 /* 64 digits and the final 0 */ };

typedef struct rst_sha256 {
  uint32_t state[8];
  uint64_t bytes;    /* taken in so far */
  uint8_t block[64]; /* holds bytes % 64 of them */
} rst_sha256;

void rst_sha256_init(rst_sha256 *sha);
void rst_sha256_update(rst_sha256 *sha, const void *data, size_t size);
/* `sha` has to be initialised again before its next use. */
void rst_sha256_final(rst_sha256 *sha, uint8_t digest[RST_SHA256_BYTES]);

/* Lower-case hexadecimal digits, as manifests have them. */
void rst_sha256_hex(const uint8_t digest[RST_SHA256_BYTES], char hex[RST_SHA256_HEX]);

#endif
