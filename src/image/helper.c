/* Decoding in a helper process without rights (src/sandbox): what the decoders of strangers' files may do
 * wrong ends with it. The helper decodes as the process itself would, shares the samples, and sends the rest
 * as records. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/image.h"
#include "sandbox/sandbox.h"

enum { WARNING, LAYOUT, METADATA }; /* kinds of records; of metadata, each kind has its own, from there on */
enum { MOST_TEXTS = 1 << 14 };

/* What the helper tells of the image whose samples it shares. */
typedef struct layout {
  uint64_t width, height;
  int32_t channels, sample;
} layout;

/* ---- In the helper ------------------------------------------------------------------------- */

static void send_warning(void *user, const char *message) {
  rst_sandbox_send(user, WARNING, message, strlen(message));
}

static rst_status send_image(const rst_image *image, const char *name, rst_sandbox *sandbox, rst_error *err) {
  size_t bytes = image->width * image->height * (size_t)image->channels * rst_sample_size(image->sample);
  errno = 0;
  void *samples = rst_sandbox_share(sandbox, bytes);
  if (samples == NULL && errno == EFBIG)
    return rst_fail(
        err, RST_ERROR_MEMORY,
        "%s: its decoder may not share %zu bytes (a limit on the size of files); --no-sandbox does "
        "without",
        name, bytes);
  if (samples == NULL) return rst_fail_memory(err, name);
  memcpy(samples, image->samples, bytes);
  const layout l = {image->width, image->height, image->channels, (int32_t)image->sample};
  bool sent = rst_sandbox_send(sandbox, LAYOUT, &l, sizeof l);
  for (unsigned k = 0; k < RST_METADATA_TEXT && sent; k++)
    if (image->metadata[k].size > 0)
      sent = rst_sandbox_send(sandbox, METADATA + k, image->metadata[k].data, image->metadata[k].size);
  for (size_t i = 0; i < image->text_count && sent; i++)
    sent =
        rst_sandbox_send(sandbox, METADATA + RST_METADATA_TEXT, image->texts[i].data, image->texts[i].size);
  return sent ? RST_OK : rst_fail(err, RST_ERROR_INPUT, "%s: has metadata that are too long", name);
}

static rst_status decode(void *user, rst_sandbox *sandbox, rst_error *err) {
  rst_source source = *(const rst_source *)user;
  rst_image_read_options options = *source.options;
  if (options.warning != NULL) options.warning = send_warning;
  options.cancelled = NULL; /* the caller's process asks it, and kills this one */
  options.user = sandbox;
  source.options = &options, source.err = err;
  rst_image image = {0};
  rst_status status = rst_source_read(&source, &image);
  return status == RST_OK ? send_image(&image, source.path, sandbox, err) : status;
}

/* ---- In the caller's process --------------------------------------------------------------- */

typedef struct receiver {
  const rst_source *source;
  rst_image *image;
  bool no_memory; /* for what the helper has sent */
} receiver;

static bool take_warning(const rst_source *source, const char *text, size_t size) {
  rst_error line; /* which makes it printable, and of bounded length */
  rst_error_format(&line, "%.*s", (int)size, text);
  source->options->warning(source->options->user, line.message);
  return true;
}

static bool take_layout(rst_image *image, const void *data, size_t size) {
  layout l;
  if (size != sizeof l || image->width != 0) return false;
  memcpy(&l, data, sizeof l);
  if (l.width < 1 || l.height < 1 || l.width > RST_MAX_SIDE || l.height > RST_MAX_SIDE || l.channels < 1 ||
      l.channels > 4 || l.sample < RST_SAMPLE_U8 || l.sample > RST_SAMPLE_F32)
    return false;
  image->width = (size_t)l.width, image->height = (size_t)l.height;
  image->channels = l.channels, image->sample = (rst_sample)l.sample;
  return true;
}

/* A keyword and a text, each with its end. */
static rst_status take_text(rst_image *image, const char *both, size_t size) {
  const char *end = memchr(both, '\0', size);
  if (end == NULL || image->text_count >= MOST_TEXTS) return RST_ERROR_INPUT;
  const char *text = end + 1;
  if (memchr(text, '\0', size - (size_t)(text - both)) != both + size - 1) return RST_ERROR_INPUT;
  return rst_image_add_text(image, both, text, NULL);
}

static bool receive(void *user, unsigned kind, const void *data, size_t size) {
  receiver *r = user;
  if (kind == WARNING) return r->source->options->warning != NULL && take_warning(r->source, data, size);
  if (kind == LAYOUT) return take_layout(r->image, data, size);
  rst_status status =
      kind == METADATA + RST_METADATA_TEXT
          ? take_text(r->image, data, size)
          : rst_image_set_metadata(r->image, (rst_metadata)(kind - METADATA), data, size, NULL);
  r->no_memory = status == RST_ERROR_MEMORY;
  return status == RST_OK;
}

static bool cancelled(void *user) {
  const receiver *r = user;
  return rst_source_cancelled(r->source);
}

/* Whether what was shared is what the layout needs. */
static bool take_samples(rst_image *image, rst_shared *shared) {
  size_t pixels, bytes;
  if (image->width == 0 || !rst_mul(image->width, image->height, &pixels) ||
      !rst_mul(pixels, (size_t)image->channels * rst_sample_size(image->sample), &bytes) ||
      bytes != shared->size)
    return false;
  image->samples = shared->data;
  image->shared = *shared;
  return true;
}

rst_status rst_source_read_isolated(const rst_source *source, rst_image *image) {
  enum { PIXEL = 16, LEAST_SECONDS = 60, BYTES_PER_SECOND = 50000 }; /* a slow decoder on a slow processor */
  const rst_image_read_options *o = source->options;
  const uint64_t slack = 64 << 20, most = (uint64_t)1 << 46, pixels = rst_source_most_pixels(source);
  receiver r = {.source = source, .image = image};
  rst_shared shared;
  rst_sandbox_options options = {.name = source->path,
                                 .status = RST_ERROR_INPUT,
                                 .shared = pixels < most / PIXEL ? pixels * PIXEL : most,
                                 .seconds = LEAST_SECONDS + (unsigned)(source->size / BYTES_PER_SECOND),
                                 .idle = LEAST_SECONDS,
                                 .cancelled = o->cancelled == NULL ? NULL : cancelled,
                                 .receive = receive,
                                 .user = &r};
  if (o->max_memory != 0 && o->max_memory < options.shared) options.shared = o->max_memory;
  options.memory = options.shared + slack;
  rst_status status = rst_sandbox_run(&options, decode, (void *)(uintptr_t)source, &shared, source->err);
  if (r.no_memory) return rst_fail_memory(source->err, source->path);
  if (status != RST_OK) return status;
  if (take_samples(image, &shared)) return RST_OK;
  rst_shared_free(&shared);
  return rst_source_fail(source, "its decoder gives a picture that makes no sense");
}
