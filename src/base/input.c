#include "base/input.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"

static rst_status examine(rst_input *input, rst_error *err) {
  struct stat st;
  if (fstat(input->fd, &st) != 0)
    return rst_fail_errno(err, RST_ERROR_WEIGHTS, input->path, "cannot be examined", errno);
  if (S_ISDIR(st.st_mode))
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: is a directory, expected a file", input->path);
  if (!S_ISREG(st.st_mode)) return rst_fail(err, RST_ERROR_WEIGHTS, "%s: is not a regular file", input->path);
  input->size = (uint64_t)st.st_size;
  return RST_OK;
}

rst_status rst_input_open(const char *path, rst_input *input, rst_error *err) {
  /* O_NONBLOCK: opening a pipe that nobody writes to must come back, to be refused. */
  *input = (rst_input){.path = rst_string_copy(path)};
  if (input->path == NULL) return rst_fail_memory(err, path);
  input->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  rst_status status = input->fd < 0 ? rst_fail_errno(err, RST_ERROR_WEIGHTS, path, "cannot be opened", errno)
                                    : examine(input, err);
  if (status != RST_OK) rst_input_close(input);
  return status;
}

rst_status rst_input_read(const rst_input *input, uint64_t offset, void *out, size_t size, rst_error *err) {
  uint8_t *at = out;
  while (size > 0) {
    const ssize_t n = pread(input->fd, at, size, (off_t)offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return rst_fail_errno(err, RST_ERROR_WEIGHTS, input->path, "cannot be read", errno);
    if (n == 0)
      return rst_fail(err, RST_ERROR_WEIGHTS,
                      "%s: was cut short while it was read: it ends at byte %llu of %llu", input->path,
                      (unsigned long long)offset, (unsigned long long)input->size);
    at += n;
    offset += (uint64_t)n;
    size -= (size_t)n;
  }
  return RST_OK;
}

void rst_input_close(rst_input *input) {
  if (input->path != NULL && input->fd >= 0) close(input->fd);
  rst_free(input->path);
  *input = (rst_input){.fd = -1};
}
