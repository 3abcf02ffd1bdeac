/* Work on another thread of a network of sockets. */
#include "net/network.h"
#include "network_fixture.h"
#include "unit.h"

#include <pthread.h>

struct task {
  struct kad_network *network;
  pthread_t runner;
  bool ran;
  bool done;
  bool runs_elsewhere;
};

static void run(void *data) {
  struct task *task = data;
  task->runner = pthread_self();
  task->ran = true;
}

static void done(void *data) {
  struct task *task = data;
  task->done = task->ran;
  task->runs_elsewhere = !pthread_equal(task->runner, pthread_self());
  kad_network_stop(task->network);
}

static void work_runs_on_another_thread_and_ends_on_this_one(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  struct task task = {.network = fixture.network};

  assert_ok(kad_network_work(fixture.network, run, done, &task));
  kad_network_run(fixture.network, KAD_TIME_NEVER);

  assert_true(task.done);
  assert_true(task.runs_elsewhere);
  kad_fixture_close(&fixture);
}

static void freeing_a_network_waits_for_its_work(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  struct task task = {.network = fixture.network};

  assert_ok(kad_network_work(fixture.network, run, done, &task));
  kad_fixture_close(&fixture);

  assert_true(task.done);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(work_runs_on_another_thread_and_ends_on_this_one),
      cmocka_unit_test(freeing_a_network_waits_for_its_work),
  };
  return cmocka_run_group_tests_name("udp_work", tests, NULL, NULL);
}
