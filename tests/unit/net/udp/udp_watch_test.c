/* File descriptors in the loop of a network of sockets. */
#define _POSIX_C_SOURCE 200809L

#include "kadenza_watch.h"
#include "network_fixture.h"
#include "unit.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct observer {
  struct kad_network *network;
  struct kad_watch *watch;
  int fd;
  unsigned calls;
  unsigned events; /* of the latest call */
  bool ends;       /* ends its watch */
  char bytes[16];  /* read */
};

static struct kad_fixture fixture;
static int ends[2]; /* of a pipe: where it is read, where it is written */

static int begin(void **state) {
  (void)state;
  kad_fixture_open(&fixture);
  assert_ok(pipe(ends));
  return 0;
}

static int end(void **state) {
  (void)state;
  kad_fixture_close(&fixture);
  (void)close(ends[0]);
  (void)close(ends[1]);
  return 0;
}

static void observe(void *data, unsigned events) {
  struct observer *observer = data;
  observer->calls++;
  observer->events = events;
  if ((events & KAD_WATCH_READ) != 0) {
    (void)!read(observer->fd, observer->bytes, sizeof observer->bytes);
  }
  if (observer->ends) {
    kad_watch_end(observer->watch);
  }
  kad_network_stop(observer->network);
}

static struct observer watch(int fd, unsigned events) {
  return (struct observer){
      .network = fixture.network, .fd = fd, .events = events};
}

static void start(struct observer *observer) {
  assert_ok(kad_network_watch(fixture.network, observer->fd, observer->events,
                              observe, observer, &observer->watch));
}

static void run_turns(void) {
  kad_network_run(fixture.network, 20);
}

static void calls_when_there_is_something_to_read(void **state) {
  (void)state;
  struct observer reader = watch(ends[0], KAD_WATCH_READ);
  start(&reader);
  run_turns();
  assert_int_equal(reader.calls, 0);

  assert_int_equal(write(ends[1], "word", 4), 4);
  kad_network_run(fixture.network, KAD_PATIENCE_MS);
  assert_int_equal(reader.calls, 1);
  assert_int_equal(reader.events, KAD_WATCH_READ);
  assert_memory_equal(reader.bytes, "word", 4);

  (void)close(ends[1]);
  ends[1] = -1;
  kad_network_run(fixture.network, KAD_PATIENCE_MS);
  assert_true(reader.calls > 1); /* the end is something to read */
}

static void waits_for_what_was_asked_last(void **state) {
  (void)state;
  struct observer writer = watch(ends[1], 0);
  start(&writer);
  run_turns();
  assert_int_equal(writer.calls, 0);

  assert_ok(kad_watch_change(writer.watch, KAD_WATCH_WRITE));
  kad_network_run(fixture.network, KAD_PATIENCE_MS);
  assert_int_equal(writer.events, KAD_WATCH_WRITE);

  const unsigned calls = writer.calls;
  assert_ok(kad_watch_change(writer.watch, 0));
  run_turns();
  assert_int_equal(writer.calls, calls);
  assert_int_equal(kad_watch_change(writer.watch, 8), KAD_EINVAL);
}

static void a_watch_may_end_itself(void **state) {
  (void)state;
  struct observer writer = watch(ends[1], KAD_WATCH_WRITE);
  writer.ends = true;
  start(&writer);
  kad_network_run(fixture.network, KAD_PATIENCE_MS);
  run_turns();
  assert_int_equal(writer.calls, 1);

  struct observer again = watch(ends[1], KAD_WATCH_WRITE);
  start(&again); /* the descriptor is free again */
  kad_network_run(fixture.network, KAD_PATIENCE_MS);
  assert_int_equal(again.calls, 1);
}

static void a_failed_descriptor_is_ready_once(void **state) {
  (void)state;
  (void)close(ends[0]);
  ends[0] = -1;
  struct observer writer = watch(ends[1], KAD_WATCH_WRITE);
  start(&writer);
  run_turns();
  run_turns();
  assert_int_equal(writer.calls, 1);
  assert_int_equal(writer.events, KAD_WATCH_READ | KAD_WATCH_WRITE);
}

static void refuses_what_the_system_cannot_wait_for(void **state) {
  (void)state;
  char path[] = "/tmp/kadenza-watch-XXXXXX";
  const int file = mkstemp(path);
  assert_true(file >= 0);
  (void)unlink(path);
  const int closed = dup(file);
  (void)close(closed);
  struct kad_watch *none = NULL;
  const int refused[] = {file, closed, -1};
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(kad_network_watch(fixture.network, refused[i],
                                       KAD_WATCH_READ, observe, NULL, &none),
                     KAD_EINVAL);
  }
  struct observer reader = watch(ends[0], KAD_WATCH_READ);
  start(&reader);
  assert_int_equal(kad_network_watch(fixture.network, ends[0], KAD_WATCH_READ,
                                     observe, NULL, &none),
                   KAD_EINVAL); /* watched already */
  assert_int_equal(
      kad_network_watch(fixture.network, ends[1], 4, observe, NULL, &none),
      KAD_EINVAL);
  assert_null(none);
  (void)close(file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(calls_when_there_is_something_to_read,
                                      begin, end),
      cmocka_unit_test_setup_teardown(waits_for_what_was_asked_last, begin,
                                      end),
      cmocka_unit_test_setup_teardown(a_watch_may_end_itself, begin, end),
      cmocka_unit_test_setup_teardown(a_failed_descriptor_is_ready_once, begin,
                                      end),
      cmocka_unit_test_setup_teardown(refuses_what_the_system_cannot_wait_for,
                                      begin, end),
  };
  return cmocka_run_group_tests_name("udp_watch", tests, NULL, NULL);
}
