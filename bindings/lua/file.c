#define _POSIX_C_SOURCE 200809L

#include "lua/file.h"

#include "lua/argument.h"
#include "lua/error.h"

#include <lauxlib.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  PATH_CAP = 4096,
  FOLDER_MODE = 0700,
  FILE_MODE = 0600
};

/* Pushes nil, "path: reason" and the code. [-0, +3, m] */
static int push_failure(lua_State *L, const char *path, int error) {
  lua_pushfstring(L, "%s: %s", path, strerror(error));
  return kad_lua_push_error_message(L, kad_lua_error_of_errno(error));
}

/* Makes a folder, which may exist already. Returns 0 or an errno. */
static int make_one_folder(const char *path) {
  if (mkdir(path, FOLDER_MODE) == 0 || errno == EEXIST) {
    return 0;
  }
  const int error = errno;
  struct stat status;
  return stat(path, &status) == 0 && S_ISDIR(status.st_mode) ? 0 : error;
}

/* Makes `path` and the folders above it. Returns 0 or an errno. */
static int make_folders(char *path) {
  for (char *at = path + 1; *at != '\0'; at++) {
    if (*at != '/') {
      continue;
    }
    *at = '\0';
    const int error = make_one_folder(path);
    *at = '/';
    if (error != 0) {
      return error;
    }
  }
  return make_one_folder(path);
}

/* make_folder(path) → true if the folder exists now and can be read and
 * written, or nil, message, code */
static int make_folder(lua_State *L) {
  char copy[PATH_CAP];
  struct stat status;
  size_t len = 0;
  const char *const path = luaL_checklstring(L, 1, &len);
  luaL_argcheck(L, len > 0 && len < PATH_CAP && strlen(path) == len, 1,
                "a path is needed");
  memcpy(copy, path, len + 1);
  int error = make_folders(copy);
  if (error == 0 && stat(path, &status) != 0) {
    error = errno;
  }
  if (error == 0 && !S_ISDIR(status.st_mode)) {
    error = ENOTDIR;
  }
  if (error == 0 && access(path, R_OK | W_OK | X_OK) != 0) {
    error = errno;
  }
  if (error != 0) {
    return push_failure(L, path, error);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* Returns 0 or an errno. */
static int write_all(int fd, struct kad_slice bytes) {
  while (bytes.len > 0) {
    const ssize_t written = write(fd, bytes.data, bytes.len);
    if (written < 0 && errno != EINTR) {
      return errno;
    }
    if (written > 0) {
      bytes.data += written;
      bytes.len -= (size_t)written;
    }
  }
  return 0;
}

/* Writes a new file and waits until it is on disk. Returns 0 or an errno. */
static int write_new(const char *path, struct kad_slice bytes) {
  const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
  const int fd = open(path, flags, FILE_MODE);
  if (fd < 0) {
    return errno;
  }
  int error = write_all(fd, bytes);
  if (error == 0 && fsync(fd) != 0) {
    error = errno;
  }
  if (close(fd) != 0 && error == 0) {
    error = errno;
  }
  return error;
}

/* write_file(path, bytes) → true, or nil, message, code. A reader of `path`
 * sees the old content or the new one, also after a crash. */
static int write_file(lua_State *L) {
  const char *const path = luaL_checkstring(L, 1);
  const struct kad_slice bytes = kad_lua_check_slice(L, 2);
  const char *const draft = lua_pushfstring(L, "%s.new", path);
  int error = write_new(draft, bytes);
  if (error == 0 && rename(draft, path) != 0) {
    error = errno;
  }
  if (error != 0) {
    (void)unlink(draft);
    return push_failure(L, path, error);
  }
  lua_pushboolean(L, 1);
  return 1;
}

void kad_lua_add_file(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"make_folder", make_folder},
      {"write_file", write_file},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
