/* What our user asked for, from the call that started it to its callback.
 *
 *   queued (too many lookups run) ─► running ─► ending ─► told, freed
 *
 * An operation on the overlay runs a lookup in each address family that we
 * have, side by side, and joins their results. */
#ifndef KAD_OPERATIONS_OPERATION_H
#define KAD_OPERATIONS_OPERATION_H

#include "base/address.h"
#include "engine/ruleset.h"
#include "lookup/lookup.h"
#include "records/bundle.h"

enum {
  KAD_OPERATIONS_QUEUED = 4096, /* that wait for their turn */
  KAD_OVERDUE_MS = 1000         /* see `overdue` of struct kad_operation */
};

enum kad_operation_state {
  KAD_OPERATION_QUEUED,
  KAD_OPERATION_RUNNING,
  KAD_OPERATION_ENDING
};

struct kad_operation;
struct kad_sybil_search;

/* What differs between kinds of operations. */
struct kad_operation_kind {
  enum kad_method_id method; /* of its lookups; KAD_METHOD_PING: it has none */
  /* Begins it. May end it. */
  void (*start)(struct kad_node *node, struct kad_operation *op);
  /* Told of each reply in a lookup; see kad_lookup_config. May be NULL. */
  bool (*replied)(struct kad_node *node, struct kad_lookup *lookup,
                  const struct kad_contact *from,
                  const struct kad_message *reply);
  /* Goes on once every lookup has ended. Must end it, now or later. */
  void (*looked_up)(struct kad_node *node, struct kad_operation *op);
  /* Applies the result of a hook that kad_operation_call_hook has called. NULL
   * in a kind that calls none. */
  void (*apply_result)(struct kad_node *node, struct kad_operation *op,
                       const struct kad_hook_result *result);
  /* Continues after the result of a hook call that was pending has been
   * applied. May be NULL. */
  void (*resume)(struct kad_node *node, struct kad_operation *op);
  /* Fills in what only this kind has in its result. May be NULL. */
  void (*report)(struct kad_node *node, struct kad_operation *op,
                 struct kad_result *result);
  /* Frees what only this kind has. May be NULL. */
  void (*stop)(struct kad_node *node, struct kad_operation *op);
};

/* An operation. Kinds with more to remember embed it as their first member. */
struct kad_operation {
  struct kad_operation *previous; /* all of the node's, oldest first */
  struct kad_operation *next;
  size_t size; /* bytes of the whole, the kind's part included */
  const struct kad_operation_kind *kind;
  enum kad_operation_state state;
  kad_operation_id name;
  struct kad_query_owner queries;
  kad_done_fn done;
  void *data;
  kad_time_ms started_at;
  struct kad_timer timer;            /* to begin, or to tell, from the heap */
  struct kad_timer overdue;          /* ends it when its deadline has passed and
                                        what followed the lookups had its time */
  struct kad_lookup_options options; /* filled in */
  struct kad_id target;
  uint8_t type_name[KAD_TYPE_NAME_MAX];
  struct kad_slice type; /* FIND_VALUE lookups */
  uint32_t skip;
  struct kad_slice query_name; /* CUSTOM lookups; the kind's own */
  struct kad_slice query_args;
  struct kad_lookup *lookups[KAD_FAMILIES];
  uint32_t lookups_open;
  struct kad_sybil_search
      *region;      /* what was looked for beside a crowded key */
  bool counted;     /* as one that runs lookups */
  bool inner;       /* its callback is the node's */
  uint64_t call_id; /* of the pending hook call; 0: none */
  int status;
  int code;      /* of a refusal */
  uint8_t *text; /* owns `reason` and `reply` of the result */
  size_t text_len;
  uint32_t stored;
  uint32_t holders;
};

/* Returns the operation that owns `query`. */
static inline struct kad_operation *kad_operation_of_query(
    const struct kad_query *query) {
  return kad_container_of(query->owner, struct kad_operation, queries);
}

/* The operations of a node. */
struct kad_operations {
  struct kad_operation *first;
  struct kad_operation *last;
  kad_operation_id last_name;
  uint32_t running; /* with lookups */
  uint32_t count;
};

/* How an operation is made. */
struct kad_operation_request {
  const struct kad_operation_kind *kind;
  size_t size; /* bytes, at least sizeof(struct kad_operation) */
  const struct kad_lookup_options *options; /* or NULL */
  const struct kad_id *target;              /* or NULL */
  struct kad_slice type;                    /* or empty */
  kad_done_fn done;
  void *data;
  bool inner; /* `done` is the node's, not a user's */
};

/* Makes an operation, all zero but for what the request says, that begins in
 * the next tick. Returns 0, KAD_EINVAL for options out of range or a type name
 * that is too long, KAD_EBUSY, KAD_ENOMEM, KAD_ECLOSED. */
KAD_MUST_CHECK int kad_operation_new(
    struct kad_node *node, const struct kad_operation_request *request,
    struct kad_operation **op);

/* Starts a lookup in every family; `looked_up` follows. Without any family, or
 * memory for it, the operation ends. */
void kad_operation_look_up(struct kad_node *node, struct kad_operation *op);

/* The same for an operation that reads, and has counted what is held here: when
 * that is enough for its quorum, `looked_up` is called at once. */
void kad_operation_look_further(struct kad_node *node,
                                struct kad_operation *op);

/* Starts the lookup of `seed`'s family with it, if that has not been; tells it
 * of `seed` otherwise. Without memory for it, nothing happens. */
void kad_operation_look_up_from(struct kad_node *node, struct kad_operation *op,
                                const struct kad_contact *seed);

/* Ends the lookups of an operation with what they have; `looked_up` follows. */
void kad_operation_end_lookups(struct kad_node *node, struct kad_operation *op);

/* Calls `hook` (NULL: none, which accepts) of `type`. Returns true after the
 * kind's `apply_result`. Returns false if the call is pending: `apply_result`
 * and `resume` follow, unless the operation ends before. */
bool kad_operation_call_hook(struct kad_node *node, struct kad_operation *op,
                             struct kad_ruleset *ruleset,
                             const struct kad_type *type, kad_hook_fn hook,
                             struct kad_hook_call *call);

/* Returns what to end with when nobody answered: what kept the codec from
 * writing the queries; KAD_ETIMEOUT when the deadline came first; else
 * KAD_ENOCONTACTS. */
int kad_operation_silence(const struct kad_operation *op);

/* Returns true if the deadline ended one of its lookups. */
bool kad_operation_timed_out(const struct kad_operation *op);

/* Ends an operation with `status`; its callback follows in the next tick. */
void kad_operation_end(struct kad_node *node, struct kad_operation *op,
                       int status);

/* Keeps a copy of `text` as the result's reason or reply; nothing when out of
 * memory. */
void kad_operation_keep_text(struct kad_node *node, struct kad_operation *op,
                             struct kad_slice text);

/* Notes an error reply: its code and text, unless there is one already. */
void kad_operation_keep_error(struct kad_node *node, struct kad_operation *op,
                              const struct kad_message *message);

/* Copies the candidates of both families that answered, at most k of each, to
 * `out`, which holds 2 * KAD_K_MAX, and returns their number. */
size_t kad_operation_closest(const struct kad_operation *op,
                             const struct kad_candidate **out);

/* Ends every operation with KAD_ECLOSED and tells their callbacks. */
void kad_operations_close(struct kad_node *node);

/* Lets every operation forget its user's callback: it will end without a word.
 */
void kad_operations_forget(struct kad_node *node);

#endif
