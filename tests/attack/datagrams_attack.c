/* Sends mutated messages to a node that has a policy, records, contacts and
 * operations: queries, and replies to the queries of the node, from where they
 * should come and from elsewhere, soon, late and twice. Afterwards the node
 * serves honest contacts, holds their records, has ended every operation, and
 * its table has only contacts that have answered. */
#include "attack.h"
#include "engine/node.h"
#include "forge.h"
#include "mutate.h"
#include "node/reply.h"
#include "records/item.h"

#include <string.h>

enum {
  DATAGRAM_BYTES = 4096,
  PROOFS = 4096, /* ids that have answered, at their addresses */
  QUERIES = 1024,
  COPIES = 16, /* datagrams that may be sent again */
  CONTACTS_MAX = 1024,
  FLOOD_MAX = 1500
};

/* A query that the node has sent. */
struct sent_query {
  struct kad_address to;
  size_t len;
  uint8_t transaction[KAD_TRANSACTION_MAX];
};

/* A datagram that a stranger has sent. */
struct copy {
  unsigned from;
  size_t len;
  uint8_t bytes[DATAGRAM_BYTES];
};

static struct kad_victim victim;
static struct kad_forge forge;
static struct kad_id asked; /* the target of the latest query of a stranger */
static bool was_known[KAD_VICTIM_HONEST];
static struct sent_query queries[QUERIES];
static size_t query_count;
static size_t seen; /* datagrams of the node that were read */
static size_t
    talked; /* of these, those that strangers had a chance to answer */
static struct kad_contact proofs[PROOFS];
static size_t proof_count;
static struct kad_address proven[PROOFS]; /* they receive what is sent there */
static size_t proven_count;
static struct copy copies[COPIES];
static size_t copy_count;

static void begin(uint64_t seed) {
  query_count = 0;
  proof_count = 0;
  proven_count = 0;
  copy_count = 0;
  memset(&forge, 0, sizeof forge);
  memset(copies, 0, sizeof copies);
  kad_victim_open(&victim, seed);
  seen = victim.lone.sent;
  talked = seen;
  for (size_t i = 0; i < KAD_VICTIM_HONEST; i++) {
    was_known[i] = kad_lone_knows(&victim.lone, &victim.honest[i]);
  }
}

/* Reads what the node has sent since the last call. */
static void read_sent(void) {
  struct kad_message message;
  struct kad_lone *lone = &victim.lone;
  if (seen + KAD_LONE_KEPT < lone->sent) {
    seen = lone->sent - KAD_LONE_KEPT;
  }
  for (; seen < lone->sent; seen++) {
    const struct kad_lone_datagram *it =
        kad_lone_sent(lone, lone->sent - 1 - seen, &message);
    CHECK(it->len <= victim.config.max_reply);
    CHECK(!kad_address_is_martian(&it->to, victim.config.allow_local));
    if (message.kind == KAD_MESSAGE_QUERY) {
      struct sent_query *query = &queries[query_count++ % QUERIES];
      query->to = it->to;
      query->len = message.transaction.len;
      memcpy(query->transaction, message.transaction.data,
             message.transaction.len);
    } else if (message.token.len > 0) {
      kad_forge_learn(&forge, &it->to, &asked, message.token);
    }
  }
}

static bool was_asked(const struct kad_address *from,
                      struct kad_slice transaction) {
  size_t count = query_count < QUERIES ? query_count : QUERIES;
  for (size_t i = 0; i < count; i++) {
    if (kad_address_equal(&queries[i].to, from) &&
        kad_slice_equal(transaction, (struct kad_slice){queries[i].transaction,
                                                        queries[i].len})) {
      return true;
    }
  }
  return false;
}

/* Returns the longest reply that the node has sent since `sent`. */
static size_t longest_reply(size_t sent) {
  struct kad_message message;
  size_t longest = 0;
  for (size_t i = sent; i < victim.lone.sent; i++) {
    const struct kad_lone_datagram *it =
        kad_lone_sent(&victim.lone, victim.lone.sent - 1 - i, &message);
    if (message.kind != KAD_MESSAGE_QUERY && it->len > longest) {
      longest = it->len;
    }
  }
  return longest;
}

/* Returns true if the datagram shows that its sender receives what is sent to
 * its address: it has a token that the node gave to it, or answers a query. */
static bool proves_address(const struct kad_address *from,
                           const struct kad_message *message) {
  if (message->kind != KAD_MESSAGE_QUERY) {
    return was_asked(from, message->transaction);
  }
  struct kad_id target = message->target;
  if (message->method == KAD_METHOD_PUT && message->record_count == 1) {
    struct kad_record item = message->records[0]; /* its target follows */
    target = kad_item_name(&item) == 0 ? item.key : target;
  }
  return message->token.len > 0 &&
         kad_token_check(&victim.lone.node->tokens, from, &target,
                         victim.lone.now, message->token);
}

/* Returns true if the address, whatever its port, has proven itself: so honest
 * ones have. */
static bool is_proven(const struct kad_address *address) {
  size_t count = proven_count < PROOFS ? proven_count : PROOFS;
  for (size_t i = 0; i < count; i++) {
    if (kad_address_same_ip(&proven[i], address)) {
      return true;
    }
  }
  for (size_t i = 0; i < KAD_VICTIM_HONEST; i++) {
    if (kad_address_equal(&victim.honest[i].address, address)) {
      return true;
    }
  }
  return false;
}

/* Passes a datagram to the node, and notes what it proves. */
static void receive(const struct kad_address *from, struct kad_slice bytes) {
  struct kad_message message;
  read_sent();
  size_t sent = victim.lone.sent;
  struct kad_contact sender = {.address = *from};
  bool understood =
      kad_krpc_decode(NULL, bytes, victim.lone.id_size, &message) == 0;
  if (understood && message.has_id) {
    sender.id = message.id;
  }
  if (understood && message.kind == KAD_MESSAGE_REPLY && message.has_id &&
      was_asked(from, message.transaction)) {
    proofs[proof_count++ % PROOFS] = sender;
  }
  kad_attack_show_bytes("receives", bytes.data, bytes.len);
  if (understood && proves_address(from, &message) && !is_proven(from)) {
    proven[proven_count++ % PROOFS] = *from;
  }
  kad_node_receive(victim.lone.node, from, bytes);
  CHECK(is_proven(from) ||
        longest_reply(sent) <= KAD_AMPLIFICATION_MAX * bytes.len);
}

/* Mutates `message`, sends it from the stranger `from`, and keeps a copy. */
static void send_mutated(struct kad_dice *dice, unsigned from,
                         const struct kad_message *message) {
  uint8_t plain[DATAGRAM_BYTES];
  struct kad_writer encoded = {.data = plain, .cap = sizeof plain};
  struct copy *copy = &copies[copy_count++ % COPIES];
  struct kad_writer mutated = {.data = copy->bytes,
                               .cap = kad_dice_one_in(dice, 16) ? DATAGRAM_BYTES
                                                                : FLOOD_MAX};
  unsigned changes =
      kad_dice_one_in(dice, 2) ? 0 : (unsigned)kad_dice_below(dice, 4);
  copy->from = from;
  copy->len = 0;
  if (kad_krpc_encode(NULL, message, victim.lone.id_size, &encoded) == 0) {
    kad_mutate(dice, (struct kad_slice){plain, encoded.len}, changes, &mutated);
    copy->len = mutated.len;
    receive(&victim.strangers[from].address,
            (struct kad_slice){copy->bytes, copy->len});
  }
}

static void send_query(struct kad_dice *dice) {
  struct kad_message message;
  unsigned from = (unsigned)kad_dice_below(
      dice, kad_dice_one_in(dice, 3) ? KAD_VICTIM_STRANGERS : 4);
  kad_forge_query(&forge, &victim, dice, &victim.strangers[from], &message);
  asked = message.target;
  send_mutated(dice, from, &message);
  read_sent();
}

/* Returns the number of the stranger at `address`, or of any. */
static unsigned find_stranger(struct kad_dice *dice,
                              const struct kad_address *address) {
  for (unsigned i = 0; i < KAD_VICTIM_STRANGERS; i++) {
    if (kad_address_equal(&victim.strangers[i].address, address)) {
      return i;
    }
  }
  return (unsigned)kad_dice_below(dice, KAD_VICTIM_STRANGERS);
}

/* Answers a query of the node, `back` datagrams ago, if it is one. */
static void answer(struct kad_dice *dice, size_t back) {
  struct kad_message query;
  struct kad_message message;
  if (back >= victim.lone.sent || back >= KAD_LONE_KEPT) {
    return;
  }
  const struct kad_lone_datagram *it =
      kad_lone_sent(&victim.lone, back, &query);
  if (query.kind != KAD_MESSAGE_QUERY) {
    return;
  }
  unsigned from = find_stranger(dice, &it->to);
  struct kad_contact sender = victim.strangers[from];
  if (kad_dice_one_in(dice, 12)) { /* with the id of another, or a close one */
    sender.id = kad_dice_one_in(dice, 2)
                    ? query.target
                    : victim.strangers[kad_dice_below(dice, 8)].id;
  }
  kad_forge_reply(&victim, dice, &sender, &query, &message);
  if (kad_dice_one_in(dice, 16)) { /* from another address */
    from = (unsigned)kad_dice_below(dice, KAD_VICTIM_STRANGERS);
  }
  send_mutated(dice, from, &message);
}

/* Answers most of the queries that were sent since the last call, a few times,
 * so that a lookup gets far. */
static void converse(struct kad_dice *dice) {
  for (uint64_t rounds = 1 + kad_dice_below(dice, 6); rounds > 0; rounds--) {
    size_t until = victim.lone.sent;
    for (; talked < until; talked++) {
      if (!kad_dice_one_in(dice, 5)) {
        answer(dice, victim.lone.sent - 1 - talked);
      }
    }
    kad_victim_run(&victim, kad_dice_below(dice, 100));
  }
}

/* Sends a datagram again, perhaps from another stranger. */
static void send_again(struct kad_dice *dice) {
  const struct copy *copy = &copies[kad_dice_below(dice, COPIES)];
  unsigned from = kad_dice_one_in(dice, 4)
                      ? (unsigned)kad_dice_below(dice, KAD_VICTIM_STRANGERS)
                      : copy->from;
  receive(&victim.strangers[from].address,
          (struct kad_slice){copy->bytes, copy->len});
}

/* Sends a datagram so often that limits are reached. */
static void flood(struct kad_dice *dice) {
  const struct copy *copy = &copies[kad_dice_below(dice, COPIES)];
  const struct kad_address *from = &victim.strangers[copy->from].address;
  for (uint64_t i = kad_dice_below(dice, FLOOD_MAX); i > 0; i--) {
    kad_node_receive(victim.lone.node, from,
                     (struct kad_slice){copy->bytes, copy->len});
    kad_lone_answer_all(&victim.lone, victim.honest, KAD_VICTIM_HONEST);
  }
}

/* Sends a query in the name of an honest contact. */
static void send_spoofed(struct kad_dice *dice) {
  struct kad_message message;
  uint8_t bytes[DATAGRAM_BYTES];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  const struct kad_contact *who =
      &victim.honest[kad_dice_below(dice, KAD_VICTIM_HONEST)];
  kad_forge_query(&forge, &victim, dice,
                  kad_dice_one_in(dice, 2) ? who : &victim.strangers[0],
                  &message);
  if (kad_krpc_encode(NULL, &message, victim.lone.id_size, &writer) == 0) {
    receive(&who->address, (struct kad_slice){bytes, writer.len});
  }
}

static void send_noise(struct kad_dice *dice) {
  uint8_t bytes[256];
  size_t len = kad_dice_below(dice, sizeof bytes);
  kad_dice_bytes(dice, bytes, len);
  receive(&victim.strangers[kad_dice_below(dice, 8)].address,
          (struct kad_slice){bytes, len});
}

static void pass_time(struct kad_dice *dice) {
  static const kad_time_ms spans[] = {50, 500, 5000, 60000, 900000, 9000000};
  uint64_t which = kad_dice_one_in(dice, 4) ? kad_dice_below(dice, 6)
                                            : kad_dice_below(dice, 2);
  kad_time_ms span = kad_dice_below(dice, spans[which]);
  kad_attack_show("  %llu ms pass", (unsigned long long)span);
  kad_victim_run(&victim, span);
}

static void play(struct kad_dice *dice) {
  uint64_t kind = kad_dice_below(dice, 25);
  if (kind < 8) {
    send_query(dice);
  } else if (kind < 13) {
    converse(dice);
  } else if (kind < 14) {
    answer(dice, kad_dice_below(dice, KAD_LONE_KEPT));
  } else if (kind < 15) {
    send_again(dice);
  } else if (kind < 16) {
    send_spoofed(dice);
  } else if (kind < 17) {
    (kad_dice_one_in(dice, 4) ? flood : send_noise)(dice);
  } else if (kind < 19) {
    pass_time(dice);
  } else if (kind < 20) {
    kad_victim_set_policy(&victim, dice);
  } else if (kind < 21) {
    kad_victim_complete(&victim, dice);
  } else {
    unsigned which = (unsigned)kad_dice_below(dice, KAD_VICTIM_OPERATIONS);
    int error = kad_victim_start(&victim, dice, which);
    kad_attack_show("  operation %u: %s", which, kad_error_name(error));
  }
}

static bool has_answered(const struct kad_contact *contact) {
  size_t count = proof_count < PROOFS ? proof_count : PROOFS;
  for (size_t i = 0; i < count; i++) {
    if (kad_id_equal(&proofs[i].id, &contact->id) &&
        kad_address_equal(&proofs[i].address, &contact->address)) {
      return true;
    }
  }
  for (size_t i = 0; i < KAD_VICTIM_HONEST; i++) {
    if (kad_id_equal(&victim.honest[i].id, &contact->id) &&
        kad_address_equal(&victim.honest[i].address, &contact->address)) {
      return true;
    }
  }
  return false;
}

/* All contacts of the table have answered. Honest ones stay. */
static void check_table(void) {
  static struct kad_contact_info known[CONTACTS_MAX];
  size_t count = kad_node_contacts(victim.lone.node, known, CONTACTS_MAX);
  CHECK(count <= CONTACTS_MAX);
  for (size_t i = 0; i < count; i++) {
    CHECK(has_answered(&known[i].contact));
  }
  for (size_t i = 0; i < KAD_VICTIM_HONEST; i++) {
    CHECK(!was_known[i] || kad_lone_knows(&victim.lone, &victim.honest[i]));
  }
}

static void step(uint64_t seed) {
  struct kad_dice dice = {seed};
  play(&dice);
  read_sent();
  kad_lone_answer_all(&victim.lone, victim.honest, KAD_VICTIM_HONEST);
  read_sent();
  kad_victim_check(&victim);
  check_table();
}

static void end(void) {
  kad_victim_close(&victim);
}

int main(int argc, char **argv) {
  static const struct kad_attack attack = {
      .name = "datagrams",
      .steps = 150,
      .begin = begin,
      .step = step,
      .end = end,
  };
  return kad_attack_main(&attack, argc, argv);
}
