/* Kademlia §2.2 and §4.1, BEP 5 "Routing Table": how messages change the
 * routing table, seen from outside. Tests core/membership.
 *
 * The watched node has k = 4 and a full bucket: the contacts FAR to FAR + 3
 * fill the far half of its id space. That bucket cannot split, because the node
 * knows NEAR. Intervals are so long that the node sends nothing by itself. */
#include "kadenza.h"
#include "overlay.h"
#include "unit.h"

#include <string.h>

enum {
  WATCHED = 0,
  FAR = 1,
  K = 4,
  NEAR = FAR + K,
  NEWCOMER,
  SIZE,
  NEVER_S = 10000000,
  MOMENT_MS = 500, /* enough for a ping and its consequences */
};

/* The datagrams of the watched node. */
struct tally {
  struct kad_overlay *overlay;
  unsigned pings[SIZE];
  unsigned handed_out; /* datagrams that name the newcomer */
};

static struct kad_overlay overlay;
static struct tally tally;

/* ------------------------------------------------------------- watching -- */

static bool contains(struct kad_slice bytes, const void *part, size_t len) {
  bool found = false;
  for (size_t i = 0; i + len <= bytes.len && !found; i++) {
    found = memcmp(bytes.data + i, part, len) == 0;
  }
  return found;
}

static void count_event(void *data, const struct kad_sim_event *event) {
  static const char ping[] = "1:q4:ping";
  const struct kad_address watched = kad_overlay_address(WATCHED);
  (void)data;
  if (!kad_address_equal(event->from, &watched)) {
    return;
  }
  for (size_t i = 0; i < SIZE; i++) {
    const struct kad_address address = kad_overlay_address(i);
    if (kad_address_equal(event->to, &address)) {
      tally.pings[i] += contains(event->bytes, ping, sizeof ping - 1);
    }
  }
  tally.handed_out += overlay.count > NEWCOMER &&
                      contains(event->bytes, overlay.ids[NEWCOMER].bytes, 20);
}

/* Starts to count. */
static void start_tally(void) {
  tally = (struct tally){0};
  assert_ok(kad_sim_set_trace(overlay.network, count_event, NULL));
}

/* Returns the entry of node `i` in the table of the watched node; all zero if
 * there is none. */
static struct kad_contact_info find_contact(size_t i) {
  struct kad_contact_info info = {0};
  (void)kad_overlay_knows(&overlay, WATCHED, i, &info);
  return info;
}

static bool is_known(size_t i) {
  return find_contact(i).last_seen != 0;
}

/* ------------------------------------------------------------ arranging -- */

/* Opens a node whose id begins with `first`. */
static void open_node(uint8_t first) {
  overlay.config.has_id = true;
  overlay.config.id = (struct kad_id){.bytes = {first, 1, 2, 3}};
  overlay.config.k = overlay.count == WATCHED ? K : 8;
  (void)kad_overlay_add(&overlay);
}

/* Sends a ping from node `i` to the watched one. */
static void send_ping(size_t i) {
  const struct kad_address to = kad_overlay_address(WATCHED);
  assert_ok(kad_node_ping(overlay.nodes[i], &to, NULL, NULL, NULL));
}

static void open_watched(uint64_t seed) {
  kad_overlay_open(&overlay, seed);
  overlay.config.ping_s = NEVER_S;
  overlay.config.refresh_s = NEVER_S;
  overlay.config.far_contacts = 0;
  open_node(0x00);
}

/* Fills the far bucket of the watched node, one contact a second. */
static void open_full(uint64_t seed) {
  open_watched(seed);
  for (size_t i = FAR; i < NEAR; i++) {
    open_node((uint8_t)(0x80 + i));
  }
  open_node(0x40);
  for (size_t i = FAR; i <= NEAR; i++) {
    send_ping(i);
    kad_overlay_run(&overlay, KAD_SECOND_MS);
  }
  kad_overlay_run(&overlay, KAD_HOUR_MS);
  for (size_t i = FAR; i <= NEAR; i++) {
    assert_true(is_known(i));
  }
}

static void disconnect(size_t i) {
  assert_ok(kad_sim_set_group(overlay.network, overlay.nodes[i], 1));
}

/* Makes a contact questionable: it leaves one query of the watched node
 * unanswered, and is disconnected from all nodes. */
static void make_questionable(size_t i) {
  const struct kad_contact to = {.id = overlay.ids[i],
                                 .address = kad_overlay_address(i)};
  disconnect(i);
  assert_ok(kad_node_call(overlay.nodes[WATCHED], &to, kad_slice_of("hello"),
                          kad_slice_of("de"), NULL, NULL, NULL));
}

/* Opens the newcomer, whose id belongs into the full bucket, and sends its
 * ping.
 */
static void open_newcomer(void) {
  open_node(0xf0);
  send_ping(NEWCOMER);
}

/* Waits until the queries of make_questionable have failed. */
static void await_failures(void) {
  kad_overlay_run(&overlay, overlay.config.query_ms + 1);
}

/* ---------------------------------------------------------------- rules -- */

/* Kademlia §2.2: "when a node receives any message from another node, it
 * updates the appropriate k-bucket". */
static void a_query_of_a_known_contact_refreshes_it(void **state) {
  (void)state;
  open_full(11);
  const kad_time_ms before = kad_network_now(overlay.network);
  assert_true(find_contact(FAR).last_seen < before);
  send_ping(FAR);
  kad_overlay_run(&overlay, MOMENT_MS);
  assert_true(find_contact(FAR).last_seen > before);
  kad_overlay_close(&overlay);
}

static void a_reply_of_a_known_contact_refreshes_it(void **state) {
  (void)state;
  open_full(12);
  const kad_time_ms before = kad_network_now(overlay.network);
  const struct kad_address to = kad_overlay_address(FAR);
  assert_true(find_contact(FAR).last_seen < before);
  assert_ok(kad_node_ping(overlay.nodes[WATCHED], &to, NULL, NULL, NULL));
  kad_overlay_run(&overlay, MOMENT_MS);
  assert_true(find_contact(FAR).last_seen > before);
  kad_overlay_close(&overlay);
}

/* BEP 5: a node that sent us a query is good only if it "has ever responded to
 * one of our queries". This one leaves after its query. */
static void unverified_contact_does_not_enter(void **state) {
  (void)state;
  open_watched(13);
  open_node(0x81);
  send_ping(FAR);
  kad_overlay_run(&overlay, MOMENT_MS);
  while (overlay.count < NEWCOMER) { /* that no node knows */
    open_node((uint8_t)overlay.count);
  }
  open_newcomer();
  kad_overlay_run(&overlay, 2); /* the query is sent and not yet received */
  kad_overlay_kill(&overlay, NEWCOMER);
  start_tally();
  kad_overlay_run(&overlay, KAD_MINUTE_MS);
  assert_int_equal(tally.pings[NEWCOMER], 1);
  assert_false(is_known(NEWCOMER));
  assert_ok(kad_node_find_node(overlay.nodes[FAR], &overlay.ids[NEWCOMER], NULL,
                               NULL, NULL, NULL));
  kad_overlay_run(&overlay, KAD_MINUTE_MS);
  assert_int_equal(tally.handed_out, 0);
  kad_overlay_close(&overlay);
}

static void an_unknown_contact_enters_once_verified(void **state) {
  (void)state;
  open_watched(14);
  open_node(0x81);
  send_ping(FAR);
  start_tally();
  kad_overlay_run(&overlay, MOMENT_MS);
  assert_int_equal(tally.pings[FAR], 1);
  assert_true(is_known(FAR));
  kad_overlay_close(&overlay);
}

/* Kademlia §2.2: of a full bucket "the recipient pings the k-bucket's
 * least-recently seen node"; BEP 5: as long as some are questionable. */
static void a_full_bucket_pings_its_stalest_questionable_contact(void **state) {
  (void)state;
  open_full(15);
  make_questionable(FAR + 2);
  make_questionable(FAR + 1); /* seen 1 s before the other */
  await_failures();
  start_tally();
  open_newcomer();
  kad_overlay_run(&overlay, MOMENT_MS);
  const unsigned expected[SIZE] = {[FAR + 1] = 1, [NEWCOMER] = 1};
  assert_memory_equal(tally.pings, expected, sizeof expected);
  assert_false(is_known(NEWCOMER));
  kad_overlay_close(&overlay);
}

/* Kademlia §2.2: "if the least-recently seen node fails to respond, it is
 * evicted from the k-bucket and the new sender inserted". */
static void cached_contact_replaces_a_dead_one(void **state) {
  (void)state;
  open_full(16);
  make_questionable(FAR + 1);
  await_failures();
  open_newcomer();
  kad_overlay_run(&overlay, MOMENT_MS);
  assert_true(is_known(FAR + 1));
  assert_false(is_known(NEWCOMER));
  kad_overlay_run(&overlay, overlay.config.query_ms);
  assert_false(is_known(FAR + 1));
  assert_true(is_known(NEWCOMER));
  kad_overlay_close(&overlay);
}

/* Kademlia §2.2: "if the least-recently seen node responds, it is moved to the
 * tail of the list, and the new sender's contact is discarded". §4.1: it is
 * kept in a replacement cache until another contact dies. */
static void a_contact_that_answers_stays(void **state) {
  (void)state;
  open_full(17);
  make_questionable(FAR + 1);
  await_failures();
  assert_int_equal(find_contact(FAR + 1).failures, 1);
  assert_ok(kad_sim_heal(overlay.network));
  const kad_time_ms before = kad_network_now(overlay.network);
  open_newcomer();
  kad_overlay_run(&overlay, MOMENT_MS);
  assert_int_equal(find_contact(FAR + 1).failures, 0);
  assert_true(find_contact(FAR + 1).last_seen > before);
  assert_false(is_known(NEWCOMER));
  kad_overlay_close(&overlay);
}

/* Kademlia §4.1: the replacement cache. When a contact dies later, the newcomer
 * replaces it without another query. BEP 5: a contact is bad when it fails
 * "multiple queries in a row". */
static void cached_contact_is_kept_for_later(void **state) {
  (void)state;
  open_full(18);
  open_newcomer();
  kad_overlay_run(&overlay, MOMENT_MS);
  assert_false(is_known(NEWCOMER));
  start_tally();
  make_questionable(FAR);
  await_failures();
  assert_true(is_known(FAR));
  make_questionable(FAR);
  await_failures();
  assert_false(is_known(FAR));
  assert_true(is_known(NEWCOMER));
  assert_int_equal(tally.pings[NEWCOMER], 0);
  kad_overlay_close(&overlay);
}

/* BEP 5: when a bucket is full of good nodes, "the new node is simply
 * discarded". */
static void good_contacts_are_not_pinged_for_a_newcomer(void **state) {
  (void)state;
  open_full(19);
  start_tally();
  open_newcomer();
  kad_overlay_run(&overlay, MOMENT_MS);
  const unsigned expected[SIZE] = {[NEWCOMER] = 1};
  assert_memory_equal(tally.pings, expected, sizeof expected);
  for (size_t i = FAR; i <= NEAR; i++) {
    assert_true(is_known(i));
  }
  assert_false(is_known(NEWCOMER));
  kad_overlay_close(&overlay);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_query_of_a_known_contact_refreshes_it),
      cmocka_unit_test(a_reply_of_a_known_contact_refreshes_it),
      cmocka_unit_test(unverified_contact_does_not_enter),
      cmocka_unit_test(an_unknown_contact_enters_once_verified),
      cmocka_unit_test(a_full_bucket_pings_its_stalest_questionable_contact),
      cmocka_unit_test(cached_contact_replaces_a_dead_one),
      cmocka_unit_test(a_contact_that_answers_stays),
      cmocka_unit_test(cached_contact_is_kept_for_later),
      cmocka_unit_test(good_contacts_are_not_pinged_for_a_newcomer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
