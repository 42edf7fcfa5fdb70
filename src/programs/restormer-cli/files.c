#include "files.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

rst_status files_check_output(const char *output, const char *const *inputs, rst_error *err) {
  const rst_image_format *format;
  rst_status status = rst_image_output_format(output, NULL, &format, err);
  if (status != RST_OK) return status;
  struct stat out, in;
  if (stat(output, &out) == 0) {
    for (; *inputs; inputs++) {
      if (stat(*inputs, &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino) {
        snprintf(err->message, sizeof err->message, "%s: is the input %s; write to another file", output,
                 *inputs);
        return RST_ERROR_USAGE;
      }
    }
  }
  return rst_output_check(output, err);
}
