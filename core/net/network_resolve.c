#include "base/allocator.h"
#include "kadenza_names.h"
#include "net/network.h"

#include <string.h>

enum {
  PORT_MAX = 65535
};

/* A name whose resolution needs no resolver. It is reported in the next turn,
 * because kad_network_resolve must not call `resolved` itself. */
struct kad_resolved_name {
  struct kad_network *network;
  struct kad_resolved_name *next;
  kad_resolved_fn resolved;
  void *data;
  struct kad_address address;
  int status;
};

void kad_network_free_names(struct kad_network *network) {
  while (network->resolved_names != NULL) {
    struct kad_resolved_name *name = network->resolved_names;
    network->resolved_names = name->next;
    kad_release(&network->allocator, name, sizeof *name);
  }
}

static void report_name(void *data) {
  struct kad_resolved_name *name = data;
  struct kad_resolved_name **link = &name->network->resolved_names;
  while (*link != name) {
    link = &(*link)->next;
  }
  *link = name->next;
  const struct kad_resolved_name copy = *name;
  kad_release(&copy.network->allocator, name, sizeof *name);
  copy.resolved(copy.data, copy.status, &copy.address,
                copy.status == 0 ? 1 : 0);
}

static int report_later(struct kad_network *network, int status,
                        const struct kad_address *address,
                        kad_resolved_fn resolved, void *data) {
  struct kad_resolved_name *name = kad_alloc(&network->allocator, sizeof *name);
  if (name == NULL) {
    return KAD_ENOMEM;
  }
  *name = (struct kad_resolved_name){
      .network = network,
      .next = network->resolved_names,
      .resolved = resolved,
      .data = data,
      .address = *address,
      .status = status,
  };
  int error = kad_network_start_timer(network, 0, report_name, name, NULL);
  if (error < 0) {
    kad_release(&network->allocator, name, sizeof *name);
    return error;
  }
  network->resolved_names = name;
  return 0;
}

/* Returns true if all bytes of a host are printable ASCII, but none is a blank
 * or a colon, as an IPv6 address without brackets has. */
static bool is_plain(const uint8_t *host, size_t len) {
  bool is = true;
  for (size_t i = 0; i < len && is; i++) {
    is = host[i] > ' ' && host[i] <= '~' && host[i] != ':';
  }
  return is;
}

/* Splits "host:port". Returns false if one is missing, too long or too large,
 * or if the host is not plain. */
static bool split(struct kad_slice text, char host[KAD_NAME_MAX + 1],
                  uint16_t *port) {
  size_t colon = text.len;
  while (colon > 0 && text.data[colon - 1] != ':') {
    colon--;
  }
  const size_t digits = text.len - colon;
  const size_t len = colon > 0 ? colon - 1 : 0;
  if (len == 0 || len > KAD_NAME_MAX || digits == 0 || digits > 5 ||
      !is_plain(text.data, len)) {
    return false;
  }
  unsigned long number = 0;
  for (size_t i = colon; i < text.len; i++) {
    if (text.data[i] < '0' || text.data[i] > '9') {
      return false;
    }
    number = number * 10 + (unsigned long)(text.data[i] - '0');
  }
  if (number == 0 || number > PORT_MAX) {
    return false;
  }
  memcpy(host, text.data, len);
  host[len] = '\0';
  *port = (uint16_t)number;
  return true;
}

int kad_network_check_name(struct kad_slice text) {
  struct kad_address address;
  char host[KAD_NAME_MAX + 1];
  uint16_t port = 0;
  return kad_address_parse(text, &address) == 0 || split(text, host, &port)
             ? 0
             : KAD_EINVAL;
}

int kad_network_resolve(struct kad_network *network, struct kad_slice text,
                        kad_resolved_fn resolved, void *data) {
  if (network == NULL || resolved == NULL) {
    return KAD_EINVAL;
  }
  struct kad_address address = {0};
  if (kad_address_parse(text, &address) == 0) {
    return report_later(network, 0, &address, resolved, data);
  }
  char host[KAD_NAME_MAX + 1];
  uint16_t port = 0;
  if (!split(text, host, &port)) {
    return KAD_EINVAL;
  }
  int status = KAD_ERESOLVE;
  if (network->methods->resolve != NULL) {
    status = network->methods->resolve(network, host, port, resolved, data);
  }
  return status == KAD_ERESOLVE
             ? report_later(network, status, &address, resolved, data)
             : status;
}
