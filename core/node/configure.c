#include "node/configure.h"

#include "node/config.h"

/* The options that may change while a node runs: those that are read at each
 * use, and those of which kad_node_configure sets what was made of them. */
#define LIVE_OPTIONS(X)       \
  X(alpha)                    \
  X(beta)                     \
  X(paths)                    \
  X(lookup_ms)                \
  X(query_ms)                 \
  X(stores_per_s)             \
  X(cache)                    \
  X(repair)                   \
  X(max_lookups)              \
  X(max_pending_hooks)        \
  X(limits)                   \
  X(queries_per_s)            \
  X(queries_per_s_address)    \
  X(queries_per_s_subnet)     \
  X(signatures_per_s)         \
  X(signatures_per_s_address) \
  X(signatures_per_s_subnet)  \
  X(bytes_per_s)              \
  X(pace_per_s)               \
  X(max_waiting)              \
  X(max_bytes)                \
  X(max_records)              \
  X(max_records_address)      \
  X(max_records_publisher)    \
  X(max_publications)

bool kad_config_is_live(const struct kad_option *option) {
  if (option == NULL) {
    return false;
  }
#define OFFSET(name) offsetof(struct kad_config, name),
  static const size_t offsets[] = {LIVE_OPTIONS(OFFSET)};
#undef OFFSET
  for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
    if (offsets[i] == option->offset) {
      return true;
    }
  }
  return false;
}

struct kad_quota kad_configure_quota(const struct kad_config *config) {
  return (struct kad_quota){
      .self = config->id,
      .max_bytes = config->max_bytes,
      .max_records = config->max_records,
      .max_records_address = config->max_records_address,
      .max_records_publisher = config->max_records_publisher,
  };
}

int kad_configure_limiter(const struct kad_node *node,
                          const struct kad_config *config,
                          const uint8_t *secret, struct kad_limiter **limiter) {
  const struct kad_limiter_config limits = {
      .queries_per_s = config->queries_per_s,
      .queries_per_s_address = config->queries_per_s_address,
      .queries_per_s_subnet = config->queries_per_s_subnet,
      .signatures_per_s = config->signatures_per_s,
      .signatures_per_s_address = config->signatures_per_s_address,
      .signatures_per_s_subnet = config->signatures_per_s_subnet,
      .bytes_per_s = config->bytes_per_s,
      .max_reply = config->max_reply,
      .allow_local = config->allow_local,
  };
  *limiter = NULL;
  return config->limits ? kad_limiter_new(&limits, &node->env.allocator, secret,
                                          kad_node_now(node), limiter)
                        : 0;
}

/* Returns whether two configurations have the same rate limits. */
static bool have_same_limits(const struct kad_config *a,
                             const struct kad_config *b) {
  return a->limits == b->limits && a->queries_per_s == b->queries_per_s &&
         a->queries_per_s_address == b->queries_per_s_address &&
         a->queries_per_s_subnet == b->queries_per_s_subnet &&
         a->signatures_per_s == b->signatures_per_s &&
         a->signatures_per_s_address == b->signatures_per_s_address &&
         a->signatures_per_s_subnet == b->signatures_per_s_subnet &&
         a->bytes_per_s == b->bytes_per_s;
}

/* Replaces the limiter: its buckets begin full again. Returns 0 or
 * KAD_ENOMEM. */
static int renew_limiter(struct kad_node *node,
                         const struct kad_config *config) {
  uint8_t secret[KAD_MAP_SECRET_SIZE];
  struct kad_limiter *limiter = NULL;
  node->env.random(node->env.state, secret, sizeof secret);
  const int error = kad_configure_limiter(node, config, secret, &limiter);
  if (error == 0) {
    kad_limiter_free(node->limiter);
    node->limiter = limiter;
  }
  return error;
}

int kad_node_configure(struct kad_node *node, const struct kad_config *config) {
  if (node == NULL || config == NULL) {
    return KAD_EINVAL;
  }
  struct kad_config changed = node->config;
  if (!kad_config_is_valid(config)) {
    return KAD_EINVAL;
  }
#define CHANGE(name) changed.name = config->name;
  LIVE_OPTIONS(CHANGE)
#undef CHANGE
  if (!have_same_limits(&node->config, &changed)) {
    const int error = renew_limiter(node, &changed);
    if (error != 0) {
      return error;
    }
  }
  if (changed.stores_per_s != node->config.stores_per_s) {
    kad_store_budget_init(&node->store_budget, changed.stores_per_s);
  }
  node->config = changed;
  node->quota = kad_configure_quota(&changed);
  return 0;
}
