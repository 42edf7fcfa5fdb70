/* restore_file.c - restores a picture file: the shortest way through librestormer.
 *
 *   cc restore_file.c -o restore_file $(pkg-config --cflags --libs restormer)
 *   ./restore_file weights/denoise.json noisy.png clean.png */
#include <restormer.h>
#include <stdio.h>

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: restore_file WEIGHTS.json INPUT OUTPUT\n");
    return 2;
  }
  rst_error err;
  rst_weights *weights = NULL;
  rst_model *model = NULL;
  rst_image *noisy = NULL, *clean = NULL;

  rst_status status = rst_weights_open(argv[1], &weights, &err);
  if (status == RST_OK) status = rst_model_create(weights, NULL, &model, &err);
  rst_weights_close(weights); /* the model has its own copy */
  if (status == RST_OK) status = rst_image_read(argv[2], NULL, &noisy, &err);
  if (status == RST_OK)
    status = rst_restore_image(model, noisy, NULL, rst_image_sample(noisy), &clean, NULL, &err);
  if (status == RST_OK) status = rst_image_write(argv[3], clean, NULL, &err);
  if (status != RST_OK) fprintf(stderr, "restore_file: %s\n", err.message);

  rst_image_free(clean);
  rst_image_free(noisy);
  rst_model_free(model);
  return status == RST_OK ? 0 : 1;
}
