/* Networks and nodes whose functions are called at random, from outside and
 * from inside callbacks. generate/calls.lua makes a call of every public
 * function. */
#ifndef KAD_ATTACK_CALLS_H
#define KAD_ATTACK_CALLS_H

#include "attack.h"
#include "counting_allocator.h"
#include "kadenza_backend.h"
#include "kadenza_codec.h"
#include "kadenza_durable.h"
#include "kadenza_held.h"
#include "kadenza_histogram.h"
#include "kadenza_inherited.h"
#include "kadenza_names.h"
#include "kadenza_option.h"
#include "kadenza_secure_id.h"
#include "kadenza_sim.h"
#include "kadenza_socket.h"
#include "kadenza_store.h"
#include "kadenza_talkers.h"
#include "kadenza_tally.h"
#include "kadenza_tap.h"
#include "kadenza_watch.h"
#include "values.h"

enum {
  KAD_CALLS_NETWORKS = 3, /* two in virtual time, one of UDP sockets */
  KAD_CALLS_NODES = 10,
  KAD_CALLS_IDS = 16
};

/* Memory of arguments. */
struct kad_block {
  struct kad_block *next;
};

/* A node, and the network that it is of; NULL: it is an engine alone. */
struct kad_calls_node {
  struct kad_node *node;
  struct kad_network *network;
};

struct kad_calls {
  struct kad_dice dice;
  struct kad_counting_allocator counting;
  struct kad_block *blocks;
  unsigned depth; /* of calls in callbacks */
  struct kad_network *networks[KAD_CALLS_NETWORKS];
  struct kad_calls_node nodes[KAD_CALLS_NODES];
  kad_time_ms now; /* of engines */
  kad_operation_id operations[KAD_CALLS_IDS];
  kad_timer_id timers[KAD_CALLS_IDS];
  uint64_t call_ids[KAD_CALLS_IDS];
  uint64_t started; /* operations with a callback */
  uint64_t ended;
  uint64_t accepted; /* policies, and transports */
  uint64_t released;
  uint64_t sum;    /* of the bytes of all results */
  bool has_killed; /* a node crashed: its operations have no end */
  void (*call)(struct kad_calls *it); /* makes any call */
};

/* A public function. */
struct kad_call {
  const char *name;
  void (*call)(struct kad_calls *it);
  bool is_busy; /* it has to do with a node or a network: called more often */
};

/* All of them; made by generate/calls.lua. */
extern const struct kad_call kad_calls_all[];
extern const size_t kad_calls_all_count;

/* Opens networks and nodes; frees everything, and fails the case if something
 * is left. */
void kad_calls_open(struct kad_calls *it, uint64_t seed);
void kad_calls_close(struct kad_calls *it);

/* Returns one of the nodes or networks, or NULL. */
struct kad_node *kad_calls_node(struct kad_calls *it);
struct kad_network *kad_calls_network(struct kad_calls *it);

/* Returns the place of a further node, or NULL. */
struct kad_calls_node *kad_calls_room(struct kad_calls *it);

/* Return a callback, or NULL. It makes calls too. */
kad_done_fn kad_calls_done(struct kad_calls *it);
kad_sim_trace_fn kad_calls_trace(struct kad_calls *it);
void (*kad_calls_fire(struct kad_calls *it))(void *data);
void (*kad_calls_changed(struct kad_calls *it))(void *data, size_t index);
const struct kad_policy *kad_calls_policy(struct kad_calls *it);
const struct kad_custom_query *kad_calls_custom(struct kad_calls *it);
const struct kad_hook_result *kad_calls_hook_result(struct kad_calls *it);

/* Return an id that was in use, or any; or where one is written. */
kad_operation_id kad_calls_operation(struct kad_calls *it);
kad_operation_id *kad_calls_operation_out(struct kad_calls *it);
kad_timer_id kad_calls_timer(struct kad_calls *it);
kad_timer_id *kad_calls_timer_out(struct kad_calls *it);
uint64_t kad_calls_call_id(struct kad_calls *it);

/* Counts an operation if it was started, so that its end is missed. */
void kad_calls_count(struct kad_calls *it, int error, kad_done_fn done);

/* Calls that need care. */
void kad_calls_special_kad_node_new(struct kad_calls *it);
void kad_calls_special_kad_node_free(struct kad_calls *it);
void kad_calls_special_kad_node_tick(struct kad_calls *it);
void kad_calls_special_kad_node_receive(struct kad_calls *it);
void kad_calls_special_kad_network_udp_new(struct kad_calls *it);
void kad_calls_special_kad_network_sim_new(struct kad_calls *it);
void kad_calls_special_kad_network_free(struct kad_calls *it);
void kad_calls_special_kad_network_open_node(struct kad_calls *it);
void kad_calls_special_kad_network_open_on_transport(struct kad_calls *it);
void kad_calls_special_kad_network_open_on_sockets(struct kad_calls *it);
void kad_calls_special_kad_network_close_node(struct kad_calls *it);
void kad_calls_special_kad_network_run(struct kad_calls *it);
void kad_calls_special_kad_network_on_signal(struct kad_calls *it);
void kad_calls_special_kad_network_watch(struct kad_calls *it);
void kad_calls_special_kad_network_resolve(struct kad_calls *it);
void kad_calls_special_kad_network_bootstrap(struct kad_calls *it);
void kad_calls_special_kad_node_add_name(struct kad_calls *it);
void kad_calls_special_kad_sim_kill(struct kad_calls *it);
void kad_calls_special_kad_backed_store_new(struct kad_calls *it);
void kad_calls_special_kad_backed_store_restore(struct kad_calls *it);
void kad_calls_special_kad_backed_store_sort(struct kad_calls *it);
void kad_calls_special_kad_backed_store_free(struct kad_calls *it);

#endif
