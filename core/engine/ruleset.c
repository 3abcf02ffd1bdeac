#include "engine/ruleset.h"

#include "base/allocator.h"
#include "wire/message.h"

#include <assert.h>
#include <string.h>

enum {
  DEADLINE_MS = 2000,
  METHODS_MAX = 256
};

static int check_method(const struct kad_method *methods, size_t index) {
  const char *name = methods[index].name;
  if (name == NULL || methods[index].call == NULL) {
    return KAD_EINVAL;
  }
  struct kad_slice text = kad_slice_of(name);
  if (text.len == 0 || text.len > KAD_METHOD_NAME_MAX) {
    return KAD_EINVAL;
  }
  if (kad_method_find(text) != KAD_METHOD_CUSTOM ||
      kad_method_is_reserved(text)) {
    return KAD_ECONFLICT;
  }
  for (size_t i = 0; i < index; i++) {
    if (strcmp(methods[i].name, name) == 0) {
      return KAD_ECONFLICT;
    }
  }
  return 0;
}

static int check_methods(const struct kad_policy *policy) {
  if (policy->method_count > METHODS_MAX ||
      (policy->methods == NULL && policy->method_count > 0)) {
    return KAD_EINVAL;
  }
  for (size_t i = 0; i < policy->method_count; i++) {
    int error = check_method(policy->methods, i);
    if (error != 0) {
      return error;
    }
  }
  return 0;
}

static void copy_methods(struct kad_ruleset *ruleset,
                         const struct kad_policy *policy) {
  for (size_t i = 0; i < policy->method_count; i++) {
    struct kad_method_rule *rule = &ruleset->methods[i];
    *rule = (struct kad_method_rule){.rules = policy->methods[i]};
    memcpy(rule->name, policy->methods[i].name,
           strlen(policy->methods[i].name));
    rule->rules.name = rule->name;
  }
}

static int fill_ruleset(struct kad_ruleset *ruleset,
                        const struct kad_policy *policy) {
  int error = kad_types_build(policy->types, policy->type_count, ruleset->types,
                              &ruleset->type_count);
  if (error != 0) {
    return error;
  }
  ruleset->policy = *policy;
  ruleset->deadline_ms =
      policy->deadline_ms != 0 ? policy->deadline_ms : DEADLINE_MS;
  ruleset->users = 1;
  ruleset->method_count = policy->method_count;
  copy_methods(ruleset, policy);
  return 0;
}

int kad_ruleset_new(const struct kad_allocator *allocator,
                    const struct kad_policy *policy,
                    struct kad_ruleset **ruleset) {
  static const struct kad_policy nothing = {0};
  policy = policy != NULL ? policy : &nothing;
  int error = check_methods(policy);
  if (error != 0) {
    return error;
  }
  if (policy->types == NULL && policy->type_count > 0) {
    return KAD_EINVAL;
  }
  if (policy->type_count > KAD_TYPES_MAX) { /* refined types included */
    return KAD_EFULL;
  }
  size_t type_count = policy->type_count + KAD_TYPES_BUILT_IN;
  size_t size = sizeof(struct kad_ruleset) +
                type_count * sizeof(struct kad_rules) +
                policy->method_count * sizeof(struct kad_method_rule);
  struct kad_ruleset *made = kad_alloc_zero(allocator, size);
  if (made == NULL) {
    return KAD_ENOMEM;
  }
  made->size = size;
  made->methods = (struct kad_method_rule *)(void *)&made->types[type_count];
  error = fill_ruleset(made, policy);
  if (error != 0) {
    kad_release(allocator, made, size);
    return error;
  }
  *ruleset = made;
  return 0;
}

void kad_ruleset_retain(struct kad_ruleset *ruleset) {
  assert(ruleset->users > 0);
  ruleset->users++;
}

void kad_ruleset_drop(struct kad_ruleset *ruleset,
                      const struct kad_allocator *allocator) {
  assert(ruleset->users > 0);
  if (--ruleset->users > 0) {
    return;
  }
  if (ruleset->policy.release != NULL) {
    ruleset->policy.release(ruleset->policy.state);
  }
  kad_release(allocator, ruleset, ruleset->size);
}

const struct kad_method *kad_ruleset_method(const struct kad_ruleset *ruleset,
                                            struct kad_slice name) {
  for (size_t i = 0; i < ruleset->method_count; i++) {
    const struct kad_method_rule *rule = &ruleset->methods[i];
    if (kad_slice_equal(kad_slice_of(rule->name), name)) {
      return &rule->rules;
    }
  }
  return NULL;
}

const struct kad_type *kad_ruleset_type(const struct kad_ruleset *ruleset,
                                        struct kad_slice name) {
  const struct kad_rules *rules =
      kad_types_find(ruleset->types, ruleset->type_count, name);
  return rules != NULL ? &rules->rules : NULL;
}
