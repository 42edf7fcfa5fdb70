/* AVIF and HEIC, reading, on libheif: the primary picture, turned as the file says, 8 bits or (of 10 and
 * 12) 16.
 *
 * libheif brings the decoders of several video codecs with it, which would cost every run 4.5 MB and a third
 * more files to open. So it is loaded by the first file that needs it. */
#include <dlfcn.h>
#include <string.h>

#include <libheif/heif.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/heif.h"

#ifdef __APPLE__
#define LIBRARY "libheif.1.dylib"
#else
#define LIBRARY "libheif.so.1"
#endif

#define CALLS(X)                                      \
  X(heif_context_alloc)                               \
  X(heif_context_free)                                \
  X(heif_context_get_primary_image_handle)            \
  X(heif_context_read_from_memory_without_copy)       \
  X(heif_context_set_max_decoding_threads)            \
  X(heif_context_set_maximum_image_size_limit)        \
  X(heif_decode_image)                                \
  X(heif_image_get_height)                            \
  X(heif_image_get_plane_readonly)                    \
  X(heif_image_get_width)                             \
  X(heif_image_handle_get_color_profile_type)         \
  X(heif_image_handle_get_height)                     \
  X(heif_image_handle_get_ispe_height)                \
  X(heif_image_handle_get_ispe_width)                 \
  X(heif_image_handle_get_list_of_metadata_block_IDs) \
  X(heif_image_handle_get_luma_bits_per_pixel)        \
  X(heif_image_handle_get_metadata)                   \
  X(heif_image_handle_get_metadata_size)              \
  X(heif_image_handle_get_nclx_color_profile)         \
  X(heif_image_handle_get_raw_color_profile)          \
  X(heif_image_handle_get_raw_color_profile_size)     \
  X(heif_image_handle_get_width)                      \
  X(heif_image_handle_has_alpha_channel)              \
  X(heif_image_handle_release)                        \
  X(heif_image_release)                               \
  X(heif_nclx_color_profile_free)

enum { EXIF_OFFSET = 4 /* bytes that say where, behind them, the TIFF structure begins */ };

typedef struct library {
#define FIELD(name) __typeof__(name) *name; /* NOLINT(bugprone-macro-parentheses): a declaration */
  CALLS(FIELD)
#undef FIELD
} library;

/* It stays loaded, so loading it again costs a look at a list. */
static bool load(library *l) {
  void *file = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (file == NULL) return false;
#define LOAD(name)                                  \
  l->name = (__typeof__(name) *)dlsym(file, #name); \
  if (l->name == NULL) return false;
  CALLS(LOAD)
#undef LOAD
  return true;
}

void rst_heif_prepare(void) {
  library l;
  load(&l); /* whether it is there is told by reading */
}

static rst_status fail_decoding(const rst_source *source, struct heif_error error) {
  const bool limited = error.subcode == heif_suberror_Security_limit_exceeded; /* by limit_size, too */
  if (error.code == heif_error_Memory_allocation_error && !limited)
    return rst_fail_memory(source->err, source->path);
  return rst_source_fail(source, "HEIF: cannot be decoded (%s)", error.message);
}

static void read_profile(const library *heif, const struct heif_image_handle *handle, rst_image *image) {
  const size_t size = heif->heif_image_handle_get_raw_color_profile_size(handle);
  const enum heif_color_profile_type type = heif->heif_image_handle_get_color_profile_type(handle);
  if (type == heif_color_profile_type_nclx) {
    /* Given even where it is not known, then only to be freed. */
    struct heif_color_profile_nclx *nclx = NULL;
    const bool known =
        heif->heif_image_handle_get_nclx_color_profile(handle, &nclx).code == heif_error_Ok && nclx != NULL;
    if (known) {
      /* The pixels are RGB, full range, by now. */
      const uint8_t cicp[4] = {(uint8_t)nclx->color_primaries, (uint8_t)nclx->transfer_characteristics, 0, 1};
      rst_image_set_metadata(image, RST_METADATA_CICP, cicp, sizeof cicp, NULL);
    }
    if (nclx != NULL) heif->heif_nclx_color_profile_free(nclx);
    return;
  }
  uint8_t *profile = size == 0 ? NULL : rst_image_metadata_alloc(image, size);
  if (profile != NULL && heif->heif_image_handle_get_raw_color_profile(handle, profile).code == heif_error_Ok)
    rst_image_set_metadata(image, RST_METADATA_ICC, profile, size, NULL);
  rst_free(profile);
}

/* The pixels lie as they are to be seen: the orientation that EXIF may repeat is done. */
static void read_exif(const library *heif, const struct heif_image_handle *handle, rst_image *image) {
  heif_item_id id;
  if (heif->heif_image_handle_get_list_of_metadata_block_IDs(handle, "Exif", &id, 1) != 1) return;
  const size_t size = heif->heif_image_handle_get_metadata_size(handle, id);
  uint8_t *data = size <= EXIF_OFFSET ? NULL : rst_image_metadata_alloc(image, size);
  if (data != NULL && heif->heif_image_handle_get_metadata(handle, id, data).code == heif_error_Ok &&
      rst_be32(data) < size - EXIF_OFFSET) {
    uint8_t *exif = data + EXIF_OFFSET + rst_be32(data);
    const size_t n = size - EXIF_OFFSET - rst_be32(data);
    rst_exif_reset_orientation(exif, n);
    rst_image_set_metadata(image, RST_METADATA_EXIF, exif, n, NULL);
  }
  rst_free(data);
}

/* Samples of `bits` bits, in two bytes of this machine's order, to 16 bits or as bytes. */
static void copy_row(const uint8_t *from, int bits, size_t count, rst_sample sample, uint8_t *to) {
  if (sample == RST_SAMPLE_U8) {
    memcpy(to, from, count);
    return;
  }
  const uint32_t max = (1u << bits) - 1;
  for (size_t i = 0; i < count; i++) {
    uint16_t v;
    memcpy(&v, from + 2 * i, sizeof v);
    v = (uint16_t)((v * 65535u + max / 2) / max);
    memcpy(to + 2 * i, &v, sizeof v);
  }
}

/* What is put together from tiles tells its size a second time, in pixels that the library would take memory
 * for: they must not be more than the file says first, or than a tile may have. libheif's limit is a size
 * that is refused. */
static void limit_size(const library *heif, struct heif_context *context,
                       const struct heif_image_handle *handle) {
  enum { TILE = 1024 };
  const int width = heif->heif_image_handle_get_ispe_width(handle),
            height = heif->heif_image_handle_get_ispe_height(handle), side = width > height ? width : height;
  heif->heif_context_set_maximum_image_size_limit(context, (side > TILE ? side : TILE) + 1);
}

static rst_status decode(const library *heif, const rst_source *source,
                         const struct heif_image_handle *handle, rst_image *image) {
  const int bits = heif->heif_image_handle_get_luma_bits_per_pixel(handle);
  const bool alpha = heif->heif_image_handle_has_alpha_channel(handle), wide = bits > 8;
  const int channels = alpha ? 4 : 3;
  const uint16_t one = 1;
  const bool little = *(const uint8_t *)&one == 1;
  const enum heif_chroma forms[2][2] = {
      {heif_chroma_interleaved_RGB, heif_chroma_interleaved_RGBA},
      {little ? heif_chroma_interleaved_RRGGBB_LE : heif_chroma_interleaved_RRGGBB_BE,
       little ? heif_chroma_interleaved_RRGGBBAA_LE : heif_chroma_interleaved_RRGGBBAA_BE}};
  const int width = heif->heif_image_handle_get_width(handle),
            height = heif->heif_image_handle_get_height(handle);
  if (width < 0 || height < 0) return rst_source_fail(source, "HEIF: bad size");
  rst_status status = rst_source_check_size(source, "HEIF", (size_t)width, (size_t)height);
  /* The decoder's planes, the library's RGB, and ours. */
  const uint64_t sample = wide ? 2 : 1;
  if (status == RST_OK)
    status =
        rst_source_check_memory(source, (uint64_t)width * (uint64_t)height * sample * 3 * (unsigned)channels);
  if (status != RST_OK) return status;
  struct heif_image *decoded = NULL;
  struct heif_error error =
      heif->heif_decode_image(handle, &decoded, heif_colorspace_RGB, forms[wide][alpha], NULL);
  if (error.code != heif_error_Ok) return fail_decoding(source, error);
  int stride = 0;
  const uint8_t *plane = heif->heif_image_get_plane_readonly(decoded, heif_channel_interleaved, &stride);
  const size_t w = (size_t)heif->heif_image_get_width(decoded, heif_channel_interleaved),
               h = (size_t)heif->heif_image_get_height(decoded, heif_channel_interleaved);
  status = plane == NULL ? rst_source_fail(source, "HEIF: no pixels")
                         : rst_source_allocate(source, "HEIF", w, h, channels,
                                               wide ? RST_SAMPLE_U16 : RST_SAMPLE_U8, image);
  const size_t row = w * (size_t)channels;
  for (size_t y = 0; status == RST_OK && y < h; y++)
    copy_row(plane + y * (size_t)stride, bits, row, image->sample,
             (uint8_t *)image->samples + y * row * sample);
  heif->heif_image_release(decoded);
  return status;
}

rst_status rst_heif_read(const rst_source *source, rst_image *image) {
  library loaded;
  const library *heif = &loaded;
  if (!load(&loaded))
    return rst_source_fail(source, "HEIF: " LIBRARY " is not there, or too old; it is needed to read this");
  rst_status status = rst_heif_check(source);
  if (status != RST_OK) return status;
  struct heif_context *context = heif->heif_context_alloc();
  struct heif_image_handle *handle = NULL;
  if (context == NULL) return rst_fail_memory(source->err, source->path);
  /* Tiles one after the other: each of several at once takes threads of its own, and where the helper's
   * memory is too little for those, libde265 waits for them all the same. */
  heif->heif_context_set_max_decoding_threads(context, 0);
  struct heif_error error =
      heif->heif_context_read_from_memory_without_copy(context, source->data, source->size, NULL);
  if (error.code == heif_error_Ok) error = heif->heif_context_get_primary_image_handle(context, &handle);
  status = error.code == heif_error_Ok ? RST_OK : fail_decoding(source, error);
  if (status == RST_OK && rst_source_cancelled(source)) status = rst_source_stopped(source);
  if (status == RST_OK) limit_size(heif, context, handle);
  if (status == RST_OK) status = decode(heif, source, handle, image);
  if (status == RST_OK) read_profile(heif, handle, image);
  if (status == RST_OK) read_exif(heif, handle, image);
  if (handle != NULL) heif->heif_image_handle_release(handle);
  heif->heif_context_free(context);
  return status;
}
