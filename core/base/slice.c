/* Slices: see kadenza.h.
 *
 * Tested by tests/unit/records/type_test.c. */
#include "kadenza.h"

#include <string.h>

struct kad_slice kad_slice_of(const char *text) {
  if (text == NULL) {
    return (struct kad_slice){0};
  }
  return (struct kad_slice){(const uint8_t *)text, strlen(text)};
}

bool kad_slice_equal(struct kad_slice a, struct kad_slice b) {
  /* An empty slice may have no data, which memcmp must not be given. */
  return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}
