/* A node with a policy in C, without Lua: values are lower-case letters. A
 * second node, on the same loop, joins through it and puts two words. */
#include <kadenza.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const words[] = {"a long goodbye", "hello", NULL};
static struct kad_network *network;

static void check(void *state, const struct kad_hook_call *call,
                  struct kad_hook_result *result) {
  (void)state;
  if (call->record->value.len > 10) {
    result->verdict = KAD_VERDICT_REJECT;
    result->reason = kad_slice_of("more than ten bytes");
  }
}

static void must(int error) {
  if (error != 0) {
    exit(-error);
  }
}

/* Prints the result of the last operation of `node`, and puts the next word. */
static void put_next(void *node, const struct kad_result *result) {
  static size_t next;
  struct kad_record record = {.type = kad_slice_of("value")};
  const struct kad_slice text =
      result->status == 0 ? kad_slice_of("ok") : result->reason;
  printf("%s: %.*s\n", next > 0 ? words[next - 1] : "join", (int)text.len,
         (const char *)text.data);
  if (words[next] == NULL) {
    kad_network_stop(network);
    return;
  }
  kad_id_hash(kad_slice_of("greeting"), 160, &record.key);
  record.value = kad_slice_of(words[next++]);
  must(kad_node_put(node, &record, NULL, put_next, node, NULL));
}

int main(void) {
  const struct kad_type type = {.name = "value", .validate = check};
  const struct kad_policy policy = {.types = &type, .type_count = 1};
  struct kad_address address = {.ip = {127, 0, 0, 1}, .family = 4};
  struct kad_node *server;
  struct kad_node *client;
  struct kad_config config;
  kad_config_default(&config);
  config.allow_local = true;
  must(kad_network_udp_new(kad_allocator_default(), &network));
  must(kad_network_open_node(network, &config, &address, 1, &server));
  must(kad_node_set_policy(server, &policy));
  config.read_only = true;
  must(kad_network_open_node(network, &config, &address, 1, &client));
  kad_network_addresses(network, server, &address, 1);
  must(kad_node_bootstrap(client, &address, 1, put_next, client, NULL));
  kad_network_run(network, 30000);
  kad_network_free(network);
}
