/* Runs the life of a node, with every query and every operation, many times.
 * Another allocation fails each time. Nothing leaks or crashes, and the node
 * continues to serve. */
#include "kadenza_sample.h"
#include "lone_node.h"
#include "unit.h"

#include <string.h>

enum {
  CONTACTS = 12,
  CALLS_MAX = 512,
  RUNS_MAX = 20000
};

static struct kad_lone lone_node;
static struct kad_contact contacts[CONTACTS];

/* The results of one run. */
struct run {
  uint64_t call_ids[CALLS_MAX];
  size_t call_count;
  unsigned asked;
  unsigned started; /* operations */
  unsigned ended;
  unsigned accepted; /* policies */
  unsigned released;
};

static struct run run;

/* Leaves every second call pending. */
static void answer_sometimes(void *state, const struct kad_hook_call *call,
                             struct kad_hook_result *answer) {
  struct run *it = state;
  if (it->asked++ % 2 == 0 && it->call_count < CALLS_MAX) {
    it->call_ids[it->call_count++] = call->call_id;
    answer->verdict = KAD_VERDICT_PENDING;
  }
  answer->reply = kad_slice_of("d1:yi1ee");
  answer->seconds = 600;
}

/* A merge: keeps the incoming record beside the held ones, or the first only.
 */
static void merge(void *state, const struct kad_hook_call *call,
                  struct kad_hook_result *answer) {
  static struct kad_record records[2];
  answer_sometimes(state, call, answer);
  records[0] = call->held_count > 0 ? call->held[0] : *call->record;
  answer->record_count = 1;
  if (call->record != NULL && call->held_count > 0) {
    records[1] = *call->record;
    answer->record_count = 2;
  }
  answer->records = records;
}

static void note_abandoned(void *state, uint64_t call_id) {
  (void)state;
  assert_true(call_id != 0);
}

static void note_released(void *state) {
  struct run *it = state;
  it->released++;
}

static void note_end(void *data, const struct kad_result *result) {
  struct run *it = data;
  (void)result;
  it->ended++;
}

/* Completes every second pending call. The others reach their deadline. */
static void answer_waiting(struct kad_lone *lone) {
  const struct kad_record merged = {.value = kad_slice_of("merged")};
  const struct kad_hook_result yes = {.records = &merged,
                                      .record_count = 1,
                                      .seconds = 600,
                                      .reply = kad_slice_of("d1:yi2ee")};
  for (size_t i = 0; i < run.call_count; i += 2) {
    int error = kad_node_complete_hook(lone->node, run.call_ids[i], &yes);
    assert_true(error == 0 || error == KAD_ENOTFOUND);
  }
}

static void set_policy(struct kad_lone *lone) {
  const struct kad_type types[] = {
      {.name = "value",
       .state = &run,
       .validate = answer_sometimes,
       .expire = answer_sometimes,
       .stored = answer_sometimes,
       .dropped = answer_sometimes},
      {.name = "song", .state = &run, .merge = merge, .select = merge},
  };
  const struct kad_method hello = {"hello", &run, answer_sometimes};
  const struct kad_policy policy = {
      .state = &run,
      .on_request = answer_sometimes,
      .on_contact = answer_sometimes,
      .types = types,
      .type_count = 2,
      .methods = &hello,
      .method_count = 1,
      .abandon = note_abandoned,
      .release = note_released,
  };
  int error = kad_node_set_policy(lone->node, &policy);
  assert_true(error == 0 || error == KAD_ENOMEM);
  run.accepted += error == 0;
}

/* Sends one query of each method from each contact. */
static void receive_all(struct kad_lone *lone, const char *type) {
  static const enum kad_method_id methods[] = {
      KAD_METHOD_PING, KAD_METHOD_FIND_NODE, KAD_METHOD_SAMPLE_INFOHASHES,
      KAD_METHOD_GET,  KAD_METHOD_GET_PEERS, KAD_METHOD_FIND_VALUE};
  for (unsigned i = 0; i < CONTACTS; i++) {
    uint8_t token[8];
    struct kad_message message;
    for (size_t j = 0; j < sizeof methods / sizeof *methods; j++) {
      kad_lone_query(lone, &contacts[i], methods[j]);
    }
    kad_lone_query_custom(lone, &contacts[i], "hello", "");
    /* The last token that was issued is for this contact. */
    struct kad_message reply;
    memset(token, 0, sizeof token);
    for (size_t back = 0; back < lone->sent && back < 16; back++) {
      (void)kad_lone_sent(lone, back, &reply);
      if (reply.kind == KAD_MESSAGE_REPLY && reply.token.len == 8) {
        memcpy(token, reply.token.data, 8);
        break;
      }
    }
    kad_lone_begin(&message, KAD_METHOD_STORE);
    message.target = kad_lone_target;
    message.type = kad_slice_of(type);
    message.token = (struct kad_slice){token, 8};
    message.record_count = 2;
    message.records[0] = (struct kad_record){.value = {&token[i % 4], 3}};
    message.records[1] = (struct kad_record){.value = {&token[i % 4], 4}};
    kad_lone_send(lone, &contacts[i], &message);
    message.method = KAD_METHOD_ANNOUNCE_PEER;
    message.has_port = true;
    message.port = 7000;
    kad_lone_send(lone, &contacts[i], &message);
  }
}

/* Sends a get of `item`, a put, and a get of what is held then, from the first
 * contact. */
static void receive_item(struct kad_lone *lone, const struct kad_record *item) {
  struct kad_message message;
  struct kad_message reply;
  uint8_t token[8] = {0};
  for (unsigned i = 0; i < 2; i++) {
    kad_lone_begin(&message, KAD_METHOD_GET);
    message.has_target = true;
    message.target = item->key;
    kad_lone_send(lone, &contacts[0], &message);
    if (lone->sent > 0) {
      (void)kad_lone_sent(lone, 0, &reply);
      memcpy(token, reply.token.data, reply.token.len == 8 ? 8 : 0);
    }
    kad_lone_begin(&message, KAD_METHOD_PUT);
    message.token = (struct kad_slice){token, 8};
    message.records[0] = *item;
    message.record_count = 1;
    message.has_cas = i == 1 && item->publisher != NULL;
    message.cas = item->seq;
    kad_lone_send(lone, &contacts[0], &message);
  }
}

/* Sends gets and puts of an immutable and of a mutable item. */
static void receive_items(struct kad_lone *lone) {
  static const uint8_t seed[32] = {6};
  uint8_t publisher[KAD_PUBLISHER_SIZE];
  uint8_t secret[KAD_SECRET_SIZE];
  uint8_t signature[KAD_SIGNATURE_SIZE];
  struct kad_record item = {.value = kad_slice_of("5:hello")};
  assert_ok(kad_item_target_immutable(item.value, &item.key));
  receive_item(lone, &item);
  kad_keypair(seed, publisher, secret);
  item.publisher = publisher;
  item.signature = signature;
  item.salt = kad_slice_of("salt");
  item.has_seq = true;
  item.seq = 3;
  assert_ok(kad_item_target_mutable(publisher, item.salt, &item.key));
  assert_ok(kad_item_sign(item.value, item.salt, 3, secret, signature));
  receive_item(lone, &item);
}

/* Sends a scrape and a sample of what is held. */
static void receive_survey(struct kad_lone *lone) {
  struct kad_message message;
  kad_lone_begin(&message, KAD_METHOD_GET_PEERS);
  message.has_target = true;
  message.target = kad_lone_target;
  message.scrape = true;
  message.noseed = true;
  kad_lone_send(lone, &contacts[1], &message);
  kad_lone_query(lone, &contacts[1], KAD_METHOD_SAMPLE_INFOHASHES);
}

static void count_start(int error) {
  assert_true(error == 0 || error == KAD_ENOMEM);
  run.started += error == 0;
}

/* Starts an operation of each kind. */
static void request_all(struct kad_lone *lone, const char *type) {
  struct kad_node *node = lone->node;
  const struct kad_record record = {.key = kad_lone_target,
                                    .type = kad_slice_of(type),
                                    .value = kad_slice_of("ours")};
  const struct kad_slice none = {NULL, 0};
  const struct kad_lookup_options scrape = {.scrape = true};
  const struct kad_custom_query custom = {.method = kad_slice_of("hello"),
                                          .args = kad_slice_of("d1:ai1ee")};
  count_start(
      kad_node_bootstrap(node, &contacts[0].address, 1, note_end, &run, NULL));
  count_start(kad_node_ping(node, &contacts[1].address, note_end, &run, NULL));
  count_start(kad_node_call(node, &contacts[2], kad_slice_of("hello"), none,
                            note_end, &run, NULL));
  count_start(
      kad_node_find_node(node, &record.key, NULL, note_end, &run, NULL));
  count_start(kad_node_put(node, &record, NULL, note_end, &run, NULL));
  count_start(
      kad_node_announce(node, &record.key, 7001, NULL, note_end, &run, NULL));
  kad_lone_run_answering(lone, 500, contacts, CONTACTS);
  answer_waiting(lone);
  count_start(
      kad_node_get(node, &record.key, record.type, NULL, note_end, &run, NULL));
  count_start(
      kad_node_get_peers(node, &record.key, &scrape, note_end, &run, NULL));
  count_start(
      kad_node_sample(node, &contacts[3], &record.key, note_end, &run, NULL));
  count_start(
      kad_node_query(node, &record.key, &custom, NULL, note_end, &run, NULL));
  kad_lone_run_answering(lone, 500, contacts, CONTACTS);
  answer_waiting(lone);
}

/* Starts a put and a get of a mutable item. */
static void request_item(struct kad_lone *lone) {
  static const uint8_t seed[32] = {4};
  uint8_t publisher[KAD_PUBLISHER_SIZE];
  uint8_t secret[KAD_SECRET_SIZE];
  uint8_t signature[KAD_SIGNATURE_SIZE];
  const struct kad_lookup_options options = {.has_cas = true, .cas = 1};
  struct kad_record item = {.type = kad_slice_of("mutable"),
                            .value = kad_slice_of("5:hello"),
                            .publisher = publisher,
                            .signature = signature,
                            .has_seq = true,
                            .seq = 2};
  kad_keypair(seed, publisher, secret);
  assert_ok(kad_item_target_mutable(publisher, item.salt, &item.key));
  assert_ok(kad_item_sign(item.value, item.salt, 2, secret, signature));
  count_start(kad_node_put(lone->node, &item, &options, note_end, &run, NULL));
  count_start(kad_node_get(lone->node, &item.key, item.type, NULL, note_end,
                           &run, NULL));
}

static void add_family(struct kad_lone *lone, unsigned family) {
  int error = kad_node_add_family(lone->node, family);
  assert_true(error == 0 || error == KAD_ENOMEM);
}

/* The life of a node. */
static void live(struct kad_lone *lone) {
  add_family(lone, 4);
  add_family(lone, 6);
  receive_all(lone, "value");
  kad_lone_run_answering(lone, 1000, contacts, CONTACTS);
  set_policy(lone);
  receive_all(lone, "value");
  answer_waiting(lone);
  receive_all(lone, "song");
  receive_items(lone);
  receive_survey(lone);
  request_all(lone, "value");
  request_all(lone, "song");
  request_item(lone);
  kad_lone_run_answering(lone, 30000, contacts, CONTACTS / 2);
  set_policy(lone);
  int error = kad_node_set_policy(lone->node, NULL);
  assert_true(error == 0 || error == KAD_ENOMEM);
}

static void ping_must_be_answered(struct kad_lone *lone) {
  const struct kad_contact reader = kad_lone_contact(900);
  const uint64_t served = kad_lone_stats(lone).served_ping;
  assert_ok(kad_node_set_policy(lone->node, NULL));
  kad_lone_query(lone, &reader, KAD_METHOD_PING);
  assert_int_equal(kad_lone_stats(lone).served_ping, served + 1);
}

/* Runs the life once. Allocation `n` fails. Returns false if none failed. */
static bool live_with_failure(struct kad_lone *lone, size_t n) {
  struct kad_config config;
  const struct kad_env env = kad_lone_env(lone, 1);
  run = (struct run){0};
  kad_config_default(&config);
  config.limits = false;
  kad_counting_fail_at(&lone->counting, n);
  int error = kad_node_new(&config, &env, &lone->node);
  if (error != 0) {
    assert_int_equal(error, KAD_ENOMEM);
    kad_counting_deinit(&lone->counting);
    return true;
  }
  live(lone);
  bool failed = lone->counting.has_failed;
  kad_counting_never_fail(&lone->counting);
  ping_must_be_answered(lone);
  kad_lone_close(lone);
  assert_int_equal(run.ended, run.started);
  assert_int_equal(run.released, run.accepted);
  return failed;
}

static void any_allocation_may_fail(void **state) {
  size_t n = 0;
  (void)state;
  for (unsigned i = 0; i < CONTACTS; i++) {
    contacts[i] = kad_lone_contact(1 + i);
  }
  while (live_with_failure(&lone_node, n)) {
    n++;
    assert_true(n < RUNS_MAX);
  }
  assert_true(n > 100);
}

/* Limits the bytes that are allocated at a time. */
static void memory_may_stay_limited(void **state) {
  (void)state;
  for (size_t limit = 4096; limit <= 262144; limit += limit / 8) {
    struct kad_config config;
    const struct kad_env env = kad_lone_env(&lone_node, 1);
    run = (struct run){0};
    kad_config_default(&config);
    config.limits = false;
    lone_node.counting.limit_bytes = limit;
    if (kad_node_new(&config, &env, &lone_node.node) == 0) {
      live(&lone_node);
      lone_node.counting.limit_bytes = SIZE_MAX;
      ping_must_be_answered(&lone_node);
      /* Pending calls end at their deadline. */
      kad_lone_run(&lone_node, 3000);
      assert_int_equal(kad_lone_stats(&lone_node).pending_hooks, 0);
    }
    kad_lone_close(&lone_node);
    assert_int_equal(run.ended, run.started);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(any_allocation_may_fail),
      cmocka_unit_test(memory_may_stay_limited),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
