/* BEP 43 "Read-Only State": a node that strangers cannot reach finds out.
 * Tests core/membership/reachability.c. */
#include "engine/node.h"
#include "lone_node.h"
#include "unit.h"

enum {
  CONTACTS = 48,
  SECOND_MS = 1000,
  MINUTE_MS = 60 * SECOND_MS,
  HOUR_MS = 60 * MINUTE_MS,
  STRANGER = 1000 /* the number of a contact that the node has not met */
};

static struct kad_lone lone;
static struct kad_contact contacts[CONTACTS];
static uint8_t seen_at; /* the last byte of the ip at which contacts see us */
static unsigned ports;  /* at which contacts see the node; 0: they do not say */
static uint16_t first_port;
static unsigned holders_asked; /* find_value queries of the node */

static void answer(const struct kad_contact *from,
                   const struct kad_message *query) {
  struct kad_message reply;
  uint8_t bytes[KAD_LONE_SIZE];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  kad_message_init(&reply, KAD_MESSAGE_REPLY);
  reply.transaction = query->transaction;
  reply.has_id = true;
  reply.id = from->id;
  if (ports > 0) {
    reply.observed = (struct kad_address){
        .ip = {77, 1, 2, seen_at},
        .port = (uint16_t)(first_port + from->address.ip[2] % ports),
        .family = 4};
  }
  assert_ok(kad_krpc_encode(NULL, &reply, lone.id_size, &writer));
  kad_lone_receive(&lone, from, (struct kad_slice){bytes, writer.len});
}

/* Lets the contacts answer what was sent since the last call. */
static void answer_all(void) {
  while (lone.answered < lone.sent) {
    struct kad_message message;
    const struct kad_address to =
        kad_lone_sent(&lone, lone.sent - 1 - lone.answered, &message)->to;
    lone.answered++;
    holders_asked += message.kind == KAD_MESSAGE_QUERY &&
                     message.method == KAD_METHOD_FIND_VALUE;
    for (size_t i = 0; message.kind == KAD_MESSAGE_QUERY && i < CONTACTS; i++) {
      if (kad_address_equal(&to, &contacts[i].address)) {
        answer(&contacts[i], &message);
      }
    }
  }
}

/* Runs for `span_ms`, while the contacts answer. They query nothing. */
static void run(kad_time_ms span_ms) {
  for (kad_time_ms spent = 0; spent < span_ms; spent += SECOND_MS) {
    kad_lone_run(&lone, SECOND_MS);
    answer_all();
  }
}

static struct kad_reachability_info info(void) {
  struct kad_reachability_info found;
  assert_true(kad_node_reachability(lone.node, 4, &found));
  return found;
}

static bool is_unreachable(void) {
  return info().reachability == KAD_REACHABILITY_UNREACHABLE;
}

/* Opens a node with contacts in so many subnets. */
static void open_in(const struct kad_config *config, unsigned subnets) {
  ports = 0;
  first_port = 1000;
  seen_at = 1;
  holders_asked = 0;
  kad_lone_open(&lone, config);
  for (unsigned i = 0; i < CONTACTS; i++) {
    contacts[i] = kad_lone_contact(i + 1);
    contacts[i].address.ip[2] = (uint8_t)(i % subnets);
    contacts[i].address.ip[3] = (uint8_t)(1 + i / subnets);
    kad_lone_add_contact(&lone, &contacts[i]);
  }
  lone.answered = lone.sent;
}

static void open_node(void) {
  open_in(NULL, CONTACTS);
}

static void close_node(void) {
  kad_lone_close(&lone);
}

/* Runs until the node is unreachable, and returns how long that took. */
static kad_time_ms run_until_unreachable(void) {
  const kad_time_ms from = lone.now;
  while (!is_unreachable() && lone.now - from < 3 * HOUR_MS) {
    run(10 * SECOND_MS);
  }
  assert_true(is_unreachable());
  return lone.now - from;
}

static bool is_answered(const struct kad_contact *from) {
  const uint64_t served = kad_lone_stats(&lone).served_ping;
  kad_lone_query(&lone, from, KAD_METHOD_PING);
  return kad_lone_stats(&lone).served_ping > served;
}

/* Returns whether a query that the node sends now has `ro`. */
static bool sends_ro(void) {
  struct kad_message query;
  const struct kad_address *to = &contacts[3].address;
  assert_ok(kad_node_ping(lone.node, to, NULL, NULL, NULL));
  kad_lone_run(&lone, 0);
  assert_true(kad_lone_find_query(&lone, to, &query));
  answer_all();
  return query.read_only;
}

/* --------------------------------------------------------------- verdict -- */

static void a_node_that_no_stranger_reaches_becomes_read_only(void **state) {
  (void)state;
  open_node();
  assert_int_equal(info().reachability, KAD_REACHABILITY_REACHABLE);
  const kad_time_ms took = run_until_unreachable();
  assert_true(took >= KAD_REACHABILITY_WINDOWS * KAD_REACHABILITY_WINDOW_MS);
  assert_true(took <= HOUR_MS);
  assert_true(info().read_only && sends_ro());
  assert_false(is_answered(&contacts[3]));
  assert_int_equal(kad_lone_stats(&lone).dropped_read_only, 1);
  assert_int_equal(kad_lone_stats(&lone).read_only, 1);
  close_node();
}

static void an_unasked_query_each_window_keeps_it_reachable(void **state) {
  (void)state;
  open_node();
  for (unsigned i = 0; i < 48; i++) {
    const struct kad_contact stranger = kad_lone_contact(STRANGER + i);
    assert_true(is_answered(&stranger));
    assert_false(sends_ro());
    run(29 * MINUTE_MS);
    assert_int_equal(info().reachability, KAD_REACHABILITY_REACHABLE);
  }
  close_node();
}

/* A NAT lets such queries in, too. */
static void queries_of_hosts_that_were_asked_prove_nothing(void **state) {
  (void)state;
  open_node();
  const kad_time_ms from = lone.now;
  while (!is_unreachable() && lone.now - from < 3 * HOUR_MS) {
    const struct kad_contact *asked = &contacts[lone.now / MINUTE_MS % 8];
    struct kad_contact other = *asked;
    other.address.port++; /* a NAT may look at hosts only */
    assert_ok(kad_node_ping(lone.node, &asked->address, NULL, NULL, NULL));
    run(3 * MINUTE_MS);
    kad_lone_query(&lone, asked, KAD_METHOD_PING);
    kad_lone_query(&lone, &other, KAD_METHOD_PING);
  }
  assert_true(is_unreachable());
  close_node();
}

/* The answers of few subnets are no sign, nor is silence. */
static void nothing_is_decided_without_many_answers(void **state) {
  (void)state;
  open_in(NULL, KAD_REACHABILITY_SUBNETS - 1);
  run(12 * HOUR_MS);
  assert_int_equal(info().reachability, KAD_REACHABILITY_REACHABLE);
  close_node();
  open_node();
  kad_lone_run(&lone, 12 * HOUR_MS);
  assert_int_equal(info().reachability, KAD_REACHABILITY_REACHABLE);
  close_node();
  kad_lone_open(&lone, NULL);
  kad_lone_run(&lone, 12 * HOUR_MS);
  assert_int_equal(info().reachability, KAD_REACHABILITY_UNKNOWN);
  assert_int_equal(info().unasked_at, 0);
  close_node();
}

/* What comes at once when a node is back, after hours, is not a window. */
static void a_node_that_was_cut_off_begins_when_it_is_back(void **state) {
  (void)state;
  open_node();
  kad_lone_run(&lone, 3 * HOUR_MS);
  lone.answered = lone.sent;
  const kad_time_ms back = lone.now;
  while (lone.node->reachability[0].windows == 0) {
    run(SECOND_MS);
  }
  assert_true(lone.now - back >=
              KAD_REACHABILITY_WINDOW_MS - KAD_REACHABILITY_QUIET_MS);
  close_node();
}

/* Gets, pings and the like depend on the user, not on the overlay. */
static void operations_of_the_user_do_not_count(void **state) {
  struct kad_config config;
  (void)state;
  kad_config_default(&config);
  config.ping_s = UINT32_MAX;
  config.refresh_s = UINT32_MAX;
  open_in(&config, CONTACTS);
  run(HOUR_MS);
  assert_false(is_unreachable());
  for (unsigned i = 0; i < 10; i++) {
    for (size_t j = 0; j < CONTACTS; j++) {
      const struct kad_address *to = &contacts[j].address;
      assert_ok(kad_node_ping(lone.node, to, NULL, NULL, NULL));
    }
    run(20 * MINUTE_MS);
  }
  assert_false(is_unreachable());
  close_node();
}

static void the_option_and_local_addresses_prevent_it(void **state) {
  struct kad_config config;
  (void)state;
  for (int i = 0; i < 2; i++) {
    kad_config_default(&config);
    config.read_only = i == 0 ? KAD_READ_ONLY_OFF : KAD_READ_ONLY_AUTO;
    config.allow_local = i == 1;
    open_in(&config, CONTACTS);
    run(6 * HOUR_MS);
    assert_false(is_unreachable() || info().read_only || sends_ro());
    close_node();
  }
}

static void each_family_is_on_its_own(void **state) {
  const struct kad_contact other = kad_lone_contact_v6(STRANGER);
  struct kad_reachability_info info6;
  (void)state;
  open_node();
  (void)run_until_unreachable();
  assert_true(kad_node_reachability(lone.node, 6, &info6));
  assert_int_equal(info6.reachability, KAD_REACHABILITY_UNKNOWN);
  assert_false(info6.read_only);
  assert_true(is_answered(&other));
  assert_true(is_unreachable());
  assert_int_equal(kad_lone_stats(&lone).read_only, 1);
  close_node();
}

/* Others do not ask it for the records that it holds, so it gives them to the
 * nodes that are closest to them now, and keeps them. The next republish would
 * be an hour after the store. */
static void what_it_holds_is_republished_at_once(void **state) {
  const struct kad_record value = {
      .type = kad_slice_of("value"), .value = kad_slice_of("v"), .ttl = 86400};
  (void)state;
  open_node();
  run(25 * MINUTE_MS);
  assert_false(sends_ro()); /* contact 3 has been asked, and may store */
  kad_lone_store(&lone, &contacts[3], &value, 1);
  assert_true(run_until_unreachable() < 45 * MINUTE_MS);
  assert_int_equal(holders_asked, 0);
  run(11 * MINUTE_MS);
  assert_true(holders_asked > 0);
  assert_int_equal(kad_lone_records(&lone), 1);
  close_node();
}

/* ------------------------------------------------------------------- NAT -- */

static void different_ports_are_the_sign_of_a_symmetric_nat(void **state) {
  (void)state;
  open_node();
  ports = 1;
  const kad_time_ms other = run_until_unreachable();
  assert_false(info().is_symmetric);
  close_node();
  open_node();
  ports = CONTACTS;
  const kad_time_ms took = run_until_unreachable();
  assert_true(info().is_symmetric);
  assert_true(took >= KAD_REACHABILITY_WINDOW_MS);
  assert_true(took < other);
  close_node();
}

static void two_ports_or_few_subnets_are_no_such_sign(void **state) {
  (void)state;
  open_node();
  ports = 2;
  (void)run_until_unreachable();
  assert_false(info().is_symmetric);
  close_node();
  open_in(NULL, KAD_REACHABILITY_SUBNETS - 1);
  ports = KAD_REACHABILITY_SUBNETS - 1;
  run(3 * HOUR_MS);
  assert_false(info().is_symmetric);
  close_node();
}

/* Ports alone change nothing: strangers reach a node behind such a NAT if it
 * lets them. */
static void a_symmetric_nat_that_lets_strangers_in_is_reachable(void **state) {
  (void)state;
  open_node();
  ports = CONTACTS;
  for (unsigned i = 0; i < 30; i++) {
    const struct kad_contact stranger = kad_lone_contact(STRANGER + i);
    run(14 * MINUTE_MS);
    assert_true(is_answered(&stranger));
  }
  assert_true(info().is_symmetric);
  assert_false(is_unreachable());
  close_node();
}

/* ---------------------------------------------------------------- return -- */

static void an_unasked_query_ends_it_and_is_answered(void **state) {
  const struct kad_contact stranger = kad_lone_contact(STRANGER);
  (void)state;
  open_node();
  (void)run_until_unreachable();
  run(MINUTE_MS);
  assert_true(is_answered(&stranger));
  assert_int_equal(info().reachability, KAD_REACHABILITY_REACHABLE);
  assert_int_equal(info().unasked_at, lone.now);
  assert_false(sends_ro());
  assert_true(is_answered(&contacts[3]));
  run(20 * MINUTE_MS);
  assert_false(is_unreachable());
  close_node();
}

/* It asks without `ro` for a while, its neighbours at least, and answers. */
static void it_asks_without_ro_from_time_to_time(void **state) {
  kad_time_ms asking_ms = 0;
  (void)state;
  open_node();
  (void)run_until_unreachable();
  const uint64_t queries = kad_lone_stats(&lone).queries;
  for (unsigned i = 0; i < 6 * 60; i++) {
    const bool asks = !info().read_only;
    assert_true(is_unreachable());
    assert_int_equal(sends_ro(), !asks);
    assert_int_equal(is_answered(&contacts[3]), asks);
    asking_ms += asks ? MINUTE_MS : 0;
    run(MINUTE_MS);
  }
  assert_true(kad_lone_stats(&lone).queries > queries + 6 * 8);
  assert_true(asking_ms >= 6 * KAD_REACHABILITY_ASK_MS);
  assert_true(asking_ms <= 13 * KAD_REACHABILITY_ASK_MS);
  close_node();
}

/* A laptop is in another network. */
static void it_asks_at_once_when_its_ip_has_changed(void **state) {
  (void)state;
  open_node();
  ports = 1;
  (void)run_until_unreachable();
  run(MINUTE_MS);
  assert_true(sends_ro());
  seen_at = 2;
  for (unsigned minute = 0; info().read_only; minute++) {
    assert_true(minute < 20);
    run(MINUTE_MS);
  }
  assert_false(sends_ro());
  assert_true(is_unreachable());
  run(6 * MINUTE_MS);
  assert_true(info().read_only);
  close_node();
}

/* A NAT gives another port each time that a mapping has ended. */
static void another_port_does_not_begin_the_windows_again(void **state) {
  (void)state;
  open_node();
  ports = 1;
  for (unsigned i = 0; i < 8 && !is_unreachable(); i++) {
    first_port++;
    run(25 * MINUTE_MS);
  }
  assert_true(is_unreachable());
  close_node();
}

static void names_are_given(void **state) {
  (void)state;
  assert_string_equal(kad_reachability_name(KAD_REACHABILITY_UNKNOWN),
                      "unknown");
  assert_string_equal(kad_reachability_name(KAD_REACHABILITY_REACHABLE),
                      "reachable");
  assert_string_equal(kad_reachability_name(KAD_REACHABILITY_UNREACHABLE),
                      "unreachable");
  assert_string_equal(kad_reachability_name((enum kad_reachability)9),
                      "unknown");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_node_that_no_stranger_reaches_becomes_read_only),
      cmocka_unit_test(an_unasked_query_each_window_keeps_it_reachable),
      cmocka_unit_test(queries_of_hosts_that_were_asked_prove_nothing),
      cmocka_unit_test(nothing_is_decided_without_many_answers),
      cmocka_unit_test(a_node_that_was_cut_off_begins_when_it_is_back),
      cmocka_unit_test(operations_of_the_user_do_not_count),
      cmocka_unit_test(the_option_and_local_addresses_prevent_it),
      cmocka_unit_test(each_family_is_on_its_own),
      cmocka_unit_test(what_it_holds_is_republished_at_once),
      cmocka_unit_test(different_ports_are_the_sign_of_a_symmetric_nat),
      cmocka_unit_test(two_ports_or_few_subnets_are_no_such_sign),
      cmocka_unit_test(a_symmetric_nat_that_lets_strangers_in_is_reachable),
      cmocka_unit_test(an_unasked_query_ends_it_and_is_answered),
      cmocka_unit_test(it_asks_without_ro_from_time_to_time),
      cmocka_unit_test(it_asks_at_once_when_its_ip_has_changed),
      cmocka_unit_test(another_port_does_not_begin_the_windows_again),
      cmocka_unit_test(names_are_given),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
