#include "engine/node.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/tap.h"
#include "node/config.h"
#include "node/configure.h"
#include "node/events.h"
#include "node/hasten.h"
#include "node/serve.h"
#include "records/memory/memory_store.h"
#include "replication/republish.h"
#include "rpc/datagram.h"
#include "rpc/record_size.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

static bool env_is_valid(const struct kad_env *env) {
  return env->now != NULL && env->wall_clock != NULL && env->random != NULL &&
         env->send != NULL && env->allocator.resize != NULL;
}

/* Initialises the id, the secrets and the parts. Returns 0 or KAD_ENOMEM. */
static int init_parts(struct kad_node *node) {
  struct kad_config *config = &node->config;
  const struct kad_env *env = &node->env;
  uint8_t limiter_secret[KAD_MAP_SECRET_SIZE];
  node->id_size = config->id_bits / 8;
  node->own_id.may_move = config->secure_ids != KAD_SECURE_IDS_OFF &&
                          (!config->has_id || config->move_id);
  if (!config->has_id) {
    env->random(env->state, config->id.bytes, node->id_size);
    config->has_id = true;
  }
  memset(config->id.bytes + node->id_size, 0, KAD_ID_SIZE - node->id_size);
  env->random(env->state, node->map_secret, sizeof node->map_secret);
  env->random(env->state, node->tokens.secret, sizeof node->tokens.secret);
  env->random(env->state, limiter_secret, sizeof limiter_secret);
  node->tokens.slot_ms = (kad_time_ms)config->token_s * KAD_MS_PER_S;
  node->codec = config->codec != NULL ? config->codec : kad_codec_krpc();
  node->quota = kad_configure_quota(config);
  kad_store_budget_init(&node->store_budget, config->stores_per_s);
  kad_verified_init(&node->verified, &node->env.allocator, node->map_secret);
  kad_proven_addresses_init(&node->proven, &node->env.allocator,
                            node->map_secret);
  node->sent_to.life_ms = KAD_REACHABILITY_SENT_MS;
  memcpy(&node->sent_to.seed, node->map_secret, sizeof node->sent_to.seed);
  kad_rpc_init(node);
  kad_turn_init(node);
  kad_map_init(&node->storing, &node->env.allocator, node->map_secret);
  kad_pending_hooks_init(node);
  const int error = kad_sealing_new(node, config->network_keys);
  config->network_keys = NULL; /* the caller's, who may have wiped them */
  return error == 0 ? kad_configure_limiter(node, config, limiter_secret,
                                            &node->limiter)
                    : error;
}

static int init_store(struct kad_node *node) {
  node->store = node->config.store;
  if (node->store != NULL) {
    return 0;
  }
  node->owns_store = true;
  return kad_memory_store_new(&node->env.allocator, node->map_secret,
                              &node->store);
}

int kad_node_new(const struct kad_config *config, const struct kad_env *env,
                 struct kad_node **node) {
  if (config == NULL || env == NULL || node == NULL ||
      !kad_config_is_valid(config) || !env_is_valid(env)) {
    return KAD_EINVAL;
  }
  struct kad_node *made = kad_alloc_zero(&env->allocator, sizeof *made);
  if (made == NULL) {
    return KAD_ENOMEM;
  }
  made->config = *config;
  made->env = *env;
  made->events = &kad_node_events;
  int error = kad_ruleset_new(&env->allocator, NULL, &made->ruleset);
  error = error == 0 ? init_parts(made) : error;
  error = error == 0 ? init_store(made) : error;
  if (error != 0) {
    kad_node_free(made);
    return error;
  }
  kad_maintenance_start(made);
  kad_reachability_start(made);
  kad_republish_plan(made); /* a store may have records already */
  made->is_opened = true;
  *node = made;
  return 0;
}

void kad_node_free(struct kad_node *node) {
  if (node == NULL) {
    return;
  }
  struct kad_allocator allocator = node->env.allocator;
  assert(!node->sending);
  node->closing = true;
  kad_pending_hooks_deinit(node);
  kad_turn_deinit(node);
  kad_durability_stop(node);
  kad_operations_close(node);
  kad_maintenance_stop(node);
  kad_own_id_stop(node);
  kad_reachability_stop(node);
  kad_hasten_stop(node);
  kad_republish_stop(node);
  kad_sample_stop(node);
  kad_handoff_stop(node);
  kad_neighbours_stop(node);
  kad_publications_stop(node);
  kad_rpc_deinit(node);
  kad_histograms_deinit(node);
  kad_map_deinit(&node->storing);
  kad_verification_deinit(node);
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    kad_table_free(node->tables[i]);
  }
  kad_limiter_free(node->limiter);
  kad_talkers_stop(node);
  kad_sealing_free(node);
  kad_address_set_deinit(&node->blocked, &allocator);
  kad_address_set_deinit(&node->exempt, &allocator);
  kad_verified_deinit(&node->verified);
  kad_proven_addresses_deinit(&node->proven);
  if (node->owns_store) {
    kad_memory_store_free(node->store);
  } else if (node->store != NULL && node->is_opened) {
    kad_store_close(node->store);
  }
  if (node->ruleset != NULL) {
    kad_ruleset_drop(node->ruleset, &allocator);
  }
  sodium_memzero(&node->tokens, sizeof node->tokens);
  kad_release(&allocator, node, sizeof *node);
}

int kad_node_add_family(struct kad_node *node, unsigned family) {
  if (node == NULL) {
    return KAD_EINVAL;
  }
  const struct kad_table_config config = {
      .self = node->config.id,
      .id_bits = node->config.id_bits,
      .family = family,
      .k = node->config.k,
      .far = node->config.far_contacts,
      .ping_ms = (kad_time_ms)node->config.ping_s * KAD_MS_PER_S,
      .allow_local = node->config.allow_local,
      .prefer_secure = node->config.secure_ids != KAD_SECURE_IDS_OFF,
  };
  if (family != 4 && family != 6) {
    return KAD_EINVAL;
  }
  if (kad_node_table(node, family) != NULL) {
    return 0;
  }
  return kad_table_new(&config, &node->env.allocator, kad_node_now(node),
                       &node->tables[kad_family_index(family)]);
}

/* Counts a query of `from` for the rate limits. */
static bool is_within_limits(const struct kad_node *node,
                             const struct kad_address *from) {
  struct kad_limiter *limiter = kad_node_limiter(node, from);
  return limiter == NULL ||
         kad_limiter_query(limiter, from, kad_node_now(node));
}

/* Serves a query within the rate limits. */
static void receive_query(struct kad_node *node, const struct kad_address *from,
                          struct kad_slice datagram,
                          const struct kad_message *message) {
  kad_reachability_queried(node, from);
  if (kad_node_is_read_only(node, from->family)) {
    node->stats.dropped_read_only++;
    kad_talkers_drop(node, from);
    return;
  }
  if (!is_within_limits(node, from)) {
    node->stats.dropped_limited++;
    kad_talkers_drop(node, from);
    return;
  }
  const struct kad_incoming incoming = {
      .from = {.id = message->id, .address = *from},
      .datagram = datagram,
      .message = message,
  };
  kad_serve_query(node, &incoming);
}

/* Replies with error 203 to a malformed query, within the rate limits. */
static void receive_malformed(struct kad_node *node,
                              const struct kad_address *from,
                              struct kad_slice datagram,
                              const struct kad_message *message) {
  const struct kad_incoming incoming = {
      .from.address = *from, .datagram = datagram, .message = message};
  node->stats.dropped_malformed++;
  kad_talkers_drop(node, from);
  if (message->transaction.len == 0 ||
      kad_node_is_read_only(node, from->family) ||
      !is_within_limits(node, from)) {
    return;
  }
  const struct kad_reply_bound bound =
      kad_reply_bound_of_error(node, &incoming);
  kad_reply_error(node, &bound, message->transaction, KAD_CODE_PROTOCOL,
                  kad_slice_of("malformed message"));
}

/* Decodes a datagram that has been opened, and serves it. */
static void receive_opened(struct kad_node *node,
                           const struct kad_address *from,
                           struct kad_slice datagram) {
  struct kad_message message;
  uint8_t scratch[KAD_CODEC_SCRATCH];
  kad_tap_note(node, KAD_TAP_RECEIVED, from, datagram);
  if (kad_datagram_read(node, datagram, scratch, &message) != 0) {
    receive_malformed(node, from, datagram, &message);
  } else if (message.kind == KAD_MESSAGE_QUERY) {
    receive_query(node, from, datagram, &message);
  } else {
    kad_rpc_receive(node, from, &message);
  }
}

/* Opens a datagram and serves it. Returns false if it was dropped unread. */
static bool receive_datagram(struct kad_node *node,
                             const struct kad_address *from,
                             struct kad_slice datagram) {
  uint8_t room[KAD_DATAGRAM_MAX];
  if (kad_address_is_martian(from, node->config.allow_local)) {
    node->stats.dropped_martian++;
  } else if (kad_address_set_has(&node->blocked, from)) {
    node->stats.dropped_blocked++;
  } else if (datagram.len > kad_datagram_longest(node)) {
    node->stats.dropped_malformed++;
  } else if (kad_sealing_open(node, from, &datagram, room)) {
    receive_opened(node, from, datagram);
    return true;
  }
  return false;
}

/* Serves a datagram, and shows the tap whether it was dropped. */
static bool receive_tapped(struct kad_node *node,
                           const struct kad_address *from,
                           struct kad_slice datagram) {
  const struct kad_stats before = node->stats;
  const bool was_read = receive_datagram(node, from, datagram);
  kad_tap_note_drop(node, &before, from, datagram);
  return was_read;
}

void kad_node_receive(struct kad_node *node, const struct kad_address *from,
                      struct kad_slice datagram) {
  if (node == NULL || from == NULL) {
    return;
  }
  assert(!node->sending);
  kad_clock_detect_suspend(node);
  node->stats.datagrams_in++;
  node->stats.bytes_in += datagram.len;
  kad_talkers_note(node, from, datagram.len);
  const bool was_read = node->tap == NULL
                            ? receive_datagram(node, from, datagram)
                            : receive_tapped(node, from, datagram);
  if (!was_read) {
    kad_talkers_drop(node, from);
  }
}

void kad_node_tick(struct kad_node *node) {
  if (node == NULL) {
    return;
  }
  assert(!node->sending);
  kad_clock_detect_suspend(node);
  kad_timer_fire_due(node);
}

kad_time_ms kad_node_deadline(const struct kad_node *node) {
  if (node == NULL) {
    return KAD_TIME_NEVER;
  }
  return kad_node_env_time(node, kad_heap_next(&node->timers));
}

/* Returns false if values of a type of `policy` fit in no message. */
static bool values_fit(const struct kad_node *node,
                       const struct kad_policy *policy) {
  const size_t room = kad_record_value_room(node);
  const size_t count =
      policy != NULL && policy->types != NULL ? policy->type_count : 0;
  for (size_t i = 0; i < count; i++) {
    if (policy->types[i].max_size > room) {
      return false;
    }
  }
  return true;
}

int kad_node_set_policy(struct kad_node *node,
                        const struct kad_policy *policy) {
  struct kad_ruleset *ruleset;
  if (node == NULL) {
    return KAD_EINVAL;
  }
  if (!values_fit(node, policy)) {
    return KAD_ETOOBIG;
  }
  int error = kad_ruleset_new(&node->env.allocator, policy, &ruleset);
  if (error != 0) {
    return error;
  }
  struct kad_ruleset *old = node->ruleset;
  node->ruleset = ruleset;
  kad_ruleset_drop(old, &node->env.allocator);
  return 0;
}

const struct kad_id *kad_node_id(const struct kad_node *node) {
  if (node == NULL) {
    return NULL;
  }
  return &node->config.id;
}

const struct kad_config *kad_node_config(const struct kad_node *node) {
  if (node == NULL) {
    return NULL;
  }
  return &node->config;
}

kad_time_ms kad_node_time(const struct kad_node *node) {
  if (node == NULL) {
    return 0;
  }
  return kad_node_now(node);
}

enum kad_state kad_node_state(const struct kad_node *node) {
  if (node == NULL) {
    return KAD_STATE_NEW;
  }
  return kad_maintenance_state(node);
}
