#include "sim_hub.h"

#include "overlay.h"
#include "unit.h"

struct kad_node *kad_hub_add(struct kad_hub *hub,
                             const struct kad_address *listen) {
  struct kad_config config;
  kad_config_default(&config);
  config.limits = false;
  config.query_ms = 60000;
  struct kad_node *node = NULL;
  assert_ok(kad_network_open_node(hub->network, &config, listen, 1, &node));
  return node;
}

void kad_hub_open(struct kad_hub *hub, const struct kad_sim_config *config,
                  size_t count) {
  *hub = (struct kad_hub){0};
  kad_counting_init(&hub->counting);
  assert_ok(
      kad_network_sim_new(config, hub->counting.allocator, &hub->network));
  const struct kad_address address = kad_overlay_address(KAD_HUB_OTHERS);
  hub->hub = kad_hub_add(hub, &address);
  for (size_t i = 0; i < KAD_HUB_OTHERS; i++) {
    hub->waits[i] = (struct kad_hub_wait){.hub = hub, .i = i};
  }
  for (size_t i = 0; i < count; i++) {
    const struct kad_address other = kad_overlay_address(i);
    hub->others[i] = kad_hub_add(hub, &other);
  }
}

void kad_hub_close(struct kad_hub *hub) {
  kad_network_free(hub->network);
  kad_counting_deinit(&hub->counting);
}

static void note(void *data, const struct kad_result *result) {
  const struct kad_hub_wait *wait = data;
  wait->hub->ended++;
  wait->hub->took_ms[wait->i] = result->status == 0 ? result->took_ms : 0;
}

void kad_hub_ping(struct kad_hub *hub, struct kad_node *from,
                  const struct kad_address *to, size_t i) {
  hub->took_ms[i] = 0;
  assert_ok(kad_node_ping(from, to, note, &hub->waits[i], NULL));
}

void kad_hub_ping_all(struct kad_hub *hub, size_t count) {
  hub->ended = 0;
  for (size_t i = 0; i < count; i++) {
    const struct kad_address to = kad_overlay_address(i);
    kad_hub_ping(hub, hub->hub, &to, i);
    if (i % 10 == 9) {
      kad_hub_run(hub, KAD_SECOND_MS / 10);
    }
  }
  kad_hub_run(hub, 2 * KAD_MINUTE_MS);
  assert_int_equal(hub->ended, count);
}

bool kad_hub_reaches(struct kad_hub *hub, struct kad_node *from,
                     const struct kad_address *to) {
  kad_hub_ping(hub, from, to, 0);
  kad_hub_run(hub, KAD_MINUTE_MS);
  return hub->took_ms[0] > 0;
}

size_t kad_hub_answered(const struct kad_hub *hub, size_t count) {
  size_t answers = 0;
  for (size_t i = 0; i < count; i++) {
    answers += hub->took_ms[i] > 0;
  }
  return answers;
}

void kad_hub_run(struct kad_hub *hub, kad_time_ms span_ms) {
  kad_network_run(hub->network, span_ms);
}

struct kad_sim_stats kad_hub_stats(const struct kad_hub *hub) {
  struct kad_sim_stats stats;
  assert_ok(kad_sim_stats(hub->network, &stats));
  return stats;
}
