/* make-checkpoint.c - writes a small checkpoint with reproducible random weights, as PyTorch would
 * (support/checkpoint_builder.h). */
#include <stdio.h>
#include <string.h>

#include "support/checkpoint_builder.h"

static const char USAGE[] =
    "usage: make-checkpoint FORM OUT.pth\n"
    "FORM: zip, deflated (a zip that is compressed) or plain (of PyTorch before 1.6)\n";

int main(int argc, char **argv) {
  const char *form = argc == 3 ? argv[1] : "";
  const bool plain = strcmp(form, "plain") == 0, deflated = strcmp(form, "deflated") == 0;
  if (!plain && !deflated && strcmp(form, "zip") != 0) {
    fputs(USAGE, stderr);
    return 2;
  }
  rst_architecture a = architecture_small(1, 1);
  rst_error err;
  random_model model;
  rst_status status = random_model_init(&model, &a, 1, RST_DTYPE_F32, &err);
  if (status != RST_OK) {
    fprintf(stderr, "make-checkpoint: %s\n", err.message);
    return 2;
  }
  recipe r = {.model = &model};
  built b = build(&r);
  if (plain) {
    bytes file = {0};
    legacy_file(&b, &file);
    bytes_write(&file, argv[2]);
    bytes_free(&file);
  } else {
    write_zip(&b, argv[2], &(zip_options){.byte_order = "little", .deflate = deflated});
  }
  built_free(&b);
  random_model_free(&model);
  return 0;
}
