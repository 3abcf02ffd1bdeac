/* Kademlia §2.2: what messages do to the routing table, seen from outside. */
#include "kadenza.h"
#include "overlay.h"
#include "unit.h"

enum {
  WATCHED = 0,
  FRIEND = 1,
  SIZE = 12,
};

/* Returns what node `i` knows of node `other`, all zero if it does not know it.
 */
static struct kad_contact_info what_knows(const struct kad_overlay *overlay,
                                          size_t i, size_t other) {
  struct kad_contact_info known[64];
  const size_t count = kad_node_contacts(overlay->nodes[i], known, 64);
  for (size_t n = 0; n < count; n++) {
    if (kad_id_equal(&known[n].contact.id, &overlay->ids[other])) {
      return known[n];
    }
  }
  return (struct kad_contact_info){0};
}

/* Kademlia §2.2: "when a node receives any message from another node, it
 * updates the appropriate k-bucket". */
static void test_a_query_of_a_known_contact_refreshes_it(void **state) {
  struct kad_overlay overlay;
  struct kad_ending ending;
  (void)state;
  kad_overlay_open(&overlay, 11);
  kad_overlay_grow(&overlay, SIZE);
  const kad_time_ms before = kad_network_now(overlay.network);
  assert_true(what_knows(&overlay, WATCHED, FRIEND).last_seen < before);
  kad_ending_init(&ending, &overlay);
  const struct kad_address to = kad_overlay_address(WATCHED);
  assert_ok(kad_node_ping(overlay.nodes[FRIEND], &to, kad_ending_take, &ending,
                          NULL));
  kad_ending_await(&ending);
  assert_true(what_knows(&overlay, WATCHED, FRIEND).last_seen > before);
  kad_ending_deinit(&ending);
  kad_overlay_close(&overlay);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_query_of_a_known_contact_refreshes_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
