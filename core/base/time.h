/* Arithmetic on times. It saturates instead of wrapping round. */
#ifndef KAD_BASE_TIME_H
#define KAD_BASE_TIME_H

#include "kadenza.h"

enum {
  KAD_MS_PER_S = 1000
};

/* Returns `a` + `b`, or KAD_TIME_NEVER if the sum is too large. */
static inline kad_time_ms kad_time_add(kad_time_ms a, kad_time_ms b) {
  return b > KAD_TIME_NEVER - a ? KAD_TIME_NEVER : a + b;
}

/* Returns `later` - `earlier`, or 0 if `later` is earlier. */
static inline kad_time_ms kad_time_since(kad_time_ms earlier,
                                         kad_time_ms later) {
  return later > earlier ? later - earlier : 0;
}

#endif
