/* Sends mutated messages to a node, and checks that it serves an honest contact
 * all the same, and holds no more memory than it may. */
#include "attack.h"
#include "lone_node.h"
#include "mutate.h"

enum {
  STRANGERS = 40,
  DATAGRAM_BYTES = 4000,
  READ_BYTES = 1500, /* of a datagram; networks cut longer ones */
  MEMORY_MAX = 8 << 20,
  CHANGES_MAX = 4
};

static struct kad_lone lone;

static void begin(uint64_t seed) {
  (void)seed;
  kad_lone_open(&lone, NULL);
}

/* Writes a random query of the protocol. */
static void make_query(struct kad_dice *dice, struct kad_message *message) {
  static const uint8_t bytes[KAD_VALUE_MAX] = {1};
  kad_message_init(message, KAD_MESSAGE_QUERY);
  message->method = (enum kad_method_id)(1 + kad_dice_below(dice, 6));
  message->transaction = kad_slice_of("tt");
  message->id = kad_lone_contact((unsigned)kad_dice_below(dice, 40)).id;
  message->target = kad_lone_target;
  message->type = kad_slice_of("value");
  message->token = (struct kad_slice){bytes, 8};
  message->has_port = true;
  message->port = (uint16_t)(1 + kad_dice_below(dice, UINT16_MAX));
  if (message->method == KAD_METHOD_STORE) {
    message->record_count = 1;
    message->records[0] = (struct kad_record){
        .value = {bytes, kad_dice_below(dice, sizeof bytes)}};
  }
}

static void step(uint64_t seed) {
  struct kad_dice dice = {seed};
  struct kad_message message;
  uint8_t plain[DATAGRAM_BYTES];
  uint8_t bytes[DATAGRAM_BYTES];
  struct kad_writer encoded = {.data = plain, .cap = sizeof plain};
  struct kad_writer mutated = {.data = bytes, .cap = READ_BYTES};
  unsigned changes = (unsigned)kad_dice_below(&dice, CHANGES_MAX);
  const struct kad_contact from =
      kad_lone_contact((unsigned)kad_dice_below(&dice, STRANGERS));
  make_query(&dice, &message);
  CHECK(kad_krpc_encode(NULL, &message, lone.id_size, &encoded) == 0);
  kad_mutate(&dice, (struct kad_slice){plain, encoded.len}, changes, &mutated);
  kad_attack_show_bytes("sends", bytes, mutated.len);
  kad_lone_receive(&lone, &from, (struct kad_slice){bytes, mutated.len});
  CHECK(lone.counting.bytes < MEMORY_MAX);
}

static void end(void) {
  struct kad_message message;
  const struct kad_contact honest = kad_lone_contact(STRANGERS + 1);
  kad_lone_run(&lone, 60000);
  kad_lone_query(&lone, &honest, KAD_METHOD_PING);
  (void)kad_lone_reply(&lone, &message);
  CHECK(message.kind == KAD_MESSAGE_REPLY);
  kad_lone_close(&lone);
}

int main(int argc, char **argv) {
  static const struct kad_attack attack = {
      .name = "datagrams",
      .steps = 200,
      .begin = begin,
      .step = step,
      .end = end,
  };
  return kad_attack_main(&attack, argc, argv);
}
