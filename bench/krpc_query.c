#include "krpc_query.h"

#include <string.h>

/* The names of the kinds, and of their methods. */
static const char *const kind_names[KRPC_KINDS] = {
    [KRPC_PING] = "ping",
    [KRPC_FIND_NODE] = "find_node",
    [KRPC_GET_PEERS] = "get_peers",
    [KRPC_ANNOUNCE_PEER] = "announce_peer",
    [KRPC_FIND_VALUE] = "find_value",
    [KRPC_STORE] = "store",
    [KRPC_SCRAPE] = "scrape",
    [KRPC_SAMPLE] = "sample",
    [KRPC_GET] = "get",
    [KRPC_PUT] = "put",
    [KRPC_GET_MUTABLE] = "get_mutable",
    [KRPC_PUT_MUTABLE] = "put_mutable",
    [KRPC_UPDATE] = "update",
};
static const char *const method_names[KRPC_KINDS] = {
    [KRPC_PING] = "ping",
    [KRPC_FIND_NODE] = "find_node",
    [KRPC_GET_PEERS] = "get_peers",
    [KRPC_ANNOUNCE_PEER] = "announce_peer",
    [KRPC_FIND_VALUE] = "find_value",
    [KRPC_STORE] = "store",
    [KRPC_SCRAPE] = "get_peers",
    [KRPC_SAMPLE] = "sample_infohashes",
    [KRPC_GET] = "get",
    [KRPC_PUT] = "put",
    [KRPC_GET_MUTABLE] = "get",
    [KRPC_PUT_MUTABLE] = "put",
    [KRPC_UPDATE] = "put",
};

enum {
  PUBLISHER_BYTES = 32,
  SIGNATURE_BYTES = 64,
};

static uint8_t *put_text(uint8_t *at, const char *text) {
  while (*text != '\0') {
    *at++ = (uint8_t)*text++;
  }
  return at;
}

static uint8_t *put_number(uint8_t *at, size_t number) {
  char digits[24];
  size_t count = 0;
  do {
    digits[count++] = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  while (count > 0) {
    *at++ = (uint8_t)digits[--count];
  }
  return at;
}

static uint8_t *put_string(uint8_t *at, const void *data, size_t len) {
  at = put_number(at, len);
  *at++ = ':';
  memcpy(at, data, len);
  return at + len;
}

static uint8_t *put_tid(uint8_t *at, uint32_t tid) {
  at = put_text(at, "4:");
  for (int shift = 24; shift >= 0; shift -= 8) {
    *at++ = (uint8_t)(tid >> shift);
  }
  return at;
}

static int is_put(enum krpc_kind kind) {
  return kind == KRPC_PUT || kind == KRPC_PUT_MUTABLE || kind == KRPC_UPDATE;
}

static uint8_t *put_token(uint8_t *at, const struct krpc_query *query) {
  at = put_text(at, "5:token");
  return put_string(at, query->token, query->token_len);
}

/* Writes the keys of a put after its id: k, salt, seq, sig, token, v. */
static uint8_t *put_item(uint8_t *at, const struct krpc_query *query) {
  if (query->publisher != NULL) {
    at = put_text(at, "1:k");
    at = put_string(at, query->publisher, PUBLISHER_BYTES);
    at = put_text(at, "4:salt");
    at = put_string(at, query->salt, KRPC_SALT_BYTES);
    at = put_text(at, "3:seqi");
    at = put_number(at, query->seq);
    at = put_text(at, "e3:sig");
    at = put_string(at, query->signature, SIGNATURE_BYTES);
  }
  at = put_token(at, query);
  at = put_text(at, "1:v");
  memcpy(at, query->item, query->item_len);
  return at + query->item_len;
}

/* Writes the key of what is asked for. */
static uint8_t *put_target(uint8_t *at, const struct krpc_query *query) {
  const enum krpc_kind kind = query->kind;
  if (kind == KRPC_PING || is_put(kind)) {
    return at;
  }
  const int is_torrent = kind == KRPC_GET_PEERS || kind == KRPC_SCRAPE ||
                         kind == KRPC_ANNOUNCE_PEER;
  at = put_text(at, is_torrent ? "9:info_hash" : "6:target");
  return put_string(at, query->target, KRPC_ID_BYTES);
}

/* Writes the keys in bencode's order: id, those of a put, info_hash, port,
 * scrape, target, token, type, values. */
static uint8_t *put_arguments(uint8_t *at, const struct krpc_query *query) {
  enum krpc_kind kind = query->kind;
  at = put_text(at, "d2:id");
  at = put_string(at, query->id, KRPC_ID_BYTES);
  at = is_put(kind) ? put_item(at, query) : put_target(at, query);
  if (kind == KRPC_ANNOUNCE_PEER) {
    at = put_text(at, "4:porti");
    at = put_number(at, query->port);
    *at++ = 'e';
  }
  if (kind == KRPC_SCRAPE) {
    at = put_text(at, "6:scrapei1e");
  }
  if (kind == KRPC_ANNOUNCE_PEER || kind == KRPC_STORE) {
    at = put_token(at, query);
  }
  if (kind == KRPC_FIND_VALUE || kind == KRPC_STORE) {
    at = put_text(at, "4:type");
    at = put_string(at, query->type, strlen(query->type));
  }
  if (kind == KRPC_STORE) {
    at = put_text(at, "6:valuesld1:v");
    at = put_string(at, query->value, query->value_len);
    at = put_text(at, "ee");
  }
  *at++ = 'e';
  return at;
}

size_t krpc_query_write(const struct krpc_query *query, uint8_t *out) {
  const char *name = method_names[query->kind];
  uint8_t *at = put_text(out, "d1:a");
  at = put_arguments(at, query);
  at = put_text(at, "1:q");
  at = put_string(at, name, strlen(name));
  if (query->read_only) {
    at = put_text(at, "2:roi1e");
  }
  at = put_text(at, "1:t");
  at = put_tid(at, query->tid);
  at = put_text(at, "1:y1:qe");
  return (size_t)(at - out);
}

size_t krpc_answer_write(const uint8_t *id, const uint8_t *tid, size_t tid_len,
                         uint8_t *out) {
  uint8_t *at = put_text(out, "d1:rd2:id");
  at = put_string(at, id, KRPC_ID_BYTES);
  at = put_text(at, "5:nodes0:e1:t");
  at = put_string(at, tid, tid_len);
  at = put_text(at, "1:y1:re");
  return (size_t)(at - out);
}

const char *krpc_kind_name(enum krpc_kind kind) {
  return kind_names[kind];
}

int krpc_kind_find(const char *name, enum krpc_kind *kind) {
  for (int i = 0; i < KRPC_KINDS; i++) {
    if (strcmp(name, kind_names[i]) == 0) {
      *kind = (enum krpc_kind)i;
      return 0;
    }
  }
  return -1;
}

int krpc_kind_is_mutable(enum krpc_kind kind) {
  return kind == KRPC_GET_MUTABLE || kind == KRPC_PUT_MUTABLE ||
         kind == KRPC_UPDATE;
}

int krpc_kind_has_item(enum krpc_kind kind) {
  return kind == KRPC_GET || kind == KRPC_PUT || krpc_kind_is_mutable(kind);
}

enum krpc_kind krpc_kind_storing(enum krpc_kind kind) {
  switch (kind) {
  case KRPC_GET_PEERS:
  case KRPC_SCRAPE:
    return KRPC_ANNOUNCE_PEER;
  case KRPC_FIND_VALUE:
    return KRPC_STORE;
  case KRPC_GET:
    return KRPC_PUT;
  case KRPC_GET_MUTABLE:
    return KRPC_PUT_MUTABLE;
  default:
    return kind;
  }
}

enum krpc_kind krpc_kind_before(enum krpc_kind kind) {
  switch (kind) {
  case KRPC_ANNOUNCE_PEER:
    return KRPC_GET_PEERS;
  case KRPC_STORE:
    return KRPC_FIND_VALUE;
  case KRPC_PUT:
    return KRPC_GET;
  case KRPC_PUT_MUTABLE:
  case KRPC_UPDATE:
    return KRPC_GET_MUTABLE;
  default:
    return kind;
  }
}
