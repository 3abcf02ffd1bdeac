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
  uint64_t key;    /* of the host, see key_of */
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

/* Returns the bytes of a host: with the family they tell it from all others. It
 * is compared for each datagram, so in one step. */
static uint64_t key_of(const struct kad_address *address) {
  uint64_t key = 0;
  memcpy(&key, address->ip, kad_address_host_size(address));
  return key;
}

/* Returns the first slot of the set of a host. A sender that finds hosts of one
 * set can push out others that send less, and no more. */
static struct talker_slot *set_of(const struct kad_node *node,
                                  struct talker_period *period, uint64_t key) {
  uint64_t secret;
  memcpy(&secret, node->map_secret, sizeof secret);
  const uint64_t hash = (key ^ secret) * 0x9e3779b97f4a7c15U;
  return &period->slots[(hash >> 32U) % SETS * WAYS];
}

static struct kad_address host_of(const struct kad_address *address) {
  struct kad_address host = {.family = address->family};
  memcpy(host.ip, address->ip, kad_address_host_size(address));
  return host;
}

/* Returns the slot of a host in its set, or NULL. */
static struct talker_slot *find_slot(struct talker_slot *set, uint64_t key,
                                     const struct kad_address *from) {
  for (size_t i = 0; i < WAYS; i++) {
    if (set[i].key == key && set[i].weight > 0 &&
        set[i].talker.host.family == from->family) {
      return &set[i];
    }
  }
  return NULL;
}

/* Gives a host the slot of the lightest of its set. */
static struct talker_slot *take_slot(struct talker_slot *set, uint64_t key,
                                     const struct kad_address *from) {
  struct talker_slot *lightest = set;
  for (size_t i = 1; i < WAYS; i++) {
    lightest = set[i].weight < lightest->weight ? &set[i] : lightest;
  }
  lightest->key = key;
  lightest->talker = (struct kad_talker){.host = host_of(from)};
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
  const uint64_t key = key_of(from);
  struct talker_slot *set = set_of(node, &talkers->current, key);
  struct talker_slot *slot = find_slot(set, key, from);
  if (slot == NULL) {
    slot = take_slot(set, key, from);
  }
  slot->weight++;
  slot->talker.datagrams++;
  slot->talker.bytes += bytes;
}

void kad_talkers_drop(struct kad_node *node, const struct kad_address *from) {
  if (node->talkers == NULL) {
    return;
  }
  const uint64_t key = key_of(from);
  struct talker_slot *slot =
      find_slot(set_of(node, &node->talkers->current, key), key, from);
  /* A query may be dropped later than it came: in the next period, or when its
   * host has made room. */
  if (slot != NULL && slot->talker.dropped < slot->talker.datagrams) {
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
