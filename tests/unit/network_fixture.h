/* What tests of real sockets share: a network on loopback and what callbacks
 * have seen of it. */
#ifndef KAD_NETWORK_FIXTURE_H
#define KAD_NETWORK_FIXTURE_H

#include "counting_allocator.h"
#include "kadenza.h"

enum {
  KAD_PATIENCE_MS = 10000, /* a test that waits longer fails */
  KAD_BURST = 200          /* datagrams, more than are sent together */
};

/* What one test works with: a network, and what callbacks have seen. */
struct kad_fixture {
  struct kad_counting_allocator counting;
  struct kad_network *network;
  struct kad_node *node;  /* for callbacks that close one */
  struct kad_node *other; /* likewise */
  kad_timer timer;        /* for callbacks that stop one */
  unsigned expected;      /* results after which the network is stopped */
  unsigned results;
  unsigned failures; /* among them */
  unsigned fired;
  int status; /* of the latest result */
  struct kad_address addresses[16];
  size_t address_count;
};

/* Makes a network of UDP sockets that counts its memory. */
void kad_fixture_open(struct kad_fixture *fixture);

/* Frees the network, and fails the test if memory is left. */
void kad_fixture_close(struct kad_fixture *fixture);

/* Reads an address, which must be one. */
struct kad_address kad_fixture_address(const char *text);

/* Opens a node without limits that may talk to local addresses. Returns what
 * kad_network_open_node does. */
int kad_fixture_try_open(struct kad_network *network,
                         const struct kad_address *listen, size_t count,
                         struct kad_node **node);

/* Opens one on a single address; fails the test when that fails. */
struct kad_node *kad_fixture_open_node(struct kad_network *network,
                                       const char *listen);

/* Returns the i-th address that `node` is bound to. */
struct kad_address kad_fixture_bound(struct kad_network *network,
                                     const struct kad_node *node, size_t i);

/* Counts a result in the fixture `data`; stops the network after `expected`. */
void kad_fixture_count_result(void *data, const struct kad_result *result);

/* Lets `from` ping `to` and counts the result. */
void kad_fixture_ping(struct kad_fixture *fixture, struct kad_node *from,
                      const struct kad_address *to);

/* Runs until a callback stops the network; fails the test if none does. */
void kad_fixture_run(struct kad_fixture *fixture);

/* Counts a timer or signal in the fixture `data`. */
void kad_fixture_count_fire(void *data);

/* Counts it and stops the network. */
void kad_fixture_stop(void *data);

#endif
