/* The time that passes while a store is closed.
 *
 * The wall clock of a machine may be wrong: it begins in 1970 on machines
 * without a battery, and is set by hours when the network is there. Two
 * readings of one run of the machine are compared by its own clock, which
 * cannot be set. After a restart of the machine only the wall clock is left.
 * The same rules are those of scripts/kadenza/clock.lua.
 *
 * Tested by tests/unit/net/disk/reading_test.c. */
#ifndef KAD_NET_DISK_READING_H
#define KAD_NET_DISK_READING_H

#include "kadenza.h"

enum {
  KAD_BOOT_ID_SIZE = 16,
  KAD_READING_SIZE = 16 + KAD_BOOT_ID_SIZE /* bytes on the disk */
};

/* The clocks of a machine at one moment. */
struct kad_reading {
  int64_t wall_s;  /* since 1970 UTC */
  uint64_t boot_s; /* since the machine was started, with suspends */
  uint8_t boot_id[KAD_BOOT_ID_SIZE]; /* of this run of it; all 0: unknown */
};

/* Reads the clocks of this machine. */
void kad_reading_take(struct kad_reading *reading);

/* Returns the seconds between two readings: too few rather than too many where
 * a wall clock is wrong, 0 or those since the machine was started. */
uint64_t kad_reading_elapsed(const struct kad_reading *before,
                             const struct kad_reading *now);

/* Write and read KAD_READING_SIZE bytes. */
void kad_reading_write(uint8_t *out, const struct kad_reading *reading);
void kad_reading_read(const uint8_t *bytes, struct kad_reading *reading);

#endif
