/* A node with a record store of its own, in a network in virtual time. Another
 * node stores two values at it, and an hour later it still holds one of them.
 */
#include "array_store.h"

#include <kadenza_sim.h>
#include <stdio.h>

enum {
  CAPACITY = 256,
  HOUR_MS = 3600 * 1000
};

static void note_status(void *data, const struct kad_result *result) {
  *(int *)data = result->status;
}

/* Puts `value` from `node`, to live for `ttl` seconds. */
static int put(struct kad_network *network, struct kad_node *node,
               const char *value, uint32_t ttl) {
  struct kad_record record = {
      .type = kad_slice_of("value"), .value = kad_slice_of(value), .ttl = ttl};
  int status = KAD_ETIMEOUT;
  kad_id_hash(kad_slice_of("greeting"), 160, &record.key);
  int error = kad_node_put(node, &record, NULL, note_status, &status, NULL);
  kad_network_run(network, 10000);
  return error != 0 ? error : status;
}

static int run(struct kad_network *network, struct array_store *array) {
  const struct kad_address holder = {
      .ip = {20, 0, 0, 1}, .port = 6881, .family = 4};
  const struct kad_address writer = {
      .ip = {20, 0, 1, 1}, .port = 6881, .family = 4};
  struct kad_config config;
  struct kad_node *nodes[2];
  kad_config_default(&config);
  config.store = &array->store;
  int error = kad_network_open_node(network, &config, &holder, 1, &nodes[0]);
  config.store = NULL;
  config.read_only = true; /* it holds nothing itself */
  error = error != 0
              ? error
              : kad_network_open_node(network, &config, &writer, 1, &nodes[1]);
  error = error != 0
              ? error
              : kad_node_bootstrap(nodes[1], &holder, 1, NULL, NULL, NULL);
  if (error == 0) {
    kad_network_run(network, 10000);
    error = put(network, nodes[1], "hello", 24 * 3600);
  }
  return error != 0 ? error : put(network, nodes[1], "good morning", 60);
}

int main(void) {
  struct kad_sim_config config;
  struct kad_network *network;
  struct array_store array;
  kad_sim_config_default(&config);
  if (array_store_init(&array, kad_allocator_default(), CAPACITY) != 0) {
    return 1;
  }
  int error = kad_network_sim_new(&config, kad_allocator_default(), &network);
  if (error == 0) {
    error = run(network, &array);
    const size_t before = array.count;
    kad_network_run(network, HOUR_MS);
    printf("%zu records, an hour later %zu\n", before, array.count);
    error = error != 0 || before != 2 || array.count != 1;
    kad_network_free(network);
  }
  array_store_deinit(&array);
  return error != 0;
}
