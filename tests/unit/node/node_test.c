#include "engine/node.h"

#include "lone_node.h"
#include "unit.h"

#include <string.h>

enum {
  MINUTE_MS = 60000
};

static struct kad_lone lone_node;

static int begin(void **state) {
  kad_lone_open(&lone_node, NULL);
  *state = &lone_node;
  return 0;
}

static int end(void **state) {
  kad_lone_close(*state);
  return 0;
}

/* Opens the node again with `config`. */
static void reopen(struct kad_lone *lone, const struct kad_config *config) {
  kad_lone_close(lone);
  kad_lone_open(lone, config);
}

/* ------------------------------------------------------- configuration -- */

/* Fails unless a node with `config` is refused. */
static void assert_refused(const struct kad_config *config) {
  static struct kad_lone other;
  const struct kad_env env = kad_lone_env(&other, 1);
  struct kad_node *node = NULL;
  assert_int_equal(kad_node_new(config, &env, &node), KAD_EINVAL);
  assert_null(node);
  assert_int_equal(other.counting.requests, 0);
}

static void option_out_of_range_is_refused(void **state) {
  (void)state;
#define CHECK_FIELD(field, value) \
  do {                            \
    struct kad_config config;     \
    kad_config_default(&config);  \
    config.field = (value);       \
    assert_refused(&config);      \
  } while (0)
  CHECK_FIELD(id_bits, 0);
  CHECK_FIELD(id_bits, 128);
  CHECK_FIELD(k, 0);
  CHECK_FIELD(k, KAD_K_MAX + 1);
  CHECK_FIELD(alpha, 0);
  CHECK_FIELD(alpha, 33);
  CHECK_FIELD(beta, 0);
  CHECK_FIELD(beta, 33);
  CHECK_FIELD(far_contacts, 129);
  CHECK_FIELD(paths, 0);
  CHECK_FIELD(paths, 17);
  CHECK_FIELD(lookup_ms, 0);
  CHECK_FIELD(query_ms, 0);
  CHECK_FIELD(query_ms, 60001);
  CHECK_FIELD(refresh_s, 0);
  CHECK_FIELD(ping_s, 0);
  CHECK_FIELD(token_s, 0);
  CHECK_FIELD(max_reply, 511);
  CHECK_FIELD(max_reply, 8973);
  CHECK_FIELD(max_lookups, 0);
  CHECK_FIELD(queries_per_s, 0);
  CHECK_FIELD(queries_per_s_address, 0);
  CHECK_FIELD(queries_per_s_subnet, 0);
  CHECK_FIELD(signatures_per_s, 0);
  CHECK_FIELD(signatures_per_s_address, 0);
  CHECK_FIELD(signatures_per_s_subnet, 0);
  CHECK_FIELD(bytes_per_s, 0);
#undef CHECK_FIELD
}

static void ends_of_ranges_are_accepted(void **state) {
  struct kad_lone *lone = *state;
  struct kad_config config;
  kad_config_default(&config);
  config.k = KAD_K_MAX;
  config.alpha = 32;
  config.query_ms = 60000;
  config.max_reply = 1452;
  reopen(lone, &config);
  config.k = 1;
  config.alpha = 1;
  config.query_ms = 1;
  config.max_reply = 512;
  reopen(lone, &config);
}

static void incomplete_environment_is_refused(void **state) {
  static struct kad_lone other;
  struct kad_config config;
  struct kad_node *node = NULL;
  struct kad_env envs[5];
  (void)state;
  kad_config_default(&config);
  for (size_t i = 0; i < 5; i++) {
    envs[i] = kad_lone_env(&other, 1);
  }
  envs[0].now = NULL;
  envs[1].wall_clock = NULL;
  envs[2].random = NULL;
  envs[3].send = NULL;
  envs[4].allocator.resize = NULL;
  for (size_t i = 0; i < 5; i++) {
    assert_int_equal(kad_node_new(&config, &envs[i], &node), KAD_EINVAL);
  }
  assert_int_equal(kad_node_new(NULL, &envs[0], &node), KAD_EINVAL);
  assert_int_equal(kad_node_new(&config, NULL, &node), KAD_EINVAL);
}

static void only_two_families_can_be_added(void **state) {
  struct kad_lone *lone = *state;
  assert_int_equal(kad_node_add_family(lone->node, 0), KAD_EINVAL);
  assert_int_equal(kad_node_add_family(lone->node, 5), KAD_EINVAL);
  assert_ok(kad_node_add_family(lone->node, 4));
  assert_ok(kad_node_add_family(lone->node, 6));
}

static void id_is_random_unless_configured(void **state) {
  struct kad_lone *lone = *state;
  struct kad_config config;
  struct kad_id zero = {{0}};
  kad_config_default(&config);
  assert_false(kad_id_equal(kad_node_id(lone->node), &zero));
  assert_true(kad_node_config(lone->node)->has_id);
  config.has_id = true;
  memset(config.id.bytes, 7, sizeof config.id.bytes);
  reopen(lone, &config);
  struct kad_id expected = config.id;
  memset(expected.bytes + 20, 0, 12); /* after its 160 bits */
  assert_true(kad_id_equal(kad_node_id(lone->node), &expected));
}

static void freeing_nothing_does_nothing(void **state) {
  (void)state;
  kad_node_free(NULL);
}

/* --------------------------------------------------------- determinism -- */

static void refuse_some(void *state, const struct kad_hook_call *call,
                        struct kad_hook_result *answer) {
  (void)state;
  answer->verdict =
      call->call_id % 3 == 0 ? KAD_VERDICT_PENDING : KAD_VERDICT_ACCEPT;
}

/* Runs a node for an hour with queries of others, and returns a hash of its
 * datagrams. */
static uint64_t run_hour(struct kad_lone *lone, uint64_t seed) {
  static struct kad_contact contacts[40];
  const struct kad_policy policy = {.on_request = refuse_some};
  const struct kad_record record = {.key = kad_lone_target,
                                    .type = kad_slice_of("value"),
                                    .value = kad_slice_of("v")};
  struct kad_config config;
  kad_config_default(&config);
  kad_lone_close(lone);
  const struct kad_env env = kad_lone_env(lone, seed);
  assert_ok(kad_node_new(&config, &env, &lone->node));
  assert_ok(kad_node_add_family(lone->node, 4));
  assert_ok(kad_node_set_policy(lone->node, &policy));
  for (unsigned i = 0; i < 40; i++) {
    contacts[i] = kad_lone_contact(1 + i);
    kad_lone_query(lone, &contacts[i], KAD_METHOD_PING);
    kad_lone_run_answering(lone, MINUTE_MS, contacts, 30);
  }
  assert_ok(kad_node_put(lone->node, &record, NULL, NULL, NULL, NULL));
  kad_lone_run_answering(lone, 60 * MINUTE_MS, contacts, 30);
  assert_true(lone->sent > 100);
  return lone->trace;
}

static void same_seed_and_inputs_give_the_same_bytes(void **state) {
  struct kad_lone *lone = *state;
  const uint64_t first = run_hour(lone, 11);
  const size_t sent = lone->sent;
  assert_true(run_hour(lone, 11) == first);
  assert_int_equal(lone->sent, sent);
  assert_true(run_hour(lone, 12) != first);
}

/* ---------------------------------------------------------- read-only -- */

static void read_only_node_sends_queries_and_no_replies(void **state) {
  struct kad_lone *lone = *state;
  struct kad_config config;
  const struct kad_contact contact = kad_lone_contact(1);
  struct kad_message query;
  kad_config_default(&config);
  config.read_only = true;
  reopen(lone, &config);
  kad_lone_query(lone, &contact, KAD_METHOD_PING);
  kad_lone_query_custom(lone, &contact, "hello", "");
  kad_lone_receive(lone, &contact, kad_slice_of("d1:t1:a1:y1:qe"));
  assert_int_equal(lone->sent, 0);
  assert_int_equal(kad_lone_stats(lone).dropped_read_only, 2);

  assert_ok(kad_node_ping(lone->node, &contact.address, NULL, NULL, NULL));
  kad_node_tick(lone->node);

  assert_true(kad_lone_find_query(lone, &contact.address, &query));
  assert_true(query.read_only);
  kad_lone_answer(lone, &contact, &query);
  assert_true(kad_lone_knows(lone, &contact));
}

static void other_node_does_not_set_read_only(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact contact = kad_lone_contact(1);
  struct kad_message query;
  kad_lone_query(lone, &contact, KAD_METHOD_PING);
  assert_true(kad_lone_find_query(lone, &contact.address, &query));
  assert_false(query.read_only);
}

/* -------------------------------------------------------------- lifetime -- */

/* Sends a find_node for the id of `contact`. */
static void find_node(struct kad_lone *lone, const struct kad_contact *contact,
                      struct kad_message *reply) {
  const struct kad_contact reader = kad_lone_contact(900);
  struct kad_message message;
  kad_lone_begin(&message, KAD_METHOD_FIND_NODE);
  message.target = contact->id;
  message.read_only = true;
  kad_lone_send(lone, &reader, &message);
  (void)kad_lone_reply(lone, reply);
}

static void dead_contact_is_not_in_replies_after_15_minutes(void **state) {
  struct kad_lone *lone = *state;
  struct kad_contact contacts[12];
  struct kad_message reply;
  for (unsigned i = 0; i < 12; i++) {
    contacts[i] = kad_lone_contact(1 + i);
    kad_lone_add_contact(lone, &contacts[i]);
  }
  find_node(lone, &contacts[0], &reply);
  assert_true(kad_lone_message_has(&reply, &contacts[0]));

  kad_lone_run_answering(lone, 15 * MINUTE_MS, contacts + 1, 11);

  find_node(lone, &contacts[0], &reply);
  assert_false(kad_lone_message_has(&reply, &contacts[0]));
  for (unsigned i = 1; i < 12; i++) {
    if (kad_lone_knows(lone, &contacts[i])) {
      find_node(lone, &contacts[i], &reply);
      assert_true(kad_lone_message_has(&reply, &contacts[i]));
    }
  }
  assert_int_equal(kad_node_state(lone->node), KAD_STATE_HEALTHY);
}

static void dead_contact_leaves_the_table(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact contacts[] = {kad_lone_contact(1),
                                         kad_lone_contact(2)};
  kad_lone_add_contact(lone, &contacts[0]);
  kad_lone_add_contact(lone, &contacts[1]);
  kad_lone_run_answering(lone, 60 * MINUTE_MS, &contacts[1], 1);
  assert_false(kad_lone_knows(lone, &contacts[0]));
  assert_true(kad_lone_knows(lone, &contacts[1]));
}

static void live_contacts_stay_for_a_day(void **state) {
  struct kad_lone *lone = *state;
  struct kad_contact contacts[8];
  for (unsigned i = 0; i < 8; i++) {
    contacts[i] = kad_lone_contact(1 + i);
    kad_lone_add_contact(lone, &contacts[i]);
  }
  const uint64_t count = kad_lone_stats(lone).contacts;
  kad_lone_run_answering(lone, 24 * 60 * MINUTE_MS, contacts, 8);
  assert_int_equal(kad_lone_stats(lone).contacts, count);
  assert_int_equal(kad_lone_stats(lone).contacts_good, count);
  assert_int_equal(kad_lone_stats(lone).timeouts, 0);
}

/* --------------------------------------------------------------- states -- */

static void state_follows_the_contacts(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact contact = kad_lone_contact(1);
  assert_int_equal(kad_node_state(lone->node), KAD_STATE_NEW);
  assert_ok(
      kad_node_bootstrap(lone->node, &contact.address, 1, NULL, NULL, NULL));
  assert_int_equal(kad_node_state(lone->node), KAD_STATE_JOINING);
  kad_lone_run_answering(lone, 1000, &contact, 1);
  assert_int_equal(kad_node_state(lone->node), KAD_STATE_HEALTHY);
  kad_lone_run(lone, 60 * MINUTE_MS);
  assert_int_equal(kad_node_state(lone->node), KAD_STATE_ISOLATED);
  kad_lone_run_answering(lone, 60 * MINUTE_MS, &contact, 1);
  assert_int_equal(kad_node_state(lone->node), KAD_STATE_HEALTHY);
}

static void states_have_names(void **state) {
  (void)state;
  assert_string_equal(kad_state_name(KAD_STATE_NEW), "new");
  assert_string_equal(kad_state_name(KAD_STATE_JOINING), "joining");
  assert_string_equal(kad_state_name(KAD_STATE_HEALTHY), "healthy");
  assert_string_equal(kad_state_name(KAD_STATE_DEGRADED), "degraded");
  assert_string_equal(kad_state_name(KAD_STATE_ISOLATED), "isolated");
}

static void contacts_are_listed_with_their_details(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact contact = kad_lone_contact(1);
  struct kad_contact_info info[2];
  struct kad_message query;
  kad_lone_query(lone, &contact, KAD_METHOD_PING);
  assert_true(kad_lone_find_query(lone, &contact.address, &query));
  kad_lone_run(lone, 70);
  kad_lone_answer(lone, &contact, &query);

  assert_int_equal(kad_node_contacts(lone->node, info, 2), 1);

  assert_true(kad_id_equal(&info[0].contact.id, &contact.id));
  assert_int_equal(info[0].rtt_ms, 70);
  assert_int_equal(info[0].failures, 0);
  assert_true(info[0].last_seen == lone->now);
  assert_true(info[0].good);
  const struct kad_contact other = kad_lone_contact(2);
  kad_lone_add_contact(lone, &other);
  assert_int_equal(kad_node_contacts(lone->node, info, 1), 2);
  assert_int_equal(kad_node_contacts(lone->node, NULL, 0), 2);
}

static void datagrams_and_bytes_are_counted(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact contact = kad_lone_contact(1);
  struct kad_message message;
  size_t out = 0;
  kad_lone_receive(lone, &contact, kad_slice_of("d1:t1:a1:y1:qe"));
  kad_lone_receive(lone, &contact, kad_slice_of("nonsense"));
  kad_lone_query(lone, &contact, KAD_METHOD_FIND_NODE);
  const struct kad_stats stats = kad_lone_stats(lone);
  assert_int_equal(stats.datagrams_in, 3);
  assert_in_range(stats.bytes_in, 14 + 8 + 80, 14 + 8 + 100);
  assert_int_equal(stats.datagrams_out, 3); /* 203, the reply, our ping */
  for (size_t i = 0; i < 3; i++) {
    out += kad_lone_sent(lone, i, &message)->len;
  }
  assert_int_equal(stats.bytes_out, out);
}

/* ----------------------------------------------------------------- time -- */

static void new_operation_moves_the_deadline_to_now(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact contact = kad_lone_contact(1);
  assert_true(kad_node_deadline(lone->node) > lone->now);
  assert_ok(kad_node_ping(lone->node, &contact.address, NULL, NULL, NULL));
  assert_int_equal(lone->sent, 0);
  assert_true(kad_node_deadline(lone->node) <= lone->now);
  kad_node_tick(lone->node);
  assert_int_equal(lone->sent, 1);
  assert_true(kad_node_deadline(lone->node) > lone->now);
}

static void resume_after_a_week_sends_few_datagrams(void **state) {
  struct kad_lone *lone = *state;
  struct kad_contact contacts[8];
  for (unsigned i = 0; i < 8; i++) {
    contacts[i] = kad_lone_contact(1 + i);
    kad_lone_add_contact(lone, &contacts[i]);
  }
  const uint64_t queries = kad_lone_stats(lone).queries;
  lone->now += (kad_time_ms)7 * 24 * 60 * MINUTE_MS;
  kad_lone_run_answering(lone, MINUTE_MS, contacts, 8);
  assert_int_equal(kad_node_state(lone->node), KAD_STATE_HEALTHY);
  assert_in_range(kad_lone_stats(lone).queries - queries, 1, 200);
}

/* ----------------------------------------------------------------- end -- */

struct ends {
  unsigned calls;
  unsigned closed;
};

static void note_end(void *data, const struct kad_result *result) {
  struct ends *ends = data;
  ends->calls++;
  ends->closed += result->status == KAD_ECLOSED;
}

static void freeing_a_node_ends_its_operations(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact contact = kad_lone_contact(1);
  const struct kad_record record = {.key = kad_lone_target,
                                    .type = kad_slice_of("value"),
                                    .value = kad_slice_of("v")};
  const struct kad_slice value = kad_slice_of("value");
  struct ends ends = {0};
  struct kad_node *node = lone->node;
  kad_lone_add_contact(lone, &contact);
  assert_ok(kad_node_ping(node, &contact.address, note_end, &ends, NULL));
  assert_ok(kad_node_put(node, &record, NULL, note_end, &ends, NULL));
  kad_node_tick(node);
  assert_ok(
      kad_node_get(node, &record.key, value, NULL, note_end, &ends, NULL));
  assert_ok(
      kad_node_announce(node, &record.key, 1, NULL, note_end, &ends, NULL));
  assert_int_equal(kad_lone_stats(lone).operations, 4);

  kad_lone_close(lone);

  assert_int_equal(ends.calls, 4);
  assert_int_equal(ends.closed, 4);
  kad_lone_open(lone, NULL);
}

static void start_another(void *data, const struct kad_result *result) {
  struct kad_lone *lone = data;
  struct kad_address to = kad_lone_contact(3).address;
  (void)result;
  assert_int_equal(kad_node_ping(lone->node, &to, NULL, NULL, NULL),
                   KAD_ECLOSED);
}

static void nothing_starts_while_a_node_is_freed(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact contact = kad_lone_contact(1);
  assert_ok(
      kad_node_ping(lone->node, &contact.address, start_another, lone, NULL));
  kad_node_tick(lone->node);
  kad_lone_close(lone);
  kad_lone_open(lone, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      cmocka_unit_test(option_out_of_range_is_refused),
      TEST(ends_of_ranges_are_accepted),
      cmocka_unit_test(incomplete_environment_is_refused),
      TEST(only_two_families_can_be_added),
      TEST(id_is_random_unless_configured),
      cmocka_unit_test(freeing_nothing_does_nothing),
      TEST(same_seed_and_inputs_give_the_same_bytes),
      TEST(read_only_node_sends_queries_and_no_replies),
      TEST(other_node_does_not_set_read_only),
      TEST(dead_contact_is_not_in_replies_after_15_minutes),
      TEST(dead_contact_leaves_the_table),
      TEST(live_contacts_stay_for_a_day),
      TEST(state_follows_the_contacts),
      cmocka_unit_test(states_have_names),
      TEST(contacts_are_listed_with_their_details),
      TEST(datagrams_and_bytes_are_counted),
      TEST(new_operation_moves_the_deadline_to_now),
      TEST(resume_after_a_week_sends_few_datagrams),
      TEST(freeing_a_node_ends_its_operations),
      TEST(nothing_starts_while_a_node_is_freed),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
