#include "base/address.h"
#include "base/id.h"
#include "engine/node.h"
#include "sim/hostile.h"

#include <string.h>

enum {
  CONTACTS = 8,      /* in a lie */
  TRIES = 48,        /* hostile members looked at for an accomplice */
  BITS = 8,          /* of a byte */
  DIFFERENT = 5,     /* bytes in which an invented id differs from the target */
  FIRST_NETWORK = 40 /* first byte of invented addresses: 16 values from here */
};

/* The closest contacts so far, closest first. */
struct lie {
  const struct kad_id *target;
  struct kad_contact *contacts;
  size_t count;
};

/* Inserts `contact` if it is among the closest. */
static void insert_contact(struct lie *lie, const struct kad_contact *contact) {
  size_t i = 0;
  while (i < lie->count &&
         kad_id_compare(lie->target, &lie->contacts[i].id, &contact->id) < 0) {
    i++;
  }
  if (i == CONTACTS ||
      (i < lie->count && kad_id_equal(&lie->contacts[i].id, &contact->id))) {
    return;
  }
  lie->count += lie->count < CONTACTS;
  memmove(&lie->contacts[i + 1], &lie->contacts[i],
          (lie->count - 1 - i) * sizeof *contact);
  lie->contacts[i] = *contact;
}

static bool is_accomplice(const struct kad_hostile *hostile,
                          const struct kad_hostile *other) {
  return other != hostile &&
         other->hostility.behaviour == hostile->hostility.behaviour &&
         (other->hostility.behaviour != KAD_SIM_BEHAVIOUR_SYBIL ||
          kad_id_equal(&other->hostility.key, &hostile->hostility.key));
}

/* Draws a hostile member. Returns it, and its address of `family`, or NULL if
 * it is no accomplice with such an address. */
static struct kad_hostile *draw_accomplice(struct kad_hostile *hostile,
                                           unsigned family,
                                           struct kad_address *address) {
  const struct kad_sim *sim = kad_sim_of(hostile->member->base.network);
  const struct kad_address any = {.family = (uint8_t)family};
  struct kad_hostile *other =
      sim->hostiles[kad_hostile_draw(hostile, sim->hostile_count)];
  const struct kad_member *member = &other->member->base;
  const int source = kad_member_source(member, &any);
  if (source < 0 || member->leaving || !is_accomplice(hostile, other)) {
    return NULL;
  }
  *address = member->addresses[source];
  return other;
}

/* Adds the closest of some accomplices that have an address of `family`. */
static void add_accomplices(struct kad_hostile *hostile, unsigned family,
                            struct lie *lie) {
  for (unsigned i = 0; i < TRIES; i++) {
    struct kad_contact contact;
    const struct kad_hostile *other =
        draw_accomplice(hostile, family, &contact.address);
    if (other != NULL) {
      contact.id = *kad_node_id(other->member->base.node);
      insert_contact(lie, &contact);
    }
  }
}

/* Makes a contact that does not exist, closer to the target than any real one.
 */
static struct kad_contact invent_contact(struct kad_hostile *hostile,
                                         unsigned family,
                                         const struct kad_id *target) {
  const size_t id_size = kad_hostile_id_size(hostile);
  struct kad_contact made = {.id = *target};
  made.address.family = (uint8_t)family;
  made.address.port = 6881;
  kad_hostile_fill(hostile, made.id.bytes + id_size - DIFFERENT, DIFFERENT);
  kad_hostile_fill(hostile, made.address.ip,
                   kad_address_ip_size(&made.address));
  made.address.ip[0] = (uint8_t)(FIRST_NETWORK + (made.address.ip[0] & 15));
  return made;
}

static void add_invented(struct kad_hostile *hostile, unsigned family,
                         size_t count, struct lie *lie) {
  for (size_t i = 0; i < count; i++) {
    const struct kad_contact made =
        invent_contact(hostile, family, lie->target);
    insert_contact(lie, &made);
  }
}

/* --------------------------------------------------------------- roles -- */

static const struct kad_hostile_role *find_role(
    const struct kad_hostile *hostile, const uint8_t *target) {
  for (size_t i = 0; i < KAD_HOSTILE_ROLES; i++) {
    const struct kad_hostile_role *role = &hostile->roles[i];
    if (role->taken &&
        memcmp(role->target.bytes, target, KAD_HOSTILE_TOKEN) == 0) {
      return role;
    }
  }
  return NULL;
}

const struct kad_id *kad_hostile_claimed_id(const struct kad_hostile *hostile,
                                            const uint8_t *target) {
  const struct kad_hostile_role *role = find_role(hostile, target);
  return role != NULL ? &role->id : kad_node_id(hostile->member->base.node);
}

/* Gives a role to a member that has none for `target`, in place of its oldest.
 */
static void take_role(struct kad_hostile *hostile, const struct kad_id *target,
                      const struct kad_id *id) {
  hostile->roles[hostile->next_role++ % KAD_HOSTILE_ROLES] =
      (struct kad_hostile_role){.taken = true, .target = *target, .id = *id};
}

/* Moves `contact` to the address of an accomplice, which takes the role of its
 * id. If that has a role already which is closer than `as` (NULL: any), changes
 * the id instead. Leaves `contact` as it is if no accomplice fits. */
static void cast_accomplice(struct kad_hostile *hostile,
                            const struct kad_id *target,
                            const struct kad_id *as,
                            struct kad_contact *contact) {
  for (unsigned i = 0; i < TRIES; i++) {
    struct kad_address address;
    struct kad_hostile *other =
        draw_accomplice(hostile, contact->address.family, &address);
    if (other == NULL ||
        kad_id_equal(kad_node_id(other->member->base.node), &contact->id)) {
      continue;
    }
    const struct kad_hostile_role *role = find_role(other, target->bytes);
    if (role == NULL) {
      take_role(other, target, &contact->id);
    } else if (as == NULL || kad_id_compare(target, &role->id, as) < 0) {
      contact->id = role->id;
    } else {
      continue;
    }
    contact->address = address;
    return;
  }
}

/* Adds the closest ids of its table: in turn at an invented address and at that
 * of an accomplice. */
static void add_misplaced(struct kad_hostile *hostile, unsigned family,
                          const struct kad_contact *known, size_t count,
                          struct lie *lie) {
  for (size_t i = 0; i < count; i++) {
    struct kad_contact made = invent_contact(hostile, family, lie->target);
    made.id = known[i].id;
    if (i % 2 != 0) {
      cast_accomplice(hostile, lie->target, NULL, &made);
    }
    insert_contact(lie, &made);
  }
}

/* Adds the addresses of the closest contacts of its table, with invented ids.
 */
static void add_mislabeled(struct kad_hostile *hostile, unsigned family,
                           const struct kad_contact *known, size_t count,
                           struct lie *lie) {
  for (size_t i = 0; i < count; i++) {
    struct kad_contact made = invent_contact(hostile, family, lie->target);
    made.address = known[i].address;
    insert_contact(lie, &made);
  }
}

/* Adds ids that do not exist, each of which shares more bits with the target
 * than `as`, at the addresses of accomplices, or at invented ones if each has a
 * role that is farther. */
static void add_lures(struct kad_hostile *hostile, unsigned family,
                      const struct kad_id *as, struct lie *lie) {
  const size_t id_size = kad_hostile_id_size(hostile);
  const size_t last = BITS * id_size - 1;
  const size_t shared = kad_id_prefix(lie->target, as);
  for (size_t i = 1; i <= CONTACTS; i++) {
    const size_t bit = shared + i < last ? shared + i : last;
    struct kad_contact lure = invent_contact(hostile, family, lie->target);
    lure.id = *lie->target;
    lure.id.bytes[bit / BITS] ^= (uint8_t)(0x80U >> bit % BITS);
    kad_hostile_fill(hostile, &lure.id.bytes[bit / BITS + 1],
                     id_size - bit / BITS - 1);
    cast_accomplice(hostile, lie->target, as, &lure);
    insert_contact(lie, &lure);
  }
}

void kad_hostile_fill_contacts(struct kad_hostile *hostile, unsigned family,
                               const struct kad_id *target,
                               const struct kad_id *as,
                               struct kad_message *reply) {
  struct lie lie = {.target = target, .contacts = reply->contacts};
  struct kad_contact known[CONTACTS];
  const struct kad_node *node = hostile->member->base.node;
  const size_t count = kad_table_closest(kad_node_table(node, family), target,
                                         kad_node_now(node), known, CONTACTS);
  switch (hostile->hostility.behaviour) {
  case KAD_SIM_BEHAVIOUR_LIAR:
    add_accomplices(hostile, family, &lie);
    add_invented(hostile, family, CONTACTS / 2, &lie);
    break;
  case KAD_SIM_BEHAVIOUR_SYBIL:
    add_accomplices(hostile, family, &lie);
    break;
  case KAD_SIM_BEHAVIOUR_MISPLACER:
    add_misplaced(hostile, family, known, count, &lie);
    break;
  case KAD_SIM_BEHAVIOUR_MISLABELER:
    add_mislabeled(hostile, family, known, count, &lie);
    break;
  case KAD_SIM_BEHAVIOUR_LURER:
    add_lures(hostile, family, as, &lie);
    break;
  case KAD_SIM_BEHAVIOUR_HONEST:
  case KAD_SIM_BEHAVIOUR_SILENT:
  case KAD_SIM_BEHAVIOUR_FLOODER:
  case KAD_SIM_BEHAVIOUR_REPLAYER:
  case KAD_SIM_BEHAVIOUR_GARBAGE:
  case KAD_SIM_BEHAVIOUR_COUNT:
    break;
  }
  reply->contact_count = lie.count;
  reply->has_nodes = family == 4;
  reply->has_nodes6 = family == 6;
}
