#include "operations/sybil_search.h"

#include "base/address.h"
#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"
#include "lookup/dense_key.h"

enum {
  BITS = 8,
  SIZE_MIN = 4, /* nodes of a network, times k; a smaller one has no subtrees
                   around the key */
  CONTACTS_FACTOR = 2, /* contacts that one lookup may add, times k */
  QUERIED_FACTOR = 3,  /* contacts that a get queries, times k */
  SUBNET_MAX = 2       /* contacts of one subnet */
};

/* A lookup in a subtree around the key. */
struct subtree {
  struct kad_lookup *lookup;
  unsigned prefix; /* bits that its ids share with the key, and no more */
};

struct kad_sybil_search {
  struct kad_operation *op;
  struct kad_query_owner queries;
  struct subtree subtrees[KAD_FAMILIES * KAD_SYBIL_SEARCH_SUBTREES];
  size_t count;
  uint32_t lookups_open;
  uint32_t queries_open; /* and one while they are sent */
  uint32_t messages;
  bool allow_local;
};

static bool is_dense(const struct kad_node *node,
                     const struct kad_lookup *lookup) {
  const struct kad_candidate *closest[KAD_K_MAX];
  const size_t k = lookup->config.k;
  const double size = kad_network_size_estimate(
      &node->network_size[kad_family_index(lookup->config.family)],
      kad_node_now(node));
  return k >= KAD_NETWORK_SIZE_K_MIN && lookup->converged &&
         size >= (double)(SIZE_MIN * k) &&
         kad_paths_holders(&lookup->paths, false, closest, k) == k &&
         kad_key_is_dense(&lookup->config.target, &closest[k - 1]->contact.id,
                          k, size);
}

/* Returns how many bits the ids of the widest subtree share with the key. It
 * has k to 2k nodes. */
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
static struct kad_id random_id_beside(struct kad_node *node,
                                      const struct kad_id *key,
                                      unsigned prefix) {
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

static void end_search(struct kad_node *node, struct kad_sybil_search *search) {
  struct kad_operation *op = search->op;
  op->lookups_open--;
  if (op->state == KAD_OPERATION_RUNNING) {
    op->kind->looked_up(node, op);
  }
}

static void close_query(struct kad_node *node,
                        struct kad_sybil_search *search) {
  if (--search->queries_open == 0) {
    end_search(node, search);
  }
}

/* Returns a lookup of the operation, to which replies are attributed. */
static struct kad_lookup *any_lookup(const struct kad_operation *op) {
  return op->lookups[0] != NULL ? op->lookups[0] : op->lookups[1];
}

static void on_query_event(struct kad_node *node, struct kad_query *query,
                           enum kad_query_event event,
                           const struct kad_message *message) {
  struct kad_sybil_search *search =
      kad_container_of(query->owner, struct kad_sybil_search, queries);
  struct kad_operation *op = search->op;
  if (event == KAD_QUERY_SOFT) {
    return;
  }
  if (event == KAD_QUERY_REPLY && op->state == KAD_OPERATION_RUNNING) {
    op->holders += op->kind->replied(node, any_lookup(op), &query->to, message);
  }
  close_query(node, search);
}

/* Sends a contact the query of the operation. */
static void send_query(struct kad_node *node, struct kad_sybil_search *search,
                       const struct kad_contact *contact) {
  const struct kad_operation *op = search->op;
  struct kad_message message;
  kad_message_init_query(&message, op->kind->method, &op->target);
  message.type = op->type;
  message.skip = op->skip;
  message.noseed = op->options.noseed;
  message.scrape = op->options.scrape;
  if (kad_rpc_send(node, contact, &message, on_query_event, &search->queries,
                   NULL) == 0) {
    search->queries_open++;
    search->messages++;
  }
}

/* Called when the lookups in all subtrees have ended. If the operation is a
 * get, queries the contacts that they have found. */
static void query_found(struct kad_node *node,
                        struct kad_sybil_search *search) {
  struct kad_contact found[QUERIED_FACTOR * KAD_K_MAX];
  const struct kad_operation *op = search->op;
  const size_t most = (size_t)QUERIED_FACTOR * op->options.k;
  search->queries_open = 1;
  for (unsigned family = 4; op->kind->replied != NULL && family <= 6;
       family += 2) {
    const size_t count = kad_sybil_search_contacts(op, family, found, most);
    for (size_t i = 0; i < count; i++) {
      send_query(node, search, &found[i]);
    }
  }
  close_query(node, search);
}

static void on_lookup_end(struct kad_node *node, struct kad_lookup *lookup) {
  struct kad_sybil_search *search = lookup->config.owner;
  if (--search->lookups_open == 0 &&
      search->op->state == KAD_OPERATION_RUNNING) {
    query_found(node, search);
  }
}

/* Starts the lookups in the subtrees around the key in the family of `lookup`.
 */
static void search_subtrees(struct kad_node *node,
                            struct kad_sybil_search *search,
                            const struct kad_lookup *lookup, kad_time_ms left) {
  const struct kad_operation *op = search->op;
  const size_t k = op->options.k;
  const double size = kad_network_size_estimate(
      &node->network_size[kad_family_index(lookup->config.family)],
      kad_node_now(node));
  const unsigned widest = widest_prefix(size, k);
  for (unsigned i = 0; i < KAD_SYBIL_SEARCH_SUBTREES; i++) {
    struct subtree *subtree = &search->subtrees[search->count];
    subtree->prefix = widest + i;
    const struct kad_lookup_config config = {
        .family = lookup->config.family,
        .target = random_id_beside(node, &op->target, subtree->prefix),
        .method = KAD_METHOD_FIND_NODE,
        .alpha = op->options.alpha,
        .k = op->options.k,
        .paths = lookup->config.paths,
        .deadline_ms = left,
        .done = on_lookup_end,
        .owner = search,
        .user = !op->internal,
    };
    if (kad_lookup_start(node, &config, &subtree->lookup) == 0) {
      search->count++;
      search->lookups_open++;
    }
  }
}

/* Returns the search of an operation, which is made if there is none. Returns
 * NULL when out of memory. */
static struct kad_sybil_search *search_of(struct kad_node *node,
                                          struct kad_operation *op) {
  if (op->sybil_search == NULL) {
    op->sybil_search =
        kad_alloc_zero(&node->env.allocator, sizeof *op->sybil_search);
    if (op->sybil_search != NULL) {
      op->sybil_search->op = op;
      op->sybil_search->allow_local = node->config.allow_local;
    }
  }
  return op->sybil_search;
}

bool kad_sybil_search_start(struct kad_node *node, struct kad_operation *op) {
  const kad_time_ms spent = kad_time_since(op->started_at, kad_node_now(node));
  const kad_time_ms left = kad_time_since(spent, op->options.deadline_ms);
  const bool is_value = op->kind->method == KAD_METHOD_FIND_VALUE ||
                        op->kind->method == KAD_METHOD_GET_PEERS ||
                        op->kind->method == KAD_METHOD_GET;
  if (!is_value || op->sybil_search != NULL || left == 0) {
    return false;
  }
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    if (op->lookups[i] != NULL && is_dense(node, op->lookups[i]) &&
        search_of(node, op) != NULL) {
      search_subtrees(node, op->sybil_search, op->lookups[i], left);
    }
  }
  if (op->sybil_search == NULL || op->sybil_search->lookups_open == 0) {
    return false;
  }
  node->stats.sybil_searches++;
  op->lookups_open++;
  return true;
}

/* Returns true if `contact` may be added to the `count` contacts of `out`. */
static bool may_add(const struct kad_contact *contact,
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
  size_t i = count;
  for (; i > 0 && kad_id_compare(target, &contact->id, &out[i - 1].id) < 0;
       i--) {
    out[i] = out[i - 1];
  }
  out[i] = *contact;
}

/* Begins with the narrowest subtrees, which are the closest: contacts that do
 * not fit are those of the widest. */
size_t kad_sybil_search_contacts(const struct kad_operation *op,
                                 unsigned family, struct kad_contact *out,
                                 size_t cap) {
  const struct kad_candidate *closest[CONTACTS_FACTOR * KAD_K_MAX];
  const struct kad_sybil_search *search = op->sybil_search;
  size_t count = 0;
  for (size_t i = search != NULL ? search->count : 0; i > 0; i--) {
    const struct subtree *subtree = &search->subtrees[i - 1];
    if (subtree->lookup->config.family != family) {
      continue;
    }
    const size_t found =
        kad_paths_holders(&subtree->lookup->paths, false, closest,
                          (size_t)CONTACTS_FACTOR * subtree->lookup->config.k);
    for (size_t j = 0; j < found && count < cap; j++) {
      const struct kad_contact *contact = &closest[j]->contact;
      if (kad_id_prefix(&contact->id, &op->target) == subtree->prefix &&
          may_add(contact, out, count, search->allow_local)) {
        insert(&op->target, contact, out, count++);
      }
    }
  }
  return count;
}

uint32_t kad_sybil_search_messages(const struct kad_operation *op) {
  uint32_t messages = op->sybil_search != NULL ? op->sybil_search->messages : 0;
  for (size_t i = 0; op->sybil_search != NULL && i < op->sybil_search->count;
       i++) {
    messages += op->sybil_search->subtrees[i].lookup->messages;
  }
  return messages;
}

void kad_sybil_search_free(struct kad_node *node, struct kad_operation *op) {
  struct kad_sybil_search *search = op->sybil_search;
  if (search == NULL) {
    return;
  }
  kad_rpc_disown(node, &search->queries);
  for (size_t i = 0; i < search->count; i++) {
    kad_lookup_free(node, search->subtrees[i].lookup);
  }
  kad_release(&node->env.allocator, search, sizeof *search);
  op->sybil_search = NULL;
}
