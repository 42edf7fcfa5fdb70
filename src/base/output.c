#include "base/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"

enum { MAX_LINKS = 40, NAME_TRIES = 100, PROBE_PATH_SIZE = 32, RANDOM_BYTES = 8 };
static const char prefix[] = ".restormer-", digits[] = "0123456789abcdef";

/* ---- Where it goes ------------------------------------------------------------------------- */

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
      status = rst_fail_errno(err, RST_ERROR_OUTPUT, path, "cannot be written",
                              i == MAX_LINKS ? ELOOP : ENAMETOOLONG);
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

/* Why the rename over an existing file would fail, as far as that can be known beforehand; NULL: it need not.
 */
static const char *obstacle(const char *folder, const char *target, const struct stat *existing) {
  struct stat st;
  uid_t me = geteuid();
  if (stat(folder, &st) == 0 && (st.st_mode & S_ISVTX) != 0 && me != 0 && me != existing->st_uid &&
      me != st.st_uid)
    return "it belongs to somebody else, and its folder is sticky";
#ifdef STATX_ATTR_MOUNT_ROOT
  struct statx x;
  if (statx(AT_FDCWD, target, 0, STATX_BASIC_STATS, &x) == 0) {
    if ((x.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0) return "it is a mount point";
    if ((x.stx_attributes & (STATX_ATTR_APPEND | STATX_ATTR_IMMUTABLE)) != 0)
      return "it is append-only or immutable";
  }
  if (statx(AT_FDCWD, folder, 0, STATX_BASIC_STATS, &x) == 0 && (x.stx_attributes & STATX_ATTR_APPEND) != 0)
    return "its folder is append-only";
#else
  (void)target;
#endif
  return NULL;
}

/* ---- What killed runs have left ------------------------------------------------------------ */

static bool is_temporary_name(const char *name) {
  size_t n = strlen(prefix);
  return strncmp(name, prefix, n) == 0 && strlen(name) == n + 2 * RANDOM_BYTES &&
         strspn(name + n, digits) == 2 * RANDOM_BYTES;
}

/* Removes one that is this user's, that nobody holds locked, and that is not so new that its owner may be
 * about to lock it. */
static void remove_if_stale(int folder, const char *name) {
  enum { SECONDS = 60 };
  struct stat st;
  int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return;
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
      time(NULL) - st.st_mtime > SECONDS && flock(fd, LOCK_EX | LOCK_NB) == 0)
    unlinkat(folder, name, 0);
  close(fd);
}

/* Helpful, but nothing that a run depends on: what goes wrong is passed over. */
static void remove_stale(const char *folder) {
  DIR *entries = opendir(folder);
  if (entries == NULL) return;
  for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
    if (is_temporary_name(entry->d_name)) remove_if_stale(dirfd(entries), entry->d_name);
  closedir(entries);
}

/* ---- The temporary file -------------------------------------------------------------------- */

/* Puts a fresh random name beside `target` into output->temporary. */
static rst_status choose_name(rst_output *output, rst_error *err) {
  char name[sizeof prefix + 2 * RANDOM_BYTES];
  uint8_t random[RANDOM_BYTES];
  if (getentropy(random, sizeof random) != 0)
    return rst_fail_errno(err, RST_ERROR_OUTPUT, output->path, "no random name for its temporary file",
                          errno);
  memcpy(name, prefix, sizeof prefix);
  char *end = name + strlen(prefix);
  for (size_t i = 0; i < RANDOM_BYTES; i++) {
    *end++ = digits[random[i] >> 4];
    *end++ = digits[random[i] & 15];
  }
  *end = '\0';
  rst_free(output->temporary);
  output->temporary = join(output->target, folder_length(output->target), name);
  return output->temporary != NULL ? RST_OK : rst_fail_memory(err, output->path);
}

/* A name that was chosen and did not become this output's. */
static void forget_name(rst_output *output) {
  rst_free(output->temporary);
  output->temporary = NULL;
}

/* A file without a name in the target's folder; -1 where the file system or the kernel cannot make one, or
 * /proc is not there to name it in the end. */
static int open_unnamed(const char *folder, mode_t mode) {
#ifdef O_TMPFILE
  if (access("/proc/self/fd", X_OK) == 0) return open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
#else
  (void)folder, (void)mode;
#endif
  return -1;
}

static rst_status open_named(rst_output *output, mode_t mode, int *fd, rst_error *err) {
  for (int i = 0; i < NAME_TRIES; i++) {
    rst_status status = choose_name(output, err);
    if (status != RST_OK) return status;
    *fd = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (*fd >= 0) return RST_OK;
    int reason = errno;
    forget_name(output);
    if (reason != EEXIST)
      return rst_fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be created", reason);
  }
  return rst_fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be created", EEXIST);
}

/* The owner is kept where that is allowed (root's runs); a foreign group must not gain by the change. */
static bool keep_permissions(int fd, const struct stat *existing) {
  mode_t keep = existing->st_mode & 0777;
  if (fchown(fd, existing->st_uid, existing->st_gid) != 0 && fchown(fd, (uid_t)-1, existing->st_gid) != 0)
    keep &= (mode_t)~070;
  return fchmod(fd, keep) == 0;
}

/* `existing` is the file that will be replaced, or NULL. */
static rst_status open_temporary(rst_output *output, const struct stat *existing, int *fd, rst_error *err) {
  output->folder = join(output->target, folder_length(output->target), ".");
  if (output->folder == NULL) return rst_fail_memory(err, output->path);
  rst_status status = RST_OK;
  const char *reason = existing == NULL ? NULL : obstacle(output->folder, output->target, existing);
  if (reason != NULL)
    status = rst_fail(err, RST_ERROR_OUTPUT, "%s: cannot be replaced: %s", output->path, reason);
  else if (existing != NULL && access(output->target, W_OK) != 0) /* renaming would replace it all the same */
    status = rst_fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be written", errno);
  mode_t mode = existing == NULL ? 0666 : 0600; /* the kernel applies the umask */
  if (status == RST_OK) *fd = open_unnamed(output->folder, mode);
  if (status == RST_OK && (*fd < 0 || existing != NULL))
    remove_stale(output->folder); /* where a name will be needed */
  if (status == RST_OK && *fd < 0) status = open_named(output, mode, fd, err);
  if (status != RST_OK) return status;
  flock(*fd, LOCK_EX | LOCK_NB); /* tells remove_stale that somebody still writes */
  if (existing != NULL && !keep_permissions(*fd, existing))
    return rst_fail_errno(err, RST_ERROR_OUTPUT, output->path, "its permissions cannot be kept", errno);
  return RST_OK;
}

static rst_status open_descriptor(rst_output *output, int *fd, rst_error *err) {
  struct stat st, link;
  output->existed = stat(output->path, &st) == 0;
  int reason = output->existed ? 0 : errno;
  /* A link that the system does not follow (somebody else's in /tmp, a loop) is not followed by hand. */
  if (!output->existed && reason != ENOENT && lstat(output->path, &link) == 0)
    return rst_fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be written", reason);
  if (output->existed && S_ISDIR(st.st_mode))
    return rst_fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be written", EISDIR);
  if (output->existed && !S_ISREG(st.st_mode)) {
    *fd = open(output->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    return *fd >= 0 ? RST_OK
                    : rst_fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be written", errno);
  }
  rst_status status = follow_links(output->path, &output->target, err);
  if (status != RST_OK) return status;
  if (output->target[folder_length(output->target)] == '\0') /* "", "folder/" */
    return rst_fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be created",
                          output->target[0] == '\0' ? ENOENT : EISDIR);
  return open_temporary(output, output->existed ? &st : NULL, fd, err);
}

rst_status rst_output_open(const char *path, rst_output *output, rst_error *err) {
  *output = (rst_output){0};
  int fd = -1;
  bool standard = strcmp(path, "-") == 0;
  output->path = rst_string_copy(standard ? "standard output" : path);
  rst_status status = RST_OK;
  if (output->path == NULL)
    status = rst_fail_memory(err, path);
  else if (!standard)
    status = open_descriptor(output, &fd, err);
  else if ((fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)) < 0)
    status = rst_fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be written", errno);
  if (status == RST_OK) {
    output->stream = fdopen(fd, "wb");
    if (output->stream == NULL) status = rst_fail_memory(err, path);
  }
  if (status != RST_OK) {
    if (fd >= 0) close(fd);
    rst_output_discard(output);
  }
  return status;
}

rst_status rst_output_check(const char *path, rst_error *err) {
  struct stat st;
  rst_output output;
  /* A pipe's reader would see it being opened and closed. */
  if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
    return access(path, W_OK) == 0 ? rst_end(err, RST_OK)
                                   : rst_fail_errno(err, RST_ERROR_OUTPUT, path, "cannot be written", errno);
  rst_status status = rst_output_open(path, &output, err);
  if (status == RST_OK) rst_output_discard(&output);
  return rst_end(err, status);
}

bool rst_output_write(rst_output *output, const void *data, size_t size) {
  if (output->error != 0) return false;
  if (size == 0 || fwrite(data, 1, size, output->stream) == size) return true;
  output->error = errno != 0 ? errno : EIO;
  return false;
}

/* ---- The end ------------------------------------------------------------------------------- */

/* Gives the complete unnamed file a name: the target's, where there is nothing yet, or a temporary one, from
 * which it can replace the target. */
static rst_status name_file(rst_output *output, bool *in_place, rst_error *err) {
  char self[PROBE_PATH_SIZE];
  snprintf(self, sizeof self, "/proc/self/fd/%d", fileno(output->stream));
  *in_place = !output->existed && linkat(AT_FDCWD, self, AT_FDCWD, output->target, AT_SYMLINK_FOLLOW) == 0;
  if (*in_place) return RST_OK;
  for (int i = 0; i < NAME_TRIES; i++) {
    rst_status status = choose_name(output, err);
    if (status != RST_OK) return status;
    if (linkat(AT_FDCWD, self, AT_FDCWD, output->temporary, AT_SYMLINK_FOLLOW) == 0) return RST_OK;
    int reason = errno;
    forget_name(output);
    if (reason != EEXIST)
      return rst_fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be created", reason);
  }
  return rst_fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be created", EEXIST);
}

/* A rename can reach the disk before the data does, which a power cut would show as an empty file. What
 * cannot be synchronised at all (some network file systems) is left to its own promises. */
static bool synchronise(int fd) {
  return fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP;
}

/* The names in the folder. The output is there already; a folder that cannot be opened does not change that.
 */
static void synchronise_folder(const char *folder) {
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

/* Gives the complete file the target's name, too, unless somebody has it: then, the other one. Where there
 * are no hard links, the rename has to do. */
static rst_status take_free_name(rst_output *output, bool *in_place, rst_error *err) {
  *in_place = linkat(AT_FDCWD, output->temporary, AT_FDCWD, output->target, 0) == 0;
  if (*in_place) unlink(output->temporary);
  output->appeared = !*in_place && errno == EEXIST;
  if (!output->appeared) return RST_OK;
  rst_free(output->target);
  output->target = rst_string_copy(output->otherwise);
  return output->target != NULL ? RST_OK : rst_fail_memory(err, output->path);
}

static rst_status replace(rst_output *output, rst_error *err) {
  bool in_place = false;
  if (!synchronise(fileno(output->stream)))
    return rst_fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be written", errno);
  rst_status status = output->temporary == NULL ? name_file(output, &in_place, err) : RST_OK;
  if (status == RST_OK && output->otherwise != NULL && !in_place)
    status = take_free_name(output, &in_place, err);
  if (status != RST_OK) return status;
  if (!in_place && rename(output->temporary, output->target) != 0)
    return rst_fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be replaced", errno);
  forget_name(output); /* it is the target now: nothing to remove */
  synchronise_folder(output->folder);
  return RST_OK;
}

static rst_status commit(rst_output *output, rst_error *err) {
  if (fflush(output->stream) != 0 && output->error == 0) output->error = errno;
  if (output->error != 0)
    return rst_fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be written", output->error);
  /* A write straight to the stream failed: the reason is lost, the fact is not. */
  if (ferror(output->stream))
    return rst_fail(err, RST_ERROR_OUTPUT, "%s: cannot be written: a write failed (is the disk full?)",
                    output->path);
  if (output->target != NULL) return replace(output, err);
  int closed = fclose(output->stream);
  output->stream = NULL;
  return closed == 0 ? RST_OK
                     : rst_fail_errno(err, RST_ERROR_OUTPUT, output->path, "cannot be written", errno);
}

rst_status rst_output_commit(rst_output *output, rst_error *err) {
  rst_status status = commit(output, err);
  const bool appeared = output->appeared;
  rst_output_discard(output);
  output->appeared = appeared;
  return status;
}

void rst_output_discard(rst_output *output) {
  if (output->temporary != NULL) unlink(output->temporary);
  if (output->stream != NULL) fclose(output->stream); /* and with it the lock */
  rst_free(output->temporary);
  rst_free(output->folder);
  rst_free(output->target);
  rst_free(output->path);
  *output = (rst_output){0};
}
