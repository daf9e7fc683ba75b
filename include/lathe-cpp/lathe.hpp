// The runtime for C++20 programs: owners, spans and results over lathe-c/Runtime.h. Header-only;
// throws nothing (but std::bad_alloc where a container of the standard library does) and works with
// -fno-exceptions. Link liblathe. What the C header says about threads and memory holds here, too.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_CPP_LATHE_HPP
#define LATHE_CPP_LATHE_HPP

#include "lathe-c/Runtime.h"

#include <cassert>
#include <chrono>
#include <complex>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace lathe {

/// Why something failed.
class Error {
public:
  Error() = default;
  explicit Error(const lathe_status &status) : status(status) {}

  /// A lathe_status_code.
  int32_t code() const { return status.code; }
  /// The code's name, such as "shape".
  std::string_view name() const { return lathe_status_name(status.code); }
  /// A sentence; lives as long as the error.
  const char *message() const { return status.message; }

private:
  lathe_status status = {};
};

/// A value, or why there is none. Ask (`if (result)`) before reading either.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : content(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : content(std::in_place_index<1>, error) {}

  bool has_value() const { return content.index() == 0; }
  explicit operator bool() const { return has_value(); }
  T &operator*() & { return get(); }
  const T &operator*() const & { return const_cast<Result *>(this)->get(); }
  T &&operator*() && { return std::move(get()); }
  T *operator->() { return &get(); }
  const T *operator->() const { return &**this; }
  const Error &error() const {
    assert(!has_value());
    return *std::get_if<1>(&content);
  }

private:
  T &get() {
    assert(has_value());
    return *std::get_if<0>(&content);
  }
  std::variant<T, Error> content;
};

/// Success, or why not.
template <> class [[nodiscard]] Result<void> {
public:
  Result() = default;
  Result(Error error) : failure(error), failed(true) {}
  bool has_value() const { return !failed; }
  explicit operator bool() const { return !failed; }
  const Error &error() const {
    assert(failed);
    return failure;
  }

private:
  Error failure;
  bool failed = false;
};

/// The dtype of a C++ type. Specialise it for types of yours, such as a 16-bit float.
template <typename T> struct DtypeOf;
template <> struct DtypeOf<float> : std::integral_constant<uint32_t, LATHE_F32> {};
template <> struct DtypeOf<double> : std::integral_constant<uint32_t, LATHE_F64> {};
template <> struct DtypeOf<int8_t> : std::integral_constant<uint32_t, LATHE_I8> {};
template <> struct DtypeOf<int16_t> : std::integral_constant<uint32_t, LATHE_I16> {};
template <> struct DtypeOf<int32_t> : std::integral_constant<uint32_t, LATHE_I32> {};
template <> struct DtypeOf<int64_t> : std::integral_constant<uint32_t, LATHE_I64> {};
template <> struct DtypeOf<uint8_t> : std::integral_constant<uint32_t, LATHE_U8> {};
template <> struct DtypeOf<uint16_t> : std::integral_constant<uint32_t, LATHE_U16> {};
template <> struct DtypeOf<uint32_t> : std::integral_constant<uint32_t, LATHE_U32> {};
template <> struct DtypeOf<uint64_t> : std::integral_constant<uint32_t, LATHE_U64> {};
template <> struct DtypeOf<bool> : std::integral_constant<uint32_t, LATHE_BOOL> {};
template <> struct DtypeOf<std::complex<float>> : std::integral_constant<uint32_t, LATHE_C64> {};
template <> struct DtypeOf<std::complex<double>> : std::integral_constant<uint32_t, LATHE_C128> {};
template <> struct DtypeOf<lathe_string> : std::integral_constant<uint32_t, LATHE_STRING> {};

/// Dims as an argument: `{2, 3}`, a vector or a span. Refers to them.
class Dims : public std::span<const int64_t> {
public:
  Dims(std::initializer_list<int64_t> list) : std::span<const int64_t>(list.begin(), list.size()) {}
  Dims(std::span<const int64_t> dims) : std::span<const int64_t>(dims) {}
  Dims(const std::vector<int64_t> &dims) : std::span<const int64_t>(dims) {}
};

/// A tensor that owns its memory or borrows it; without either it is empty, which as an output means
/// that the runtime allocates it, and as an input or output that is a state, that the context has it.
class Tensor {
public:
  Tensor() = default;
  /// Takes a value over, with the memory that it owns.
  explicit Tensor(const lathe_value &value) : content(value) {}
  Tensor(Tensor &&other) noexcept : content(std::exchange(other.content, lathe_value{})) {}
  Tensor &operator=(Tensor &&other) noexcept {
    std::swap(content, other.content);
    return *this;
  }
  ~Tensor() { lathe_value_release(&content); }

  /// Zeros, in memory of its own.
  static Result<Tensor> create(uint32_t dtype, Dims dims,
                               const lathe_allocator *allocator = nullptr) {
    Tensor result;
    lathe_status status;
    if (lathe_value_create(&result.content, dtype, dims.size(), dims.data(), allocator, &status))
      return Error(status);
    return result;
  }

  /// The elements in `data`, row-major, which must outlive the tensor. There must be as many as
  /// `dims` say. Of constant data: only as an input, which no run writes.
  template <typename T, size_t Extent>
  static Result<Tensor> borrow(std::span<T, Extent> data, Dims dims) {
    using Element = std::remove_const_t<T>;
    Tensor result;
    lathe_status status;
    if (lathe_value_borrow(&result.content, DtypeOf<Element>::value, dims.size(), dims.data(),
                           const_cast<Element *>(data.data()), &status))
      return Error(status);
    if (lathe_value_elements(&result.content) != int64_t(data.size()))
      return failure("the dims have " + std::to_string(lathe_value_elements(&result.content)) +
                     " elements where " + std::to_string(data.size()) + " are given");
    return result;
  }
  template <typename T> static Result<Tensor> borrow(std::vector<T> &data, Dims dims) {
    return borrow(std::span<T>(data), dims);
  }
  template <typename T> static Result<Tensor> borrow(const std::vector<T> &data, Dims dims) {
    return borrow(std::span<const T>(data), dims);
  }

  bool empty() const { return content.kind == LATHE_VALUE_NONE; }
  uint32_t dtype() const { return content.dtype; }
  std::span<const int64_t> dims() const { return {content.dims, content.rank}; }
  std::span<const int64_t> strides() const { return {content.strides, content.rank}; }
  /// Number of elements; 0 where it is no tensor.
  size_t size() const {
    int64_t elements = lathe_value_elements(&content);
    return elements < 0 ? 0 : size_t(elements);
  }

  /// The elements, where they are of this type and lie without gaps.
  template <typename T> Result<std::span<T>> as() {
    constexpr uint32_t asked = DtypeOf<std::remove_const_t<T>>::value;
    if (content.dtype != asked)
      return failure("the tensor's elements are " + typeName(content.dtype) + " where " +
                         typeName(asked) + " is asked for",
                     LATHE_STATUS_TYPE);
    if (!lathe_value_contiguous(&content))
      return failure("the tensor has gaps; copy it first", LATHE_STATUS_LAYOUT);
    return std::span<T>(static_cast<T *>(content.data), size());
  }
  template <typename T> Result<std::span<const T>> as() const {
    Result<std::span<T>> elements = const_cast<Tensor *>(this)->as<T>();
    if (!elements)
      return elements.error();
    return std::span<const T>(*elements);
  }

  const lathe_value &value() const { return content; }

private:
  static std::string typeName(uint32_t dtype) {
    const char *name = lathe_dtype_name(dtype);
    return name ? name : "nothing";
  }
  static Error failure(std::string_view message, int32_t code = LATHE_STATUS_ARGUMENT) {
    lathe_status status = {};
    status.code = code;
    status.site = UINT32_MAX;
    message.copy(status.message, sizeof(status.message) - 1);
    return Error(status);
  }
  lathe_value content = {};
};

// An array of tensors is an array of values.
static_assert(std::is_standard_layout_v<Tensor> && sizeof(Tensor) == sizeof(lathe_value));

/// What an entry takes or returns. Lives as long as its module.
class Spec {
public:
  explicit Spec(const lathe_tensor_spec *spec) : spec(spec) { assert(spec); }
  std::string_view name() const { return spec->name; }
  uint32_t dtype() const { return spec->dtype; }
  std::span<const lathe_dim> dims() const { return {spec->dims, spec->rank}; }
  bool isState() const { return spec->state >= 0; }
  /// "f32[batch,3]".
  std::string text() const {
    std::string result(lathe_tensor_spec_format(spec, nullptr, 0), ' ');
    lathe_tensor_spec_format(spec, result.data(), result.size() + 1);
    return result;
  }
  const lathe_tensor_spec &get() const { return *spec; }

private:
  const lathe_tensor_spec *spec;
};

/// A GPU, for lathe_module_options.device; modules that were opened for it keep it. Any thread may use
/// it.
class Device {
public:
  /// "cuda:0", "hip:0".
  static Result<Device> open(const char *name) {
    lathe_device *device = nullptr;
    lathe_status status;
    if (lathe_device_open(name, &device, &status))
      return Error(status);
    Device result;
    result.handle.reset(device);
    return result;
  }
  std::string name() const { return lathe_device_name(get()); }
  lathe_device_info info() const {
    lathe_device_info result = {};
    result.size = sizeof(result);
    lathe_device_describe(get(), &result, nullptr);
    return result;
  }
  lathe_device *get() const { return handle.get(); }

private:
  struct Close {
    void operator()(lathe_device *device) const { lathe_device_close(device); }
  };
  std::unique_ptr<lathe_device, Close> handle;
};

/// A loaded artifact. Any thread may use it.
class Module {
public:
  static Result<Module> open(const char *path, const lathe_module_options *options = nullptr) {
    return make([&](auto **module, auto *status) {
      return lathe_module_open(path, options, module, status);
    });
  }
  static Result<Module> open(const std::string &path,
                             const lathe_module_options *options = nullptr) {
    return open(path.c_str(), options);
  }
  static Result<Module> openDescriptor(int descriptor, const char *name = nullptr,
                                       const lathe_module_options *options = nullptr) {
    return make([&](auto **module, auto *status) {
      return lathe_module_open_fd(descriptor, name, options, module, status);
    });
  }
  /// Aligned to LATHE_ALIGNMENT; must outlive the module and its contexts.
  static Result<Module> openMemory(std::span<const std::byte> bytes, const char *name = nullptr,
                                   const lathe_module_options *options = nullptr) {
    return make([&](auto **module, auto *status) {
      return lathe_module_open_memory(bytes.data(), bytes.size(), name, options, module, status);
    });
  }
  static Result<Module> openStatic(const lathe_static_model &model,
                                   const lathe_module_options *options = nullptr) {
    return make([&](auto **module, auto *status) {
      return lathe_module_open_static(&model, options, module, status);
    });
  }

  Result<void> verify() const {
    lathe_status status;
    if (lathe_module_verify(get(), &status))
      return Error(status);
    return {};
  }
  std::string_view manifest() const {
    uint64_t bytes = 0;
    const char *text = lathe_module_manifest(get(), &bytes);
    return {text, bytes};
  }
  uint32_t entryCount() const { return lathe_module_entry_count(get()); }
  /// Empty where there is no such entry.
  std::string_view entryName(uint32_t entry) const {
    const char *name = lathe_module_entry_name(get(), entry);
    return name ? name : "";
  }
  /// -1 where there is none.
  int32_t findEntry(const char *name) const { return lathe_module_entry_find(get(), name); }
  uint32_t inputCount(uint32_t entry = 0) const { return lathe_module_input_count(get(), entry); }
  uint32_t outputCount(uint32_t entry = 0) const { return lathe_module_output_count(get(), entry); }
  /// `index` is below inputCount(entry); so below, of outputs.
  Spec input(uint32_t index, uint32_t entry = 0) const {
    return Spec(lathe_module_input_spec(get(), entry, index));
  }
  Spec output(uint32_t index, uint32_t entry = 0) const {
    return Spec(lathe_module_output_spec(get(), entry, index));
  }
  int32_t findInput(const char *name, uint32_t entry = 0) const {
    return lathe_module_input_find(get(), entry, name);
  }
  int32_t findOutput(const char *name, uint32_t entry = 0) const {
    return lathe_module_output_find(get(), entry, name);
  }
  lathe_module *get() const { return handle.get(); }

private:
  struct Close {
    void operator()(lathe_module *module) const { lathe_module_close(module); }
  };
  template <typename Open> static Result<Module> make(Open open) {
    lathe_module *opened = nullptr;
    lathe_status status;
    if (open(&opened, &status))
      return Error(status);
    Module result;
    result.handle.reset(opened);
    return result;
  }
  std::unique_ptr<lathe_module, Close> handle;
};

/// Threads that contexts share; outlives them. Any thread may use it.
class Pool {
public:
  /// 0: one thread per processor.
  static Result<Pool> create(uint32_t threads = 0) {
    lathe_pool *pool = nullptr;
    lathe_status status;
    if (lathe_pool_create(threads, &pool, &status))
      return Error(status);
    Pool result;
    result.handle.reset(pool);
    return result;
  }
  uint32_t threads() const { return lathe_pool_threads(get()); }
  lathe_pool *get() const { return handle.get(); }

private:
  struct Destroy {
    void operator()(lathe_pool *pool) const { lathe_pool_destroy(pool); }
  };
  std::unique_ptr<lathe_pool, Destroy> handle;
};

/// A queue of runs beside the caller, for lathe_context_options.stream; outlives the contexts that
/// use it. Any thread may use it.
class Stream {
public:
  static Result<Stream> create(uint32_t device = 0) {
    lathe_stream *stream = nullptr;
    lathe_status status;
    if (lathe_stream_create(device, &stream, &status))
      return Error(status);
    Stream result;
    result.handle.reset(stream);
    return result;
  }
  /// Until all runs that are in it now have ended; LATHE_STATUS_PENDING where some go on for longer.
  Result<void> wait(std::chrono::nanoseconds atMost = std::chrono::nanoseconds(-1)) {
    lathe_status status;
    if (lathe_stream_wait(get(), atMost.count(), &status))
      return Error(status);
    return {};
  }
  lathe_stream *get() const { return handle.get(); }

private:
  struct Destroy {
    void operator()(lathe_stream *stream) const { lathe_stream_destroy(stream); }
  };
  std::unique_ptr<lathe_stream, Destroy> handle;
};

/// lathe_context_options with its size set.
inline lathe_context_options contextOptions(uint32_t threads = 0) {
  lathe_context_options options = {};
  options.size = sizeof(options);
  options.threads = threads;
  return options;
}

/// One caller's state on a module, which it keeps alive. One thread at a time.
class Context {
public:
  static Result<Context> create(const Module &module,
                                const lathe_context_options &options = contextOptions()) {
    lathe_context *context = nullptr;
    lathe_status status;
    if (lathe_context_create(module.get(), &options, &context, &status))
      return Error(status);
    Context result;
    result.handle.reset(context);
    result.module = module.get();
    return result;
  }

  /// Runs an entry; the outputs own their memory, but those that are states.
  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs, uint32_t entry = 0) {
    std::vector<Tensor> outputs(lathe_module_output_count(module, entry));
    if (Result<void> done = run(inputs, outputs, entry); !done)
      return done.error();
    return outputs;
  }
  /// Runs an entry into `outputs`: those with memory are written, empty ones allocated. Allocates
  /// nothing itself.
  Result<void> run(std::span<const Tensor> inputs, std::span<Tensor> outputs, uint32_t entry = 0) {
    lathe_status status;
    if (lathe_context_run(get(), entry, values(inputs), inputs.size(), values(outputs),
                          outputs.size(), &status))
      return Error(status);
    return {};
  }

  /// Starts a run; data and `outputs` must stay until it has ended. See lathe_context_run_async.
  Result<void> runAsync(std::span<const Tensor> inputs, std::span<Tensor> outputs,
                        uint32_t entry = 0, lathe_completion completion = {}) {
    lathe_status status;
    if (lathe_context_run_async(get(), entry, values(inputs), inputs.size(), values(outputs),
                                outputs.size(), &completion, &status))
      return Error(status);
    return {};
  }
  /// The result of the run that runAsync started; LATHE_STATUS_PENDING where it goes on for longer.
  Result<void> wait(std::chrono::nanoseconds atMost = std::chrono::nanoseconds(-1)) {
    lathe_status status;
    if (lathe_context_wait(get(), atMost.count(), &status))
      return Error(status);
    return {};
  }
  int waitDescriptor() { return lathe_context_wait_descriptor(get()); }

  /// Kind, dtype and dims of the outputs for inputs of such dims, without data.
  Result<std::vector<Tensor>> plan(std::span<const Tensor> inputs, uint32_t entry = 0) {
    std::vector<Tensor> outputs(lathe_module_output_count(module, entry));
    lathe_status status;
    if (lathe_context_plan(get(), entry, values(inputs), inputs.size(),
                           values(std::span<Tensor>(outputs)), nullptr, &status))
      return Error(status);
    return outputs;
  }
  Result<lathe_memory_info> memory(std::span<const Tensor> inputs, uint32_t entry = 0) {
    lathe_memory_info info = {};
    info.size = sizeof(info);
    lathe_status status;
    if (lathe_context_memory(get(), entry, values(inputs), inputs.size(), &info, &status))
      return Error(status);
    return info;
  }
  Result<void> warmUp(std::span<const Tensor> inputs, uint32_t entry = 0) {
    lathe_status status;
    if (lathe_context_warm_up(get(), entry, values(inputs), inputs.size(), &status))
      return Error(status);
    return {};
  }
  lathe_statistics statistics() const {
    lathe_statistics result = {};
    result.size = sizeof(result);
    lathe_context_statistics(get(), &result, nullptr);
    return result;
  }

  /// Any thread.
  void cancel() { lathe_context_cancel(get()); }
  void resume() { lathe_context_resume(get()); }
  void deadline(std::chrono::steady_clock::time_point time) {
    lathe_context_deadline(
        get(),
        std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
  }
  void noDeadline() { lathe_context_deadline(get(), 0); }
  /// All states as before the first run.
  void reset() { lathe_context_reset(get()); }
  uint32_t threads() const { return lathe_context_threads(get()); }
  lathe_context *get() const { return handle.get(); }

private:
  struct Destroy {
    void operator()(lathe_context *context) const { lathe_context_destroy(context); }
  };
  static const lathe_value *values(std::span<const Tensor> tensors) {
    return reinterpret_cast<const lathe_value *>(tensors.data());
  }
  static lathe_value *values(std::span<Tensor> tensors) {
    return reinterpret_cast<lathe_value *>(tensors.data());
  }
  std::unique_ptr<lathe_context, Destroy> handle;
  lathe_module *module = nullptr; // the context keeps it alive
};

} // namespace lathe

#endif // LATHE_CPP_LATHE_HPP
