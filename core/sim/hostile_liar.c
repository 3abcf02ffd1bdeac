#include "base/address.h"
#include "base/id.h"
#include "sim/hostile.h"

#include <string.h>

enum {
  CONTACTS = 8,      /* in a lie */
  TRIES = 48,        /* hostile members looked at for a lie */
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

/* Adds the closest of some accomplices that have an address of `family`. */
static void add_accomplices(struct kad_hostile *hostile, unsigned family,
                            struct lie *lie) {
  const struct kad_sim *sim = kad_sim_of(hostile->member->base.network);
  const struct kad_address any = {.family = (uint8_t)family};
  for (unsigned i = 0; i < TRIES; i++) {
    const struct kad_hostile *other =
        sim->hostiles[kad_hostile_draw(hostile, sim->hostile_count)];
    const struct kad_member *member = &other->member->base;
    const int source = kad_member_source(member, &any);
    if (source < 0 || member->leaving || !is_accomplice(hostile, other)) {
      continue;
    }
    const struct kad_contact contact = {.id = *kad_node_id(member->node),
                                        .address = member->addresses[source]};
    insert_contact(lie, &contact);
  }
}

/* Adds nodes that do not exist, closer to the target than any real node. */
static void add_invented(struct kad_hostile *hostile, unsigned family,
                         size_t count, struct lie *lie) {
  const size_t id_size = kad_hostile_id_size(hostile);
  for (size_t i = 0; i < count; i++) {
    struct kad_contact contact = {.id = *lie->target};
    contact.address.family = (uint8_t)family;
    contact.address.port = 6881;
    kad_hostile_fill(hostile, contact.id.bytes + id_size - DIFFERENT,
                     DIFFERENT);
    kad_hostile_fill(hostile, contact.address.ip,
                     kad_address_ip_size(&contact.address));
    contact.address.ip[0] =
        (uint8_t)(FIRST_NETWORK + (contact.address.ip[0] & 15));
    insert_contact(lie, &contact);
  }
}

/* Fills in the contacts of a reply about `target`. */
static void fill_contacts(struct kad_hostile *hostile, unsigned family,
                          const struct kad_id *target,
                          struct kad_message *reply) {
  struct lie lie = {.target = target, .contacts = reply->contacts};
  add_accomplices(hostile, family, &lie);
  if (hostile->hostility.behaviour == KAD_SIM_BEHAVIOUR_LIAR) {
    add_invented(hostile, family, CONTACTS / 2, &lie);
  }
  reply->contact_count = lie.count;
  reply->has_nodes = family == 4;
  reply->has_nodes6 = family == 6;
}

/* Sends a lie. `token` is memory for a token. */
static void send_lie(struct kad_hostile *hostile,
                     const struct kad_address *from,
                     const struct kad_message *query, uint8_t token[8]) {
  struct kad_message reply;
  kad_message_init(&reply, KAD_MESSAGE_REPLY);
  reply.transaction = query->transaction;
  reply.has_id = true;
  reply.id = *kad_node_id(hostile->member->base.node);
  reply.observed = *from;
  if (query->method == KAD_METHOD_STORE) {
    reply.has_stored = true;
    reply.stored = (uint32_t)query->record_count;
  } else if (query->method != KAD_METHOD_ANNOUNCE_PEER &&
             query->method != KAD_METHOD_PUT) {
    fill_contacts(hostile, from->family, &query->target, &reply);
  }
  if (query->method == KAD_METHOD_FIND_VALUE ||
      query->method == KAD_METHOD_GET) {
    reply.has_total = true;
  }
  if (query->method == KAD_METHOD_FIND_VALUE ||
      query->method == KAD_METHOD_GET ||
      query->method == KAD_METHOD_GET_PEERS) {
    kad_hostile_fill(hostile, token, 8);
    reply.token = (struct kad_slice){token, 8};
  }
  kad_hostile_send(hostile, from, &reply);
}

bool kad_hostile_liar_reply(struct kad_hostile *hostile,
                            const struct kad_address *from,
                            const struct kad_message *query) {
  uint8_t token[8];
  if (query->method == KAD_METHOD_PING) {
    return false;
  }
  if (hostile->hostility.behaviour != KAD_SIM_BEHAVIOUR_SILENT &&
      query->method != KAD_METHOD_CUSTOM) {
    send_lie(hostile, from, query, token);
  }
  return true;
}
