/* restore_memory.c - restores a picture that a program has in memory, tells how far it is, and can stop on
 * the way.
 *
 *   cc restore_memory.c -o restore_memory $(pkg-config --cflags --libs restormer)
 *   ./restore_memory weights/denoise.json <noisy.png >clean.png
 *
 * With a third argument, a number from 0 to 1, it stops when that much is done. */
#include <restormer.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct watcher {
  int shown;   /* tenths */
  double stop; /* fraction to stop at */
} watcher;

static bool progress(void *user, double fraction) {
  watcher *w = user;
  for (; w->shown < (int)(10 * fraction); w->shown++) fputc('.', stderr);
  return fraction < w->stop; /* false stops the run with RST_CANCELLED */
}

/* All of `stream`, to be freed; NULL when it cannot be read. */
static unsigned char *read_all(FILE *stream, size_t *size) {
  unsigned char *bytes = NULL;
  size_t room = 0;
  *size = 0;
  do {
    if (*size == room) {
      unsigned char *more = realloc(bytes, room = room == 0 ? 1 << 16 : 2 * room);
      if (more == NULL) break;
      bytes = more;
    }
    *size += fread(bytes + *size, 1, room - *size, stream);
  } while (!feof(stream) && !ferror(stream));
  if (feof(stream)) return bytes;
  free(bytes);
  return NULL;
}

static rst_status restore(const char *manifest, const unsigned char *bytes, size_t size, watcher *w,
                          rst_error *err) {
  rst_weights *weights = NULL;
  rst_model *model = NULL;
  rst_image *noisy = NULL, *clean = NULL;
  void *png = NULL;
  size_t png_size = 0;

  rst_session_options run;
  rst_session_options_init(&run);
  run.progress = progress;
  run.user = w;
  rst_image_write_options write;
  rst_image_write_options_init(&write);
  write.format = "png";

  rst_status status = rst_weights_open(manifest, &weights, err);
  if (status == RST_OK) status = rst_model_create(weights, NULL, &model, err);
  rst_weights_close(weights);
  if (status == RST_OK) status = rst_image_decode("standard input", bytes, size, NULL, &noisy, err);
  if (status == RST_OK)
    status = rst_restore_image(model, noisy, NULL, rst_image_sample(noisy), &clean, &run, err);
  if (status == RST_OK) status = rst_image_encode(clean, &write, &png, &png_size, err);
  if (status == RST_OK && (fwrite(png, 1, png_size, stdout) != png_size || fflush(stdout) != 0)) {
    snprintf(err->message, sizeof err->message, "standard output: cannot be written");
    status = RST_ERROR_OUTPUT;
  }

  rst_free(png);
  rst_image_free(clean);
  rst_image_free(noisy);
  rst_model_free(model);
  return status;
}

int main(int argc, char **argv) {
  if (argc != 2 && argc != 3) {
    fprintf(stderr, "usage: restore_memory WEIGHTS.json [FRACTION] <INPUT >OUTPUT.png\n");
    return 2;
  }
  watcher w = {.shown = 0, .stop = argc == 3 ? strtod(argv[2], NULL) : 2};
  size_t size;
  unsigned char *bytes = read_all(stdin, &size);
  if (bytes == NULL) {
    fprintf(stderr, "restore_memory: standard input: cannot be read\n");
    return 1;
  }
  rst_error err;
  const rst_status status = restore(argv[1], bytes, size, &w, &err);
  free(bytes);
  fputc('\n', stderr);
  if (status == RST_CANCELLED) fprintf(stderr, "restore_memory: stopped\n");
  if (status != RST_OK && status != RST_CANCELLED) fprintf(stderr, "restore_memory: %s\n", err.message);
  return status == RST_OK ? 0 : 1;
}
