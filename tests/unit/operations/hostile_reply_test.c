/* A node whose queries are answered with every reply, and error, in every wrong
 * form: its operations end, its table gets no contact that has not answered,
 * and nothing leaks. Tests core/rpc/rpc.c, core/operations/operation.c,
 * core/lookup/lookup.c. */
#include "kadenza_sample.h"
#include "kadenza_scrape.h"
#include "lone_node.h"
#include "records/item.h"
#include "unit.h"
#include "variants.h"

#include <string.h>

enum {
  HONEST = 3,
  DATAGRAM_MAX = 4 * KAD_LONE_SIZE,
  CONTACTS_MAX = 64,
  STEP_MS = 250,
  STEPS_MAX = 400, /* an operation ends sooner */
  SAMPLES = 2
};

/* The operations whose queries are answered with hostile replies. */
enum kind {
  PING,
  CALL,
  FIND_NODE,
  GET_PEERS,
  GET_VALUE,
  GET_IMMUTABLE,
  GET_MUTABLE,
  PUT_VALUE,
  PUT_IMMUTABLE,
  ANNOUNCE,
  SAMPLE,
  KINDS
};

/* By operation, the query whose reply is hostile. */
static const enum kad_method_id method_of[KINDS] = {
    [PING] = KAD_METHOD_PING,
    [CALL] = KAD_METHOD_CUSTOM,
    [FIND_NODE] = KAD_METHOD_FIND_NODE,
    [GET_PEERS] = KAD_METHOD_GET_PEERS,
    [GET_VALUE] = KAD_METHOD_FIND_VALUE,
    [GET_IMMUTABLE] = KAD_METHOD_GET,
    [GET_MUTABLE] = KAD_METHOD_GET,
    [PUT_VALUE] = KAD_METHOD_STORE,
    [PUT_IMMUTABLE] = KAD_METHOD_PUT,
    [ANNOUNCE] = KAD_METHOD_ANNOUNCE_PEER,
    [SAMPLE] = KAD_METHOD_SAMPLE_INFOHASHES,
};

/* One operation. */
struct run {
  enum kind kind;
  unsigned ended;
  int error;
  bool is_met; /* its query has been answered */
};

static struct kad_lone lone_node;
static struct kad_contact honest[HONEST];
static struct kad_contact hostile;
static struct run run;
static struct kad_record items[2]; /* an immutable and a mutable one */
static struct kad_record values[2];
static uint8_t publisher[KAD_PUBLISHER_SIZE];
static uint8_t signatures[2][KAD_SIGNATURE_SIZE];

static int make_records(void **state) {
  static const uint8_t seed[32] = {9};
  uint8_t secret[KAD_SECRET_SIZE];
  (void)state;
  kad_keypair(seed, publisher, secret);
  items[0] = (struct kad_record){.type = kad_slice_of("immutable"),
                                 .value = kad_slice_of("d1:ai1e1:bl1:cee")};
  assert_ok(kad_item_target_immutable(items[0].value, &items[0].key));
  items[1] = (struct kad_record){.type = kad_slice_of("mutable"),
                                 .value = kad_slice_of("5:hello"),
                                 .publisher = publisher,
                                 .signature = signatures[0],
                                 .seq = 5,
                                 .has_seq = true};
  assert_ok(kad_item_target_mutable(publisher, items[1].salt, &items[1].key));
  assert_ok(kad_item_sign(items[1].value, items[1].salt, items[1].seq, secret,
                          signatures[0]));
  values[0] = (struct kad_record){.key = kad_lone_target,
                                  .type = kad_slice_of("value"),
                                  .value = kad_slice_of("plain")};
  values[1] = values[0];
  values[1].publisher = publisher;
  values[1].signature = signatures[1];
  values[1].has_seq = true;
  values[1].seq = 7;
  values[1].ttl = 3600;
  return kad_record_sign(&values[1], 160, secret, signatures[1]);
}

static void open_node(void) {
  const struct kad_config config = kad_lone_unlimited();
  kad_lone_open(&lone_node, &config);
  for (unsigned i = 0; i < HONEST; i++) {
    honest[i] = kad_lone_contact(1 + i);
    kad_lone_add_contact(&lone_node, &honest[i]);
  }
  hostile = kad_lone_contact(900);
  lone_node.answered = lone_node.sent;
}

/* ----------------------------------------------------------- operations -- */

static void note_end(void *data, const struct kad_result *result) {
  struct run *it = data;
  it->ended++;
  it->error = result->status;
}

static int start(enum kind kind) {
  static const struct kad_lookup_options scrape = {.scrape = true};
  struct kad_node *node = lone_node.node;
  const struct kad_id *key = &kad_lone_target;
  const struct kad_slice none = {NULL, 0};
  switch (kind) {
  case PING:
    return kad_node_ping(node, &hostile.address, note_end, &run, NULL);
  case CALL:
    return kad_node_call(node, &hostile, kad_slice_of("hello"), none, note_end,
                         &run, NULL);
  case FIND_NODE:
    return kad_node_find_node(node, key, NULL, note_end, &run, NULL);
  case GET_PEERS:
    return kad_node_get_peers(node, key, &scrape, note_end, &run, NULL);
  case GET_VALUE:
    return kad_node_get(node, key, kad_slice_of("value"), NULL, note_end, &run,
                        NULL);
  case GET_IMMUTABLE:
  case GET_MUTABLE: {
    const struct kad_record *item = &items[kind - GET_IMMUTABLE];
    return kad_node_get(node, &item->key, item->type, NULL, note_end, &run,
                        NULL);
  }
  case PUT_VALUE:
    return kad_node_put(node, &values[0], NULL, note_end, &run, NULL);
  case PUT_IMMUTABLE:
    return kad_node_put(node, &items[0], NULL, note_end, &run, NULL);
  case ANNOUNCE:
    return kad_node_announce(node, key, 7000, NULL, note_end, &run, NULL);
  case SAMPLE:
    return kad_node_sample(node, &hostile, key, note_end, &run, NULL);
  case KINDS:
    break;
  }
  return KAD_EINVAL;
}

/* -------------------------------------------------------------- replies -- */

static void add_lists(enum kind kind, struct kad_message *reply) {
  static const uint8_t filter[KAD_FILTER_SIZE] = {0x0f, 0x01};
  static const uint8_t samples[SAMPLES * 20] = {1, 2, 3};
  reply->has_nodes = true;
  reply->has_nodes6 = true;
  reply->contact_count = 2;
  reply->contacts[0] = kad_lone_contact(500);
  reply->contacts[1] = kad_lone_contact_v6(501);
  reply->token = kad_slice_of("thetoken");
  switch (kind) {
  case GET_PEERS:
    reply->peer_count = 2;
    reply->peers[0] = reply->contacts[0].address;
    reply->peers[1] = reply->contacts[1].address;
    reply->seed_filter = (struct kad_slice){filter, sizeof filter};
    reply->peer_filter = reply->seed_filter;
    return;
  case GET_VALUE:
    reply->record_count = 2;
    memcpy(reply->records, values, sizeof values);
    reply->has_total = true;
    reply->total = 3;
    reply->has_next = true;
    reply->next = 2;
    return;
  case GET_IMMUTABLE:
  case GET_MUTABLE:
    reply->record_count = 1;
    reply->has_item = true;
    reply->records[0] = items[kind - GET_IMMUTABLE];
    reply->has_seq = kind == GET_MUTABLE;
    reply->seq = reply->records[0].seq;
    return;
  case SAMPLE:
    reply->has_samples = true;
    reply->samples = (struct kad_slice){samples, sizeof samples};
    reply->has_num = true;
    reply->num = 9;
    reply->has_interval = true;
    reply->interval = 60;
    return;
  default:
    return;
  }
}

/* Makes the reply that a contact in good faith sends, or an error. */
static void make_reply(enum kind kind, bool is_error,
                       const struct kad_message *query,
                       struct kad_message *reply) {
  kad_message_init(reply, is_error ? KAD_MESSAGE_ERROR : KAD_MESSAGE_REPLY);
  reply->transaction = query->transaction;
  reply->version = kad_slice_of("XX01");
  reply->observed = kad_lone_contact(77).address;
  reply->has_id = true;
  reply->id = hostile.id;
  if (is_error) {
    reply->code = KAD_CODE_FAILED;
    reply->text = kad_slice_of("sorry");
    reply->token = kad_slice_of("thetoken");
    return;
  }
  add_lists(kind, reply);
  if (kind == PUT_VALUE) {
    reply->has_stored = true;
    reply->stored = 1;
    reply->error_count = 1;
    reply->errors[0] = (struct kad_record_error){
        .index = 1, .code = KAD_CODE_REFUSED, .reason = kad_slice_of("no")};
  } else if (kind == CALL) {
    reply->reply = kad_slice_of("d2:hi3:you4:listl1:ai2eee");
  }
}

/* Returns the datagram of a reply or error, valid until the next call. */
static struct kad_slice encode_reply(enum kind kind, bool is_error,
                                     const struct kad_message *query) {
  static uint8_t bytes[DATAGRAM_MAX];
  struct kad_writer out = {.data = bytes, .cap = sizeof bytes};
  struct kad_message reply;
  make_reply(kind, is_error, query, &reply);
  assert_ok(kad_krpc_encode(NULL, &reply, 20, &out));
  return (struct kad_slice){bytes, out.len};
}

/* Answers `query` in good faith: with a token, so that stores follow. */
static void answer_well(const struct kad_contact *from,
                        const struct kad_message *query) {
  uint8_t bytes[DATAGRAM_MAX];
  struct kad_writer out = {.data = bytes, .cap = sizeof bytes};
  struct kad_message reply;
  kad_message_init(&reply, KAD_MESSAGE_REPLY);
  reply.transaction = query->transaction;
  reply.has_id = true;
  reply.id = from->id;
  reply.token = kad_slice_of("thetoken");
  assert_ok(kad_krpc_encode(NULL, &reply, 20, &out));
  kad_lone_receive(&lone_node, from, (struct kad_slice){bytes, out.len});
}

/* What answers the query of the operation at the hostile contact. */
typedef void meet_fn(const struct kad_message *query, const void *data);

static void answer(const struct kad_lone_datagram *datagram,
                   const struct kad_message *query, meet_fn *meet,
                   const void *data) {
  if (kad_address_equal(&datagram->to, &hostile.address)) {
    if (!run.is_met && query->method == method_of[run.kind]) {
      run.is_met = true;
      meet(query, data);
    } else {
      answer_well(&hostile, query);
    }
    return;
  }
  for (size_t i = 0; i < HONEST; i++) {
    if (kad_address_equal(&datagram->to, &honest[i].address)) {
      answer_well(&honest[i], query);
    }
  }
}

static void answer_all(meet_fn *meet, const void *data) {
  while (lone_node.answered < lone_node.sent) {
    struct kad_message query;
    const size_t back = lone_node.sent - 1 - lone_node.answered++;
    const struct kad_lone_datagram datagram =
        *kad_lone_sent(&lone_node, back, &query);
    if (query.kind == KAD_MESSAGE_QUERY) {
      answer(&datagram, &query, meet, data);
    }
  }
}

/* Runs an operation to its end. Returns how it ends. */
static int operate(enum kind kind, meet_fn *meet, const void *data) {
  if (!kad_lone_knows(&lone_node, &hostile)) {
    kad_lone_add_contact(&lone_node, &hostile);
    lone_node.answered = lone_node.sent;
  }
  run = (struct run){.kind = kind};
  assert_ok(start(kind));
  for (unsigned i = 0; i < STEPS_MAX && run.ended == 0; i++) {
    answer_all(meet, data);
    kad_lone_run(&lone_node, STEP_MS);
  }
  assert_int_equal(run.ended, 1);
  return run.error;
}

/* All contacts are at addresses that have answered. */
static void contacts_have_answered(void) {
  static struct kad_contact_info known[CONTACTS_MAX];
  const size_t count = kad_node_contacts(lone_node.node, known, CONTACTS_MAX);
  assert_in_range(count, HONEST, HONEST + 1);
  for (size_t i = 0; i < count; i++) {
    bool has_answered =
        kad_address_equal(&known[i].contact.address, &hostile.address);
    for (size_t j = 0; j < HONEST; j++) {
      has_answered =
          has_answered ||
          kad_address_equal(&known[i].contact.address, &honest[j].address);
    }
    assert_true(has_answered);
  }
}

/* ---------------------------------------------------------------- tests -- */

static void send_right(const struct kad_message *query, const void *data) {
  (void)data;
  kad_lone_receive(&lone_node, &hostile, encode_reply(run.kind, false, query));
}

static void every_reply_is_understood_in_its_right_form(void **state) {
  (void)state;
  for (enum kind kind = PING; kind < KINDS; kind++) {
    open_node();
    assert_int_equal(operate(kind, send_right, NULL), 0);
    assert_true(run.is_met);
    kad_lone_close(&lone_node);
  }
}

/* A reply that is cut is none: that which comes after it counts. */
static void send_cut_and_right(const struct kad_message *query,
                               const void *data) {
  (void)data;
  for (unsigned is_error = 0; is_error < 2; is_error++) {
    const struct kad_slice reply = encode_reply(run.kind, is_error == 1, query);
    for (size_t len = 0; len < reply.len; len++) {
      kad_lone_receive(&lone_node, &hostile,
                       (struct kad_slice){reply.data, len});
    }
  }
  assert_int_equal(run.ended, 0);
  send_right(query, NULL);
}

static void replies_cut_anywhere_are_ignored(void **state) {
  (void)state;
  for (enum kind kind = PING; kind < KINDS; kind++) {
    open_node();
    assert_int_equal(operate(kind, send_cut_and_right, NULL), 0);
    assert_true(run.is_met);
    kad_lone_close(&lone_node);
  }
}

/* A variant of a reply. */
struct variant {
  size_t place;
  size_t form;
  bool is_error;
  bool *has_place;
};

static void send_variant(const struct kad_message *query, const void *data) {
  static uint8_t wrong[DATAGRAM_MAX];
  const struct variant *variant = data;
  struct kad_writer out = {.data = wrong, .cap = sizeof wrong};
  const struct kad_slice reply =
      encode_reply(run.kind, variant->is_error, query);
  *variant->has_place = variant->place < kad_variant_places(reply);
  if (*variant->has_place &&
      kad_variant_write(reply, variant->place, variant->form, &out)) {
    kad_lone_receive(&lone_node, &hostile, (struct kad_slice){wrong, out.len});
  }
}

/* Answers with each form of the value at `place`. Returns false if there is no
 * such place. */
static bool answer_wrongly(enum kind kind, bool is_error, size_t place) {
  bool has_place = true;
  open_node();
  for (size_t form = 0; form < kad_variant_forms() && has_place; form++) {
    const struct variant variant = {place, form, is_error, &has_place};
    (void)operate(kind, send_variant, &variant);
    if (!run.is_met) { /* a contact that has failed often is not asked */
      kad_lone_close(&lone_node);
      open_node();
      (void)operate(kind, send_variant, &variant);
    }
    assert_true(run.is_met);
    contacts_have_answered();
  }
  kad_lone_run(&lone_node, 60000);
  assert_int_equal(kad_lone_stats(&lone_node).operations, 0);
  kad_lone_close(&lone_node);
  return has_place;
}

static void operations_end_whatever_form_replies_have(void **state) {
  (void)state;
  for (enum kind kind = PING; kind < KINDS; kind++) {
    size_t place = 0;
    while (answer_wrongly(kind, false, place)) {
      place++;
    }
    assert_true(place > 8);
  }
}

static void operations_end_whatever_form_errors_have(void **state) {
  (void)state;
  for (enum kind kind = PING; kind < KINDS; kind++) {
    size_t place = 0;
    while (answer_wrongly(kind, true, place)) {
      place++;
    }
    assert_int_equal(place, 8);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_reply_is_understood_in_its_right_form),
      cmocka_unit_test(replies_cut_anywhere_are_ignored),
      cmocka_unit_test(operations_end_whatever_form_replies_have),
      cmocka_unit_test(operations_end_whatever_form_errors_have),
  };
  return cmocka_run_group_tests_name("hostile_reply", tests, make_records,
                                     NULL);
}
