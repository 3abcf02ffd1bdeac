#include "replication/record_check.h"

#include "engine/node.h"
#include "records/record.h"
#include "records/type.h"
#include "replication/record_size.h"

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

int kad_record_check_type(struct kad_node *node, const struct kad_type *type,
                          const struct kad_record *record,
                          const char **reason) {
  if (type == NULL) {
    return reject(KAD_CODE_REFUSED, "unknown record type", reason);
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
