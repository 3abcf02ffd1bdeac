/* Contacts that name honest ids at wrong addresses, honest addresses with wrong
 * ids, or ids that do not exist. Tests core/lookup. */
#include "kadenza.h"
#include "played.h"
#include "unit.h"

#include <string.h>

enum {
  KNOWN = 10,      /* contacts in the table; the first lies, and is quickest */
  HONEST = 40,     /* numbers of the others that exist begin here */
  COUNT = 60,      /* contacts */
  NOWHERE = 1000,  /* number of the first address where no contact is */
  QUICK_MS = 10,   /* until a liar answers */
  SLOW_LURES = 30, /* contacts of a chain, each closer than the one before */
  LURE_BIT = 60    /* that the first of these differs from the target in */
};

static struct kad_played world;

/* Opens a world whose contact 0 is closest in the table, and first to answer.
 */
static void open_world(size_t (*teach)(const struct kad_played *, size_t,
                                       struct kad_contact *)) {
  kad_played_open(&world, COUNT, 0);
  world.contacts[0].id = kad_lone_target;
  world.contacts[0].id.bytes[1] ^= 1;
  for (size_t i = 0; i < KNOWN; i++) {
    kad_lone_add_contact(&world.lone, &world.contacts[i]);
  }
  world.lone.answered = world.lone.sent;
  world.delay_ms[0] = QUICK_MS;
  world.teach = teach;
}

/* Fails unless the lookup found the eight closest contacts. */
static void assert_found_closest(void) {
  struct kad_contact closest[8];
  const size_t count = kad_played_teach_closest(&world, 0, closest);
  assert_int_equal(world.status, 0);
  assert_int_equal(world.closest_count, count);
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(world.closest[i],
                     kad_played_find(&world, &closest[i].address));
  }
}

/* Contact 0 names the closest ids at addresses where no contact is. */
static size_t teach_dead_addresses(const struct kad_played *w, size_t who,
                                   struct kad_contact *out) {
  const size_t count = kad_played_teach_closest(w, who, out);
  for (size_t i = 0; who == 0 && i < count; i++) {
    out[i].address = kad_lone_contact((unsigned)(NOWHERE + i)).address;
  }
  return count;
}

static void an_id_at_a_dead_address_does_not_hide_the_contact(void **state) {
  const uint32_t paths[] = {1, 8};
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    const struct kad_lookup_options options = {.paths = paths[i]};
    open_world(teach_dead_addresses);

    kad_played_look_up(&world, &options);

    assert_found_closest();
    kad_played_close(&world);
  }
}

/* The number of the contact that is closest to the target, but contact 0. */
static size_t find_victim(const struct kad_played *w) {
  struct kad_contact closest[8];
  (void)kad_played_teach_closest(w, 0, closest);
  const size_t first = kad_played_find(w, &closest[0].address);
  return first == 0 ? kad_played_find(w, &closest[1].address) : first;
}

/* Contact 0 names the victim's id at the address of its accomplice, the last
 * contact, which answers under that id. */
static size_t teach_impostor(const struct kad_played *w, size_t who,
                             struct kad_contact *out) {
  if (who == 0) {
    out[0] = w->contacts[COUNT - 1];
    return 1;
  }
  size_t count = 0;
  struct kad_contact closest[8];
  const size_t all = kad_played_teach_closest(w, who, closest);
  for (size_t i = 0; i < all; i++) {
    if (!kad_address_equal(&closest[i].address,
                           &w->contacts[COUNT - 1].address)) {
      out[count++] = closest[i];
    }
  }
  return count;
}

static void an_impostor_does_not_hide_the_contact(void **state) {
  const struct kad_lookup_options options = {.paths = 4};
  (void)state;
  open_world(teach_impostor);
  world.contacts[COUNT - 1].id = kad_lone_contact(COUNT + 1).id;
  const size_t victim = find_victim(&world);
  world.contacts[COUNT - 1].id = world.contacts[victim].id;
  world.delay_ms[COUNT - 1] = QUICK_MS;

  kad_played_look_up(&world, &options);

  assert_int_equal(world.asked[victim], 1);
  bool found = false;
  for (size_t i = 0; i < world.closest_count; i++) {
    found = found || world.closest[i] == victim;
    assert_int_not_equal(world.closest[i], COUNT - 1);
  }
  assert_true(found);
  kad_played_close(&world);
}

/* Contact 0 names the closest contacts with ids that are far from the target.
 */
static size_t teach_far_ids(const struct kad_played *w, size_t who,
                            struct kad_contact *out) {
  const size_t count = kad_played_teach_closest(w, who, out);
  for (size_t i = 0; who == 0 && i < count; i++) {
    out[i].id.bytes[0] = (uint8_t)~kad_lone_target.bytes[0];
  }
  return count;
}

static void an_address_with_a_far_id_does_not_hide_the_contact(void **state) {
  (void)state;
  open_world(teach_far_ids);

  kad_played_look_up(&world, NULL);

  assert_found_closest();
  kad_played_close(&world);
}

/* Every contact names the closest contacts with ids that are closer still. */
static size_t teach_close_ids(const struct kad_played *w, size_t who,
                              struct kad_contact *out) {
  const size_t count = kad_played_teach_closest(w, who, out);
  for (size_t i = 0; i < count; i++) {
    out[i].id = kad_lone_target;
    out[i].id.bytes[18] ^= (uint8_t)(who + 1);
    out[i].id.bytes[19] ^= (uint8_t)(i + 1);
  }
  return count;
}

/* The contact at the address answers under its own id, and that counts. Under
 * however many ids it is named, it is asked once. */
static void an_address_with_a_wrong_id_is_asked_once_and_counts(void **state) {
  const uint32_t paths[] = {1, 8};
  (void)state;
  for (size_t n = 0; n < 2; n++) {
    const struct kad_lookup_options options = {.paths = paths[n]};
    open_world(teach_close_ids);

    kad_played_look_up(&world, &options);

    assert_found_closest();
    for (size_t i = 0; i < world.count; i++) {
      assert_true(world.asked[i] <= 1);
    }
    kad_played_close(&world);
  }
}

/* Contact 0 names the first of a chain, each of which is closer to the target
 * than any real contact, and names the next one. */
static size_t teach_lures(const struct kad_played *w, size_t who,
                          struct kad_contact *out) {
  if (who == 0 || who >= COUNT - SLOW_LURES) {
    const size_t next = who == 0 ? COUNT - SLOW_LURES : who + 1;
    out[0] = w->contacts[next];
    return next < COUNT;
  }
  size_t count = 0;
  struct kad_contact closest[8];
  const size_t all = kad_played_teach_closest(w, who, closest);
  for (size_t i = 0; i < all; i++) {
    if (kad_played_find(w, &closest[i].address) < COUNT - SLOW_LURES) {
      out[count++] = closest[i];
    }
  }
  return count;
}

static void ever_closer_ids_do_not_keep_a_lookup_going(void **state) {
  const struct kad_lookup_options options = {.paths = 4};
  (void)state;
  open_world(kad_played_teach_closest);
  kad_played_look_up(&world, NULL); /* the network size is known now */
  const unsigned before = world.messages;
  assert_true(kad_lone_stats(&world.lone).network_size > 0);
  for (size_t i = 0; i < SLOW_LURES; i++) {
    struct kad_contact *lure = &world.contacts[COUNT - SLOW_LURES + i];
    const size_t bit = LURE_BIT + i;
    lure->address = kad_lone_contact((unsigned)(NOWHERE + i)).address;
    lure->id = kad_lone_target;
    lure->id.bytes[bit / 8] ^= (uint8_t)(0x80U >> bit % 8);
  }
  world.teach = teach_lures;
  world.calls = 0;
  memset(world.asked, 0, sizeof world.asked);

  kad_played_look_up(&world, &options);

  assert_int_equal(world.status, 0);
  for (size_t i = COUNT - SLOW_LURES; i < COUNT; i++) {
    assert_int_equal(world.asked[i], 0);
  }
  assert_true(world.messages < 2 * before + 2 * KNOWN);
  kad_played_close(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_id_at_a_dead_address_does_not_hide_the_contact),
      cmocka_unit_test(an_impostor_does_not_hide_the_contact),
      cmocka_unit_test(an_address_with_a_far_id_does_not_hide_the_contact),
      cmocka_unit_test(an_address_with_a_wrong_id_is_asked_once_and_counts),
      cmocka_unit_test(ever_closer_ids_do_not_keep_a_lookup_going),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
