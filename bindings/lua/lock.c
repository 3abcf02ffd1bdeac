/* Tested by tests/spec/state_folder_spec.lua, tests/spec/cli/state_spec.lua. */

/* For F_OFD_SETLK, O_NOFOLLOW and flock. */
#define _GNU_SOURCE /* NOLINT(bugprone-reserved-identifier,cert-dcl37-c) */

#include "lua/lock.h"

#include "lua/argument.h"
#include "lua/error.h"
#include "lua/handle.h"

#include <lauxlib.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK "kadenza.core.Lock"

enum {
  FILE_MODE = 0600,
  TEXT_MAX = 512, /* bytes that are read of the holder's text */
  ATTEMPTS = 8,   /* to lock a file that others remove meanwhile */
  READS = 20,     /* of a text that the holder has not written yet */
  READ_WAIT_MS = 5
};

/* A locked file. The path is its user value. */
struct lock {
  int fd; /* -1: closed */
};

enum outcome {
  OUTCOME_LOCKED,
  OUTCOME_UNSUPPORTED, /* the file system has no locks */
  OUTCOME_HELD,        /* by another */
  OUTCOME_GONE,        /* the file was removed or replaced: try again */
  OUTCOME_FAILED
};

/* A lock belongs to the open file, so that two nodes of one process exclude
 * each other, too. A file system may have one of two kinds of such locks. */
static int set_lock(int fd) {
#ifdef F_OFD_SETLK
  struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  if (fcntl(fd, F_OFD_SETLK, &whole) == 0) {
    return 0;
  }
  if (errno == EAGAIN || errno == EACCES) {
    return -1;
  }
#endif
  return flock(fd, LOCK_EX | LOCK_NB);
}

static bool is_same_file(int fd, const char *path) {
  struct stat open_one;
  struct stat named;
  return fstat(fd, &open_one) == 0 && lstat(path, &named) == 0 &&
         open_one.st_dev == named.st_dev && open_one.st_ino == named.st_ino;
}

/* Locks an open file. `*number` is the errno of a failure. */
static enum outcome try_lock(int fd, const char *path, int *number) {
  struct stat status;
  *number = 0;
  if (fstat(fd, &status) != 0) {
    *number = errno;
    return OUTCOME_FAILED;
  }
  if (!S_ISREG(status.st_mode)) {
    return OUTCOME_FAILED;
  }
  if (set_lock(fd) != 0) {
    *number = errno;
    switch (errno) {
    case EAGAIN:
    case EACCES:
      return OUTCOME_HELD;
    case ENOLCK:
    case ENOSYS:
    case EINVAL:
    case EOPNOTSUPP:
      return OUTCOME_UNSUPPORTED;
    default:
      return OUTCOME_FAILED;
    }
  }
  return is_same_file(fd, path) ? OUTCOME_LOCKED : OUTCOME_GONE;
}

/* Replaces the content of the file. The lock holds even if that fails. */
static void write_text(int fd, const char *text, size_t len) {
  if (ftruncate(fd, 0) == 0 && pwrite(fd, text, len, 0) < 0) {
    (void)ftruncate(fd, 0);
  }
}

/* Tells whether `text` begins with the number of a process that runs here. */
static bool names_process(const char *text) {
  const long pid = strtol(text, NULL, 10);
  return pid > 0 && pid <= INT_MAX &&
         (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

/* Reads the text of the holder; `text` has TEXT_MAX bytes. A holder that has
 * just locked the file has yet to write it: the file is empty, or has the text
 * of a process that crashed. Returns its length. */
static size_t read_text(int fd, char *text) {
  const struct timespec wait = {.tv_nsec = READ_WAIT_MS * 1000000L};
  ssize_t len = 0;
  for (int i = 0; i < READS; i++) {
    len = pread(fd, text, TEXT_MAX - 1, 0);
    text[len > 0 ? len : 0] = '\0';
    if (names_process(text)) {
      break;
    }
    (void)nanosleep(&wait, NULL);
  }
  return len > 0 ? (size_t)len : 0;
}

/* Pushes nil, a message, KAD_EBUSY and the text of the process that holds the
 * lock. [-0, +4, m] */
static int push_held(lua_State *L, int fd, const char *path) {
  char text[TEXT_MAX];
  const size_t len = read_text(fd, text);
  lua_pushfstring(L, "%s: locked by another process", path);
  (void)kad_lua_push_error_message(L, KAD_EBUSY);
  lua_pushlstring(L, text, len);
  return 4;
}

/* Opens and locks `path`. Sets `lock->fd`, which is open also if another holds
 * the lock. */
static enum outcome open_lock(struct lock *lock, const char *path,
                              int *number) {
  /* The flags keep a FIFO from blocking, and a link from leading elsewhere. */
  const int flags =
      O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  enum outcome outcome = OUTCOME_GONE;
  for (int i = 0; i < ATTEMPTS && outcome == OUTCOME_GONE; i++) {
    if (lock->fd >= 0) {
      (void)close(lock->fd);
    }
    lock->fd = open(path, flags, FILE_MODE);
    if (lock->fd < 0) {
      *number = errno;
      return OUTCOME_FAILED;
    }
    outcome = try_lock(lock->fd, path, number);
  }
  return outcome;
}

static void close_lock(struct lock *lock) {
  if (lock->fd >= 0) {
    (void)close(lock->fd);
    lock->fd = -1;
  }
}

/* Pushes nil, a message and a code. [-0, +3, m] */
static int push_failure(lua_State *L, const char *path, int number) {
  if (number == 0) {
    lua_pushfstring(L, "%s: not a regular file", path);
    return kad_lua_push_error_message(L, KAD_ESYSTEM);
  }
  return kad_lua_push_system_failure(L, kad_lua_error_of_errno(number), path,
                                     "open", number);
}

/* lock_file(path, text) → lock and whether the file system has locks; or nil,
 * message, code, text of the holder. Makes the file if it is missing; its
 * content is then the process id and `text`. Codes:
 *   KAD_EBUSY  another process, or another lock of this one, holds it */
static int lock_file(lua_State *L) {
  const char *const path = kad_lua_check_path(L, 1);
  (void)luaL_checkstring(L, 2);
  const char *const text =
      lua_pushfstring(L, "%d\n%s", (int)getpid(), lua_tostring(L, 2));
  struct lock *const lock = lua_newuserdatauv(L, sizeof *lock, 1);
  int number = 0;
  lock->fd = -1;
  luaL_setmetatable(L, LOCK);
  lua_pushvalue(L, 1);
  (void)lua_setiuservalue(L, -2, 1);
  const enum outcome outcome = open_lock(lock, path, &number);
  int count = 2;
  switch (outcome) {
  case OUTCOME_LOCKED:
  case OUTCOME_UNSUPPORTED:
    write_text(lock->fd, text, strlen(text));
    lua_pushboolean(L, outcome == OUTCOME_LOCKED);
    return count;
  case OUTCOME_HELD:
  case OUTCOME_GONE:
    count = push_held(L, lock->fd, path);
    break;
  case OUTCOME_FAILED:
    count = push_failure(L, path, number);
    break;
  }
  close_lock(lock);
  return count;
}

/* lock:is_held() → whether the lock is open and its path names its file */
static int lock_is_held(lua_State *L) {
  const struct lock *const lock = luaL_checkudata(L, 1, LOCK);
  (void)lua_getiuservalue(L, 1, 1);
  lua_pushboolean(L,
                  lock->fd >= 0 && is_same_file(lock->fd, lua_tostring(L, -1)));
  return 1;
}

/* lock:close(): removes the file and unlocks it */
static int lock_close(lua_State *L) {
  struct lock *const lock = luaL_checkudata(L, 1, LOCK);
  (void)lua_getiuservalue(L, 1, 1);
  const char *const path = lua_tostring(L, -1);
  if (lock->fd >= 0 && is_same_file(lock->fd, path)) {
    (void)unlink(path);
  }
  close_lock(lock);
  return 0;
}

static int lock_gc(lua_State *L) {
  close_lock(luaL_checkudata(L, 1, LOCK));
  return 0;
}

void kad_lua_add_lock(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"is_held", lock_is_held},
      {"close", lock_close},
      {NULL, NULL},
  };
  static const luaL_Reg meta[] = {{"__gc", lock_gc}, {NULL, NULL}};
  static const luaL_Reg *const methods[] = {functions, NULL};
  kad_lua_push_metatable(L, LOCK, methods, meta);
  lua_pop(L, 1);
  lua_pushcfunction(L, lock_file);
  lua_setfield(L, -2, "lock_file");
}
