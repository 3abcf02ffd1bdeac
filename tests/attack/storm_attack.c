/* Sends a node more hostile datagrams than it can serve, in one run: mutated
 * queries, replies that it did not ask for, errors and noise, from strangers,
 * from one address, and from as many addresses as there are. In one case of
 * sixteen they are a million. Afterwards the node serves honest contacts, its
 * memory is where it was, and its table has honest contacts only. */
#include "attack.h"
#include "base/time.h"
#include "forge.h"
#include "kadenza_option.h"
#include "mutate.h"

#include <string.h>

enum {
  DATAGRAM_BYTES = 2048,
  FRESH = 64,     /* datagrams that are made for a step */
  MANY = 1000000, /* datagrams of a long case */
  FEW = 4000,     /* of a short one */
  LONG_ODDS = 16, /* one case in so many is long */
  STEPS = 100,
  PER_MS = 50, /* that is 50,000 a second */
  CONTACTS_MAX = 256,
  DAY_MS = 86400 * KAD_MS_PER_S,
  REST_S = 900,   /* in which the node is at rest now and then */
  SLACK = 8 << 10 /* bytes that differ between two moments of rest */
};

static struct kad_victim victim;
static struct kad_forge
    forge; /* knows no token: a storm does not wait for any */
static struct kad_dice end_dice;
static size_t total; /* datagrams of this case */
static size_t sent;
static size_t bytes_before;
static bool was_known[KAD_VICTIM_HONEST];

/* Returns the memory of the node while it queries no contact. */
static size_t bytes_at_rest(void) {
  size_t least = SIZE_MAX;
  for (unsigned second = 0; second < REST_S; second++) {
    kad_victim_run(&victim, KAD_MS_PER_S);
    if (victim.lone.counting.bytes < least) {
      least = victim.lone.counting.bytes;
    }
  }
  return least;
}

/* ------------------------------------------------------------ datagrams -- */

struct datagram {
  size_t len;
  uint8_t bytes[DATAGRAM_BYTES];
};

static void make_noise(struct kad_dice *dice, struct datagram *it) {
  it->len = kad_dice_below(dice, 300);
  kad_dice_bytes(dice, it->bytes, it->len);
}

/* Makes a query, or a reply that no one has asked for, with up to three
 * changes. */
static void make_datagram(struct kad_dice *dice, struct datagram *it) {
  static uint8_t plain[2 * DATAGRAM_BYTES];
  struct kad_writer encoded = {.data = plain, .cap = sizeof plain};
  struct kad_writer mutated = {.data = it->bytes, .cap = sizeof it->bytes};
  const struct kad_contact *from =
      &victim.strangers[kad_dice_below(dice, KAD_VICTIM_STRANGERS)];
  uint8_t transaction[4];
  struct kad_message query;
  struct kad_message reply;
  kad_forge_query(&forge, &victim, dice, from, &query);
  const struct kad_message *message = &query;
  if (kad_dice_one_in(dice, 3)) {
    kad_dice_bytes(dice, transaction, sizeof transaction);
    query.transaction = (struct kad_slice){transaction, sizeof transaction};
    kad_forge_reply(&victim, dice, from, &query, &reply);
    message = &reply;
  }
  if (kad_dice_one_in(dice, 16) ||
      kad_krpc_encode(NULL, message, victim.lone.id_size, &encoded) != 0) {
    make_noise(dice, it);
    return;
  }
  kad_mutate(dice, (struct kad_slice){plain, encoded.len},
             (unsigned)kad_dice_below(dice, 4), &mutated);
  it->len = mutated.len;
}

/* Returns an address: of a stranger, always the same, or any, of either family,
 * with any port, which may be one that no one can have. */
static struct kad_address choose_address(struct kad_dice *dice) {
  struct kad_address address = {.port = 6881, .family = 4};
  switch (kad_dice_below(dice, 4)) {
  case 0:
    return victim.strangers[kad_dice_below(dice, KAD_VICTIM_STRANGERS)].address;
  case 1:
    return victim.strangers[0].address;
  case 2:
    address.family = 6;
    break;
  default:
    break;
  }
  kad_dice_bytes(dice, address.ip, address.family == 6 ? 16 : 4);
  address.port = (uint16_t)kad_dice_next(dice);
  return address;
}

static void send_some(struct kad_dice *dice, size_t count) {
  static struct datagram fresh[FRESH];
  for (size_t i = 0; i < FRESH; i++) {
    make_datagram(dice, &fresh[i]);
  }
  for (size_t i = 0; i < count && sent < total; i++) {
    const struct datagram *it = &fresh[kad_dice_below(dice, FRESH)];
    const struct kad_address from = choose_address(dice);
    kad_node_receive(victim.lone.node, &from,
                     (struct kad_slice){it->bytes, it->len});
    sent++;
    kad_lone_answer_all(&victim.lone, victim.honest, KAD_VICTIM_HONEST);
    if (sent % PER_MS == 0) {
      kad_victim_run(&victim, 1);
    }
  }
}

/* --------------------------------------------------------------- checks -- */

static bool is_honest(const struct kad_contact *contact) {
  for (size_t i = 0; i < KAD_VICTIM_HONEST; i++) {
    if (kad_id_equal(&contact->id, &victim.honest[i].id) &&
        kad_address_equal(&contact->address, &victim.honest[i].address)) {
      return true;
    }
  }
  return false;
}

/* No stranger has answered: none is a contact, and the honest ones stay. */
static void check_table(void) {
  static struct kad_contact_info known[CONTACTS_MAX];
  const size_t count = kad_node_contacts(victim.lone.node, known, CONTACTS_MAX);
  CHECK(count <= CONTACTS_MAX);
  for (size_t i = 0; i < count; i++) {
    CHECK(is_honest(&known[i].contact));
  }
  for (size_t i = 0; i < KAD_VICTIM_HONEST; i++) {
    CHECK(!was_known[i] || kad_lone_knows(&victim.lone, &victim.honest[i]));
  }
}

/* Replaces the rate limiter, which remembers many senders, up to a bound, for
 * as long as it lives. */
static void renew_limiter(void) {
  struct kad_config config = victim.config;
  config.queries_per_s++;
  CHECK(kad_node_configure(victim.lone.node, &config) == 0);
}

static void begin(uint64_t seed) {
  memset(&forge, 0, sizeof forge);
  kad_victim_open(&victim, seed);
  end_dice = (struct kad_dice){seed + 1};
  sent = 0;
  total = kad_dice_one_in(&end_dice, LONG_ODDS) ? MANY : FEW;
  bytes_before = bytes_at_rest();
  for (size_t i = 0; i < KAD_VICTIM_HONEST; i++) {
    was_known[i] = kad_lone_knows(&victim.lone, &victim.honest[i]);
  }
}

static void step(uint64_t seed) {
  struct kad_dice dice = {seed};
  send_some(&dice, total / STEPS);
  kad_victim_check(&victim);
  check_table();
}

/* Sends the rest, and waits until nothing is left of it. */
static void end(void) {
  while (sent < total) {
    send_some(&end_dice, total / STEPS);
    check_table();
  }
  kad_victim_check_service(&victim);
  kad_victim_run(&victim, DAY_MS);
  check_table();
  renew_limiter();
  const size_t bytes_after = bytes_at_rest();
  kad_attack_show("  %zu datagrams: %zu bytes before, %zu after", sent,
                  bytes_before, bytes_after);
  CHECK(bytes_after <= bytes_before + SLACK);
  kad_victim_close(&victim);
}

int main(int argc, char **argv) {
  static const struct kad_attack attack = {
      .name = "storm",
      .steps = STEPS,
      .begin = begin,
      .step = step,
      .end = end,
  };
  return kad_attack_main(&attack, argc, argv);
}
