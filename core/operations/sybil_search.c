#include "operations/sybil_search.h"

#include "base/address.h"
#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"
#include "lookup/dense_key.h"

enum {
  BITS = 8,
  SIZE_MIN = 4,    /* nodes of an overlay, in k: a smaller one has no beside */
  NEAR_FACTOR = 2, /* contacts that a lookup beside the key may give, in k */
  SUBNET_MAX = 2   /* of one subnet */
};

/* A search beside the key. */
struct point {
  struct kad_lookup *lookup;
  unsigned prefix; /* bits that its subtree shares with the key, and no more */
};

struct kad_sybil_search {
  struct kad_operation *op;
  struct kad_query_owner queries;
  struct point points[KAD_FAMILIES * KAD_SYBIL_SEARCH_POINTS];
  size_t count;
  uint32_t searching; /* lookups under way */
  uint32_t asking;    /* queries for values under way, one for this function */
  uint32_t messages;
  bool allow_local;
};

static bool is_crowded(const struct kad_node *node,
                       const struct kad_lookup *lookup) {
  const struct kad_candidate *closest[KAD_K_MAX];
  const size_t k = lookup->config.k;
  const double size = kad_network_size_estimate(
      &node->estimates[kad_family_index(lookup->config.family)],
      kad_node_now(node));
  return k >= KAD_NETWORK_SIZE_K_MIN && lookup->whole &&
         size >= (double)(SIZE_MIN * k) &&
         kad_lookup_closest(lookup, closest, k) == k &&
         kad_key_is_dense(&lookup->config.target, &closest[k - 1]->contact.id,
                          k, size);
}

/* Returns how many bits the ids of the widest subtree that is searched share
 * with the key: there are k to 2k nodes in it. */
static unsigned widest_prefix(double size, size_t k) {
  double nodes = size / 2;
  unsigned prefix = 0;
  while (nodes >= 2 * (double)k) {
    nodes /= 2;
    prefix++;
  }
  return prefix;
}

/* Makes a random id that shares exactly `prefix` bits with `key`. */
static struct kad_id point_beside(struct kad_node *node,
                                  const struct kad_id *key, unsigned prefix) {
  struct kad_id id = *key;
  struct kad_id noise;
  node->env.random(node->env.state, noise.bytes, node->id_size);
  id.bytes[prefix / BITS] ^= (uint8_t)(0x80U >> prefix % BITS);
  for (unsigned i = 0; i < node->id_size; i++) {
    const unsigned kept = prefix + 1 > i * BITS ? prefix + 1 - i * BITS : 0;
    const uint8_t mask = (uint8_t)(kept >= BITS ? 0 : 0xff >> kept);
    id.bytes[i] = (uint8_t)((id.bytes[i] & ~mask) | (noise.bytes[i] & mask));
  }
  return id;
}

static void end_region(struct kad_node *node, struct kad_sybil_search *region) {
  struct kad_operation *op = region->op;
  op->lookups_open--;
  if (op->state == KAD_OPERATION_RUNNING) {
    op->kind->looked_up(node, op);
  }
}

/* Counts one query less under way; after the last, the operation goes on. */
static void close_query(struct kad_node *node,
                        struct kad_sybil_search *region) {
  if (--region->asking == 0) {
    end_region(node, region);
  }
}

/* Returns a lookup of the operation, in whose name replies are passed on. */
static struct kad_lookup *any_lookup(const struct kad_operation *op) {
  return op->lookups[0] != NULL ? op->lookups[0] : op->lookups[1];
}

static void take_event(struct kad_node *node, struct kad_query *query,
                       enum kad_query_event event,
                       const struct kad_message *message) {
  struct kad_sybil_search *region =
      kad_container_of(query->owner, struct kad_sybil_search, queries);
  struct kad_operation *op = region->op;
  if (event == KAD_QUERY_SOFT) {
    return;
  }
  if (event == KAD_QUERY_REPLY && op->state == KAD_OPERATION_RUNNING) {
    op->holders += op->kind->replied(node, any_lookup(op), &query->to, message);
  }
  close_query(node, region);
}

/* Asks a contact beside the key what the operation asks all. */
static void ask(struct kad_node *node, struct kad_sybil_search *region,
                const struct kad_contact *contact) {
  const struct kad_operation *op = region->op;
  struct kad_message message;
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  message.method = op->kind->method;
  message.has_target = true;
  message.target = op->target;
  message.type = op->type;
  message.skip = op->skip;
  if (kad_rpc_send(node, contact, &message, take_event, &region->queries,
                   NULL) == 0) {
    region->asking++;
    region->messages++;
  }
}

/* Goes on when every search beside the key has ended: a get asks whom they have
 * found. */
static void searched(struct kad_node *node, struct kad_sybil_search *region) {
  struct kad_contact found[KAD_SYBIL_SEARCH_ASKED * KAD_K_MAX];
  const struct kad_operation *op = region->op;
  const size_t most = (size_t)KAD_SYBIL_SEARCH_ASKED * op->options.k;
  region->asking = 1;
  for (unsigned family = 4; op->kind->replied != NULL && family <= 6;
       family += 2) {
    const size_t count = kad_sybil_search_contacts(op, family, found, most);
    for (size_t i = 0; i < count; i++) {
      ask(node, region, &found[i]);
    }
  }
  close_query(node, region);
}

static void lookup_done(struct kad_node *node, struct kad_lookup *lookup) {
  struct kad_sybil_search *region = lookup->config.owner;
  if (--region->searching == 0 && region->op->state == KAD_OPERATION_RUNNING) {
    searched(node, region);
  }
}

/* Searches the subtrees around the key in the family of `lookup`. */
static void search(struct kad_node *node, struct kad_sybil_search *region,
                   const struct kad_lookup *lookup, kad_time_ms left) {
  const struct kad_operation *op = region->op;
  const size_t k = op->options.k;
  const double size = kad_network_size_estimate(
      &node->estimates[kad_family_index(lookup->config.family)],
      kad_node_now(node));
  const unsigned widest = widest_prefix(size, k);
  for (unsigned i = 0; i < KAD_SYBIL_SEARCH_POINTS; i++) {
    struct point *point = &region->points[region->count];
    point->prefix = widest + i;
    const struct kad_lookup_config config = {
        .family = lookup->config.family,
        .target = point_beside(node, &op->target, point->prefix),
        .method = KAD_METHOD_FIND_NODE,
        .alpha = op->options.alpha,
        .k = op->options.k,
        .paths = lookup->config.paths,
        .deadline_ms = left,
        .done = lookup_done,
        .owner = region,
    };
    if (kad_lookup_start(node, &config, &point->lookup) == 0) {
      region->count++;
      region->searching++;
    }
  }
}

/* Returns the region of an operation, made if need be; NULL when out of memory.
 */
static struct kad_sybil_search *region_of(struct kad_node *node,
                                          struct kad_operation *op) {
  if (op->region == NULL) {
    op->region = kad_alloc_zero(&node->env.allocator, sizeof *op->region);
    if (op->region != NULL) {
      op->region->op = op;
      op->region->allow_local = node->config.allow_local;
    }
  }
  return op->region;
}

bool kad_sybil_search_begin(struct kad_node *node, struct kad_operation *op) {
  const kad_time_ms spent = kad_time_since(op->started_at, kad_node_now(node));
  const kad_time_ms left = kad_time_since(spent, op->options.deadline_ms);
  const bool is_value = op->kind->method == KAD_METHOD_FIND_VALUE ||
                        op->kind->method == KAD_METHOD_GET_PEERS;
  if (!is_value || op->region != NULL || left == 0) {
    return false;
  }
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    if (op->lookups[i] != NULL && is_crowded(node, op->lookups[i]) &&
        region_of(node, op) != NULL) {
      search(node, op->region, op->lookups[i], left);
    }
  }
  if (op->region == NULL || op->region->searching == 0) {
    return false;
  }
  node->stats.widened++;
  op->lookups_open++;
  return true;
}

/* Returns true if `contact` may be added to the `count` of `out`. */
static bool is_welcome(const struct kad_contact *contact,
                       const struct kad_contact *out, size_t count,
                       bool allow_local) {
  size_t of_subnet = 0;
  for (size_t i = 0; i < count; i++) {
    if (kad_id_equal(&out[i].id, &contact->id)) {
      return false;
    }
    of_subnet += kad_address_same_subnet(&out[i].address, &contact->address);
  }
  return of_subnet < SUBNET_MAX ||
         (allow_local && kad_address_is_local(&contact->address));
}

/* Inserts `contact` into `out`, which is sorted by distance to `target`. */
static void insert(const struct kad_id *target,
                   const struct kad_contact *contact, struct kad_contact *out,
                   size_t count) {
  size_t place = count;
  for (; place > 0 &&
         kad_id_compare(target, &contact->id, &out[place - 1].id) < 0;
       place--) {
    out[place] = out[place - 1];
  }
  out[place] = *contact;
}

/* The narrowest subtrees are the closest: what does not fit is of the widest.
 */
size_t kad_sybil_search_contacts(const struct kad_operation *op,
                                 unsigned family, struct kad_contact *out,
                                 size_t cap) {
  const struct kad_candidate *near[NEAR_FACTOR * KAD_K_MAX];
  const struct kad_sybil_search *region = op->region;
  size_t count = 0;
  for (size_t i = region != NULL ? region->count : 0; i > 0; i--) {
    const struct point *point = &region->points[i - 1];
    if (point->lookup->config.family != family) {
      continue;
    }
    const size_t there = kad_lookup_closest(
        point->lookup, near, (size_t)NEAR_FACTOR * point->lookup->config.k);
    for (size_t j = 0; j < there && count < cap; j++) {
      const struct kad_contact *contact = &near[j]->contact;
      if (kad_id_prefix(&contact->id, &op->target) == point->prefix &&
          is_welcome(contact, out, count, region->allow_local)) {
        insert(&op->target, contact, out, count++);
      }
    }
  }
  return count;
}

uint32_t kad_sybil_search_messages(const struct kad_operation *op) {
  uint32_t messages = op->region != NULL ? op->region->messages : 0;
  for (size_t i = 0; op->region != NULL && i < op->region->count; i++) {
    messages += op->region->points[i].lookup->messages;
  }
  return messages;
}

void kad_sybil_search_free(struct kad_node *node, struct kad_operation *op) {
  struct kad_sybil_search *region = op->region;
  if (region == NULL) {
    return;
  }
  kad_rpc_disown(&region->queries);
  for (size_t i = 0; i < region->count; i++) {
    kad_lookup_free(node, region->points[i].lookup);
  }
  kad_release(&node->env.allocator, region, sizeof *region);
  op->region = NULL;
}
