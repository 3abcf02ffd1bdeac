/* A sealed overlay of 200 nodes, which 40 strangers flood: with messages that
 * are not sealed, random bytes, what they have overheard, and changed copies of
 * it, in the names of members, too. The overlay works as without them, and
 * virtual time repeats itself byte for byte.
 *
 * Tests core/rpc/sealing.c. */
#include "kadenza_network_key.h"
#include "overlay.h"
#include "sim/sim.h"
#include "unit.h"

#include <string.h>

enum {
  NODES = 200,
  STRANGERS = NODES / 5,
  PER_S = 20,    /* datagrams of each stranger a second: 4 for each member */
  TICK_MS = 100, /* between their bursts */
  KEYS = 100,
  OVERHEARD = 4096,
  LEN_MAX = 1500,
  SETTLE_MS = 7 * KAD_MINUTE_MS /* until the first replays are stale */
};

static const struct kad_network_keys keys = {.keys = {{1}}, .count = 1};
static const struct kad_network_keys old_keys = {.keys = {{2}}, .count = 1};

/* A datagram between members. */
struct datagram {
  struct kad_address from;
  size_t len;
  uint8_t bytes[LEN_MAX];
};

static struct kad_overlay overlay;

static struct flood {
  bool is_on;
  uint64_t random;
  uint64_t sent;
  uint64_t answered; /* datagrams that strangers got */
  uint64_t heard;
  struct datagram overheard[OVERHEARD];
} flood;

/* What an overlay does for its users. */
struct figures {
  unsigned stored; /* of KEYS */
  unsigned found;
  uint32_t holders;
  uint32_t messages; /* of the gets */
  uint64_t took_ms;
};

static uint64_t draw(uint64_t bound) {
  flood.random = flood.random * 6364136223846793005 + 1442695040888963407;
  return (flood.random >> 33) % bound;
}

static bool is_stranger(const struct kad_address *address) {
  for (size_t i = NODES; i < NODES + STRANGERS; i++) {
    const struct kad_address own = kad_overlay_address(i);
    if (kad_address_equal(&own, address)) {
      return true;
    }
  }
  return false;
}

static void overhear(void *data, const struct kad_sim_event *event) {
  struct datagram *copy = &flood.overheard[flood.heard % OVERHEARD];
  (void)data;
  flood.answered += is_stranger(event->to);
  if (is_stranger(event->from) || event->bytes.len == 0) {
    return;
  }
  flood.heard++;
  copy->from = *event->from;
  copy->len = event->bytes.len;
  memcpy(copy->bytes, event->bytes.data, event->bytes.len);
}

/* Makes a datagram of one of four kinds. Returns its sender: `own`, or the
 * member that it names falsely. */
static struct kad_address make_datagram(const struct kad_address *own,
                                        struct datagram *made) {
  static const char ping[] =
      "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";
  const uint64_t kind = flood.heard == 0 ? draw(2) : draw(4);
  if (kind == 0) {
    made->len = sizeof ping - 1;
    memcpy(made->bytes, ping, made->len);
    return *own;
  }
  if (kind == 1) {
    made->len = draw(LEN_MAX);
    for (size_t i = 0; i < made->len; i++) {
      made->bytes[i] = (uint8_t)draw(256);
    }
    return *own;
  }
  const uint64_t there = flood.heard < OVERHEARD ? flood.heard : OVERHEARD;
  *made = flood.overheard[draw(there)];
  if (kind == 2) {
    made->bytes[draw(made->len)] ^= (uint8_t)(1U << draw(8));
  }
  return draw(2) == 0 ? *own : made->from;
}

static void send_one(size_t stranger) {
  static struct datagram made;
  const struct kad_address own = kad_overlay_address(stranger);
  const struct kad_address to = kad_overlay_address(draw(NODES));
  const struct kad_address as = make_datagram(&own, &made);
  struct kad_member *member =
      kad_network_find_member(overlay.network, overlay.nodes[stranger]);
  kad_sim_link_forge(kad_sim_member_of(member), &as, &to,
                     (struct kad_slice){made.bytes, made.len});
  flood.sent++;
}

static void flood_once(void *data) {
  (void)data;
  for (size_t i = 0; i < STRANGERS && flood.is_on; i++) {
    for (unsigned n = 0; n < PER_S * TICK_MS / KAD_SECOND_MS; n++) {
      send_one(NODES + i);
    }
  }
  assert_ok(kad_network_start_timer(overlay.network, TICK_MS, flood_once, NULL,
                                    NULL));
}

/* Opens the members, and strangers: half of them without a key, half with one
 * that members have had. */
static void begin(uint64_t seed, bool floods) {
  const struct kad_sim_hostility garbage = {.behaviour =
                                                KAD_SIM_BEHAVIOUR_GARBAGE};
  kad_overlay_open(&overlay, seed);
  overlay.config.network_keys = &keys;
  kad_overlay_grow(&overlay, NODES);
  flood = (struct flood){.is_on = floods, .random = seed};
  for (size_t i = 0; i < STRANGERS; i++) {
    overlay.config.network_keys = i % 2 == 0 ? NULL : &old_keys;
    struct kad_node *stranger = kad_overlay_add(&overlay);
    /* It may forge senders; of itself it sends only to those it has heard. */
    assert_ok(kad_sim_set_behaviour(overlay.network, stranger, &garbage));
  }
  assert_ok(kad_sim_set_trace(overlay.network, overhear, NULL));
  flood_once(NULL);
  kad_overlay_run(&overlay, SETTLE_MS);
}

static void put_and_get(unsigned number, struct figures *figures) {
  const struct kad_id key = kad_overlay_key(number);
  const struct kad_record record = kad_overlay_record(&key, "v");
  struct kad_ending put;
  struct kad_ending get;
  kad_ending_init(&put, &overlay);
  kad_ending_init(&get, &overlay);
  if (kad_overlay_put(&overlay, number % NODES, &record, &put) == 0) {
    figures->stored++;
    figures->holders += put.result.stored;
  }
  if (kad_overlay_get(&overlay, (number + NODES / 2) % NODES, &key, "value",
                      NULL, &get) == 0) {
    figures->found++;
    figures->messages += get.result.messages;
    figures->took_ms += get.result.took_ms;
  }
  kad_ending_deinit(&put);
  kad_ending_deinit(&get);
}

static struct figures measure(void) {
  struct figures figures = {0};
  for (unsigned i = 0; i < KEYS; i++) {
    put_and_get(i, &figures);
  }
  return figures;
}

/* No contact of a member is a stranger, nor is at the address of one. */
static void check_tables(void) {
  static struct kad_contact_info known[KAD_OVERLAY_MAX];
  for (size_t i = 0; i < NODES; i++) {
    const size_t count =
        kad_node_contacts(overlay.nodes[i], known, KAD_OVERLAY_MAX);
    assert_true(count > 8);
    for (size_t n = 0; n < count; n++) {
      assert_false(is_stranger(&known[n].contact.address));
    }
  }
}

static void check_counters(void) {
  uint64_t dropped = 0;
  uint64_t stale = 0;
  uint64_t replayed = 0;
  for (size_t i = 0; i < NODES; i++) {
    const struct kad_stats stats = kad_overlay_stats(&overlay, i);
    dropped += stats.dropped_unsealed;
    stale += stats.dropped_stale;
    replayed += stats.dropped_replayed;
    assert_int_equal(stats.dropped_malformed, 0);
  }
  print_message("%llu sent, %llu not opened, %llu stale, %llu replayed, "
                "%llu answers\n",
                (unsigned long long)flood.sent, (unsigned long long)dropped,
                (unsigned long long)stale, (unsigned long long)replayed,
                (unsigned long long)flood.answered);
  assert_true(dropped > flood.sent * 6 / 10);
  /* A member answers a copy of what it has not received itself, in the window;
   * the answer is sealed, too. */
  assert_true(flood.answered < flood.sent / 5);
}

static void print_figures(const char *name, const struct figures *it) {
  print_message("%s: %u of %u stored at %.2f nodes, %u found, %.2f messages, "
                "%.1f ms\n",
                name, it->stored, (unsigned)KEYS, (double)it->holders / KEYS,
                it->found, (double)it->messages / KEYS,
                (double)it->took_ms / KEYS);
}

static void a_flood_of_strangers_changes_nothing(void **state) {
  (void)state;
  begin(3, false);
  const struct figures calm = measure();
  kad_overlay_close(&overlay);
  begin(3, true);
  const struct figures flooded = measure();
  print_figures("calm", &calm);
  print_figures("flooded", &flooded);
  check_counters();
  check_tables();
  kad_overlay_close(&overlay);
  assert_int_equal(calm.found, KEYS);
  assert_int_equal(flooded.stored, KEYS);
  assert_int_equal(flooded.found, KEYS);
  assert_true(flooded.holders >= KEYS * 8 - 2);
  assert_true(flooded.messages <= calm.messages * 12 / 10);
}

static void a_sealed_overlay_repeats_itself(void **state) {
  uint64_t hashes[3];
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    kad_overlay_open(&overlay, 5);
    overlay.config.network_keys = i < 2 ? &keys : NULL;
    kad_overlay_grow(&overlay, NODES / 10);
    kad_overlay_run(&overlay, KAD_HOUR_MS);
    hashes[i] = kad_network_trace_hash(overlay.network);
    kad_overlay_close(&overlay);
  }
  assert_true(hashes[0] == hashes[1]);
  assert_true(hashes[0] != hashes[2]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_flood_of_strangers_changes_nothing),
      cmocka_unit_test(a_sealed_overlay_repeats_itself),
  };
  return cmocka_run_group_tests_name("sealed", tests, NULL, NULL);
}
