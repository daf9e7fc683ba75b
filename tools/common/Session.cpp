// Artifacts and runs for the tools: the C API with owners and exceptions.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/Session.h"
#include "tools/common/Npy.h"
#include "tools/common/Support.h"
#include "tools/common/TensorProto.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

namespace lathe::tools {

void checkStatus(int32_t code, const lathe_status &status, const std::string &what) {
  if (code == LATHE_STATUS_OK)
    return;
  std::string message = status.message[0] ? status.message : lathe_status_name(code);
  throw Failure(what.empty() ? message : what + ": " + message);
}

Module::Module(const std::string &path, const OpenOptions &options) {
  DevicePtr device = openDevice(options.device);
  lathe_module_options native{};
  native.device = device.get();
  native.size = sizeof native;
  native.flags = options.inspectOnly ? LATHE_MODULE_INSPECT : 0;
  native.variant = options.variant.empty() ? nullptr : options.variant.c_str();
  lathe_module *module = nullptr;
  lathe_status status;
  checkStatus(lathe_module_open(path.c_str(), &native, &module, &status), status);
  handle.reset(module);
  if (options.verifyWeights)
    checkStatus(lathe_module_verify(module, &status), status);
  for (uint32_t i = 0; i < lathe_module_input_count(module, 0); ++i)
    inputSpecs.push_back(lathe_module_input_spec(module, 0, i));
  for (uint32_t i = 0; i < lathe_module_output_count(module, 0); ++i)
    outputSpecs.push_back(lathe_module_output_spec(module, 0, i));
}

std::string Module::manifest() const {
  uint64_t bytes = 0;
  const char *text = lathe_module_manifest(get(), &bytes);
  return std::string(text, bytes);
}

std::vector<lathe_variant_info> Module::variants() const {
  std::vector<lathe_variant_info> infos(lathe_module_variant_count(get()));
  for (uint32_t i = 0; i < infos.size(); ++i) {
    infos[i].size = sizeof(lathe_variant_info);
    lathe_status status;
    checkStatus(lathe_module_variant_info(get(), i, &infos[i], &status), status);
  }
  return infos;
}

std::string Module::chosenVariant() const {
  for (const lathe_variant_info &info : variants())
    if (info.chosen)
      return info.name;
  return "";
}

BorrowedValues::BorrowedValues(std::span<const Value> values) {
  for (const Value &value : values)
    list.push_back(borrow(value));
}

lathe_value BorrowedValues::borrow(const Value &value) {
  lathe_value result{};
  if (value.kind == LATHE_VALUE_NONE)
    return result;
  if (value.kind == LATHE_VALUE_TENSOR || value.kind == LATHE_VALUE_STRINGS) {
    const Tensor &tensor = value.tensor;
    void *data = const_cast<char *>(tensor.bytes.data());
    if (tensor.dtype == LATHE_STRING) {
      auto &array = strings.emplace_back(new lathe_string[tensor.strings.size() + 1]);
      for (size_t i = 0; i < tensor.strings.size(); ++i)
        array[i] = {tensor.strings[i].data(), tensor.strings[i].size()};
      data = array.get();
    }
    // An empty tensor has no bytes, but the runtime wants an address.
    alignas(LATHE_ALIGNMENT) static char nothing[LATHE_ALIGNMENT];
    lathe_status status;
    checkStatus(lathe_value_borrow(&result, tensor.dtype, static_cast<uint32_t>(tensor.dims.size()),
                                   tensor.dims.data(), data ? data : nothing, &status),
                status);
    return result;
  }
  auto array = std::make_unique<lathe_value[]>(value.elements.size() + 1);
  for (size_t i = 0; i < value.elements.size(); ++i)
    array[i] = borrow(value.elements[i]);
  lathe_status status;
  checkStatus(lathe_value_borrow_items(&result, value.kind,
                                       static_cast<int64_t>(value.elements.size()), array.get(),
                                       &status),
              status);
  nested.push_back(std::move(array));
  return result;
}

void OwnedValues::release() {
  for (lathe_value &value : list)
    lathe_value_release(&value);
}

void OwnedValues::releaseMade() {
  for (lathe_value &value : list)
    if (value.kind != LATHE_VALUE_TENSOR)
      lathe_value_release(&value);
}

static Value copyValue(const lathe_value &value, int depth) {
  constexpr int maxDepth = 16;
  Value result{value.kind, {}, {}};
  if (value.kind == LATHE_VALUE_NONE)
    return result;
  if (depth > maxDepth)
    throw Failure("an output is nested deeper than " + std::to_string(maxDepth));
  if (value.kind == LATHE_VALUE_TENSOR || value.kind == LATHE_VALUE_STRINGS) {
    result.kind = value.dtype == LATHE_STRING ? LATHE_VALUE_STRINGS : LATHE_VALUE_TENSOR;
    result.tensor = makeTensor(value.dtype, {value.dims, value.dims + value.rank});
    if (value.dtype == LATHE_STRING) {
      auto *elements = static_cast<const lathe_string *>(value.data);
      for (size_t i = 0; i < result.tensor.strings.size(); ++i)
        result.tensor.strings[i].assign(elements[i].data, elements[i].size);
    } else if (!result.tensor.bytes.empty()) {
      std::memcpy(result.tensor.bytes.data(), value.data, result.tensor.bytes.size());
    }
    return result;
  }
  auto *elements = static_cast<const lathe_value *>(value.data);
  for (int64_t i = 0; i < value.dims[0]; ++i)
    result.elements.push_back(copyValue(elements[i], depth + 1));
  return result;
}

std::vector<Value> OwnedValues::copy() const {
  std::vector<Value> values;
  for (const lathe_value &value : list)
    values.push_back(copyValue(value, 0));
  return values;
}

Session::Session(const Module &module, uint32_t threads, const lathe_tracer *tracer)
    : outputCount(module.outputs().size()) {
  lathe_context_options options{};
  options.size = sizeof options;
  options.threads = threads;
  if (tracer)
    options.tracer = *tracer;
  lathe_context *context = nullptr;
  lathe_status status;
  checkStatus(lathe_context_create(module.get(), &options, &context, &status), status);
  handle.reset(context);
}

void Session::run(const BorrowedValues &inputs, OwnedValues &outputs) {
  outputs.releaseMade();
  lathe_status status;
  checkStatus(lathe_context_run(get(), 0, inputs.data(), inputs.size(), outputs.data(),
                                outputs.size(), &status),
              status);
}

std::vector<Value> Session::run(std::span<const Value> inputs) {
  BorrowedValues borrowed(inputs);
  OwnedValues outputs(outputCount);
  run(borrowed, outputs);
  return outputs.copy();
}

std::string describeSpec(const lathe_tensor_spec &spec) {
  std::string text(lathe_tensor_spec_format(&spec, nullptr, 0), 0);
  lathe_tensor_spec_format(&spec, text.data(), text.size() + 1);
  return printable(text);
}

Value loadValue(const std::string &path, const lathe_tensor_spec &spec) {
  std::string bytes = readFile(path);
  if (path.ends_with(".npy")) {
    Value value{LATHE_VALUE_TENSOR, parseNpy(bytes, path, spec.dtype), {}};
    return value;
  }
  if (path.ends_with(".pb"))
    return parseValueProto(bytes, path, spec.kind);
  throw Failure(path + ": values are read from .npy and .pb files; the name ends in neither");
}

namespace {

/// SplitMix64: every seed gives a good sequence, the same on every machine.
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) {}
  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// In [-1, 1), with 24 bits, so that f32 holds it exactly.
  double nextSigned() { return std::ldexp(static_cast<double>(next() >> 40), -23) - 1; }

private:
  uint64_t state;
};

template <typename T> void store(Tensor &tensor, int64_t index, T element) {
  std::memcpy(tensor.bytes.data() + index * sizeof(T), &element, sizeof(T));
}

void fillRandom(Tensor &tensor, Random &random) {
  const TypeInfo &type = *findType(tensor.dtype);
  int64_t count = tensor.elementCount();
  switch (tensor.dtype) {
  case LATHE_F32:
    for (int64_t i = 0; i < count; ++i)
      store(tensor, i, static_cast<float>(random.nextSigned()));
    return;
  case LATHE_F64:
    for (int64_t i = 0; i < count; ++i)
      store(tensor, i, random.nextSigned());
    return;
  case LATHE_C64:
    for (int64_t i = 0; i < 2 * count; ++i)
      store(tensor, i, static_cast<float>(random.nextSigned()));
    return;
  case LATHE_C128:
    for (int64_t i = 0; i < 2 * count; ++i)
      store(tensor, i, random.nextSigned());
    return;
  case LATHE_F16:
  case LATHE_BF16:
    for (int64_t i = 0; i < count; ++i)
      store(tensor, i, bitsFromFloat(tensor.dtype, static_cast<float>(random.nextSigned())));
    return;
  case LATHE_STRING:
    for (std::string &element : tensor.strings)
      element = std::to_string(random.next() % 1000);
    return;
  default:
    break;
  }
  if (type.kind == TypeKind::Bool || type.bits >= 32) {
    for (int64_t i = 0; i < count; ++i)
      tensor.bytes[i * (type.bits / 8)] = static_cast<char>(random.next() >> 63);
    return;
  }
  // Narrow floats keep a small exponent: their top two bits stay 0, so that none is NaN.
  char mask = type.kind == TypeKind::Float ? (type.bits == 4 ? 0x33 : 0x3f) : char(0xff);
  for (char &byte : tensor.bytes)
    byte = static_cast<char>(random.next() >> 56) & mask;
}

} // namespace

std::vector<int64_t> chooseDims(const lathe_tensor_spec &spec, const DimList &sizes) {
  std::vector<int64_t> dims;
  for (const lathe_dim &dim : std::span(spec.dims, spec.rank)) {
    int64_t size = dim.size;
    if (size == LATHE_DYNAMIC) {
      size = std::max<int64_t>(1, dim.min);
      for (const auto &[name, fixed] : sizes)
        if (dim.symbol && name == dim.symbol)
          size = fixed;
    }
    dims.push_back(size);
  }
  return dims;
}

Value randomValue(const lathe_tensor_spec &spec, size_t index, const RandomOptions &options) {
  if (spec.kind != LATHE_VALUE_TENSOR && spec.kind != LATHE_VALUE_STRINGS)
    throw Failure(std::string("input '") + spec.name +
                  "' is no tensor; give it as a .pb file, random values are for tensors");
  Value value{spec.kind, makeTensor(spec.dtype, chooseDims(spec, options.dims)), {}};
  Random random(options.seed * 1000003 + index);
  fillRandom(value.tensor, random);
  return value;
}

void checkDimNames(const Module &module, const DimList &dims) {
  std::set<std::string> symbols;
  for (const lathe_tensor_spec *spec : module.inputs())
    for (const lathe_dim &dim : std::span(spec->dims, spec->rank))
      if (dim.size == LATHE_DYNAMIC && dim.symbol)
        symbols.insert(dim.symbol);
  for (const auto &[name, size] : dims)
    if (!symbols.contains(name))
      throw WrongUsage("--dim " + name + ": the model has no such dimension; it has " +
                       (symbols.empty() ? std::string("none that is free")
                                        : join({symbols.begin(), symbols.end()}, ", ")));
}

} // namespace lathe::tools
