/* How long records live.
 *
 * Tests core/replication/admission.c, core/replication/republish.c. */
#include "lone_node.h"
#include "unit.h"

#include <string.h>

enum {
  SECOND_MS = 1000,
  MINUTE_MS = 60 * SECOND_MS,
  MANY = 300,
  DAY_S = 86400
};

static struct kad_lone lone;
static unsigned dropped_count;
static uint32_t last_age;
static unsigned char last_dropped;
static enum kad_verdict verdict;
static uint32_t life_s;

static int open_node(void **state) {
  const struct kad_config config = kad_lone_unlimited();
  (void)state;
  kad_lone_open(&lone, &config);
  dropped_count = 0;
  return 0;
}

static int close_node(void **state) {
  (void)state;
  kad_lone_close(&lone);
  return 0;
}

static void dropped(void *state, const struct kad_hook_call *call,
                    struct kad_hook_result *answer) {
  (void)state;
  (void)answer;
  assert_int_equal(call->reason, KAD_REASON_EXPIRE);
  assert_int_equal(call->record->ttl, 0);
  dropped_count++;
  last_dropped = call->record->value.data[0];
  last_age = call->record->age;
}

static void expire(void *state, const struct kad_hook_call *call,
                   struct kad_hook_result *answer) {
  (void)state;
  (void)call;
  answer->verdict = verdict;
  answer->seconds = life_s;
}

static void set_type(struct kad_type type) {
  type.name = "value";
  const struct kad_policy policy = {.types = &type, .type_count = 1};
  assert_ok(kad_node_set_policy(lone.node, &policy));
}

static void store(unsigned number, uint8_t value, uint32_t ttl) {
  const struct kad_contact from = kad_lone_contact(number);
  const struct kad_record record = {.value = {&value, 1}, .ttl = ttl};
  kad_lone_store(&lone, &from, &record, 1);
}

/* Fails unless what is held expires after `seconds`, to the second. */
static void assert_lives(uint32_t seconds) {
  kad_lone_run(&lone, (kad_time_ms)seconds * SECOND_MS - 1);
  assert_int_equal(kad_lone_records(&lone), 1);
  kad_lone_run(&lone, 1);
  assert_int_equal(kad_lone_records(&lone), 0);
  assert_int_equal(kad_lone_stats(&lone).expired, 1);
}

static void value_lives_for_a_day(void **state) {
  (void)state;
  store(1, 'a', 0);
  assert_lives(DAY_S);
}

static void type_sets_the_life_of_its_records(void **state) {
  (void)state;
  set_type((struct kad_type){.ttl = 90});
  store(1, 'a', 0);
  assert_lives(90);
}

static void record_may_have_a_shorter_ttl(void **state) {
  (void)state;
  store(1, 'a', 10);
  assert_lives(10);
}

static void record_may_not_have_a_longer_ttl(void **state) {
  (void)state;
  set_type((struct kad_type){.ttl = 90});
  store(1, 'a', 5000);
  assert_lives(90);
}

static void expire_hook_sets_the_life(void **state) {
  (void)state;
  set_type((struct kad_type){.ttl = 90, .expire = expire});
  verdict = KAD_VERDICT_ACCEPT;
  life_s = 300;
  store(1, 'a', 0);
  assert_lives(300);
}

static void life_of_zero_is_a_second(void **state) {
  (void)state;
  set_type((struct kad_type){.expire = expire});
  verdict = KAD_VERDICT_ACCEPT;
  life_s = 0;
  store(1, 'a', 0);
  assert_lives(1);
}

static void life_is_bounded(void **state) {
  (void)state;
  set_type((struct kad_type){.expire = expire, .republish = UINT32_MAX});
  verdict = KAD_VERDICT_ACCEPT;
  life_s = UINT32_MAX;
  store(1, 'a', 0);
  assert_lives(30 * DAY_S);
}

static void failing_hook_leaves_the_life_of_the_type(void **state) {
  (void)state;
  set_type((struct kad_type){.ttl = 90, .expire = expire});
  verdict = KAD_VERDICT_FAILED;
  life_s = 7;
  store(1, 'a', 0);
  assert_lives(90);
}

static void store_of_the_same_value_prolongs_the_life(void **state) {
  (void)state;
  set_type((struct kad_type){.ttl = 90});
  store(1, 'a', 0);
  kad_lone_run(&lone, 60 * SECOND_MS);
  store(2, 'a', 0);
  assert_lives(90);
}

static void dropped_hook_is_called(void **state) {
  (void)state;
  set_type((struct kad_type){.ttl = 90, .dropped = dropped});
  store(1, 'a', 0);
  store(2, 'b', 20);

  kad_lone_run(&lone, 30 * SECOND_MS);
  assert_int_equal(dropped_count, 1);
  assert_int_equal(last_dropped, 'b');
  assert_int_equal(last_age, 20);

  kad_lone_run(&lone, MINUTE_MS);
  assert_int_equal(dropped_count, 2);
  assert_int_equal(last_dropped, 'a');
}

/* The hook stores the record again while records expire. */
static void store_again(void *state, const struct kad_hook_call *call,
                        struct kad_hook_result *answer) {
  const struct kad_record record = {.key = call->record->key,
                                    .type = kad_slice_of("value"),
                                    .value = kad_slice_of("again")};
  (void)state;
  (void)answer;
  if (dropped_count++ == 0) {
    assert_ok(kad_node_put(call->node, &record, NULL, NULL, NULL, NULL));
  }
}

static void dropped_hook_may_store(void **state) {
  (void)state;
  set_type((struct kad_type){.ttl = 90, .dropped = store_again});
  store(1, 'a', 0);

  kad_lone_run(&lone, 100 * SECOND_MS);

  assert_int_equal(dropped_count, 1);
  assert_int_equal(kad_lone_records(&lone), 1);
  kad_lone_run(&lone, 90 * SECOND_MS);
  assert_int_equal(kad_lone_records(&lone), 0);
}

static void store_many(void) {
  set_type(
      (struct kad_type){.ttl = 90, .dropped = dropped, .max_values = MANY});
  for (unsigned i = 0; i < MANY; i++) {
    const struct kad_contact from = kad_lone_contact(1 + i);
    const uint8_t value[] = {(uint8_t)i, (uint8_t)(i >> 8)};
    const struct kad_record record = {.value = {value, sizeof value}};
    kad_lone_store(&lone, &from, &record, 1);
  }
  assert_int_equal(kad_lone_records(&lone), MANY);
}

static void many_records_expire_at_once(void **state) {
  (void)state;
  store_many();

  kad_lone_run(&lone, 90 * SECOND_MS);

  assert_int_equal(kad_lone_records(&lone), 0);
  assert_int_equal(dropped_count, MANY);
}

/* After a suspend, more records are overdue than are dropped at a time. */
static void backlog_does_not_delay_other_work(void **state) {
  (void)state;
  const struct kad_contact other = kad_lone_contact(MANY + 1);
  struct kad_message query;
  store_many();
  lone.now += 3600 * SECOND_MS;
  assert_ok(kad_node_ping(lone.node, &other.address, NULL, NULL, NULL));

  kad_node_tick(lone.node);
  kad_node_tick(lone.node);

  assert_true(kad_lone_records(&lone) > 0);
  assert_true(kad_lone_find_query(&lone, &other.address, &query));
}

static void peers_live_for_45_minutes(void **state) {
  (void)state;
  const struct kad_contact from = kad_lone_contact(1);
  uint8_t token[KAD_TOKEN_MAX];
  struct kad_message message;
  kad_lone_begin(&message, KAD_METHOD_ANNOUNCE_PEER);
  message.has_target = true;
  message.target = kad_lone_target;
  message.token.len = kad_lone_token(&lone, &from, token);
  message.token.data = token;
  message.has_port = true;
  message.port = 5;
  kad_lone_send(&lone, &from, &message);
  assert_lives(2700);
}

#define WITH_NODE(test) \
  cmocka_unit_test_setup_teardown(test, open_node, close_node)

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_NODE(value_lives_for_a_day),
      WITH_NODE(type_sets_the_life_of_its_records),
      WITH_NODE(record_may_have_a_shorter_ttl),
      WITH_NODE(record_may_not_have_a_longer_ttl),
      WITH_NODE(expire_hook_sets_the_life),
      WITH_NODE(life_of_zero_is_a_second),
      WITH_NODE(life_is_bounded),
      WITH_NODE(failing_hook_leaves_the_life_of_the_type),
      WITH_NODE(store_of_the_same_value_prolongs_the_life),
      WITH_NODE(dropped_hook_is_called),
      WITH_NODE(dropped_hook_may_store),
      WITH_NODE(many_records_expire_at_once),
      WITH_NODE(backlog_does_not_delay_other_work),
      WITH_NODE(peers_live_for_45_minutes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
