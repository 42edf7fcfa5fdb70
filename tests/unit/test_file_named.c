/* test_file.c once more, as where the file system cannot make files without a name: every temporary file has one
 * from the beginning. */
#include <fcntl.h>
#undef O_TMPFILE

#include "base/file.c"
#include "unit/test_file.c"
