/* The bootstrap names of the nodes of a network, and which addresses are a
 * node's own.
 * Tested by tests/unit/net/network_names_test.c. */
#include "base/address.h"
#include "base/allocator.h"
#include "kadenza_names.h"
#include "net/network.h"

#include <string.h>

/* A name of a member that is being resolved. The member may be gone before the
 * answer. */
struct kad_name_request {
  struct kad_network *network;
  struct kad_name_request *next;
  const struct kad_node *node;
  uint64_t number; /* of the member */
  size_t name;
};

static void free_request(struct kad_name_request *request) {
  struct kad_network *network = request->network;
  struct kad_name_request **link = &network->name_requests;
  while (*link != request) {
    link = &(*link)->next;
  }
  *link = request->next;
  kad_release(&network->allocator, request, sizeof *request);
}

static void on_resolved(void *data, int status,
                        const struct kad_address *addresses, size_t count) {
  struct kad_name_request *request = data;
  const struct kad_name_request copy = *request;
  struct kad_network *network = copy.network;
  free_request(request);
  struct kad_member *member = kad_network_find_member(network, copy.node);
  if (member != NULL && member->number == copy.number) {
    kad_member_mark_dirty(&network->dirty, member);
    kad_node_name_resolved(member->node, copy.name, status, addresses, count);
  }
}

int kad_network_resolve_for(void *state, size_t name, struct kad_slice text) {
  const struct kad_member *member = state;
  struct kad_network *network = member->network;
  struct kad_name_request *request =
      kad_alloc(&network->allocator, sizeof *request);
  if (request == NULL) {
    return KAD_ENOMEM;
  }
  *request = (struct kad_name_request){
      .network = network,
      .next = network->name_requests,
      .node = member->node,
      .number = member->number,
      .name = name,
  };
  network->name_requests = request;
  const int error = kad_network_resolve(network, text, on_resolved, request);
  if (error != 0) {
    free_request(request);
  }
  return error;
}

void kad_network_free_requests(struct kad_network *network) {
  while (network->name_requests != NULL) {
    free_request(network->name_requests);
  }
}

static bool is_any(const struct kad_address *address) {
  static const uint8_t zero[sizeof address->ip] = {0};
  return memcmp(address->ip, zero, address->family == 4 ? 4 : 16) == 0;
}

/* Returns true if a socket that is bound to `bound` receives what is sent to
 * `address` on this machine. */
static bool is_bound(const struct kad_network *network,
                     const struct kad_address *bound,
                     const struct kad_address *address) {
  if (kad_address_equal(bound, address)) {
    return true;
  }
  return bound->family == address->family && bound->port == address->port &&
         is_any(bound) &&
         (is_any(address) || (network->methods->has_ip != NULL &&
                              network->methods->has_ip(address)));
}

bool kad_network_is_own(void *state, const struct kad_address *address) {
  const struct kad_member *member = state;
  bool is_own = false;
  for (size_t i = 0; i < member->address_count && !is_own; i++) {
    is_own = is_bound(member->network, &member->addresses[i], address);
  }
  return is_own;
}

/* Reads the texts: copies the addresses to `known`, gives the names to the
 * node. */
static int read_texts(struct kad_node *node, const struct kad_slice *texts,
                      size_t count, struct kad_address *known,
                      size_t *known_count) {
  for (size_t i = 0; i < count; i++) {
    if (kad_address_parse(texts[i], &known[*known_count]) == 0) {
      ++*known_count;
      continue;
    }
    const int error = kad_node_add_name(node, texts[i]);
    if (error != 0) {
      return error;
    }
  }
  return 0;
}

/* NOLINTNEXTLINE(readability-function-size): as the public header has it. */
int kad_network_bootstrap(struct kad_network *network, struct kad_node *node,
                          const struct kad_slice *texts, size_t count,
                          kad_done_fn done, void *data,
                          kad_operation_id *operation) {
  if (network == NULL || node == NULL) {
    return KAD_EINVAL;
  }
  if (kad_network_find_member(network, node) == NULL ||
      (texts == NULL && count > 0)) {
    return KAD_EINVAL;
  }
  for (size_t i = 0; i < count; i++) {
    if (kad_network_check_name(texts[i]) != 0) {
      return KAD_EINVAL;
    }
  }
  struct kad_address *known = NULL;
  const size_t size = count * sizeof *known;
  if (count > 0 && (known = kad_alloc(&network->allocator, size)) == NULL) {
    return KAD_ENOMEM;
  }
  size_t known_count = 0;
  int error = read_texts(node, texts, count, known, &known_count);
  if (error == 0) {
    error = kad_node_bootstrap(node, known, known_count, done, data, operation);
  }
  kad_release(&network->allocator, known, size);
  return error;
}
