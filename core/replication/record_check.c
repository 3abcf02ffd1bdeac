#include "replication/record_check.h"

#include "engine/node.h"
#include "records/item.h"
#include "records/record.h"
#include "records/type.h"
#include "rpc/record_size.h"

#include <string.h>

static int reject(int code, const char *text, const char **reason) {
  *reason = text;
  return code;
}

/* Checks what all types have in common. */
static int check_form(const struct kad_record *record, const char **reason) {
  if (record->salt.len > KAD_SALT_MAX) {
    return reject(KAD_CODE_SALT, "salt too large", reason);
  }
  int error = kad_record_check(record);
  if (error == KAD_ETOOBIG) {
    return reject(KAD_CODE_TOO_BIG, "value too large", reason);
  }
  if (error != 0) {
    return reject(KAD_CODE_PROTOCOL, "malformed record", reason);
  }
  return 0;
}

/* Checks an item of BEP 44, which has rules of its own. */
static int check_item(struct kad_node *node, const struct kad_type *type,
                      enum kad_item_kind kind, const struct kad_record *item,
                      const char **reason) {
  if (node->config.id_bits != KAD_ITEM_ID_BITS) {
    return reject(KAD_CODE_REFUSED, "items need ids of 160 bits", reason);
  }
  const int code = kad_item_check(kind, item, reason);
  if (code != 0) {
    return code;
  }
  if (item->value.len > type->max_size) {
    return reject(KAD_CODE_TOO_BIG, "value too large", reason);
  }
  return kad_item_is_signed(item, &node->verified)
             ? 0
             : reject(KAD_CODE_SIGNATURE, "bad signature", reason);
}

int kad_record_check_type(struct kad_node *node, const struct kad_type *type,
                          const struct kad_record *record,
                          const char **reason) {
  if (type == NULL) {
    return reject(KAD_CODE_REFUSED, "unknown record type", reason);
  }
  const enum kad_item_kind kind = kad_item_kind_of(record->type);
  if (kind != KAD_ITEM_NONE) {
    return check_item(node, type, kind, record, reason);
  }
  int code = check_form(record, reason);
  if (code != 0) {
    return code;
  }
  if (record->value.len > type->max_size) {
    return reject(KAD_CODE_TOO_BIG, "value too large", reason);
  }
  if (type->signed_only && record->publisher == NULL) {
    return reject(KAD_CODE_SIGNATURE, "a signature is required", reason);
  }
  if (strcmp(type->name, "peers") == 0 && kad_type_check_peer(record) != 0) {
    return reject(KAD_CODE_PROTOCOL, "malformed peer", reason);
  }
  if (!kad_record_verify(record, node->config.id_bits, &node->verified)) {
    return reject(KAD_CODE_SIGNATURE, "bad signature", reason);
  }
  return 0;
}

int kad_record_check_new(struct kad_node *node, const struct kad_type *type,
                         const struct kad_record *record, const char **reason) {
  if (type != NULL && record->value.len <= type->max_size &&
      record->salt.len <= KAD_SALT_MAX &&
      !kad_record_is_readable(node, record)) {
    return reject(KAD_CODE_TOO_BIG, "record larger than a datagram", reason);
  }
  return kad_record_check_type(node, type, record, reason);
}

int kad_record_check_error(int code) {
  return code == KAD_CODE_TOO_BIG     ? KAD_ETOOBIG
         : code == KAD_CODE_SIGNATURE ? KAD_ESIGNATURE
                                      : KAD_EREFUSED;
}
