/* Work for other nodes waits for its turn, and cheap queries do not wait for
 * it. Tests core/rpc/turn.c, core/node/serve.c, core/replication/admission.c.
 */
#include "rpc/turn.h"

#include "lone_node.h"
#include "unit.h"

#include <string.h>

enum {
  SENDERS = 7,
  COUNT = 8,   /* signed records of a store */
  LONG = 10000 /* µs: each turn has taken too long at once */
};

static struct kad_lone lone_node;

/* Of the contacts from 1: a query for a token would wait. */
static struct {
  uint8_t bytes[KAD_TOKEN_MAX];
  size_t len;
} tokens[SENDERS + 1];

static void get_tokens(struct kad_lone *lone) {
  for (unsigned number = 1; number <= SENDERS; number++) {
    const struct kad_contact from = kad_lone_contact(number);
    tokens[number].len = kad_lone_token(lone, &from, tokens[number].bytes);
  }
}

static int begin(void **state) {
  kad_lone_open(&lone_node, NULL);
  get_tokens(&lone_node);
  *state = &lone_node;
  return 0;
}

static int end(void **state) {
  kad_lone_close(*state);
  return 0;
}

/* Runs one turn. */
static void turn(struct kad_lone *lone) {
  assert_true(kad_node_deadline(lone->node) <= lone->now);
  kad_node_tick(lone->node);
}

/* Returns the number of turns until nothing waits. */
static unsigned run_turns(struct kad_lone *lone) {
  unsigned turns = 0;
  for (; kad_lone_stats(lone).backlog > 0; turns++) {
    turn(lone);
  }
  return turns;
}

static void read_value(struct kad_lone *lone, unsigned number) {
  const struct kad_contact from = kad_lone_contact(number);
  kad_lone_query(lone, &from, KAD_METHOD_FIND_VALUE);
}

static uint64_t served(const struct kad_lone *lone) {
  return kad_lone_stats(lone).served_find_value;
}

/* Stores COUNT signed values; the signature at `bad` is wrong. */
static void store_signed(struct kad_lone *lone, unsigned number, size_t bad) {
  const struct kad_contact from = kad_lone_contact(number);
  struct kad_message message;
  uint8_t publisher[COUNT][KAD_PUBLISHER_SIZE];
  uint8_t signature[COUNT][KAD_SIGNATURE_SIZE];
  kad_lone_begin(&message, KAD_METHOD_STORE);
  message.has_target = true;
  message.target = kad_lone_target;
  message.type = kad_slice_of("value");
  message.token = (struct kad_slice){tokens[number].bytes, tokens[number].len};
  message.record_count = COUNT;
  for (size_t i = 0; i < COUNT; i++) {
    struct kad_record *record = &message.records[i];
    const uint8_t seed[32] = {(uint8_t)i, (uint8_t)number};
    uint8_t secret[KAD_SECRET_SIZE];
    kad_keypair(seed, publisher[i], secret);
    *record = (struct kad_record){
        .key = kad_lone_target,
        .type = kad_slice_of("value"),
        .value = kad_slice_of("v"),
        .publisher = publisher[i],
        .has_seq = true,
        .seq = 1,
    };
    assert_ok(kad_record_sign(record, 160, secret, signature[i]));
    signature[i][0] ^= i == bad;
    record->signature = signature[i];
  }
  kad_lone_send(lone, &from, &message);
}

static void short_turns_serve_at_once(void **state) {
  struct kad_lone *lone = *state;
  const size_t requests = lone->counting.requests;
  lone->turn_us = 1;
  for (unsigned i = 1; i <= 100; i++) {
    read_value(lone, 1);
    assert_int_equal(served(lone), i);
  }
  assert_int_equal(kad_lone_stats(lone).queued, 0);
  assert_in_range(lone->counting.requests, requests, requests + 5);
}

static void work_waits_when_a_turn_takes_long(void **state) {
  struct kad_lone *lone = *state;
  lone->turn_us = LONG;
  read_value(lone, 1);
  read_value(lone, 1);
  assert_int_equal(served(lone), 0);
  assert_int_equal(kad_lone_stats(lone).queued, 2);
  assert_int_equal(kad_lone_stats(lone).backlog, 2);

  turn(lone);
  assert_int_equal(served(lone), 1);
  turn(lone);
  assert_int_equal(served(lone), 2);
  assert_int_equal(kad_lone_stats(lone).backlog, 0);
}

/* What arrives later does not overtake what waits. */
static void work_waits_while_other_work_waits(void **state) {
  struct kad_lone *lone = *state;
  lone->turn_us = LONG;
  read_value(lone, 1);
  lone->turn_us = 0;
  read_value(lone, 2);
  assert_int_equal(served(lone), 0);

  turn(lone);
  assert_int_equal(served(lone), 2);
  read_value(lone, 3);
  assert_int_equal(served(lone), 3);
}

static void pings_do_not_wait(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact honest = kad_lone_contact(2);
  lone->turn_us = LONG;
  for (unsigned i = 0; i < 400; i++) {
    read_value(lone, 1);
  }
  for (unsigned i = 1; i <= 400; i++) {
    kad_lone_query(lone, &honest, KAD_METHOD_PING);
    kad_lone_query(lone, &honest, KAD_METHOD_FIND_NODE);
    assert_int_equal(kad_lone_stats(lone).served_ping, i);
    assert_int_equal(kad_lone_stats(lone).served_find_node, i);
    turn(lone);
    assert_int_equal(served(lone), i);
  }
  assert_int_equal(kad_lone_stats(lone).backlog, 0);
}

/* A burst of 400 leaves another sender's query waiting for two turns. */
static void senders_take_turns(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact honest = kad_lone_contact(2);
  struct kad_message reply;
  lone->turn_us = LONG;
  for (unsigned i = 0; i < 400; i++) {
    read_value(lone, 1);
  }
  read_value(lone, 2);
  turn(lone);
  turn(lone);

  assert_int_equal(served(lone), 2);
  assert_true(
      kad_address_equal(&kad_lone_reply(lone, &reply)->to, &honest.address));
}

static void full_backlog_gives_error_202(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact other = kad_lone_contact(2);
  lone->turn_us = LONG;
  for (unsigned i = 0; i < KAD_BACKLOG_MAX; i++) {
    read_value(lone, 1);
  }
  assert_int_equal(kad_lone_stats(lone).refused, 0);

  read_value(lone, 1);
  assert_int_equal(kad_lone_error(lone), KAD_CODE_FAILED);
  assert_int_equal(kad_lone_stats(lone).busy, 1);
  assert_int_equal(kad_lone_stats(lone).queued, KAD_BACKLOG_MAX);
  assert_int_equal(kad_lone_stats(lone).backlog, KAD_BACKLOG_MAX);

  /* Another sender takes the place of one of them. */
  kad_lone_query(lone, &other, KAD_METHOD_GET_PEERS);
  assert_int_equal(kad_lone_error(lone), KAD_CODE_FAILED);
  assert_int_equal(kad_lone_stats(lone).busy, 2);
  turn(lone);
  turn(lone);
  assert_int_equal(kad_lone_stats(lone).served_get_peers, SENDERS + 1);
  (void)run_turns(lone);
  assert_int_equal(served(lone), KAD_BACKLOG_MAX - 1);
}

static void turn_verifies_one_signature_when_it_is_long(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact honest = kad_lone_contact(2);
  struct kad_message reply;

  lone->turn_us = LONG / 100; /* new work does not wait */
  store_signed(lone, 1, COUNT);
  for (unsigned i = 1; i <= COUNT; i++) {
    kad_lone_query(lone, &honest, KAD_METHOD_PING);
    (void)kad_lone_reply(lone, &reply);
    assert_int_equal(reply.kind, KAD_MESSAGE_REPLY);
    assert_false(reply.has_stored);
    turn(lone);
    assert_int_equal(kad_lone_stats(lone).signatures, i);
  }
  (void)kad_lone_reply(lone, &reply);
  assert_int_equal(reply.stored, COUNT);
  assert_int_equal(kad_lone_stats(lone).backlog, 0);
}

/* Signatures of two senders are verified in turns. */
static void long_stores_take_turns(void **state) {
  struct kad_lone *lone = *state;
  lone->turn_us = LONG / 100;
  store_signed(lone, 1, COUNT);
  store_signed(lone, 2, COUNT);
  for (unsigned i = 0; i < 2 * COUNT - 1; i++) {
    turn(lone);
  }
  assert_int_equal(kad_lone_stats(lone).signatures, 2 * COUNT - 1);
  assert_int_equal(kad_lone_stats(lone).served_store, 1);
  turn(lone);
  assert_int_equal(kad_lone_stats(lone).served_store, 2);
}

static void bad_signature_in_a_later_turn_ends_its_store(void **state) {
  struct kad_lone *lone = *state;
  struct kad_message reply;
  lone->turn_us = LONG / 100;
  store_signed(lone, 1, 3);
  assert_int_equal(run_turns(lone), 4);

  (void)kad_lone_reply(lone, &reply);
  assert_int_equal(reply.stored, 3);
  assert_int_equal(reply.error_count, COUNT - 3);
  assert_int_equal(kad_lone_stats(lone).signatures, 4);
  assert_int_equal(kad_lone_stats(lone).bad_signature, 1);
}

/* The token is checked first: without one no signature is verified. */
static void store_without_a_token_does_not_wait(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact loud = kad_lone_contact(1);
  uint8_t zeros[KAD_SIGNATURE_SIZE] = {0};
  struct kad_message message;
  kad_lone_begin(&message, KAD_METHOD_STORE);
  message.has_target = true;
  message.target = kad_lone_target;
  message.type = kad_slice_of("value");
  message.token = kad_slice_of("12345678");
  message.record_count = 1;
  message.records[0] = (struct kad_record){
      .value = kad_slice_of("v"), .publisher = zeros, .signature = zeros};
  lone->turn_us = LONG / 100;
  kad_lone_send(lone, &loud, &message);
  assert_int_equal(kad_lone_error(lone), KAD_CODE_PROTOCOL);
  assert_int_equal(kad_lone_stats(lone).signatures, 0);
  assert_int_equal(kad_lone_stats(lone).backlog, 0);
}

static void work_is_served_at_once_without_memory(void **state) {
  struct kad_lone *lone = *state;
  lone->turn_us = LONG;
  kad_counting_fail_at(&lone->counting, 0);
  read_value(lone, 1);
  kad_counting_never_fail(&lone->counting);
  assert_int_equal(served(lone), 1);
  assert_int_equal(kad_lone_stats(lone).queued, 0);

  for (size_t n = 1; kad_lone_stats(lone).queued == 0; n++) {
    kad_counting_fail_at(&lone->counting, n);
    read_value(lone, 1);
    kad_counting_never_fail(&lone->counting);
  }
  (void)run_turns(lone);
}

static void node_is_freed_while_work_waits(void **state) {
  struct kad_lone *lone = *state;
  lone->turn_us = LONG / 100;
  store_signed(lone, 1, COUNT);
  store_signed(lone, 2, COUNT);
  read_value(lone, 3);
  const size_t sent = lone->sent;
  assert_int_equal(kad_lone_stats(lone).backlog, 3);
  kad_node_free(lone->node);
  lone->node = NULL;
  assert_int_equal(lone->sent, sent);
}

/* A policy that is busy for a number of questions. */
struct busy {
  unsigned left;
  unsigned asked;
};

static bool is_busy(void *state) {
  struct busy *busy = state;
  busy->asked++;
  busy->left -= busy->left > 0;
  return busy->left > 0;
}

static void set_busy(struct kad_lone *lone, struct busy *busy) {
  const struct kad_policy policy = {.state = busy, .is_busy = is_busy};
  assert_ok(kad_node_set_policy(lone->node, &policy));
}

static void work_waits_while_the_policy_is_busy(void **state) {
  struct kad_lone *lone = *state;
  struct busy busy = {.left = 3};
  const struct kad_contact honest = kad_lone_contact(2);
  set_busy(lone, &busy);
  read_value(lone, 1);
  assert_int_equal(served(lone), 0);
  turn(lone);
  assert_int_equal(served(lone), 0);
  kad_lone_query(lone, &honest, KAD_METHOD_PING);
  assert_int_equal(kad_lone_stats(lone).served_ping, 1);
  turn(lone);
  assert_int_equal(served(lone), 1);
}

static void busy_policy_puts_work_off_for_a_few_turns(void **state) {
  struct kad_lone *lone = *state;
  struct busy busy = {.left = UINT32_MAX};
  set_busy(lone, &busy);
  for (unsigned i = 0; i < 3; i++) {
    read_value(lone, 1);
  }
  for (unsigned i = 0; i < 15; i++) {
    assert_int_equal(served(lone), i / 5);
    turn(lone);
  }
  assert_int_equal(served(lone), 3);
}

/* Where turns take no time, a trace does not depend on what a script uses. */
static void busy_policy_is_not_asked_where_turns_take_no_time(void **state) {
  struct kad_lone *lone = *state;
  struct busy busy = {.left = UINT32_MAX};
  kad_node_free(lone->node);
  struct kad_env env = kad_lone_env(lone, 1);
  struct kad_config config;
  env.turn_us = NULL;
  kad_config_default(&config);
  assert_ok(kad_node_new(&config, &env, &lone->node));
  assert_ok(kad_node_add_family(lone->node, 4));
  set_busy(lone, &busy);
  read_value(lone, 1);
  assert_int_equal(served(lone), 1);
  assert_int_equal(busy.asked, 0);
}

static uint64_t trace_of_a_flood(struct kad_lone *lone) {
  get_tokens(lone);
  lone->turn_us = LONG;
  for (unsigned i = 0; i < 300; i++) {
    const unsigned number = 1 + i * i % SENDERS;
    if (i % 13 == 0) {
      store_signed(lone, number, i % 10);
    } else {
      read_value(lone, number);
    }
    if (i % 5 == 0 && kad_lone_stats(lone).backlog > 0) {
      turn(lone);
    }
  }
  (void)run_turns(lone);
  return lone->trace;
}

static void same_arrivals_have_the_same_order(void **state) {
  struct kad_lone *lone = *state;
  uint64_t traces[2];
  for (size_t i = 0; i < 2; i++) {
    kad_lone_close(lone);
    kad_lone_open(lone, NULL);
    traces[i] = trace_of_a_flood(lone);
    assert_true(kad_lone_stats(lone).queued > 200);
    assert_true(kad_lone_stats(lone).signatures > 20);
  }
  assert_true(traces[0] == traces[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(short_turns_serve_at_once),
      TEST(work_waits_when_a_turn_takes_long),
      TEST(work_waits_while_other_work_waits),
      TEST(pings_do_not_wait),
      TEST(senders_take_turns),
      TEST(full_backlog_gives_error_202),
      TEST(turn_verifies_one_signature_when_it_is_long),
      TEST(long_stores_take_turns),
      TEST(bad_signature_in_a_later_turn_ends_its_store),
      TEST(store_without_a_token_does_not_wait),
      TEST(work_is_served_at_once_without_memory),
      TEST(node_is_freed_while_work_waits),
      TEST(work_waits_while_the_policy_is_busy),
      TEST(busy_policy_puts_work_off_for_a_few_turns),
      TEST(busy_policy_is_not_asked_where_turns_take_no_time),
      TEST(same_arrivals_have_the_same_order),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
