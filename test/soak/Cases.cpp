// Calls with known results.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "test/soak/Cases.h"
#include "tools/common/Support.h"

#include <cstring>
#include <map>

namespace lathe::soak {

namespace {

// Sizes for the symbols of a model. Those whose names tell that they are a sum are one, as the
// networks of utils/zoo want it; where that is not enough, the model refuses, which is a case too.
std::vector<std::pair<std::string, int64_t>> chooseDims(const tools::Module &module,
                                                        std::mt19937_64 &random) {
  std::map<std::string, int64_t> sizes;
  for (const lathe_tensor_spec *spec : module.inputs())
    for (uint32_t d = 0; d < spec->rank; ++d) // of what holds other values: 0
      if (const char *symbol = spec->dims[d].symbol)
        sizes.emplace(symbol, 1 + random() % 6);
  auto total = sizes.find("total_sequence");
  if (total != sizes.end() && sizes.contains("past_sequence") && sizes.contains("sequence"))
    total->second = sizes["past_sequence"] + sizes["sequence"];
  return {sizes.begin(), sizes.end()};
}

void runAlone(const tools::Module &module, Case &call) {
  tools::Session session(module, 1);
  std::vector<lathe_value> outputs(module.outputs().size());
  lathe_status status;
  call.code = lathe_context_run(session.get(), 0, call.inputs->data(), call.inputs->size(),
                                outputs.data(), outputs.size(), &status);
  if (!call.code)
    call.outputs = bytesOf(outputs);
  for (lathe_value &output : outputs)
    lathe_value_release(&output);
}

} // namespace

static void addBytes(const lathe_value &value, std::string &bytes) {
  bytes.append(std::to_string(value.kind)).append(":");
  for (uint32_t d = 0; d < value.rank; ++d)
    bytes.append(std::to_string(value.dims[d])).append(",");
  switch (value.kind) {
  case LATHE_VALUE_TENSOR:
    bytes.append(static_cast<const char *>(value.data), lathe_value_bytes(&value));
    break;
  case LATHE_VALUE_STRINGS: {
    auto *strings = static_cast<const lathe_string *>(value.data);
    for (int64_t i = 0; i < lathe_value_elements(&value); ++i)
      bytes.append(strings[i].data, strings[i].size).push_back('\n');
    break;
  }
  case LATHE_VALUE_SEQUENCE:
  case LATHE_VALUE_OPTIONAL:
  case LATHE_VALUE_MAP: {
    auto *items = static_cast<const lathe_value *>(value.data);
    for (int64_t i = 0; i < value.dims[0]; ++i)
      addBytes(items[i], bytes);
  }
  }
}

std::vector<std::string> bytesOf(const std::vector<lathe_value> &values) {
  std::vector<std::string> result;
  for (const lathe_value &value : values)
    addBytes(value, result.emplace_back());
  return result;
}

// A value of any kind. What others hold has sizes of its own.
static tools::Value makeValue(const lathe_tensor_spec &spec, size_t index,
                              tools::RandomOptions &options, std::mt19937_64 &random) {
  tools::Value value{spec.kind, {}, {}};
  switch (spec.kind) {
  case LATHE_VALUE_SEQUENCE:
  case LATHE_VALUE_OPTIONAL:
    for (uint64_t n = random() % (spec.kind == LATHE_VALUE_OPTIONAL ? 2 : 5); n > 0; --n)
      value.elements.push_back(makeValue(spec.items[0], index * 8 + n, options, random));
    return value;
  case LATHE_VALUE_MAP:
    throw tools::Failure("the soak makes up no maps"); // keys would have to differ
  default:
    break;
  }
  std::vector<lathe_dim> dims(spec.dims, spec.dims + spec.rank);
  for (lathe_dim &dim : dims)
    if (dim.size == LATHE_DYNAMIC && !dim.symbol)
      dim.size = random() % 4;
  lathe_tensor_spec sized = spec;
  sized.dims = dims.data();
  return tools::randomValue(sized, index, options);
}

Model makeModel(const std::string &path, int count, std::mt19937_64 &random) {
  Model model{path, std::make_unique<tools::Module>(path, tools::OpenOptions()), {}};
  for (int i = 0; i < count; ++i) {
    Case &call = model.cases.emplace_back();
    tools::RandomOptions options{random(), chooseDims(*model.module, random)};
    for (const lathe_tensor_spec *spec : model.module->inputs()) {
      tools::Value &value =
          call.values.emplace_back(makeValue(*spec, call.values.size(), options, random));
      auto &bytes = value.tensor.bytes;
      if (i == 0 && value.kind == LATHE_VALUE_TENSOR && spec->dtype == LATHE_I64)
        for (size_t at = 0; at + sizeof(int64_t) <= bytes.size(); at += sizeof(int64_t)) {
          int64_t wild = random() % 2 ? INT64_MIN : int64_t(random());
          memcpy(bytes.data() + at, &wild, sizeof(wild));
        }
    }
    call.inputs = std::make_unique<tools::BorrowedValues>(call.values);
    runAlone(*model.module, call);
  }
  return model;
}

} // namespace lathe::soak
