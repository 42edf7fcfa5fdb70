/* test_output.c once more, as where the file system cannot make files without a name: every temporary file
 * has one from the beginning. */
#include <fcntl.h>
#undef O_TMPFILE

#include "base/output.c"
#include "unit/test_output.c"
