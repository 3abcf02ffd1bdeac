#include "sim/hostile.h"

#include <string.h>

/* Those that send by themselves: floods, replays, garbage. */

enum {
  TRANSACTION_SIZE = 6, /* of a flooder: two letters, its place, three bytes */
  PLACE = 2,
  JUNK_SIZE = 700,
  JUNK_SECONDS = 86400,
  LONGEST_NOISE = 600,
  MUTATIONS = 8
};

static void know(struct kad_hostile *hostile,
                 const struct kad_address *address) {
  struct kad_hostile_memory *memory = hostile->memory;
  for (size_t i = 0; i < memory->known_count; i++) {
    if (kad_address_equal(&memory->known[i], address)) {
      return;
    }
  }
  const size_t i = memory->known_count < KAD_HOSTILE_KNOWN
                       ? memory->known_count++
                       : kad_hostile_draw(hostile, KAD_HOSTILE_KNOWN);
  memory->known[i] = *address;
}

static void keep(struct kad_hostile *hostile, const struct kad_address *from,
                 struct kad_slice datagram) {
  struct kad_hostile_memory *memory = hostile->memory;
  const size_t i = memory->seen_count < KAD_HOSTILE_SEEN
                       ? memory->seen_count++
                       : kad_hostile_draw(hostile, KAD_HOSTILE_SEEN);
  struct kad_hostile_datagram *seen = &memory->seen[i];
  seen->from = *from;
  seen->len = datagram.len;
  if (datagram.len > 0) {
    memcpy(seen->bytes, datagram.data, datagram.len);
  }
}

static const struct kad_address *anyone(struct kad_hostile *hostile) {
  const struct kad_hostile_memory *memory = hostile->memory;
  return &memory->known[kad_hostile_draw(hostile, memory->known_count)];
}

static struct kad_hostile_datagram *anything(struct kad_hostile *hostile) {
  struct kad_hostile_memory *memory = hostile->memory;
  return &memory->seen[kad_hostile_draw(hostile, memory->seen_count)];
}

static void send_bytes(struct kad_hostile *hostile,
                       const struct kad_address *to, struct kad_slice bytes) {
  const int i = kad_member_source(&hostile->member->base, to);
  if (i >= 0) {
    kad_sim_transmit(hostile->member, i, to, bytes);
  }
}

/* ---------------------------------------------------------------- flood -- */

static void begin_query(const struct kad_hostile *hostile, const char *name,
                        const struct kad_id *key,
                        const uint8_t transaction[TRANSACTION_SIZE],
                        struct kad_message *query) {
  kad_message_init(query, KAD_MESSAGE_QUERY);
  query->transaction = (struct kad_slice){transaction, TRANSACTION_SIZE};
  query->name = kad_slice_of(name);
  query->method = kad_method_find(query->name);
  query->has_id = true;
  query->id = *kad_node_id(hostile->member->base.node);
  query->has_target = true;
  query->target = *key;
  query->type = kad_slice_of("value");
}

static void name_transaction(struct kad_hostile *hostile, size_t place,
                             uint8_t out[TRANSACTION_SIZE]) {
  kad_hostile_fill(hostile, out, TRANSACTION_SIZE);
  out[0] = 'f';
  out[1] = 'l';
  out[PLACE] = (uint8_t)place;
}

/* Asks for a random key, to have a token for it. */
static void ask_for_token(struct kad_hostile *hostile) {
  struct kad_hostile_memory *memory = hostile->memory;
  const size_t place = memory->next_asked++ % KAD_HOSTILE_ASKED;
  struct kad_hostile_question *asked = &memory->asked[place];
  uint8_t transaction[TRANSACTION_SIZE];
  struct kad_message query;
  *asked = (struct kad_hostile_question){.to = *anyone(hostile), .open = true};
  kad_hostile_fill(hostile, asked->key.bytes, kad_hostile_id_size(hostile));
  name_transaction(hostile, place, transaction);
  begin_query(hostile, "find_value", &asked->key, transaction, &query);
  kad_hostile_send(hostile, &asked->to, &query);
}

static void store_junk(struct kad_hostile *hostile,
                       const struct kad_hostile_question *asked,
                       struct kad_slice token) {
  uint8_t junk[JUNK_SIZE];
  uint8_t transaction[TRANSACTION_SIZE];
  struct kad_message query;
  kad_hostile_fill(hostile, junk, sizeof junk);
  name_transaction(hostile, KAD_HOSTILE_ASKED, transaction);
  begin_query(hostile, "store", &asked->key, transaction, &query);
  query.token = token;
  query.has_ttl = true;
  query.ttl = JUNK_SECONDS;
  query.record_count = 1;
  query.records[0] = (struct kad_record){
      .key = asked->key,
      .type = query.type,
      .value = {junk, sizeof junk},
  };
  kad_hostile_send(hostile, &asked->to, &query);
}

/* Returns true if `message` is for the flooder, not for its engine. */
static bool continue_flood(struct kad_hostile *hostile,
                           const struct kad_message *message) {
  const struct kad_slice transaction = message->transaction;
  if (message->kind == KAD_MESSAGE_QUERY ||
      transaction.len != TRANSACTION_SIZE || transaction.data[0] != 'f' ||
      transaction.data[1] != 'l') {
    return false;
  }
  for (size_t i = 0; i < message->contact_count; i++) {
    know(hostile, &message->contacts[i].address);
  }
  const size_t place = transaction.data[PLACE];
  if (place < KAD_HOSTILE_ASKED && hostile->memory->asked[place].open &&
      message->token.len > 0) {
    hostile->memory->asked[place].open = false;
    store_junk(hostile, &hostile->memory->asked[place], message->token);
  }
  return true;
}

/* --------------------------------------------------- replays, garbage -- */

static void replay(struct kad_hostile *hostile) {
  const struct kad_hostile_datagram *seen = anything(hostile);
  const struct kad_slice bytes = {seen->bytes, seen->len};
  const struct kad_address *to = anyone(hostile);
  if (kad_hostile_draw(hostile, 2) == 0) {
    send_bytes(hostile, to, bytes);
  } else if (to->family == seen->from.family) {
    kad_sim_forge(hostile->member, &seen->from, to, bytes);
  }
}

static void send_noise(struct kad_hostile *hostile) {
  uint8_t noise[LONGEST_NOISE];
  const size_t len = kad_hostile_draw(hostile, sizeof noise);
  kad_hostile_fill(hostile, noise, len);
  send_bytes(hostile, anyone(hostile), (struct kad_slice){noise, len});
}

/* Sends lists in lists, as deep as fits. */
static void send_depth(struct kad_hostile *hostile) {
  uint8_t deep[KAD_NETWORK_DATAGRAM_MAX];
  memset(deep, kad_hostile_draw(hostile, 2) == 0 ? 'l' : 'd', sizeof deep);
  send_bytes(hostile, anyone(hostile), (struct kad_slice){deep, sizeof deep});
}

/* Sends what it has heard, cut off or changed in some places. */
static void send_mutant(struct kad_hostile *hostile) {
  struct kad_hostile_datagram mutant = *anything(hostile);
  if (mutant.len == 0) {
    return;
  }
  if (kad_hostile_draw(hostile, 2) == 0) {
    mutant.len = kad_hostile_draw(hostile, mutant.len);
  } else {
    const uint64_t changes = 1 + kad_hostile_draw(hostile, MUTATIONS);
    for (uint64_t i = 0; i < changes; i++) {
      mutant.bytes[kad_hostile_draw(hostile, mutant.len)] =
          (uint8_t)kad_hostile_draw(hostile, 256);
    }
  }
  send_bytes(hostile, anyone(hostile),
             (struct kad_slice){mutant.bytes, mutant.len});
}

static void send_garbage(struct kad_hostile *hostile) {
  switch (kad_hostile_draw(hostile, 4)) {
  case 0:
    send_noise(hostile);
    break;
  case 1:
    send_depth(hostile);
    break;
  default:
    send_mutant(hostile);
  }
}

/* ----------------------------------------------------------------- both -- */

bool kad_hostile_learn(struct kad_hostile *hostile,
                       const struct kad_address *from,
                       struct kad_slice datagram,
                       const struct kad_message *message) {
  know(hostile, from);
  keep(hostile, from, datagram);
  return message != NULL &&
         hostile->how.behaviour == KAD_SIM_BEHAVIOUR_FLOODER &&
         continue_flood(hostile, message);
}

void kad_hostile_strike(struct kad_hostile *hostile) {
  if (hostile->memory->known_count == 0) {
    return; /* it has heard nobody yet */
  }
  if (hostile->how.behaviour == KAD_SIM_BEHAVIOUR_FLOODER) {
    ask_for_token(hostile);
  } else if (hostile->how.behaviour == KAD_SIM_BEHAVIOUR_REPLAYER) {
    replay(hostile);
  } else {
    send_garbage(hostile);
  }
}
