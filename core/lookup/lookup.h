/* The iterative lookup of the k contacts closest to a target, in the overlay of
 * one address family.
 *
 *   candidate: heard ─► asked ─► answered
 *                         ├────► slow (soft timeout; another one is asked)
 *                         └────► failed
 *
 * The closest candidates are asked first, α at a time, and up to k at a time
 * after α replies in a row that named no closer contact. With β > 1, a reply
 * that named a closer contact lets β queries be sent whatever is in flight, and
 * among contacts at about the same distance the faster one is asked first: a
 * bit of distance is worth a sixth of the usual round-trip time.
 *
 * A lookup in a hurry calls candidates slow as soon as most would have
 * answered: they may be dead, or behind a NAT that keeps their answers back.
 * Once a reply had a value, it does not wait for them.
 *
 * The lookup ends when the k closest candidates that have not failed have
 * answered, at kad_lookup_finish, or at its deadline. Later replies change
 * nothing. No contact is sent the same query twice. A contact that answers a
 * custom query with an error, or without contacts, is asked find_node for them
 * before it counts as answered.
 *
 * A lookup may have several disjoint paths: see paths.h.
 * Source: Kademlia §2.3; S/Kademlia §4.4. */
#ifndef KAD_LOOKUP_LOOKUP_H
#define KAD_LOOKUP_LOOKUP_H

#include "engine/timer.h"
#include "lookup/paths.h"
#include "rpc/rpc.h"

enum {
  KAD_STEPS_MAX = 512 /* queries of a lookup; a path may send 2 k at least */
};

struct kad_lookup;

struct kad_lookup_config {
  unsigned family;
  struct kad_id target;
  enum kad_method_id method; /* FIND_NODE, GET_PEERS, FIND_VALUE, GET or CUSTOM
                              */
  struct kad_slice name; /* CUSTOM: name of the query; this, `args` and `type`
                            are borrowed until the lookup is freed */
  struct kad_slice args; /* CUSTOM: arguments, a bencoded dictionary */
  struct kad_slice type; /* FIND_VALUE */
  uint32_t skip;         /* FIND_VALUE */
  bool has_seq;
  int64_t seq;         /* GET: the value is wanted if its number is higher */
  bool noseed, scrape; /* GET_PEERS */
  uint32_t alpha;
  uint32_t beta; /* 0 counts as 1 */
  uint32_t k;
  uint32_t paths;                 /* disjoint paths; 0 counts as 1 */
  kad_time_ms deadline_ms;        /* from the start */
  const struct kad_contact *seed; /* first candidate beside those of the table,
                                     or NULL; borrowed by kad_lookup_start */
  bool only_seed;                 /* takes no candidates from the table */
  /* Called for each reply; may be NULL. Returns true if it had a value. May
   * call kad_lookup_finish. */
  bool (*replied)(struct kad_node *node, struct kad_lookup *lookup,
                  const struct kad_contact *from,
                  const struct kad_message *reply);
  /* Called for each error in answer to a custom query, else may be NULL. */
  void (*refused)(struct kad_node *node, struct kad_lookup *lookup,
                  const struct kad_message *error);
  /* Called once at the end, not in kad_lookup_start. May free the lookup. */
  void (*done)(struct kad_node *node, struct kad_lookup *lookup);
  void *owner;
  bool user;    /* the user waits for it: see rpc/pacer.h */
  bool hurried; /* it can do without some of the closest contacts */
};

struct kad_lookup {
  struct kad_lookup_config config;
  struct kad_query_owner queries;
  struct kad_timer deadline;
  struct kad_timer ending; /* calls `done`, outside of any handler */
  struct kad_step *steps;
  size_t step_count;
  size_t step_cap;
  uint32_t messages;  /* queries sent */
  uint32_t value_hop; /* hop of the first reply with a value; 0: none */
  int error;          /* of the last query that could not be sent; 0: none */
  kad_time_ms started_at;
  bool timed_out;
  bool finished;
  bool converged; /* ended because the k closest candidates answered */
  struct kad_paths paths;
};

/* Starts a lookup from the contacts of the table. Copies: `config`. Free the
 * lookup with kad_lookup_free.
 * Returns 0, or
 *   KAD_ENOMEM   out of memory
 *   KAD_EFAMILY  the node has no socket of that family */
KAD_MUST_CHECK int kad_lookup_start(struct kad_node *node,
                                    const struct kad_lookup_config *config,
                                    struct kad_lookup **lookup);

/* Adds a contact that is known from elsewhere. Has no effect if the lookup has
 * ended or knows the contact. */
void kad_lookup_add_contact(struct kad_node *node, struct kad_lookup *lookup,
                            const struct kad_contact *contact);

/* Ends a lookup early; `done` is called later. */
void kad_lookup_finish(struct kad_node *node, struct kad_lookup *lookup);

/* Frees the lookup without calling `done`. Its queries go on without it. */
void kad_lookup_free(struct kad_node *node, struct kad_lookup *lookup);

/* Returns the length of the chain of replies that led to the first value or,
 * without one, to the closest candidate that answered: 1 if that was in the
 * table, 0 if none answered. */
uint32_t kad_lookup_hops(const struct kad_lookup *lookup);

/* Adds the hops, messages and steps of `count` lookups to `result`. Ignores
 * those that are NULL. */
void kad_lookup_add_counts(struct kad_lookup *const *lookups, size_t count,
                           struct kad_result *result);

/* Copies the steps of `count` lookups, `steps` in all, to one array, which the
 * caller frees. Returns NULL without steps, and when out of memory. */
struct kad_step *kad_lookup_join_steps(const struct kad_node *node,
                                       struct kad_lookup *const *lookups,
                                       size_t count, size_t steps);

#endif
