/* For CLOCK_BOOTTIME. */
#define _GNU_SOURCE

#include "net/disk/reading.h"

#include "net/disk/bytes.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Before 2020 there was no kadenza: an earlier wall clock is wrong. */
static const int64_t first_wall = 1577836800;

#ifdef CLOCK_BOOTTIME
static const clockid_t boot_clock = CLOCK_BOOTTIME; /* counts suspends */
#else
static const clockid_t boot_clock = CLOCK_MONOTONIC;
#endif

enum {
  TEXT_MAX = 64
};

/* Reads the beginning of a file of the kernel; "" if it cannot be read. */
static void read_kernel(const char *path, char text[TEXT_MAX]) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  const ssize_t len = fd >= 0 ? read(fd, text, TEXT_MAX - 1) : 0;
  text[len > 0 ? len : 0] = '\0';
  if (fd >= 0) {
    (void)close(fd);
  }
}

/* The kernel's file goes first: what fakes the clocks of a program does not
 * change it. */
static uint64_t uptime_s(void) {
  char text[TEXT_MAX];
  struct timespec now = {0};
  read_kernel("/proc/uptime", text);
  if (isdigit((unsigned char)text[0])) {
    return strtoull(text, NULL, 10);
  }
  (void)clock_gettime(boot_clock, &now);
  return (uint64_t)now.tv_sec;
}

/* Reads the hexadecimal digits of a text with dashes, as far as there are. */
static void read_boot_id(uint8_t id[KAD_BOOT_ID_SIZE]) {
  char text[TEXT_MAX];
  size_t digits = 0;
  memset(id, 0, KAD_BOOT_ID_SIZE);
  read_kernel("/proc/sys/kernel/random/boot_id", text);
  for (const char *at = text; *at != '\0'; at++) {
    if (isxdigit((unsigned char)*at) != 0 &&
        digits < 2 * (size_t)KAD_BOOT_ID_SIZE) {
      const char digit[2] = {*at, '\0'};
      const unsigned long value = strtoul(digit, NULL, 16);
      id[digits / 2] = (uint8_t)(id[digits / 2] * 16UL + value);
      digits++;
    }
  }
}

void kad_reading_take(struct kad_reading *reading) {
  struct timespec now = {0};
  (void)clock_gettime(CLOCK_REALTIME, &now);
  *reading = (struct kad_reading){
      .wall_s = (int64_t)now.tv_sec,
      .boot_s = uptime_s(),
  };
  read_boot_id(reading->boot_id);
}

static bool knows_boot(const struct kad_reading *reading) {
  static const uint8_t none[KAD_BOOT_ID_SIZE];
  return memcmp(reading->boot_id, none, KAD_BOOT_ID_SIZE) != 0;
}

uint64_t kad_reading_elapsed(const struct kad_reading *before,
                             const struct kad_reading *now) {
  const bool is_known = knows_boot(before) && knows_boot(now);
  const bool is_same =
      is_known && memcmp(before->boot_id, now->boot_id, KAD_BOOT_ID_SIZE) == 0;
  if (is_same && now->boot_s >= before->boot_s) {
    return now->boot_s - before->boot_s;
  }
  const uint64_t since_start = is_known && !is_same ? now->boot_s : 0;
  const bool is_wall_right =
      before->wall_s >= first_wall && now->wall_s >= before->wall_s;
  const uint64_t by_wall =
      is_wall_right ? (uint64_t)(now->wall_s - before->wall_s) : 0;
  return by_wall > since_start ? by_wall : since_start;
}

void kad_reading_write(uint8_t *out, const struct kad_reading *reading) {
  kad_bytes_put(out, (uint64_t)reading->wall_s, 8);
  kad_bytes_put(out + 8, reading->boot_s, 8);
  memcpy(out + 16, reading->boot_id, KAD_BOOT_ID_SIZE);
}

void kad_reading_read(const uint8_t *bytes, struct kad_reading *reading) {
  reading->wall_s = (int64_t)kad_bytes_get(bytes, 8);
  reading->boot_s = kad_bytes_get(bytes + 8, 8);
  memcpy(reading->boot_id, bytes + 16, KAD_BOOT_ID_SIZE);
}
