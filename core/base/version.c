#include "kadenza.h"

const char *kad_version(void) {
  return KAD_VERSION;
}
