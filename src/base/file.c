#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"

enum {
  FIRST_BYTES = 1 << 16,  /* of a buffer for a file whose size is not known */
  CHUNK_BYTES = 16 << 20, /* read at once, so that a cancelled reading ends soon */
  POLL_MS = 100
};

/* A file being read. */
typedef struct reader {
  const char *name; /* for messages */
  const rst_reading *reading;
  int fd;
  size_t room; /* bytes of contents->data */
  rst_contents *contents;
  rst_error *err;
} reader;

static rst_status too_long(const reader *r) {
  return rst_fail(r->err, r->reading->status, "%s: has more than %llu bytes, which is the limit", r->name,
                  (unsigned long long)r->reading->limit);
}

static rst_status make_room(reader *r, size_t room) {
  uint8_t *data = rst_alloc(room, 1);
  if (data == NULL) return rst_fail_memory(r->err, r->name);
  if (r->contents->data != NULL) memcpy(data, r->contents->data, r->contents->size);
  rst_free(r->contents->data);
  r->contents->data = data;
  r->room = room;
  return RST_OK;
}

/* One byte more than a regular file's size shows its end without growing. */
static rst_status first_room(reader *r) {
  struct stat st;
  if (fstat(r->fd, &st) != 0)
    return rst_fail_errno(r->err, r->reading->status, r->name, "cannot be examined", errno);
  if (S_ISDIR(st.st_mode))
    return rst_fail(r->err, r->reading->status, "%s: is a directory, expected a file", r->name);
  if (!S_ISREG(st.st_mode) || st.st_size < FIRST_BYTES) return make_room(r, FIRST_BYTES);
  if ((uintmax_t)st.st_size > r->reading->limit) return too_long(r);
  if ((uintmax_t)st.st_size >= PTRDIFF_MAX) return rst_fail_memory(r->err, r->name);
  return make_room(r, (size_t)st.st_size + 1);
}

/* Waits until there is something to read, or the end; a signal ends the wait early. */
static rst_status wait_for_bytes(const reader *r) {
  struct pollfd p = {.fd = r->fd, .events = POLLIN};
  for (int ready = 0; ready == 0;) {
    if (r->reading->cancelled != NULL && r->reading->cancelled(r->reading->user))
      return rst_fail(r->err, RST_CANCELLED, "%s: reading was cancelled", r->name);
    ready = poll(&p, 1, POLL_MS);
    if (ready < 0 && errno == EINTR && r->reading->cancelled != NULL)
      ready = 0; /* asks whether that was meant */
    else if (ready < 0)
      return rst_fail_errno(r->err, r->reading->status, r->name, "cannot be read", errno);
  }
  return RST_OK;
}

static rst_status read_all(reader *r) {
  rst_status status = first_room(r);
  while (status == RST_OK) {
    status = wait_for_bytes(r);
    if (status != RST_OK) break;
    rst_contents *c = r->contents;
    size_t most = r->room - c->size < CHUNK_BYTES ? r->room - c->size : CHUNK_BYTES;
    ssize_t n = read(r->fd, c->data + c->size, most);
    if (n == 0) break;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n < 0) return rst_fail_errno(r->err, r->reading->status, r->name, "cannot be read", errno);
    c->size += (size_t)n;
    if (c->size > r->reading->limit) return too_long(r);
    if (c->size == r->room)
      status = r->room > PTRDIFF_MAX / 2 ? rst_fail_memory(r->err, r->name) : make_room(r, 2 * r->room);
  }
  return status;
}

rst_status rst_file_read(const char *path, const rst_reading *reading, rst_contents *contents,
                         rst_error *err) {
  *contents = (rst_contents){0};
  bool standard = strcmp(path, "-") == 0;
  reader r = {
      .name = standard ? "standard input" : path, .reading = reading, .contents = contents, .err = err};
  /* O_NONBLOCK: a pipe that nobody writes to yet is waited for where that can be cancelled. */
  r.fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                  : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (r.fd < 0) return rst_fail_errno(err, reading->status, r.name, "cannot be opened", errno);
  rst_status status = read_all(&r);
  close(r.fd);
  if (status != RST_OK) rst_contents_free(contents);
  return status;
}

void rst_contents_free(rst_contents *contents) {
  rst_free(contents->data);
  *contents = (rst_contents){0};
}
