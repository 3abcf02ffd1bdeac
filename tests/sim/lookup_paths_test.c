/* S/Kademlia §4.4: lookups over disjoint paths. */
#include "kadenza.h"
#include "played.h"
#include "unit.h"

#include <string.h>

static struct kad_played world;

/* Returns the path on which contact `who` was queried. */
static uint32_t path_of(size_t who) {
  for (size_t i = 0; i < world.path_count; i++) {
    if (kad_played_find(&world, &world.path[i].contact.address) == who) {
      return world.path[i].path;
    }
  }
  fail_msg("contact %zu was not asked", who);
  return 0;
}

/* "Takes the k closest nodes to the destination key from his local routing
 * table and distributes them into d independent lookup buckets." */
static void own_contacts_are_distributed_over_the_paths(void **state) {
  const struct kad_lookup_options options = {.alpha = 1, .paths = 4};
  struct kad_contact closest[8];
  (void)state;
  kad_played_open(&world, 8, 8);
  (void)kad_played_teach_closest(&world, 0, closest);

  kad_played_look_up(&world, &options);

  assert_int_equal(world.status, 0);
  for (size_t i = 0; i < 4; i++) {
    const struct kad_step *step = &world.path[i];
    assert_true(kad_id_equal(&step->contact.id, &closest[i].id));
    assert_int_equal(step->path, i);
  }
  kad_played_close(&world);
}

/* "Each node is used only once during the whole lookup process." */
static void a_contact_is_queried_on_one_path_only(void **state) {
  const uint32_t paths[] = {1, 4, 8, 16};
  struct kad_contact closest[8];
  (void)state;
  for (size_t n = 0; n < 4; n++) {
    const struct kad_lookup_options options = {.paths = paths[n]};
    kad_played_open(&world, 60, 20);

    kad_played_look_up(&world, &options);

    assert_int_equal(world.status, 0);
    for (size_t i = 0; i < world.count; i++) {
      assert_true(world.asked[i] <= 1);
    }
    const size_t count = kad_played_teach_closest(&world, 0, closest);
    assert_int_equal(world.closest_count, count);
    for (size_t i = 0; i < count; i++) {
      assert_int_equal(world.closest[i],
                       kad_played_find(&world, &closest[i].address));
    }
    kad_played_close(&world);
  }
}

/* Names the contacts with the next numbers after `who`. */
static size_t teach_neighbours(const struct kad_played *w, size_t who,
                               struct kad_contact *out) {
  size_t count = 0;
  for (size_t i = who + 1; i < w->count && count < 8; i++) {
    out[count++] = w->contacts[i];
  }
  return count;
}

/* The lookup buckets are independent: only the path that queried a contact uses
 * the contacts that it names. */
static void contacts_of_a_reply_stay_on_its_path(void **state) {
  const struct kad_lookup_options options = {.paths = 4};
  size_t heard = 0;
  (void)state;
  kad_played_open(&world, 60, 12);
  world.teach = teach_neighbours;

  kad_played_look_up(&world, &options);

  for (size_t i = 0; i < world.path_count; i++) {
    const struct kad_step *step = &world.path[i];
    if (step->heard_from.address.family != 0) {
      const size_t by = kad_played_find(&world, &step->heard_from.address);
      assert_int_equal(step->path, path_of(by));
      heard++;
    }
  }
  assert_true(heard > 0);
  kad_played_close(&world);
}

enum {
  KNOWN = 8,  /* contacts in the table; the three closest collude */
  LIARS = 8,  /* contacts that they name; these name only each other */
  HONEST = 8, /* the closest of all; the other five name them */
  COLLUDING = 3
};

/* Colluding contacts name only each other. */
static size_t teach_friends(const struct kad_played *w, size_t who,
                            struct kad_contact *out) {
  const bool lies = who < COLLUDING || (who >= KNOWN && who < KNOWN + LIARS);
  const size_t from = lies ? KNOWN : KNOWN + LIARS;
  memcpy(out, &w->contacts[from], LIARS * sizeof *out);
  return LIARS;
}

/* Sets the distance of contact `who`. */
static void set_distance(size_t who, unsigned distance) {
  world.contacts[who].id = kad_lone_target;
  world.contacts[who].id.bytes[2] ^= (uint8_t)(distance >> 8);
  world.contacts[who].id.bytes[3] ^= (uint8_t)distance;
}

static void open_conspiracy(void) {
  kad_played_open(&world, KNOWN + LIARS + HONEST, 0);
  world.teach = teach_friends;
  for (unsigned i = 0; i < 8; i++) {
    set_distance(i, 1000 + i);
    set_distance(KNOWN + i, 100 + i);
    set_distance(KNOWN + LIARS + i, 10 + i);
    kad_lone_add_contact(&world.lone, &world.contacts[i]);
  }
  world.lone.answered = world.lone.sent;
}

/* "A lookup is successful as long as one path is free of adversarial nodes." */
static void colluding_contacts_mislead_only_their_path(void **state) {
  const struct kad_lookup_options one = {.alpha = 1, .paths = 1};
  const struct kad_lookup_options four = {.alpha = 1, .paths = 4};
  (void)state;
  open_conspiracy();
  kad_played_look_up(&world, &one);
  assert_int_equal(world.closest[0], KNOWN);
  kad_played_close(&world);

  open_conspiracy();
  kad_played_look_up(&world, &four);
  for (size_t i = 0; i < HONEST; i++) {
    assert_int_equal(world.closest[i], KNOWN + LIARS + i);
  }
  kad_played_close(&world);
}

/* Contact 0, the closest of the table, invents forty closer contacts. */
static size_t teach_inventions(const struct kad_played *w, size_t who,
                               struct kad_contact *out) {
  if (who != 0) {
    return kad_played_teach_closest(w, who, out);
  }
  for (unsigned i = 0; i < 40; i++) {
    out[i] = kad_lone_contact(1000 + i);
    out[i].id = kad_lone_target;
    out[i].id.bytes[19] ^= (uint8_t)(i + 1);
  }
  return 40;
}

/* A contact that named several dead contacts is misleading: the others that it
 * named are queried only when no other candidates are left. */
static void other_contacts_of_a_misleading_contact_come_last(void **state) {
  const struct kad_lookup_options options = {.alpha = 3};
  (void)state;
  kad_played_open(&world, 20, 0);
  set_distance(0, 1);
  for (size_t i = 0; i < 20; i++) {
    kad_lone_add_contact(&world.lone, &world.contacts[i]);
  }
  world.lone.answered = world.lone.sent;
  world.teach = teach_inventions;

  kad_played_look_up(&world, &options);

  assert_int_equal(world.status, 0);
  assert_int_equal(world.closest_count, 8);
  assert_int_equal(world.closest[0], 0);
  assert_true(world.messages <= 8 + 2 * options.alpha);
  kad_played_close(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(own_contacts_are_distributed_over_the_paths),
      cmocka_unit_test(a_contact_is_queried_on_one_path_only),
      cmocka_unit_test(contacts_of_a_reply_stay_on_its_path),
      cmocka_unit_test(colluding_contacts_mislead_only_their_path),
      cmocka_unit_test(other_contacts_of_a_misleading_contact_come_last),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
