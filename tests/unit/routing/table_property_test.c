/* Properties of every table, checked on thousands of random tables of both id
 * sizes. Source: Kademlia §2.2, §2.4 (splitting), §2.3 (random id of a bucket).
 */
#include "counting_allocator.h"
#include "routing/table.h"
#include "unit.h"

enum {
  TABLES = 2000,
  ADDITIONS_MAX = 160,
  K_MAX = 20,
  RANDOM_IDS = 8, /* of each bucket */
  PING_MS = 1000
};

struct world {
  struct kad_counting_allocator counting;
  struct kad_table_config config;
  struct kad_table *table;
  uint64_t seed;
};

static uint64_t draw(struct world *world) {
  world->seed = world->seed * UINT64_C(6364136223846793005) +
                UINT64_C(1442695040888963407);
  return world->seed >> 33;
}

static void draw_id(struct world *world, struct kad_id *id) {
  *id = (struct kad_id){0};
  for (size_t i = 0; i < world->config.id_bits / 8; i++) {
    id->bytes[i] = (uint8_t)draw(world);
  }
}

/* Draws an id that shares exactly `bits` leading bits with ours. */
static void draw_id_sharing(struct world *world, size_t bits,
                            struct kad_id *id) {
  const uint8_t *self = world->config.self.bytes;
  draw_id(world, id);
  for (size_t i = 0; i <= bits; i++) {
    const uint8_t mask = (uint8_t)(0x80U >> i % 8);
    const uint8_t own = self[i / 8] & mask;
    const uint8_t bit = i < bits ? own : (uint8_t)(own ^ mask);
    id->bytes[i / 8] = (uint8_t)((id->bytes[i / 8] & ~mask) | bit);
  }
}

/* Makes table number `number`. Half of them meet contacts at all distances,
 * half as many near as far, as a node does. */
static void open_table(struct world *world, unsigned id_bits, unsigned number) {
  world->seed = number;
  world->config = (struct kad_table_config){
      .id_bits = id_bits,
      .family = 4,
      .k = 1 + (uint32_t)(draw(world) % K_MAX),
      .ping_ms = PING_MS,
  };
  draw_id(world, &world->config.self);
  assert_ok(kad_table_new(&world->config, &world->counting.allocator, 0,
                          &world->table));
}

static size_t draw_distance(struct world *world, unsigned number) {
  if (number % 2 == 0) {
    return draw(world) % world->config.id_bits;
  }
  size_t bits = 0;
  while (bits + 1 < world->config.id_bits && draw(world) % 2 == 0) {
    bits++;
  }
  return bits;
}

/* Returns the number of contacts of bucket `index`. */
static size_t count_in(const struct world *world, size_t index) {
  size_t count = 0;
  size_t bucket = 0;
  size_t slot = 0;
  while (kad_table_next(world->table, &bucket, &slot) != NULL) {
    count += bucket == index ? 1 : 0;
  }
  return count;
}

/* Only a full bucket that may not split keeps a newcomer out. */
static void check_full(const struct world *world, const struct kad_id *id) {
  const size_t bucket = kad_table_bucket_of(world->table, id);
  const size_t last = kad_table_buckets(world->table) - 1;
  assert_int_equal(count_in(world, bucket), world->config.k);
  assert_true(bucket < last || last + 1 == world->config.id_bits);
}

static void fill(struct world *world, unsigned number) {
  const size_t additions = 1 + draw(world) % ADDITIONS_MAX;
  for (size_t i = 0; i < additions; i++) {
    struct kad_contact contact = {
        .address = {.ip = {80, (uint8_t)(i >> 8), (uint8_t)i, 1},
                    .port = 6881,
                    .family = 4},
    };
    draw_id_sharing(world, draw_distance(world, number), &contact.id);
    const struct kad_table_entry *probe = NULL;
    const int error = kad_table_add(world->table, &contact, 1, 0, &probe);
    assert_true(error == 0 || error == KAD_EFULL || error == KAD_EID);
    if (error == KAD_EFULL) {
      check_full(world, &contact.id);
    }
  }
}

/* Every contact is in the bucket of its id, no bucket has more than k contacts,
 * and no bucket was split without need. */
static void check_bounds(struct world *world) {
  const size_t buckets = kad_table_buckets(world->table);
  size_t counts[256] = {0};
  size_t count = 0;
  size_t bucket = 0;
  size_t slot = 0;
  const struct kad_table_entry *entry;
  while ((entry = kad_table_next(world->table, &bucket, &slot)) != NULL) {
    const size_t shared =
        kad_id_prefix(&world->config.self, &entry->contact.id);
    assert_int_equal(bucket, shared < buckets - 1 ? shared : buckets - 1);
    counts[bucket]++;
    count++;
  }
  assert_in_range(buckets, 1, world->config.id_bits);
  assert_int_equal(count, kad_table_count(world->table));
  for (size_t i = 0; i < buckets; i++) {
    assert_in_range(counts[i], 0, world->config.k);
  }
  /* The last two were one bucket, with k contacts and a newcomer. */
  if (buckets > 1) {
    assert_true(counts[buckets - 1] + counts[buckets - 2] >= world->config.k);
  }
}

static void check_random_ids(struct world *world) {
  const size_t buckets = kad_table_buckets(world->table);
  for (size_t i = 0; i < buckets * RANDOM_IDS; i++) {
    const size_t index = i % buckets;
    struct kad_id random;
    struct kad_id id;
    draw_id(world, &random);
    kad_table_random_id(world->table, index, random.bytes, &id);
    const size_t shared = kad_id_prefix(&world->config.self, &id);
    assert_int_equal(kad_table_bucket_of(world->table, &id), index);
    assert_true(index + 1 == buckets ? shared >= index : shared == index);
    for (size_t n = world->config.id_bits / 8; n < KAD_ID_SIZE; n++) {
      assert_int_equal(id.bytes[n], 0);
    }
  }
}

/* Runs `check` on many tables, one for each number. */
static void for_all(unsigned id_bits, void (*check)(struct world *world)) {
  static struct world world;
  kad_counting_init(&world.counting);
  for (unsigned number = 1; number <= TABLES; number++) {
    open_table(&world, id_bits, number);
    fill(&world, number);
    check(&world);
    kad_table_free(world.table);
  }
  kad_counting_deinit(&world.counting);
}

static void splitting_keeps_the_bounds_of_160_bits(void **state) {
  (void)state;
  for_all(160, check_bounds);
}

static void splitting_keeps_the_bounds_of_256_bits(void **state) {
  (void)state;
  for_all(256, check_bounds);
}

static void a_random_id_of_160_bits_belongs_to_its_bucket(void **state) {
  (void)state;
  for_all(160, check_random_ids);
}

static void a_random_id_of_256_bits_belongs_to_its_bucket(void **state) {
  (void)state;
  for_all(256, check_random_ids);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(splitting_keeps_the_bounds_of_160_bits),
      cmocka_unit_test(splitting_keeps_the_bounds_of_256_bits),
      cmocka_unit_test(a_random_id_of_160_bits_belongs_to_its_bucket),
      cmocka_unit_test(a_random_id_of_256_bits_belongs_to_its_bucket),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
