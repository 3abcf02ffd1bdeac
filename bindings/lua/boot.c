/* Tested by tests/spec/clock_spec.lua. */

/* For CLOCK_BOOTTIME. */
#define _GNU_SOURCE /* NOLINT(bugprone-reserved-identifier,cert-dcl37-c) */

#include "lua/boot.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#ifdef CLOCK_BOOTTIME
static const clockid_t boot_clock = CLOCK_BOOTTIME; /* counts suspends */
#else
static const clockid_t boot_clock = CLOCK_MONOTONIC;
#endif

/* Pushes the id of the machine's run, or nil. [-0, +1, m] */
static void push_boot_id(lua_State *L) {
  enum {
    ID_SIZE = 36
  };
  char id[ID_SIZE];
  const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  const ssize_t len = fd >= 0 ? read(fd, id, sizeof id) : -1;
  if (fd >= 0) {
    (void)close(fd);
  }
  if (len == ID_SIZE) {
    lua_pushlstring(L, id, sizeof id);
  } else {
    lua_pushnil(L);
  }
}

/* boot() → whole seconds since the machine was started, with those in which it
 * was suspended; and an id that differs after each start, or nil */
static int boot(lua_State *L) {
  struct timespec now = {0};
  (void)clock_gettime(boot_clock, &now);
  lua_pushinteger(L, (lua_Integer)now.tv_sec);
  push_boot_id(L);
  return 2;
}

void kad_lua_add_boot(lua_State *L) {
  lua_pushcfunction(L, boot);
  lua_setfield(L, -2, "boot");
}
