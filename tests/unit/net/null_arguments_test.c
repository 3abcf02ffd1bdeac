/* What every public function does when it is given NULL where its description
 * does not allow it: nothing, and it returns KAD_EINVAL, or nothing that could
 * be mistaken for a result. tests/check/null_arguments.lua compares this file
 * with the headers.
 *
 * Tests core/net/network.c, core/node/node.c, core/operations. */
#include "kadenza_backend.h"
#include "kadenza_codec.h"
#include "kadenza_durable.h"
#include "kadenza_held.h"
#include "kadenza_histogram.h"
#include "kadenza_inherited.h"
#include "kadenza_names.h"
#include "kadenza_network_key.h"
#include "kadenza_option.h"
#include "kadenza_sim.h"
#include "kadenza_socket.h"
#include "kadenza_store.h"
#include "kadenza_talkers.h"
#include "kadenza_tally.h"
#include "kadenza_tap.h"
#include "kadenza_watch.h"
#include "lone_node.h"
#include "unit.h"

static struct kad_network *network;
static struct kad_node *node;

static const struct kad_address address = {
    .ip = {20, 0, 0, 1}, .port = 6881, .family = 4};
static const struct kad_id id = {{1}};
static const struct kad_network_keys keys = {.count = 1};
static const struct kad_slice text = {(const uint8_t *)"value", 5};

static int begin(void **state) {
  struct kad_sim_config sim;
  struct kad_config config;
  (void)state;
  kad_sim_config_default(&sim);
  kad_config_default(&config);
  assert_ok(kad_network_sim_new(&sim, kad_allocator_default(), &network));
  assert_ok(kad_network_open_node(network, &config, &address, 1, &node));
  return 0;
}

static int end(void **state) {
  (void)state;
  kad_network_free(network);
  return 0;
}

static void done(void *data, const struct kad_result *result) {
  (void)data;
  (void)result;
}

static void fire(void *data) {
  (void)data;
}

static void ready(void *data, unsigned events) {
  (void)data;
  (void)events;
}

static void resolved(void *data, int status,
                     const struct kad_address *addresses, size_t count) {
  (void)data;
  (void)status;
  (void)addresses;
  (void)count;
}

#define REFUSES(call) assert_int_equal((call), KAD_EINVAL)

static void values_and_texts(void **state) {
  uint8_t bytes[64] = {0};
  uint8_t filter[KAD_FILTER_SIZE] = {0};
  char hex[65];
  unsigned bits = 0;
  struct kad_id made;
  struct kad_address parsed;
  (void)state;
  assert_int_equal(kad_slice_of(NULL).len, 0);
  assert_false(kad_id_equal(NULL, &id) || kad_id_equal(&id, NULL));
  assert_int_equal(kad_id_compare(NULL, &id, &id), 0);
  assert_int_equal(kad_id_compare(&id, NULL, &id), 0);
  assert_int_equal(kad_id_compare(&id, &id, NULL), 0);
  assert_int_equal(kad_id_prefix(NULL, &id), 0);
  assert_int_equal(kad_id_prefix(&id, NULL), 0);
  REFUSES(kad_id_parse(text, NULL, &bits));
  REFUSES(kad_id_parse(text, &made, NULL));
  kad_id_format(NULL, 160, hex);
  kad_id_format(&id, 160, NULL);
  kad_id_hash(text, 160, NULL);
  assert_false(kad_address_equal(NULL, &address));
  assert_false(kad_address_equal(&address, NULL));
  REFUSES(kad_address_parse(text, NULL));
  assert_string_equal(kad_address_format(NULL, hex), "");
  assert_string_equal(kad_address_format(&address, NULL), "");
  assert_true(kad_address_is_martian(NULL, true));
  kad_keypair(NULL, bytes, bytes);
  kad_keypair(bytes, NULL, bytes);
  kad_keypair(bytes, bytes, NULL);
  kad_sign(text, NULL, bytes);
  kad_sign(text, bytes, NULL);
  assert_false(kad_verify(text, NULL, bytes) || kad_verify(text, bytes, NULL));
  const struct kad_record record = {.type = text};
  REFUSES(kad_record_sign(NULL, 160, bytes, bytes));
  REFUSES(kad_record_sign(&record, 160, NULL, bytes));
  REFUSES(kad_record_sign(&record, 160, bytes, NULL));
  REFUSES(kad_secure_id_make(NULL, 160, bytes, &made));
  REFUSES(kad_secure_id_make(&address, 160, NULL, &made));
  REFUSES(kad_secure_id_make(&address, 160, bytes, NULL));
  struct kad_secure_id_info info;
  struct kad_reachability_info reachability;
  assert_false(kad_node_secure_id(NULL, &info));
  assert_false(kad_node_secure_id(node, NULL));
  assert_false(kad_node_reachability(NULL, 4, &reachability));
  assert_false(kad_node_reachability(node, 4, NULL));
  assert_false(kad_node_reachability(node, 5, &reachability));
  assert_false(kad_secure_id_check(NULL, 160, &address));
  assert_false(kad_secure_id_check(&id, 160, NULL));
  kad_filter_add(NULL, &address);
  kad_filter_add(filter, NULL);
  kad_filter_merge(NULL, filter);
  kad_filter_merge(filter, NULL);
  assert_false(kad_filter_has(NULL, &address));
  assert_false(kad_filter_has(filter, NULL));
  assert_true(kad_filter_count(NULL) == 0);
  assert_true(kad_filter_count(filter) == 0);
  (void)parsed;
}

static void encodings(void **state) {
  struct kad_bencode value = {0};
  struct kad_slice rest = {(const uint8_t *)"i1e", 3};
  struct kad_slice key;
  uint8_t bytes[8];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  (void)state;
  REFUSES(kad_bencode_parse(rest, NULL));
  assert_false(kad_bencode_next(NULL, &value));
  assert_false(kad_bencode_next(&rest, NULL));
  assert_false(kad_bencode_next_pair(NULL, &key, &value));
  assert_false(kad_bencode_next_pair(&rest, NULL, &value));
  assert_false(kad_bencode_next_pair(&rest, &key, NULL));
  assert_false(kad_bencode_find(NULL, "a", &value));
  assert_false(kad_bencode_find(&value, NULL, &value));
  assert_false(kad_bencode_find(&value, "a", NULL));
  assert_int_equal(rest.len, 3);
  kad_write_integer(NULL, 1);
  kad_write_string(NULL, text);
  kad_write_key(NULL, "a");
  kad_write_key(&writer, NULL);
  kad_write_dict(NULL);
  kad_write_list(NULL);
  kad_write_close(NULL);
  kad_write_raw(NULL, text);
  assert_int_equal(writer.len, 0);
  kad_message_init(NULL, KAD_MESSAGE_QUERY);
}

static void configurations(void **state) {
  struct kad_config config;
  size_t count;
  const struct kad_option *options = kad_config_options(&count);
  (void)state;
  kad_config_default(&config);
  kad_config_default(NULL);
  assert_null(kad_config_options(NULL));
  assert_false(kad_config_is_live(NULL));
  assert_int_equal(kad_config_choice(NULL, 0).len, 0);
  assert_int_equal(kad_config_get(NULL, options), 0);
  assert_int_equal(kad_config_get(&config, NULL), 0);
  REFUSES(kad_config_set(NULL, options, 1));
  REFUSES(kad_config_set(&config, NULL, 1));
  REFUSES(kad_node_configure(NULL, &config));
  REFUSES(kad_node_configure(node, NULL));
}

static void nodes(void **state) {
  struct kad_lone lone;
  struct kad_config config;
  const struct kad_env env = kad_lone_env(&lone, 1);
  const struct kad_hook_result result = {.verdict = KAD_VERDICT_ACCEPT};
  struct kad_node *made;
  (void)state;
  kad_config_default(&config);
  REFUSES(kad_node_new(NULL, &env, &made));
  REFUSES(kad_node_new(&config, NULL, &made));
  REFUSES(kad_node_new(&config, &env, NULL));
  kad_node_free(NULL);
  kad_node_receive(NULL, &address, text);
  kad_node_receive(node, NULL, text);
  kad_node_tick(NULL);
  assert_true(kad_node_deadline(NULL) == KAD_TIME_NEVER);
  REFUSES(kad_node_set_policy(NULL, NULL));
  REFUSES(kad_node_complete_hook(NULL, 1, &result));
  REFUSES(kad_node_complete_hook(node, 1, NULL));
  assert_null(kad_node_id(NULL));
  assert_null(kad_node_config(NULL));
  REFUSES(kad_node_add_family(NULL, 4));
  kad_counting_deinit(&lone.counting);
}

static void operations(void **state) {
  const struct kad_contact to = {.id = id, .address = address};
  const struct kad_custom_query custom = {.method = text};
  const struct kad_record record = {.type = text};
  const struct kad_slice name = {NULL, 0};
  (void)state;
  REFUSES(kad_node_bootstrap(NULL, &address, 1, done, NULL, NULL));
  REFUSES(kad_node_bootstrap(node, NULL, 1, done, NULL, NULL));
  REFUSES(kad_node_ping(NULL, &address, done, NULL, NULL));
  REFUSES(kad_node_ping(node, NULL, done, NULL, NULL));
  REFUSES(kad_node_call(NULL, &to, text, name, done, NULL, NULL));
  REFUSES(kad_node_call(node, NULL, text, name, done, NULL, NULL));
  REFUSES(kad_node_sample(NULL, &to, &id, done, NULL, NULL));
  REFUSES(kad_node_sample(node, NULL, &id, done, NULL, NULL));
  REFUSES(kad_node_sample(node, &to, NULL, done, NULL, NULL));
  REFUSES(kad_node_neighbours(NULL, &to, &id, done, NULL, NULL));
  REFUSES(kad_node_neighbours(node, NULL, &id, done, NULL, NULL));
  REFUSES(kad_node_neighbours(node, &to, NULL, done, NULL, NULL));
  REFUSES(kad_node_query(NULL, &id, &custom, NULL, done, NULL, NULL));
  REFUSES(kad_node_query(node, NULL, &custom, NULL, done, NULL, NULL));
  REFUSES(kad_node_query(node, &id, NULL, NULL, done, NULL, NULL));
  REFUSES(kad_node_find_node(NULL, &id, NULL, done, NULL, NULL));
  REFUSES(kad_node_find_node(node, NULL, NULL, done, NULL, NULL));
  REFUSES(kad_node_get(NULL, &id, text, NULL, done, NULL, NULL));
  REFUSES(kad_node_get(node, NULL, text, NULL, done, NULL, NULL));
  REFUSES(kad_node_put(NULL, &record, NULL, done, NULL, NULL));
  REFUSES(kad_node_put(node, NULL, NULL, done, NULL, NULL));
  REFUSES(kad_node_get_peers(NULL, &id, NULL, done, NULL, NULL));
  REFUSES(kad_node_get_peers(node, NULL, NULL, done, NULL, NULL));
  REFUSES(kad_node_announce(NULL, &id, 1, NULL, done, NULL, NULL));
  REFUSES(kad_node_announce(node, NULL, 1, NULL, done, NULL, NULL));
  REFUSES(kad_node_leave(NULL, 1, done, NULL, NULL));
  REFUSES(kad_node_cancel(NULL, 1));
  REFUSES(kad_node_publish(NULL, &record, 1));
  REFUSES(kad_node_publish(node, NULL, 1));
  REFUSES(kad_node_unpublish(NULL, &id, text, NULL));
  REFUSES(kad_node_unpublish(node, NULL, text, NULL));
}

/* Without `done` an operation runs, and nothing is called. */
static void a_callback_that_may_be_missing_is_not_called(void **state) {
  (void)state;
  assert_ok(kad_node_ping(node, &address, NULL, NULL, NULL));
  assert_ok(kad_node_find_node(node, &id, NULL, NULL, NULL, NULL));
  kad_network_run(network, 10000);
}

static int keep(void *state, uint64_t number, const struct kad_record *record,
                const struct kad_record_meta *meta) {
  (void)state;
  (void)record;
  (void)meta;
  return number > 0 ? 0 : KAD_ESYSTEM;
}

static int find(void *state, uint64_t number, struct kad_record *record) {
  (void)state;
  (void)number;
  (void)record;
  return KAD_ENOTFOUND;
}

static int drop(void *state, uint64_t number) {
  (void)state;
  return number > 0 ? 0 : KAD_ESYSTEM;
}

static void backed_stores(void **state) {
  const struct kad_backend backend = {.put = keep, .get = find, .remove = drop};
  const uint8_t bytes[KAD_BACKED_SECRET_SIZE] = {0};
  const struct kad_allocator allocator = kad_allocator_default();
  const struct kad_record record = {.ttl = 0};
  const struct kad_record_meta meta = {.stored_at = 0};
  struct kad_store store = {.state = NULL};
  struct kad_store *made;
  (void)state;
  REFUSES(kad_backed_store_new(NULL, &allocator, bytes, &made));
  REFUSES(kad_backed_store_new(&backend, NULL, bytes, &made));
  REFUSES(kad_backed_store_new(&backend, &allocator, NULL, &made));
  REFUSES(kad_backed_store_new(&backend, &allocator, bytes, NULL));
  REFUSES(kad_backed_store_restore(NULL, 1, &record, &meta, 0));
  REFUSES(kad_backed_store_restore(&store, 1, NULL, &meta, 0));
  REFUSES(kad_backed_store_restore(&store, 1, &record, NULL, 0));
  kad_backed_store_sort(NULL);
  kad_backed_store_free(NULL);
}

static void figures_of_a_node(void **state) {
  (void)state;
  assert_int_equal(kad_node_tallies(NULL, NULL, 0), 0);
  assert_int_equal(kad_node_tallies(node, NULL, 1), 0);
  assert_int_equal(kad_node_histograms(NULL, NULL, 0), 0);
  assert_int_equal(kad_node_histograms(node, NULL, 1), 0);
}

static void sealed_overlays(void **state) {
  struct kad_seal_notice notice;
  uint64_t cursor = 0;
  (void)state;
  kad_network_key_fingerprint(keys.keys[0], NULL);
  char fingerprint[KAD_FINGERPRINT_SIZE] = "x";
  kad_network_key_fingerprint(NULL, fingerprint);
  assert_string_equal(fingerprint, "");
  assert_false(kad_node_is_sealed(NULL));
  assert_int_equal(kad_node_message_room(NULL), 0);
  assert_int_equal(kad_node_value_room(NULL), 0);
  assert_false(kad_node_next_seal_notice(NULL, &cursor, &notice));
  assert_false(kad_node_next_seal_notice(node, NULL, &notice));
  assert_false(kad_node_next_seal_notice(node, &cursor, NULL));
  REFUSES(kad_node_set_network_keys(NULL, &keys));
  REFUSES(kad_node_set_network_keys(node, NULL));
}

static void views_of_a_node(void **state) {
  struct kad_stats stats;
  struct kad_record record;
  struct kad_address observed;
  struct kad_name_info info;
  struct kad_type_count type_count;
  struct kad_held held;
  uint64_t cursor = 0;
  (void)state;
  assert_false(kad_node_next_publication(NULL, &cursor, &record));
  assert_false(kad_node_next_publication(node, NULL, &record));
  assert_false(kad_node_next_publication(node, &cursor, NULL));
  assert_int_equal(kad_node_held(NULL, &id, text, &record, 1), 0);
  assert_int_equal(kad_node_held(node, NULL, text, &record, 1), 0);
  assert_int_equal(kad_node_held(node, &id, text, NULL, 1), 0);
  kad_node_set_tap(NULL, NULL, NULL);
  kad_node_set_tap(node, NULL, NULL);
  assert_int_equal(kad_node_held_types(NULL, &type_count, 1), 0);
  assert_int_equal(kad_node_held_types(node, NULL, 1), 0);
  assert_false(kad_node_next_held(NULL, &cursor, &held));
  assert_false(kad_node_next_held(node, NULL, &held));
  assert_false(kad_node_next_held(node, &cursor, NULL));
  assert_int_equal(kad_node_contacts(NULL, NULL, 0), 0);
  assert_int_equal(kad_node_contacts(node, NULL, 1), 0);
  assert_int_equal(kad_node_state(NULL), KAD_STATE_NEW);
  assert_int_equal(kad_node_time(NULL), 0);
  assert_false(kad_node_observed(NULL, 4, &observed));
  assert_false(kad_node_observed(node, 4, NULL));
  kad_node_stats(NULL, &stats);
  kad_node_stats(node, NULL);
  REFUSES(kad_address_range_parse(text, NULL));
  REFUSES(kad_node_block(NULL, NULL, 0));
  REFUSES(kad_node_block(node, NULL, 1));
  REFUSES(kad_node_exempt(NULL, NULL, 0));
  REFUSES(kad_node_exempt(node, NULL, 1));
  REFUSES(kad_node_count_talkers(NULL, true));
  assert_int_equal(kad_node_talkers(NULL, NULL, 0, NULL), 0);
  assert_int_equal(kad_node_talkers(node, NULL, 1, NULL), 0);
  REFUSES(kad_node_check_address(NULL, &address));
  REFUSES(kad_node_check_address(node, NULL));
  REFUSES(kad_node_add_name(NULL, text));
  kad_node_name_resolved(NULL, 0, 0, &address, 1);
  kad_node_name_resolved(node, 0, 0, NULL, 1);
  assert_false(kad_node_name(NULL, 0, &info));
  assert_false(kad_node_name(node, 0, NULL));
  kad_node_watch_names(NULL, NULL, NULL);
  kad_node_watch_names(node, NULL, NULL);
}

static void networks(void **state) {
  struct kad_config config;
  const struct kad_allocator none = {0};
  struct kad_network *made;
  struct kad_node *opened;
  const struct kad_transport transport = {0};
  const int descriptor = -1;
  (void)state;
  kad_config_default(&config);
  REFUSES(kad_network_udp_new(kad_allocator_default(), NULL));
  REFUSES(kad_network_udp_new(none, &made));
  kad_network_free(NULL);
  REFUSES(kad_network_open_node(NULL, &config, &address, 1, &opened));
  REFUSES(kad_network_open_node(network, NULL, &address, 1, &opened));
  REFUSES(kad_network_open_node(network, &config, NULL, 1, &opened));
  REFUSES(kad_network_open_node(network, &config, &address, 1, NULL));
  assert_null(kad_network_failure(NULL).call);
  REFUSES(kad_network_open_on_transport(NULL, &config, &address, 1, &transport,
                                        &opened));
  REFUSES(kad_network_open_on_transport(network, NULL, &address, 1, &transport,
                                        &opened));
  REFUSES(kad_network_open_on_transport(network, &config, NULL, 1, &transport,
                                        &opened));
  REFUSES(kad_network_open_on_transport(network, &config, &address, 1, NULL,
                                        &opened));
  REFUSES(kad_network_open_on_transport(network, &config, &address, 1,
                                        &transport, &opened));
  REFUSES(kad_network_open_on_transport(network, &config, &address, 1,
                                        &transport, NULL));
  REFUSES(kad_network_open_on_sockets(NULL, &config, &descriptor, 1, &opened));
  REFUSES(kad_network_open_on_sockets(network, NULL, &descriptor, 1, &opened));
  REFUSES(kad_network_open_on_sockets(network, &config, NULL, 1, &opened));
  REFUSES(kad_network_open_on_sockets(network, &config, &descriptor, 1, NULL));
  assert_non_null(kad_inherited_socket_problem(descriptor, NULL));
  REFUSES(kad_network_receive(NULL, node, &address, text));
  REFUSES(kad_network_receive(network, NULL, &address, text));
  REFUSES(kad_network_receive(network, node, NULL, text));
  kad_network_close_node(NULL, node);
  kad_network_close_node(network, NULL);
}

static void views_of_a_network(void **state) {
  struct kad_socket_stats stats;
  struct kad_address bound;
  uint8_t byte = 7;
  (void)state;
  assert_int_equal(kad_network_addresses(NULL, node, &bound, 1), 0);
  assert_int_equal(kad_network_addresses(network, NULL, &bound, 1), 0);
  assert_int_equal(kad_network_addresses(network, node, NULL, 1), 0);
  assert_int_equal(kad_network_turn(NULL), 0);
  assert_int_equal(kad_network_now(NULL), 0);
  assert_int_equal(kad_network_node_now(NULL, node), 0);
  assert_true(kad_network_node_now(network, NULL) == kad_network_now(network));
  assert_int_equal(kad_network_wall_clock(NULL), 0);
  kad_network_random(NULL, &byte, 1);
  kad_network_random(network, NULL, 1);
  assert_int_equal(byte, 7);
  assert_int_equal(kad_network_fd(NULL), -1);
  assert_int_equal(kad_network_timeout(NULL), -1);
  assert_int_equal(kad_network_trace_hash(NULL), 0);
  REFUSES(kad_network_socket_stats(NULL, node, &stats, NULL));
  REFUSES(kad_network_socket_stats(network, NULL, &stats, NULL));
  REFUSES(kad_network_socket_stats(network, node, NULL, NULL));
}

/* A callback that is missing must not be called later. */
static void timers_signals_and_names(void **state) {
  struct kad_watch *watch;
  (void)state;
  REFUSES(kad_network_start_timer(NULL, 1, fire, NULL, NULL));
  REFUSES(kad_network_start_timer(network, 1, NULL, NULL, NULL));
  REFUSES(kad_network_stop_timer(NULL, 1));
  REFUSES(kad_network_on_signal(NULL, 10, fire, NULL));
  REFUSES(kad_network_on_signal(network, 10, NULL, NULL));
  REFUSES(kad_network_resolve(NULL, text, resolved, NULL));
  REFUSES(kad_network_resolve(network, text, NULL, NULL));
  REFUSES(kad_network_bootstrap(NULL, node, &text, 1, done, NULL, NULL));
  REFUSES(kad_network_bootstrap(network, NULL, &text, 1, done, NULL, NULL));
  REFUSES(kad_network_bootstrap(network, node, NULL, 1, done, NULL, NULL));
  REFUSES(kad_network_watch(NULL, 0, KAD_WATCH_READ, ready, NULL, &watch));
  REFUSES(kad_network_watch(network, 0, KAD_WATCH_READ, NULL, NULL, &watch));
  REFUSES(kad_network_watch(network, 0, KAD_WATCH_READ, ready, NULL, NULL));
  REFUSES(kad_watch_change(NULL, KAD_WATCH_READ));
  kad_watch_end(NULL);
  kad_network_run(NULL, 1);
  kad_network_stop(NULL);
  kad_network_step(NULL);
  kad_network_run(network, 1000);
}

static void items(void **state) {
  const struct kad_slice value = kad_slice_of("0:");
  const struct kad_slice none = {NULL, 0};
  uint8_t bytes[KAD_SECRET_SIZE] = {0};
  uint8_t signature[KAD_SIGNATURE_SIZE];
  struct kad_id made;
  (void)state;
  assert_int_equal(kad_item_check_value(none), KAD_EMALFORMED);
  REFUSES(kad_item_target_immutable(value, NULL));
  REFUSES(kad_item_target_mutable(NULL, none, &made));
  REFUSES(kad_item_target_mutable(bytes, none, NULL));
  REFUSES(kad_item_sign(value, none, 0, NULL, signature));
  REFUSES(kad_item_sign(value, none, 0, bytes, NULL));
  assert_false(kad_item_verify(value, none, 0, NULL, signature));
  assert_false(kad_item_verify(value, none, 0, bytes, NULL));
}

static void simulations(void **state) {
  struct kad_sim_config config;
  struct kad_sim_stats stats;
  const struct kad_allocator none = {0};
  struct kad_network *made;
  (void)state;
  kad_sim_config_default(NULL);
  kad_sim_config_default(&config);
  REFUSES(kad_network_sim_new(NULL, kad_allocator_default(), &made));
  REFUSES(kad_network_sim_new(&config, none, &made));
  REFUSES(kad_network_sim_new(&config, kad_allocator_default(), NULL));
  REFUSES(kad_sim_read_stats(NULL, &stats));
  REFUSES(kad_sim_read_stats(network, NULL));
  REFUSES(kad_sim_set_group(NULL, node, 1));
  REFUSES(kad_sim_set_group(network, NULL, 1));
  REFUSES(kad_sim_heal(NULL));
  REFUSES(kad_sim_set_bandwidth(NULL, node, 1));
  REFUSES(kad_sim_set_bandwidth(network, NULL, 1));
  REFUSES(kad_sim_move(NULL, node, &address, 1));
  REFUSES(kad_sim_move(network, NULL, &address, 1));
  REFUSES(kad_sim_move(network, node, NULL, 1));
  REFUSES(kad_sim_set_nat(NULL, node, NULL));
  REFUSES(kad_sim_set_nat(network, node, NULL));
  REFUSES(kad_sim_set_clock(NULL, node, 0, 0));
  REFUSES(kad_sim_set_clock(network, NULL, 0, 0));
  REFUSES(kad_sim_suspend(NULL, node, true));
  REFUSES(kad_sim_suspend(network, NULL, true));
  REFUSES(kad_sim_resume(NULL, node));
  REFUSES(kad_sim_resume(network, NULL));
  REFUSES(kad_sim_set_behaviour(NULL, node, NULL));
  REFUSES(kad_sim_set_behaviour(network, node, NULL));
  REFUSES(kad_sim_kill(NULL, node));
  REFUSES(kad_sim_kill(network, NULL));
  REFUSES(kad_sim_set_trace(NULL, NULL, NULL));
}

static bool visit(void *data, const struct kad_record *record,
                  const struct kad_address *origin, uint32_t republish_s) {
  (void)data;
  (void)record;
  (void)origin;
  (void)republish_s;
  return true;
}

static void durable_stores(void **state) {
  const struct kad_durable_config config = {.folder = "missing"};
  struct kad_durable *durable = NULL;
  struct kad_durable_counters stats = {.disk_loaded = 7};
  (void)state;
  REFUSES(kad_durable_open(NULL, &config, &durable, NULL));
  REFUSES(kad_durable_open(network, NULL, &durable, NULL));
  REFUSES(kad_durable_open(network, &config, NULL, NULL));
  assert_null(kad_durable_store(NULL));
  kad_durable_close(NULL);
  REFUSES(kad_durable_finish(NULL));
  kad_durable_stats(NULL, &stats);
  assert_int_equal(stats.disk_loaded, 7);
  REFUSES(kad_durable_read(NULL, NULL, visit, NULL, NULL));
  REFUSES(kad_durable_read("missing", NULL, NULL, NULL, NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(values_and_texts),
      TEST(encodings),
      TEST(configurations),
      TEST(nodes),
      TEST(operations),
      TEST(a_callback_that_may_be_missing_is_not_called),
      TEST(backed_stores),
      TEST(sealed_overlays),
      TEST(figures_of_a_node),
      TEST(views_of_a_node),
      TEST(networks),
      TEST(views_of_a_network),
      TEST(timers_signals_and_names),
      TEST(items),
      TEST(simulations),
      TEST(durable_stores),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
