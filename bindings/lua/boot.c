/* Tested by tests/spec/clock_spec.lua. */

/* For CLOCK_BOOTTIME. */
#define _GNU_SOURCE /* NOLINT(bugprone-reserved-identifier,cert-dcl37-c) */

#include "lua/boot.h"

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#ifdef CLOCK_BOOTTIME
static const clockid_t boot_clock = CLOCK_BOOTTIME; /* counts suspends */
#else
static const clockid_t boot_clock = CLOCK_MONOTONIC;
#endif

/* Reads the beginning of a file of the kernel. Returns its length, at most
 * `cap`; 0 if it cannot be read. */
static size_t read_kernel(const char *path, char *text, size_t cap) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  const ssize_t len = fd >= 0 ? read(fd, text, cap) : 0;
  if (fd >= 0) {
    (void)close(fd);
  }
  return len > 0 ? (size_t)len : 0;
}

/* Returns whole seconds since the machine was started. The kernel's file goes
 * first: what fakes the clocks of a program does not change it. */
static lua_Integer uptime_s(void) {
  char text[32];
  struct timespec now = {0};
  const size_t len = read_kernel("/proc/uptime", text, sizeof text - 1);
  text[len] = '\0';
  if (len > 0 && text[0] >= '0' && text[0] <= '9') {
    return (lua_Integer)strtoll(text, NULL, 10);
  }
  (void)clock_gettime(boot_clock, &now);
  return (lua_Integer)now.tv_sec;
}

/* boot() → whole seconds since the machine was started, with those in which it
 * was suspended; and an id that differs after each start, or nil */
static int boot(lua_State *L) {
  enum {
    ID_SIZE = 36
  };
  char id[ID_SIZE];
  lua_pushinteger(L, uptime_s());
  if (read_kernel("/proc/sys/kernel/random/boot_id", id, sizeof id) ==
      sizeof id) {
    lua_pushlstring(L, id, sizeof id);
  } else {
    lua_pushnil(L);
  }
  return 2;
}

void kad_lua_add_boot(lua_State *L) {
  lua_pushcfunction(L, boot);
  lua_setfield(L, -2, "boot");
}
