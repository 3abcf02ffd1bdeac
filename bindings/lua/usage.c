/* For CLOCK_BOOTTIME. */
#define _GNU_SOURCE /* NOLINT(bugprone-reserved-identifier,cert-dcl37-c) */

#include "lua/usage.h"

#include "lua/field.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
  STAT_SIZE = 1024,
  FIRST_FIELD = 3, /* the number of the field after the name of the program */
  START_FIELD = 22,
  SIZE_FIELD = 23,
  RESIDENT_FIELD = 24
};

/* Reads a file of the kernel. Returns false if it cannot be read. */
static bool read_text(const char *path, char *text, size_t cap) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  const ssize_t len = fd >= 0 ? read(fd, text, cap - 1) : -1;
  if (fd >= 0) {
    (void)close(fd);
  }
  text[len > 0 ? len : 0] = '\0';
  return len > 0;
}

/* Returns the number in the field `wanted` of /proc/self/stat, from 3. The name
 * of the program, in brackets, may have spaces and brackets itself. */
static double field_of(const char *stat, int wanted) {
  const char *at = strrchr(stat, ')');
  for (int i = FIRST_FIELD; at != NULL && i <= wanted; i++) {
    at = strchr(at + 1, ' ');
  }
  return at != NULL ? strtod(at, NULL) : 0;
}

static double seconds_of(clockid_t clock) {
  struct timespec now = {0};
  (void)clock_gettime(clock, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Sets what the kernel of Linux says of the process. [-0, +0, m] */
static void set_proc(lua_State *L) {
#ifdef CLOCK_BOOTTIME
  char stat[STAT_SIZE];
  if (!read_text("/proc/self/stat", stat, sizeof stat)) {
    return;
  }
  const double started =
      field_of(stat, START_FIELD) / (double)sysconf(_SC_CLK_TCK);
  kad_lua_set_number(L, "start_time",
                     seconds_of(CLOCK_REALTIME) -
                         (seconds_of(CLOCK_BOOTTIME) - started));
  kad_lua_set_integer(L, "virtual_bytes",
                      (lua_Integer)field_of(stat, SIZE_FIELD));
  kad_lua_set_integer(L, "resident_bytes",
                      (lua_Integer)field_of(stat, RESIDENT_FIELD) *
                          (lua_Integer)sysconf(_SC_PAGESIZE));
#else
  (void)L;
#endif
}

/* Counts the files of a folder. Returns -1 if it cannot be read. */
static lua_Integer count_files(const char *path) {
  DIR *const folder = opendir(path);
  lua_Integer count = 0;
  if (folder == NULL) {
    return -1;
  }
  for (const struct dirent *it = readdir(folder); it != NULL;
       it = readdir(folder)) {
    count += it->d_name[0] != '.';
  }
  (void)closedir(folder);
  return count - 1; /* without the descriptor of the folder itself */
}

/* Sets the number of open file descriptors. Linux 6.2 says it as the size of
 * the folder; to list thousands takes milliseconds. [-0, +0, m] */
static void set_open_fds(lua_State *L) {
  static const char path[] = "/proc/self/fd";
  struct stat info;
  if (stat(path, &info) != 0) {
    return;
  }
  const lua_Integer count =
      info.st_size > 0 ? (lua_Integer)info.st_size : count_files(path);
  if (count >= 0) {
    kad_lua_set_integer(L, "open_fds", count);
  }
}

/* usage() → {cpu_seconds, max_fds?, open_fds?, resident_bytes?, start_time?,
 * virtual_bytes?}; without /proc there is less */
static int usage(lua_State *L) {
  struct rusage used;
  struct rlimit limit;
  lua_newtable(L);
  if (getrusage(RUSAGE_SELF, &used) == 0) {
    kad_lua_set_number(
        L, "cpu_seconds",
        (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
            (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
  }
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
      limit.rlim_cur != RLIM_INFINITY) {
    kad_lua_set_integer(L, "max_fds", (lua_Integer)limit.rlim_cur);
  }
  set_open_fds(L);
  set_proc(L);
  return 1;
}

void kad_lua_add_usage(lua_State *L) {
  lua_pushcfunction(L, usage);
  lua_setfield(L, -2, "usage");
}
