#include "forge.h"

#include <string.h>

enum {
  METHODS = KAD_METHOD_SAMPLE_INFOHASHES + 1
};

static const char *const types[] = {"value", "song", "peers", "none", "honest"};

void kad_forge_learn(struct kad_forge *forge, const struct kad_address *owner,
                     const struct kad_id *target, struct kad_slice token) {
  size_t slot = forge->token_count++ % KAD_FORGE_TOKENS;
  forge->targets[slot] = *target;
  forge->owners[slot] = *owner;
  forge->lens[slot] = token.len;
  memcpy(forge->tokens[slot], token.data, token.len);
}

/* Returns the place of the latest token of `owner`, or now and then of another.
 */
static size_t find_token(const struct kad_forge *forge, struct kad_dice *dice,
                         const struct kad_address *owner) {
  size_t slot = kad_dice_below(dice, KAD_FORGE_TOKENS);
  for (size_t i = 0; i < KAD_FORGE_TOKENS && !kad_dice_one_in(dice, 64); i++) {
    if (kad_address_equal(&forge->owners[i], owner)) {
      slot = i;
    }
  }
  return slot;
}

/* Returns a key: a known one, one close to it, or any. */
static struct kad_id make_target(const struct kad_victim *victim,
                                 struct kad_dice *dice) {
  struct kad_id id = victim->targets[kad_dice_below(dice, KAD_VICTIM_TARGETS)];
  size_t size = victim->lone.id_size;
  if (kad_dice_one_in(dice, 4)) {
    size_t from = kad_dice_below(dice, size);
    kad_dice_bytes(dice, &id.bytes[from], size - from);
  }
  memset(&id.bytes[size], 0, KAD_ID_SIZE - size);
  return id;
}

/* Makes a record; one in four is signed, of these one in four wrongly. */
static void make_record(const struct kad_victim *victim, struct kad_dice *dice,
                        const struct kad_message *message,
                        struct kad_record *record) {
  static const uint8_t text[KAD_ITEM_VALUE_MAX + 60] = "value";
  static const uint8_t seed[32] = {7};
  static uint8_t publisher[KAD_PUBLISHER_SIZE];
  static uint8_t secret[KAD_SECRET_SIZE];
  static uint8_t signatures[KAD_RECORDS_PER_MESSAGE][KAD_SIGNATURE_SIZE];
  size_t len = kad_dice_one_in(dice, 8) ? kad_dice_below(dice, sizeof text)
                                        : kad_dice_below(dice, 40);
  *record = (struct kad_record){
      .key = message->target,
      .type = message->type,
      .value = {&text[kad_dice_below(dice, sizeof text - len)], len},
      .ttl = kad_dice_one_in(dice, 2) ? 0 : (uint32_t)kad_dice_number(dice),
      .has_seq = kad_dice_one_in(dice, 3),
      .seq = (int64_t)kad_dice_number(dice),
  };
  record->seq = record->has_seq ? record->seq : 0;
  if (!kad_dice_one_in(dice, 4)) {
    return;
  }
  size_t slot = (size_t)(record - message->records);
  kad_keypair(seed, publisher, secret);
  record->publisher = publisher;
  record->signature = signatures[slot];
  record->salt = (struct kad_slice){text, kad_dice_below(dice, 70)};
  if (kad_record_sign(record, victim->config.id_bits, secret,
                      signatures[slot]) != 0 ||
      kad_dice_one_in(dice, 4)) {
    kad_dice_bytes(dice, signatures[slot], KAD_SIGNATURE_SIZE);
  }
}

static void make_records(const struct kad_victim *victim, struct kad_dice *dice,
                         struct kad_message *message) {
  message->record_count = kad_dice_one_in(dice, 8)
                              ? kad_dice_below(dice, KAD_RECORDS_PER_MESSAGE)
                              : kad_dice_below(dice, 4);
  for (size_t i = 0; i < message->record_count; i++) {
    make_record(victim, dice, message, &message->records[i]);
  }
}

/* Makes the item of a put, or of a reply to a get (BEP 44): mostly that of the
 * target, if one has it. */
static void make_item(const struct kad_victim *victim, struct kad_dice *dice,
                      struct kad_message *message) {
  static const char *const values[] = {"5:hello",          "i1e", "le", "de",
                                       "d1:ai1e1:bli2eee", "no",  ""};
  struct kad_record *item = &message->records[0];
  const unsigned which = kad_victim_find_item(victim, &message->target);
  message->record_count = 1;
  if (which < KAD_ITEMS && !kad_dice_one_in(dice, 4)) {
    kad_items_make(which, (int64_t)kad_dice_below(dice, 5), item);
  } else {
    make_record(victim, dice, message, item);
    item->value = kad_slice_of(values[kad_dice_below(dice, 7)]);
  }
  message->has_cas = kad_dice_one_in(dice, 4);
  message->cas = (int64_t)kad_dice_number(dice);
}

/* Fills the arguments that few queries have. */
static void add_arguments(const struct kad_victim *victim,
                          struct kad_dice *dice, struct kad_message *message) {
  static const char *const whys[] = {"", "republish", "handoff", "cache", "no"};
  message->seed = kad_dice_one_in(dice, 4);
  message->scrape = kad_dice_one_in(dice, 4);
  message->noseed = kad_dice_one_in(dice, 4);
  message->has_seq = kad_dice_one_in(dice, 4);
  message->seq = (int64_t)kad_dice_number(dice);
  if (message->method == KAD_METHOD_PUT) {
    make_item(victim, dice, message);
  } else if (message->method == KAD_METHOD_STORE) {
    message->why = kad_slice_of(whys[kad_dice_below(dice, 5)]);
    message->has_ttl = kad_dice_one_in(dice, 3);
    message->ttl = (uint32_t)kad_dice_number(dice);
    make_records(victim, dice, message);
  }
}

/* Returns any method. Stores and announcements mostly come with a token, and
 * are what most queries with one are. */
static enum kad_method_id choose_method(struct kad_dice *dice, bool has_token) {
  enum kad_method_id method = (enum kad_method_id)kad_dice_below(dice, METHODS);
  bool writes = method == KAD_METHOD_STORE || method == KAD_METHOD_PUT ||
                method == KAD_METHOD_ANNOUNCE_PEER;
  if (kad_dice_one_in(dice, 8) || writes == has_token) {
    return method;
  }
  if (has_token) {
    return kad_dice_one_in(dice, 4)   ? KAD_METHOD_ANNOUNCE_PEER
           : kad_dice_one_in(dice, 3) ? KAD_METHOD_PUT
                                      : KAD_METHOD_STORE;
  }
  return kad_dice_one_in(dice, 2) ? KAD_METHOD_GET_PEERS
                                  : KAD_METHOD_FIND_VALUE;
}

void kad_forge_query(const struct kad_forge *forge,
                     const struct kad_victim *victim, struct kad_dice *dice,
                     const struct kad_contact *from,
                     struct kad_message *message) {
  static const char *const names[] = {"hello", "vote", "get", "x"};
  static const char *const args[] = {"", "de", "d1:zi1ee", "d6:target2:abe"};
  kad_message_init(message, KAD_MESSAGE_QUERY);
  size_t slot = find_token(forge, dice, &from->address);
  message->method = choose_method(
      dice, forge->lens[slot] > 0 &&
                kad_address_equal(&forge->owners[slot], &from->address));
  message->name = kad_slice_of(names[kad_dice_below(dice, 4)]);
  message->args = kad_slice_of(args[kad_dice_below(dice, 4)]);
  message->transaction = kad_slice_of("tt");
  message->has_id = true;
  message->id = from->id;
  message->has_target =
      message->method != KAD_METHOD_CUSTOM || kad_dice_one_in(dice, 2);
  message->target = make_target(victim, dice);
  message->read_only = kad_dice_one_in(dice, 8);
  message->want4 = kad_dice_one_in(dice, 4);
  message->want6 = kad_dice_one_in(dice, 4);
  message->has_port = true;
  message->port = (uint16_t)(1 + kad_dice_below(dice, UINT16_MAX));
  message->implied_port = kad_dice_one_in(dice, 3);
  message->skip =
      kad_dice_one_in(dice, 3) ? (uint32_t)kad_dice_number(dice) : 0;
  message->type = kad_slice_of(types[kad_dice_below(dice, 4)]);
  message->token = (struct kad_slice){forge->tokens[slot], forge->lens[slot]};
  if (forge->lens[slot] > 0 && !kad_dice_one_in(dice, 8)) {
    message->target = forge->targets[slot];
  }
  add_arguments(victim, dice, message);
}

/* Adds contacts: strangers with their ids, or with ids ever closer to the
 * target of the query, or honest ones. */
static void make_nodes(const struct kad_victim *victim, struct kad_dice *dice,
                       const struct kad_id *target,
                       struct kad_message *message) {
  bool lies = kad_dice_one_in(dice, 2);
  message->contact_count = kad_dice_one_in(dice, 8)
                               ? kad_dice_below(dice, KAD_MESSAGE_CONTACTS)
                               : kad_dice_below(dice, 9);
  message->has_nodes = kad_dice_below(dice, 8) > 0;
  message->has_nodes6 = kad_dice_one_in(dice, 2);
  for (size_t i = 0; i < message->contact_count; i++) {
    struct kad_contact *contact = &message->contacts[i];
    *contact = victim->strangers[kad_dice_below(dice, KAD_VICTIM_STRANGERS)];
    if (kad_dice_one_in(dice, 8)) {
      *contact = victim->honest[kad_dice_below(dice, KAD_VICTIM_HONEST)];
    }
    if (lies) {
      size_t size = victim->lone.id_size;
      size_t kept = kad_dice_below(dice, size);
      contact->id = *target;
      kad_dice_bytes(dice, &contact->id.bytes[kept], size - kept);
    }
    if (kad_dice_one_in(dice, 16)) {
      contact->address.port = (uint16_t)kad_dice_number(dice);
    }
  }
}

static void make_errors(struct kad_dice *dice, struct kad_message *message) {
  message->has_stored = !kad_dice_one_in(dice, 8);
  message->stored = kad_dice_one_in(dice, 4)
                        ? (uint32_t)kad_dice_number(dice)
                        : (uint32_t)kad_dice_below(dice, 3);
  message->error_count = kad_dice_below(dice, 3);
  for (size_t i = 0; i < message->error_count; i++) {
    message->errors[i] =
        (struct kad_record_error){.index = (uint32_t)kad_dice_number(dice),
                                  .code = (int)kad_dice_number(dice),
                                  .reason = kad_slice_of("no")};
  }
}

/* Fills what the core reads from replies to `method`. */
static void fill_reply(const struct kad_victim *victim, struct kad_dice *dice,
                       const struct kad_message *query,
                       struct kad_message *message) {
  static const char *const replies[] = {"de", "d1:xi5ee", "d5:nodes3:abce",
                                        "d5:tokeni1ee"};
  static const uint8_t bits[KAD_FILTER_SIZE] = {0x55};
  make_nodes(victim, dice, &query->target, message);
  message->token = kad_slice_of(kad_dice_one_in(dice, 4) ? "" : "token");
  message->target = query->target;
  message->type = query->type;
  switch (query->method) {
  case KAD_METHOD_CUSTOM:
    message->reply = kad_slice_of(replies[kad_dice_below(dice, 4)]);
    break;
  case KAD_METHOD_GET_PEERS:
    if (kad_dice_one_in(dice, 4)) {
      message->seed_filter = (struct kad_slice){bits, sizeof bits};
      message->peer_filter = message->seed_filter;
    }
    message->peer_count = kad_dice_below(dice, 20);
    for (size_t i = 0; i < message->peer_count; i++) {
      message->peers[i] =
          victim->strangers[kad_dice_below(dice, KAD_VICTIM_STRANGERS)].address;
    }
    break;
  case KAD_METHOD_FIND_VALUE:
    make_records(victim, dice, message);
    message->has_total = kad_dice_one_in(dice, 2);
    message->total = (uint32_t)kad_dice_number(dice);
    message->has_next = kad_dice_one_in(dice, 4);
    message->next = (uint32_t)kad_dice_number(dice);
    break;
  case KAD_METHOD_STORE:
    make_errors(dice, message);
    break;
  case KAD_METHOD_GET:
    message->has_item = kad_dice_one_in(dice, 2);
    if (message->has_item) {
      make_item(victim, dice, message);
    }
    break;
  case KAD_METHOD_SAMPLE_INFOHASHES:
    message->has_samples = true;
    message->samples = (struct kad_slice){bits, kad_dice_below(dice, 4) * 20};
    message->has_interval = message->has_num = kad_dice_one_in(dice, 2);
    message->interval = (uint32_t)kad_dice_number(dice);
    message->num = (uint32_t)kad_dice_number(dice);
    break;
  case KAD_METHOD_PING:
  case KAD_METHOD_FIND_NODE:
  case KAD_METHOD_ANNOUNCE_PEER:
  case KAD_METHOD_PUT:
    break;
  }
}

void kad_forge_reply(const struct kad_victim *victim, struct kad_dice *dice,
                     const struct kad_contact *from,
                     const struct kad_message *query,
                     struct kad_message *message) {
  static const int codes[] = {201, 202, 203, 204, 205, 206, 207, 301, 302, 0};
  bool is_error = kad_dice_one_in(dice, 6);
  kad_message_init(message, is_error ? KAD_MESSAGE_ERROR : KAD_MESSAGE_REPLY);
  message->transaction = query->transaction;
  message->has_id = true;
  message->id = from->id;
  if (kad_dice_one_in(dice, 4)) {
    message->observed =
        victim->strangers[kad_dice_below(dice, KAD_VICTIM_STRANGERS)].address;
  }
  if (is_error) {
    message->code = kad_dice_one_in(dice, 8) ? (int)kad_dice_number(dice)
                                             : codes[kad_dice_below(dice, 10)];
    message->text = kad_slice_of("no");
  } else {
    fill_reply(victim, dice, query, message);
  }
}
