#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"

enum { MAX_LINKS = 40, NAME_TRIES = 100, PROBE_PATH_SIZE = 32 };

static rst_status fail_errno(rst_error *err, rst_status status, const char *path, const char *what,
                             int number) {
  char buffer[128];
  return rst_fail(err, status, "%s: %s: %s", path, what, strerror_r(number, buffer, sizeof buffer));
}

/* ---- Mappings ------------------------------------------------------------------------------ */

static rst_status map_descriptor(int fd, const char *path, rst_status status, rst_mapping *mapping,
                                 rst_error *err) {
  struct stat st;
  if (fstat(fd, &st) != 0) return fail_errno(err, status, path, "cannot be examined", errno);
  if (S_ISDIR(st.st_mode)) return rst_fail(err, status, "%s: is a directory, expected a file", path);
  if (!S_ISREG(st.st_mode)) return rst_fail(err, status, "%s: is not a regular file", path);
  if (st.st_size == 0) return RST_OK;
  if ((uintmax_t)st.st_size > PTRDIFF_MAX) return rst_fail(err, status, "%s: is too large to map", path);
  void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED && errno == ENOMEM) return rst_fail_memory(err, path);
  if (data == MAP_FAILED) return fail_errno(err, status, path, "cannot be mapped", errno);
  mapping->data = data;
  mapping->size = (size_t)st.st_size;
  return RST_OK;
}

rst_status rst_map_file(const char *path, rst_status status, rst_mapping *mapping, rst_error *err) {
  *mapping = (rst_mapping){0};
  /* O_NONBLOCK: opening a pipe that nobody writes to must come back, to be refused. */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return fail_errno(err, status, path, "cannot be opened", errno);
  rst_status result = map_descriptor(fd, path, status, mapping, err);
  close(fd);
  return result;
}

void rst_unmap_file(rst_mapping *mapping) {
  if (mapping->data != NULL) munmap((void *)(uintptr_t)mapping->data, mapping->size);
  *mapping = (rst_mapping){0};
}

void rst_mapping_release(const void *data, size_t size) {
#ifdef MADV_DONTNEED
  long page_size = sysconf(_SC_PAGESIZE);
  if (data == NULL || page_size <= 0) return;
  uintptr_t page = (uintptr_t)page_size, begin = (uintptr_t)data, end = begin + size;
  if (begin > UINTPTR_MAX - page) return;
  begin = (begin + page - 1) / page * page;
  end = end / page * page;
  if (begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED);
#else
  (void)data;
  (void)size;
#endif
}

/* ---- Output: where it goes ----------------------------------------------------------------- */

/* Bytes of the folder part of `path`, its last slash included; 0 when there is none. */
static size_t folder_length(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash == NULL ? 0 : (size_t)(slash - path) + 1;
}

/* The first `folder` bytes of `path`, then `name`. */
static char *join(const char *path, size_t folder, const char *name) {
  size_t n = strlen(name) + 1, bytes;
  if (!rst_add(folder, n, &bytes)) return NULL;
  char *joined = rst_alloc(bytes, 1);
  if (joined == NULL) return NULL;
  memcpy(joined, path, folder);
  memcpy(joined + folder, name, n);
  return joined;
}

/* Follows `path` while it is a symbolic link, to a file that need not exist. (realpath wants it to.) */
static rst_status follow_links(const char *path, char **target, rst_error *err) {
  char *current = rst_string_copy(path), *link = rst_alloc(PATH_MAX, 1);
  rst_status status = current == NULL || link == NULL ? rst_fail_memory(err, path) : RST_OK;
  for (int i = 0; status == RST_OK; i++) {
    ssize_t n = readlink(current, link, PATH_MAX - 1);
    if (n < 0) break; /* not a link; what else may be wrong shows when the temporary file is made */
    if (i == MAX_LINKS || n == PATH_MAX - 1) {
      status =
          fail_errno(err, RST_ERROR_OUTPUT, path, "cannot be written", i == MAX_LINKS ? ELOOP : ENAMETOOLONG);
      break;
    }
    link[n] = '\0';
    char *next = join(current, link[0] == '/' ? 0 : folder_length(current), link);
    if (next == NULL) status = rst_fail_memory(err, path);
    rst_free(current);
    current = next;
  }
  rst_free(link);
  if (status != RST_OK) {
    rst_free(current);
    current = NULL;
  }
  *target = current;
  return status;
}

/* ---- Output: the temporary file ------------------------------------------------------------ */

/* Puts a fresh random name beside `target` into output->temporary, made on the first call. */
static rst_status choose_name(rst_output *output, rst_error *err) {
  static const char prefix[] = ".restormer-", digits[] = "0123456789abcdef";
  enum { RANDOM_BYTES = 8 };
  size_t folder = folder_length(output->target);
  if (output->temporary == NULL) {
    output->temporary = join(output->target, folder, ".restormer-0123456789abcdef");
    if (output->temporary == NULL) return rst_fail_memory(err, output->path);
  }
  uint8_t random[RANDOM_BYTES];
  if (getentropy(random, sizeof random) != 0)
    return fail_errno(err, RST_ERROR_OUTPUT, output->path, "no random name for its temporary file", errno);
  char *name = output->temporary + folder + strlen(prefix);
  for (size_t i = 0; i < RANDOM_BYTES; i++) {
    name[2 * i] = digits[random[i] >> 4];
    name[2 * i + 1] = digits[random[i] & 15];
  }
  return RST_OK;
}

/* A file without a name in the target's folder; *fd stays -1 where the file system or the kernel cannot make
 * one, or /proc is not there to name it in the end. */
static rst_status open_unnamed(rst_output *output, mode_t mode, int *fd, rst_error *err) {
#ifdef O_TMPFILE
  if (access("/proc/self/fd", X_OK) != 0) return RST_OK;
  char *folder = join(output->target, folder_length(output->target), ".");
  if (folder == NULL) return rst_fail_memory(err, output->path);
  *fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
  rst_free(folder);
  output->unnamed = *fd >= 0;
#else
  (void)output, (void)mode, (void)fd, (void)err;
#endif
  return RST_OK;
}

static rst_status open_named(rst_output *output, mode_t mode, int *fd, rst_error *err) {
  for (int i = 0; i < NAME_TRIES; i++) {
    rst_status status = choose_name(output, err);
    if (status != RST_OK) return status;
    *fd = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (*fd >= 0) return RST_OK;
    if (errno != EEXIST) break;
  }
  return fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be created", errno);
}

/* `existing` is the file that will be replaced, or NULL. */
static rst_status open_temporary(rst_output *output, const struct stat *existing, int *fd, rst_error *err) {
  /* Renaming would replace a write-protected file all the same. */
  if (existing != NULL && access(output->target, W_OK) != 0)
    return fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be written", errno);
  mode_t mode = existing == NULL ? 0666 : 0600; /* the kernel applies the umask */
  rst_status status = open_unnamed(output, mode, fd, err);
  if (status == RST_OK && *fd < 0) status = open_named(output, mode, fd, err);
  if (status != RST_OK) return status;
  if (existing == NULL) return RST_OK;
  /* The owner is kept where that is allowed (root's runs); a foreign group must not gain by the change. */
  mode_t keep = existing->st_mode & 0777;
  if (fchown(*fd, existing->st_uid, existing->st_gid) != 0 && fchown(*fd, (uid_t)-1, existing->st_gid) != 0)
    keep &= (mode_t)~070;
  if (fchmod(*fd, keep) != 0)
    return fail_errno(err, RST_ERROR_OUTPUT, output->path, "its permissions cannot be kept", errno);
  return RST_OK;
}

static rst_status open_descriptor(rst_output *output, int *fd, rst_error *err) {
  struct stat st, link;
  bool exists = stat(output->path, &st) == 0;
  int reason = exists ? 0 : errno;
  /* A link that the system does not follow (somebody else's in /tmp, a loop) is not followed by hand. */
  if (!exists && reason != ENOENT && lstat(output->path, &link) == 0)
    return fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be written", reason);
  if (exists && S_ISDIR(st.st_mode))
    return fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be written", EISDIR);
  if (exists && !S_ISREG(st.st_mode)) {
    *fd = open(output->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    return *fd >= 0 ? RST_OK : fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be written", errno);
  }
  rst_status status = follow_links(output->path, &output->target, err);
  if (status != RST_OK) return status;
  if (output->target[folder_length(output->target)] == '\0') /* "", "folder/" */
    return fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be created",
                      output->target[0] == '\0' ? ENOENT : EISDIR);
  return open_temporary(output, exists ? &st : NULL, fd, err);
}

rst_status rst_output_open(const char *path, rst_output *output, rst_error *err) {
  *output = (rst_output){0};
  int fd = -1;
  output->path = rst_string_copy(path);
  rst_status status = output->path == NULL ? rst_fail_memory(err, path) : open_descriptor(output, &fd, err);
  if (status == RST_OK) {
    output->stream = fdopen(fd, "wb");
    if (output->stream == NULL) status = rst_fail_memory(err, path);
  }
  if (status != RST_OK) {
    if (fd >= 0) {
      close(fd);
    } else { /* the last name that was tried belongs to somebody else */
      rst_free(output->temporary);
      output->temporary = NULL;
    }
    rst_output_discard(output);
  }
  return status;
}

bool rst_output_write(rst_output *output, const void *data, size_t size) {
  if (output->error != 0) return false;
  if (size == 0 || fwrite(data, 1, size, output->stream) == size) return true;
  output->error = errno != 0 ? errno : EIO;
  return false;
}

/* ---- Output: the end ----------------------------------------------------------------------- */

/* Gives the complete unnamed file a temporary name, from which it can replace the target. */
static rst_status name_temporary(rst_output *output, rst_error *err) {
  char self[PROBE_PATH_SIZE];
  snprintf(self, sizeof self, "/proc/self/fd/%d", fileno(output->stream));
  for (int i = 0; i < NAME_TRIES; i++) {
    rst_status status = choose_name(output, err);
    if (status != RST_OK) return status;
    if (linkat(AT_FDCWD, self, AT_FDCWD, output->temporary, AT_SYMLINK_FOLLOW) == 0) {
      output->unnamed = false;
      return RST_OK;
    }
    if (errno != EEXIST) break;
  }
  return fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be created", errno);
}

static rst_status commit(rst_output *output, rst_error *err) {
  if (fflush(output->stream) != 0 && output->error == 0) output->error = errno;
  if (output->error != 0)
    return fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be written", output->error);
  /* A write straight to the stream failed: the reason is lost, the fact is not. */
  if (ferror(output->stream))
    return rst_fail(err, RST_ERROR_OUTPUT, "%s: cannot be written: a write failed (is the disk full?)",
                    output->path);
  if (output->unnamed) {
    rst_status status = name_temporary(output, err);
    if (status != RST_OK) return status;
  }
  int closed = fclose(output->stream);
  output->stream = NULL;
  if (closed != 0) return fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be written", errno);
  if (output->temporary != NULL && rename(output->temporary, output->target) != 0)
    return fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be replaced", errno);
  rst_free(output->temporary); /* it is the target now: nothing to remove */
  output->temporary = NULL;
  return RST_OK;
}

rst_status rst_output_commit(rst_output *output, rst_error *err) {
  rst_status status = commit(output, err);
  rst_output_discard(output);
  return status;
}

void rst_output_discard(rst_output *output) {
  if (output->stream != NULL) fclose(output->stream);
  if (output->temporary != NULL && !output->unnamed) unlink(output->temporary);
  rst_free(output->temporary);
  rst_free(output->target);
  rst_free(output->path);
  *output = (rst_output){0};
}
