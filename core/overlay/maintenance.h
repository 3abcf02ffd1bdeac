/* What a node does unasked: pings questionable contacts, drops the dead,
 * refreshes idle buckets, joins again when it is alone, expires and republishes
 * records. Every period is jittered. Source: Kademlia §2.3, §2.5; BEP 5. */
#ifndef KAD_OVERLAY_MAINTENANCE_H
#define KAD_OVERLAY_MAINTENANCE_H

#include "overlay/alarm.h"
#include "overlay/lookup.h"

enum {
  KAD_KNOWN_MAX = 256,      /* bootstrap addresses remembered */
  KAD_REPUBLISHES_MAX = 4,  /* republishing puts at a time */
  KAD_TICK_MS = 5000,       /* between two rounds */
  KAD_ROUND_PINGS = 4,      /* questionable contacts pinged in a round */
  KAD_EXPIRE_BATCH = 64,    /* records dropped at once */
  KAD_REJOIN_MIN_MS = 5000, /* back-off of a bootstrap that is silent */
  KAD_REJOIN_MAX_MS = 600000,
  KAD_SELF_MIN_MS = 10000, /* own-id lookups, while the table is small */
  KAD_SELF_MAX_MS = 900000
};

/* What is under way, and when. */
struct kad_maintenance {
  struct kad_alarm round;
  struct kad_alarm expiry;
  struct kad_alarm republish;
  struct kad_lookup *refresh; /* that runs, or NULL */
  size_t farther[2];          /* buckets below this one are to be refreshed
                                 after a join, a family each */
  struct kad_address *known;  /* bootstrap addresses, or NULL */
  size_t known_count;
  size_t known_cap;
  size_t known_next; /* the one to be forgotten next, once all are taken */
  bool asked_to_join;
  bool reached; /* a known address has answered */
  bool had_contacts;
  bool rejoining;
  bool alone;           /* no contact answered when the last round began */
  uint64_t replies;     /* that had come when the last round began */
  kad_time_ms prune_at; /* the dead are kept until then */
  kad_time_ms rejoin_at;
  kad_time_ms rejoin_after;      /* the present back-off */
  kad_time_ms self_at[2];        /* the next own-id lookup, a family each */
  kad_time_ms self_after[2];     /* its period, which grows */
  kad_time_ms republish_free_at; /* the budget allows the next one */
  uint32_t republishing;
};

/* Starts the rounds. */
void kad_maintenance_start(struct kad_node *node);

/* Stops everything; for kad_node_free. */
void kad_maintenance_stop(struct kad_node *node);

/* Notes that a record was stored, touched or removed: deadlines may differ. */
void kad_maintenance_stored(struct kad_node *node);

/* Notes that a contact has entered the table of `family`: the first ones are a
 * reason to look around soon. */
void kad_maintenance_met(struct kad_node *node, unsigned family);

/* Returns true if some contact has not left KAD_FAILURES_BAD queries in a row
 * unanswered. */
bool kad_maintenance_has_contacts(const struct kad_node *node);

/* Remembers where to join again from, besides what it remembers already; of
 * more than KAD_KNOWN_MAX the latest. */
void kad_maintenance_remember(struct kad_node *node,
                              const struct kad_address *known, size_t count);

/* Notes that a known address has answered: we are no island. */
void kad_maintenance_reached(struct kad_node *node);

/* Refreshes every bucket farther than the closest neighbour, one at a time.
 * Source: Kademlia §2.3. */
void kad_maintenance_joined(struct kad_node *node);

/* Returns how the node stands. */
enum kad_state kad_maintenance_state(const struct kad_node *node);

#endif
