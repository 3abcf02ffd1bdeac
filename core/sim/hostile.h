/* Hostile members of a simulated network. hostile.c has what all kinds share.
 *
 * Tested by tests/unit/sim/hostile_test.c. */
#ifndef KAD_SIM_HOSTILE_H
#define KAD_SIM_HOSTILE_H

#include "kadenza_codec.h"
#include "sim/sim.h"

enum {
  KAD_HOSTILE_KNOWN = 32,   /* addresses that a sender remembers */
  KAD_HOSTILE_SEEN = 16,    /* datagrams that it remembers */
  KAD_HOSTILE_QUERIES = 16, /* of a flooder, in flight */
  KAD_HOSTILE_TOKEN = 8,    /* bytes of a liar's token */
  KAD_HOSTILE_ROLES = 16    /* that a liar remembers */
};

/* A datagram that was received. */
struct kad_hostile_datagram {
  struct kad_address from;
  size_t len;
  uint8_t bytes[KAD_DATAGRAM_MAX];
};

/* A query of a flooder for a token. */
struct kad_hostile_query {
  struct kad_address to;
  struct kad_id key;
  bool open;
};

/* What a hostile that sends by itself remembers. */
struct kad_hostile_memory {
  struct kad_address known[KAD_HOSTILE_KNOWN];
  size_t known_count;
  struct kad_hostile_query queries[KAD_HOSTILE_QUERIES];
  size_t next_query;
  struct kad_hostile_datagram seen[KAD_HOSTILE_SEEN];
  size_t seen_count;
};

/* An id that is not its own, under which a liar answers about one target. */
struct kad_hostile_role {
  bool taken;
  struct kad_id target;
  struct kad_id id;
};

struct kad_hostile {
  struct kad_sim_member *member;
  struct kad_sim_hostility hostility;
  size_t index;   /* in `hostiles` of the network */
  uint64_t draws; /* state of kad_hostile_draw */
  struct kad_hostile_role roles[KAD_HOSTILE_ROLES];
  size_t next_role;
  kad_timer_id timer;                /* 0: none */
  struct kad_hostile_memory *memory; /* NULL: it only replies */
};

/* Returns a number below `count`, drawn from the seed. */
uint64_t kad_hostile_draw(struct kad_hostile *hostile, uint64_t count);

/* Fills `out` with bytes drawn from the seed. */
void kad_hostile_fill(struct kad_hostile *hostile, uint8_t *out, size_t len);

/* Returns the bytes of an id of the overlay. */
size_t kad_hostile_id_size(const struct kad_hostile *hostile);

/* Encodes and sends `message`. */
void kad_hostile_send(struct kad_hostile *hostile, const struct kad_address *to,
                      const struct kad_message *message);

/* Sends bytes. */
void kad_hostile_send_bytes(struct kad_hostile *hostile,
                            const struct kad_address *to,
                            struct kad_slice bytes);

/* hostile_lie.c: the contacts that a liar names. */

/* Fills in the contacts of a reply about `target` under the id `as`. */
void kad_hostile_fill_contacts(struct kad_hostile *hostile, unsigned family,
                               const struct kad_id *target,
                               const struct kad_id *as,
                               struct kad_message *reply);

/* Returns the id under which it answers about a target that begins with the
 * KAD_HOSTILE_TOKEN bytes of `target`: that of its role, or its own. */
const struct kad_id *kad_hostile_claimed_id(const struct kad_hostile *hostile,
                                            const uint8_t *target);

/* hostile_liar.c: members that reply in the place of their engine: silent ones
 * and all kinds of liars. */

/* Replies to `query` of `from` with a lie, or not at all. Returns false for a
 * ping, which the engine answers. */
bool kad_hostile_liar_reply(struct kad_hostile *hostile,
                            const struct kad_address *from,
                            const struct kad_message *query);

/* hostile_sender.c: members that send by themselves: flooders, replayers and
 * senders of garbage. */

/* Learns addresses and bytes from a datagram; `message` is NULL if it is
 * malformed. Returns true if it is a reply to a query of the hostile itself,
 * which its engine must not see. */
bool kad_hostile_sender_learn(struct kad_hostile *hostile,
                              const struct kad_address *from,
                              struct kad_slice datagram,
                              const struct kad_message *message);

/* Sends the next datagram. */
void kad_hostile_sender_send(struct kad_hostile *hostile);

/* hostile_behaviour.c: makes a member hostile, and shows it the datagrams for
 * its node. An honest engine runs in each hostile member and gets the others.
 *
 *     sim_arrival.c ─► hostile_behaviour.c ─► hostile_liar.c ─► hostile_lie.c
 *     or a timer                          └─► hostile_sender.c
 */

/* Ends and frees `hostile`. Ignores NULL. */
void kad_behaviour_end(struct kad_hostile *hostile);

/* Shows a datagram to `hostile`. Returns true if its engine must not get it. */
bool kad_behaviour_takes(struct kad_hostile *hostile,
                         const struct kad_address *from,
                         struct kad_slice datagram);

#endif
