/* The struct of the node, which the rooms from engine to node share. A room may
 * read all of it, but calls only functions of its own and of lower rooms. What
 * it reports to higher rooms goes through `events`.
 *
 *     datagram ─► node.c ─► serve.c ─► admission.c ─► the store
 *                   └─────► rpc.c ──► lookup.c, verification.c, join.c …
 *     request ──► operation.c ─► ping, lookup, get, put ─► rpc.c
 *     time ─────► node.c ─► timer.c ─► the functions of due timers
 *
 * Tested by tests/unit/node/node_test.c. */
#ifndef KAD_ENGINE_NODE_H
#define KAD_ENGINE_NODE_H

#include "base/address.h"
#include "base/address_filter.h"
#include "base/address_set.h"
#include "base/time.h"
#include "engine/clock.h"
#include "engine/durability.h"
#include "engine/events.h"
#include "engine/histogram.h"
#include "engine/hook_call.h"
#include "engine/ruleset.h"
#include "engine/tally.h"
#include "engine/timer.h"
#include "kadenza_option.h"
#include "kadenza_tap.h"
#include "lookup/network_size.h"
#include "membership/maintenance.h"
#include "membership/neighbours.h"
#include "membership/observed_address.h"
#include "membership/own_id.h"
#include "membership/reachability.h"
#include "membership/verification.h"
#include "node/hasten.h"
#include "node/sample.h"
#include "operations/operation.h"
#include "records/quota.h"
#include "records/store.h"
#include "records/token.h"
#include "records/verified.h"
#include "replication/admission.h"
#include "replication/handoff.h"
#include "replication/publications.h"
#include "replication/republish.h"
#include "routing/hidden_contacts.h"
#include "routing/table.h"
#include "rpc/limiter.h"
#include "rpc/proven_addresses.h"
#include "rpc/rpc.h"
#include "rpc/sealing.h"
#include "rpc/store_budget.h"
#include "rpc/talkers.h"
#include "rpc/turn.h"
#include "wire/codec.h"

struct kad_node {
  struct kad_config config;
  struct kad_env env;
  const struct kad_events *events;
  struct kad_clock clock;
  size_t id_size; /* bytes: 20 or 32 */
  uint8_t map_secret[KAD_MAP_SECRET_SIZE];
  const struct kad_codec *codec;          /* used if the policy has none */
  struct kad_table *tables[KAD_FAMILIES]; /* NULL: no socket of that family */
  struct kad_hidden_contacts hidden;
  struct kad_limiter *limiter; /* NULL: limits are off */
  struct kad_talkers *talkers; /* NULL: they are not counted */
  struct kad_sealing *sealing; /* NULL: the node is not sealed */
  struct kad_address_set blocked;
  struct kad_address_set exempt; /* from the limiter */
  struct kad_store *store;
  bool owns_store;
  struct kad_quota quota;
  struct kad_token_maker tokens;
  struct kad_verified verified;
  struct kad_proven_addresses proven;
  struct kad_address_filter sent_to; /* hosts to which something was sent */
  struct kad_ruleset *ruleset;
  struct kad_heap timers;
  struct kad_rpc rpc;
  struct kad_turn turn;
  struct kad_pending_hooks pending_hooks;
  struct kad_operations operations;
  struct kad_verification verification;
  struct kad_network_size network_size[KAD_FAMILIES];
  struct kad_maintenance maintenance;
  struct kad_observed_address observed[KAD_FAMILIES];
  struct kad_own_id own_id;
  struct kad_reachability_state reachability[KAD_FAMILIES];
  struct kad_store_budget store_budget;
  struct kad_handoff handoff;
  struct kad_publications publications;
  struct kad_republish republish;
  struct kad_hasten hasten;
  struct kad_sample sample;
  struct kad_neighbours *neighbours; /* NULL until a record is held */
  struct kad_admissions admissions;
  struct kad_durability durability;
  struct kad_map storing; /* store queries that wait for a reply */
  struct kad_stats stats; /* counters; kad_node_stats fills in the gauges */
  struct kad_histograms histograms;
  struct kad_tallies tallies;
  kad_tap_fn tap; /* NULL: none */
  void *tap_data;
  bool sending; /* inside env.send: the engine must not be entered */
  bool closing;
  bool is_opened; /* the store ends with the node */
};

/* Returns the time by the clock of the engine: see engine/clock.h. */
static inline kad_time_ms kad_node_now(const struct kad_node *node) {
  return node->env.now(node->env.state) - node->clock.suspended_ms;
}

/* Converts `at` from the clock of the engine to env.now, for the user. */
static inline kad_time_ms kad_node_env_time(const struct kad_node *node,
                                            kad_time_ms at) {
  return kad_time_add(at, node->clock.suspended_ms);
}

/* Ends the work of a node that is freed as soon as no callback runs: it calls
 * no more hooks, and sends nothing. */
static inline void kad_node_begin_close(struct kad_node *node) {
  node->closing = true;
}

/* Returns the table of `family`, or NULL. */
static inline struct kad_table *kad_node_table(const struct kad_node *node,
                                               unsigned family) {
  return node->tables[kad_family_index(family)];
}

/* Returns true if the node answers no queries over `family`. Source: BEP 43. */
static inline bool kad_node_is_read_only(const struct kad_node *node,
                                         unsigned family) {
  return node->config.read_only == KAD_READ_ONLY_ON ||
         node->reachability[kad_family_index(family)].read_only;
}

/* Returns true if the node answers queries over a family of its own. */
static inline bool kad_node_serves(const struct kad_node *node) {
  return (node->tables[0] != NULL && !kad_node_is_read_only(node, 4)) ||
         (node->tables[1] != NULL && !kad_node_is_read_only(node, 6));
}

/* Returns true if nothing comes from `address` and nothing is sent to it. */
static inline bool kad_node_shuns(const struct kad_node *node,
                                  const struct kad_address *address) {
  return kad_address_is_martian(address, node->config.allow_local) ||
         kad_address_set_has(&node->blocked, address);
}

/* Returns the limiter for what `from` sends; NULL: it has no limits. */
static inline struct kad_limiter *kad_node_limiter(
    const struct kad_node *node, const struct kad_address *from) {
  return kad_address_set_has(&node->exempt, from) ? NULL : node->limiter;
}

/* Returns true if `contact` has answered us: it is in a table with exactly this
 * id and address. */
static inline bool kad_node_is_proven(const struct kad_node *node,
                                      const struct kad_contact *contact) {
  const struct kad_table *table = kad_node_table(node, contact->address.family);
  return table != NULL && kad_table_find_exact(table, contact) != NULL;
}

/* Returns true for the node's id, and for the one before its last move: others
 * may still name that. */
static inline bool kad_node_is_own_id(const struct kad_node *node,
                                      const struct kad_id *id) {
  return kad_id_equal(id, &node->config.id) ||
         (node->own_id.moves > 0 && kad_id_equal(id, &node->own_id.previous));
}

/* Returns true if the id of `contact` fits its address, or need not. */
static inline bool kad_node_admits(const struct kad_node *node,
                                   const struct kad_contact *contact) {
  return node->config.secure_ids != KAD_SECURE_IDS_ENFORCE ||
         kad_secure_id_check(&contact->id, node->config.id_bits,
                             &contact->address);
}

/* A position in the tables of a node. Zero-initialised it is the first one. */
struct kad_contact_cursor {
  size_t family_index;
  size_t bucket;
  size_t slot;
};

/* Returns the next contact of all tables, or NULL at the end. */
static inline const struct kad_table_entry *kad_node_next_contact(
    const struct kad_node *node, struct kad_contact_cursor *cursor) {
  const struct kad_table_entry *entry = NULL;
  while (entry == NULL && cursor->family_index < KAD_FAMILIES) {
    const struct kad_table *table = node->tables[cursor->family_index];
    entry = table != NULL
                ? kad_table_next(table, &cursor->bucket, &cursor->slot)
                : NULL;
    if (entry == NULL) {
      *cursor =
          (struct kad_contact_cursor){.family_index = cursor->family_index + 1};
    }
  }
  return entry;
}

#endif
