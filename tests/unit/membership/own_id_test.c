/* BEP 42 "Bootstrapping": the vote on our address, and the id that fits it.
 * Tests core/membership/own_id.c, core/membership/address_vote.c. */
#include "engine/node.h"
#include "lone_node.h"
#include "unit.h"

#include <string.h>

enum {
  MINUTE_MS = 60000,
  HOUR_MS = 60 * MINUTE_MS,
  TRIALS = 2000,
  LIE = 66, /* first byte of a false address */
  TRUTH = 77
};

static struct kad_lone lone;

/* Returns the address FIRST.1.2.3 with a port of its own each time: ports do
 * not matter. */
static struct kad_address seen_at(uint8_t first) {
  static uint16_t port = 1000;
  return (struct kad_address){
      .ip = {first, 1, 2, 3}, .port = ++port, .family = 4};
}

/* Lets `voter` answer a ping of the node, and say that it sees us at `seen`. */
static void vote(const struct kad_contact *voter,
                 const struct kad_address *seen) {
  struct kad_message query;
  struct kad_message reply;
  uint8_t bytes[KAD_LONE_SIZE];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  assert_ok(kad_node_ping(lone.node, &voter->address, NULL, NULL, NULL));
  kad_lone_run(&lone, 0);
  assert_true(kad_lone_find_query(&lone, &voter->address, &query));
  kad_message_init(&reply, KAD_MESSAGE_REPLY);
  reply.transaction = query.transaction;
  reply.has_id = true;
  reply.id = voter->id;
  reply.observed = *seen;
  assert_ok(kad_krpc_encode(NULL, &reply, lone.id_size, &writer));
  kad_lone_receive(&lone, voter, (struct kad_slice){bytes, writer.len});
  kad_lone_run(&lone, 0);
}

/* Lets the contacts `from` … `to` - 1 vote for FIRST.1.2.3. */
static void votes(unsigned from, unsigned to, uint8_t first) {
  for (unsigned i = from; i < to; i++) {
    const struct kad_contact voter = kad_lone_contact(i);
    const struct kad_address seen = seen_at(first);
    vote(&voter, &seen);
  }
}

static struct kad_secure_id_info info(void) {
  struct kad_secure_id_info found;
  assert_true(kad_node_secure_id(lone.node, &found));
  return found;
}

static bool fits(uint8_t first) {
  const struct kad_address address = seen_at(first);
  return kad_secure_id_check(kad_node_id(lone.node), 160, &address);
}

static void open_node(void) {
  kad_lone_open(&lone, NULL);
}

static void close_node(void) {
  kad_lone_close(&lone);
}

static void bep42_bootstrapping_moves_when_the_vote_is_settled(void **state) {
  (void)state;
  open_node();
  const struct kad_id first = *kad_node_id(lone.node);
  votes(1, KAD_VOTE_MARGIN, TRUTH);
  assert_true(kad_id_equal(kad_node_id(lone.node), &first));
  assert_int_equal(info().address.family, 0);
  votes(KAD_VOTE_MARGIN, KAD_VOTE_MARGIN + 1, TRUTH);
  assert_true(fits(TRUTH));
  assert_false(kad_id_equal(kad_node_id(lone.node), &first));
  const struct kad_secure_id_info known = info();
  assert_true(known.fits && known.may_move);
  assert_int_equal(known.moves, 1);
  assert_int_equal(known.address.ip[0], TRUTH);
  assert_int_equal(known.address.port, 0);
  assert_true(kad_id_equal(&known.previous, &first));
  assert_int_equal(kad_lone_stats(&lone).id_moves, 1);
  close_node();
}

static void bep42_bootstrapping_one_vote_a_subnet(void **state) {
  (void)state;
  open_node();
  for (unsigned i = 0; i < 200; i++) { /* all of one /24 */
    struct kad_contact liar = kad_lone_contact(i + 1);
    const struct kad_address lie = seen_at(LIE);
    memcpy(liar.address.ip, (uint8_t[]){90, 1, 1, (uint8_t)(i + 1)}, 4);
    vote(&liar, &lie);
    kad_lone_run(&lone, MINUTE_MS);
  }
  assert_int_equal(info().moves, 0);
  votes(301, 301 + KAD_VOTE_MARGIN, TRUTH); /* one lie to outvote */
  assert_int_equal(info().moves, 0);
  votes(350, 351, TRUTH);
  assert_true(fits(TRUTH));
  close_node();
}

static void bep42_bootstrapping_one_vote_a_subnet_of_ip6(void **state) {
  (void)state;
  open_node();
  for (unsigned i = 0; i < 100; i++) { /* all of one /64 */
    struct kad_contact liar = kad_lone_contact_v6(1);
    const struct kad_address lie = {.ip = {0x2b, 1}, .port = 1, .family = 6};
    liar.id = kad_lone_contact(i + 1).id;
    liar.address.ip[14] = (uint8_t)(i + 1);
    vote(&liar, &lie);
    kad_lone_run(&lone, MINUTE_MS);
  }
  assert_int_equal(info().moves, 0);
  close_node();
}

/* Only a reply to a query of our own votes: `ip` in queries, in errors and in
 * replies to no query counts nothing. */
static void bep42_bootstrapping_ignores_unsolicited_ip(void **state) {
  static const char query[] = "d1:ad2:id20:%se2:ip6:B\1\2\3\4\5"
                              "1:q4:ping1:t2:qq1:y1:qe";
  static const char reply[] = "d2:ip6:B\1\2\3\4\5"
                              "1:rd2:id20:%se1:t4:abcd1:y1:re";
  (void)state;
  open_node();
  const struct kad_id first = *kad_node_id(lone.node);
  for (unsigned i = 1; i < 100; i++) {
    const struct kad_contact from = kad_lone_contact(i);
    for (int kind = 0; kind < 2; kind++) {
      const char *text = kind == 0 ? query : reply;
      const size_t len = (kind == 0 ? sizeof query : sizeof reply) - 1;
      const size_t at = (size_t)(strchr(text, '%') - text);
      uint8_t bytes[128];
      memcpy(bytes, text, at);
      memcpy(bytes + at, from.id.bytes, 20);
      memcpy(bytes + at + 20, text + at + 2, len - at - 2);
      kad_lone_receive(&lone, &from, (struct kad_slice){bytes, len + 18});
    }
    struct kad_message asked;
    struct kad_message error;
    uint8_t bytes[KAD_LONE_SIZE];
    struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
    assert_ok(kad_node_ping(lone.node, &from.address, NULL, NULL, NULL));
    kad_lone_run(&lone, 0);
    assert_true(kad_lone_find_query(&lone, &from.address, &asked));
    kad_message_init(&error, KAD_MESSAGE_ERROR);
    error.transaction = asked.transaction;
    error.code = KAD_CODE_REFUSED;
    error.observed = seen_at(LIE);
    assert_ok(kad_krpc_encode(NULL, &error, lone.id_size, &writer));
    kad_lone_receive(&lone, &from, (struct kad_slice){bytes, writer.len});
    kad_lone_run(&lone, MINUTE_MS);
  }
  assert_true(kad_lone_stats(&lone).errors >= 99);
  assert_true(kad_lone_stats(&lone).dropped_unmatched >= 99);
  assert_true(kad_id_equal(kad_node_id(lone.node), &first));
  assert_int_equal(info().address.family, 0);
  close_node();
}

static uint32_t draw(void) {
  static uint32_t state = 1;
  state = state * 1664525U + 1013904223U;
  return state >> 8;
}

/* Runs a vote of strangers to its end: `liars` in `of` report one false
 * address. Returns true if the false one wins. */
static bool lie_wins(uint32_t liars, uint32_t of) {
  struct kad_address_vote counted = {.count = 0};
  bool won = false;
  for (unsigned i = 0; counted.winner.family == 0; i++) {
    const struct kad_contact voter = kad_lone_contact(i);
    const struct kad_address seen = seen_at(draw() % of < liars ? LIE : TRUTH);
    won = kad_address_vote_add(lone.node, &counted, &voter.address, &seen) &&
          seen.ip[0] == LIE;
    assert_true(i < 10000);
  }
  kad_address_vote_deinit(lone.node, &counted);
  return won;
}

static unsigned count_lies(uint32_t liars, uint32_t of) {
  unsigned lies = 0;
  for (int i = 0; i < TRIALS; i++) {
    lies += lie_wins(liars, of);
  }
  return lies;
}

/* What a minority can do: 1 / (1 + ((1 - p) / p)^8). A third of colluding
 * subnets wins once in 257 votes: 8 of 2,000, and hardly 20. A fifth wins once
 * in 65,537. */
static void bep42_bootstrapping_bounds_what_a_minority_does(void **state) {
  (void)state;
  open_node();
  assert_in_range(count_lies(1, 3), 1, 20);
  assert_int_equal(count_lies(1, 5), 0);
  close_node();
}

/* Once the window is full, a third of liars changes nothing for long. */
static void bep42_bootstrapping_settled_votes_are_firm(void **state) {
  struct kad_address_vote counted = {.count = 0};
  (void)state;
  open_node();
  for (unsigned i = 0; i < 20000; i++) {
    const struct kad_contact voter = kad_lone_contact(i % 60000);
    const bool lies = i > KAD_VOTE_WINDOW && draw() % 4 == 0;
    const struct kad_address seen = seen_at(lies ? LIE : TRUTH);
    (void)kad_address_vote_add(lone.node, &counted, &voter.address, &seen);
    assert_true(i < 8 || counted.winner.ip[0] == TRUTH);
  }
  kad_address_vote_deinit(lone.node, &counted);
  close_node();
}

static void bep42_bootstrapping_liars_who_disagree_win_nothing(void **state) {
  (void)state;
  open_node();
  for (unsigned i = 1; i < 200; i++) {
    votes(i, i + 1, i % 2 == 0 ? TRUTH : (uint8_t)(100 + i % 50));
    kad_lone_run(&lone, 1000);
  }
  assert_int_equal(info().moves, 0);
  close_node();
}

static void few_contacts_suffice_if_they_agree_for_long(void **state) {
  (void)state;
  open_node();
  votes(1, 1 + KAD_VOTE_FEW, TRUTH);
  kad_lone_run(&lone, KAD_VOTE_FEW_MS - MINUTE_MS);
  votes(1, 1 + KAD_VOTE_FEW, TRUTH);
  assert_int_equal(info().moves, 0);
  kad_lone_run(&lone, 2 * MINUTE_MS);
  votes(1, 2, TRUTH);
  assert_int_equal(info().moves, 1);
  assert_true(fits(TRUTH));
  close_node();
}

static void few_contacts_that_disagree_do_not_suffice(void **state) {
  (void)state;
  open_node();
  for (unsigned i = 0; i < 100; i++) {
    votes(1, 1 + KAD_VOTE_FEW, TRUTH);
    votes(9, 10, LIE);
    kad_lone_run(&lone, KAD_VOTE_FEW_MS / 10);
  }
  assert_int_equal(info().moves, 0);
  close_node();
}

/* An id that its user gave is kept, unless that is allowed. */
static void a_given_id_is_kept_unless_allowed(void **state) {
  struct kad_config config;
  (void)state;
  kad_config_default(&config);
  config.has_id = true;
  config.id = kad_lone_contact(5).id;
  kad_lone_open(&lone, &config);
  votes(10, 60, TRUTH);
  assert_true(kad_id_equal(kad_node_id(lone.node), &config.id));
  const struct kad_secure_id_info kept = info();
  assert_false(kept.may_move || kept.fits);
  assert_int_equal(kept.address.ip[0], TRUTH);
  close_node();

  config.move_id = true;
  kad_lone_open(&lone, &config);
  votes(10, 60, TRUTH);
  assert_true(fits(TRUTH));
  assert_int_equal(info().moves, 1);
  close_node();
}

static void off_ignores_the_address(void **state) {
  struct kad_config config;
  (void)state;
  kad_config_default(&config);
  config.secure_ids = KAD_SECURE_IDS_OFF;
  kad_lone_open(&lone, &config);
  votes(1, 60, TRUTH);
  assert_int_equal(info().moves, 0);
  assert_false(info().may_move);
  close_node();
}

/* Of an address that changes all the time, the id follows once an hour. */
static void moves_at_most_once_an_hour(void **state) {
  (void)state;
  open_node();
  votes(1, 40, TRUTH);
  assert_int_equal(info().moves, 1);
  for (unsigned i = 1; i <= 10; i++) {
    votes(1, 40, (uint8_t)(150 + i));
    assert_int_equal(info().address.ip[0], 150 + i);
    kad_lone_run(&lone, 5 * MINUTE_MS);
  }
  assert_int_equal(info().moves, 1);
  kad_lone_run(&lone, 15 * MINUTE_MS);
  assert_int_equal(info().moves, 2);
  assert_true(fits(160));
  close_node();
}

/* An address that changes back before the move is due causes none. */
static void an_address_that_returns_causes_no_move(void **state) {
  (void)state;
  open_node();
  votes(1, 40, TRUTH);
  const struct kad_id bound = *kad_node_id(lone.node);
  kad_lone_run(&lone, MINUTE_MS);
  votes(1, 40, LIE);
  kad_lone_run(&lone, MINUTE_MS);
  votes(1, 40, TRUTH);
  kad_lone_run(&lone, 2 * HOUR_MS);
  assert_true(kad_id_equal(kad_node_id(lone.node), &bound));
  assert_int_equal(info().moves, 1);
  close_node();
}

/* BEP 42 "Enforcement": local addresses are exempt, so they bind no id. */
static void local_addresses_do_not_count(void **state) {
  struct kad_config config;
  (void)state;
  kad_config_default(&config);
  config.allow_local = true;
  kad_lone_open(&lone, &config);
  votes(1, 60, 10);
  votes(1, 60, 127);
  assert_int_equal(info().moves, 0);
  assert_int_equal(info().address.family, 0);
  close_node();
}

/* Returns contact `number` with an id that fits its address. */
static struct kad_contact secure_contact(unsigned number) {
  struct kad_contact contact = kad_lone_contact(number);
  const struct kad_id random = contact.id;
  assert_ok(
      kad_secure_id_make(&contact.address, 160, random.bytes, &contact.id));
  return contact;
}

static void bep42_enforcement_misfits_do_not_vote(void **state) {
  struct kad_config config;
  (void)state;
  kad_config_default(&config);
  config.secure_ids = KAD_SECURE_IDS_ENFORCE;
  kad_lone_open(&lone, &config);
  votes(1, 60, LIE);
  assert_int_equal(info().moves, 0);
  assert_true(kad_lone_stats(&lone).insecure >= 59);
  assert_int_equal(kad_lone_stats(&lone).contacts, 0);
  for (unsigned i = 60; i < 60 + KAD_VOTE_MARGIN; i++) {
    const struct kad_contact voter = secure_contact(i);
    const struct kad_address seen = seen_at(TRUTH);
    vote(&voter, &seen);
  }
  assert_true(fits(TRUTH));
  assert_int_equal(kad_lone_stats(&lone).contacts, KAD_VOTE_MARGIN);
  close_node();
}

/* An id fits one address. That of IPv6 counts while no contact has IPv4. */
static void ip6_counts_while_there_are_no_contacts_over_ip4(void **state) {
  const struct kad_address seen = {
      .ip = {0x2c, 1, 1, 1, 1, 1, 1, 1, 9}, .port = 1, .family = 6};
  (void)state;
  open_node();
  for (unsigned i = 1; i < 20; i++) {
    const struct kad_contact voter = kad_lone_contact_v6(i);
    vote(&voter, &seen);
  }
  assert_true(kad_secure_id_check(kad_node_id(lone.node), 160, &seen));
  kad_lone_run(&lone, 2 * HOUR_MS);
  votes(100, 120, TRUTH);
  assert_true(fits(TRUTH));
  assert_int_equal(info().moves, 2);
  close_node();

  open_node();
  const struct kad_contact contact = kad_lone_contact(100);
  kad_lone_add_contact(&lone, &contact);
  for (unsigned i = 1; i < 20; i++) {
    const struct kad_contact voter = kad_lone_contact_v6(i);
    vote(&voter, &seen);
  }
  assert_int_equal(info().moves, 0);
  close_node();
}

/* A move keeps the contacts, and what runs. */
static void contacts_and_operations_survive_a_move(void **state) {
  enum {
    CONTACTS = 30
  };
  struct kad_contact contacts[CONTACTS];
  (void)state;
  open_node();
  for (unsigned i = 0; i < CONTACTS; i++) {
    contacts[i] = kad_lone_contact(i + 1);
    kad_lone_add_contact(&lone, &contacts[i]);
  }
  const uint64_t before = kad_lone_stats(&lone).contacts;
  assert_ok(
      kad_node_find_node(lone.node, &kad_lone_target, NULL, NULL, NULL, NULL));
  kad_lone_run(&lone, 0);
  assert_int_equal(kad_lone_stats(&lone).operations, 1);
  votes(101, 101 + KAD_VOTE_MARGIN, TRUTH);
  assert_true(fits(TRUTH));
  assert_int_equal(kad_lone_stats(&lone).operations, 1);
  assert_true(kad_lone_stats(&lone).contacts >= before);
  lone.answered = lone.sent > KAD_LONE_KEPT ? lone.sent - KAD_LONE_KEPT : 0;
  kad_lone_run_answering(&lone, MINUTE_MS, contacts, CONTACTS);
  assert_int_equal(kad_lone_stats(&lone).operations, 0);
  assert_int_equal(kad_lone_stats(&lone).lookups_failed, 0);
  close_node();
}

/* Others still name the id before a move: the node does not ask itself. */
static void the_former_id_is_no_contact(void **state) {
  (void)state;
  open_node();
  const struct kad_contact former = {.id = *kad_node_id(lone.node),
                                     .address = kad_lone_contact(7).address};
  votes(101, 101 + KAD_VOTE_MARGIN, TRUTH);
  kad_lone_query(&lone, &former, KAD_METHOD_PING);
  vote(&former, &(struct kad_address){.family = 0});
  assert_false(kad_lone_knows(&lone, &former));
  close_node();
}

/* Without memory the node keeps its id, and moves when there is some. */
static void a_move_without_memory_is_repeated(void **state) {
  unsigned failed = 0;
  (void)state;
  for (size_t n = 0;; n++) {
    open_node();
    for (unsigned i = 0; i < 30; i++) {
      const struct kad_contact contact = kad_lone_contact(i + 1);
      kad_lone_add_contact(&lone, &contact);
    }
    votes(101, 100 + KAD_VOTE_MARGIN, TRUTH);
    const struct kad_id before = *kad_node_id(lone.node);
    const uint64_t contacts = kad_lone_stats(&lone).contacts;
    const struct kad_contact last = kad_lone_contact(200);
    const struct kad_address seen = seen_at(TRUTH);
    /* The last vote, counted without its ping, which needs memory too. */
    kad_counting_fail_at(&lone.counting, n);
    kad_own_id_vote(lone.node, &last, &seen);
    kad_node_tick(lone.node);
    const bool has_failed = lone.counting.has_failed;
    kad_counting_fail_at(&lone.counting, SIZE_MAX);
    if (info().moves == 0) {
      failed++;
      assert_true(kad_id_equal(kad_node_id(lone.node), &before));
      assert_true(kad_lone_stats(&lone).contacts == contacts);
      kad_lone_run(&lone, 2 * KAD_OWN_ID_RETRY_MS);
    }
    assert_true(fits(TRUTH));
    close_node();
    if (!has_failed) {
      break;
    }
  }
  assert_true(failed > 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bep42_bootstrapping_moves_when_the_vote_is_settled),
      cmocka_unit_test(bep42_bootstrapping_one_vote_a_subnet),
      cmocka_unit_test(bep42_bootstrapping_one_vote_a_subnet_of_ip6),
      cmocka_unit_test(bep42_bootstrapping_ignores_unsolicited_ip),
      cmocka_unit_test(bep42_bootstrapping_bounds_what_a_minority_does),
      cmocka_unit_test(bep42_bootstrapping_settled_votes_are_firm),
      cmocka_unit_test(bep42_bootstrapping_liars_who_disagree_win_nothing),
      cmocka_unit_test(few_contacts_suffice_if_they_agree_for_long),
      cmocka_unit_test(few_contacts_that_disagree_do_not_suffice),
      cmocka_unit_test(a_given_id_is_kept_unless_allowed),
      cmocka_unit_test(off_ignores_the_address),
      cmocka_unit_test(moves_at_most_once_an_hour),
      cmocka_unit_test(an_address_that_returns_causes_no_move),
      cmocka_unit_test(local_addresses_do_not_count),
      cmocka_unit_test(bep42_enforcement_misfits_do_not_vote),
      cmocka_unit_test(ip6_counts_while_there_are_no_contacts_over_ip4),
      cmocka_unit_test(contacts_and_operations_survive_a_move),
      cmocka_unit_test(the_former_id_is_no_contact),
      cmocka_unit_test(a_move_without_memory_is_repeated),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
