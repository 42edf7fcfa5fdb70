/* stb's compressor makes a complete zlib stream of one block: a final one, either of fixed Huffman codes or
 * stored. Several become one stream when their headers and checksums go, no block claims to be the final one,
 * and each ends on a whole byte, where the next begins. (RFC 1950, RFC 1951.) */
#include "image/deflate.h"

#include <string.h>

#include "base/memory.h"
#include "image/stb.h"

enum { ZLIB_HEADER = 2, ADLER_SIZE = 4, STORED_MAX = 65535, STORED_HEADER = 5, SYNC_MAX = 5 };

/* Adler-32 of `size` more bytes. */
static uint32_t adler32(uint32_t adler, const uint8_t *data, size_t size) {
  enum { MODULUS = 65521, CHUNK = 5552 }; /* the most sums that 32 bits hold */
  uint32_t a = adler & 0xffff, b = adler >> 16;
  while (size > 0) {
    size_t n = size < CHUNK ? size : CHUNK;
    for (size_t i = 0; i < n; i++) a += data[i], b += a;
    a %= MODULUS, b %= MODULUS;
    data += n;
    size -= n;
  }
  return b << 16 | a;
}

bool rst_deflate_begin(rst_deflate *d) {
  /* Behind what the compressor needs: room for a piece that is stored, should that not be enough. */
  size_t stored = RST_DEFLATE_PIECE + STORED_HEADER * (RST_DEFLATE_PIECE / STORED_MAX + 1) + ZLIB_HEADER;
  *d = (rst_deflate){.adler = 1, .scratch_size = rst_stb_deflate_scratch(RST_DEFLATE_PIECE) + stored};
  d->scratch = rst_alloc(d->scratch_size, 1);
  return d->scratch != NULL;
}

void rst_deflate_free(rst_deflate *d) {
  rst_free(d->scratch);
  *d = (rst_deflate){0};
}

/* ---- The bits of a block of fixed codes ---------------------------------------------------- */

typedef struct bit_reader {
  const uint8_t *data;
  size_t position, end; /* bits */
} bit_reader;

static unsigned take_bits(bit_reader *r, unsigned n) {
  unsigned v = 0;
  for (unsigned i = 0; i < n && r->position < r->end; i++, r->position++)
    v |= (unsigned)(r->data[r->position / 8] >> r->position % 8 & 1) << i;
  return v;
}

/* `n` bits of a Huffman code, which come with the highest first, after `code`. */
static unsigned take_code(bit_reader *r, unsigned n, unsigned code) {
  while (n-- > 0) code = code << 1 | take_bits(r, 1);
  return code;
}

/* The next literal (0..255), end of block (256) or length (257..287) of the fixed code. */
static unsigned take_symbol(bit_reader *r) {
  unsigned code = take_code(r, 7, 0);
  if (code < 0x18) return 256 + code;
  code = take_code(r, 1, code);
  if (code < 0xc0) return code - 0x30;
  if (code < 0xc8) return 280 + code - 0xc0;
  return 144 + take_code(r, 1, code) - 0x190;
}

/* The position behind the end-of-block symbol, in bits; r->end when there is none. */
static size_t find_block_end(bit_reader *r) {
  while (r->position < r->end) {
    unsigned symbol = take_symbol(r);
    if (symbol < 256) continue;
    if (symbol == 256) return r->position;
    if (symbol >= 265 && symbol < 285) take_bits(r, (symbol - 261) / 4); /* the length's extra bits */
    unsigned distance = take_code(r, 5, 0);
    if (distance >= 4) take_bits(r, (distance - 2) / 2);
  }
  return r->end;
}

/* ---- Pieces -------------------------------------------------------------------------------- */

/* An empty stored block: three bits, the rest of the byte, and a length of 0. `used` bits of the last byte
 * are. */
static size_t put_sync(uint8_t *out, size_t used) {
  static const uint8_t sync[SYNC_MAX] = {0, 0, 0, 0xff, 0xff};
  size_t n =
      used > 0 && used <= 5 ? SYNC_MAX - 1 : SYNC_MAX; /* whether the three bits fit into the last byte */
  memcpy(out, sync + SYNC_MAX - n, n);
  return n;
}

/* Makes the compressor's only block one of several: its `size` bytes at `out`, without header and checksum.
 * Returns the new size. */
static size_t open_end(uint8_t *out, size_t size) {
  enum { FINAL = 1, STORED = 0 };
  if ((out[0] >> 1 & 3) != STORED) {
    out[0] &= (uint8_t)~FINAL;
    bit_reader r = {out, 3, 8 * size};
    size_t end = find_block_end(&r);
    size_t bytes = (end + 7) / 8;
    return bytes + put_sync(out + bytes, end % 8);
  }
  for (size_t i = 0; i + STORED_HEADER <= size; i += STORED_HEADER + rst_le16(out + i + 1))
    out[i] &= (uint8_t)~FINAL;
  return size;
}

static size_t store(const uint8_t *data, size_t size, uint8_t *out) {
  uint8_t *p = out;
  while (size > 0) {
    size_t n = size < STORED_MAX ? size : STORED_MAX;
    *p = 0;
    rst_put_le16(p + 1, (uint32_t)n);
    rst_put_le16(p + 3, (uint32_t)~n);
    memcpy(p + STORED_HEADER, data, n);
    p += STORED_HEADER + n;
    data += n;
    size -= n;
  }
  return (size_t)(p - out);
}

const uint8_t *rst_deflate_piece(rst_deflate *d, const uint8_t *data, size_t size, size_t *out_size) {
  static const uint8_t header[ZLIB_HEADER] = {0x78, 0x5e}; /* a window of 32 KiB, fast compression */
  size_t n;
  uint8_t *out = rst_stb_deflate(data, size, d->scratch, d->scratch_size, &n);
  if (out !=
      NULL) { /* there is room behind it: the checksum's, and more in stb's array or its scratch memory */
    n = open_end(out + ZLIB_HEADER, n - ZLIB_HEADER - ADLER_SIZE);
  } else {
    out = d->scratch;
    n = store(data, size, out + ZLIB_HEADER);
  }
  memcpy(out, header, ZLIB_HEADER);
  d->adler = adler32(d->adler, data, size);
  size_t skip = d->begun ? ZLIB_HEADER : 0; /* only the first piece has the stream's header */
  d->begun = true;
  *out_size = n + ZLIB_HEADER - skip;
  return out + skip;
}

void rst_deflate_end(const rst_deflate *d, uint8_t *out) {
  static const uint8_t last[] = {1, 0, 0, 0xff, 0xff}; /* a final block, stored and empty */
  memcpy(out, last, sizeof last);
  rst_put_be32(out + sizeof last, d->adler);
}
