/* For realpath. NOLINTNEXTLINE(bugprone-reserved-identifier,cert-*) */
#define _XOPEN_SOURCE 700

#include "lua/file.h"

#include "lua/argument.h"
#include "lua/error.h"

#include <lauxlib.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  PATH_CAP = 4096,
  PRIVATE_FOLDER_MODE = 0700,
  PRIVATE_FILE_MODE = 0600,
  SHARED_FOLDER_MODE = 0777, /* less the umask */
  SHARED_FILE_MODE = 0666,   /* less the umask */
  READ_MAX = 1 << 26,        /* bytes */
  LIST_MAX = 1 << 20         /* names */
};

/* A system call that failed. */
struct failure {
  const char *call; /* NULL: none has failed */
  int number;       /* errno */
};

/* Notes the errno of `call`. Returns false. */
static bool fail(struct failure *failure, const char *call) {
  *failure = (struct failure){.call = call, .number = errno};
  return false;
}

/* Pushes nil, "path: call: reason" and the code. [-0, +3, m] */
static int push_failure(lua_State *L, const char *path,
                        const struct failure *failure) {
  return kad_lua_push_system_failure(L, kad_lua_error_of_errno(failure->number),
                                     path, failure->call, failure->number);
}

/* Makes a folder, which may exist already. */
static bool make_one_folder(const char *path, mode_t mode,
                            struct failure *failure) {
  if (mkdir(path, mode) == 0 || errno == EEXIST) {
    return true;
  }
  (void)fail(failure, "mkdir");
  struct stat status;
  return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Makes `path` and the folders above it. */
static bool make_folders(char *path, mode_t mode, struct failure *failure) {
  for (char *at = path + 1; *at != '\0'; at++) {
    if (*at != '/') {
      continue;
    }
    *at = '\0';
    const bool made = make_one_folder(path, mode, failure);
    *at = '/';
    if (!made) {
      return false;
    }
  }
  return make_one_folder(path, mode, failure);
}

/* Tells whether `path` is a folder that can be read and written. */
static bool check_folder(const char *path, struct failure *failure) {
  struct stat status;
  if (stat(path, &status) != 0) {
    return fail(failure, "stat");
  }
  if (!S_ISDIR(status.st_mode)) {
    errno = ENOTDIR;
    return fail(failure, "mkdir");
  }
  return access(path, R_OK | W_OK | X_OK) == 0 || fail(failure, "access");
}

/* Returns whether argument `arg` is "private"; raises unless it is that or
 * absent. [-0, +0, v] */
static bool check_private(lua_State *L, int arg) {
  static const char *const names[] = {"shared", "private", NULL};
  return luaL_checkoption(L, arg, "shared", names) == 1;
}

/* Returns whether argument `arg` is "regular"; raises unless it is that or
 * absent. [-0, +0, v] */
static bool check_regular(lua_State *L, int arg) {
  static const char *const names[] = {"any", "regular", NULL};
  return luaL_checkoption(L, arg, "any", names) == 1;
}

/* make_folder(path[, "private"]) → true if the folder exists now and can be
 * read and written, or nil, message, code. A new folder follows the umask; a
 * private one is of its owner only. */
static int make_folder(lua_State *L) {
  char copy[PATH_CAP];
  size_t len = 0;
  struct failure failure = {0};
  const char *const path = luaL_checklstring(L, 1, &len);
  luaL_argcheck(L, len > 0 && len < PATH_CAP && strlen(path) == len, 1,
                "a path is needed");
  memcpy(copy, path, len + 1);
  const mode_t mode =
      check_private(L, 2) ? PRIVATE_FOLDER_MODE : SHARED_FOLDER_MODE;
  if (!make_folders(copy, mode, &failure) || !check_folder(path, &failure)) {
    return push_failure(L, path, &failure);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static bool write_all(int fd, struct kad_slice bytes, struct failure *failure) {
  while (bytes.len > 0) {
    const ssize_t written = write(fd, bytes.data, bytes.len);
    if (written < 0 && errno != EINTR) {
      return fail(failure, "write");
    }
    if (written > 0) {
      bytes.data += written;
      bytes.len -= (size_t)written;
    }
  }
  return true;
}

/* Writes a file that must not exist, and waits until it is on disk. Does not
 * follow a link. */
static bool create(const char *path, struct kad_slice bytes, mode_t mode,
                   struct failure *failure) {
  const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const int fd = open(path, flags, mode);
  if (fd < 0) {
    return fail(failure, "open");
  }
  bool done = write_all(fd, bytes, failure);
  if (done && fsync(fd) != 0) {
    done = fail(failure, "fsync");
  }
  if (close(fd) != 0 && done) {
    done = fail(failure, "close");
  }
  if (!done) {
    (void)unlink(path);
  }
  return done;
}

/* Writes a new file. Replaces what an earlier attempt left behind. */
static bool write_new(const char *path, struct kad_slice bytes, mode_t mode,
                      struct failure *failure) {
  (void)unlink(path);
  return create(path, bytes, mode, failure);
}

/* Waits until the entries of the folder of `path` are on disk. A file system
 * may be unable to do that for folders. */
static bool flush_folder(const char *path, struct failure *failure) {
  char folder[PATH_CAP] = ".";
  const char *const slash = strrchr(path, '/');
  if (slash != NULL) {
    const size_t len = slash == path ? 1 : (size_t)(slash - path);
    if (len >= sizeof folder) {
      return true;
    }
    memcpy(folder, path, len);
    folder[len] = '\0';
  }
  const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    return true; /* it may be written, but not read */
  }
  const bool done =
      fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP || errno == EROFS;
  if (!done) {
    (void)fail(failure, "fsync");
  }
  (void)close(fd);
  return done;
}

/* Pushes the path of the file that a link at `path` leads to, or `path`.
 * Returns NULL if it leads nowhere. [-0, +0|1, m] */
static const char *push_target(lua_State *L, const char *path,
                               struct failure *failure) {
  struct stat status;
  char target[PATH_CAP];
  if (lstat(path, &status) != 0 || !S_ISLNK(status.st_mode)) {
    return lua_pushstring(L, path);
  }
  if (strlen(path) >= sizeof target || realpath(path, target) == NULL) {
    (void)fail(failure, "realpath");
    return NULL;
  }
  return lua_pushstring(L, target);
}

/* write_file(path, bytes[, "private"]) → true, or nil, message, code. A reader
 * of `path` sees the old content or the new one, also after a crash. The file
 * follows the umask; a private one is of its owner only. */
static int write_file(lua_State *L) {
  struct failure failure = {0};
  const char *const path = kad_lua_check_path(L, 1);
  const struct kad_slice bytes = kad_lua_check_slice(L, 2);
  const mode_t mode =
      check_private(L, 3) ? PRIVATE_FILE_MODE : SHARED_FILE_MODE;
  const char *const target = push_target(L, path, &failure);
  if (target == NULL) {
    return push_failure(L, path, &failure);
  }
  const char *const draft = lua_pushfstring(L, "%s.new", target);
  if (!write_new(draft, bytes, mode, &failure)) {
    return push_failure(L, draft, &failure);
  }
  if (rename(draft, target) != 0) {
    (void)fail(&failure, "rename");
    (void)unlink(draft);
    return push_failure(L, path, &failure);
  }
  if (!flush_folder(target, &failure)) {
    return push_failure(L, path, &failure);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* create_file(path, bytes) → true, or nil, message, code. The file is of its
 * owner only. One that exists is left unchanged. */
static int create_file(lua_State *L) {
  struct failure failure = {0};
  const char *const path = kad_lua_check_path(L, 1);
  const struct kad_slice bytes = kad_lua_check_slice(L, 2);
  if (!create(path, bytes, PRIVATE_FILE_MODE, &failure) ||
      !flush_folder(path, &failure)) {
    return push_failure(L, path, &failure);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* is_shared(path) → whether other users may read or change a file; false if it
 * does not exist */
static int is_shared(lua_State *L) {
  struct stat status;
  const char *const path = kad_lua_check_path(L, 1);
  const mode_t others = S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH;
  lua_pushboolean(L, stat(path, &status) == 0 && S_ISREG(status.st_mode) &&
                         (status.st_mode & others) != 0);
  return 1;
}

/* Reads up to `cap` bytes of `fd` to `bytes`; `*len` is their number. */
static bool read_all(int fd, char *bytes, size_t cap, size_t *len,
                     struct failure *failure) {
  *len = 0;
  while (*len < cap) {
    const ssize_t count = read(fd, bytes + *len, cap - *len);
    if (count < 0 && errno != EINTR) {
      return fail(failure, "read");
    }
    if (count == 0) {
      break;
    }
    *len += count > 0 ? (size_t)count : 0;
  }
  return true;
}

/* Returns the KAD_E… code of a file that could not be read. */
static int error_of_read(int number) {
  switch (number) {
  case ENOENT:
  case ENOTDIR:
    return KAD_ENOTFOUND;
  case EISDIR:
  case ELOOP:
  case ENAMETOOLONG:
    return KAD_EINVAL;
  default:
    return kad_lua_error_of_errno(number);
  }
}

int kad_lua_open_regular(const char *path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  struct stat status;
  if (fd >= 0 && fstat(fd, &status) == 0 && !S_ISREG(status.st_mode) &&
      !S_ISDIR(status.st_mode)) {
    (void)close(fd);
    return KAD_LUA_NOT_REGULAR;
  }
  return fd < 0 && errno == ENXIO ? KAD_LUA_NOT_REGULAR : fd; /* a socket */
}

/* read_file(path, max[, "regular"]) → its bytes, or nil, message, code. With
 * "regular", other files are refused: to read them may never end. Codes:
 *   KAD_ENOTFOUND  there is no such file
 *   KAD_EACCESS    it may not be read
 *   KAD_EINVAL     the path is that of a folder, too long, or of no regular
 *                  file
 *   KAD_ETOOBIG    it has more than `max` bytes */
static int read_file(lua_State *L) {
  luaL_Buffer buffer;
  struct failure failure = {0};
  size_t len = 0;
  const char *const path = kad_lua_check_path(L, 1);
  const size_t max = (size_t)kad_lua_check_integer(L, 2, 0, READ_MAX);
  const bool is_regular = check_regular(L, 3);
  char *const bytes = luaL_buffinitsize(L, &buffer, max + 1);
  const int fd = is_regular ? kad_lua_open_regular(path)
                            : open(path, O_RDONLY | O_CLOEXEC);
  if (fd == KAD_LUA_NOT_REGULAR) {
    lua_pushfstring(L, "%s: not a regular file: save it in one", path);
    return kad_lua_push_error_message(L, KAD_EINVAL);
  }
  bool done = fd >= 0 || fail(&failure, "open");
  if (fd >= 0) {
    done = read_all(fd, bytes, max + 1, &len, &failure);
    (void)close(fd);
  }
  if (!done) {
    return kad_lua_push_system_failure(L, error_of_read(failure.number), path,
                                       failure.call, failure.number);
  }
  if (len > max) {
    lua_pushfstring(L, "%s: larger than %I bytes", path, (LUAI_UACINT)max);
    return kad_lua_push_error_message(L, KAD_ETOOBIG);
  }
  luaL_pushresultsize(&buffer, len);
  return 1;
}

/* exists(path) → "folder", "other" or, if there is nothing of that name, false;
 * or nil, message, code. Does not follow links. */
static int exists(lua_State *L) {
  struct failure failure = {0};
  struct stat status;
  const char *const path = kad_lua_check_path(L, 1);
  const bool found = lstat(path, &status) == 0;
  if (!found && errno != ENOENT && errno != ENOTDIR) {
    (void)fail(&failure, "stat");
    return push_failure(L, path, &failure);
  }
  if (found) {
    lua_pushstring(L, S_ISDIR(status.st_mode) ? "folder" : "other");
  } else {
    lua_pushboolean(L, 0);
  }
  return 1;
}

#define FOLDER "kadenza.core.Folder"

/* A folder that is read, so that the collector closes it after an error. */
struct folder {
  DIR *stream; /* NULL: closed */
};

static void close_folder(struct folder *folder) {
  if (folder->stream != NULL) {
    (void)closedir(folder->stream);
    folder->stream = NULL;
  }
}

static int folder_gc(lua_State *L) {
  close_folder(luaL_checkudata(L, 1, FOLDER));
  return 0;
}

/* Pushes a closed folder. [-0, +1, m] */
static struct folder *push_folder(lua_State *L) {
  struct folder *const folder = lua_newuserdatauv(L, sizeof *folder, 0);
  *folder = (struct folder){NULL};
  if (luaL_newmetatable(L, FOLDER)) {
    lua_pushcfunction(L, folder_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return folder;
}

/* list_folder(path, max) → list of up to `max` names in it, without "." and
 * ".."; or nil, message, code. Codes: as of read_file */
static int list_folder(lua_State *L) {
  const char *const path = kad_lua_check_path(L, 1);
  const lua_Integer max = kad_lua_check_integer(L, 2, 1, LIST_MAX);
  struct folder *const folder = push_folder(L);
  folder->stream = opendir(path);
  if (folder->stream == NULL) {
    return kad_lua_push_system_failure(L, error_of_read(errno), path, "open",
                                       errno);
  }
  const struct dirent *entry = NULL;
  lua_Integer count = 0;
  lua_newtable(L);
  while (count < max && (entry = readdir(folder->stream)) != NULL) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
      lua_pushstring(L, entry->d_name);
      lua_rawseti(L, -2, ++count);
    }
  }
  close_folder(folder);
  return 1;
}

void kad_lua_add_file(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"create_file", create_file}, {"exists", exists},
      {"is_shared", is_shared},     {"list_folder", list_folder},
      {"make_folder", make_folder}, {"read_file", read_file},
      {"write_file", write_file},   {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
