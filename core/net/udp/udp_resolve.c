/* The names of a network that the system's resolver looks up. Names with one
 * host share a look-up. A name that finds no free thread waits for one. Every
 * name ends after KAD_NAME_LOOKUP_MS at the latest; an answer that comes later
 * is for the next name with that host, or for one that waits for another
 * look-up of it.
 * Tested by tests/unit/net/network_test.c. */

/* uv.h needs more of the system than C11 shows. */
#define _DEFAULT_SOURCE

#include "base/allocator.h"
#include "net/udp/name_lookup.h"
#include "net/udp/udp.h"

#include <string.h>

/* A name that is being looked up. */
struct kad_udp_name {
  struct kad_udp *udp;
  struct kad_udp_name *next;
  struct kad_name_lookup *lookup; /* NULL: it waits for a thread */
  kad_timer_id timer;             /* of its deadline */
  kad_resolved_fn resolved;
  void *data;
  uint16_t port;
  char host[KAD_NAME_MAX + 1];
};

static void free_name(struct kad_udp_name *name) {
  struct kad_udp *udp = name->udp;
  struct kad_udp_name **link = &udp->names;
  while (*link != name) {
    link = &(*link)->next;
  }
  *link = name->next;
  kad_release(&udp->base.allocator, name, sizeof *name);
}

/* Ends a name: frees it and reports the addresses, which are borrowed. */
static void end_name(struct kad_udp_name *name, int status,
                     struct kad_address *addresses, size_t count) {
  const struct kad_udp_name copy = *name;
  struct kad_network *network = &copy.udp->base;
  free_name(name);
  for (size_t i = 0; i < count; i++) {
    addresses[i].port = copy.port;
  }
  kad_network_enter(network);
  copy.resolved(copy.data, status, addresses, count);
  kad_network_leave(network);
}

/* The timer of a name. Its thread is left alone. */
static void on_deadline(void *data) {
  end_name(data, KAD_ETIMEOUT, NULL, 0);
}

/* Returns the look-up that runs for `host`, or NULL. */
static struct kad_name_lookup *find_lookup(const struct kad_udp *udp,
                                           const char *host) {
  const struct kad_udp_name *name = udp->names;
  while (name != NULL && (name->lookup == NULL || name->lookup->ended ||
                          strcmp(name->host, host) != 0)) {
    name = name->next;
  }
  return name != NULL ? name->lookup : NULL;
}

/* Returns 0, also if the name has to wait for a thread, or KAD_ENOMEM. */
static int start_lookup(struct kad_udp *udp, struct kad_udp_name *name) {
  name->lookup = find_lookup(udp, name->host);
  if (name->lookup != NULL) {
    return 0;
  }
  name->lookup = kad_late_lookups_take(&udp->late_lookups, name->host,
                                       udp->base.methods->now(&udp->base));
  if (name->lookup != NULL) {
    kad_name_lookup_give_back(udp->name_lookups, name->lookup);
    return 0;
  }
  const int error =
      kad_name_lookup_start(udp->name_lookups, name->host, &name->lookup);
  return error == KAD_EBUSY ? 0 : error;
}

/* Makes all names with the host of a look-up that has found addresses wait for
 * this one. */
static void gather_names(struct kad_udp *udp, struct kad_name_lookup *lookup) {
  struct kad_udp_name *name = udp->names;
  for (; name != NULL && lookup->status == 0; name = name->next) {
    if (strcmp(name->host, lookup->host) == 0) {
      name->lookup = lookup;
    }
  }
}

/* Reports a look-up to its names. What these start meanwhile is another one.
 * Returns false if there was no name. */
static bool report_lookup(struct kad_udp *udp, struct kad_name_lookup *lookup) {
  bool was_wanted = false;
  gather_names(udp, lookup);
  struct kad_udp_name *name = udp->names;
  while (name != NULL) {
    if (name->lookup != lookup) {
      name = name->next;
      continue;
    }
    was_wanted = true;
    (void)kad_network_stop_timer(&udp->base, name->timer);
    end_name(name, lookup->status, lookup->addresses, lookup->count);
    name = udp->names; /* the callback may have changed the list */
  }
  return was_wanted;
}

static void on_lookups_ended(uv_async_t *async) {
  struct kad_udp *udp = async->loop->data;
  struct kad_name_lookup *lookup;
  while ((lookup = kad_name_lookup_take(udp->name_lookups)) != NULL) {
    if (report_lookup(udp, lookup) || lookup->status != 0) {
      kad_name_lookup_free(lookup);
    } else {
      kad_late_lookups_keep(&udp->late_lookups, lookup,
                            udp->base.methods->now(&udp->base));
    }
  }
  for (struct kad_udp_name *name = udp->names; name; name = name->next) {
    if (name->lookup == NULL) {
      (void)start_lookup(udp, name); /* else the deadline ends it */
    }
  }
}

/* Prepares the network for its first name. */
static int open_lookups(struct kad_udp *udp) {
  if (udp->name_lookups != NULL) {
    return 0;
  }
  udp->name_lookups = kad_name_lookups_new(&udp->lookups_ended);
  if (udp->name_lookups == NULL) {
    return KAD_ENOMEM;
  }
  if (uv_async_init(&udp->loop, &udp->lookups_ended, on_lookups_ended) < 0) {
    kad_name_lookups_free(udp->name_lookups);
    udp->name_lookups = NULL;
    return KAD_ESYSTEM;
  }
  return 0;
}

int kad_udp_resolve(struct kad_network *network, const char *host,
                    uint16_t port, kad_resolved_fn resolved, void *data) {
  struct kad_udp *udp = kad_udp_of(network);
  int error = open_lookups(udp);
  if (error < 0) {
    return error == KAD_ENOMEM ? error : KAD_ERESOLVE;
  }
  struct kad_udp_name *name = kad_alloc_zero(&network->allocator, sizeof *name);
  if (name == NULL) {
    return KAD_ENOMEM;
  }
  name->udp = udp;
  name->port = port;
  name->resolved = resolved;
  name->data = data;
  strncpy(name->host, host, KAD_NAME_MAX);
  error = kad_network_start_timer(network, KAD_NAME_LOOKUP_MS, on_deadline,
                                  name, &name->timer);
  if (error == 0) {
    error = start_lookup(udp, name);
    if (error < 0) {
      (void)kad_network_stop_timer(network, name->timer);
    }
  }
  if (error < 0) {
    kad_release(&network->allocator, name, sizeof *name);
    return error;
  }
  name->next = udp->names;
  udp->names = name;
  return 0;
}

void kad_udp_resolve_close(struct kad_udp *udp) {
  if (udp->name_lookups != NULL) {
    kad_name_lookups_free(udp->name_lookups);
    uv_close((uv_handle_t *)&udp->lookups_ended, NULL);
  }
  kad_late_lookups_clear(&udp->late_lookups);
  while (udp->names != NULL) {
    free_name(udp->names);
  }
}
