#include "node/config.h"

#include "wire/seal.h"

#include <string.h>

enum {
  OPTION_TYPE_bool = KAD_OPTION_TYPE_BOOL,
  OPTION_TYPE_uint32_t = KAD_OPTION_TYPE_UINT32,
  OPTION_TYPE_uint64_t = KAD_OPTION_TYPE_UINT64,
  OPTION_TYPE_uint8_t = KAD_OPTION_TYPE_CHOICE
};

/* The column of units has the names of a choice. */
#define IS_CHOICE(type) ((int)(type) == (int)KAD_OPTION_TYPE_CHOICE)

#define OPTION(ctype, field, default_, least, greatest, unit_, text_) \
  {.name = #field,                                                    \
   .type = (enum kad_option_type)OPTION_TYPE_##ctype,                 \
   .offset = offsetof(struct kad_config, field),                      \
   .initial = (default_),                                             \
   .min = (least),                                                    \
   .max = (greatest),                                                 \
   .unit = IS_CHOICE(OPTION_TYPE_##ctype) ? "" : (unit_),             \
   .choices = IS_CHOICE(OPTION_TYPE_##ctype) ? (unit_) : NULL,        \
   .text = (text_)},

static const struct kad_option options[] = {KAD_CONFIG_MAP(OPTION)};

enum {
  OPTION_COUNT = sizeof options / sizeof options[0]
};

const struct kad_option *kad_config_options(size_t *count) {
  if (count == NULL) {
    return NULL;
  }
  *count = OPTION_COUNT;
  return options;
}

uint64_t kad_config_get(const struct kad_config *config,
                        const struct kad_option *option) {
  if (config == NULL || option == NULL) {
    return 0;
  }
  const void *field = (const unsigned char *)config + option->offset;
  switch (option->type) {
  case KAD_OPTION_TYPE_BOOL:
    return *(const bool *)field;
  case KAD_OPTION_TYPE_UINT32:
    return *(const uint32_t *)field;
  case KAD_OPTION_TYPE_UINT64:
    return *(const uint64_t *)field;
  case KAD_OPTION_TYPE_CHOICE:
    return *(const uint8_t *)field;
  }
  return 0;
}

struct kad_slice kad_config_choice(const struct kad_option *option,
                                   uint64_t value) {
  struct kad_slice name = {0};
  if (option == NULL || option->choices == NULL || value > option->max) {
    return name;
  }
  const char *at = option->choices;
  for (uint64_t i = 0; i < value; i++) {
    at = strchr(at, ' ') + 1;
  }
  name.data = (const uint8_t *)at;
  name.len = strcspn(at, " ");
  return name;
}

int kad_config_set(struct kad_config *config, const struct kad_option *option,
                   uint64_t value) {
  if (config == NULL || option == NULL) {
    return KAD_EINVAL;
  }
  void *field = (unsigned char *)config + option->offset;
  if (value < option->min || value > option->max) {
    return KAD_EINVAL;
  }
  switch (option->type) {
  case KAD_OPTION_TYPE_BOOL:
    *(bool *)field = value != 0;
    break;
  case KAD_OPTION_TYPE_UINT32:
    *(uint32_t *)field = (uint32_t)value;
    break;
  case KAD_OPTION_TYPE_UINT64:
    *(uint64_t *)field = value;
    break;
  case KAD_OPTION_TYPE_CHOICE:
    *(uint8_t *)field = (uint8_t)value;
    break;
  }
  return 0;
}

void kad_config_default(struct kad_config *config) {
  if (config == NULL) {
    return;
  }
#define DEFAULT(type, name, initial, min, max, unit, text) .name = (initial),
  *config = (struct kad_config){
      KAD_CONFIG_MAP(DEFAULT).id_bits = 160,
      .version = {'K', 'Z', 0, 1},
  };
#undef DEFAULT
}

bool kad_config_is_valid(const struct kad_config *config) {
  bool is_valid =
      (config->id_bits == 160 || config->id_bits == 256) &&
      (config->network_keys == NULL || kad_seal_takes(config->network_keys));
  for (size_t i = 0; i < OPTION_COUNT; i++) {
    const uint64_t value = kad_config_get(config, &options[i]);
    is_valid = is_valid && value >= options[i].min && value <= options[i].max;
  }
  return is_valid;
}
