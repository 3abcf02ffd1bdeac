/* kadenza.h: the whole public C API of libkadenza, a Kademlia DHT node.
 *
 * The engine (`kad_node`) is sans-I/O: datagrams, time and requests go in;
 * datagrams and completions come out. `kad_network` runs engines for you, on
 * real UDP sockets (`kad_network_udp_new`) or in virtual time
 * (`kad_network_sim_new`), and whoever carries datagrams by other means opens
 * nodes there that have none (`kad_network_open_on_transport`). A program that
 * has no use for the loop gives the engine a `kad_env` instead and calls
 * `kad_node_receive` and `kad_node_tick`.
 *
 * Conventions. Functions that can fail return 0 or a negative KAD_E… code and
 * write their out-parameters only on success. Times are milliseconds of a
 * monotonic clock (`kad_time_ms`) unless the name says otherwise. Nothing here
 * is thread-safe: a network and its nodes belong to one thread.
 *
 * The length of this file is that of the API: it is kept in one place so that
 * an embedder reads one header. */
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

/* Returns the version of the library, such as "0.1.0". Valid for ever. */
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
  X(KAD_EBUSY, -18, "too much is under way")                          \
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
  X(KAD_ECODEC, -29, "the codec failed")

enum kad_error {
#define KAD_ERROR_ENUM(code, value, text) code = (value),
  KAD_ERROR_MAP(KAD_ERROR_ENUM)
#undef KAD_ERROR_ENUM
};

/* Returns the name of `error`, such as "KAD_EINVAL"; "KAD_EUNKNOWN" for what is
 * not in the list. Valid for ever. */
KAD_API const char *kad_error_name(int error);

/* Returns the text of `error`, one lower-case phrase. Valid for ever. */
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

/* Borrowed bytes. `data` may be NULL when `len` is 0. Not NUL-terminated. */
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
 * `old_size` is always the size asked for last. NULL on failure, and the old
 * block is then untouched. */
struct kad_allocator {
  void *(*resize)(void *state, void *old, size_t old_size, size_t new_size);
  void *state;
};

/* Returns the allocator of the C library. */
KAD_API struct kad_allocator kad_allocator_default(void);

enum {
  KAD_ID_SIZE = 32
};

/* An id or a key: 20 bytes (160 bits) or 32 (256), big-endian, padded with
 * zero bytes at the end, so that one comparison serves both widths.
 * Source: Kademlia §2.1. */
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
 * bytes. */
KAD_API void kad_id_format(const struct kad_id *id, unsigned bits, char *hex);

/* Hashes `name` to a key of `bits` (160 or 256): BLAKE2b of that length. */
KAD_API void kad_id_hash(struct kad_slice name, unsigned bits,
                         struct kad_id *id);

/* The address of a UDP socket. All bytes are significant, so that copies can be
 * compared and hashed: an IPv4 address takes the first four bytes of `ip` and
 * leaves the others 0. */
struct kad_address {
  uint8_t ip[16];
  uint16_t port;  /* in host order; 0 is never a remote node's */
  uint8_t family; /* 4 or 6; 0 is no address */
  uint8_t via; /* the local socket it was heard on; 0 for any. Not compared */
};

/* Returns true if family, ip and port are the same. */
KAD_API bool kad_address_equal(const struct kad_address *a,
                               const struct kad_address *b);

/* Reads "192.0.2.1:6881" or "[2001:db8::1]:6881"; the port may be 0. Names are
 * not resolved. Returns 0 or KAD_EINVAL. */
KAD_API KAD_MUST_CHECK int kad_address_parse(struct kad_slice text,
                                             struct kad_address *address);

enum {
  KAD_ADDRESS_TEXT_SIZE = 56
};

/* Writes the text that `kad_address_parse` reads, NUL-terminated, into `text`
 * of KAD_ADDRESS_TEXT_SIZE bytes, and returns it. */
KAD_API const char *kad_address_format(const struct kad_address *address,
                                       char *text);

/* Returns true for addresses that no node of the open internet has: port 0,
 * unspecified, multicast, broadcast, documentation, and, unless `allow_local`,
 * loopback, link-local and private ones (RFC 6890). */
KAD_API bool kad_address_is_martian(const struct kad_address *address,
                                    bool allow_local);

/* Another node: its id and where it answers. Source: Kademlia §2.1. */
struct kad_contact {
  struct kad_id id;
  struct kad_address address;
};

/* ------------------------------------------------------------- bencode -- */

enum kad_bencode_type {
  KAD_BENCODE_INTEGER,
  KAD_BENCODE_STRING,
  KAD_BENCODE_LIST,
  KAD_BENCODE_DICT
};

/* One bencoded value inside a buffer that was parsed whole. Borrows the buffer.
 * Source: BEP 3 "bencoding". */
struct kad_bencode {
  enum kad_bencode_type type;
  int64_t integer;        /* of an integer */
  struct kad_slice bytes; /* of a string: its bytes; of a list or dictionary:
                             the encoded items between `l` or `d` and `e` */
  struct kad_slice raw;   /* the whole encoding of this value */
};

enum {
  KAD_BENCODE_MAX_DEPTH = 16
};

/* Checks that `in` is exactly one bencoded value, and gives it. Iterative;
 * containers nest at most KAD_BENCODE_MAX_DEPTH deep; integers fit 64 bits and
 * have one form; dictionary keys need not be sorted, since real nodes do not
 * always sort them, but may not repeat in sequence.
 * Returns 0 or KAD_EMALFORMED. */
KAD_API KAD_MUST_CHECK int kad_bencode_parse(struct kad_slice in,
                                             struct kad_bencode *value);

/* A walk through the items of a list or dictionary. Begin with
 * `struct kad_slice rest = value.bytes;`, which `next` moves on. */

/* Takes the next item of a parsed list off `rest`. Returns false at its end. */
KAD_API bool kad_bencode_next(struct kad_slice *rest,
                              struct kad_bencode *value);

/* Takes the next key and value of a parsed dictionary off `rest`. Returns false
 * at its end. */
KAD_API bool kad_bencode_next_pair(struct kad_slice *rest,
                                   struct kad_slice *key,
                                   struct kad_bencode *value);

/* Finds the value of `key` in the parsed dictionary `dict`. Returns false if
 * `dict` is no dictionary or has no such key. */
KAD_API bool kad_bencode_find(const struct kad_bencode *dict, const char *key,
                              struct kad_bencode *value);

/* A writer into memory of the caller. When something does not fit, nothing of
 * it is written, `overflow` is set and every later write is ignored. */
struct kad_writer {
  uint8_t *data;
  size_t len; /* bytes written */
  size_t cap; /* bytes there are */
  bool overflow;
};

/* Writes an integer. */
KAD_API void kad_write_integer(struct kad_writer *writer, int64_t value);
/* Writes a byte string. */
KAD_API void kad_write_string(struct kad_writer *writer,
                              struct kad_slice bytes);
/* Writes a dictionary key. The caller writes keys in ascending byte order. */
KAD_API void kad_write_key(struct kad_writer *writer, const char *key);
KAD_API void kad_write_dict(struct kad_writer *writer);  /* writes `d` */
KAD_API void kad_write_list(struct kad_writer *writer);  /* writes `l` */
KAD_API void kad_write_close(struct kad_writer *writer); /* writes `e` */
/* Appends bytes as they are: something already encoded. */
KAD_API void kad_write_raw(struct kad_writer *writer, struct kad_slice bytes);

/* ------------------------------------------------------------- records -- */

enum {
  KAD_PUBLISHER_SIZE = 32,     /* Ed25519 public key */
  KAD_SECRET_SIZE = 64,        /* Ed25519 secret key */
  KAD_SIGNATURE_SIZE = 64,     /* Ed25519 signature */
  KAD_SALT_MAX = 64,           /* BEP 44 */
  KAD_TYPE_NAME_MAX = 32,      /* bytes of a record type's name */
  KAD_METHOD_NAME_MAX = 32,    /* bytes of a query's name */
  KAD_VALUE_MAX = 1000,        /* bytes of a value, whatever its type allows */
  KAD_VALUES_MAX = 1024,       /* values a key, whatever its type allows */
  KAD_RECORDS_PER_MESSAGE = 32 /* records in one store or one page */
};

/* A value under a key. Everything it points to is borrowed. */
struct kad_record {
  struct kad_id key;
  struct kad_slice type;    /* name of its record type */
  struct kad_slice value;   /* at most KAD_VALUE_MAX bytes */
  struct kad_slice salt;    /* at most KAD_SALT_MAX bytes; empty for none */
  const uint8_t *publisher; /* KAD_PUBLISHER_SIZE bytes, or NULL */
  const uint8_t *signature; /* KAD_SIGNATURE_SIZE bytes, or NULL */
  int64_t seq;              /* sequence number, when has_seq */
  bool has_seq;
  uint32_t ttl; /* seconds left to live; 0 leaves it to the type */
  uint32_t age; /* seconds since it was stored here */
};

/* Makes an Ed25519 key pair from 32 random bytes. */
KAD_API void kad_keypair(const uint8_t seed[32],
                         uint8_t publisher[KAD_PUBLISHER_SIZE],
                         uint8_t secret[KAD_SECRET_SIZE]);

/* Signs `record` (its key, salt, seq, type and value) with `secret`.
 * `id_bits` (160 or 256) is the width of the overlay's keys.
 * Returns 0, KAD_ETOOBIG when the record is over a limit, or KAD_EINVAL for
 * another width. */
KAD_API KAD_MUST_CHECK int kad_record_sign(
    const struct kad_record *record, unsigned id_bits,
    const uint8_t secret[KAD_SECRET_SIZE],
    uint8_t signature[KAD_SIGNATURE_SIZE]);

/* Signs bytes of any kind, as RFC 8032 says. Let nobody else choose how they
 * begin: a signature of what reads as a record signs that record. */
KAD_API void kad_sign(struct kad_slice message,
                      const uint8_t secret[KAD_SECRET_SIZE],
                      uint8_t signature[KAD_SIGNATURE_SIZE]);

/* Tells whether `signature` is `publisher`'s under `message`. */
KAD_API bool kad_verify(struct kad_slice message,
                        const uint8_t publisher[KAD_PUBLISHER_SIZE],
                        const uint8_t signature[KAD_SIGNATURE_SIZE]);

/* ------------------------------------------------------------ messages -- */

enum {
  KAD_TRANSACTION_MAX = 32, /* bytes of a transaction id that we echo */
  KAD_TOKEN_MAX = 64,       /* bytes of a write token that we accept */
  KAD_WHY_MAX = 32,         /* bytes of what a store says of its reason */
  KAD_MESSAGE_CONTACTS = 64,
  KAD_MESSAGE_PEERS = 160,
  KAD_MESSAGE_ERRORS = KAD_RECORDS_PER_MESSAGE
};

/* What a datagram is. */
enum kad_message_kind {
  KAD_MESSAGE_QUERY,
  KAD_MESSAGE_REPLY,
  KAD_MESSAGE_ERROR
};

/* The queries that the core serves itself. */
enum kad_method_id {
  KAD_METHOD_CUSTOM, /* any other; see `name` */
  KAD_METHOD_PING,
  KAD_METHOD_FIND_NODE,
  KAD_METHOD_GET_PEERS,
  KAD_METHOD_ANNOUNCE_PEER,
  KAD_METHOD_FIND_VALUE,
  KAD_METHOD_STORE
};

/* Why a record of a store was not taken. */
struct kad_record_error {
  uint32_t index;
  int code;
  struct kad_slice reason;
};

/* The neutral message: what a datagram says, whatever its encoding. A codec
 * fills it from bytes and makes bytes of it; the engine knows nothing else.
 *
 * It is a few kilobytes, lives on the stack, and is never cleared as a whole:
 * only the parts that counts and flags declare are meaningful. Slices borrow
 * the datagram, or what the sender of the message gave. */
struct kad_message {
  enum kad_message_kind kind;
  struct kad_slice transaction; /* 1 … KAD_TRANSACTION_MAX bytes */
  struct kad_slice version;     /* `v`, empty for none */
  struct kad_address observed;  /* `ip`: how the other node sees us; family 0
                                   for none */
  bool read_only;               /* `ro`, BEP 43 */

  /* Queries. */
  enum kad_method_id method;
  struct kad_slice name; /* of the query, as sent */
  struct kad_slice args; /* the bencoded arguments, one dictionary. Written for
                            custom queries alone, `id` put in, and `target`
                            where it has none; empty for none */
  bool has_target;
  struct kad_id target; /* target, info_hash or key */
  bool want4, want6;    /* BEP 32; both false: the family of the sender */
  bool has_port;
  uint16_t port;     /* announce_peer; never 0 when has_port */
  bool implied_port; /* then the port that the query came from counts. Give a
                        `port` all the same: old nodes look at it alone */
  uint32_t skip;     /* find_value: values to pass over */

  /* Both ways. */
  bool has_id;
  struct kad_id id; /* the sender's */
  struct kad_slice token;
  struct kad_slice type; /* find_value, store: the record type's name */
  bool has_ttl;
  uint32_t ttl;         /* store: seconds */
  struct kad_slice why; /* store: "republish", "handoff" or "cache"; empty, or
                           anything else: a new record */
  size_t record_count;  /* store: to hold; find_value: held. What is read from a
                           reply has no key and no type: who asked knows them */
  struct kad_record records[KAD_RECORDS_PER_MESSAGE];

  /* Replies. */
  struct kad_slice reply; /* the bencoded reply, one dictionary. Written, `id`
                             put in, and `nodes` and `nodes6` where it has
                             none, instead of the other fields below; empty for
                             those */
  bool malformed; /* a key that the core's replies use has a wrong form, and
                     reads as absent. An error unless the query is a custom one
                   */
  bool has_nodes, has_nodes6; /* write `nodes`, `nodes6`, even if empty */
  size_t contact_count;       /* of both families */
  struct kad_contact contacts[KAD_MESSAGE_CONTACTS];
  size_t peer_count;
  struct kad_address peers[KAD_MESSAGE_PEERS];
  bool has_total;
  uint32_t total; /* find_value: values there are */
  bool has_stored;
  uint32_t stored; /* store: records taken */
  size_t error_count;
  struct kad_record_error errors[KAD_MESSAGE_ERRORS];

  /* Errors. */
  int code;
  struct kad_slice text;
};

/* Makes `message` an empty one of `kind`: every count 0, every flag false,
 * every slice empty. Leaves the arrays as they are. */
KAD_API void kad_message_init(struct kad_message *message,
                              enum kad_message_kind kind);

/* Returns the method that `name` names; KAD_METHOD_CUSTOM for any other. */
KAD_API enum kad_method_id kad_method_find(struct kad_slice name);

/* Returns the name of `method`; an empty slice for KAD_METHOD_CUSTOM. */
KAD_API struct kad_slice kad_method_name(enum kad_method_id method);

/* What turns datagrams into messages and back. */
struct kad_codec {
  void *state;
  /* Reads `datagram` into `*message`, beginning with kad_message_init. Its
   * slices borrow the datagram, or what was written to `scratch`, memory of the
   * engine for what the datagram does not have as it is (some 4,000 bytes; what
   * does not fit is malformed). `id_size` is 20 or 32, the bytes of the
   * overlay's ids. Need not set what follows from the rest: `method` from
   * `name`, the key and the type of records from those of the query. The engine
   * checks sizes, counts, and that a query has what its method needs.
   * Returns 0, or KAD_EMALFORMED for what is no message; if `transaction` is
   * set then, it was a query, which is answered 203. */
  int (*decode)(void *state, struct kad_slice datagram, size_t id_size,
                struct kad_message *message, struct kad_writer *scratch);
  /* Writes `message` to `writer`. Returns 0, KAD_ETOOBIG when it does not fit,
   * or KAD_EINVAL when `args` or `reply` is not a dictionary that can be sent
   * (for KRPC: well-formed, and less than KAD_BENCODE_MAX_DEPTH deep); the send
   * fails with what it returns. */
  int (*encode)(void *state, const struct kad_message *message, size_t id_size,
                struct kad_writer *writer);
};

/* Returns the built-in codec: KRPC (BEP 5, 32, 43). Valid for ever. */
KAD_API const struct kad_codec *kad_codec_krpc(void);

/* ------------------------------------------------------------ policies -- */

struct kad_node;

/* Why a hook runs. */
enum kad_reason {
  KAD_REASON_STORE,     /* another node, or our user, stores a record */
  KAD_REASON_REPUBLISH, /* a holder stores it again */
  KAD_REASON_HANDOFF,   /* it moves to a node that came closer */
  KAD_REASON_CACHE,     /* a reader leaves a copy */
  KAD_REASON_GET,       /* it came in an answer to our get */
  KAD_REASON_EXPIRE     /* dropped: its life has ended */
};

/* What a query asks, as the policy sees it. */
struct kad_request {
  struct kad_slice method; /* "ping", "store", or a custom name */
  struct kad_slice args;   /* its bencoded arguments, one dictionary */
};

/* A call to the policy. Everything is borrowed until the hook returns, or,
 * if it answers later, copied by it. */
struct kad_hook_call {
  struct kad_node *node;
  uint64_t
      call_id; /* names it for kad_node_complete_hook; never 0, never reused */
  enum kad_reason reason;
  kad_time_ms now;
  struct kad_contact from;           /* who asks; family 0 when it is us */
  bool proven;                       /* `from` has answered us at its address */
  const struct kad_request *request; /* on_request, methods */
  const struct kad_record *record;   /* validate, merge, expire, republish,
                                        stored, dropped */
  const struct kad_record *held;     /* merge: held now; select: the answers */
  size_t held_count;
};

/* What a policy decides. */
enum kad_verdict {
  KAD_VERDICT_ACCEPT, /* yes; and the fields below, as the hook has them */
  KAD_VERDICT_REJECT, /* no, with `code` and `reason` */
  KAD_VERDICT_DROP,   /* on_request: no answer at all */
  KAD_VERDICT_FAILED, /* the hook failed: what design calls the default happens
                       */
  KAD_VERDICT_PENDING /* kad_node_complete_hook will be called with the call's
                         call_id */
};

/* An answer to a call. Zero-initialised it accepts. Everything is borrowed
 * until the hook, or kad_node_complete_hook, returns to the caller; the core
 * copies.
 */
struct kad_hook_result {
  enum kad_verdict verdict;
  int code;                         /* of a refusal; 0 is KAD_CODE_REFUSED */
  struct kad_slice reason;          /* of a refusal: text, at most 200 bytes */
  const struct kad_record *records; /* merge: what to hold, the first max_values
                                       of it; select: results. Their key and
                                       type are not read, nor, by a merge, their
                                       ttl: `expire` says how long they live */
  size_t record_count;
  uint32_t seconds;       /* expire: life; republish: 0 is never again */
  uint32_t deadline_ms;   /* of KAD_VERDICT_PENDING: how long it may take; 0 is
                             what the   policy says */
  struct kad_slice reply; /* methods: a bencoded dictionary */
};

/* Answers one call into `*answer`, which is zeroed before the call. */
typedef void (*kad_hook_fn)(void *state, const struct kad_hook_call *call,
                            struct kad_hook_result *answer);

/* A named bundle of rules. A hook that is NULL costs one test.
 * Naming a built-in type (`peers`, `value`) refines it: its own checks run
 * first, limits that are 0 stay as they are. */
struct kad_type {
  const char *name;     /* at most KAD_TYPE_NAME_MAX bytes */
  uint32_t max_size;    /* bytes of a value; 0 … KAD_VALUE_MAX; 0 is 1000 */
  uint32_t max_values;  /* values a key; 0 … KAD_VALUES_MAX; 0 is 64 */
  uint32_t ttl;         /* seconds; 0 is 86400 (Kademlia §2.3) */
  uint32_t republish;   /* seconds; 0 is 3600; UINT32_MAX is never */
  bool signed_only;     /* refuse records without a publisher */
  void *state;          /* given to the hooks */
  kad_hook_fn validate; /* accept, or refuse with a reason */
  kad_hook_fn merge;    /* which records to hold */
  kad_hook_fn select;   /* which of the answers the reader gets */
  kad_hook_fn expire;   /* how long a record lives here */
  kad_hook_fn republish_at; /* when it is republished next */
  kad_hook_fn stored;       /* told after a record is held; answer ignored */
  kad_hook_fn dropped;      /* told after a record is dropped; answer ignored */
};

/* A custom query: `call` answers with a bencoded dictionary. */
struct kad_method {
  const char *name; /* at most KAD_METHOD_NAME_MAX bytes; not one of the core's,
                       nor `get`, `put`, `sample_infohashes` or `vote`, which
                       mean something in BitTorrent's DHT */
  void *state;
  kad_hook_fn call;
};

/* Everything an application decides. Copied by kad_node_set_policy, except what
 * the states point to. */
struct kad_policy {
  void *state;
  kad_hook_fn on_request; /* before a query is served */
  kad_hook_fn on_contact; /* before a contact enters the table */
  const struct kad_type *types;
  size_t type_count;
  const struct kad_method *methods;
  size_t method_count;
  uint32_t deadline_ms;          /* for an answer that comes later; 0 is 2000 */
  const struct kad_codec *codec; /* the node's while this policy is; NULL: its
                                    configuration's. Borrowed until `release` */
  /* Told that the core no longer waits for `call_id` (deadline, the node
   * closes): cancel the work. May be NULL. */
  void (*abandon)(void *state, uint64_t call_id);
  /* Told once that no call of this policy is open and none will come. May
   * be NULL. */
  void (*release)(void *state);
};

/* ---------------------------------------------------------- operations -- */

/* Names a running operation of a node; 0 names none; never reused. */
typedef uint64_t kad_operation_id;

/* One query of a lookup, for its trace. */
struct kad_step {
  struct kad_contact contact;
  struct kad_contact heard_from; /* who told us; family 0: our own table */
  uint32_t hop;                  /* 1 for contacts of our own table */
  uint32_t path;                 /* of disjoint ones, from 0 */
  uint32_t rtt_ms;               /* when it answered */
  bool answered;
  bool had_value;
};

/* What came of an operation. Borrowed until the callback returns. */
struct kad_result {
  kad_operation_id operation;
  int status;              /* 0 or KAD_E…; KAD_EREMOTE: see code and reason */
  int code;                /* KRPC error code, 0 for none */
  struct kad_slice reason; /* the other node's words; untrusted */
  struct kad_contact from; /* ping, call: who answered */
  struct kad_slice reply;  /* call: the reply, a bencoded dictionary */
  const struct kad_contact *closest; /* lookups: that answered, closest first */
  size_t closest_count;
  const struct kad_record *records; /* get: after validate, merge and select */
  size_t record_count;
  const struct kad_address *peers; /* get_peers: distinct peers */
  size_t peer_count;
  const struct kad_step *path; /* every contact asked, in order */
  size_t path_count;
  uint32_t hops;     /* answers in a row that led to the first value; without
                        one, to the closest contact: 1 if we knew it */
  uint32_t messages; /* queries sent */
  uint32_t took_ms;  /* from start to end */
  uint32_t stored;   /* put, announce: contacts that took it; for a put, we
                        ourselves too where we are one of the k closest */
  bool widened;      /* get, get_peers, put, announce: ids lay so densely around
                        the key that somebody has to have gathered them there.
                        Contacts beside it were asked, or stored at, too */
  uint32_t asked;    /* put, announce: contacts, and we, asked to take it */
  uint32_t holders;  /* get, get_peers: contacts, and we, that had a value;
                        query: replies that counted */
};

/* Called exactly once an operation, never from inside the call that started
 * it; by kad_node_free with KAD_ECLOSED for what is still running. May start
 * and cancel operations; may not free the node. */
typedef void (*kad_done_fn)(void *data, const struct kad_result *result);

/* How a lookup runs. Zero fields take the node's configuration. */
struct kad_lookup_options {
  uint32_t alpha;  /* queries in flight in each address family and on each path,
                      slow ones (past the soft timeout) not counted; up to k once
                      so many answers in a row brought nothing closer; 1 … 32 */
  uint32_t beta;   /* queries that an answer which came closer lets go out at
                      once, whatever is in flight; 1: one in its stead, and
                      strictly by distance, as in the paper; more: quick contacts
                      first among those about as close; 1 … 32 */
  uint32_t k;      /* width; 1 … 64 */
  uint32_t paths;  /* disjoint ones, against contacts that lie; 1 … 16 */
  uint32_t quorum; /* get, get_peers: end when so many had a value; query: when
                      so many replies counted; 0: all */
  uint32_t deadline_ms; /* from when it begins to run: the lookup ends then with
                           what it has. Storing and hooks get query_ms and a
                           second more; then it ends with KAD_ETIMEOUT */
  bool publish;         /* put: keep the record as one of our own, see
                           kad_node_publish */
};

/* ------------------------------------------------------ configuration -- */

enum {
  KAD_K_MAX = 64,      /* greatest k */
  KAD_ALPHA_MAX = 32,  /* greatest α and β */
  KAD_PATHS_MAX = 16,  /* disjoint paths of a lookup */
  KAD_BUCKET_MAX = 128 /* contacts of a bucket */
};

/* ---------------------------------------------------------------- node -- */

/* What the engine needs of the world. */
struct kad_env {
  void *state;
  kad_time_ms (*now)(void *state);    /* monotonic; never goes back */
  int64_t (*wall_clock)(void *state); /* seconds since 1970 UTC */
  void (*random)(void *state, uint8_t *out, size_t len);
  /* Sends one datagram; may drop it. Must not call the engine. */
  void (*send)(void *state, const struct kad_address *to,
               struct kad_slice datagram);
  struct kad_allocator allocator;
};

struct kad_store; /* kadenza_store.h */

/* The options of a node that are switches or numbers: type, name, default,
 * smallest, greatest, unit, text. Their struct fields, defaults and checks, the
 * fields, flags and variables of the Lua library and the program, and their
 * documentation are made from this list. */
#define KAD_CONFIG_MAP(X)                                                     \
  X(bool, allow_local, false, 0, 1, "",                                       \
    "Admit loopback, link-local and private addresses, and exempt them from " \
    "limits on subnets: for nodes on one machine or in one building.")        \
  X(bool, read_only, false, 0, 1, "", "Send queries, answer none (BEP 43).")  \
  X(uint32_t, k, 8, 1, KAD_K_MAX, "",                                         \
    "Contacts in a bucket, and closest contacts of lookups and stores.")      \
  X(uint32_t, alpha, 3, 1, KAD_ALPHA_MAX, "",                                 \
    "Queries in flight on each path of a lookup.")                            \
  X(uint32_t, beta, 3, 1, KAD_ALPHA_MAX, "",                                  \
    "Queries that a lookup sends at once after a reply that came closer; 1: " \
    "as in the Kademlia paper.")                                              \
  X(uint32_t, paths, 1, 1, KAD_PATHS_MAX, "",                                 \
    "Disjoint paths of a lookup (S/Kademlia): several find a value although " \
    "some contacts lie.")                                                     \
  X(uint32_t, far_contacts, 0, 0, KAD_BUCKET_MAX, "",                         \
    "Size of the farthest bucket; each closer one has half of it, at least "  \
    "k.")                                                                     \
  X(uint32_t, lookup_ms, 20000, 1, UINT32_MAX, "ms", "Deadline of a lookup.") \
  X(uint32_t, query_ms, 4000, 1, 60000, "ms", "Hard timeout of a query.")     \
  X(uint32_t, refresh_s, 3600, 1, UINT32_MAX, "s",                            \
    "Refresh a bucket in which nothing was looked up for so long.")           \
  X(uint32_t, ping_s, 600, 1, UINT32_MAX, "s",                                \
    "A contact that was silent for so long is questionable, and pinged.")     \
  X(uint32_t, neighbour_s, 180, 0, UINT32_MAX, "s",                           \
    "While the node holds records, ping a neighbour that was silent for so "  \
    "long; 0: never.")                                                        \
  X(uint32_t, token_s, 300, 1, UINT32_MAX, "s",                               \
    "Time slot of a write token; the last two slots are accepted.")           \
  X(uint32_t, stores_per_s, 80, 0, UINT32_MAX, "1/s",                         \
    "Stores that the node sends by itself: to republish, hand off, repair "   \
    "and cache.")                                                             \
  X(bool, cache, true, 0, 1, "",                                              \
    "A get leaves a cached copy of what it found near the key.")              \
  X(bool, repair, true, 0, 1, "",                                             \
    "A get sends holders the records that they lack.")                        \
  X(uint32_t, max_reply, 1232, 512, 1452, "bytes",                            \
    "Largest datagram that the node sends.")                                  \
  X(uint32_t, max_lookups, 64, 1, UINT32_MAX, "",                             \
    "Operations with lookups that run at once; others wait.")                 \
  X(uint32_t, max_pending_hooks, 10000, 0, UINT32_MAX, "",                    \
    "Hook calls that may be pending at once.")                                \
  X(bool, limits, true, 0, 1, "",                                             \
    "Rate limits; switch them off for measurements only.")                    \
  X(uint32_t, queries_per_s, 4000, 1, UINT32_MAX, "1/s",                      \
    "Queries served in all.")                                                 \
  X(uint32_t, queries_per_s_address, 100, 1, UINT32_MAX, "1/s",               \
    "Queries served for an address.")                                         \
  X(uint32_t, queries_per_s_subnet, 400, 1, UINT32_MAX, "1/s",                \
    "Queries served for a subnet, /24 or /64.")                               \
  X(uint64_t, bytes_per_s, 1250000, 1, UINT64_MAX, "bytes/s",                 \
    "Bytes of replies in all.")                                               \
  X(uint64_t, max_bytes, 67108864, 0, UINT64_MAX, "bytes",                    \
    "Memory of all records held.")                                            \
  X(uint32_t, max_records, 200000, 0, UINT32_MAX, "", "Records held.")        \
  X(uint32_t, max_records_address, 5000, 0, UINT32_MAX, "",                   \
    "Records held for one address.")                                          \
  X(uint32_t, max_publications, 10000, 0, UINT32_MAX, "",                     \
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
};

/* Fills `config` with the defaults. */
KAD_API void kad_config_default(struct kad_config *config);

/* Type of an option. */
enum kad_option_type {
  KAD_OPTION_TYPE_BOOL,
  KAD_OPTION_TYPE_UINT32,
  KAD_OPTION_TYPE_UINT64
};

/* An option of KAD_CONFIG_MAP, for programs that read or show options by name.
 * A bool is 0 or 1. */
struct kad_option {
  const char *name;
  enum kad_option_type type;
  size_t offset;    /* bytes, of its field in struct kad_config */
  uint64_t initial; /* the default */
  uint64_t min;
  uint64_t max;
  const char *unit; /* "ms", "s", "bytes", "1/s", "bytes/s", or "" */
  const char *text; /* what it is for: a sentence or two */
};

/* Returns the options, and sets `*count` to their number. Always valid. */
KAD_API const struct kad_option *kad_config_options(size_t *count);

/* Returns the value of `option` in `config`. */
KAD_API uint64_t kad_config_get(const struct kad_config *config,
                                const struct kad_option *option);

/* Sets `option` in `config`. Returns 0, or KAD_EINVAL, with nothing changed,
 * for a value out of its range. */
KAD_API KAD_MUST_CHECK int kad_config_set(struct kad_config *config,
                                          const struct kad_option *option,
                                          uint64_t value);

/* Makes a node. Copies: `config`, `env`. Nothing is sent before an operation or
 * a datagram. Free with kad_node_free.
 * Returns 0, KAD_ENOMEM, or KAD_EINVAL for a field out of its range. */
KAD_API KAD_MUST_CHECK int kad_node_new(const struct kad_config *config,
                                        const struct kad_env *env,
                                        struct kad_node **node);

/* Ends every operation with KAD_ECLOSED, abandons pending hook calls, releases
 * the policy and frees the node. Not from inside a callback or hook. NULL is
 * ignored. */
KAD_API void kad_node_free(struct kad_node *node);

/* Gives the engine a datagram of the address `from`. Serves it, or ignores what
 * is malformed, unasked for or over a limit, and counts that. */
KAD_API void kad_node_receive(struct kad_node *node,
                              const struct kad_address *from,
                              struct kad_slice datagram);

/* Does all work that is due at env.now: timeouts, refreshes, completions. Not
 * from inside a callback or hook. */
KAD_API void kad_node_tick(struct kad_node *node);

/* Returns when kad_node_tick must be called at the latest; KAD_TIME_NEVER when
 * nothing is planned. Any call that takes the node may move it. */
KAD_API kad_time_ms kad_node_deadline(const struct kad_node *node);

/* Replaces the node's policy by a copy of `policy`; NULL for the core's rules
 * alone. Questions under way end in the policy that they began in.
 * Returns 0, KAD_ENOMEM, KAD_EINVAL for a name too long, an empty name or a
 * limit out of range, KAD_ECONFLICT for a type named twice or a method named
 * twice or with a name that is not free, or KAD_EFULL for more than 62 types
 * beside the built-in ones. */
KAD_API KAD_MUST_CHECK int kad_node_set_policy(struct kad_node *node,
                                               const struct kad_policy *policy);

/* Answers the call `call_id` that was KAD_VERDICT_PENDING. Returns 0, or
 * KAD_ENOTFOUND when it is no longer open. `answer->verdict` may not be
 * KAD_VERDICT_PENDING again. */
KAD_API int kad_node_complete_hook(struct kad_node *node, uint64_t call_id,
                                   const struct kad_hook_result *answer);

/* Returns the node's id. Valid as long as the node. */
KAD_API const struct kad_id *kad_node_id(const struct kad_node *node);

/* Returns the node's configuration, defaults filled in. Valid as the node. */
KAD_API const struct kad_config *kad_node_config(const struct kad_node *node);

/* Tells the engine that the addresses of `node` can be reached in `family`
 * (4 or 6): contacts of other families are not asked. A new node has none; the
 * networks call this for every socket. Returns 0, KAD_ENOMEM, or KAD_EINVAL for
 * another family. */
KAD_API KAD_MUST_CHECK int kad_node_add_family(struct kad_node *node,
                                               unsigned family);

/* The calls below start an operation. `done` may be NULL. `*operation`, if not
 * NULL, receives its name. Slices, ids, addresses and records are copied.
 * Return 0, KAD_EINVAL, KAD_ENOMEM, KAD_EBUSY when too many wait, or
 * KAD_ECLOSED while the node is being freed. */

/* Joins: pings `known`, 16 at a time, looks up our own id from those that
 * answer and from what the table has, then refreshes every bucket farther than
 * the closest neighbour. Ends with 0 when the own-id lookup has found a
 * contact; KAD_ENOCONTACTS when all of `known` were silent (it keeps trying in
 * the background, with back-off, whenever no contact answers). Of more than 256
 * addresses the first 256 are used. They are remembered, with those of earlier
 * calls, to join again from; of more than 256 in all the latest.
 * Source: Kademlia §2.3. */
KAD_API KAD_MUST_CHECK int kad_node_bootstrap(struct kad_node *node,
                                              const struct kad_address *known,
                                              size_t count, kad_done_fn done,
                                              void *data,
                                              kad_operation_id *operation);

/* Pings an address. */
KAD_API KAD_MUST_CHECK int kad_node_ping(struct kad_node *node,
                                         const struct kad_address *to,
                                         kad_done_fn done, void *data,
                                         kad_operation_id *operation);

/* Sends the query `method` with `args` (a bencoded dictionary without `id`,
 * which is added; empty for none) to an address. A `to->id` that is not all
 * zero must match the answer's. */
KAD_API KAD_MUST_CHECK int kad_node_call(struct kad_node *node,
                                         const struct kad_contact *to,
                                         struct kad_slice method,
                                         struct kad_slice args,
                                         kad_done_fn done, void *data,
                                         kad_operation_id *operation);

/* What the user makes of a reply to a query along a lookup path. */
enum kad_reply_verdict {
  KAD_REPLY_VERDICT_COUNT,  /* for the quorum; the lookup goes on */
  KAD_REPLY_VERDICT_IGNORE, /* it does not count; the lookup goes on */
  KAD_REPLY_VERDICT_STOP    /* it counts, and the lookup ends */
};

/* Told of each reply to kad_node_query, in the order in which they come, with
 * the data of the operation. `reply` is a bencoded dictionary, or empty where a
 * codec gives none; untrusted. Everything is borrowed until it returns. May
 * start and cancel operations; may not free the node. */
typedef enum kad_reply_verdict (*kad_reply_fn)(void *data,
                                               const struct kad_contact *from,
                                               struct kad_slice reply);

/* A custom query to be carried along a lookup path. */
struct kad_custom_query {
  struct kad_slice method; /* 1 … KAD_METHOD_NAME_MAX bytes, none of the core's
                            */
  struct kad_slice args;   /* a bencoded dictionary; empty for none. `id` and
                              `target`, the key, are added: it may not have a
                              `target` of its own */
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
 *   KAD_ENOCONTACTS, KAD_ETIMEOUT
 *                    no contact answered
 *   KAD_ETOOBIG      the query does not fit a datagram */
KAD_API KAD_MUST_CHECK int kad_node_query(
    struct kad_node *node, const struct kad_id *key,
    const struct kad_custom_query *custom,
    const struct kad_lookup_options *options, kad_done_fn done, void *data,
    kad_operation_id *operation);

/* Looks up the k contacts closest to `target`. KAD_ETIMEOUT when the deadline
 * came first, with the closest that had answered; KAD_ENOCONTACTS when nobody
 * did. Source: Kademlia §2.3. */
KAD_API KAD_MUST_CHECK int kad_node_find_node(
    struct kad_node *node, const struct kad_id *target,
    const struct kad_lookup_options *options, kad_done_fn done, void *data,
    kad_operation_id *operation);

/* Looks up the records of `type` under `key`, ours among them, checks, merges
 * and selects. KAD_ENOTFOUND when there are none; when nobody answered either,
 * KAD_ENOCONTACTS, or KAD_ETIMEOUT if the deadline came first; KAD_ETYPE when
 * no rules for `type` are known. */
KAD_API KAD_MUST_CHECK int kad_node_get(
    struct kad_node *node, const struct kad_id *key, struct kad_slice type,
    const struct kad_lookup_options *options, kad_done_fn done, void *data,
    kad_operation_id *operation);

/* Stores `record` at the k nodes closest to its key, this node among them if it
 * is close enough and not read-only. Sends a store to a contact that does not
 * answer up to three times in all. The next closest contact replaces one that
 * does not answer or fails, but not one that refuses.
 * Ends with 0 when a contact stored the record, or
 *   KAD_EREFUSED, KAD_ETOOBIG, KAD_ESIGNATURE, KAD_ETYPE
 *                    the rules of this node refuse it, with `code` and
 *                    `reason`; no contact was asked
 *   KAD_EREMOTE      contacts were asked and none stored it; `code` and
 *                    `reason` are those of the first refusal
 *   KAD_ETIMEOUT     no contact that was asked answered
 *   KAD_ENOCONTACTS  no contact answered the lookup; unless this node is
 *                    read-only, it holds the record (`stored` is 1) and
 *                    republishes it like others, so that the record reaches
 *                    the overlay when there is one */
KAD_API KAD_MUST_CHECK int kad_node_put(
    struct kad_node *node, const struct kad_record *record,
    const struct kad_lookup_options *options, kad_done_fn done, void *data,
    kad_operation_id *operation);

/* Looks up peers of `info_hash` (BEP 5). A policy of `peers` validates each,
 * then selects among them. KAD_ENOTFOUND when there are none. */
KAD_API KAD_MUST_CHECK int kad_node_get_peers(
    struct kad_node *node, const struct kad_id *info_hash,
    const struct kad_lookup_options *options, kad_done_fn done, void *data,
    kad_operation_id *operation);

/* Announces us as a peer of `info_hash` on `port` (BEP 5); 0 announces the port
 * that our datagrams come from (implied_port). */
KAD_API KAD_MUST_CHECK int kad_node_announce(
    struct kad_node *node, const struct kad_id *info_hash, uint16_t port,
    const struct kad_lookup_options *options, kad_done_fn done, void *data,
    kad_operation_id *operation);

/* Hands what is held here to who becomes one of the k closest without us, for
 * a node that is about to be closed: `deadline_ms` is how long that may take
 * (0: lookup_ms), within the budget. 0 when all has been handed over,
 * KAD_ETIMEOUT when there was no time for some of it. KAD_EBUSY while it is
 * leaving already. */
KAD_API KAD_MUST_CHECK int kad_node_leave(struct kad_node *node,
                                          uint32_t deadline_ms,
                                          kad_done_fn done, void *data,
                                          kad_operation_id *operation);

/* Ends an operation with KAD_ECANCELED, by way of its callback. Returns
 * KAD_ENOTFOUND when it has ended already. */
KAD_API int kad_node_cancel(struct kad_node *node, kad_operation_id operation);

/* Keeps `record` as one of our own: the node stores it at the k closest each
 * period of its type, whoever else holds it, until its `ttl` has passed (0:
 * until it is withdrawn). It is stored first at a random moment within the next
 * `within_s` seconds, all of them within the budget (`stores_per_s`): so a node
 * that starts gives back what it kept. A put with `keep` does both. It takes
 * the place of one with the same publisher and salt and a lower `seq`.
 * Copies: `record`. Returns 0, KAD_EINVAL, KAD_ENOMEM, KAD_ETYPE, KAD_ETOOBIG,
 * KAD_ESIGNATURE, KAD_EREFUSED for what has no valid form or is older than what
 * is kept, or KAD_EFULL for more than `max_publications`. */
KAD_API KAD_MUST_CHECK int kad_node_publish(struct kad_node *node,
                                            const struct kad_record *record,
                                            uint32_t within_s);

/* Keeps the records of ours of `type` under `key` no longer, or only the one
 * with this `value` (NULL: all). Copies at their holders live out their time.
 * Returns 0, KAD_EINVAL, or KAD_ENOTFOUND when there was none. */
KAD_API int kad_node_unpublish(struct kad_node *node, const struct kad_id *key,
                               struct kad_slice type,
                               const struct kad_slice *value);

/* Walks the records of ours that are kept: begin with `*cursor` 0; false at the
 * end. `ttl` of the record is what is left, 0 for no end. Its slices borrow the
 * node until it does anything. */
KAD_API bool kad_node_next_publication(const struct kad_node *node,
                                       uint64_t *cursor,
                                       struct kad_record *record);

/* Copies up to `cap` of the records of `type` that the node itself holds under
 * `key` to `out`, newest first, and returns how many there are. Nobody is
 * asked, no hook is. Their slices borrow the store until the node does
 * anything. */
KAD_API size_t kad_node_held(const struct kad_node *node,
                             const struct kad_id *key, struct kad_slice type,
                             struct kad_record *out, size_t cap);

/* What the table knows of a contact. */
struct kad_contact_info {
  struct kad_contact contact;
  kad_time_ms last_seen; /* it last answered us */
  uint32_t rtt_ms;       /* smoothed round-trip time */
  uint32_t failures;     /* queries since then that it left unanswered */
  bool good;             /* BEP 5 "Routing Table" */
};

/* Copies up to `cap` contacts of the routing tables to `out` and returns how
 * many there are. Everyone in it has answered us. */
KAD_API size_t kad_node_contacts(const struct kad_node *node,
                                 struct kad_contact_info *out, size_t cap);

/* How the node stands with its overlay. */
enum kad_state {
  KAD_STATE_NEW,      /* has not been asked to join */
  KAD_STATE_JOINING,  /* bootstrap under way, or nobody has answered yet */
  KAD_STATE_HEALTHY,  /* has contacts that answer */
  KAD_STATE_DEGRADED, /* most contacts do not answer */
  KAD_STATE_ISOLATED  /* had contacts, nobody answers now */
};

/* Returns how the node stands now. */
KAD_API enum kad_state kad_node_state(const struct kad_node *node);

/* Writes our address of `family` (4 or 6), as contacts of several subnets see
 * it, to `*address` (BEP 42, `ip`). Returns false while that is not known: for
 * want of contacts, or because each sees another one. */
KAD_API bool kad_node_observed(const struct kad_node *node, unsigned family,
                               struct kad_address *address);

/* Returns "new", "joining", "healthy", "degraded" or "isolated". */
KAD_API const char *kad_state_name(enum kad_state state);

/* Counters of a node, from its start; `gauge` ones are of now. Name, text. */
#define KAD_STATS_MAP(X)                                              \
  X(datagrams_in, "datagrams received")                               \
  X(datagrams_out, "datagrams sent")                                  \
  X(bytes_in, "bytes received")                                       \
  X(bytes_out, "bytes sent")                                          \
  X(dropped_malformed, "datagrams that were no message")              \
  X(dropped_martian, "datagrams from addresses not allowed")          \
  X(dropped_limited, "queries over a rate limit")                     \
  X(dropped_unmatched, "replies that nobody waited for")              \
  X(dropped_read_only, "queries that came while read-only")           \
  X(dropped_by_policy, "queries that a policy left unanswered")       \
  X(served_ping, "ping queries answered")                             \
  X(served_find_node, "find_node queries answered")                   \
  X(served_get_peers, "get_peers queries answered")                   \
  X(served_announce_peer, "announce_peer queries answered")           \
  X(served_find_value, "find_value queries answered")                 \
  X(served_store, "store queries answered")                           \
  X(served_custom, "queries of policies answered")                    \
  X(refused, "queries answered with an error")                        \
  X(bad_token, "stores with a wrong token")                           \
  X(unsent, "messages that could not be encoded")                     \
  X(queries, "queries sent")                                          \
  X(replies, "replies received")                                      \
  X(errors, "errors received")                                        \
  X(timeouts, "queries that went unanswered")                         \
  X(late, "replies after the soft timeout")                           \
  X(lookups, "lookups begun")                                         \
  X(lookups_failed, "lookups that found nothing or failed")           \
  X(refreshes, "buckets refreshed")                                   \
  X(liveness_checks, "contacts pinged because they were silent")      \
  X(verifications, "strangers pinged before they are believed")       \
  X(maintenance_queries, "queries of lookups that nobody asked for")  \
  X(reconnect_probes, "lost contacts and known addresses asked")      \
  X(neighbour_checks, "neighbours asked whether they are there")      \
  X(republishes, "records republished")                               \
  X(handoffs, "records handed to other nodes")                        \
  X(widened, "operations that met a crowded key")                     \
  X(repairs, "holders that a get gave what they lacked")              \
  X(cached_copies, "copies that gets left near the key")              \
  X(publication_changes, "records of our own kept, ended, withdrawn") \
  X(expired, "records that expired")                                  \
  X(evicted, "records dropped for room")                              \
  X(hook_failures, "hooks that failed, or answered nonsense")         \
  X(hook_deadlines, "hooks that answered too late")                   \
  X(contacts, "contacts in the tables (gauge)")                       \
  X(contacts_good, "good ones among them (gauge)")                    \
  X(network_size, "nodes of the overlay, estimated (gauge)")          \
  X(pending, "queries in flight (gauge)")                             \
  X(operations, "operations under way (gauge)")                       \
  X(pending_hooks, "hook calls that are pending (gauge)")             \
  X(records, "records held (gauge)")                                  \
  X(record_bytes, "bytes that they take (gauge)")                     \
  X(publications, "records of our own kept (gauge)")

struct kad_stats {
#define KAD_STATS_FIELD(name, text) uint64_t name;
  KAD_STATS_MAP(KAD_STATS_FIELD)
#undef KAD_STATS_FIELD
};

/* Copies the counters of the node, as they are now, to `stats`. */
KAD_API void kad_node_stats(const struct kad_node *node,
                            struct kad_stats *stats);

/* ------------------------------------------------------------- network -- */

/* Nodes, a clock and what carries datagrams between them. */
struct kad_network;

/* Makes a network of UDP sockets with an event loop of its own.
 * Returns 0, KAD_ENOMEM or KAD_ESYSTEM. */
KAD_API KAD_MUST_CHECK int kad_network_udp_new(struct kad_allocator allocator,
                                               struct kad_network **network);

/* Closes every node and timer and frees the network. Not from a callback. Waits
 * for the system's resolver if that is looking a name up. NULL is ignored. */
KAD_API void kad_network_free(struct kad_network *network);

/* Makes a node on `count` sockets bound to `listen` (1 … 8; port 0 takes a free
 * one). In a simulated network any address not yet taken may be bound. The node
 * belongs to the network: end it with kad_network_close_node.
 * Returns 0, an error of kad_node_new, KAD_EADDRINUSE, KAD_EADDRNOTAVAIL,
 * KAD_EACCESS, KAD_ESYSTEM, or KAD_ECLOSED while the network is freed; then
 * nothing is left bound. */
KAD_API KAD_MUST_CHECK int kad_network_open_node(
    struct kad_network *network, const struct kad_config *config,
    const struct kad_address *listen, size_t count, struct kad_node **node);

/* What carries the datagrams of a node that has no sockets: a serial line, a
 * pipe, a radio, a test. */
struct kad_transport {
  void *state;
  /* Sends one datagram to `to`, an address of the transport's own; may drop it.
   * May do what any callback may. */
  void (*send)(void *state, const struct kad_address *to,
               struct kad_slice datagram);
  /* Told that the node has ended, and `send` will not be called again. May be
   * NULL. */
  void (*release)(void *state);
};

/* Makes a node without sockets: what it sends leaves by `transport`, what
 * others send to it comes by kad_network_receive. Clock, timers and random
 * bytes are the network's. `addresses` (1 … 8, with ports) are where the
 * transport reaches it: what they mean is the transport's affair, but contacts
 * are compared, kept and told by them, and `allow_local` of `config` and the
 * bounds on subnets hold for them. Copies: `transport`, which is released only
 * when this returns 0. Returns 0, an error of kad_node_new, or KAD_ECLOSED
 * while the network is freed. */
KAD_API KAD_MUST_CHECK int kad_network_open_on_transport(
    struct kad_network *network, const struct kad_config *config,
    const struct kad_address *addresses, size_t count,
    const struct kad_transport *transport, struct kad_node **node);

/* Gives a node of kad_network_open_on_transport a datagram of the address
 * `from`. Amid a callback, a hook or a `send` it is copied, and received in the
 * next turn. Returns 0, KAD_EINVAL for another node or no address, KAD_ETOOBIG
 * for more than 1,500 bytes, KAD_EFULL when 256 wait already, or KAD_ENOMEM: it
 * is lost then, as datagrams may be. */
KAD_API int kad_network_receive(struct kad_network *network,
                                struct kad_node *node,
                                const struct kad_address *from,
                                struct kad_slice datagram);

/* Closes a node of the network: its operations end with KAD_ECLOSED. Safe from
 * callbacks and hooks, where it takes effect when they have returned; the node
 * must not be used after this call. */
KAD_API void kad_network_close_node(struct kad_network *network,
                                    struct kad_node *node);

/* Copies up to `cap` bound addresses of `node` and returns how many there are.
 */
KAD_API size_t kad_network_addresses(const struct kad_network *network,
                                     const struct kad_node *node,
                                     struct kad_address *out, size_t cap);

/* Returns the number of the present turn, which grows: what a network calls
 * without waiting in between, for datagrams or for timers, is one turn. Whoever
 * has much to do takes his share of a turn and goes on in the next. */
KAD_API uint64_t kad_network_turn(const struct kad_network *network);

/* Returns the network's clock: monotonic, or virtual. */
KAD_API kad_time_ms kad_network_now(const struct kad_network *network);

/* Returns what the monotonic clock of `node` shows, which the moments that the
 * node tells of are by: the network's, unless kad_sim_set_clock or
 * kad_sim_suspend gave it one of its own. The network's for a node of another.
 */
KAD_API kad_time_ms kad_network_node_now(const struct kad_network *network,
                                         const struct kad_node *node);

/* Returns the seconds since 1970 UTC, which the machine's user may set; in
 * virtual time they begin with the year 2020. */
KAD_API int64_t kad_network_wall_clock(const struct kad_network *network);

/* Fills `out` with random bytes: the system's, or the seed's. */
KAD_API void kad_network_random(struct kad_network *network, uint8_t *out,
                                size_t len);

/* Names a timer; 0 names none; never reused. */
typedef uint64_t kad_timer_id;

/* Calls `fire(data)` once, `delay_ms` from now (0: in the next turn, which in a
 * simulated network is the next millisecond). `fire` may do anything but free
 * the network. Returns 0 or KAD_ENOMEM. */
KAD_API KAD_MUST_CHECK int kad_network_start_timer(struct kad_network *network,
                                                   kad_time_ms delay_ms,
                                                   void (*fire)(void *data),
                                                   void *data,
                                                   kad_timer_id *timer);

/* Stops a timer that has not fired. Returns KAD_ENOTFOUND if it has. */
KAD_API int kad_network_stop_timer(struct kad_network *network,
                                   kad_timer_id timer);

/* Resolves "host:port" (names too, by the system's resolver, without blocking;
 * in a simulated network only addresses) and calls `found` once, never from
 * inside this call, with up to 16 addresses, or status KAD_ERESOLVE.
 * Returns 0, KAD_ENOMEM, or KAD_EINVAL for text without a port. */
KAD_API KAD_MUST_CHECK int kad_network_resolve(
    struct kad_network *network, struct kad_slice text,
    void (*found)(void *data, int status, const struct kad_address *addresses,
                  size_t count),
    void *data);

/* Calls `fire(data)` whenever the process gets the signal `number`, until the
 * network is freed. UDP networks only: KAD_EINVAL elsewhere. */
KAD_API KAD_MUST_CHECK int kad_network_on_signal(struct kad_network *network,
                                                 int number,
                                                 void (*fire)(void *data),
                                                 void *data);

/* Runs until kad_network_stop is called, or for `duration_ms` of the network's
 * clock (KAD_TIME_NEVER for no limit, which in a simulated network ends when no
 * event is left; a node always has one to come). From a callback, it does
 * nothing. */
KAD_API void kad_network_run(struct kad_network *network,
                             kad_time_ms duration_ms);

/* Ends kad_network_run after the current callback. */
KAD_API void kad_network_stop(struct kad_network *network);

/* For a loop of the caller's (UDP): a file descriptor that is readable when
 * there is work (-1 if the system has none), the milliseconds until there is
 * work anyway (-1: for ever), and one turn that does it without blocking. */
KAD_API int kad_network_fd(const struct kad_network *network);
KAD_API int kad_network_timeout(const struct kad_network *network);
KAD_API void kad_network_step(struct kad_network *network);

#ifdef __cplusplus
}
#endif

#endif
