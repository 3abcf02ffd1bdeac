/* What a scrape makes of the replies of nodes that lie or send no filters (BEP
 * 33). Tests core/operations/get_peers.c. */
#include "kadenza_scrape.h"
#include "lone_node.h"
#include "unit.h"

#include <string.h>

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

/* What the callback saw. */
struct seen {
  bool done;
  int status;
  size_t peers;
  struct kad_scrape scrape;
};

static void on_end(void *data, const struct kad_result *result) {
  struct seen *seen = data;
  seen->done = true;
  seen->status = result->status;
  seen->peers = result->peer_count;
  if (result->scrape != NULL) {
    seen->scrape = *result->scrape;
  }
}

/* The reply of a node: its filters, and as many peers. */
struct answer {
  uint8_t seeds[KAD_FILTER_SIZE];
  uint8_t peers[KAD_FILTER_SIZE];
  bool has_filters;
  unsigned first, last; /* numbers of peers; 0: none */
};

static void add(uint8_t *filter, unsigned number) {
  const struct kad_contact contact = kad_lone_contact(number);
  kad_filter_add(filter, &contact.address);
}

/* Scrapes at one contact, which gives `answer`. */
static struct seen scrape(struct kad_lone *lone, const struct answer *answer) {
  const struct kad_contact contact = kad_lone_contact(1);
  const struct kad_lookup_options options = {.scrape = true};
  struct seen seen = {.done = false};
  struct kad_message query;
  struct kad_message reply;
  kad_lone_add_contact(lone, &contact);
  assert_ok(kad_node_get_peers(lone->node, &kad_lone_target, &options, on_end,
                               &seen, NULL));
  kad_lone_run(lone, 10);
  assert_true(kad_lone_find_query(lone, &contact.address, &query));
  assert_int_equal(query.method, KAD_METHOD_GET_PEERS);
  assert_true(query.scrape);
  kad_message_init(&reply, KAD_MESSAGE_REPLY);
  reply.has_nodes = true;
  if (answer->has_filters) {
    reply.seed_filter = (struct kad_slice){answer->seeds, KAD_FILTER_SIZE};
    reply.peer_filter = (struct kad_slice){answer->peers, KAD_FILTER_SIZE};
  }
  for (unsigned i = answer->first; i != 0 && i <= answer->last; i++) {
    reply.peers[reply.peer_count++] = kad_lone_contact(i).address;
  }
  reply.transaction = query.transaction;
  reply.has_id = true;
  reply.id = contact.id;
  kad_lone_send(lone, &contact, &reply);
  kad_lone_run(lone, 30000);
  assert_true(seen.done);
  return seen;
}

static void filters_of_a_reply_are_counted(void **state) {
  struct answer answer = {.has_filters = true};
  add(answer.seeds, 50);
  add(answer.peers, 51);
  add(answer.peers, 52);
  const struct seen seen = scrape(*state, &answer);
  assert_ok(seen.status);
  assert_int_equal(seen.scrape.seeds, 1);
  assert_int_equal(seen.scrape.peers, 2);
  assert_int_equal(seen.peers, 0);
}

/* BEP 33 "Handling legacy responses". */
static void peers_without_filters_count_as_peers(void **state) {
  const struct answer answer = {.first = 50, .last = 54};
  const struct seen seen = scrape(*state, &answer);
  assert_ok(seen.status);
  assert_int_equal(seen.scrape.seeds, 0);
  assert_int_equal(seen.scrape.peers, 5);
}

/* BEP 33 "New GET_PEERS semantics": "checking if they are not full". */
static void a_full_filter_is_ignored(void **state) {
  struct answer answer = {.has_filters = true, .first = 50, .last = 51};
  memset(answer.seeds, 0xff, sizeof answer.seeds);
  const struct seen seen = scrape(*state, &answer);
  assert_ok(seen.status);
  assert_int_equal(seen.scrape.seeds, 0);
  assert_int_equal(seen.scrape.peers, 2);
}

/* The same: "if the returned values are actually contained". */
static void filters_without_the_peers_of_the_reply_are_ignored(void **state) {
  struct answer answer = {.has_filters = true, .first = 50, .last = 51};
  for (unsigned i = 100; i < 300; i++) {
    add(answer.seeds, i);
  }
  const struct seen seen = scrape(*state, &answer);
  assert_ok(seen.status);
  assert_int_equal(seen.scrape.seeds, 0);
  assert_int_equal(seen.scrape.peers, 2);
}

static void empty_filters_find_nothing(void **state) {
  const struct answer answer = {.has_filters = true};
  const struct seen seen = scrape(*state, &answer);
  assert_int_equal(seen.status, KAD_ENOTFOUND);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(filters_of_a_reply_are_counted),
      TEST(peers_without_filters_count_as_peers),
      TEST(a_full_filter_is_ignored),
      TEST(filters_without_the_peers_of_the_reply_are_ignored),
      TEST(empty_filters_find_nothing),
  };
  return cmocka_run_group_tests_name("scrape_reply", tests, NULL, NULL);
}
