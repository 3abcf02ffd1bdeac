/* A node that is attacked: with a policy whose hooks decide at random, contacts
 * that are honest, strangers that need not be, a record that an honest contact
 * has stored, and operations. Checks what must be true whatever strangers do.
 */
#ifndef KAD_ATTACK_VICTIM_H
#define KAD_ATTACK_VICTIM_H

#include "dice.h"
#include "items.h"
#include "lone_node.h"

enum {
  KAD_VICTIM_HONEST = 4,
  KAD_VICTIM_STRANGERS = 48,
  KAD_VICTIM_CALLS = 32,      /* pending hook calls that are remembered */
  KAD_VICTIM_OPERATIONS = 13, /* kinds of operations */
  KAD_VICTIM_TARGETS = 4 + KAD_ITEMS,
  KAD_VICTIM_SETTLE_MS = 200000 /* by then every operation has ended */
};

struct kad_victim {
  struct kad_lone lone;
  struct kad_config config;
  struct kad_dice dice; /* of the hooks */
  struct kad_contact honest[KAD_VICTIM_HONEST];
  struct kad_contact strangers[KAD_VICTIM_STRANGERS];
  struct kad_id targets[KAD_VICTIM_TARGETS]; /* keys that strangers and
                                                operations use; the last are
                                                those of items */
  uint64_t call_ids[KAD_VICTIM_CALLS];
  size_t call_count;
  kad_operation_id operation; /* the latest */
  int status;                 /* of the latest that ended */
  uint64_t started;
  uint64_t ended;
  uint64_t accepted; /* policies */
  uint64_t released;
  kad_time_ms opened_at;
  kad_time_ms expected_until; /* the honest record lives */
  bool may_stop;              /* callbacks cancel operations and start others */
};

/* Opens the node with the options that `seed` chooses. Its honest contacts are
 * in the table, and its honest record is stored. No policy decides yet. */
void kad_victim_open(struct kad_victim *victim, uint64_t seed);

/* Runs until everything has ended, checks the node, and frees it. */
void kad_victim_close(struct kad_victim *victim);

/* Runs for `span_ms`; honest contacts answer. */
void kad_victim_run(struct kad_victim *victim, kad_time_ms span_ms);

/* Sets a random policy; or one that decides nothing. */
void kad_victim_set_policy(struct kad_victim *victim, struct kad_dice *dice);
void kad_victim_calm(struct kad_victim *victim);

/* Completes a hook call that may be pending. */
void kad_victim_complete(struct kad_victim *victim, struct kad_dice *dice);

/* Starts an operation of `kind`, below KAD_VICTIM_OPERATIONS. Returns its
 * error. */
int kad_victim_start(struct kad_victim *victim, struct kad_dice *dice,
                     unsigned kind);

/* Returns which item has this key, or KAD_ITEMS. */
unsigned kad_victim_find_item(const struct kad_victim *victim,
                              const struct kad_id *key);

/* Fails the case unless the node is sound now: its counters agree, its memory
 * is bounded, honest contacts are in its table, the items that it holds are
 * those of their keys, and it has moved to another id only when it may. */
void kad_victim_check(struct kad_victim *victim);

/* Fails the case unless the honest record is held, and an honest stranger's
 * ping is answered. Sets a calm policy. */
void kad_victim_check_service(struct kad_victim *victim);

#endif
