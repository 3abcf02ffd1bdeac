/* Scrapes and seeds (BEP 33), as other nodes see them. Tests core/node/reply.c
 * and core/node/reply_store.c. */
#include "kadenza_scrape.h"
#include "lone_node.h"
#include "node/serve.h"
#include "unit.h"

#include <math.h>

static struct kad_lone lone_node;

static int begin(void **state) {
  struct kad_config config;
  kad_config_default(&config);
  config.limits = false;
  kad_lone_open(&lone_node, &config);
  *state = &lone_node;
  return 0;
}

static int end(void **state) {
  kad_lone_close(*state);
  return 0;
}

/* Announces a peer of kad_lone_target. */
static void announce(struct kad_lone *lone, const struct kad_contact *from,
                     uint16_t port, bool seed) {
  uint8_t token[KAD_TOKEN_MAX];
  struct kad_message message;
  struct kad_message reply;
  const size_t len = kad_lone_token(lone, from, token);
  kad_lone_begin(&message, KAD_METHOD_ANNOUNCE_PEER);
  message.target = kad_lone_target;
  message.has_port = true;
  message.port = port;
  message.seed = seed;
  message.token = (struct kad_slice){token, len};
  kad_lone_send(lone, from, &message);
  (void)kad_lone_reply(lone, &reply);
  assert_int_equal(reply.kind, KAD_MESSAGE_REPLY);
}

/* Announces the peers `first` … `last`. */
static void announce_all(struct kad_lone *lone, unsigned first, unsigned last,
                         bool seed) {
  for (unsigned i = first; i <= last; i++) {
    const struct kad_contact from = kad_lone_contact(i);
    announce(lone, &from, 6881, seed);
  }
}

/* Sends a get_peers from a contact that has proven its address. */
static size_t get_peers(struct kad_lone *lone, bool scrape, bool noseed,
                        struct kad_message *reply) {
  const struct kad_contact from = kad_lone_contact(900);
  struct kad_message message;
  kad_lone_run(lone, 20000); /* no ping waits for an answer any more */
  kad_lone_add_contact(lone, &from);
  kad_lone_begin(&message, KAD_METHOD_GET_PEERS);
  message.target = kad_lone_target;
  message.scrape = scrape;
  message.noseed = noseed;
  kad_lone_send(lone, &from, &message);
  const size_t len = kad_lone_reply(lone, reply)->len;
  assert_int_equal(reply->token.len, 8);
  return len;
}

static bool has_peer(const struct kad_message *reply, unsigned number) {
  const struct kad_contact contact = kad_lone_contact(number);
  for (size_t i = 0; i < reply->peer_count; i++) {
    struct kad_address peer = reply->peers[i];
    peer.port = contact.address.port;
    if (kad_address_equal(&peer, &contact.address)) {
      return true;
    }
  }
  return false;
}

/* BEP 33 "New GET_PEERS semantics". */
static void a_scrape_gets_a_filter_of_seeds_and_one_of_other_peers(
    void **state) {
  struct kad_message reply;
  announce_all(*state, 1, 30, true);
  announce_all(*state, 31, 80, false);

  get_peers(*state, true, false, &reply);

  assert_int_equal(reply.seed_filter.len, KAD_FILTER_SIZE);
  assert_int_equal(reply.peer_filter.len, KAD_FILTER_SIZE);
  for (unsigned i = 1; i <= 80; i++) {
    const struct kad_contact peer = kad_lone_contact(i);
    assert_true(kad_filter_has(i <= 30 ? reply.seed_filter.data
                                       : reply.peer_filter.data,
                               &peer.address));
  }
  assert_in_range(lround(kad_filter_count(reply.seed_filter.data)), 28, 32);
  assert_in_range(lround(kad_filter_count(reply.peer_filter.data)), 47, 53);
}

static void without_scrape_there_are_no_filters(void **state) {
  struct kad_message reply;
  announce_all(*state, 1, 2, true);
  get_peers(*state, false, false, &reply);
  assert_int_equal(reply.seed_filter.len, 0);
  assert_int_equal(reply.peer_filter.len, 0);
}

/* BEP 33: "and the responding node has database entries for that infohash". */
static void without_peers_there_are_no_filters(void **state) {
  struct kad_message reply;
  get_peers(*state, true, false, &reply);
  assert_int_equal(reply.seed_filter.len, 0);
  assert_int_equal(reply.peer_count, 0);
}

/* BEP 33: "not to exceed the specified packet sizes", with BEP 32. */
static void a_scrape_leaves_room_for_contacts_within_the_reply(void **state) {
  struct kad_lone *lone = *state;
  struct kad_message reply;
  for (unsigned i = 100; i < 120; i++) {
    const struct kad_contact contact = kad_lone_contact(i);
    kad_lone_add_contact(lone, &contact);
  }
  announce_all(lone, 1, 80, false);

  const size_t len = get_peers(lone, true, false, &reply);

  assert_in_range(len, KAD_FILTER_SIZE, 1024);
  assert_int_equal(reply.contact_count, 8);
  assert_int_equal(reply.peer_filter.len, KAD_FILTER_SIZE);
  assert_true(reply.peer_count > 0);
}

/* BEP 33: "try to fill the values list with non-seed items". */
static void noseed_gets_peers_that_are_no_seeds(void **state) {
  struct kad_message reply;
  announce_all(*state, 1, 200, true);
  announce_all(*state, 201, 203, false);

  get_peers(*state, false, true, &reply);

  assert_int_equal(reply.peer_count, 3);
  for (unsigned i = 201; i <= 203; i++) {
    assert_true(has_peer(&reply, i));
  }
}

/* BEP 33 "Changed announce accounting": seed status and port are updated. */
static void a_later_announce_replaces_port_and_seed_status(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact peer = kad_lone_contact(1);
  struct kad_message reply;
  announce(lone, &peer, 1000, false);
  announce(lone, &peer, 1000, true);
  get_peers(lone, true, false, &reply);
  assert_true(kad_filter_has(reply.seed_filter.data, &peer.address));
  assert_false(kad_filter_has(reply.peer_filter.data, &peer.address));

  announce(lone, &peer, 2000, false);

  get_peers(lone, true, false, &reply);
  assert_int_equal(reply.peer_count, 1);
  assert_int_equal(reply.peers[0].port, 2000);
  assert_true(kad_filter_has(reply.peer_filter.data, &peer.address));
  assert_false(kad_filter_has(reply.seed_filter.data, &peer.address));
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(a_scrape_gets_a_filter_of_seeds_and_one_of_other_peers),
      TEST(without_scrape_there_are_no_filters),
      TEST(without_peers_there_are_no_filters),
      TEST(a_scrape_leaves_room_for_contacts_within_the_reply),
      TEST(noseed_gets_peers_that_are_no_seeds),
      TEST(a_later_announce_replaces_port_and_seed_status),
  };
  return cmocka_run_group_tests_name("scrape", tests, NULL, NULL);
}
