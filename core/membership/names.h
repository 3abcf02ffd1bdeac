/* The bootstrap names of a node, with the addresses that they had last. The
 * environment resolves them; a join asks for that.
 *
 *     waiting ──kad_names_resolve──► pending ──kad_node_name_resolved──►
 * waiting
 *
 * Tested by tests/unit/membership/names_test.c. */
#ifndef KAD_MEMBERSHIP_NAMES_H
#define KAD_MEMBERSHIP_NAMES_H

#include "kadenza_names.h"

struct kad_name {
  uint8_t text[KAD_NAME_TEXT_MAX];
  size_t len;
  bool pending;
  bool is_own; /* all of its addresses are ours */
  int status;  /* as in struct kad_name_info */
  struct kad_address addresses[KAD_NAME_ADDRESSES_MAX];
  size_t count;
};

struct kad_names {
  struct kad_name *items; /* or NULL */
  size_t count;
  size_t cap;
  size_t next;    /* where to look for one to replace when there are many */
  size_t pending; /* number of names that are being resolved */
  void (*changed)(void *data, size_t index); /* or NULL */
  void *data;
};

/* Asks the environment to resolve every name that is not pending. */
void kad_names_resolve(struct kad_node *node);

/* Returns the number of names that are being resolved. */
size_t kad_names_pending(const struct kad_node *node);

/* Returns true if there are names, and all have failed. */
bool kad_names_have_failed(const struct kad_node *node);

/* Iterates over the addresses of all names: begin with a zero cursor. Returns
 * NULL at the end. */
struct kad_name_cursor {
  size_t name;
  size_t address;
};
const struct kad_address *kad_names_next_address(
    const struct kad_node *node, struct kad_name_cursor *cursor);

/* Removes `address`, which has turned out to be our own, from all names. */
void kad_names_forget(struct kad_node *node, const struct kad_address *address);

/* Returns true if a name may lead to another node. */
bool kad_names_lead_elsewhere(const struct kad_node *node);

/* Frees the names. */
void kad_names_stop(struct kad_node *node);

#endif
