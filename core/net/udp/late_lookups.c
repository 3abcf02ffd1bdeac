/* For what uv.h needs. */
#define _DEFAULT_SOURCE

#include "net/udp/late_lookups.h"

#include "base/time.h"

#include <string.h>

/* Removes an item, whose look-up the caller owns. */
static struct kad_name_lookup *remove_item(struct kad_late_lookups *late,
                                           size_t i) {
  struct kad_name_lookup *lookup = late->items[i].lookup;
  late->count--;
  memmove(&late->items[i], &late->items[i + 1],
          (late->count - i) * sizeof late->items[0]);
  return lookup;
}

struct kad_name_lookup *kad_late_lookups_take(struct kad_late_lookups *late,
                                              const char *host,
                                              kad_time_ms now) {
  size_t i = 0;
  while (i < late->count && strcmp(late->items[i].lookup->host, host) != 0) {
    i++;
  }
  if (i == late->count) {
    return NULL;
  }
  const bool is_recent =
      now < kad_time_add(late->items[i].at, KAD_LATE_LOOKUP_MS);
  struct kad_name_lookup *lookup = remove_item(late, i);
  if (!is_recent) {
    kad_name_lookup_free(lookup);
    lookup = NULL;
  }
  return lookup;
}

void kad_late_lookups_keep(struct kad_late_lookups *late,
                           struct kad_name_lookup *lookup, kad_time_ms now) {
  kad_name_lookup_free(kad_late_lookups_take(late, lookup->host, now));
  if (late->count == KAD_LATE_LOOKUPS_MAX) {
    kad_name_lookup_free(remove_item(late, 0));
  }
  late->items[late->count++] =
      (struct kad_late_lookup){.lookup = lookup, .at = now};
}

void kad_late_lookups_clear(struct kad_late_lookups *late) {
  while (late->count > 0) {
    kad_name_lookup_free(remove_item(late, 0));
  }
}
