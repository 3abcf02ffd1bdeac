/* Whether hidden contacts are about: those behind a NAT, or a firewall, that
 * lets in only answers. Such a contact answers us while it has just sent to us,
 * but not the others to which we would name it.
 *
 * A contact that is known only by its own queries, and is silent once its NAT
 * has closed, is a suspect: hidden or dead. The dead send nothing. When a
 * suspect queries us, it is hidden, and there may be more like it.
 *
 * Tested by tests/unit/routing/hidden_contacts_test.c,
 * tests/unit/membership/withheld_contacts_test.c. */
#ifndef KAD_ROUTING_HIDDEN_CONTACTS_H
#define KAD_ROUTING_HIDDEN_CONTACTS_H

#include "kadenza.h"

enum {
  KAD_HIDDEN_SUSPECTS = 8,        /* the latest are remembered */
  KAD_HIDDEN_SUSPECT_MS = 900000, /* and not for longer */
  KAD_HIDDEN_ABOUT_MS = 3600000   /* since the latest hidden one */
};

struct kad_hidden_suspect {
  struct kad_address address; /* family 0: none */
  kad_time_ms since;
};

/* Zero-initialised there are none. */
struct kad_hidden_contacts {
  struct kad_hidden_suspect suspects[KAD_HIDDEN_SUSPECTS];
  size_t next; /* the oldest, which is replaced next */
  bool found;
  kad_time_ms found_at; /* the latest */
};

/* Notes that the contact at `address` is a suspect. */
void kad_hidden_contacts_suspect(struct kad_hidden_contacts *hidden,
                                 const struct kad_address *address,
                                 kad_time_ms now);

/* Notes that the contact at `address` sent us a query. */
void kad_hidden_contacts_queried(struct kad_hidden_contacts *hidden,
                                 const struct kad_address *address,
                                 kad_time_ms now);

/* Returns true if a suspect turned out to be hidden lately. */
bool kad_hidden_contacts_are_about(const struct kad_hidden_contacts *hidden,
                                   kad_time_ms now);

#endif
