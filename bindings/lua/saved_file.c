/* Tested by tests/spec/state_spec.lua. */
#define _POSIX_C_SOURCE 200809L

#include "lua/saved_file.h"

#include "lua/argument.h"
#include "lua/error.h"

#include <lauxlib.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

/* What went wrong: a system call and its errno, or a sentence. */
struct problem {
  const char *call;
  const char *text; /* instead of the errno's */
  int number;
};

static bool fail(struct problem *problem, const char *call) {
  *problem = (struct problem){.call = call, .number = errno};
  return false;
}

static bool reject(struct problem *problem, const char *text) {
  *problem = (struct problem){.text = text};
  return false;
}

/* Pushes nil, a message and a code. [-0, +3, m] */
static int push_problem(lua_State *L, const char *path,
                        const struct problem *problem) {
  if (problem->text != NULL) {
    lua_pushfstring(L, "%s: %s", path, problem->text);
    return kad_lua_push_error_message(L, KAD_ESYSTEM);
  }
  return kad_lua_push_system_failure(L, kad_lua_error_of_errno(problem->number),
                                     path, problem->call, problem->number);
}

/* Opens a file without waiting for the writer of a FIFO. Returns -1 if it
 * cannot be opened. */
static int open_file(const char *path, struct problem *problem) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  struct stat status;
  if (fd < 0) {
    (void)fail(problem, "open");
    if (errno == ENOENT && lstat(path, &status) == 0) {
      (void)reject(problem, "a link that leads to nothing");
    }
  }
  return fd;
}

/* Checks that it is a regular file of at most `max` bytes. */
static bool check_file(int fd, lua_Integer max, struct stat *status,
                       struct problem *problem) {
  if (fstat(fd, status) != 0) {
    return fail(problem, "fstat");
  }
  if (S_ISDIR(status->st_mode)) {
    return reject(problem, "a folder, not a file");
  }
  if (!S_ISREG(status->st_mode)) {
    return reject(problem, "not a regular file");
  }
  return status->st_size <= max ||
         reject(problem, "larger than such a file can be");
}

/* Reads up to `cap` bytes; `*len` is their number. */
static bool read_all(int fd, char *bytes, size_t cap, size_t *len,
                     struct problem *problem) {
  *len = 0;
  while (*len < cap) {
    const ssize_t count = read(fd, bytes + *len, cap - *len);
    if (count < 0 && errno != EINTR) {
      return fail(problem, "read");
    }
    if (count == 0) {
      break;
    }
    *len += count > 0 ? (size_t)count : 0;
  }
  return true;
}

/* Reads the open file and pushes its bytes, if all of them can be read.
 * [-0, +0|1, m] */
static bool push_bytes(lua_State *L, int fd, lua_Integer max,
                       struct stat *status, struct problem *problem) {
  if (!check_file(fd, max, status, problem)) {
    return false;
  }
  const size_t cap = (size_t)status->st_size + 1; /* notices that it grows */
  char *const bytes = lua_newuserdatauv(L, cap, 0);
  size_t len = 0;
  bool done = read_all(fd, bytes, cap, &len, problem);
  if (done && len != (size_t)status->st_size) {
    done = reject(problem, "changes while it is read");
  }
  if (done) {
    lua_pushlstring(L, bytes, len);
  }
  return done;
}

/* Does the work of read_saved. Argument 3 is the descriptor, which the caller
 * closes whatever is raised here. [-0, +2|3, m] */
static int read_open(lua_State *L) {
  struct problem problem;
  struct stat status;
  const char *const path = lua_tostring(L, 1);
  const int fd = (int)lua_tointeger(L, 3);
  if (!push_bytes(L, fd, lua_tointeger(L, 2), &status, &problem)) {
    return push_problem(L, path, &problem);
  }
  lua_pushinteger(L, (lua_Integer)status.st_mtime);
  return 2;
}

/* read_saved(path, max) → all bytes of the file, and when it was written, in
 * seconds since 1970; false if there is nothing of this name; or nil, message,
 * code if it is not a regular file of at most `max` bytes that can be read
 * whole. Does not wait. */
static int read_saved(lua_State *L) {
  struct problem problem;
  const char *const path = kad_lua_check_path(L, 1);
  (void)kad_lua_check_integer(L, 2, 0, (lua_Integer)1 << 40);
  lua_settop(L, 2);
  const int fd = open_file(path, &problem);
  if (fd < 0) {
    if (problem.text == NULL && problem.number == ENOENT) {
      lua_pushboolean(L, 0);
      return 1;
    }
    return push_problem(L, path, &problem);
  }
  lua_pushcfunction(L, read_open);
  lua_insert(L, 1);
  lua_pushinteger(L, fd);
  const int status = lua_pcall(L, 3, LUA_MULTRET, 0);
  (void)close(fd);
  return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

void kad_lua_add_saved_file(lua_State *L) {
  lua_pushcfunction(L, read_saved);
  lua_setfield(L, -2, "read_saved");
}
