/* kind.h - says what a file is that is not what it should be: people download pages in place of files. */
#ifndef RST_WEIGHTS_KIND_H
#define RST_WEIGHTS_KIND_H

#include <stdint.h>

#include "restormer.h"

enum { RST_KIND_TEXT = 160 };
#define RST_KIND_JSON "JSON"
#define RST_KIND_PLAIN "a text, " /* and how it begins */

/* Puts "a web page (HTML)" or the like, with advice where there is some, into `kind`. False when nothing is
 * known about such a beginning; safetensors files, manifests and checkpoints of PyTorch have names here, too.
 */
bool rst_file_kind(const uint8_t *data, size_t size, char kind[RST_KIND_TEXT]);

#endif
