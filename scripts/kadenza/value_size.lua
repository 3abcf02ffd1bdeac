--- How large values are, for the library and for policies' libraries, which see
--- nothing of the core. Tested by tests/spec/sandbox_libraries_spec.lua.

return {
  --- Bytes of a value at most, whatever its type allows: KAD_VALUE_MAX.
  VALUE = 8192,
  --- Bytes of the value of an item of BEP 44, and of a type that says nothing
  --- else: KAD_ITEM_VALUE_MAX.
  ITEM = 1000,
}
