#include "engine/tally.h"

#include "engine/node.h"

static const int codes[] = {
#define CODE(code) code,
    KAD_TALLY_CODE_MAP(CODE)
#undef CODE
};

static const char *const code_names[KAD_TALLY_CODES] = {
#define CODE(code) #code,
    KAD_TALLY_CODE_MAP(CODE)
#undef CODE
        "other",
};

void kad_tally_error(uint64_t *errors, int code) {
  size_t index = 0;
  while (index < KAD_TALLY_OTHER && codes[index] != code) {
    index++;
  }
  errors[index]++;
}

static const char *method_name(size_t method) {
  const struct kad_slice name = kad_method_name((enum kad_method_id)method);
  return name.len > 0 ? (const char *)name.data : "custom";
}

/* A list that is filled in. */
struct list {
  struct kad_tally *out;
  size_t cap;
  size_t count;
};

static void add(struct list *list, const char *subject, const char *kind,
                uint64_t count) {
  if (list->count < list->cap) {
    list->out[list->count] =
        (struct kad_tally){.subject = subject, .kind = kind, .count = count};
  }
  list->count++;
}

static void add_errors(struct list *list, const char *subject,
                       const uint64_t *errors) {
  for (size_t i = 0; i < KAD_TALLY_CODES; i++) {
    add(list, subject, code_names[i], errors[i]);
  }
}

size_t kad_node_tallies(const struct kad_node *node, struct kad_tally *out,
                        size_t cap) {
  struct list list = {.out = out, .cap = cap};
  if (node == NULL || (out == NULL && cap > 0)) {
    return 0;
  }
  for (size_t i = 0; i < KAD_TALLY_METHODS; i++) {
    add(&list, "query_sent", method_name(i), node->tallies.queries_sent[i]);
  }
  add_errors(&list, "error_sent", node->tallies.errors_sent);
  add_errors(&list, "error_received", node->tallies.errors_received);
  return list.count;
}
