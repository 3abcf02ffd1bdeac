#include "base/address.h"
#include "sim/hostile.h"

#include <string.h>

enum {
  TRANSACTION_SIZE = 6, /* of a flooder: two letters, index, three bytes */
  INDEX = 2,            /* of that index */
  JUNK_SIZE = 700,
  JUNK_SECONDS = 86400,
  LONGEST_NOISE = 600,
  MUTATIONS = 8
};

static void remember_address(struct kad_hostile *hostile,
                             const struct kad_address *address) {
  struct kad_hostile_memory *memory = hostile->memory;
  if (kad_address_is_among(memory->known, memory->known_count, address)) {
    return;
  }
  const size_t i = memory->known_count < KAD_HOSTILE_KNOWN
                       ? memory->known_count++
                       : kad_hostile_draw(hostile, KAD_HOSTILE_KNOWN);
  memory->known[i] = *address;
}

static void remember_datagram(struct kad_hostile *hostile,
                              const struct kad_address *from,
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

static const struct kad_address *any_address(struct kad_hostile *hostile) {
  const struct kad_hostile_memory *memory = hostile->memory;
  return &memory->known[kad_hostile_draw(hostile, memory->known_count)];
}

static struct kad_hostile_datagram *any_datagram(struct kad_hostile *hostile) {
  struct kad_hostile_memory *memory = hostile->memory;
  return &memory->seen[kad_hostile_draw(hostile, memory->seen_count)];
}

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

static void write_transaction(struct kad_hostile *hostile, size_t index,
                              uint8_t out[TRANSACTION_SIZE]) {
  kad_hostile_fill(hostile, out, TRANSACTION_SIZE);
  out[0] = 'f';
  out[1] = 'l';
  out[INDEX] = (uint8_t)index;
}

/* Queries a random key, to get a token for it. */
static void query_token(struct kad_hostile *hostile) {
  struct kad_hostile_memory *memory = hostile->memory;
  const size_t index = memory->next_query++ % KAD_HOSTILE_QUERIES;
  struct kad_hostile_query *asked = &memory->queries[index];
  uint8_t transaction[TRANSACTION_SIZE];
  struct kad_message query;
  *asked =
      (struct kad_hostile_query){.to = *any_address(hostile), .open = true};
  kad_hostile_fill(hostile, asked->key.bytes, kad_hostile_id_size(hostile));
  write_transaction(hostile, index, transaction);
  begin_query(hostile, "find_value", &asked->key, transaction, &query);
  kad_hostile_send(hostile, &asked->to, &query);
}

static void store_junk(struct kad_hostile *hostile,
                       const struct kad_hostile_query *asked,
                       struct kad_slice token) {
  uint8_t junk[JUNK_SIZE];
  uint8_t transaction[TRANSACTION_SIZE];
  struct kad_message query;
  kad_hostile_fill(hostile, junk, sizeof junk);
  write_transaction(hostile, KAD_HOSTILE_QUERIES, transaction);
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

/* Handles a reply to the flooder. Returns false if it is for the engine. */
static bool continue_flood(struct kad_hostile *hostile,
                           const struct kad_message *message) {
  const struct kad_slice transaction = message->transaction;
  if (message->kind == KAD_MESSAGE_QUERY ||
      transaction.len != TRANSACTION_SIZE || transaction.data[0] != 'f' ||
      transaction.data[1] != 'l') {
    return false;
  }
  for (size_t i = 0; i < message->contact_count; i++) {
    remember_address(hostile, &message->contacts[i].address);
  }
  const size_t index = transaction.data[INDEX];
  if (index < KAD_HOSTILE_QUERIES && hostile->memory->queries[index].open &&
      message->token.len > 0) {
    hostile->memory->queries[index].open = false;
    store_junk(hostile, &hostile->memory->queries[index], message->token);
  }
  return true;
}

static void send_replay(struct kad_hostile *hostile) {
  const struct kad_hostile_datagram *seen = any_datagram(hostile);
  const struct kad_slice bytes = {seen->bytes, seen->len};
  const struct kad_address *to = any_address(hostile);
  if (kad_hostile_draw(hostile, 2) == 0) {
    kad_hostile_send_bytes(hostile, to, bytes);
  } else if (to->family == seen->from.family) {
    kad_sim_link_forge(hostile->member, &seen->from, to, bytes);
  }
}

static void send_noise(struct kad_hostile *hostile) {
  uint8_t noise[LONGEST_NOISE];
  const size_t len = kad_hostile_draw(hostile, sizeof noise);
  kad_hostile_fill(hostile, noise, len);
  kad_hostile_send_bytes(hostile, any_address(hostile),
                         (struct kad_slice){noise, len});
}

/* Sends lists in lists, as deep as fits a datagram. */
static void send_depth(struct kad_hostile *hostile) {
  uint8_t deep[KAD_DATAGRAM_USUAL];
  memset(deep, kad_hostile_draw(hostile, 2) == 0 ? 'l' : 'd', sizeof deep);
  kad_hostile_send_bytes(hostile, any_address(hostile),
                         (struct kad_slice){deep, sizeof deep});
}

/* Sends a datagram that it received, truncated or changed in some bytes. */
static void send_mutant(struct kad_hostile *hostile) {
  struct kad_hostile_datagram mutant = *any_datagram(hostile);
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
  kad_hostile_send_bytes(hostile, any_address(hostile),
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

bool kad_hostile_sender_learn(struct kad_hostile *hostile,
                              const struct kad_address *from,
                              struct kad_slice datagram,
                              const struct kad_message *message) {
  remember_address(hostile, from);
  remember_datagram(hostile, from, datagram);
  return message != NULL &&
         hostile->hostility.behaviour == KAD_SIM_BEHAVIOUR_FLOODER &&
         continue_flood(hostile, message);
}

void kad_hostile_sender_send(struct kad_hostile *hostile) {
  if (hostile->memory->known_count == 0) {
    return; /* it has not received anything yet */
  }
  if (hostile->hostility.behaviour == KAD_SIM_BEHAVIOUR_FLOODER) {
    query_token(hostile);
  } else if (hostile->hostility.behaviour == KAD_SIM_BEHAVIOUR_REPLAYER) {
    send_replay(hostile);
  } else {
    send_garbage(hostile);
  }
}
