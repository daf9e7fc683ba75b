// The inputs of a run, from --input, --dim and --seed.
// Apache-2.0 WITH LLVM-exception.
#include "tools/lathe/Inputs.h"
#include "tools/common/Dims.h"
#include "tools/common/Support.h"

#include <map>

namespace lathe::tools {

void addInputOptions(CLI::App &command, InputOptions &options) {
  addRepeated(command, "--input,-i", options.inputs,
              "An input: NAME=FILE.npy, NAME=FILE.pb or NAME=random; FILE alone where the model "
              "has one input; random alone for all others")
      ->type_name("NAME=FILE");
  addRepeated(command, "--dim", options.dims,
              "Size of a symbolic dimension of random inputs (default 1)")
      ->type_name("NAME=N");
  command.add_option("--seed", options.seed, "Seed of random inputs (default 0)");
}

std::vector<Value> makeInputs(const Module &module, const InputOptions &options) {
  RandomOptions random{options.seed, parseDims(options.dims)};
  checkDimNames(module, random.dims);
  std::map<std::string, std::string> sources;
  bool randomRest = options.inputs.empty();
  auto names = [&] {
    std::vector<std::string> list;
    for (const lathe_tensor_spec *spec : module.inputs())
      list.push_back("'" + std::string(spec->name) + "'");
    return list.empty() ? std::string("none") : join(list, ", ");
  };
  for (const std::string &text : options.inputs) {
    if (text == "random") {
      randomRest = true;
      continue;
    }
    std::pair<std::string, std::string> pair;
    if (text.find('=') == std::string::npos && module.inputs().size() == 1)
      pair = {module.inputs()[0]->name, text};
    else
      pair = splitPair(text, '=', "--input", "NAME=FILE.npy, NAME=FILE.pb or NAME=random");
    bool known = false;
    for (const lathe_tensor_spec *spec : module.inputs())
      known |= pair.first == spec->name;
    if (!known)
      throw Failure("the model has no input '" + pair.first + "'; its inputs are " + names());
    if (!sources.insert(pair).second)
      throw WrongUsage("--input " + pair.first + " is given twice");
  }
  std::vector<Value> values;
  for (size_t i = 0; i < module.inputs().size(); ++i) {
    const lathe_tensor_spec &spec = *module.inputs()[i];
    auto source = sources.find(spec.name);
    if (source == sources.end() && options.keepStates && spec.state >= 0) {
      values.push_back({.kind = LATHE_VALUE_NONE});
      continue;
    }
    if (source == sources.end() && !randomRest)
      throw Failure(std::string("input '") + spec.name + "' " + describeSpec(spec) +
                    " is missing; give --input " + spec.name + "=FILE or --input random");
    if (source == sources.end() || source->second == "random")
      values.push_back(randomValue(spec, i, random));
    else
      values.push_back(loadValue(source->second, spec));
  }
  return values;
}

} // namespace lathe::tools
