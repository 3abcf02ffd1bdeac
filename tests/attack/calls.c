/* Rules of the headers that calls keep: what ends a network or an engine, and a
 * tick, is not called from a callback; a node is not used after it was closed;
 * a network, and not the caller, frees its nodes. All else may be nonsense. */
#include "calls.h"

#include <string.h>

enum {
  DEPTH_MAX = 3, /* of calls in callbacks */
  RUN_MS = 20000,
  UDP_RUN_MS = 2,
  UDP = 2, /* the number of the network with sockets */
  START = 1000000,
  TRIES = 12 /* to open something; most succeed */
};

/* ------------------------------------------------------------ callbacks -- */

/* Any result is right. */
static void ignore(int error) {
  CHECK(error <= 0);
}

/* Makes some calls from a callback. */
static void call_some(struct kad_calls *it) {
  if (it->depth >= DEPTH_MAX || it->call == NULL) {
    return;
  }
  it->depth++;
  for (uint64_t i = kad_dice_below(&it->dice, 5); i > 0; i--) {
    it->call(it);
  }
  it->depth--;
}

static void read_bytes(struct kad_calls *it, const void *data, size_t len) {
  const uint8_t *bytes = data;
  for (size_t i = 0; i < len; i++) {
    it->sum += bytes[i];
  }
}

/* Reads all that a callback may, so that a sanitizer sees what is gone. */
static void read_result(struct kad_calls *it, const struct kad_result *result) {
  const struct kad_sampled *sampled = result->sampled;
  read_bytes(it, result->reason.data, result->reason.len);
  read_bytes(it, result->reply.data, result->reply.len);
  read_bytes(it, result->closest,
             result->closest_count * sizeof *result->closest);
  read_bytes(it, result->peers, result->peer_count * sizeof *result->peers);
  read_bytes(it, result->path, result->path_count * sizeof *result->path);
  for (size_t i = 0; i < result->record_count; i++) {
    const struct kad_record *record = &result->records[i];
    read_bytes(it, record->value.data, record->value.len);
    read_bytes(it, record->type.data, record->type.len);
    read_bytes(it, record->salt.data, record->salt.len);
  }
  if (result->scrape != NULL) {
    read_bytes(it, result->scrape, sizeof *result->scrape);
  }
  if (sampled != NULL) {
    read_bytes(it, sampled->ids, sampled->count * sizeof *sampled->ids);
    read_bytes(it, sampled->contacts,
               sampled->contact_count * sizeof *sampled->contacts);
  }
}

static void on_done(void *data, const struct kad_result *result) {
  struct kad_calls *it = data;
  CHECK(result != NULL && result->operation != 0);
  it->ended++;
  read_result(it, result);
  call_some(it);
  read_result(it, result); /* it is borrowed until this function returns */
}

static void on_fire(void *data) {
  call_some(data);
}

static void on_changed(void *data, size_t index) {
  (void)index;
  call_some(data);
}

static void on_resolved(void *data, int status,
                        const struct kad_address *addresses, size_t count) {
  (void)status;
  (void)addresses;
  (void)count;
  call_some(data);
}

static void on_trace(void *data, const struct kad_sim_event *event) {
  struct kad_calls *it = data;
  CHECK(event->from != NULL && event->to != NULL);
  if (kad_dice_one_in(&it->dice, 8)) {
    call_some(it);
  }
}

static void on_hook(void *state, const struct kad_hook_call *call,
                    struct kad_hook_result *result) {
  struct kad_calls *it = state;
  result->verdict = kad_dice_one_in(&it->dice, 8)
                        ? (enum kad_verdict)kad_dice_number(&it->dice)
                        : (enum kad_verdict)kad_dice_below(&it->dice, 5);
  result->record_count = kad_dice_one_in(&it->dice, 8);
  result->code = (int)kad_dice_number(&it->dice);
  result->seconds = (uint32_t)kad_dice_number(&it->dice);
  result->deadline_ms = (uint32_t)kad_dice_number(&it->dice);
  result->reply = kad_slice_of("d1:xi5ee");
  it->call_ids[call->call_id % KAD_CALLS_IDS] = call->call_id;
  call_some(it);
}

static void on_abandon(void *state, uint64_t call_id) {
  (void)call_id;
  call_some(state);
}

static void on_release(void *state) {
  ((struct kad_calls *)state)->released++;
}

static enum kad_reply_verdict on_reply(void *data,
                                       const struct kad_contact *from,
                                       struct kad_slice reply) {
  struct kad_calls *it = data;
  (void)from;
  (void)reply;
  call_some(it);
  return (enum kad_reply_verdict)kad_dice_below(&it->dice, 4);
}

static void on_send(void *state, const struct kad_address *to,
                    struct kad_slice datagram) {
  struct kad_calls *it = state;
  CHECK(to->port != 0 && datagram.len > 0);
  if (kad_dice_one_in(&it->dice, 4)) {
    call_some(it);
  }
}

/* ----------------------------------------------------------------- pool -- */

static bool is_null(struct kad_calls *it) {
  return kad_dice_one_in(&it->dice, 24);
}

/* Returns a place of the pool that has a node, or NULL. */
static struct kad_calls_node *pick_node(struct kad_calls *it, bool is_engine) {
  size_t from = kad_dice_below(&it->dice, KAD_CALLS_NODES);
  for (size_t i = 0; i < KAD_CALLS_NODES; i++) {
    struct kad_calls_node *place = &it->nodes[(from + i) % KAD_CALLS_NODES];
    if (place->node != NULL && (!is_engine || place->network == NULL)) {
      return place;
    }
  }
  return NULL;
}

/* Returns a place for a new node, or NULL. */
struct kad_calls_node *kad_calls_room(struct kad_calls *it) {
  for (size_t i = 0; i < KAD_CALLS_NODES; i++) {
    if (it->nodes[i].node == NULL) {
      return &it->nodes[i];
    }
  }
  return NULL;
}

static void forget_node(struct kad_calls *it, const struct kad_node *node) {
  for (size_t i = 0; i < KAD_CALLS_NODES; i++) {
    if (it->nodes[i].node == node) {
      it->nodes[i].node = NULL;
    }
  }
}

struct kad_node *kad_calls_node(struct kad_calls *it) {
  const struct kad_calls_node *place = pick_node(it, false);
  return place == NULL || is_null(it) ? NULL : place->node;
}

struct kad_network *kad_calls_network(struct kad_calls *it) {
  return is_null(it)
             ? NULL
             : it->networks[kad_dice_below(&it->dice, KAD_CALLS_NETWORKS)];
}

kad_operation_id kad_calls_operation(struct kad_calls *it) {
  return kad_dice_one_in(&it->dice, 4)
             ? kad_dice_number(&it->dice)
             : it->operations[kad_dice_below(&it->dice, KAD_CALLS_IDS)];
}

kad_operation_id *kad_calls_operation_out(struct kad_calls *it) {
  return is_null(it)
             ? NULL
             : &it->operations[kad_dice_below(&it->dice, KAD_CALLS_IDS)];
}

kad_timer_id kad_calls_timer(struct kad_calls *it) {
  return kad_dice_one_in(&it->dice, 4)
             ? kad_dice_number(&it->dice)
             : it->timers[kad_dice_below(&it->dice, KAD_CALLS_IDS)];
}

kad_timer_id *kad_calls_timer_out(struct kad_calls *it) {
  return is_null(it) ? NULL
                     : &it->timers[kad_dice_below(&it->dice, KAD_CALLS_IDS)];
}

uint64_t kad_calls_call_id(struct kad_calls *it) {
  return kad_dice_one_in(&it->dice, 4)
             ? kad_dice_number(&it->dice)
             : it->call_ids[kad_dice_below(&it->dice, KAD_CALLS_IDS)];
}

void kad_calls_count(struct kad_calls *it, int error, kad_done_fn done) {
  it->started += error == 0 && done != NULL;
}

/* ------------------------------------------------- callbacks as arguments --
 */

kad_done_fn kad_calls_done(struct kad_calls *it) {
  return is_null(it) ? NULL : on_done;
}

kad_sim_trace_fn kad_calls_trace(struct kad_calls *it) {
  return kad_dice_one_in(&it->dice, 4) ? on_trace : NULL;
}

void (*kad_calls_fire(struct kad_calls *it))(void *data) {
  return is_null(it) ? NULL : on_fire;
}

void (*kad_calls_changed(struct kad_calls *it))(void *data, size_t index) {
  return is_null(it) ? NULL : on_changed;
}

static kad_hook_fn pick_hook(struct kad_calls *it) {
  return kad_dice_one_in(&it->dice, 2) ? on_hook : NULL;
}

const struct kad_policy *kad_calls_policy(struct kad_calls *it) {
  struct kad_policy *policy = kad_values_block(it, sizeof *policy);
  struct kad_type *types = kad_values_block(it, 70 * sizeof *types);
  struct kad_method *methods = kad_values_block(it, 2 * sizeof *methods);
  for (size_t i = 0; i < 3; i++) {
    types[i] = (struct kad_type){
        .name = kad_values_text(it),
        .max_size = (uint32_t)kad_values_below(it, KAD_VALUE_MAX + 20),
        .max_values = (uint32_t)kad_values_below(it, 1100),
        .ttl = (uint32_t)kad_values_number(it),
        .republish = (uint32_t)kad_values_number(it),
        .signed_only = kad_values_below(it, 8) == 0,
        .state = it,
        .validate = pick_hook(it),
        .merge = pick_hook(it),
        .select = pick_hook(it),
        .expire = pick_hook(it),
        .republish_at = pick_hook(it),
        .stored = pick_hook(it),
        .dropped = pick_hook(it),
    };
  }
  methods[0] = (struct kad_method){kad_values_text(it), it, on_hook};
  methods[1] = (struct kad_method){kad_values_text(it), it, pick_hook(it)};
  *policy = (struct kad_policy){
      .state = it,
      .on_request = pick_hook(it),
      .on_contact = pick_hook(it),
      .types = is_null(it) ? NULL : types,
      .type_count = kad_values_below(it, kad_values_below(it, 8) ? 2 : 70),
      .methods = is_null(it) ? NULL : methods,
      .method_count = kad_values_below(it, 3),
      .deadline_ms = (uint32_t)kad_values_number(it),
      .abandon = on_abandon,
  };
  return is_null(it) ? NULL : policy;
}

const struct kad_custom_query *kad_calls_custom(struct kad_calls *it) {
  struct kad_custom_query *custom = kad_values_block(it, sizeof *custom);
  *custom = (struct kad_custom_query){
      .method = kad_values_slice(it),
      .args = kad_values_slice(it),
      .on_reply = kad_values_below(it, 2) == 0 ? on_reply : NULL,
  };
  return is_null(it) ? NULL : custom;
}

const struct kad_hook_result *kad_calls_hook_result(struct kad_calls *it) {
  struct kad_hook_result *result = kad_values_block(it, sizeof *result);
  const struct kad_record *record = kad_values_record(it);
  *result = (struct kad_hook_result){
      .verdict = (enum kad_verdict)kad_values_number(it),
      .code = (int)kad_values_number(it),
      .reason = kad_values_slice(it),
      .records = record,
      .record_count = kad_values_below(it, 2),
      .seconds = (uint32_t)kad_values_number(it),
      .deadline_ms = (uint32_t)kad_values_number(it),
      .reply = kad_values_slice(it),
  };
  return is_null(it) ? NULL : result;
}

/* -------------------------------------------------------- calls by hand -- */

static kad_time_ms engine_now(void *state) {
  return ((struct kad_calls *)state)->now;
}

static int64_t engine_wall_clock(void *state) {
  (void)state;
  return 1700000000;
}

static void engine_random(void *state, uint8_t *out, size_t len) {
  kad_dice_bytes(&((struct kad_calls *)state)->dice, out, len);
}

static void engine_send(void *state, const struct kad_address *to,
                        struct kad_slice datagram) {
  (void)state;
  CHECK(to->port != 0 && datagram.len > 0);
}

void kad_calls_special_kad_node_new(struct kad_calls *it) {
  struct kad_calls_node *place = kad_calls_room(it);
  struct kad_env env = {
      .state = it,
      .now = engine_now,
      .wall_clock = engine_wall_clock,
      .random = engine_random,
      .send = engine_send,
      .allocator = it->counting.allocator,
  };
  struct kad_node *node = NULL;
  switch (kad_dice_below(&it->dice, 40)) {
  case 0:
    env.now = NULL;
    break;
  case 1:
    env.wall_clock = NULL;
    break;
  case 2:
    env.random = NULL;
    break;
  case 3:
    env.send = NULL;
    break;
  case 4:
    env.allocator.resize = NULL;
    break;
  default:
    break;
  }
  if (place != NULL && kad_node_new(kad_values_config(it), &env, &node) == 0) {
    *place = (struct kad_calls_node){node, NULL};
    ignore(kad_node_add_family(node, 4));
  }
}

void kad_calls_special_kad_node_free(struct kad_calls *it) {
  struct kad_calls_node *place = pick_node(it, true);
  if (it->depth == 0 && place != NULL) {
    struct kad_node *node = place->node;
    place->node = NULL;
    kad_node_free(node);
  }
}

void kad_calls_special_kad_node_tick(struct kad_calls *it) {
  const struct kad_calls_node *place = pick_node(it, true);
  it->now += kad_dice_below(&it->dice, 5000);
  if (it->depth == 0) {
    kad_node_tick(place != NULL ? place->node : NULL);
  }
}

void kad_calls_special_kad_node_receive(struct kad_calls *it) {
  const struct kad_calls_node *place = pick_node(it, true);
  struct kad_slice bytes = kad_values_slice(it);
  if (it->depth == 0 && place != NULL) {
    kad_node_receive(place->node, kad_values_addresses(it), bytes);
  }
}

void kad_calls_special_kad_network_udp_new(struct kad_calls *it) {
  if (it->networks[UDP] == NULL) {
    ignore(kad_network_udp_new(it->counting.allocator, &it->networks[UDP]));
  }
}

void kad_calls_special_kad_network_sim_new(struct kad_calls *it) {
  size_t i = kad_dice_below(&it->dice, UDP);
  if (it->networks[i] == NULL) {
    ignore(kad_network_sim_new(kad_values_sim_config(it),
                               it->counting.allocator, &it->networks[i]));
  }
}

static void free_network(struct kad_calls *it, size_t i) {
  struct kad_network *network = it->networks[i];
  it->networks[i] = NULL;
  for (size_t j = 0; j < KAD_CALLS_NODES; j++) {
    if (it->nodes[j].node != NULL && it->nodes[j].network == network) {
      it->nodes[j].node = NULL;
    }
  }
  it->depth++; /* callbacks run meanwhile */
  kad_network_free(network);
  it->depth--;
}

void kad_calls_special_kad_network_free(struct kad_calls *it) {
  size_t i = kad_dice_below(&it->dice, KAD_CALLS_NETWORKS);
  if (it->depth == 0 && kad_dice_one_in(&it->dice, 2) &&
      it->networks[i] != NULL) {
    free_network(it, i);
  }
}

void kad_calls_special_kad_network_open_node(struct kad_calls *it) {
  struct kad_calls_node *place = kad_calls_room(it);
  struct kad_network *network = kad_calls_network(it);
  struct kad_node *node = NULL;
  size_t count = kad_values_below(it, 3) > 0 ? 1 : kad_values_below(it, 12);
  if (place != NULL &&
      kad_network_open_node(network, kad_values_config(it),
                            kad_values_addresses(it), count, &node) == 0) {
    *place = (struct kad_calls_node){node, network};
  }
}

void kad_calls_special_kad_network_open_on_transport(struct kad_calls *it) {
  struct kad_calls_node *place = kad_calls_room(it);
  struct kad_network *network = kad_calls_network(it);
  struct kad_node *node = NULL;
  const struct kad_transport transport = {
      .state = it,
      .send = kad_values_below(it, 8) > 0 ? on_send : NULL,
      .release = on_release,
  };
  size_t count = kad_values_below(it, 3) > 0 ? 1 : kad_values_below(it, 12);
  if (place != NULL &&
      kad_network_open_on_transport(network, kad_values_config(it),
                                    kad_values_addresses(it), count, &transport,
                                    &node) == 0) {
    *place = (struct kad_calls_node){node, network};
    it->accepted++;
  }
}

void kad_calls_special_kad_network_close_node(struct kad_calls *it) {
  const struct kad_calls_node *place = pick_node(it, false);
  struct kad_network *network = kad_calls_network(it);
  if (place == NULL || is_null(it)) {
    kad_network_close_node(network, NULL);
    return;
  }
  struct kad_node *node = place->node;
  if (network != NULL && place->network == network) {
    forget_node(it, node);
  }
  kad_network_close_node(network, node);
}

void kad_calls_special_kad_sim_kill(struct kad_calls *it) {
  const struct kad_calls_node *place = pick_node(it, false);
  struct kad_network *network = kad_calls_network(it);
  struct kad_node *node = place != NULL ? place->node : NULL;
  if (kad_sim_kill(network, node) == 0) {
    it->has_killed = true;
    forget_node(it, node);
  }
}

void kad_calls_special_kad_network_run(struct kad_calls *it) {
  struct kad_network *network = kad_calls_network(it);
  kad_time_ms most = network == it->networks[UDP] ? UDP_RUN_MS : RUN_MS;
  it->depth++;
  kad_network_run(network, kad_dice_below(&it->dice, most));
  it->depth--;
}

void kad_calls_special_kad_network_on_signal(struct kad_calls *it) {
  static const int numbers[] = {0, -1, 9, 10, 12, 19, 64, 65, 1000, INT32_MAX};
  ignore(kad_network_on_signal(kad_calls_network(it),
                               numbers[kad_dice_below(&it->dice, 10)],
                               kad_calls_fire(it), it));
}

/* Names that no name server is asked for. */
static struct kad_slice pick_name(struct kad_calls *it) {
  static const char *const names[] = {"127.0.0.1:6881",
                                      "[::1]:6882",
                                      "127.0.0.1",
                                      "",
                                      ":",
                                      ":1",
                                      "[::1]",
                                      "127.0.0.1:0",
                                      "127.0.0.1:65536",
                                      "127.0.0.1:-1",
                                      "[::1:7",
                                      "\1:5"};
  return kad_slice_of(names[kad_dice_below(&it->dice, 12)]);
}

void kad_calls_special_kad_network_resolve(struct kad_calls *it) {
  ignore(kad_network_resolve(kad_calls_network(it), pick_name(it),
                             is_null(it) ? NULL : on_resolved, it));
}

void kad_calls_special_kad_network_bootstrap(struct kad_calls *it) {
  struct kad_slice names[8];
  for (size_t i = 0; i < 8; i++) {
    names[i] = pick_name(it);
  }
  kad_done_fn done = kad_calls_done(it);
  kad_calls_count(it,
                  kad_network_bootstrap(kad_calls_network(it),
                                        kad_calls_node(it), names,
                                        kad_values_below(it, 9), done, it,
                                        kad_calls_operation_out(it)),
                  done);
}

void kad_calls_special_kad_node_add_name(struct kad_calls *it) {
  ignore(kad_node_add_name(kad_calls_node(it), pick_name(it)));
}

/* ---------------------------------------------------------------- cases -- */

void kad_calls_open(struct kad_calls *it, uint64_t seed) {
  memset(it, 0, sizeof *it);
  it->dice.state = seed;
  it->now = START;
  kad_counting_init(&it->counting);
  for (size_t i = 0; i < TRIES; i++) {
    kad_calls_special_kad_network_sim_new(it);
    kad_calls_special_kad_network_open_node(it);
    kad_values_release(it);
  }
  kad_calls_special_kad_node_new(it);
  kad_calls_special_kad_network_udp_new(it);
  kad_values_release(it);
}

void kad_calls_close(struct kad_calls *it) {
  it->call = NULL;
  for (size_t i = 0; i < KAD_CALLS_NODES; i++) {
    if (it->nodes[i].node != NULL && it->nodes[i].network == NULL) {
      kad_node_free(it->nodes[i].node);
    }
  }
  for (size_t i = 0; i < KAD_CALLS_NETWORKS; i++) {
    free_network(it, i);
  }
  kad_values_release(it);
  kad_attack_show("%llu operations", (unsigned long long)it->started);
  CHECK(it->ended == it->started || it->has_killed);
  CHECK(it->released == it->accepted);
  CHECK(it->counting.blocks == 0);
  kad_counting_deinit(&it->counting);
}
