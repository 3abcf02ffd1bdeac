/* Recall: how many of the k nodes closest to a key a lookup finds, for small
 * and great k, both families and both sizes of ids. A reply must have room for
 * k contacts, or the farther of them stay unknown.
 *
 * Tests core/lookup/lookup.c, core/node/reply.c. */
#include "kadenza.h"
#include "overlay.h"
#include "unit.h"

enum {
  NODES = 300,
  LOOKUPS = 100
};

static struct kad_overlay overlay;

/* Returns how many of `closest` a lookup of `target` from node `i` finds. */
static size_t look_up(size_t i, const struct kad_id *target, unsigned family,
                      const size_t *closest, size_t count) {
  struct kad_ending ending;
  size_t found = 0;
  kad_ending_init(&ending, &overlay);
  assert_ok(kad_node_find_node(overlay.nodes[i], target, NULL, kad_ending_done,
                               &ending, NULL));
  assert_ok(kad_ending_reach(&ending));
  for (size_t j = 0; j < count; j++) {
    for (size_t n = 0; n < ending.result.closest_count; n++) {
      const struct kad_contact *contact = &ending.result.closest[n];
      found += contact->address.family == family &&
               kad_id_equal(&contact->id, &overlay.ids[closest[j]]);
    }
  }
  kad_ending_deinit(&ending);
  return found;
}

/* Returns the recall in an overlay of nodes with `k`, in parts of 10,000. */
static size_t measure_recall(uint32_t k, unsigned id_bits, unsigned family) {
  size_t closest[KAD_K_MAX];
  size_t found = 0;
  size_t there = 0;
  kad_overlay_open(&overlay, 9 + k);
  overlay.config.k = k;
  overlay.config.id_bits = id_bits;
  overlay.dual = family == 6;
  kad_overlay_grow(&overlay, NODES);
  for (unsigned i = 0; i < LOOKUPS; i++) {
    const struct kad_id target = kad_overlay_key(i);
    const size_t from = (size_t)i * 3 % NODES;
    const size_t count =
        kad_overlay_closest(&overlay, &target, overlay.nodes[from], closest, k);
    there += count;
    found += look_up(from, &target, family, closest, count);
  }
  kad_overlay_close(&overlay);
  print_message("k %u, %u bits, IPv%u: %zu of %zu\n", k, id_bits, family, found,
                there);
  return found * 10000 / there;
}

static void a_lookup_finds_the_k_closest_for_every_k(void **state) {
  static const uint32_t sizes[] = {1, 2, 4, 8, 16, KAD_K_MAX};
  (void)state;
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    assert_true(measure_recall(sizes[i], 160, 4) >= 9900);
  }
}

static void the_greatest_k_fits_any_reply(void **state) {
  (void)state;
  assert_true(measure_recall(KAD_K_MAX, 160, 6) >= 9900);
  assert_true(measure_recall(KAD_K_MAX, 256, 4) >= 9900);
  assert_true(measure_recall(KAD_K_MAX, 256, 6) >= 9900);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_lookup_finds_the_k_closest_for_every_k),
      cmocka_unit_test(the_greatest_k_fits_any_reply),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
