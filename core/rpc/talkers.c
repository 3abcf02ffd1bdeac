#include "rpc/talkers.h"

#include "base/address.h"
#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"

#include <string.h>

enum {
  SETS = 16, /* a power of two */
  WAYS = 4,
  SLOTS = SETS * WAYS,
  PERIODS = 2,
  PERIOD_MS = KAD_TALKERS_PERIOD_S * KAD_MS_PER_S
};

/* A host. Its weight is what it has sent and what it has inherited: at least
 * what it has sent since the period began. So a host that sends much is never
 * the lightest of its set. */
struct talker_slot {
  uint64_t weight; /* datagrams; 0: the slot is free */
  struct kad_talker talker;
};

/* The hosts of one period, in sets of WAYS. */
struct talker_period {
  struct talker_slot slots[SLOTS];
};

struct kad_talkers {
  kad_time_ms since;   /* the current period began */
  kad_time_ms last_ms; /* the length of the one before: 0 or PERIOD_MS */
  struct talker_period current;
  struct talker_period last;
};

/* Returns the first slot of the set of a host. */
static size_t set_of(const struct kad_node *node,
                     const struct kad_address *host) {
  uint64_t hash = 0;
  uint64_t secret;
  memcpy(&hash, host->ip, kad_address_host_size(host));
  memcpy(&secret, node->map_secret, sizeof secret);
  /* The finaliser of SplitMix64. */
  hash ^= secret;
  hash = (hash ^ hash >> 30U) * 0xbf58476d1ce4e5b9U;
  hash = (hash ^ hash >> 27U) * 0x94d049bb133111ebU;
  return (size_t)(hash >> 32U) % SETS * WAYS;
}

static struct kad_address host_of(const struct kad_address *address) {
  struct kad_address host = {.family = address->family};
  memcpy(host.ip, address->ip, kad_address_host_size(address));
  return host;
}

/* Returns the slot of a host; or, if it has none, the lightest of its set. */
static struct talker_slot *find_slot(const struct kad_node *node,
                                     struct talker_period *period,
                                     const struct kad_address *from,
                                     bool *is_known) {
  struct talker_slot *slots = &period->slots[set_of(node, from)];
  struct talker_slot *lightest = slots;
  for (size_t i = 0; i < WAYS; i++) {
    if (slots[i].weight > 0 &&
        kad_address_same_host(&slots[i].talker.host, from)) {
      *is_known = true;
      return &slots[i];
    }
    lightest = slots[i].weight < lightest->weight ? &slots[i] : lightest;
  }
  *is_known = false;
  return lightest;
}

/* Begins a new period if the current one is over. */
static void turn(struct kad_talkers *talkers, kad_time_ms now) {
  const kad_time_ms elapsed = kad_time_since(talkers->since, now);
  if (elapsed < PERIOD_MS) {
    return;
  }
  if (elapsed < PERIODS * (kad_time_ms)PERIOD_MS) {
    talkers->last = talkers->current;
  } else {
    talkers->last = (struct talker_period){0};
  }
  talkers->current = (struct talker_period){0};
  talkers->last_ms = PERIOD_MS;
  talkers->since += elapsed / PERIOD_MS * PERIOD_MS;
}

void kad_talkers_note(struct kad_node *node, const struct kad_address *from,
                      size_t bytes) {
  struct kad_talkers *talkers = node->talkers;
  if (talkers == NULL) {
    return;
  }
  turn(talkers, kad_node_now(node));
  bool is_known;
  struct talker_slot *slot =
      find_slot(node, &talkers->current, from, &is_known);
  if (!is_known) {
    slot->talker = (struct kad_talker){.host = host_of(from)};
  }
  slot->weight++;
  slot->talker.datagrams++;
  slot->talker.bytes += bytes;
}

void kad_talkers_drop(struct kad_node *node, const struct kad_address *from) {
  bool is_known;
  if (node->talkers == NULL) {
    return;
  }
  struct talker_slot *slot =
      find_slot(node, &node->talkers->current, from, &is_known);
  /* A query may be dropped later than it came: in the next period, or when its
   * host has made room. */
  if (is_known && slot->talker.dropped < slot->talker.datagrams) {
    slot->talker.dropped++;
  }
}

void kad_talkers_stop(struct kad_node *node) {
  kad_release(&node->env.allocator, node->talkers, sizeof *node->talkers);
  node->talkers = NULL;
}

int kad_node_count_talkers(struct kad_node *node, bool on) {
  if (node == NULL) {
    return KAD_EINVAL;
  }
  if (!on) {
    kad_talkers_stop(node);
    return 0;
  }
  if (node->talkers == NULL) {
    node->talkers = kad_alloc_zero(&node->env.allocator, sizeof *node->talkers);
    if (node->talkers == NULL) {
      return KAD_ENOMEM;
    }
    node->talkers->since = kad_node_now(node);
  }
  return 0;
}

/* Adds the hosts of a period to `count` others. Returns the number of all. */
static size_t merge(const struct talker_period *period, struct kad_talker *all,
                    size_t count) {
  for (size_t i = 0; i < SLOTS; i++) {
    const struct kad_talker *talker = &period->slots[i].talker;
    if (talker->datagrams == 0) {
      continue;
    }
    size_t at = 0;
    while (at < count && !kad_address_same_host(&all[at].host, &talker->host)) {
      at++;
    }
    if (at == count) {
      all[count++] = (struct kad_talker){.host = talker->host};
    }
    all[at].datagrams += talker->datagrams;
    all[at].bytes += talker->bytes;
    all[at].dropped += talker->dropped;
  }
  return count;
}

/* Sorts by datagrams, most first. The order of equals is that of the table. */
static void sort(struct kad_talker *talkers, size_t count) {
  for (size_t i = 1; i < count; i++) {
    const struct kad_talker talker = talkers[i];
    size_t at = i;
    while (at > 0 && talkers[at - 1].datagrams < talker.datagrams) {
      talkers[at] = talkers[at - 1];
      at--;
    }
    talkers[at] = talker;
  }
}

size_t kad_node_talkers(const struct kad_node *node, struct kad_talker *out,
                        size_t cap, kad_time_ms *over_ms) {
  struct kad_talker all[KAD_TALKERS_MAX];
  size_t count = 0;
  if (node == NULL || node->talkers == NULL || (out == NULL && cap > 0)) {
    return 0;
  }
  const struct kad_talkers *talkers = node->talkers;
  kad_time_ms over = kad_time_since(talkers->since, kad_node_now(node));
  if (over < PERIODS * (kad_time_ms)PERIOD_MS) {
    count = merge(&talkers->current, all, count);
  }
  if (over < PERIOD_MS) {
    count = merge(&talkers->last, all, count);
    over += talkers->last_ms;
  }
  sort(all, count);
  count = count < cap ? count : cap;
  if (count > 0) {
    memcpy(out, all, count * sizeof *out);
  }
  if (over_ms != NULL) {
    *over_ms = over;
  }
  return count;
}
