/* One engine with nothing around it: a clock that the test moves, random bytes
 * of a seed, and datagrams that are kept instead of sent.
 *
 *     struct kad_lone lone;
 *     kad_lone_open(&lone, NULL);
 *     struct kad_contact near = kad_lone_contact(1);
 *     kad_lone_meet(&lone, &near);            it is in the table now
 *     kad_lone_ask(&lone, &near, KAD_METHOD_PING);
 *     kad_lone_reply(&lone, &message);          what the node answered
 *     kad_lone_run(&lone, 60000);               a minute passes
 *     kad_lone_close(&lone);                    fails on a leak
 */
#ifndef KAD_LONE_NODE_H
#define KAD_LONE_NODE_H

#include "counting_allocator.h"
#include "wire/krpc.h"

enum {
  KAD_LONE_KEPT = 512, /* datagrams that can be looked at again */
  KAD_LONE_SIZE = 1500
};

/* A datagram that the node sent. */
struct kad_lone_datagram {
  struct kad_address to;
  kad_time_ms at;
  size_t len;
  uint8_t bytes[KAD_LONE_SIZE];
};

struct kad_lone {
  struct kad_counting_allocator counting;
  struct kad_node *node;
  kad_time_ms now;
  uint64_t random; /* the state of the seeded generator */
  size_t id_size;
  size_t sent;     /* datagrams that the node has sent, all told */
  size_t answered; /* of these, those that kad_lone_answer_all has seen */
  uint64_t trace;  /* a hash of all that was sent */
  struct kad_lone_datagram kept[KAD_LONE_KEPT];
};

/* Opens a node with `config`, or, when it is NULL, with the defaults, and with
 * sockets of both families. The clock begins at 1,000,000. */
void kad_lone_open(struct kad_lone *lone, const struct kad_config *config);

/* Prepares everything but the node, with the random bytes of `seed`, and gives
 * the environment to open one in. */
struct kad_env kad_lone_env(struct kad_lone *lone, uint64_t seed);

/* Frees the node and fails the test if it left memory behind. */
void kad_lone_close(struct kad_lone *lone);

/* Makes the contact `number`: ids are spread over all buckets, each address is
 * of a subnet of its own. Number 0 is not used. `_v6` has the same id. */
struct kad_contact kad_lone_contact(unsigned number);
struct kad_contact kad_lone_contact_v6(unsigned number);

/* Lets `span_ms` pass, with a tick at each deadline. */
void kad_lone_run(struct kad_lone *lone, kad_time_ms span_ms);

/* The same, while `count` contacts answer every query that reaches them, at
 * once. */
void kad_lone_live(struct kad_lone *lone, kad_time_ms span_ms,
                   const struct kad_contact *contacts, size_t count);

/* Gives the node the datagram `bytes` from `from`. */
void kad_lone_receive(struct kad_lone *lone, const struct kad_contact *from,
                      struct kad_slice bytes);

/* Begins a query: an empty one of `method` to be filled in. */
void kad_lone_begin(struct kad_message *message, enum kad_method_id method);

/* Sends `message`, a query, from `from`; its id is filled in, and so is its
 * transaction, "qq", if it has none. */
void kad_lone_send(struct kad_lone *lone, const struct kad_contact *from,
                   struct kad_message *message);

/* Sends a query without more arguments than a target: that of `lone_target`. */
void kad_lone_ask(struct kad_lone *lone, const struct kad_contact *from,
                  enum kad_method_id method);
extern const struct kad_id kad_lone_target;

/* Sends the custom query `name` with `args` (bencoded, or empty). */
void kad_lone_call(struct kad_lone *lone, const struct kad_contact *from,
                   const char *name, const char *args);

/* Returns the datagram that was sent last but `back`, and reads it. */
const struct kad_lone_datagram *kad_lone_sent(struct kad_lone *lone,
                                              size_t back,
                                              struct kad_message *message);

/* Reads the last reply or error that the node sent; fails without one. Returns
 * its datagram. */
const struct kad_lone_datagram *kad_lone_reply(struct kad_lone *lone,
                                               struct kad_message *message);

/* Returns the code of the last datagram, which must be an error, else 0. */
int kad_lone_error(struct kad_lone *lone);

/* Finds the last query that the node sent to `to`. False without one. */
bool kad_lone_find_query(struct kad_lone *lone, const struct kad_address *to,
                         struct kad_message *message);

/* Answers `query`, which the node sent to `from`, with no more than an id. */
void kad_lone_answer(struct kad_lone *lone, const struct kad_contact *from,
                     const struct kad_message *query);

/* Answers all queries to `contacts` that were sent since the last call. */
void kad_lone_answer_all(struct kad_lone *lone,
                         const struct kad_contact *contacts, size_t count);

/* Lets `contact` ping the node and answer its ping, if it is pinged: its bucket
 * may have contacts enough, and others that wait. */
void kad_lone_meet(struct kad_lone *lone, const struct kad_contact *contact);

/* Asks for a write token for kad_lone_target, in the name of `from`, and copies
 * it to `token`, of KAD_TOKEN_MAX bytes. Returns its length. */
size_t kad_lone_token(struct kad_lone *lone, const struct kad_contact *from,
                      uint8_t *token);

/* Stores `values` of type `value` in the name of `from`, with a good token. */
void kad_lone_store(struct kad_lone *lone, const struct kad_contact *from,
                    const struct kad_record *values, size_t count);

/* Announces a peer on `port` for kad_lone_target, with a good token. */
void kad_lone_announce(struct kad_lone *lone, const struct kad_contact *from,
                       uint16_t port);

/* Returns true if the node holds `contact` at exactly this address. */
bool kad_lone_knows(const struct kad_lone *lone,
                    const struct kad_contact *contact);

/* Returns true if `message` hands `contact` out. */
bool kad_lone_hands_out(const struct kad_message *message,
                        const struct kad_contact *contact);

/* Returns the counters. */
struct kad_stats kad_lone_stats(const struct kad_lone *lone);

#endif
