// Artifacts and runs for the tools: the C API with owners and exceptions.
// Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TOOLS_COMMON_SESSION_H
#define LATHE_TOOLS_COMMON_SESSION_H

#include "lathe-c/Runtime.h"
#include "tools/common/Tensor.h"
#include <functional>
#include <memory>

namespace lathe::tools {

/// How to open an artifact.
struct OpenOptions {
  std::string variant;      ///< empty: the best that this host can run
  bool inspectOnly = false; ///< accept files for other machines, and run nothing
  bool verifyWeights = true;
  std::string device; ///< "cuda:0", "emulator:sm_80"; empty or "cpu": the host
};

struct CloseDevice {
  void operator()(lathe_device *device) const { lathe_device_close(device); }
};
using DevicePtr = std::unique_ptr<lathe_device, CloseDevice>;

/// Opens what --device names; null for the host. Throws WrongUsage where there is no such kind of
/// device, Failure where it cannot be opened.
DevicePtr openDevice(const std::string &device);

/// The target that --target would name for a device: "nvidia:sm_80" for "emulator:sm_80"; empty for
/// the host. Throws as openDevice, which it does.
std::string targetOfDevice(const std::string &device);

/// A GPU of this machine, or why there is none.
struct FoundDevice {
  std::string kind;       ///< "cuda"
  std::string name;       ///< "cuda:0"
  std::string problem;    ///< Empty: it can be used.
  lathe_device_info info; ///< If so.
};
std::vector<FoundDevice> findDevices();

/// An open artifact. Throws Failure, as all functions here.
class Module {
public:
  Module(const std::string &path, const OpenOptions &options);
  lathe_module *get() const { return handle.get(); }
  std::span<const lathe_tensor_spec *const> inputs() const { return inputSpecs; }
  std::span<const lathe_tensor_spec *const> outputs() const { return outputSpecs; }
  std::string manifest() const;
  /// Variants in the file, best first.
  std::vector<lathe_variant_info> variants() const;
  /// The name of the variant that runs, empty when only inspecting.
  std::string chosenVariant() const;

private:
  struct Close {
    void operator()(lathe_module *module) const { lathe_module_close(module); }
  };
  std::unique_ptr<lathe_module, Close> handle;
  std::vector<const lathe_tensor_spec *> inputSpecs, outputSpecs;
};

/// Input values in the runtime's form, borrowing from the values they were made of.
class BorrowedValues {
public:
  explicit BorrowedValues(std::span<const Value> values);
  const lathe_value *data() const { return list.data(); }
  uint32_t size() const { return static_cast<uint32_t>(list.size()); }

private:
  lathe_value borrow(const Value &value);
  std::vector<lathe_value> list;
  std::vector<std::unique_ptr<lathe_value[]>> nested;
  std::vector<std::unique_ptr<lathe_string[]>> strings;
};

/// Output values that the runtime allocated.
class OwnedValues {
public:
  explicit OwnedValues(size_t count) : list(count) {}
  ~OwnedValues() { release(); }
  OwnedValues(const OwnedValues &) = delete;
  OwnedValues &operator=(const OwnedValues &) = delete;
  lathe_value *data() { return list.data(); }
  uint32_t size() const { return static_cast<uint32_t>(list.size()); }
  void release();
  /// Releases strings, sequences, maps and optionals: a run makes them anew, and takes no memory of
  /// an earlier one for them.
  void releaseMade();
  std::vector<Value> copy() const;

private:
  std::vector<lathe_value> list;
};

/// A context on an open artifact.
class Session {
public:
  /// Threads: 0 is one per processor.
  Session(const Module &module, uint32_t threads, const lathe_tracer *tracer = nullptr);
  lathe_context *get() const { return handle.get(); }
  uint32_t threads() const { return lathe_context_threads(handle.get()); }
  uint64_t arenaBytes() const { return lathe_context_arena_bytes(handle.get()); }
  /// Runs once; outputs are allocated, or written to the memory of tensors that are there.
  void run(const BorrowedValues &inputs, OwnedValues &outputs);
  std::vector<Value> run(std::span<const Value> inputs);

private:
  struct Destroy {
    void operator()(lathe_context *context) const { lathe_context_destroy(context); }
  };
  std::unique_ptr<lathe_context, Destroy> handle;
  size_t outputCount;
};

/// Throws Failure with the status's message unless `code` is success.
void checkStatus(int32_t code, const lathe_status &status, const std::string &what = "");

/// "f32[batch,3,?]".
std::string describeSpec(const lathe_tensor_spec &spec);

/// Reads a value for `spec` from a .npy or .pb file.
Value loadValue(const std::string &path, const lathe_tensor_spec &spec);

/// Sizes of symbolic dimensions; those not named are 1, or their least size.
using DimList = std::vector<std::pair<std::string, int64_t>>;

/// The dims of a tensor of such sizes.
std::vector<int64_t> chooseDims(const lathe_tensor_spec &spec, const DimList &sizes);

/// How to fill inputs.
struct RandomOptions {
  uint64_t seed = 0;
  DimList dims;
};

/// A value for input number `index`: floating point in [-1, 1), integers of 8 and 16 bits over
/// their whole range, wider ones and booleans 0 or 1, which is right for masks, tokens and indices
/// alike.
Value randomValue(const lathe_tensor_spec &spec, size_t index, const RandomOptions &options);

/// Throws WrongUsage where --dim names a dimension that the model does not have.
void checkDimNames(const Module &module, const DimList &dims);

} // namespace lathe::tools

#endif // LATHE_TOOLS_COMMON_SESSION_H
