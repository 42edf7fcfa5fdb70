#include "restormer.h"

const char *rst_version(void) {
  return RST_VERSION;
}
