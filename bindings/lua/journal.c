/* A journal is a file of frames:
 *
 *     length 4 (little-endian), BLAKE2b of the text 16, text
 *
 * What the system has taken survives the end of the process. A frame counts as
 * a whole or not at all, and none after one that does not count.
 *
 * Tested by tests/spec/journal_spec.lua. */
#define _POSIX_C_SOURCE 200809L

#include "lua/journal.h"

#include "lua/argument.h"
#include "lua/error.h"
#include "lua/handle.h"

#include <lauxlib.h>
#include <sodium.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define JOURNAL "kadenza.core.Journal"

enum {
  MODE = 0600,
  LENGTH_SIZE = 4,
  SUM_SIZE = crypto_generichash_BYTES_MIN,
  HEAD = LENGTH_SIZE + SUM_SIZE
};

/* The path is its user value. */
struct journal {
  int fd;          /* -1: closed */
  lua_Integer end; /* bytes of the frames */
};

static void write_head(uint8_t head[HEAD], const char *text, size_t len) {
  for (size_t i = 0; i < LENGTH_SIZE; i++) {
    head[i] = (uint8_t)(len >> (8 * i));
  }
  (void)crypto_generichash(head + LENGTH_SIZE, SUM_SIZE, (const uint8_t *)text,
                           len, NULL, 0);
}

/* Pushes nil, a message and a code for errno. [-0, +3, m] */
static int push_failure(lua_State *L, const char *call) {
  const int number = errno;
  (void)lua_getiuservalue(L, 1, 1);
  return kad_lua_push_system_failure(L, kad_lua_error_of_errno(number),
                                     lua_tostring(L, -1), call, number);
}

static struct journal *check_open(lua_State *L) {
  struct journal *const self = luaL_checkudata(L, 1, JOURNAL);
  luaL_argcheck(L, self->fd >= 0, 1, "the journal is closed");
  return self;
}

static void close_file(struct journal *self) {
  if (self->fd >= 0) {
    (void)close(self->fd);
    self->fd = -1;
  }
}

/* Opens a regular file. The flags keep a FIFO from blocking, and a link from
 * leading elsewhere. Returns false with errno. */
static bool open_file(struct journal *self, const char *path) {
  const int flags =
      O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  struct stat status;
  self->fd = open(path, flags, MODE);
  if (self->fd < 0) {
    return false;
  }
  if (fstat(self->fd, &status) != 0) {
    return false;
  }
  if (!S_ISREG(status.st_mode)) {
    errno = EINVAL;
    return false;
  }
  return true;
}

/* open_journal(path, bytes) → journal, or nil, message, code. Makes the file if
 * it is missing. What it has after so many bytes is cut off. */
static int open_journal(lua_State *L) {
  const char *const path = kad_lua_check_path(L, 1);
  const lua_Integer bytes =
      kad_lua_check_integer(L, 2, 0, (lua_Integer)1 << 40);
  struct journal *const self = lua_newuserdatauv(L, sizeof *self, 1);
  *self = (struct journal){.fd = -1, .end = bytes};
  luaL_setmetatable(L, JOURNAL);
  lua_pushvalue(L, 1);
  (void)lua_setiuservalue(L, -2, 1);
  lua_replace(L, 1);
  if (!open_file(self, path) || ftruncate(self->fd, (off_t)bytes) != 0) {
    const int count = push_failure(L, "open");
    close_file(self);
    return count;
  }
  lua_settop(L, 1);
  return 1;
}

/* journal:append(text) → true, or nil, message, code with nothing appended */
static int journal_append(lua_State *L) {
  struct journal *const self = check_open(L);
  size_t len = 0;
  const char *const text = luaL_checklstring(L, 2, &len);
  luaL_argcheck(L, len <= INT32_MAX, 2, "it is too long");
  uint8_t head[HEAD];
  write_head(head, text, len);
  const size_t size = HEAD + len;
  luaL_Buffer frame;
  char *const bytes = luaL_buffinitsize(L, &frame, size);
  memcpy(bytes, head, HEAD);
  memcpy(bytes + HEAD, text, len);
  ssize_t written;
  do {
    written = pwrite(self->fd, bytes, size, (off_t)self->end);
  } while (written < 0 && errno == EINTR);
  if (written != (ssize_t)size) {
    errno = written < 0 ? errno : ENOSPC;
    const int count = push_failure(L, "write");
    (void)!ftruncate(self->fd, (off_t)self->end);
    return count;
  }
  self->end += (lua_Integer)size;
  lua_pushboolean(L, 1);
  return 1;
}

/* journal:sync() → true, or nil, message, code: flushes it to the disk */
static int journal_sync(lua_State *L) {
  const struct journal *const self = check_open(L);
  if (fdatasync(self->fd) != 0) {
    return push_failure(L, "fdatasync");
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* journal:clear() → true, or nil, message, code: removes all texts */
static int journal_clear(lua_State *L) {
  struct journal *const self = check_open(L);
  if (ftruncate(self->fd, 0) != 0) {
    return push_failure(L, "ftruncate");
  }
  self->end = 0;
  lua_pushboolean(L, 1);
  return 1;
}

/* journal:size() → its bytes */
static int journal_size(lua_State *L) {
  lua_pushinteger(L, check_open(L)->end);
  return 1;
}

/* journal:close(). May be repeated. */
static int journal_close(lua_State *L) {
  close_file(luaL_checkudata(L, 1, JOURNAL));
  return 0;
}

/* Returns the length of the text of the frame at the front of `len` bytes, or
 * -1 if it does not count. */
static int64_t text_len(const uint8_t *bytes, size_t len) {
  uint8_t head[HEAD];
  size_t size = 0;
  if (len < HEAD) {
    return -1;
  }
  for (size_t i = 0; i < LENGTH_SIZE; i++) {
    size |= (size_t)bytes[i] << (8 * i);
  }
  if (size > len - HEAD) {
    return -1;
  }
  write_head(head, (const char *)bytes + HEAD, size);
  return memcmp(head, bytes, HEAD) == 0 ? (int64_t)size : -1;
}

/* read_journal(bytes) → list of the texts in the bytes of a journal, and how
 * many bytes their frames have */
static int read_journal(lua_State *L) {
  size_t len = 0;
  const char *const bytes = luaL_checklstring(L, 1, &len);
  size_t at = 0;
  lua_newtable(L);
  for (lua_Integer i = 1;; i++) {
    const int64_t size = text_len((const uint8_t *)bytes + at, len - at);
    if (size < 0) {
      break;
    }
    lua_pushlstring(L, bytes + at + HEAD, (size_t)size);
    lua_rawseti(L, -2, i);
    at += HEAD + (size_t)size;
  }
  lua_pushinteger(L, (lua_Integer)at);
  return 2;
}

void kad_lua_add_journal(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"append", journal_append}, {"sync", journal_sync},
      {"clear", journal_clear},   {"size", journal_size},
      {"close", journal_close},   {NULL, NULL},
  };
  static const luaL_Reg meta[] = {{"__gc", journal_close}, {NULL, NULL}};
  static const luaL_Reg *const methods[] = {functions, NULL};
  kad_lua_push_metatable(L, JOURNAL, methods, meta);
  lua_pop(L, 1);
  lua_pushcfunction(L, open_journal);
  lua_setfield(L, -2, "open_journal");
  lua_pushcfunction(L, read_journal);
  lua_setfield(L, -2, "read_journal");
}
