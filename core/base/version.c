/* Tested by tests/unit/base/error_test.c. */
#include "kadenza.h"

const char *kad_version(void) {
  return KAD_VERSION;
}
