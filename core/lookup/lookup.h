/* The iterative search for the k contacts closest to a target, in the overlay
 * of one address family.
 *
 *   candidate: heard ─► asked ─► answered
 *                         ├────► slow (soft timeout; another one is asked)
 *                         └────► failed
 *
 * Asks the closest candidates first, α at a time; up to k when α answers in a
 * row brought nothing closer. With β > 1, an answer that came closer lets β
 * queries go out whatever is in flight, and of contacts about as close the
 * quicker is asked first: a bit of distance is worth a sixth of the usual
 * round-trip time. Ends when the k closest candidates that have not
 * failed have answered, when told to (`kad_lookup_finish`), or at its deadline;
 * what is answered after that changes nothing. Nobody is asked the same twice:
 * who answers a custom query with an error, or without contacts, is asked
 * find_node for them before it counts as answered.
 *
 * A lookup may run on several disjoint paths: see paths.h.
 * Source: Kademlia §2.3; S/Kademlia §4.4. */
#ifndef KAD_LOOKUP_LOOKUP_H
#define KAD_LOOKUP_LOOKUP_H

#include "engine/timer.h"
#include "lookup/paths.h"
#include "rpc/rpc.h"

enum {
  KAD_STEPS_MAX = 512 /* queries of one lookup; of several paths, each may ask
                         2 k at least */
};

struct kad_lookup;

/* What a lookup asks, and whom it tells. */
struct kad_lookup_config {
  unsigned family;
  struct kad_id target;
  enum kad_method_id method; /* FIND_NODE, GET_PEERS, FIND_VALUE or CUSTOM */
  struct kad_slice name; /* CUSTOM: of the query, and its arguments, a bencoded
                            dictionary; borrowed until the lookup is freed */
  struct kad_slice args;
  struct kad_slice type; /* FIND_VALUE; borrowed until the lookup is freed */
  uint32_t skip;         /* FIND_VALUE */
  uint32_t alpha;
  uint32_t beta; /* 0 counts as 1 */
  uint32_t k;
  uint32_t paths;                 /* disjoint ones; 0 counts as 1 */
  kad_time_ms deadline_ms;        /* from the start */
  const struct kad_contact *seed; /* one more contact to begin with, or NULL;
                                     borrowed by kad_lookup_start */
  bool only_seed;                 /* begin with no other */
  /* Told of each reply. Returns true if it had a value. May be NULL. May call
   * kad_lookup_finish. */
  bool (*replied)(struct kad_node *node, struct kad_lookup *lookup,
                  const struct kad_contact *from,
                  const struct kad_message *reply);
  /* Told of each error in answer to a custom query; may be NULL without one. */
  void (*refused)(struct kad_node *node, struct kad_lookup *lookup,
                  const struct kad_message *error);
  /* Told once that it has ended, never from inside kad_lookup_start. Frees it.
   */
  void (*done)(struct kad_node *node, struct kad_lookup *lookup);
  void *owner;
};

struct kad_lookup {
  struct kad_lookup_config config;
  struct kad_query_owner queries;
  struct kad_timer deadline;
  struct kad_timer ending; /* tells `done` from the heap, not from a handler */
  struct kad_step *steps;
  size_t step_count;
  size_t step_cap;
  uint32_t unanswered; /* asked, slow ones too */
  uint32_t messages;
  uint32_t value_hop; /* of the first that had a value; 0 for none */
  int error; /* of a query that could not be sent, the last; 0 for none */
  kad_time_ms started_at;
  bool timed_out;
  bool finished;
  bool whole; /* it ended because the k closest have answered */
  struct kad_paths paths;
};

/* Starts a lookup from the contacts of the table. Returns 0, KAD_ENOMEM, or
 * KAD_EFAMILY when the node has no socket of that family. Free it with
 * kad_lookup_free. */
KAD_MUST_CHECK int kad_lookup_start(struct kad_node *node,
                                    const struct kad_lookup_config *config,
                                    struct kad_lookup **lookup);

/* Tells a lookup of a contact that has answered otherwise. Ignored when the
 * lookup has ended, or knows it. */
void kad_lookup_hear(struct kad_node *node, struct kad_lookup *lookup,
                     const struct kad_contact *contact);

/* Ends a lookup early; `done` follows. */
void kad_lookup_finish(struct kad_node *node, struct kad_lookup *lookup);

/* Frees the lookup. `done` is not told. Queries under way go on without it. */
void kad_lookup_free(struct kad_node *node, struct kad_lookup *lookup);

/* Copies up to `cap` candidates that answered on any path, closest first, to
 * `out`, and returns their number. */
size_t kad_lookup_closest(const struct kad_lookup *lookup,
                          const struct kad_candidate **out, size_t cap);

/* Copies up to `cap` candidates that have answered, or have not been asked, to
 * `out`, closest first, and returns their number. */
size_t kad_lookup_living(const struct kad_lookup *lookup,
                         const struct kad_candidate **out, size_t cap);

/* Returns the answers in a row that led to the first value, or, without one, to
 * the closest that answered; 0 when nobody has. */
uint32_t kad_lookup_hops(const struct kad_lookup *lookup);

#endif
