#include "victim.h"

#include "attack.h"
#include "base/time.h"
#include "kadenza_secure_id.h"
#include "membership/own_id.h"

#include <string.h>

enum {
  MEMORY_MAX = 6 << 20, /* bytes of a node with these options */
  RECORD_BYTES = 1 << 20,
  PUBLISHED_S = 60,
  LIFE_S = 86000 /* a little less than the life of a record */
};

static const struct kad_id honest_key = {{0x77, 0x10, 0x29, 0x55}};
static const char honest_value[] = "stored by an honest contact";

/* ---------------------------------------------------------------- hooks -- */

static void on_hook(void *state, const struct kad_hook_call *call,
                    struct kad_hook_result *result) {
  static const char *const replies[] = {"", "de", "d1:xi5ee", "nonsense",
                                        "d5:nodes3:abc5:token2:aae"};
  struct kad_victim *victim = state;
  struct kad_dice *dice = &victim->dice;
  CHECK(call->call_id != 0 && call->now == victim->lone.now);
  /* Mostly yes, so that attacks reach what is behind the hook. */
  if (kad_dice_one_in(dice, 3)) {
    result->verdict = (enum kad_verdict)kad_dice_below(dice, 5);
  }
  result->code = (int)kad_dice_number(dice);
  result->reason = kad_slice_of("because");
  result->reply = kad_slice_of(replies[kad_dice_below(dice, 5)]);
  result->seconds = (uint32_t)kad_dice_number(dice);
  result->deadline_ms = (uint32_t)kad_dice_below(dice, 4000);
  result->records = call->held_count > 0 ? call->held : call->record;
  result->record_count =
      call->held_count > 0 ? call->held_count : (call->record != NULL ? 1 : 0);
  if (result->verdict == KAD_VERDICT_PENDING) {
    victim->call_ids[victim->call_count++ % KAD_VICTIM_CALLS] = call->call_id;
  }
}

static void on_abandon(void *state, uint64_t call_id) {
  (void)state;
  CHECK(call_id != 0);
}

static void on_release(void *state) {
  ((struct kad_victim *)state)->released++;
}

/* Sets a policy with the hooks whose bits are set. */
static void set_policy(struct kad_victim *victim, unsigned hooks) {
  kad_hook_fn hook[8];
  for (unsigned i = 0; i < 8; i++) {
    hook[i] = (hooks >> i & 1) != 0 ? on_hook : NULL;
  }
  const struct kad_type types[] = {
      {.name = "honest"},
      {.name = "value",
       .state = victim,
       .validate = hook[0],
       .expire = hook[1],
       .republish_at = hook[2],
       .select = hook[3]},
      {.name = "song",
       .state = victim,
       .max_values = 3,
       .merge = hook[4],
       .select = hook[3],
       .stored = hook[5],
       .dropped = hook[5]},
      {.name = "peers",
       .state = victim,
       .validate = hook[0],
       .expire = hook[1]},
  };
  const struct kad_method method = {"hello", victim, on_hook};
  const struct kad_policy policy = {
      .state = victim,
      .on_request = hook[6],
      .on_contact = hook[7],
      .types = types,
      .type_count = sizeof types / sizeof types[0],
      .methods = &method,
      .method_count = 1,
      .deadline_ms = 500,
      .abandon = on_abandon,
      .release = on_release,
  };
  int error = kad_node_set_policy(victim->lone.node, &policy);
  CHECK(error == 0 || error == KAD_ENOMEM);
  victim->accepted += error == 0;
}

void kad_victim_set_policy(struct kad_victim *victim, struct kad_dice *dice) {
  set_policy(victim, (unsigned)kad_dice_below(dice, 256));
}

void kad_victim_calm(struct kad_victim *victim) {
  set_policy(victim, 0);
}

void kad_victim_complete(struct kad_victim *victim, struct kad_dice *dice) {
  const struct kad_record record = {.value = kad_slice_of("later")};
  const struct kad_hook_result result = {
      .verdict = (enum kad_verdict)kad_dice_below(dice, 5),
      .code = (int)kad_dice_number(dice),
      .seconds = (uint32_t)kad_dice_number(dice),
      .records = &record,
      .record_count = kad_dice_below(dice, 2),
      .reply = kad_slice_of("d1:xi6ee"),
  };
  int error = kad_node_complete_hook(
      victim->lone.node,
      victim->call_ids[kad_dice_below(dice, KAD_VICTIM_CALLS)], &result);
  CHECK(error == 0 || error == KAD_ENOTFOUND || error == KAD_EINVAL);
}

/* ---------------------------------------------------------------- setup -- */

/* Gives a contact an id that fits its address (BEP 42), of which a node may
 * prefer contacts to others. Local addresses fit any. */
static void secure(const struct kad_victim *victim,
                   struct kad_contact *contact) {
  const struct kad_id made = contact->id;
  CHECK(kad_secure_id_make(&contact->address, victim->config.id_bits,
                           made.bytes, &contact->id) == 0);
}

static void make_contacts(struct kad_victim *victim) {
  for (unsigned i = 0; i < KAD_VICTIM_HONEST; i++) {
    victim->honest[i] = kad_lone_contact(900 + i);
    secure(victim, &victim->honest[i]);
  }
  for (unsigned i = 0; i < KAD_VICTIM_STRANGERS; i++) {
    struct kad_contact *it = &victim->strangers[i];
    *it = i % 3 == 2 ? kad_lone_contact_v6(i) : kad_lone_contact(i);
    if (i % 8 == 7) { /* neighbours in one subnet */
      memset(&it->address.ip[1], 0, sizeof it->address.ip - 1);
      it->address.ip[it->address.family == 4 ? 3 : 15] = (uint8_t)i;
    }
    if (i % 16 == 9) {
      it->address = (struct kad_address){
          .ip = {127, 0, 0, 1}, .port = (uint16_t)(7000 + i), .family = 4};
    } else if (i % 4 == 2) {
      secure(victim, it);
    }
  }
}

static void configure(struct kad_victim *victim, struct kad_dice *dice) {
  struct kad_config *config = &victim->config;
  kad_config_default(config);
  config->id_bits = kad_dice_one_in(dice, 3) ? 256 : 160;
  config->allow_local = kad_dice_one_in(dice, 3);
  config->secure_ids = (uint8_t)kad_dice_below(dice, 3);
  config->limits = !kad_dice_one_in(dice, 4);
  config->max_reply = kad_dice_one_in(dice, 3) ? 512 : 1452;
  config->k = kad_dice_one_in(dice, 2)
                  ? 8
                  : 1 + (uint32_t)kad_dice_below(dice, KAD_K_MAX);
  config->paths = 1 + (uint32_t)kad_dice_below(dice, 3);
  config->max_bytes = RECORD_BYTES;
  config->max_pending_hooks = 64;
  config->max_publications = 64;
  config->far_contacts = kad_dice_one_in(dice, 4) ? 64 : 0;
}

/* Stores the honest record, as a contact does. */
static void store_honestly(struct kad_victim *victim) {
  struct kad_lone *lone = &victim->lone;
  struct kad_message reply;
  struct kad_message message;
  uint8_t token[KAD_TOKEN_MAX];
  kad_lone_begin(&message, KAD_METHOD_GET_PEERS);
  message.has_target = true;
  message.target = honest_key;
  kad_lone_send(lone, &victim->honest[0], &message);
  (void)kad_lone_reply(lone, &reply);
  CHECK(reply.token.len > 0);
  memcpy(token, reply.token.data, reply.token.len);
  message.method = KAD_METHOD_STORE;
  message.type = kad_slice_of("honest");
  message.token = (struct kad_slice){token, reply.token.len};
  message.record_count = 1;
  message.records[0] = (struct kad_record){.value = kad_slice_of(honest_value)};
  kad_lone_send(lone, &victim->honest[0], &message);
  CHECK(kad_lone_error(lone) == 0);
  victim->expected_until = lone->now + (kad_time_ms)LIFE_S * KAD_MS_PER_S;
}

void kad_victim_open(struct kad_victim *victim, uint64_t seed) {
  struct kad_dice dice = {seed};
  memset(victim, 0, sizeof *victim);
  configure(victim, &dice);
  const struct kad_env env = kad_lone_env(&victim->lone, kad_dice_next(&dice));
  victim->dice.state = kad_dice_next(&dice);
  victim->may_stop = kad_dice_one_in(&dice, 2);
  victim->lone.id_size = victim->config.id_bits / 8;
  CHECK(kad_node_new(&victim->config, &env, &victim->lone.node) == 0);
  CHECK(kad_node_add_family(victim->lone.node, 4) == 0);
  CHECK(kad_node_add_family(victim->lone.node, 6) == 0);
  make_contacts(victim);
  victim->targets[0] = kad_lone_target;
  victim->targets[1] = *kad_node_id(victim->lone.node);
  victim->targets[2] = victim->strangers[0].id;
  victim->targets[3] = victim->strangers[1].id;
  for (unsigned i = 0; i < KAD_ITEMS; i++) {
    struct kad_record item;
    kad_items_make(i, 0, &item);
    victim->targets[KAD_VICTIM_TARGETS - KAD_ITEMS + i] = item.key;
  }
  victim->opened_at = victim->lone.now;
  set_policy(victim, 0);
  for (size_t i = 0; i < KAD_VICTIM_HONEST; i++) {
    kad_lone_add_contact(&victim->lone, &victim->honest[i]);
  }
  store_honestly(victim);
  victim->lone.answered = victim->lone.sent;
}

void kad_victim_run(struct kad_victim *victim, kad_time_ms span_ms) {
  kad_lone_run_answering(&victim->lone, span_ms, victim->honest,
                         KAD_VICTIM_HONEST);
}

/* ----------------------------------------------------------- operations -- */

static void on_end(void *data, const struct kad_result *result) {
  struct kad_victim *victim = data;
  victim->ended++;
  victim->status = result->status;
  for (size_t i = 1; i < result->closest_count; i++) {
    CHECK(!kad_id_equal(&result->closest[i].id, &result->closest[i - 1].id) ||
          result->closest[i].address.family !=
              result->closest[i - 1].address.family);
  }
  CHECK(result->stored <= result->asked);
  if (victim->may_stop && kad_dice_one_in(&victim->dice, 4)) {
    (void)kad_node_cancel(victim->lone.node, victim->operation);
  }
  if (victim->may_stop && kad_dice_one_in(&victim->dice, 8)) {
    (void)kad_victim_start(victim, &victim->dice,
                           (unsigned)kad_dice_below(&victim->dice, 6));
  }
}

static enum kad_reply_verdict on_reply(void *data,
                                       const struct kad_contact *from,
                                       struct kad_slice reply) {
  struct kad_victim *victim = data;
  CHECK(from->address.family != 0 && reply.len > 0);
  if (victim->may_stop && kad_dice_one_in(&victim->dice, 8)) {
    (void)kad_node_cancel(victim->lone.node, victim->operation);
  }
  return (enum kad_reply_verdict)kad_dice_below(&victim->dice, 3);
}

/* Starts an operation with items, or that asks for a sample. */
static int start_item(struct kad_victim *victim, struct kad_dice *dice,
                      unsigned kind, const struct kad_contact *to) {
  struct kad_node *node = victim->lone.node;
  kad_operation_id *name = &victim->operation;
  struct kad_record item;
  kad_items_make((unsigned)kad_dice_below(dice, KAD_ITEMS),
                 (int64_t)kad_dice_below(dice, 4), &item);
  const struct kad_lookup_options options = {
      .has_cas = kad_dice_one_in(dice, 4),
      .cas = (int64_t)kad_dice_below(dice, 4),
  };
  switch (kind) {
  case 10:
    return kad_node_sample(node, to, &item.key, on_end, victim, name);
  case 11:
    return kad_node_get(node, &item.key, item.type, NULL, on_end, victim, name);
  default:
    return kad_node_put(node, &item, item.publisher != NULL ? &options : NULL,
                        on_end, victim, name);
  }
}

/* Starts an operation that is no lookup. */
static int start_short(struct kad_victim *victim, unsigned kind,
                       const struct kad_contact *to,
                       const struct kad_record *record) {
  struct kad_node *node = victim->lone.node;
  kad_operation_id *name = &victim->operation;
  switch (kind) {
  case 6:
    return kad_node_ping(node, &to->address, on_end, victim, name);
  case 7:
    return kad_node_call(node, to, kad_slice_of("hello"), kad_slice_of("de"),
                         on_end, victim, name);
  case 8:
    return kad_node_leave(node, 5000, on_end, victim, name);
  default:
    victim->started--; /* it has no end */
    return kad_node_publish(node, record, PUBLISHED_S);
  }
}

static int start(struct kad_victim *victim, struct kad_dice *dice,
                 unsigned kind) {
  struct kad_node *node = victim->lone.node;
  kad_operation_id *name = &victim->operation;
  const struct kad_contact *to =
      &victim->strangers[kad_dice_below(dice, KAD_VICTIM_STRANGERS)];
  const struct kad_id *target =
      &victim->targets[kad_dice_below(dice, KAD_VICTIM_TARGETS)];
  const struct kad_record record = {
      .key = *target,
      .type = kad_slice_of(kad_dice_one_in(dice, 2) ? "value" : "song"),
      .value = kad_slice_of("ours")};
  const struct kad_custom_query custom = {.method = kad_slice_of("hello"),
                                          .args = kad_slice_of("d1:zi1ee"),
                                          .on_reply = on_reply};
  const struct kad_lookup_options scraping = {
      .scrape = true, .noseed = kad_dice_one_in(dice, 2)};
  switch (kind) {
  case 0:
    return kad_node_find_node(node, target, NULL, on_end, victim, name);
  case 1:
    return kad_node_get(node, target, record.type, NULL, on_end, victim, name);
  case 2:
    return kad_node_put(node, &record, NULL, on_end, victim, name);
  case 3:
    return kad_node_get_peers(node, target,
                              kad_dice_one_in(dice, 2) ? &scraping : NULL,
                              on_end, victim, name);
  case 4:
    return kad_node_announce(node, target, 7001, NULL, on_end, victim, name);
  case 5:
    return kad_dice_one_in(dice, 2) ? kad_node_query(node, target, &custom,
                                                     NULL, on_end, victim, name)
                                    : kad_node_bootstrap(node, &to->address, 1,
                                                         on_end, victim, name);
  case 10:
  case 11:
  case 12:
    return start_item(victim, dice, kind, to);
  default:
    return start_short(victim, kind, to, &record);
  }
}

int kad_victim_start(struct kad_victim *victim, struct kad_dice *dice,
                     unsigned kind) {
  victim->started++;
  int error = start(victim, dice, kind);
  if (error != 0 && kind != 9) {
    victim->started--;
  }
  return error;
}

/* --------------------------------------------------------------- checks -- */

unsigned kad_victim_find_item(const struct kad_victim *victim,
                              const struct kad_id *key) {
  unsigned i = 0;
  while (i < KAD_ITEMS &&
         !kad_id_equal(key,
                       &victim->targets[KAD_VICTIM_TARGETS - KAD_ITEMS + i])) {
    i++;
  }
  return i;
}

/* The node moves to another id when it may, and not often. */
static void check_id(const struct kad_victim *victim,
                     const struct kad_stats *stats) {
  struct kad_secure_id_info info;
  const kad_time_ms age = victim->lone.now - victim->opened_at;
  const struct kad_id *id = kad_node_id(victim->lone.node);
  CHECK(kad_node_secure_id(victim->lone.node, &info));
  CHECK(info.moves == stats->id_moves);
  CHECK(info.moves == 0 || info.may_move);
  CHECK(info.moves <= 1 + age / KAD_OWN_ID_KEEP_MS);
  CHECK(info.moves == 0 || !kad_id_equal(&info.previous, id));
  for (size_t i = victim->lone.id_size; i < KAD_ID_SIZE; i++) {
    CHECK(id->bytes[i] == 0);
  }
}

void kad_victim_check(struct kad_victim *victim) {
  struct kad_stats stats = kad_lone_stats(&victim->lone);
  kad_items_check(victim->lone.node, false);
  check_id(victim, &stats);
  CHECK(stats.served_get + stats.served_put + stats.served_sample +
            stats.served_get_peers + stats.served_find_value +
            stats.served_store + stats.refused <=
        stats.datagrams_in + stats.queued);
  CHECK(victim->lone.counting.bytes < MEMORY_MAX);
  CHECK(stats.contacts_good <= stats.contacts);
  CHECK(stats.pending_hooks <= victim->config.max_pending_hooks);
  CHECK(stats.handoffs <= stats.queries * KAD_RECORDS_PER_MESSAGE);
  CHECK(stats.repairs + stats.cached_copies + stats.republishes <=
        stats.queries * KAD_RECORDS_PER_MESSAGE);
  CHECK(stats.pending + stats.waiting <= 2 * victim->config.max_waiting);
  CHECK(stats.operations >= victim->started - victim->ended);
  CHECK(stats.record_bytes <= victim->config.max_bytes);
  CHECK(stats.datagrams_out == victim->lone.sent);
  CHECK(stats.replies + stats.errors + stats.timeouts + stats.pending <=
        stats.queries);
  CHECK(kad_node_deadline(victim->lone.node) != KAD_TIME_NEVER);
}

void kad_victim_check_service(struct kad_victim *victim) {
  struct kad_lone *lone = &victim->lone;
  const struct kad_contact honest = kad_lone_contact(950);
  struct kad_message message;
  struct kad_record record;
  size_t held = kad_node_held(lone->node, &honest_key, kad_slice_of("honest"),
                              &record, 1);
  CHECK(held == 1 || kad_lone_stats(lone).evicted > 0 ||
        lone->now > victim->expected_until);
  CHECK(held == 0 || kad_slice_equal(record.value, kad_slice_of(honest_value)));
  kad_victim_calm(victim);
  uint64_t served = kad_lone_stats(lone).served_ping;
  kad_lone_query(lone, &honest, KAD_METHOD_PING);
  CHECK(kad_lone_stats(lone).served_ping == served + 1);
  (void)kad_lone_reply(lone, &message);
  CHECK(message.kind == KAD_MESSAGE_REPLY);
}

void kad_victim_close(struct kad_victim *victim) {
  victim->may_stop = false;
  kad_victim_run(victim, KAD_VICTIM_SETTLE_MS);
  CHECK(victim->started == victim->ended);
  kad_victim_check_service(victim);
  kad_victim_check(victim);
  kad_items_check(victim->lone.node, true);
  kad_node_free(victim->lone.node);
  CHECK(victim->lone.counting.blocks == 0);
  kad_counting_deinit(&victim->lone.counting);
  CHECK(victim->accepted == victim->released);
}
