/* kadenza.h: nodes, operations, policies and networks of libkadenza, a Kademlia
 * DHT node. kadenza_store.h has the interface of record stores, kadenza_codec.h
 * that of encodings, kadenza_sim.h networks in virtual time. This header
 * includes kadenza_bencode.h, kadenza_item.h, kadenza_names.h and
 * kadenza_secure_id.h.
 *
 * The engine (`kad_node`) is sans-I/O: datagrams, time and requests go in;
 * datagrams and completions come out. A `kad_network` runs engines on UDP
 * sockets (kad_network_udp_new), in virtual time (kad_network_sim_new), or on a
 * transport of the caller (kad_network_open_on_transport). A program with a
 * loop of its own gives the engine a `kad_env` instead, and calls
 * kad_node_receive and kad_node_tick.
 *
 * Conventions. A function that can fail returns 0 or a negative KAD_E… code and
 * writes its out-parameters only on success. A `kad_time_ms` is in
 * milliseconds of a monotonic clock; other times state their unit. A pointer,
 * or callback, may be NULL only where its description says so. Given another
 * NULL, a function does nothing: it returns KAD_EINVAL, or, if it returns no
 * code, false, 0 or what else is empty. An array of no items may be NULL.
 * Nothing is thread-safe: a network and its nodes belong to one thread.
 *
 * The length of this file is that of the API: an embedder finds it in one
 * place. */
#ifndef KADENZA_H
#define KADENZA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
#define KAD_API        __attribute__((visibility("default")))
#define KAD_MUST_CHECK __attribute__((warn_unused_result))
#else
#define KAD_API
#define KAD_MUST_CHECK
#endif

/* The version of this header; `kad_version` gives the library's. */
#define KAD_VERSION "0.1.0"

/* Returns the version of the library, such as "0.1.0". Always valid. */
KAD_API const char *kad_version(void);

/* ------------------------------------------------------------- errors -- */

/* Every error of the library: code, value, text. */
#define KAD_ERROR_MAP(X)                                              \
  X(KAD_EINVAL, -1, "invalid argument")                               \
  X(KAD_ENOMEM, -2, "out of memory")                                  \
  X(KAD_ETIMEOUT, -3, "no answer in time")                            \
  X(KAD_ECANCELED, -4, "canceled")                                    \
  X(KAD_ECLOSED, -5, "the node is closed")                            \
  X(KAD_EMALFORMED, -6, "malformed message")                          \
  X(KAD_ETOOBIG, -7, "too large")                                     \
  X(KAD_ENOTFOUND, -8, "not found")                                   \
  X(KAD_ENOCONTACTS, -9, "no contacts: the node knows no other node") \
  X(KAD_EREMOTE, -10, "the other node answered with an error")        \
  X(KAD_EREFUSED, -11, "refused")                                     \
  X(KAD_EMARTIAN, -12, "address not allowed")                         \
  X(KAD_EOWNID, -13, "our own id")                                    \
  X(KAD_ESUBNET, -14, "too many contacts of one subnet")              \
  X(KAD_EADDRESS, -15, "another contact has this address")            \
  X(KAD_EID, -16, "the id does not match")                            \
  X(KAD_EFULL, -17, "full")                                           \
  X(KAD_EBUSY, -18, "too much waits already: try again later")        \
  X(KAD_ETYPE, -19, "unknown record type")                            \
  X(KAD_EQUOTA, -20, "quota exceeded")                                \
  X(KAD_ESIGNATURE, -21, "bad signature")                             \
  X(KAD_ECONFLICT, -22, "named twice")                                \
  X(KAD_ESYSTEM, -23, "system call failed")                           \
  X(KAD_EADDRINUSE, -24, "address already in use")                    \
  X(KAD_EACCESS, -25, "permission denied")                            \
  X(KAD_ERESOLVE, -26, "name could not be resolved")                  \
  X(KAD_EFAMILY, -27, "no socket of this address family")             \
  X(KAD_EADDRNOTAVAIL, -28, "address is not one of this machine")     \
  X(KAD_ECODEC, -29, "the codec failed")                              \
  X(KAD_ENOROUTE, -30, "no socket has a route to the address")        \
  X(KAD_EFEWER, -31, "stored at fewer nodes than min_stored")         \
  X(KAD_ECAS, -32, "another item has been stored meanwhile")          \
  X(KAD_ESEQ, -33, "a newer item is stored")                          \
  X(KAD_EBLOCKED, -34, "the address is blocked")

enum kad_error {
#define KAD_ERROR_ENUM(code, value, text) code = (value),
  KAD_ERROR_MAP(KAD_ERROR_ENUM)
#undef KAD_ERROR_ENUM
};

/* Returns the name of `error`, such as "KAD_EINVAL"; "KAD_EUNKNOWN" for any
 * other number. Always valid. */
KAD_API const char *kad_error_name(int error);

/* Returns the text of `error`, one lower-case phrase. Always valid. */
KAD_API const char *kad_error_text(int error);

/* Codes of KRPC errors (BEP 5 "Errors"; the 2xx after 204 and the 3xx are BEP
 * 44's and kadenza's own). */
enum kad_krpc_code {
  KAD_CODE_REFUSED = 201,   /* generic error: refused by policy */
  KAD_CODE_FAILED = 202,    /* server error: a script failed or was too slow */
  KAD_CODE_PROTOCOL = 203,  /* protocol error: malformed or bad token */
  KAD_CODE_METHOD = 204,    /* method unknown */
  KAD_CODE_TOO_BIG = 205,   /* value too large */
  KAD_CODE_SIGNATURE = 206, /* signature wrong */
  KAD_CODE_SALT = 207,      /* salt too large */
  KAD_CODE_CAS = 301,       /* cas mismatch */
  KAD_CODE_SEQ = 302        /* sequence number too low */
};

/* -------------------------------------------------------- basic values -- */

/* A moment of a monotonic clock, or a span of it, in milliseconds. */
typedef uint64_t kad_time_ms;

/* The moment that never comes. Sums saturate at it. */
#define KAD_TIME_NEVER UINT64_MAX

/* Borrowed bytes. `data` may be NULL if `len` is 0. Not NUL-terminated. */
struct kad_slice {
  const uint8_t *data;
  size_t len; /* bytes */
};

/* Returns the bytes of the C string `text`, without its NUL. Borrows: `text`.
 */
KAD_API struct kad_slice kad_slice_of(const char *text);

/* Returns true if both hold the same bytes. Not constant-time. */
KAD_API bool kad_slice_equal(struct kad_slice a, struct kad_slice b);

/* Memory, in the manner of lua_Alloc: `resize(state, NULL, 0, n)` allocates,
 * `resize(state, p, old, 0)` frees and returns NULL, anything else resizes.
 * `old_size` is always the size asked for last. Returns NULL if memory ends;
 * the old block is then untouched. */
struct kad_allocator {
  void *(*resize)(void *state, void *old, size_t old_size, size_t new_size);
  void *state;
};

/* Returns the allocator of the C library. */
KAD_API struct kad_allocator kad_allocator_default(void);

enum {
  KAD_ID_SIZE = 32 /* bytes */
};

/* An id or a key: 20 bytes (160 bits) or 32 bytes (256 bits), big-endian. The
 * shorter is padded with zero bytes at the end, so that one comparison serves
 * both. Source: Kademlia §2.1. */
struct kad_id {
  uint8_t bytes[KAD_ID_SIZE];
};

/* Returns true if the ids are the same. */
KAD_API bool kad_id_equal(const struct kad_id *a, const struct kad_id *b);

/* Compares the XOR distances of `a` and `b` to `target`: negative if `a` is
 * closer, 0 if a equals b, positive if `b` is closer. Source: Kademlia §2.1. */
KAD_API int kad_id_compare(const struct kad_id *target, const struct kad_id *a,
                           const struct kad_id *b);

/* Returns the number of leading bits that `a` and `b` share: 0 … 256. */
KAD_API unsigned kad_id_prefix(const struct kad_id *a, const struct kad_id *b);

/* Reads 40 or 64 hexadecimal digits. `*bits` is set to 160 or 256.
 * Returns 0 or KAD_EINVAL. */
KAD_API KAD_MUST_CHECK int kad_id_parse(struct kad_slice hex, struct kad_id *id,
                                        unsigned *bits);

/* Writes `bits` / 4 hexadecimal digits and a NUL to `hex`, which must hold 65
 * bytes. Writes only the NUL for NULL, and for another width than 160 or 256.
 */
KAD_API void kad_id_format(const struct kad_id *id, unsigned bits, char *hex);

/* Hashes `name` to a key of `bits` (160 or 256) with BLAKE2b of that length;
 * for another width the key is all zero. */
KAD_API void kad_id_hash(struct kad_slice name, unsigned bits,
                         struct kad_id *id);

/* The address of a UDP socket. Unused bytes are 0, so that addresses can be
 * compared and hashed as bytes: an IPv4 address is the first four bytes of
 * `ip`. */
struct kad_address {
  uint8_t ip[16];
  uint16_t port;  /* in host order; never 0 for a remote node */
  uint8_t family; /* 4 or 6; 0 is no address */
  uint8_t via;    /* local socket and address on which it was heard; 0: any.
                     Not compared */
};

/* Returns true if family, ip and port are the same. */
KAD_API bool kad_address_equal(const struct kad_address *a,
                               const struct kad_address *b);

/* Reads "192.0.2.1:6881" or "[2001:db8::1]:6881"; the port may be 0. Does not
 * resolve names. Returns 0 or KAD_EINVAL. */
KAD_API KAD_MUST_CHECK int kad_address_parse(struct kad_slice text,
                                             struct kad_address *address);

enum {
  KAD_ADDRESS_TEXT_SIZE = 56 /* bytes */
};

/* Writes the form that kad_address_parse reads, NUL-terminated, to `text` of
 * KAD_ADDRESS_TEXT_SIZE bytes. Returns `text`. */
KAD_API const char *kad_address_format(const struct kad_address *address,
                                       char *text);

/* Returns true for an address that no node of the public internet has: port 0,
 * unspecified, multicast, broadcast, documentation, and, unless `allow_local`,
 * loopback, link-local and private ones. Source: RFC 6890. */
KAD_API bool kad_address_is_martian(const struct kad_address *address,
                                    bool allow_local);

/* Another node: its id and its address. Source: Kademlia §2.1. */
struct kad_contact {
  struct kad_id id;
  struct kad_address address;
};

/* ------------------------------------------------------------- records -- */

enum {
  KAD_PUBLISHER_SIZE = 32,     /* Ed25519 public key */
  KAD_SECRET_SIZE = 64,        /* Ed25519 secret key */
  KAD_SIGNATURE_SIZE = 64,     /* Ed25519 signature */
  KAD_SALT_MAX = 64,           /* BEP 44 */
  KAD_TYPE_NAME_MAX = 32,      /* bytes of a record type's name */
  KAD_METHOD_NAME_MAX = 32,    /* bytes of a query's name */
  KAD_ITEM_VALUE_MAX = 1000,   /* BEP 44, and types that say nothing else */
  KAD_VALUE_MAX = 8192,        /* bytes of a value, whatever its type allows */
  KAD_VALUES_MAX = 1024,       /* values a key, whatever its type allows */
  KAD_RECORDS_PER_MESSAGE = 32 /* records in one store or one page */
};

/* A value under a key. Borrows all that it points to. */
struct kad_record {
  struct kad_id key;
  struct kad_slice type;    /* name of its record type */
  struct kad_slice value;   /* at most KAD_VALUE_MAX bytes */
  struct kad_slice salt;    /* at most KAD_SALT_MAX bytes; empty: none */
  const uint8_t *publisher; /* KAD_PUBLISHER_SIZE bytes, or NULL */
  const uint8_t *signature; /* KAD_SIGNATURE_SIZE bytes, or NULL */
  int64_t seq;              /* sequence number, if has_seq */
  bool has_seq;
  uint32_t ttl; /* seconds left to live; 0: as its type says */
  uint32_t age; /* seconds since this node stored it */
  bool is_seed; /* of a peer: it has the whole torrent (BEP 33) */
};

/* Makes an Ed25519 key pair from 32 random bytes. */
KAD_API void kad_keypair(const uint8_t seed[32],
                         uint8_t publisher[KAD_PUBLISHER_SIZE],
                         uint8_t secret[KAD_SECRET_SIZE]);

/* Signs `record` (its key, salt, seq, type and value) with `secret`.
 * `id_bits` (160 or 256) is the width of the overlay's keys.
 * Returns 0, or
 *   KAD_ETOOBIG  the record is over a limit
 *   KAD_EINVAL   another width */
KAD_API KAD_MUST_CHECK int kad_record_sign(
    const struct kad_record *record, unsigned id_bits,
    const uint8_t secret[KAD_SECRET_SIZE],
    uint8_t signature[KAD_SIGNATURE_SIZE]);

/* Signs any bytes. Do not sign bytes whose beginning a stranger chose: the
 * signature of bytes that read as a record signs that record.
 * Source: RFC 8032. */
KAD_API void kad_sign(struct kad_slice message,
                      const uint8_t secret[KAD_SECRET_SIZE],
                      uint8_t signature[KAD_SIGNATURE_SIZE]);

/* Returns true if `signature` is the signature of `publisher` under `message`.
 */
KAD_API bool kad_verify(struct kad_slice message,
                        const uint8_t publisher[KAD_PUBLISHER_SIZE],
                        const uint8_t signature[KAD_SIGNATURE_SIZE]);

/* ------------------------------------------------------------ policies -- */

struct kad_codec;   /* kadenza_codec.h */
struct kad_sampled; /* kadenza_sample.h */
struct kad_scrape;  /* kadenza_scrape.h */
struct kad_node;

/* Why a hook is called. */
enum kad_reason {
  KAD_REASON_STORE,     /* another node, or the user, stores a record */
  KAD_REASON_REPUBLISH, /* a holder republishes it */
  KAD_REASON_HANDOFF,   /* a holder hands it off */
  KAD_REASON_CACHE,     /* a reader leaves a cached copy */
  KAD_REASON_GET,       /* a reply to a get has it */
  KAD_REASON_EXPIRE     /* it is dropped: its life has ended */
};

/* A query, as a policy sees it. */
struct kad_request {
  struct kad_slice method; /* "ping", "store", or a custom name */
  struct kad_slice args;   /* its bencoded arguments, one dictionary */
};

/* A call of a hook. Borrowed until the hook returns. */
struct kad_hook_call {
  struct kad_node *node;
  uint64_t call_id; /* for kad_node_complete_hook; never 0, never reused */
  enum kad_reason reason;
  kad_time_ms now;
  struct kad_contact from;           /* the sender; family 0: this node */
  bool proven;                       /* `from` has answered at its address */
  const struct kad_request *request; /* on_request, methods */
  const struct kad_record *record;   /* validate, merge, expire, republish_at,
                                        stored, dropped */
  const struct kad_record *held;     /* merge: records held; select: records
                                        found */
  size_t held_count;
};

/* What a hook decides. */
enum kad_verdict {
  KAD_VERDICT_ACCEPT, /* yes; see the fields of struct kad_hook_result */
  KAD_VERDICT_REJECT, /* no, with `code` and `reason` */
  KAD_VERDICT_DROP,   /* on_request: do not reply */
  KAD_VERDICT_FAILED, /* the hook failed: the default is used */
  KAD_VERDICT_PENDING /* kad_node_complete_hook follows */
};

/* The result of a hook call. Zero-initialised, it accepts. Borrowed until the
 * hook, or kad_node_complete_hook, returns. */
struct kad_hook_result {
  enum kad_verdict verdict;
  int code;                /* of a rejection; 0 is KAD_CODE_REFUSED */
  struct kad_slice reason; /* of a rejection: text, at most 200 bytes */
  const struct kad_record *records; /* merge: the records to hold, of which the
                                       first max_values are; select: the
                                       result. Their key and type are ignored,
                                       and by merge their ttl: see expire */
  size_t record_count;
  uint32_t seconds;       /* expire: life; republish_at: period, 0: never */
  uint32_t deadline_ms;   /* of a pending call; 0: the policy's */
  struct kad_slice reply; /* methods: a bencoded dictionary */
};

/* A hook: decides about `call` in `*result`, which is zeroed before. */
typedef void (*kad_hook_fn)(void *state, const struct kad_hook_call *call,
                            struct kad_hook_result *result);

/* A record type: a named bundle of rules. A hook may be NULL. A type named like
 * a built-in one (`peers`, `value`, `immutable`, `mutable`) refines it: the
 * built-in checks come first, and a limit of 0 keeps the built-in limit. A
 * merge of `immutable` or `mutable` holds one of the records that it gets. */
struct kad_type {
  const char *name;         /* at most KAD_TYPE_NAME_MAX bytes */
  uint32_t max_size;        /* bytes of a value; 0 … KAD_VALUE_MAX; 0 is 1000;
                               above it, at most max_reply less 452 */
  uint32_t max_values;      /* values a key; 0 … KAD_VALUES_MAX; 0 is 64 */
  uint32_t ttl;             /* seconds; 0 is 86400 (Kademlia §2.3) */
  uint32_t republish;       /* seconds; 0 is 3600; UINT32_MAX is never */
  bool signed_only;         /* reject records without a publisher */
  void *state;              /* given to the hooks */
  kad_hook_fn validate;     /* whether a record is accepted */
  kad_hook_fn merge;        /* which records are held */
  kad_hook_fn select;       /* which records a get returns */
  kad_hook_fn expire;       /* how long a record lives here */
  kad_hook_fn republish_at; /* when it is republished next */
  kad_hook_fn stored;       /* after a record is held; the result is ignored */
  kad_hook_fn dropped;      /* after it is dropped; the result is ignored */
};

/* A custom query: `call` replies with a bencoded dictionary. */
struct kad_method {
  const char *name; /* at most KAD_METHOD_NAME_MAX bytes; not one of the core's,
                       nor `get`, `put`, `sample_infohashes` or `vote`, which
                       BitTorrent's DHT uses */
  void *state;      /* given to `call` */
  kad_hook_fn call;
};

/* What an application decides. kad_node_set_policy copies it, except what the
 * states point to. */
struct kad_policy {
  void *state;
  kad_hook_fn on_request; /* before a query is served */
  kad_hook_fn on_contact; /* before a contact enters the table */
  const struct kad_type *types;
  size_t type_count;
  const struct kad_method *methods;
  size_t method_count;
  uint32_t deadline_ms;          /* of pending calls; 0 is 2000 */
  const struct kad_codec *codec; /* used instead of the configuration's; NULL:
                                    none. Borrowed until `release` */
  /* Cancels the work for the pending call `call_id`: its deadline has passed,
   * or the node closes. May be NULL. */
  void (*abandon)(void *state, uint64_t call_id);
  /* Returns true if hooks should be called in a later turn, for a while:
   * queries of others wait. Is not called in virtual time. May be NULL. */
  bool (*is_busy)(void *state);
  /* Is called once, when no call of this policy is pending and none will
   * follow. May be NULL. */
  void (*release)(void *state);
};

/* ---------------------------------------------------------- operations -- */

/* Names a running operation of a node. Never 0, never reused. */
typedef uint64_t kad_operation_id;

/* One query of a lookup. */
struct kad_step {
  struct kad_contact contact;
  struct kad_contact heard_from; /* the contact that named it; family 0: it was
                                    in the table */
  uint32_t hop;                  /* 1: it was in the table */
  uint32_t path;                 /* of disjoint ones, from 0 */
  uint32_t asked_ms;             /* when it was sent, from the lookup's start */
  uint32_t rtt_ms;               /* if it answered */
  bool answered;
  bool had_value;
};

/* The result of an operation. Borrowed until the callback returns. */
struct kad_result {
  kad_operation_id operation;
  int status;              /* 0 or KAD_E…; KAD_EREMOTE: see code and reason */
  int code;                /* KRPC error code; 0: none */
  struct kad_slice reason; /* text of the other node; untrusted */
  struct kad_contact from; /* ping, call: the contact that answered */
  struct kad_slice reply;  /* call: the reply, a bencoded dictionary */
  const struct kad_contact *closest; /* lookups: contacts that answered, closest
                                        first */
  size_t closest_count;
  const struct kad_record *records; /* get: after validate, merge and select */
  size_t record_count;
  const struct kad_address *peers; /* get_peers: distinct peers */
  size_t peer_count;
  const struct kad_scrape *scrape;   /* get_peers with `scrape`; else NULL */
  const struct kad_sampled *sampled; /* sample; else NULL */
  const struct kad_step *path;       /* every query, in order */
  size_t path_count;
  uint32_t hops;     /* length of the chain of replies to the first value, or,
                        without one, to the closest contact: 1 if that contact
                        was in the table */
  uint32_t messages; /* queries sent */
  uint32_t took_ms;  /* from start to end */
  uint32_t asked;    /* put, announce: nodes that were sent a store; for a put,
                        this node included if it is one of the k closest */
  uint32_t stored;   /* put, announce: nodes of `asked` that stored it */
  uint32_t ttl;      /* put, announce: seconds that it lives there by the rules
                        of this node, perhaps fewer than asked for; 0: the
                        policies of others decide */
  bool has_seq;
  int64_t seq;      /* get, put of a mutable item: of the item that was found;
                       without one, the highest sequence number that a node has
                       named, which nothing proves */
  bool dense_key;   /* get, get_peers, put, announce: the key is dense: more ids
                       lie near it than the network size allows, as with
                       sybils. Contacts beside it were used too */
  uint32_t holders; /* get, get_peers: nodes that had a value, this one
                       included; query: replies that counted */
};

/* Is called exactly once for an operation, never from inside the call that
 * starts it; by kad_node_free with KAD_ECLOSED if it still runs. May start and
 * cancel operations; must not free the node. */
typedef void (*kad_done_fn)(void *data, const struct kad_result *result);

/* How a lookup runs. A field of 0 takes the node's configuration. */
struct kad_lookup_options {
  uint32_t alpha;  /* queries in flight in each address family and on each path,
                      without those past the soft timeout; up to k after so many
                      replies in a row that brought nothing closer; 1 … 32 */
  uint32_t beta;   /* queries sent at once after a reply that came closer,
                      whatever is in flight. 1: strictly by distance, as in the
                      paper; more: of contacts at about the same distance, those
                      with short round-trip times first; 1 … 32 */
  uint32_t k;      /* closest contacts to find; 1 … KAD_K_MAX */
  uint32_t paths;  /* disjoint paths, against contacts that lie; 1 … 16 */
  uint32_t quorum; /* get, get_peers: end when so many had a value; query: when
                      so many replies counted; 0: no quorum */
  uint32_t deadline_ms; /* the lookup ends then with what it has. Stores and
                           hooks get query_ms and a second more; then the
                           operation ends with KAD_ETIMEOUT */
  uint32_t min_stored;  /* put, announce: with fewer nodes that stored it, the
                           operation ends with KAD_EFEWER; 0 counts as 1; at
                           most KAD_K_MAX */
  bool publish;         /* put: also publish the record: see kad_node_publish */
  struct kad_slice salt; /* get of a mutable item: its salt; borrowed until the
                            call returns */
  bool has_cas;
  int64_t cas; /* put of a mutable item: the sequence number of the item that it
                  replaces. The put ends with KAD_ECAS, and with the number in
                  `seq` of its result, if another item is stored; not if none is
                  stored. BEP 44 "CAS" */
  bool has_seq;
  int64_t seq; /* get of a mutable item: finds only one with a higher sequence
                  number */
  bool seed;   /* announce: the peer has the whole torrent (BEP 33) */
  bool noseed; /* get_peers: rather peers that are no seeds (BEP 33) */
  bool scrape; /* get_peers: also estimate the number of seeds and peers; see
                  kadenza_scrape.h */
};

/* ------------------------------------------------------ configuration -- */

enum {
  KAD_K_MAX = 20,      /* greatest k: so many contacts fit into a reply */
  KAD_ALPHA_MAX = 32,  /* greatest α and β */
  KAD_PATHS_MAX = 16,  /* disjoint paths of a lookup */
  KAD_BUCKET_MAX = 128 /* contacts of a bucket */
};

struct kad_store;        /* kadenza_store.h */
struct kad_network_keys; /* kadenza_network_key.h */

/* The options of a node that are switches, numbers, or choices of a name (a
 * uint8_t: see kadenza_option.h): type, name, default, smallest, greatest, unit
 * (of a choice: its names), text. Their struct fields, defaults and checks, the
 * fields, flags and variables of the Lua library and the program, and their
 * documentation are made from this list. */
#define KAD_CONFIG_MAP(X)                                                      \
  X(bool, allow_local, false, 0, 1, "",                                        \
    "Admit loopback, link-local and private addresses, and exempt them from "  \
    "limits on subnets: for nodes on one machine or in one building.")         \
  X(uint8_t, read_only, 2, 0, 2, "off on auto",                                \
    "Send queries, answer none (BEP 43): never, always, or while others "      \
    "cannot reach the node.")                                                  \
  X(uint8_t, secure_ids, KAD_SECURE_IDS_PREFER, KAD_SECURE_IDS_OFF,            \
    KAD_SECURE_IDS_ENFORCE, "off prefer enforce",                              \
    "What to do about contacts whose id does not fit their address (BEP 42): " \
    "nothing, prefer others, or use none.")                                    \
  X(bool, move_id, false, 0, 1, "",                                            \
    "Let an id that was given change, too, to one that fits the address of "   \
    "the node.")                                                               \
  X(uint32_t, k, 8, 1, KAD_K_MAX, "",                                          \
    "Contacts in a bucket, and closest contacts of lookups and stores.")       \
  X(uint32_t, alpha, 3, 1, KAD_ALPHA_MAX, "",                                  \
    "Queries in flight on each path of a lookup.")                             \
  X(uint32_t, beta, 3, 1, KAD_ALPHA_MAX, "",                                   \
    "Queries that a lookup sends at once after a reply that came closer; 1: "  \
    "as in the Kademlia paper.")                                               \
  X(uint32_t, paths, 1, 1, KAD_PATHS_MAX, "",                                  \
    "Disjoint paths of a lookup (S/Kademlia): several find a value although "  \
    "some contacts lie.")                                                      \
  X(uint32_t, far_contacts, 0, 0, KAD_BUCKET_MAX, "",                          \
    "Size of the farthest bucket; each closer one has half of it, at least "   \
    "k.")                                                                      \
  X(uint32_t, lookup_ms, 20000, 1, UINT32_MAX, "ms", "Deadline of a lookup.")  \
  X(uint32_t, query_ms, 4000, 1, 60000, "ms", "Hard timeout of a query.")      \
  X(uint32_t, refresh_s, 3600, 1, UINT32_MAX, "s",                             \
    "Refresh a bucket in which nothing was looked up for so long.")            \
  X(uint32_t, ping_s, 600, 1, UINT32_MAX, "s",                                 \
    "A contact that was silent for so long is questionable, and pinged.")      \
  X(uint32_t, neighbour_s, 180, 0, UINT32_MAX, "s",                            \
    "From the first record that the node holds, query a neighbour that was "   \
    "silent for so long; 0: never.")                                           \
  X(uint32_t, token_s, 300, 1, UINT32_MAX, "s",                                \
    "Time slot of a write token; the last two slots are accepted.")            \
  X(uint32_t, stores_per_s, 80, 0, UINT32_MAX, "1/s",                          \
    "Stores that the node sends by itself: to republish, hand off, repair "    \
    "and cache.")                                                              \
  X(bool, cache, true, 0, 1, "",                                               \
    "A get leaves a cached copy of what it found near the key.")               \
  X(bool, repair, true, 0, 1, "",                                              \
    "A get sends holders the records that they lack.")                         \
  X(uint32_t, max_reply, 1452, 512, 8972, "bytes",                             \
    "Largest datagram that the node sends, and at least 1500 are read; over "  \
    "1232 for one large record only, over 1452 where all links have large "    \
    "frames.")                                                                 \
  X(uint32_t, max_lookups, 64, 1, UINT32_MAX, "",                              \
    "Operations with lookups that run at once; others wait.")                  \
  X(uint32_t, max_pending_hooks, 10000, 0, UINT32_MAX, "",                     \
    "Hook calls that may be pending at once.")                                 \
  X(bool, limits, true, 0, 1, "",                                              \
    "Rate limits; switch them off for measurements only.")                     \
  X(uint32_t, queries_per_s, 8000, 1, UINT32_MAX, "1/s",                       \
    "Queries served in all.")                                                  \
  X(uint32_t, queries_per_s_address, 500, 1, UINT32_MAX, "1/s",                \
    "Queries served for an address.")                                          \
  X(uint32_t, queries_per_s_subnet, 1000, 1, UINT32_MAX, "1/s",                \
    "Queries served for a subnet, /24 or /64.")                                \
  X(uint32_t, signatures_per_s, 2500, 1, UINT32_MAX, "1/s",                    \
    "Signatures verified in stores of others, in all.")                        \
  X(uint32_t, signatures_per_s_address, 1000, 1, UINT32_MAX, "1/s",            \
    "Signatures verified for an address.")                                     \
  X(uint32_t, signatures_per_s_subnet, 2000, 1, UINT32_MAX, "1/s",             \
    "Signatures verified for a subnet, /24 or /64.")                           \
  X(uint64_t, bytes_per_s, 2500000, 1, UINT64_MAX, "bytes/s",                  \
    "Bytes of replies in all.")                                                \
  X(uint32_t, pace_per_s, 400, 0, UINT32_MAX, "1/s",                           \
    "Queries that the node sends to an address; more of them wait. 0: all.")   \
  X(uint32_t, max_waiting, 4096, 1, UINT32_MAX, "",                            \
    "Queries of operations, and as many of the node itself, that may wait.")   \
  X(uint64_t, max_bytes, 67108864, 0, UINT64_MAX, "bytes",                     \
    "Memory of all records held.")                                             \
  X(uint32_t, max_records, 200000, 0, UINT32_MAX, "", "Records held.")         \
  X(uint32_t, max_records_address, 5000, 0, UINT32_MAX, "",                    \
    "Records held for one address.")                                           \
  X(uint32_t, max_records_publisher, 5000, 0, UINT32_MAX, "",                  \
    "Records held of one publisher.")                                          \
  X(uint32_t, max_publications, 10000, 0, UINT32_MAX, "",                      \
    "Records that the node keeps alive for its user.")

/* How a node behaves. Begin with kad_config_default. */
struct kad_config {
  struct kad_id id; /* used if has_id; otherwise random */
  bool has_id;
  unsigned id_bits; /* 160 (mainline, the default) or 256 */
#define KAD_CONFIG_FIELD(type, name, initial, min, max, unit, text) type name;
  KAD_CONFIG_MAP(KAD_CONFIG_FIELD)
#undef KAD_CONFIG_FIELD
  char version[4];               /* `v` of messages (BEP 5, BEP 20); "KZ\0\1" */
  const struct kad_codec *codec; /* NULL: KRPC; a policy's codec comes first */
  struct kad_store *store; /* NULL: a memory store of the node's own. Borrowed
                              until the node is freed; see kadenza_store.h */
  const struct kad_network_keys *network_keys; /* NULL: not sealed; copied */
};

/* Fills `config` with the defaults. */
KAD_API void kad_config_default(struct kad_config *config);

/* ---------------------------------------------------------------- node -- */

/* The environment of an engine. */
struct kad_env {
  void *state;                        /* given to the functions */
  kad_time_ms (*now)(void *state);    /* monotonic; never goes back */
  int64_t (*wall_clock)(void *state); /* seconds since 1970 UTC */
  void (*random)(void *state, uint8_t *out, size_t len);
  /* Sends one datagram, or drops it. Must not call the engine. */
  void (*send)(void *state, const struct kad_address *to,
               struct kad_slice datagram);
  struct kad_allocator allocator;
  /* For bootstrap names; may be NULL. See kadenza_names.h. */
  int (*resolve)(void *state, size_t name, struct kad_slice text);
  bool (*is_own)(void *state, const struct kad_address *address);
  /* Returns 0, or KAD_EFAMILY or KAD_ENOROUTE if nothing that is sent to `to`
   * can leave. NULL: everything can. */
  int (*find_route)(void *state, const struct kad_address *to);
  /* Returns for how long this turn has run, see rpc/turn.h. NULL: always 0. */
  uint32_t (*turn_us)(void *state);
};

/* Makes a node. Copies: `config`, `env`. The node sends nothing before an
 * operation starts or a datagram arrives. Free with kad_node_free.
 * Returns 0, KAD_ENOMEM, or KAD_EINVAL for a field out of its range. */
KAD_API KAD_MUST_CHECK int kad_node_new(const struct kad_config *config,
                                        const struct kad_env *env,
                                        struct kad_node **node);

/* Ends every operation with KAD_ECLOSED, cancels pending hook calls, releases
 * the policy and frees the node. Not from inside a callback or hook. Ignores
 * NULL. */
KAD_API void kad_node_free(struct kad_node *node);

/* Passes a datagram from the address `from` to the engine, which serves it, or
 * drops and counts it if it is malformed, unexpected or over a limit. */
KAD_API void kad_node_receive(struct kad_node *node,
                              const struct kad_address *from,
                              struct kad_slice datagram);

/* Does all work that is due at env.now: timeouts, refreshes, completions. Not
 * from inside a callback or hook. */
KAD_API void kad_node_tick(struct kad_node *node);

/* Returns when kad_node_tick must be called at the latest; KAD_TIME_NEVER if
 * nothing is planned. Any call that takes the node may change it. */
KAD_API kad_time_ms kad_node_deadline(const struct kad_node *node);

/* Replaces the node's policy with a copy of `policy`; NULL: the core's rules
 * only. Pending hook calls end in the policy in which they began.
 * Returns 0, KAD_ENOMEM, or
 *   KAD_EINVAL     a name is empty or too long, a limit out of its range, or
 *                  an array or a `call` is missing
 *   KAD_ECONFLICT  two types or two methods have one name, or the name of a
 *                  method is reserved
 *   KAD_ETOOBIG    values of a type may be larger than kad_node_value_room
 *   KAD_EFULL      more than 62 types besides the built-in ones */
KAD_API KAD_MUST_CHECK int kad_node_set_policy(struct kad_node *node,
                                               const struct kad_policy *policy);

/* Completes the pending hook call `call_id`.
 * Returns 0, or
 *   KAD_ENOTFOUND  the call is no longer pending
 *   KAD_EINVAL     the verdict is KAD_VERDICT_PENDING or none, or `records` is
 *                  NULL and `record_count` is not 0 */
KAD_API int kad_node_complete_hook(struct kad_node *node, uint64_t call_id,
                                   const struct kad_hook_result *result);

/* Returns the node's id, which may change: see kadenza_secure_id.h. Valid as
 * long as the node. */
KAD_API const struct kad_id *kad_node_id(const struct kad_node *node);

/* Returns the node's configuration. Valid as long as the node. */
KAD_API const struct kad_config *kad_node_config(const struct kad_node *node);

/* Tells the node that it has a socket of `family` (4 or 6). It queries no
 * contact of another family. A new node has no family; networks call this for
 * every socket. Returns 0, KAD_ENOMEM, or KAD_EINVAL for another family. */
KAD_API KAD_MUST_CHECK int kad_node_add_family(struct kad_node *node,
                                               unsigned family);

/* The functions below, to kad_node_leave, start an operation, or let it wait
 * for its turn (max_lookups). Its queries may wait, too (pace_per_s); one that
 * needs a query while max_waiting wait ends with KAD_EBUSY. `done` may be NULL.
 * `*operation`, unless NULL, is set to its id. They copy slices, ids, addresses
 * and records. They return 0, or
 *   KAD_EINVAL   an argument or option out of its range
 *   KAD_ENOMEM   out of memory
 *   KAD_EBUSY    4,096 operations run or wait
 *   KAD_ECLOSED  the node is being freed */

/* Joins the overlay: pings `known`, 16 at a time, looks up the node's own id
 * from the contacts that answer and those in the table, then refreshes every
 * bucket farther than the closest neighbour. Uses the first 256 addresses. The
 * node remembers the latest 256 addresses of all calls; while no contact
 * answers, it joins again through them, with back-off.
 * Ends with 0 if the lookup found a contact, or
 *   KAD_ENOCONTACTS  none of `known` answered, and no other node is known
 *   KAD_ETIMEOUT     the same, but the contacts of the node are silent, too
 *   KAD_EFAMILY, KAD_EMARTIAN, KAD_EBLOCKED
 *                    nothing was sent: see kad_node_check_address
 * Source: Kademlia §2.3. */
KAD_API KAD_MUST_CHECK int kad_node_bootstrap(struct kad_node *node,
                                              const struct kad_address *known,
                                              size_t count, kad_done_fn done,
                                              void *data,
                                              kad_operation_id *operation);

/* Pings an address.
 * Ends with 0, KAD_ETIMEOUT, KAD_EREMOTE, KAD_EFAMILY, KAD_EMARTIAN,
 * KAD_EBLOCKED, KAD_ENOROUTE, or an error of the codec. Source: BEP 5 "ping".
 */
KAD_API KAD_MUST_CHECK int kad_node_ping(struct kad_node *node,
                                         const struct kad_address *to,
                                         kad_done_fn done, void *data,
                                         kad_operation_id *operation);

/* Sends the query `method` with `args` (a bencoded dictionary without `id`,
 * which is added; empty: none) to an address. The reply must have the id
 * `to->id`, unless that is all zero. Returns KAD_EINVAL also for other `args`.
 * Ends as kad_node_ping does. */
KAD_API KAD_MUST_CHECK int kad_node_call(struct kad_node *node,
                                         const struct kad_contact *to,
                                         struct kad_slice method,
                                         struct kad_slice args,
                                         kad_done_fn done, void *data,
                                         kad_operation_id *operation);

/* What a reply to kad_node_query means to the caller. */
enum kad_reply_verdict {
  KAD_REPLY_VERDICT_COUNT,  /* it counts for the quorum; go on */
  KAD_REPLY_VERDICT_IGNORE, /* it does not count; go on */
  KAD_REPLY_VERDICT_STOP    /* it counts; end the lookup */
};

/* Is called with each reply to kad_node_query, in order of arrival. `data` is
 * the operation's. `reply` is a bencoded dictionary, untrusted; empty if a
 * codec has none. Borrowed until it returns. May start and cancel operations;
 * must not free the node. */
typedef enum kad_reply_verdict (*kad_reply_fn)(void *data,
                                               const struct kad_contact *from,
                                               struct kad_slice reply);

/* A custom query for a lookup. */
struct kad_custom_query {
  struct kad_slice method; /* 1 … KAD_METHOD_NAME_MAX bytes, none of the core's
                            */
  struct kad_slice args;   /* a bencoded dictionary; empty: none. `id` and
                              `target`, the key, are added; it must have
                              neither itself */
  kad_reply_fn on_reply;   /* NULL: every reply counts */
};

/* Looks up `key` with the query `custom` in place of find_node. Contacts in a
 * reply (`nodes`, `nodes6`) continue the lookup; a contact that replies without
 * any, or with an error because it does not support the query, is sent
 * find_node too. This node does not query itself. Ends when the k closest have
 * replied, when a reply suffices, or when `options->quorum` replies counted;
 * `holders` of the result is the number of replies that counted, `code` and
 * `reason` are those of the first error other than 204.
 * Returns KAD_EINVAL also for `custom->args` that is not such a dictionary.
 * Ends with 0 when a reply counted, or
 *   KAD_ENOTFOUND    contacts answered, but not this query
 *   KAD_ENOCONTACTS  the node knows no other node
 *   KAD_ETIMEOUT     no contact answered
 *   KAD_ETOOBIG      the query does not fit a datagram */
KAD_API KAD_MUST_CHECK int kad_node_query(
    struct kad_node *node, const struct kad_id *key,
    const struct kad_custom_query *custom,
    const struct kad_lookup_options *options, kad_done_fn done, void *data,
    kad_operation_id *operation);

/* Looks up the k contacts closest to `target`.
 * Ends with 0, or
 *   KAD_ETIMEOUT     the deadline has passed; the result has the closest that
 *                    answered, if any did
 *   KAD_ENOCONTACTS  the node knows no other node
 * Source: Kademlia §2.3. */
KAD_API KAD_MUST_CHECK int kad_node_find_node(
    struct kad_node *node, const struct kad_id *target,
    const struct kad_lookup_options *options, kad_done_fn done, void *data,
    kad_operation_id *operation);

/* Looks up the records of `type` under `key`, those held here included, and
 * checks, validates, merges and selects them.
 * Ends with 0, or
 *   KAD_ENOTFOUND    contacts answered, and none had a record
 *   KAD_ENOCONTACTS  the node knows no other node
 *   KAD_ETIMEOUT     no contact answered
 *   KAD_ETYPE        this node has no rules for `type` */
KAD_API KAD_MUST_CHECK int kad_node_get(
    struct kad_node *node, const struct kad_id *key, struct kad_slice type,
    const struct kad_lookup_options *options, kad_done_fn done, void *data,
    kad_operation_id *operation);

/* Stores `record` at the k nodes closest to its key, this node among them if it
 * is close enough and not read-only. Sends a store to a contact that does not
 * answer up to three times in all. The next closest contact replaces one that
 * does not answer or fails, but not one that refuses.
 * Without any contact that answers, this node holds the record, unless it is
 * read-only, and republishes it like others, so that the record reaches the
 * overlay when there is one.
 * Ends with 0 when a contact stored the record, or this node without one, or
 *   KAD_EREFUSED, KAD_ETOOBIG, KAD_ESIGNATURE, KAD_ETYPE
 *                    the rules of this node refuse it, with `code` and
 *                    `reason`; no contact was asked
 *   KAD_EREMOTE      contacts were asked and none stored it; `code` and
 *                    `reason` are those of the first refusal
 *   KAD_EFEWER       fewer than `min_stored` nodes stored it
 *   KAD_ETIMEOUT     no contact that was asked answered, or none the lookup of
 *                    a node that is read-only
 *   KAD_ENOCONTACTS  a read-only node knows no other */
KAD_API KAD_MUST_CHECK int kad_node_put(
    struct kad_node *node, const struct kad_record *record,
    const struct kad_lookup_options *options, kad_done_fn done, void *data,
    kad_operation_id *operation);

/* Looks up peers of `info_hash`. A policy for the type `peers` validates each
 * and selects among them. Ends with 0, KAD_ENOTFOUND if there are none, or an
 * error of kad_node_get. Source: BEP 5 "get_peers". */
KAD_API KAD_MUST_CHECK int kad_node_get_peers(
    struct kad_node *node, const struct kad_id *info_hash,
    const struct kad_lookup_options *options, kad_done_fn done, void *data,
    kad_operation_id *operation);

/* Announces this node as a peer of `info_hash` on `port`; 0: the port that its
 * datagrams come from (implied_port). Ends as kad_node_put does.
 * Source: BEP 5 "announce_peer". */
KAD_API KAD_MUST_CHECK int kad_node_announce(
    struct kad_node *node, const struct kad_id *info_hash, uint16_t port,
    const struct kad_lookup_options *options, kad_done_fn done, void *data,
    kad_operation_id *operation);

/* Hands off the records held here to the nodes that become one of the k closest
 * without this node. Call it before the node is closed. It takes at most
 * `deadline_ms` (0: lookup_ms), within stores_per_s. Returns KAD_EBUSY if the
 * node leaves already.
 * Ends with 0 if all were handed off, or
 *   KAD_ETIMEOUT  there was no time for some */
KAD_API KAD_MUST_CHECK int kad_node_leave(struct kad_node *node,
                                          uint32_t deadline_ms,
                                          kad_done_fn done, void *data,
                                          kad_operation_id *operation);

/* Ends an operation with KAD_ECANCELED; its callback follows. Returns 0, or
 * KAD_ENOTFOUND if it has ended. */
KAD_API int kad_node_cancel(struct kad_node *node, kad_operation_id operation);

/* Publishes `record`: the node stores it at the k closest at least once in each
 * period of its type and in each half of its ttl, even if others hold it, until
 * its `ttl` has passed (0: until it is unpublished). The first store is at a
 * random time in the next `within_s` seconds, within stores_per_s, so that a
 * node that restarts stores its publications again without a burst. A put with
 * `publish` also stores at once. A record with a higher `seq` replaces one with
 * the same publisher and salt. Copies: `record`.
 * Returns 0, KAD_EINVAL, KAD_ENOMEM, KAD_ETYPE, KAD_ETOOBIG, KAD_ESIGNATURE, or
 *   KAD_EREFUSED  it has no valid form, or is older than the one published
 *   KAD_EFULL     max_publications are published */
KAD_API KAD_MUST_CHECK int kad_node_publish(struct kad_node *node,
                                            const struct kad_record *record,
                                            uint32_t within_s);

/* Stops publishing the records of `type` under `key`, or only the one with this
 * `value` (NULL: all). Copies at their holders live until they expire.
 * Returns 0, KAD_EINVAL, or KAD_ENOTFOUND if there was none. */
KAD_API int kad_node_unpublish(struct kad_node *node, const struct kad_id *key,
                               struct kad_slice type,
                               const struct kad_slice *value);

/* Iterates over the publications: begin with `*cursor` 0. `ttl` of the record
 * is its remaining life, 0: no end. Its slices borrow the node until the next
 * call that may change it. Returns false at the end. */
KAD_API bool kad_node_next_publication(const struct kad_node *node,
                                       uint64_t *cursor,
                                       struct kad_record *record);

/* Copies up to `cap` of the records of `type` that this node holds under `key`
 * to `out`, newest first. Returns the number of all, which may exceed `cap`.
 * Calls no hook, sends no query. Slices borrow the store until the next call
 * that may change it. */
KAD_API size_t kad_node_held(const struct kad_node *node,
                             const struct kad_id *key, struct kad_slice type,
                             struct kad_record *out, size_t cap);

/* A contact in the routing table. */
struct kad_contact_info {
  struct kad_contact contact;
  kad_time_ms last_seen; /* it answered */
  uint32_t rtt_ms;       /* smoothed round-trip time */
  uint32_t failures;     /* queries since then that it did not answer */
  bool good;             /* BEP 5 "Routing Table" */
};

/* Copies up to `cap` contacts of the routing tables to `out`. Returns the
 * number of all, which may exceed `cap`. Each of them has answered this node.
 */
KAD_API size_t kad_node_contacts(const struct kad_node *node,
                                 struct kad_contact_info *out, size_t cap);

/* State of a node in its overlay. */
enum kad_state {
  KAD_STATE_NEW,      /* it was not asked to join */
  KAD_STATE_JOINING,  /* it joins; no contact has answered yet */
  KAD_STATE_HEALTHY,  /* contacts answer */
  KAD_STATE_DEGRADED, /* most contacts do not answer */
  KAD_STATE_ISOLATED  /* it had contacts; none answers now */
};

/* Returns the state of the node. */
KAD_API enum kad_state kad_node_state(const struct kad_node *node);

/* Returns "new", "joining", "healthy", "degraded" or "isolated". */
KAD_API const char *kad_state_name(enum kad_state state);

/* Sets `*address` to this node's address of `family` (4 or 6), as contacts in
 * several subnets report it (BEP 42, `ip`). Returns false if it is not known:
 * there are too few contacts, or each reports another one. */
KAD_API bool kad_node_observed(const struct kad_node *node, unsigned family,
                               struct kad_address *address);

/* Counters of a node since its start; a gauge is a current number. Name, text.
 */
#define KAD_STATS_MAP(X)                                               \
  X(datagrams_in, "datagrams received")                                \
  X(datagrams_out, "datagrams sent")                                   \
  X(bytes_in, "bytes received")                                        \
  X(bytes_out, "bytes sent")                                           \
  X(dropped_malformed, "datagrams dropped: malformed")                 \
  X(dropped_martian, "datagrams dropped: from addresses not allowed")  \
  X(dropped_blocked, "datagrams dropped: from blocked addresses")      \
  X(dropped_unsealed, "datagrams dropped: no network key opens them")  \
  X(dropped_stale, "datagrams dropped: sealed at another time")        \
  X(dropped_replayed, "datagrams dropped: received before")            \
  X(dropped_limited, "queries dropped: over a rate limit")             \
  X(dropped_unmatched, "replies dropped: to no query")                 \
  X(dropped_read_only, "queries dropped: the node is read-only")       \
  X(dropped_by_policy, "queries dropped: by a policy")                 \
  X(unasked, "queries of hosts not sent to for minutes")               \
  X(queued, "queries that waited for their turn")                      \
  X(busy, "queries answered with error 202: too many waited")          \
  X(served_ping, "ping queries answered")                              \
  X(served_find_node, "find_node queries answered")                    \
  X(served_get_peers, "get_peers queries answered")                    \
  X(served_announce_peer, "announce_peer queries answered")            \
  X(served_find_value, "find_value queries answered")                  \
  X(served_store, "store queries answered")                            \
  X(served_get, "get queries answered (BEP 44)")                       \
  X(served_put, "put queries answered (BEP 44)")                       \
  X(served_sample, "sample_infohashes queries answered")               \
  X(served_custom, "custom queries answered")                          \
  X(refused, "queries answered with an error")                         \
  X(challenged, "custom queries whose reply needs a proven address")   \
  X(bad_token, "stores and announces with a wrong token")              \
  X(bad_signature, "stores and replies with a wrong signature")        \
  X(signatures, "signatures verified")                                 \
  X(signatures_known, "signatures that were verified before")          \
  X(unsent, "messages that could not be encoded")                      \
  X(queries, "queries sent")                                           \
  X(replies, "replies received")                                       \
  X(errors, "errors received")                                         \
  X(paced, "queries that waited for the pace of their address")        \
  X(overcrowded, "queries not sent because max_waiting waited")        \
  X(slowed, "times that the pace of an address was halved")            \
  X(timeouts, "queries not answered before the hard timeout")          \
  X(late, "replies after the soft timeout")                            \
  X(lookups, "lookups started")                                        \
  X(lookups_failed, "lookups that found nothing or failed")            \
  X(refreshes, "buckets refreshed")                                    \
  X(liveness_checks, "questionable contacts pinged")                   \
  X(insecure, "contacts kept out: their ids do not fit")               \
  X(id_moves, "moves to an id that fits the node's address")           \
  X(verifications, "unknown nodes pinged to verify their address")     \
  X(maintenance_queries, "queries of the node's own lookups")          \
  X(reconnect_probes, "lost contacts and bootstrap addresses queried") \
  X(store_failures, "calls of the record store that failed")           \
  X(name_lookups, "bootstrap names looked up")                         \
  X(neighbour_checks, "silent neighbours queried")                     \
  X(republishes, "records republished")                                \
  X(handoffs, "records handed off")                                    \
  X(sybil_searches, "operations on dense keys, which searched beside") \
  X(repairs, "holders that a get sent records that they lacked")       \
  X(cached_copies, "cached copies that gets left near the key")        \
  X(publication_changes, "records published, ended or unpublished")    \
  X(expired, "records expired")                                        \
  X(evicted, "records evicted over a quota")                           \
  X(over_quota, "records refused because of a quota")                  \
  X(unstored, "stores that failed: the disk refused to write")         \
  X(hook_failures, "hook calls that failed or had an invalid result")  \
  X(hook_deadlines, "pending hook calls that missed their deadline")   \
  X(contacts, "contacts in the routing tables (gauge)")                \
  X(contacts_good, "good contacts among them (gauge)")                 \
  X(contacts_secure, "contacts whose ids fit their addresses (gauge)") \
  X(network_size, "estimated number of nodes in the overlay (gauge)")  \
  X(names, "bootstrap names (gauge)")                                  \
  X(names_failed, "bootstrap names that do not resolve (gauge)")       \
  X(pending, "queries in flight (gauge)")                              \
  X(waiting, "queries that wait for their pace (gauge)")               \
  X(operations, "operations that have not ended (gauge)")              \
  X(pending_hooks, "pending hook calls (gauge)")                       \
  X(backlog, "queries that wait for their turn (gauge)")               \
  X(read_only, "families over which the node is read-only (gauge)")    \
  X(records, "records held (gauge)")                                   \
  X(record_bytes, "bytes of the records held (gauge)")                 \
  X(publications, "records published (gauge)")

struct kad_stats {
#define KAD_STATS_FIELD(name, text) uint64_t name;
  KAD_STATS_MAP(KAD_STATS_FIELD)
#undef KAD_STATS_FIELD
};

/* Copies the counters of the node to `stats`. */
KAD_API void kad_node_stats(const struct kad_node *node,
                            struct kad_stats *stats);

/* ------------------------------------------------------------- network -- */

/* A set of nodes with a clock, timers, and what carries their datagrams. */
struct kad_network;

/* Makes a network of UDP sockets with an event loop of its own. Free with
 * kad_network_free. Returns 0, KAD_ENOMEM, or KAD_ESYSTEM: errno says why. */
KAD_API KAD_MUST_CHECK int kad_network_udp_new(struct kad_allocator allocator,
                                               struct kad_network **network);

/* Closes every node and timer and frees the network. Not from a callback. Does
 * not wait for names that are being resolved. Ignores NULL. */
KAD_API void kad_network_free(struct kad_network *network);

/* Opens a node on `count` (1 … 8) sockets bound to `listen`; port 0 takes a
 * free port. A simulated network binds any address that is free. Close it with
 * kad_network_close_node; the network owns it.
 * Returns 0, an error of kad_node_new, or, with nothing left bound,
 *   KAD_EINVAL       no or too many addresses, or of another family
 *   KAD_EADDRINUSE, KAD_EADDRNOTAVAIL, KAD_EACCESS, KAD_ESYSTEM
 *                    an address could not be bound
 *   KAD_ECLOSED      the network is being freed */
KAD_API KAD_MUST_CHECK int kad_network_open_node(
    struct kad_network *network, const struct kad_config *config,
    const struct kad_address *listen, size_t count, struct kad_node **node);

/* The system call that failed. */
struct kad_system_failure {
  const char *call;           /* such as "bind"; NULL: none has failed */
  int number;                 /* errno */
  struct kad_address address; /* what the call was for */
};

/* Returns why the last kad_network_open_node of `network` failed. */
KAD_API struct kad_system_failure kad_network_failure(
    const struct kad_network *network);

/* Carries the datagrams of a node that has no sockets, such as a serial line, a
 * pipe, a radio, or a test. */
struct kad_transport {
  void *state; /* given to the functions */
  /* Sends one datagram to `to`, or drops it. May do what a callback may. */
  void (*send)(void *state, const struct kad_address *to,
               struct kad_slice datagram);
  /* Is called once, when the node has ended and `send` is not called again. May
   * be NULL. */
  void (*release)(void *state);
};

/* Opens a node without sockets. Its datagrams leave by `transport` and arrive
 * by kad_network_receive; its clock, timers and random bytes are the network's.
 * `addresses` (1 … 8, with ports) are those at which the transport reaches it.
 * Only the transport interprets addresses, but contacts are known by them, and
 * `allow_local` and the limits on subnets apply. Copies: `transport`, which is
 * released only if this returns 0.
 * Returns 0, an error of kad_node_new, or
 *   KAD_EINVAL   no or too many addresses, of another family or without a port,
 *                or no `send`
 *   KAD_ECLOSED  the network is being freed */
KAD_API KAD_MUST_CHECK int kad_network_open_on_transport(
    struct kad_network *network, const struct kad_config *config,
    const struct kad_address *addresses, size_t count,
    const struct kad_transport *transport, struct kad_node **node);

/* Passes a datagram from the address `from` to a node that was opened with
 * kad_network_open_on_transport. From a callback, a hook or a `send`, it is
 * copied and passed in the next turn.
 * Returns 0, or, with the datagram lost,
 *   KAD_EINVAL   another node, or no address
 *   KAD_ETOOBIG  more than 1,500 bytes
 *   KAD_EFULL    256 datagrams wait
 *   KAD_ENOMEM   out of memory */
KAD_API int kad_network_receive(struct kad_network *network,
                                struct kad_node *node,
                                const struct kad_address *from,
                                struct kad_slice datagram);

/* Closes a node: its operations end with KAD_ECLOSED. From a callback or hook,
 * it takes effect when that has returned; the node must not be used after this
 * call. */
KAD_API void kad_network_close_node(struct kad_network *network,
                                    struct kad_node *node);

/* Copies up to `cap` bound addresses of `node` to `out`. Returns the number of
 * all, which may exceed `cap`. */
KAD_API size_t kad_network_addresses(const struct kad_network *network,
                                     const struct kad_node *node,
                                     struct kad_address *out, size_t cap);

/* Returns the number of the current turn, which grows. A turn is what a network
 * does without waiting in between. Code with much to do does a share of it in
 * each turn. */
KAD_API uint64_t kad_network_turn(const struct kad_network *network);

/* Returns the network's clock: monotonic, or virtual. */
KAD_API kad_time_ms kad_network_now(const struct kad_network *network);

/* Returns the monotonic clock of `node`, which its times refer to: the
 * network's, unless kad_sim_set_clock or kad_sim_suspend changed it. Returns
 * the network's for a node of another network. */
KAD_API kad_time_ms kad_network_node_now(const struct kad_network *network,
                                         const struct kad_node *node);

/* Returns the seconds since 1970 UTC of the system's clock, which may jump;
 * virtual time begins on 2020-01-01. */
KAD_API int64_t kad_network_wall_clock(const struct kad_network *network);

/* Fills `out` with random bytes: the system's, or those of the seed. */
KAD_API void kad_network_random(struct kad_network *network, uint8_t *out,
                                size_t len);

/* Names a timer. Never 0, never reused. */
typedef uint64_t kad_timer_id;

/* Calls `fire(data)` once, `delay_ms` from now; 0: in the next turn, which in a
 * simulated network is the next millisecond. Sets `*timer`, unless NULL. `fire`
 * may do anything but free the network. Returns 0 or KAD_ENOMEM. */
KAD_API KAD_MUST_CHECK int kad_network_start_timer(struct kad_network *network,
                                                   kad_time_ms delay_ms,
                                                   void (*fire)(void *data),
                                                   void *data,
                                                   kad_timer_id *timer);

/* Stops a timer. Returns 0, or KAD_ENOTFOUND if it has fired. */
KAD_API int kad_network_stop_timer(struct kad_network *network,
                                   kad_timer_id timer);

/* Calls `fire(data)` whenever the process receives the signal `number`, until
 * the network is freed. Returns 0, KAD_ENOMEM, or KAD_EINVAL for a signal that
 * cannot be caught, or a network without UDP sockets. */
KAD_API KAD_MUST_CHECK int kad_network_on_signal(struct kad_network *network,
                                                 int number,
                                                 void (*fire)(void *data),
                                                 void *data);

/* Runs until kad_network_stop is called, or for `duration_ms` of the network's
 * clock; KAD_TIME_NEVER: no limit. A simulated network also stops when no event
 * is left, which does not happen while it has a node. Does nothing if called
 * from a callback. */
KAD_API void kad_network_run(struct kad_network *network,
                             kad_time_ms duration_ms);

/* Ends kad_network_run after the current callback. */
KAD_API void kad_network_stop(struct kad_network *network);

/* For an event loop of the caller, with UDP: a file descriptor that is readable
 * when there is work (-1 if the system has none), the milliseconds after which
 * there is work anyway (-1: no limit), and a turn that does the work without
 * blocking. */
KAD_API int kad_network_fd(const struct kad_network *network);
KAD_API int kad_network_timeout(const struct kad_network *network);
KAD_API void kad_network_step(struct kad_network *network);

#ifdef __cplusplus
}
#endif

/* Reading and writing bencode. */
#include "kadenza_bencode.h"
/* Addresses that are blocked, or exempt from limits. */
#include "kadenza_blocklist.h"
/* Items of BitTorrent's DHT (BEP 44). */
#include "kadenza_item.h"
/* kad_network_resolve, and names through which a node joins. */
#include "kadenza_names.h"
/* Whether others can reach a node. */
#include "kadenza_reachability.h"
/* Samples of info hashes. */
#include "kadenza_sample.h"
/* Numbers of seeds and peers. */
#include "kadenza_scrape.h"
/* Ids that fit an address. */
#include "kadenza_secure_id.h"

#endif
