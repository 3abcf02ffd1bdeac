/* Nodes of a simulated network that do others harm.
 *
 *     arrival ──► kad_hostile_takes ──► hostile_liar.c (answers in their place)
 *                                  └──► hostile_flood.c (learns from them)
 *     timer   ──────────────────────► hostile_flood.c (sends by itself)
 *
 * An honest engine runs in each, and hears what is left to it. */
#ifndef KAD_SIM_HOSTILE_H
#define KAD_SIM_HOSTILE_H

#include "kadenza_codec.h"
#include "sim/sim.h"

enum {
  KAD_HOSTILE_KNOWN = 32, /* addresses that one keeps */
  KAD_HOSTILE_SEEN = 16,  /* datagrams that it has heard and keeps */
  KAD_HOSTILE_ASKED = 16  /* tokens that a flooder waits for */
};

/* A datagram that was heard. */
struct kad_hostile_datagram {
  struct kad_address from;
  size_t len;
  uint8_t bytes[KAD_NETWORK_DATAGRAM_MAX];
};

/* A query that a flooder has sent for its token. */
struct kad_hostile_question {
  struct kad_address to;
  struct kad_id key;
  bool open;
};

/* What those have that send by themselves. */
struct kad_hostile_memory {
  struct kad_address known[KAD_HOSTILE_KNOWN];
  size_t known_count;
  struct kad_hostile_question asked[KAD_HOSTILE_ASKED];
  size_t next_asked;
  struct kad_hostile_datagram seen[KAD_HOSTILE_SEEN];
  size_t seen_count;
};

struct kad_hostile {
  struct kad_sim_member *member;
  struct kad_sim_hostility how;
  size_t place;                      /* among the hostiles of the network */
  uint64_t draws;                    /* numbers drawn so far */
  kad_timer_id timer;                /* 0: none */
  struct kad_hostile_memory *memory; /* NULL: it only answers */
};

/* Ends it and frees it. NULL is ignored. */
void kad_hostile_end(struct kad_hostile *hostile);

/* Shows it a datagram for its node. Returns true if the node is not to get it.
 */
bool kad_hostile_takes(struct kad_hostile *hostile,
                       const struct kad_address *from,
                       struct kad_slice datagram);

/* Returns a number below `count`, by the seed. */
uint64_t kad_hostile_draw(struct kad_hostile *hostile, uint64_t count);

/* Fills `out` with bytes, by the seed. */
void kad_hostile_fill(struct kad_hostile *hostile, uint8_t *out, size_t len);

/* Returns the bytes of the overlay's ids. */
size_t kad_hostile_id_size(const struct kad_hostile *hostile);

/* Writes and sends `message`. */
void kad_hostile_send(struct kad_hostile *hostile, const struct kad_address *to,
                      const struct kad_message *message);

/* Answers `query` of `from` as one that lies. Returns false for a ping, which
 * is the engine's. */
bool kad_hostile_lie(struct kad_hostile *hostile,
                     const struct kad_address *from,
                     const struct kad_message *query);

/* Learns from a datagram, whose message is NULL if it is none. Returns true if
 * it was an answer to its own call. */
bool kad_hostile_learn(struct kad_hostile *hostile,
                       const struct kad_address *from,
                       struct kad_slice datagram,
                       const struct kad_message *message);

/* Sends the next datagram of those that send by themselves. */
void kad_hostile_strike(struct kad_hostile *hostile);

#endif
