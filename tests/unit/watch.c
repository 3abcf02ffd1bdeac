#include "watch.h"

#include "unit.h"

#include <string.h>

/* Reads the target of a find_node. False for another query. */
static bool read_target(const struct kad_request *request,
                        struct kad_id *target) {
  struct kad_bencode args;
  struct kad_bencode value;
  const char *name = "find_node";
  if (request->method.len != strlen(name) ||
      memcmp(request->method.data, name, request->method.len) != 0 ||
      kad_bencode_parse(request->args, &args) != 0 ||
      !kad_bencode_find(&args, "target", &value)) {
    return false;
  }
  *target = (struct kad_id){0};
  memcpy(target->bytes, value.bytes.data, value.bytes.len);
  return true;
}

static void note(void *state, const struct kad_question *question,
                 struct kad_answer *answer) {
  struct kad_watch *watch = state;
  struct kad_id target;
  (void)answer;
  if (!kad_id_equal(&question->from.id, &watch->watched) ||
      !read_target(question->request, &target)) {
    return;
  }
  for (size_t i = 0; i < watch->count; i++) {
    if (kad_id_equal(&watch->targets[i], &target)) {
      return;
    }
  }
  assert_true(watch->count < KAD_WATCH_MAX);
  watch->targets[watch->count++] = target;
}

void kad_watch_tell(struct kad_watch *watch, size_t i) {
  const struct kad_policy policy = {.state = watch, .on_request = note};
  assert_ok(kad_node_set_policy(watch->overlay->nodes[i], &policy));
}

void kad_watch_begin(struct kad_watch *watch, struct kad_overlay *overlay,
                     size_t watched) {
  watch->overlay = overlay;
  watch->watched = overlay->ids[watched];
  watch->count = 0;
  for (size_t i = 0; i < overlay->count; i++) {
    if (overlay->nodes[i] != NULL) {
      kad_watch_tell(watch, i);
    }
  }
}

void kad_watch_clear(struct kad_watch *watch) {
  watch->count = 0;
}

size_t kad_watch_in_bucket(const struct kad_watch *watch, unsigned bits) {
  size_t count = 0;
  for (size_t i = 0; i < watch->count; i++) {
    count += kad_id_prefix(&watch->watched, &watch->targets[i]) == bits;
  }
  return count;
}

bool kad_watch_has_own_id(const struct kad_watch *watch) {
  for (size_t i = 0; i < watch->count; i++) {
    if (kad_id_equal(&watch->watched, &watch->targets[i])) {
      return true;
    }
  }
  return false;
}
