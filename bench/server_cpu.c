#define _GNU_SOURCE

#include "server_cpu.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  PATH_BYTES = 320,
  LINE_BYTES = 1024,
  /* Fields between the program's name and utime, proc(5). */
  FIELDS_BEFORE_UTIME = 11,
};

static int read_line(const char *path, char *line) {
  FILE *file = fopen(path, "re");
  if (file == NULL) {
    return -1;
  }
  const char *got = fgets(line, LINE_BYTES, file);
  fclose(file);
  return got == NULL ? -1 : 0;
}

/* Adds up the time of all threads, without one that ends meanwhile. */
static int sum_threads(long pid, uint64_t *total_ns) {
  char path[PATH_BYTES];
  snprintf(path, sizeof(path), "/proc/%ld/task", pid);
  DIR *threads = opendir(path);
  if (threads == NULL) {
    return -1;
  }
  uint64_t sum = 0;
  const struct dirent *thread = NULL;
  while ((thread = readdir(threads)) != NULL) {
    char line[LINE_BYTES];
    snprintf(path, sizeof(path), "/proc/%ld/task/%s/schedstat", pid,
             thread->d_name);
    if (thread->d_name[0] != '.' && read_line(path, line) == 0) {
      sum += strtoull(line, NULL, 10);
    }
  }
  closedir(threads);
  *total_ns = sum;
  return 0;
}

int server_cpu_read(long pid, struct server_cpu *cpu) {
  char path[PATH_BYTES];
  char line[LINE_BYTES];
  snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
  if (read_line(path, line) < 0) {
    return -1;
  }
  /* The program's name may contain spaces; it ends at the last parenthesis. */
  char *at = strrchr(line, ')');
  for (int i = 0; at != NULL && i <= FIELDS_BEFORE_UTIME; i++) {
    at = strchr(at + 1, ' ');
  }
  if (at == NULL) {
    return -1;
  }
  uint64_t tick_ns = 1000000000U / (uint64_t)sysconf(_SC_CLK_TCK);
  uint64_t user_ns = strtoull(at, &at, 10) * tick_ns;
  uint64_t system_ns = strtoull(at, NULL, 10) * tick_ns;
  uint64_t total_ns = 0;
  if (sum_threads(pid, &total_ns) < 0) {
    return -1;
  }
  *cpu = (struct server_cpu){total_ns, user_ns, system_ns};
  return 0;
}
