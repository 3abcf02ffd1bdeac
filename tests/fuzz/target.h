/* What every fuzz target needs. */
#ifndef KAD_FUZZ_TARGET_H
#define KAD_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Runs the target on one input. Returns 0. libFuzzer and replay.c call it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Aborts unless `condition` is true, also without asserts. */
#define CHECK(condition) \
  do {                   \
    if (!(condition)) {  \
      abort();           \
    }                    \
  } while (0)

#endif
