#include "html.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "programs/common/cli.h"

static const char head[] =
    "<style>\n"
    "body { margin: 0; font: 16px sans-serif; background: #222; color: #ddd }\n"
    ".pair { position: relative; display: inline-block; line-height: 0 }\n"
    "img { max-width: 100% }\n"
    ".b { position: absolute; left: 0; top: 0; width: 100%; height: 100%; clip-path: inset(0 0 0 var(--at)) "
    "}\n"
    ".line { position: absolute; left: var(--at); top: 0; bottom: 0; width: 2px; margin-left: -1px;\n"
    "  background: #fff; mix-blend-mode: difference }\n"
    ".pair input { position: absolute; left: 0; top: 0; width: 100%; height: 100%; margin: 0; opacity: 0;\n"
    "  cursor: ew-resize }\n"
    "p, table, figure { margin: 12px }\n"
    "td { padding-right: 16px }\n"
    "</style>\n";
static const char script[] =
    "<script>\n"
    "const slider = document.querySelector('input');\n"
    "const move = () => slider.parentNode.style.setProperty('--at', slider.value + '%');\n"
    "const from_address = () => {\n"
    "  if (location.hash.length > 1) slider.value = location.hash.slice(1);\n"
    "  move();\n"
    "};\n"
    "slider.addEventListener('input', move);\n"
    "addEventListener('hashchange', from_address);\n"
    "from_address();\n"
    "</script>\n";

/* What would be markup is not; control characters are left out. */
static void print_text(FILE *stream, const char *text) {
  for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
    if (*c == '<' || *c == '>' || *c == '&' || *c == '"' || *c == '\'')
      fprintf(stream, "&#%d;", *c);
    else if (*c >= 0x20 && *c != 0x7f)
      putc(*c, stream);
  }
}

static void print_base64(FILE *stream, const uint8_t *data, size_t size) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < size; i += 3) {
    const size_t left = size - i;
    const unsigned bits =
        (unsigned)data[i] << 16 | (left > 1 ? (unsigned)data[i + 1] << 8 : 0) | (left > 2 ? data[i + 2] : 0u);
    const char text[4] = {digits[bits >> 18], digits[bits >> 12 & 63],
                          left > 1 ? digits[bits >> 6 & 63] : '=', left > 2 ? digits[bits & 63] : '='};
    fwrite(text, 1, sizeof text, stream);
  }
}

/* An image as an 8-bit PNG within the page. */
static rst_status print_image(FILE *stream, const char *attributes, const char *name, const rst_image *image,
                              rst_error *err) {
  rst_image_write_options how;
  rst_image_write_options_init(&how);
  how.format = "png";
  how.depth = 8;
  void *data;
  size_t size;
  rst_status status = rst_image_encode(image, &how, &data, &size, err);
  if (status != RST_OK) return status;
  fprintf(stream, "<img %s alt=\"", attributes);
  print_text(stream, name);
  fputs("\" src=\"data:image/png;base64,", stream);
  print_base64(stream, data, size);
  fputs("\">\n", stream);
  rst_free(data);
  return RST_OK;
}

static rst_status print_page(FILE *stream, const html_page *page, rst_error *err) {
  fputs(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>",
      stream);
  print_text(stream, page->a_name);
  fputs(" and ", stream);
  print_text(stream, page->b_name);
  fprintf(stream, "</title>\n%s</head>\n<body>\n<div class=\"pair\" style=\"--at: 50%%\">\n", head);
  rst_status status = print_image(stream, "class=\"a\"", page->a_name, page->a, err);
  if (status == RST_OK) status = print_image(stream, "class=\"b\"", page->b_name, page->b, err);
  if (status != RST_OK) return status;
  fputs(
      "<div class=\"line\"></div>\n"
      "<input type=\"range\" min=\"0\" max=\"100\" step=\"0.1\" value=\"50\" aria-label=\"before and "
      "after\">\n"
      "</div>\n<p>left: ",
      stream);
  print_text(stream, page->a_name);
  fputs("; right: ", stream);
  print_text(stream, page->b_name);
  fprintf(stream, "</p>\n<table>\n<tr><td>size</td><td>%zu x %zu</td></tr>\n", rst_image_width(page->a),
          rst_image_height(page->a));
  fprintf(stream, "<tr><td>largest difference</td><td>%.9g of %g</td></tr>\n", page->numbers->max_difference,
          page->white);
  fprintf(stream, "<tr><td>PSNR</td><td>%.4f dB</td></tr>\n", page->numbers->psnr);
  if (!isnan(page->numbers->ssim))
    fprintf(stream, "<tr><td>SSIM</td><td>%.6f</td></tr>\n", page->numbers->ssim);
  fputs("</table>\n<figure>\n", stream);
  status = print_image(stream, "class=\"difference\"", "difference", page->difference, err);
  fprintf(stream,
          "<figcaption>difference, amplified %.6g times</figcaption>\n</figure>\n%s</body>\n</html>\n",
          page->amplification, script);
  return status;
}

/* Beside `path`, to be renamed; the file itself where it is not a regular one, a pipe say. */
static char *temporary_of(const char *path) {
  struct stat found;
  if (stat(path, &found) == 0 && !S_ISREG(found.st_mode)) return strdup(path);
  return cli_format("%s.%ld", path, (long)getpid());
}

rst_status html_write(const char *path, const html_page *page, rst_error *err) {
  char *temporary = temporary_of(path);
  if (temporary == NULL) return cli_error(err, RST_ERROR_MEMORY, "%s: out of memory", path);
  const bool renamed = strcmp(temporary, path) != 0;
  FILE *stream = fopen(temporary, "w");
  rst_status status = RST_OK;
  if (stream != NULL) status = print_page(stream, page, err);
  bool failed = stream == NULL;
  if (!failed) {
    failed = ferror(stream) != 0;
    failed = fclose(stream) != 0 || failed;
  }
  if (status == RST_OK && (failed || (renamed && rename(temporary, path) != 0)))
    status = cli_error(err, errno == ENOMEM ? RST_ERROR_MEMORY : RST_ERROR_OUTPUT,
                       "%s: cannot be written: %s", path, strerror(errno));
  if (status != RST_OK && renamed) unlink(temporary);
  free(temporary);
  return status;
}
