#include "net/udp/udp_source.h"

#include "base/array.h"

#include <string.h>

enum {
  FIRST_CAP = 4 /* entries; most machines have few addresses */
};

static bool is_same(const struct kad_udp_source *a,
                    const struct kad_udp_source *b) {
  return a->socket == b->socket && a->interface == b->interface &&
         a->has_ip == b->has_ip && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

static size_t find_oldest(const struct kad_udp_sources *sources) {
  size_t oldest = 0;
  for (size_t i = 1; i < sources->count; i++) {
    if (sources->entries[i].used < sources->entries[oldest].used) {
      oldest = i;
    }
  }
  return oldest;
}

/* Returns the index of a free entry, or of one that can be reused; -1 if there
 * is no memory for the first. */
static int find_room(struct kad_udp_sources *sources,
                     const struct kad_allocator *allocator) {
  if (sources->count == KAD_UDP_SOURCES_MAX) {
    return (int)find_oldest(sources);
  }
  const size_t wanted = sources->cap > 0 ? 2 * sources->cap : FIRST_CAP;
  if (sources->count == sources->cap &&
      KAD_ARRAY_RESERVE(
          allocator, &sources->entries, &sources->cap,
          wanted < KAD_UDP_SOURCES_MAX ? wanted : KAD_UDP_SOURCES_MAX) != 0) {
    return sources->count > 0 ? (int)find_oldest(sources) : -1;
  }
  return (int)sources->count++;
}

int kad_udp_sources_find(struct kad_udp_sources *sources,
                         const struct kad_allocator *allocator,
                         const struct kad_udp_source *wanted) {
  size_t i = sources->latest;
  if (i >= sources->count || !is_same(&sources->entries[i].source, wanted)) {
    i = 0;
    while (i < sources->count &&
           !is_same(&sources->entries[i].source, wanted)) {
      i++;
    }
  }
  if (i == sources->count) {
    const int room = find_room(sources, allocator);
    if (room < 0) {
      return -1;
    }
    i = (size_t)room;
    sources->entries[i] = (struct kad_udp_source_entry){.source = *wanted};
  }
  sources->entries[i].used = ++sources->uses;
  sources->entries[i].broken_to = 0;
  sources->latest = i;
  return (int)i;
}

struct kad_udp_source_entry *kad_udp_sources_at(struct kad_udp_sources *sources,
                                                size_t index) {
  if (index >= sources->count) {
    return NULL;
  }
  sources->entries[index].used = ++sources->uses;
  return &sources->entries[index];
}

void kad_udp_sources_deinit(struct kad_udp_sources *sources,
                            const struct kad_allocator *allocator) {
  KAD_ARRAY_FREE(allocator, &sources->entries, &sources->cap);
  *sources = (struct kad_udp_sources){0};
}
