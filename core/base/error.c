#include "kadenza.h"

const char *kad_error_name(int error) {
  switch (error) {
#define KAD_ERROR_NAME(code, value, text) \
  case code:                              \
    return #code;
    KAD_ERROR_MAP(KAD_ERROR_NAME)
#undef KAD_ERROR_NAME
  default:
    return "KAD_EUNKNOWN";
  }
}

const char *kad_error_text(int error) {
  switch (error) {
#define KAD_ERROR_TEXT(code, value, text) \
  case code:                              \
    return text;
    KAD_ERROR_MAP(KAD_ERROR_TEXT)
#undef KAD_ERROR_TEXT
  default:
    return "unknown error";
  }
}
