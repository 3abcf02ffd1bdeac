/* Tests core/engine/tap.c, core/kadenza_tap.h. */
#include "kadenza_tap.h"
#include "lone_node.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

enum {
  LOG_SIZE = 512
};

static struct kad_lone lone;

/* What the tap has seen: a letter for each datagram, and reasons. */
static char seen[LOG_SIZE];
static bool was_readable; /* the last message was bencoded */

static void note(void *data, const struct kad_tapped *tapped) {
  assert_ptr_equal(data, &lone);
  assert_non_null(tapped->peer);
  was_readable = tapped->message.len > 0 && tapped->message.data[0] == 'd';
  const size_t len = strlen(seen);
  switch (tapped->event) {
  case KAD_TAP_RECEIVED:
    (void)snprintf(seen + len, LOG_SIZE - len, "in ");
    break;
  case KAD_TAP_SENT:
    (void)snprintf(seen + len, LOG_SIZE - len, "out ");
    break;
  case KAD_TAP_DROPPED:
    (void)snprintf(seen + len, LOG_SIZE - len, "%s ", tapped->reason);
    break;
  }
}

/* Closes the tap at the first datagram. */
static void note_once(void *data, const struct kad_tapped *tapped) {
  kad_node_set_tap(lone.node, NULL, NULL);
  note(data, tapped);
}

static void open_node(bool limits, const struct kad_network_keys *keys) {
  struct kad_config config;
  kad_config_default(&config);
  config.limits = limits;
  config.network_keys = keys;
  kad_lone_open(&lone, &config);
  seen[0] = '\0';
  kad_node_set_tap(lone.node, note, &lone);
}

static void shows_a_query_and_its_reply(void **state) {
  (void)state;
  const struct kad_contact from = kad_lone_contact(1);
  open_node(false, NULL);
  kad_lone_query(&lone, &from, KAD_METHOD_PING);
  assert_string_equal(seen, "in out out ");
  assert_true(was_readable);
  seen[0] = '\0';
  kad_node_set_tap(lone.node, NULL, NULL);
  kad_lone_query(&lone, &from, KAD_METHOD_PING);
  assert_string_equal(seen, "");
  kad_lone_close(&lone);
}

static void shows_why_a_datagram_is_dropped(void **state) {
  (void)state;
  struct kad_contact from = kad_lone_contact(1);
  open_node(false, NULL);
  kad_lone_receive(&lone, &from, kad_slice_of("garbage"));
  assert_string_equal(seen, "in malformed ");
  seen[0] = '\0';
  kad_lone_receive(&lone, &from,
                   kad_slice_of("d1:rd2:id20:aaaaaaaaaaaaaaaaaaaae"
                                "1:t2:xx1:y1:re"));
  assert_string_equal(seen, "in unmatched ");
  seen[0] = '\0';
  from.address.ip[0] = 127;
  kad_lone_receive(&lone, &from, kad_slice_of("garbage"));
  assert_string_equal(seen, "martian ");
  kad_lone_close(&lone);
}

static void shows_queries_over_the_limits(void **state) {
  (void)state;
  const struct kad_contact from = kad_lone_contact(1);
  open_node(true, NULL);
  do {
    seen[0] = '\0';
    kad_lone_query(&lone, &from, KAD_METHOD_PING);
  } while (strncmp(seen, "in out", 6) == 0);
  assert_string_equal(seen, "in limited ");
  kad_lone_close(&lone);
}

static void shows_what_was_sealed(void **state) {
  (void)state;
  const struct kad_network_keys keys = {.count = 1, .keys = {{1, 2, 3}}};
  const struct kad_contact from = kad_lone_contact(1);
  open_node(false, &keys);
  kad_lone_query(&lone, &from, KAD_METHOD_PING);
  assert_string_equal(seen, "in out out ");
  assert_true(was_readable);
  seen[0] = '\0';
  kad_lone_receive_raw(&lone, &from, kad_slice_of("d1:ad2:id1:ae"));
  assert_string_equal(seen, "unsealed ");
  kad_lone_close(&lone);
}

static void may_be_closed_by_what_it_calls(void **state) {
  (void)state;
  const struct kad_contact from = kad_lone_contact(1);
  open_node(false, NULL);
  kad_node_set_tap(lone.node, note_once, &lone);
  kad_lone_receive(&lone, &from, kad_slice_of("garbage"));
  assert_string_equal(seen, "in ");
  kad_lone_query(&lone, &from, KAD_METHOD_PING);
  assert_string_equal(seen, "in ");
  kad_lone_close(&lone);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(shows_a_query_and_its_reply),
      cmocka_unit_test(shows_why_a_datagram_is_dropped),
      cmocka_unit_test(shows_queries_over_the_limits),
      cmocka_unit_test(shows_what_was_sealed),
      cmocka_unit_test(may_be_closed_by_what_it_calls),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
