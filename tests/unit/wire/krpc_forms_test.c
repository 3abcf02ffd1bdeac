/* Every field of every message of KRPC, with each wrong type, length and sign,
 * and without it. Every message, cut at each byte.
 * Tests core/wire/krpc_decode.c, core/wire/krpc_fields.c,
 * core/wire/krpc_item.c. */
#include "decoding.h"
#include "unit.h"
#include "variants.h"
#include "wire/message.h"

#include <limits.h>
#include <string.h>

#define TOKEN "5:token8:aoeusnth"
#define FILTER_64 \
  "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
#define FILTER "256:" FILTER_64 FILTER_64 FILTER_64 FILTER_64
#define NODES  "5:nodes26:mnopqrstuvwxyz123456abcdef"
#define NODES6 "6:nodes638:mnopqrstuvwxyz123456abcdefabcdefabcdef"

/* What a wrong form of a field makes of its message. */
enum outcome {
  REFUSED,   /* a query that is answered with error 203 */
  DROPPED,   /* no message */
  MALFORMED, /* a reply that fails, unless the query was a custom one */
  IGNORED    /* the field reads as absent */
};

enum type {
  STRING,
  INTEGER,
  LIST,
  DICT,
  TYPES
};

/* A field and its right form: a string of `min` … `max` bytes, a multiple of
 * `step` if that is not 0; an integer from `min` to `max`. */
struct field {
  const char *path;
  enum type type;
  int64_t min;
  int64_t max;
  int64_t step;
  enum outcome wrong;
  enum outcome absent; /* with `is_required` */
  bool is_required;
};

struct message {
  const char *datagram;
  const struct field *fields;
};

#define ANY_LENGTH  0, INT64_MAX
#define ANY_INTEGER INT64_MIN, INT64_MAX
#define END \
  { .path = NULL }

/* Keys beside the body. */
static const struct field envelope[] = {
    {"t", STRING, 1, KAD_TRANSACTION_MAX, 0, DROPPED, DROPPED, true},
    {"y", STRING, 1, 1, 0, DROPPED, DROPPED, true},
    {"v", STRING, ANY_LENGTH, 0, IGNORED, IGNORED, false},
    {"ro", INTEGER, ANY_INTEGER, 0, IGNORED, IGNORED, false},
    {"ip", STRING, 6, 6, 0, IGNORED, IGNORED, false},
    END,
};

#define Q(name, args) \
  "d1:ad2:id" ID args "e2:ip6:abcdef1:q" name "2:roi1e1:t2:aa1:v4:KZ011:y1:qe"
#define R(fields) "d2:ip6:abcdef1:rd" fields "e2:roi1e1:t2:aa1:v4:KZ011:y1:re"

#define QUERY_FIELDS                                    \
  {"q", STRING, ANY_LENGTH, 0, REFUSED, REFUSED, true}, \
      {"a", DICT, 0, 0, 0, REFUSED, REFUSED, true}, {   \
    "a/id", STRING, 20, 20, 0, REFUSED, REFUSED, true   \
  }
#define TARGET \
  { "a/target", STRING, 20, 20, 0, REFUSED, REFUSED, true }
#define INFO_HASH \
  { "a/info_hash", STRING, 20, 20, 0, REFUSED, REFUSED, true }
#define WANT \
  { "a/want", LIST, 0, 0, 0, REFUSED, REFUSED, false }
#define A_TOKEN(is_required) \
  { "a/token", STRING, 0, KAD_TOKEN_MAX, 0, REFUSED, REFUSED, is_required }
#define FLAG(path) \
  { path, INTEGER, ANY_INTEGER, 0, REFUSED, REFUSED, false }
#define NUMBER(path, outcome) \
  { path, INTEGER, 0, UINT32_MAX, 0, outcome, outcome, false }
#define BYTES_OF(path, size, outcome, is_required) \
  { path, STRING, size, size, 0, outcome, outcome, is_required }

static const struct field ping[] = {QUERY_FIELDS, END};
static const struct field find_node[] = {QUERY_FIELDS, TARGET, WANT, END};
static const struct field get_peers[] = {
    QUERY_FIELDS, INFO_HASH, WANT, FLAG("a/scrape"), FLAG("a/noseed"), END};
static const struct field announce_peer[] = {
    QUERY_FIELDS,
    INFO_HASH,
    A_TOKEN(true),
    {"a/port", INTEGER, 1, UINT16_MAX, 0, REFUSED, REFUSED, true},
    FLAG("a/seed"),
    END};
static const struct field announce_implied[] = {
    QUERY_FIELDS,
    INFO_HASH,
    A_TOKEN(true),
    {"a/implied_port", INTEGER, ANY_INTEGER, 0, REFUSED, REFUSED, true},
    END};
static const struct field find_value[] = {
    QUERY_FIELDS,
    TARGET,
    WANT,
    {"a/type", STRING, 1, KAD_TYPE_NAME_MAX, 0, REFUSED, REFUSED, true},
    NUMBER("a/skip", REFUSED),
    A_TOKEN(false),
    END};
static const struct field store[] = {
    QUERY_FIELDS,
    TARGET,
    A_TOKEN(true),
    {"a/type", STRING, 1, KAD_TYPE_NAME_MAX, 0, REFUSED, REFUSED, true},
    NUMBER("a/ttl", REFUSED),
    {"a/why", STRING, 0, KAD_WHY_MAX, 0, REFUSED, REFUSED, false},
    {"a/values", LIST, 0, 0, 0, REFUSED, REFUSED, true},
    {"a/values/0", DICT, 0, 0, 0, REFUSED, REFUSED, true},
    {"a/values/0/v", STRING, ANY_LENGTH, 0, REFUSED, REFUSED, true},
    {"a/values/0/salt", STRING, 0, KAD_MESSAGE_SALT_MAX, 0, REFUSED, REFUSED,
     false},
    BYTES_OF("a/values/0/k", KAD_PUBLISHER_SIZE, REFUSED, true),
    BYTES_OF("a/values/0/sig", KAD_SIGNATURE_SIZE, REFUSED, true),
    FLAG("a/values/0/seq"),
    NUMBER("a/values/0/ttl", REFUSED),
    END};
static const struct field get[] = {QUERY_FIELDS,   TARGET,        WANT,
                                   A_TOKEN(false), FLAG("a/seq"), END};
static const struct field put[] = {
    QUERY_FIELDS,
    A_TOKEN(true),
    BYTES_OF("a/k", KAD_PUBLISHER_SIZE, REFUSED, true),
    BYTES_OF("a/sig", KAD_SIGNATURE_SIZE, REFUSED, true),
    {"a/salt", STRING, 0, KAD_MESSAGE_SALT_MAX, 0, REFUSED, REFUSED, false},
    {"a/seq", INTEGER, ANY_INTEGER, 0, REFUSED, REFUSED, true},
    FLAG("a/cas"),
    END};
static const struct field sample[] = {QUERY_FIELDS, TARGET, WANT, END};

/* A custom query may give these keys another meaning. */
static const struct field custom[] = {
    QUERY_FIELDS,
    {"a/target", STRING, 20, 20, 0, IGNORED, IGNORED, false},
    {"a/want", LIST, 0, 0, 0, IGNORED, IGNORED, false},
    {"token", STRING, 0, KAD_TOKEN_MAX, 0, IGNORED, IGNORED, false},
    END};

#define REPLY_FIELDS                                                    \
  {"r", DICT, 0, 0, 0, DROPPED, DROPPED, true},                         \
      {"r/id", STRING, 20, 20, 0, DROPPED, DROPPED, true},              \
      {"r/nodes", STRING, 26, 52, 26, MALFORMED, MALFORMED, false},     \
      {"r/nodes6", STRING, 38, 76, 38, MALFORMED, MALFORMED, false}, {  \
    "r/token", STRING, 0, KAD_TOKEN_MAX, 0, MALFORMED, MALFORMED, false \
  }

static const struct field got_peers[] = {
    REPLY_FIELDS,
    {"r/values", LIST, 0, 0, 0, MALFORMED, MALFORMED, false},
    BYTES_OF("r/BFsd", KAD_FILTER_SIZE, MALFORMED, false),
    BYTES_OF("r/BFpe", KAD_FILTER_SIZE, MALFORMED, false),
    END};
static const struct field found_value[] = {
    REPLY_FIELDS,
    NUMBER("r/total", MALFORMED),
    NUMBER("r/next", MALFORMED),
    {"r/values", LIST, 0, 0, 0, MALFORMED, MALFORMED, false},
    {"r/values/0/v", STRING, ANY_LENGTH, 0, MALFORMED, MALFORMED, true},
    {"r/values/0/salt", STRING, 0, KAD_MESSAGE_SALT_MAX, 0, MALFORMED,
     MALFORMED, false},
    BYTES_OF("r/values/0/k", KAD_PUBLISHER_SIZE, MALFORMED, true),
    BYTES_OF("r/values/0/sig", KAD_SIGNATURE_SIZE, MALFORMED, true),
    {"r/values/0/seq", INTEGER, ANY_INTEGER, 0, MALFORMED, MALFORMED, false},
    NUMBER("r/values/0/ttl", MALFORMED),
    END};
static const struct field stored[] = {
    REPLY_FIELDS,
    NUMBER("r/stored", MALFORMED),
    {"r/errors", LIST, 0, 0, 0, MALFORMED, MALFORMED, false},
    {"r/errors/0", LIST, 0, 0, 0, MALFORMED, MALFORMED, false},
    {"r/errors/0/0", INTEGER, 0, UINT32_MAX, 0, MALFORMED, MALFORMED, true},
    {"r/errors/0/1", INTEGER, INT_MIN, INT_MAX, 0, MALFORMED, MALFORMED, true},
    {"r/errors/0/2", STRING, ANY_LENGTH, 0, MALFORMED, MALFORMED, true},
    END};
static const struct field got[] = {
    REPLY_FIELDS,
    BYTES_OF("r/k", KAD_PUBLISHER_SIZE, MALFORMED, false),
    BYTES_OF("r/sig", KAD_SIGNATURE_SIZE, MALFORMED, false),
    {"r/seq", INTEGER, ANY_INTEGER, 0, MALFORMED, MALFORMED, false},
    NUMBER("r/ttl", MALFORMED),
    END};
static const struct field sampled[] = {
    REPLY_FIELDS,
    NUMBER("r/interval", MALFORMED),
    NUMBER("r/num", MALFORMED),
    {"r/samples", STRING, 20, 40, 20, MALFORMED, MALFORMED, false},
    END};
static const struct field failed[] = {
    {"e", LIST, 0, 0, 0, DROPPED, DROPPED, true},
    {"e/0", INTEGER, INT_MIN, INT_MAX, 0, DROPPED, DROPPED, true},
    {"e/1", STRING, ANY_LENGTH, 0, DROPPED, DROPPED, true},
    {"token", STRING, 0, KAD_TOKEN_MAX, 0, IGNORED, IGNORED, false},
    END};

#define RECORD      "d" K32 "4:salt6:foobar3:seqi1e" SIG "3:ttli60e1:v5:helloe"
#define REPLY_START "2:id" ID

static const struct message messages[] = {
    {Q("4:ping", ""), ping},
    {Q("9:find_node", "6:target" HASH "4:wantl2:n42:n6e"), find_node},
    {Q("9:get_peers", "9:info_hash" HASH "6:noseedi1e6:scrapei1e4:wantl2:n4e"),
     get_peers},
    {Q("13:announce_peer", "9:info_hash" HASH "4:porti6881e4:seedi1e" TOKEN),
     announce_peer},
    {Q("13:announce_peer", "12:implied_porti1e9:info_hash" HASH TOKEN),
     announce_implied},
    {Q("10:find_value",
       "4:skipi2e6:target" HASH TOKEN "4:type5:value4:wantl2:n4e"),
     find_value},
    {Q("5:store", "6:target" HASH TOKEN "3:ttli60e4:type5:value6:valuesl" RECORD
                  "e3:why7:handoff"),
     store},
    {Q("3:get", "3:seqi3e6:target" HASH TOKEN "4:wantl2:n4e"), get},
    {"d1:ad3:casi2e2:id" ID K32 "4:salt6:foobar3:seqi3e" SIG TOKEN
     "1:v5:helloe2:ip6:abcdef1:q3:put2:roi1e1:t2:aa1:v4:KZ011:y1:qe",
     put},
    {Q("17:sample_infohashes", "6:target" HASH "4:wantl2:n4e"), sample},
    {"d1:ad2:id" ID "6:target" HASH "4:wantl2:n4ee2:ip6:abcdef1:q5:hello"
     "2:roi1e1:t2:aa" TOKEN "1:v4:KZ011:y1:qe",
     custom},
    {R("4:BFpe" FILTER "4:BFsd" FILTER REPLY_START NODES NODES6 TOKEN
       "6:valuesl6:abcdefe"),
     got_peers},
    {R(REPLY_START "4:nexti3e" NODES NODES6 TOKEN "5:totali9e6:valuesl" RECORD
                   "e"),
     found_value},
    {R("6:errorslli1ei205e3:bigee" REPLY_START NODES NODES6
       "6:storedi1e" TOKEN),
     stored},
    {R(REPLY_START K32 NODES NODES6 "3:seqi3e" SIG TOKEN "3:ttli60e1:v5:hello"),
     got},
    {R(REPLY_START "8:intervali60e" NODES NODES6
                   "3:numi2e7:samples20:mnopqrstuvwxyz123456" TOKEN),
     sampled},
    {"d1:eli204e7:unknowne2:ip6:abcdef2:roi1e1:t2:aa" TOKEN "1:v4:KZ011:y1:ee",
     failed},
};

enum {
  MESSAGES = sizeof messages / sizeof messages[0]
};

static struct kad_message message;
static uint8_t bytes[8192];

static void describe(struct kad_slice datagram, const char *path,
                     const char *what) {
  print_error("%s %s: %.*s\n", path, what, (int)datagram.len,
              (const char *)datagram.data);
}

/* Decodes `datagram`, and returns what became of it; IGNORED if it is fine. */
static enum outcome decode(struct kad_slice datagram) {
  if (kad_decode(&message, datagram) == 0) {
    return message.malformed ? MALFORMED : IGNORED;
  }
  assert_int_equal(
      message.kind == KAD_MESSAGE_QUERY || message.transaction.len == 0, true);
  return message.transaction.len > 0 ? REFUSED : DROPPED;
}

/* Decodes `datagram` with `value` at `path`. */
static void expect_outcome(const char *datagram, const char *path,
                           struct kad_slice value, enum outcome outcome,
                           const char *what) {
  struct kad_writer out = {.data = bytes, .cap = sizeof bytes};
  kad_variant_replace(kad_slice_of(datagram), path, value, &out);
  const struct kad_slice variant = {out.data, out.len};
  if (decode(variant) != outcome) {
    describe(variant, path, what);
    fail();
  }
}

static void expect_length(const char *datagram, const char *path, int64_t len,
                          enum outcome outcome) {
  uint8_t text[2048];
  struct kad_writer value = {.data = text, .cap = sizeof text};
  kad_variant_string((size_t)len, &value);
  expect_outcome(datagram, path, (struct kad_slice){text, value.len}, outcome,
                 "of another length");
}

static void expect_number(const char *datagram, const char *path,
                          int64_t integer, enum outcome outcome) {
  uint8_t text[24];
  struct kad_writer value = {.data = text, .cap = sizeof text};
  kad_write_integer(&value, integer);
  expect_outcome(datagram, path, (struct kad_slice){text, value.len}, outcome,
                 "of another value");
}

/* -------------------------------------------------------------- values -- */

static void check_types(const char *datagram, const struct field *field) {
  static const char *const others[TYPES][3] = {
      [STRING] = {"0:", "20:xxxxxxxxxxxxxxxxxxxx", "1:q"},
      [INTEGER] = {"i0e", "i-1e", "i9223372036854775807e"},
      [LIST] = {"le", "li1ee", "l0:lee"},
      [DICT] = {"de", "d1:v1:xe", "d0:dee"},
  };
  for (enum type type = STRING; type < TYPES; type++) {
    for (size_t i = 0; i < 3 && type != field->type; i++) {
      expect_outcome(datagram, field->path, kad_slice_of(others[type][i]),
                     field->wrong, "of another type");
    }
  }
}

static void check_string(const char *datagram, const struct field *field) {
  const bool is_kind = strcmp(field->path, "y") == 0;
  const bool is_name = strcmp(field->path, "q") == 0;
  const bool is_bounded = field->max != INT64_MAX;
  if (field->min > 0) {
    expect_length(datagram, field->path, field->min - 1, field->wrong);
    expect_length(datagram, field->path, 0,
                  field->step > 0 ? IGNORED : field->wrong);
  }
  if (is_bounded) {
    expect_length(datagram, field->path, field->max + 1, field->wrong);
    expect_length(datagram, field->path, 2 * field->max + 3, field->wrong);
  }
  if (!is_kind && !is_name) {
    expect_length(datagram, field->path, field->min, IGNORED);
    expect_length(datagram, field->path, is_bounded ? field->max : 1300,
                  IGNORED);
  }
}

static void check_integer(const char *datagram, const struct field *field) {
  const char *path = field->path;
  expect_number(datagram, path, field->min, IGNORED);
  expect_number(datagram, path, field->max, IGNORED);
  if (field->min > INT64_MIN) {
    expect_number(datagram, path, field->min - 1, field->wrong);
    expect_number(datagram, path, INT64_MIN, field->wrong);
  }
  if (field->max < INT64_MAX) {
    expect_number(datagram, path, field->max + 1, field->wrong);
    expect_number(datagram, path, INT64_MAX, field->wrong);
  }
}

static void check_field(const char *datagram, const struct field *field) {
  const struct kad_slice none = {NULL, 0};
  check_types(datagram, field);
  if (field->type == STRING) {
    check_string(datagram, field);
  } else if (field->type == INTEGER) {
    check_integer(datagram, field);
  }
  expect_outcome(datagram, field->path, none,
                 field->is_required ? field->absent : IGNORED, "left out");
}

static void check_fields(const char *datagram, const struct field *fields) {
  if (decode(kad_slice_of(datagram)) != IGNORED) {
    fail_msg("not in its right form: %s", datagram);
  }
  for (const struct field *field = fields; field->path != NULL; field++) {
    check_field(datagram, field);
  }
}

static void every_field_of_every_message_has_one_form(void **state) {
  (void)state;
  for (size_t i = 0; i < MESSAGES; i++) {
    check_fields(messages[i].datagram, messages[i].fields);
  }
}

static void every_message_has_the_same_envelope(void **state) {
  (void)state;
  for (size_t i = 0; i < MESSAGES; i++) {
    check_fields(messages[i].datagram, envelope);
  }
}

/* ---------------------------------------------------------- whole ones -- */

static void every_message_is_dropped_when_cut(void **state) {
  (void)state;
  for (size_t i = 0; i < MESSAGES; i++) {
    const struct kad_slice whole = kad_slice_of(messages[i].datagram);
    for (size_t len = 0; len < whole.len; len++) {
      assert_int_equal(decode((struct kad_slice){whole.data, len}), DROPPED);
    }
  }
}

/* A byte is replaced by one that has a meaning in bencoding. What is decoded
 * then stays within the datagram: sanitizers watch. */
static void every_byte_of_every_message_may_be_another(void **state) {
  static const char others[] = "dlie:-019\377";
  (void)state;
  for (size_t i = 0; i < MESSAGES; i++) {
    const size_t len = strlen(messages[i].datagram);
    for (size_t at = 0; at < len; at++) {
      for (size_t j = 0; j <= sizeof others - 1; j++) {
        memcpy(bytes, messages[i].datagram, len);
        bytes[at] = (uint8_t)others[j];
        (void)decode((struct kad_slice){bytes, len});
      }
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_field_of_every_message_has_one_form),
      cmocka_unit_test(every_message_has_the_same_envelope),
      cmocka_unit_test(every_message_is_dropped_when_cut),
      cmocka_unit_test(every_byte_of_every_message_may_be_another),
  };
  return cmocka_run_group_tests_name("krpc_forms", tests, NULL, NULL);
}
