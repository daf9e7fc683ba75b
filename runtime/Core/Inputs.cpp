// Checks a run's inputs against what the model takes.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/Context.h"
#include "runtime/Core/Value.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

using namespace lathe::runtime;

namespace {

constexpr int64_t maxElements = 1 << 20;

/// An input, or what one holds, against its spec.
struct Input {
  const lathe_tensor_spec &spec;
  const lathe_context &context;
  lathe_status *status;
  const char *name = spec.name;
  int64_t element = -1; ///< Of what is held: its number.
  uint32_t level = 0;

  [[gnu::format(printf, 3, 4)]] int32_t refuse(int32_t code, const char *format, ...) const {
    char what[600], where[32] = "";
    va_list list;
    va_start(list, format);
    vsnprintf(what, sizeof(what), format, list);
    va_end(list);
    if (element >= 0)
      snprintf(where, sizeof(where), "element %lld: ", static_cast<long long>(element));
    return fail(status, code, "input '%.200s': %s%s", name, where, what);
  }

  int32_t checkType(const lathe_value &value) const {
    if (value.kind != spec.kind)
      return refuse(LATHE_STATUS_TYPE, "a %s is given where the model takes a %s",
                    kindName(value.kind), kindName(spec.kind));
    if (value.dtype != spec.dtype)
      return refuse(LATHE_STATUS_TYPE, "dtype %s is given where the model takes %s",
                    dtypeName(value.dtype), dtypeName(spec.dtype));
    if (value.device & ~LATHE_VALUE_OWNED)
      return refuse(LATHE_STATUS_LAYOUT, "it is on device %u where this runtime takes host memory",
                    value.device & ~LATHE_VALUE_OWNED);
    return LATHE_STATUS_OK;
  }

  int32_t checkDims(const lathe_value &value) const {
    if (value.rank != spec.rank)
      return refuse(LATHE_STATUS_SHAPE, "rank %u is given where the model takes rank %u",
                    value.rank, spec.rank);
    // Text is made for refusals only: a run of a small model takes less time than that.
    auto given = [&] { return DimsText(value.rank, value.dims); };
    for (uint32_t i = 0; i < spec.rank; ++i) {
      const lathe_dim &dim = spec.dims[i];
      long long size = value.dims[i];
      if (dim.size != LATHE_DYNAMIC && size != dim.size)
        return refuse(LATHE_STATUS_SHAPE, "dim %u of %s is %lld where the model takes %lld", i,
                      given().text, size, static_cast<long long>(dim.size));
      if (dim.size == LATHE_DYNAMIC && (size < dim.min || size > dim.max))
        return refuse(LATHE_STATUS_SHAPE,
                      "dim %u ('%.100s') of %s is %lld where the model takes %lld to %lld", i,
                      dim.symbol ? dim.symbol : "?", given().text, size,
                      static_cast<long long>(dim.min), static_cast<long long>(dim.max));
    }
    if (countElements(value.dtype, value.rank, value.dims) < 0)
      return refuse(LATHE_STATUS_SHAPE, "dims %s are negative or too large", given().text);
    return LATHE_STATUS_OK;
  }

  int32_t checkData(const lathe_value &value) const {
    if (!isContiguous(value))
      return refuse(LATHE_STATUS_LAYOUT,
                    "strides %s for dims %s are not contiguous; copy it to row-major order first "
                    "(lathe_value_copy)",
                    DimsText(value.rank, value.strides).text,
                    DimsText(value.rank, value.dims).text);
    if (!value.data && countElements(value.dtype, value.rank, value.dims))
      return refuse(LATHE_STATUS_LAYOUT, "its data is NULL");
    if (!isAlive(value))
      return refuse(LATHE_STATUS_LAYOUT, "its memory was released, or is too small for dims %s",
                    DimsText(value.rank, value.dims).text);
    if (context.options.arena && liesInArena(value))
      return refuse(LATHE_STATUS_LAYOUT, "it shares memory with the arena");
    uint64_t alignment = elementAlignment(value.dtype);
    if (reinterpret_cast<uint64_t>(value.data) % alignment)
      return refuse(LATHE_STATUS_LAYOUT, "its data is not aligned to %llu bytes",
                    static_cast<unsigned long long>(alignment));
    if (value.dtype == LATHE_STRING) {
      auto *strings = static_cast<const lathe_string *>(value.data);
      for (int64_t i = 0, count = lathe_value_elements(&value); i < count; ++i)
        if (!strings[i].data && strings[i].size)
          return refuse(LATHE_STATUS_LAYOUT, "the bytes of string %lld are NULL",
                        static_cast<long long>(i));
    }
    return LATHE_STATUS_OK;
  }

  bool liesInArena(const lathe_value &value) const {
    auto begin = reinterpret_cast<uint64_t>(value.data);
    auto arena = reinterpret_cast<uint64_t>(context.arena);
    int64_t bytes = lathe_value_bytes(&value);
    return bytes > 0 && begin < arena + context.arenaBytes && arena < begin + uint64_t(bytes);
  }

  // Of a value of which nothing is said but that it is one.
  static lathe_tensor_spec anySpec(const lathe_value &value) {
    lathe_tensor_spec spec = {};
    bool isKind = value.kind != LATHE_VALUE_NONE && value.kind <= LATHE_VALUE_STRINGS;
    spec.kind = isKind ? value.kind : uint32_t(LATHE_VALUE_TENSOR);
    spec.dtype = value.dtype;
    spec.rank = isContainer(spec.kind) ? 0 : LATHE_ANY_RANK;
    return spec;
  }

  // What a sequence, an optional or a map holds: values as the spec says, each valid in itself.
  int32_t checkItems(const lathe_value &value) const {
    int64_t count = value.dims[0];
    bool isCount = spec.kind == LATHE_VALUE_OPTIONAL ? count <= 1
                   : spec.kind == LATHE_VALUE_MAP    ? count == 2
                                                     : count <= maxElements;
    if (value.rank != 1 || count < 0 || !isCount)
      return refuse(LATHE_STATUS_SHAPE,
                    "rank %u and %lld elements are given where a %s has rank 1 and %s", value.rank,
                    static_cast<long long>(count), kindName(spec.kind),
                    spec.kind == LATHE_VALUE_OPTIONAL ? "at most one"
                    : spec.kind == LATHE_VALUE_MAP    ? "two, keys and values"
                                                      : "at most 2^20");
    if (count && !value.data)
      return refuse(LATHE_STATUS_LAYOUT, "its data is NULL");
    if (reinterpret_cast<uint64_t>(value.data) % alignof(lathe_value))
      return refuse(LATHE_STATUS_LAYOUT, "its data is not aligned to %zu bytes",
                    alignof(lathe_value));
    if (level == LATHE_MAX_NESTING)
      return refuse(LATHE_STATUS_SHAPE, "values nest deeper than %u levels", LATHE_MAX_NESTING);
    const auto *items = static_cast<const lathe_value *>(value.data);
    const lathe_tensor_spec *specs = itemsOf(spec);
    for (int64_t i = 0; i < count; ++i) {
      lathe_tensor_spec any = anySpec(items[i]);
      const lathe_tensor_spec *wanted = specs ? &specs[spec.kind == LATHE_VALUE_MAP ? i : 0] : &any;
      if (wanted->kind == LATHE_VALUE_NONE)
        wanted = &any;
      Input item{*wanted, context, status, name, i, level + 1};
      if (int32_t code = item.checkItem(items[i]))
        return code;
    }
    if (spec.kind == LATHE_VALUE_MAP && items[0].dims[0] != items[1].dims[0])
      return refuse(LATHE_STATUS_SHAPE, "it has %lld keys and %lld values",
                    static_cast<long long>(items[0].dims[0]),
                    static_cast<long long>(items[1].dims[0]));
    return LATHE_STATUS_OK;
  }

  int32_t checkItem(const lathe_value &value) const {
    if (int32_t code = checkType(value))
      return code;
    if (isContainer(spec.kind))
      return checkItems(value);
    if (lathe_value_elements(&value) < 0)
      return refuse(LATHE_STATUS_SHAPE, "it is no valid tensor");
    if (spec.rank != LATHE_ANY_RANK)
      if (int32_t code = checkDims(value))
        return code;
    return checkData(value);
  }
};

} // namespace

// Compiled code sees copies, whose strides are always set.
int32_t lathe_context::checkInputs(const lathe_value *given, uint32_t count, bool needData,
                                   lathe_status *status) {
  if (int32_t code = checkInputCount(*entry, given, count, status))
    return code;
  const EntryLayout &layout = module->layouts[entry - module->chosen->entries];
  const int32_t *symbols = module->inputSymbols.data() + layout.firstSymbol;
  for (uint32_t s = 0; s < layout.symbolCount; ++s)
    symbolSizes[s] = -1;
  // States come last: their first dims are what the symbols of other inputs say.
  for (bool state : {false, true}) {
    const int32_t *inputSymbols = symbols;
    for (uint32_t i = 0; i < count; inputSymbols += entry->inputs[i++].rank) {
      bool kept = entry->inputs[i].state >= 0 && given[i].kind == LATHE_VALUE_NONE;
      if (kept != state)
        continue;
      inputs[i] = given[i];
      if (int32_t code = kept ? readState(i, inputSymbols, needData, status) : 0)
        return code;
      if (int32_t code = checkInput(i, inputSymbols, needData, status))
        return code;
      if (needData && !kept && entry->inputs[i].layout == LATHE_LAYOUT_CAPACITY)
        if (int32_t code = writeState(i, status))
          return code;
    }
  }
  return LATHE_STATUS_OK;
}

// Checks inputs[index] and makes it what compiled code sees.
int32_t lathe_context::checkInput(uint32_t index, const int32_t *symbols, bool needData,
                                  lathe_status *status) {
  const lathe_tensor_spec &spec = entry->inputs[index];
  Input input{spec, *this, status};
  lathe_value &value = inputs[index];
  if (int32_t code = input.checkType(value))
    return code;
  if (value.kind != LATHE_VALUE_TENSOR && value.kind != LATHE_VALUE_STRINGS) {
    value.device = 0;
    return needData ? input.checkItems(value) : int32_t(LATHE_STATUS_OK);
  }
  if (int32_t code = input.checkDims(value))
    return code;
  for (uint32_t d = 0; d < spec.rank; ++d) {
    if (symbols[d] < 0)
      continue;
    int64_t &size = symbolSizes[symbols[d]];
    if (size >= 0 && size != value.dims[d])
      return input.refuse(LATHE_STATUS_SHAPE,
                          "dim %u ('%.100s') is %lld, but an earlier dim of that name is %lld%s", d,
                          spec.dims[d].symbol, static_cast<long long>(value.dims[d]),
                          static_cast<long long>(size),
                          states.size() ? "; lathe_context_reset begins anew" : "");
    size = value.dims[d];
  }
  bool kept = spec.state >= 0 && value.data && value.data == states[spec.state].value.data;
  if (needData && !kept)
    if (int32_t code = input.checkData(value))
      return code;
  if (!needData)
    value.data = nullptr;
  value.device = 0;
  setStrides(value, spec);
  return LATHE_STATUS_OK;
}

// Makes inputs[index] what the state holds, at first zeros.
int32_t lathe_context::readState(uint32_t index, const int32_t *symbols, bool needData,
                                 lathe_status *status) {
  const lathe_tensor_spec &spec = entry->inputs[index];
  State &state = states[spec.state];
  lathe_value &value = inputs[index];
  if (state.value.kind != LATHE_VALUE_NONE) {
    value = state.value;
    return LATHE_STATUS_OK;
  }
  value.kind = spec.kind;
  value.dtype = spec.dtype;
  value.rank = spec.rank;
  for (uint32_t d = 0; d < spec.rank; ++d) {
    int64_t known = symbols[d] < 0 ? -1 : symbolSizes[symbols[d]];
    bool isStatic = spec.dims[d].size != LATHE_DYNAMIC;
    value.dims[d] = isStatic ? spec.dims[d].size : known >= 0 ? known : spec.dims[d].min;
  }
  if (!needData)
    return LATHE_STATUS_OK;
  StateSize size = inputStateSize(spec, value);
  if (size.bytes < 0)
    return LATHE_STATUS_OK; // the check of its dims says so
  uint32_t slot = spec.layout == LATHE_LAYOUT_CAPACITY ? 0 : state.current;
  value.data = reserveState(state, slot, size, stateAllocator);
  if (!value.data)
    return fail(status, LATHE_STATUS_MEMORY, "state '%.200s': %lld bytes could not be allocated",
                spec.name, static_cast<long long>(size.bytes));
  memset(value.data, 0, size.bytes);
  return LATHE_STATUS_OK;
}

// A value that the caller gives for a state that grows where it lies goes there first.
int32_t lathe_context::writeState(uint32_t index, lathe_status *status) {
  const lathe_tensor_spec &spec = entry->inputs[index];
  State &state = states[spec.state];
  lathe_value &value = inputs[index];
  StateSize size = inputStateSize(spec, value);
  void *memory = reserveState(state, 0, size, stateAllocator);
  if (!memory)
    return fail(status, LATHE_STATUS_MEMORY, "state '%.200s': %lld bytes could not be allocated",
                spec.name, static_cast<long long>(size.bytes));
  lathe_value from = value;
  value.data = memory;
  copyToState(from, value);
  state.value = value;
  return LATHE_STATUS_OK;
}
