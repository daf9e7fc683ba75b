// The Python extension: modules and contexts over NumPy arrays. What users see is in
// lathe/__init__.py. Licensed under Apache-2.0 WITH LLVM-exception.
#include "lathe-cpp/lathe.hpp"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace py = pybind11;

namespace {

// Set when the module is imported; lives as long as the interpreter.
PyObject *errorType = nullptr;

[[noreturn]] void raise(const lathe_status &status) {
  py::object error = py::reinterpret_borrow<py::object>(errorType)(status.message, status.code,
                                                                   lathe_status_name(status.code));
  PyErr_SetObject(errorType, error.ptr());
  throw py::error_already_set();
}

void check(int32_t code, const lathe_status &status) {
  if (code)
    raise(status);
}

template <typename T> T take(lathe::Result<T> result) {
  if (!result) {
    lathe_status status = {};
    status.code = result.error().code();
    std::string_view(result.error().message()).copy(status.message, sizeof(status.message) - 1);
    raise(status);
  }
  return *std::move(result);
}

// What NumPy has for a dtype; types that it lacks travel as their bits, an element each. Empty:
// none.
const char *numpyName(uint32_t dtype) {
  switch (dtype) {
  case LATHE_F32:
    return "float32";
  case LATHE_F64:
    return "float64";
  case LATHE_F16:
    return "float16";
  case LATHE_BF16:
    return "uint16";
  case LATHE_I8:
    return "int8";
  case LATHE_I16:
    return "int16";
  case LATHE_I32:
    return "int32";
  case LATHE_I64:
    return "int64";
  case LATHE_U8:
    return "uint8";
  case LATHE_U16:
    return "uint16";
  case LATHE_U32:
    return "uint32";
  case LATHE_U64:
    return "uint64";
  case LATHE_BOOL:
    return "bool";
  case LATHE_C64:
    return "complex64";
  case LATHE_C128:
    return "complex128";
  case LATHE_STRING:
    return "object";
  case LATHE_I4:
  case LATHE_I2:
    return "int8";
  default:
    return lathe_dtype_bits(dtype) ? "uint8" : "";
  }
}

const char *kindName(uint32_t kind) {
  switch (kind) {
  case LATHE_VALUE_SEQUENCE:
    return "sequence";
  case LATHE_VALUE_OPTIONAL:
    return "optional";
  case LATHE_VALUE_MAP:
    return "map";
  case LATHE_VALUE_NONE:
    return "any";
  default:
    return "tensor";
  }
}

bool holdsValues(uint32_t kind) {
  return kind == LATHE_VALUE_SEQUENCE || kind == LATHE_VALUE_OPTIONAL || kind == LATHE_VALUE_MAP;
}

// How many specs say what a value holds.
uint32_t itemSpecs(const lathe_tensor_spec &spec) {
  if (!holdsValues(spec.kind) || !spec.items)
    return 0;
  return spec.kind == LATHE_VALUE_MAP ? 2 : 1;
}

py::tuple describe(const lathe_tensor_spec &spec) {
  py::list dims, items;
  bool anyRank = spec.rank == LATHE_ANY_RANK;
  for (uint32_t i = 0; i < itemSpecs(spec); ++i)
    items.append(describe(spec.items[i]));
  for (uint32_t d = 0; d < (anyRank || holdsValues(spec.kind) ? 0 : spec.rank); ++d) {
    const lathe_dim &dim = spec.dims[d];
    bool known = dim.size != LATHE_DYNAMIC;
    dims.append(py::make_tuple(known ? py::object(py::int_(dim.size)) : py::none(),
                               dim.symbol ? py::object(py::str(dim.symbol)) : py::none(), dim.min,
                               dim.max));
  }
  std::string text = lathe::Spec(&spec).text();
  const char *name = lathe_dtype_name(spec.dtype);
  return py::make_tuple(spec.name, name ? name : "", numpyName(spec.dtype),
                        anyRank ? py::object(py::none()) : py::object(dims), spec.state >= 0, text,
                        kindName(spec.kind), items);
}

// Elements below a byte lie together, the first in the low bits.
std::string pack(const lathe_tensor_spec &spec, const py::array &array) {
  uint32_t bits = lathe_dtype_bits(spec.dtype), perByte = 8 / bits;
  bool isSigned = spec.dtype == LATHE_I4 || spec.dtype == LATHE_I2;
  int least = isSigned ? -(1 << (bits - 1)) : 0, most = least + (1 << bits) - 1;
  std::string bytes((array.size() + perByte - 1) / perByte, '\0');
  auto *elements = static_cast<const uint8_t *>(array.data());
  for (py::ssize_t i = 0; i < array.size(); ++i) {
    int element = isSigned ? int(int8_t(elements[i])) : int(elements[i]);
    if (element < least || element > most)
      throw py::value_error(std::string("input '") + spec.name + "': " + std::to_string(element) +
                            " is no " + lathe_dtype_name(spec.dtype) + ", which holds " +
                            std::to_string(least) + " to " + std::to_string(most));
    bytes[i / perByte] |= char((elements[i] & ((1 << bits) - 1)) << (i % perByte * bits));
  }
  return bytes;
}

py::array unpack(const lathe_value &value) {
  uint32_t bits = lathe_dtype_bits(value.dtype), perByte = 8 / bits;
  bool isSigned = value.dtype == LATHE_I4 || value.dtype == LATHE_I2;
  py::array result(py::dtype(numpyName(value.dtype)),
                   std::vector<py::ssize_t>(value.dims, value.dims + value.rank));
  auto *elements = static_cast<uint8_t *>(result.mutable_data());
  auto *bytes = static_cast<const uint8_t *>(value.data);
  for (py::ssize_t i = 0; i < result.size(); ++i) {
    int element = bytes[i / perByte] >> (i % perByte * bits) & ((1 << bits) - 1);
    elements[i] = uint8_t(isSigned && element >> (bits - 1) ? element - (1 << bits) : element);
  }
  return result;
}

// Inputs of one run, and what keeps their memory alive.
struct Inputs {
  std::vector<lathe_value> values;
  std::vector<py::object> kept;
  std::vector<std::vector<lathe_string>> strings;
  std::vector<std::unique_ptr<std::string>> packed;
  std::vector<std::unique_ptr<lathe_value[]>> items;

  lathe_value read(const lathe_tensor_spec &spec, const py::handle &given);
};

// Arrays are contiguous already, and what holds values is a list of them: lathe/__init__.py has
// seen to it.
lathe_value Inputs::read(const lathe_tensor_spec &spec, const py::handle &given) {
  lathe_value value = {};
  lathe_status status = {};
  if (holdsValues(spec.kind)) {
    auto list = given.cast<py::list>();
    std::unique_ptr<lathe_value[]> &made =
        items.emplace_back(std::make_unique<lathe_value[]>(list.size()));
    lathe_value *place = made.get(); // the vector may move while its items are read
    for (size_t i = 0; i < list.size(); ++i)
      place[i] = read(spec.items[spec.kind == LATHE_VALUE_MAP ? i : 0], list[i]);
    check(lathe_value_borrow_items(&value, spec.kind, list.size(), place, &status), status);
    return value;
  }
  auto array = given.cast<py::array>();
  std::vector<int64_t> dims(array.shape(), array.shape() + array.ndim());
  void *data = const_cast<void *>(array.data());
  if (spec.dtype == LATHE_STRING) {
    // An array of bytes objects.
    std::vector<lathe_string> &texts = strings.emplace_back();
    auto **objects = static_cast<PyObject **>(data);
    for (py::ssize_t e = 0; e < array.size(); ++e) {
      char *text;
      Py_ssize_t size;
      if (PyBytes_AsStringAndSize(objects[e], &text, &size))
        throw py::error_already_set();
      texts.push_back({text, uint64_t(size)});
    }
    data = texts.data();
  } else if (lathe_dtype_bits(spec.dtype) < 8) {
    data = packed.emplace_back(std::make_unique<std::string>(pack(spec, array)))->data();
  }
  check(lathe_value_borrow(&value, spec.dtype, dims.size(), dims.data(), data, &status), status);
  kept.push_back(array);
  return value;
}

// None: a state.
Inputs readInputs(const lathe_module *module, uint32_t entry, const py::list &arrays) {
  Inputs result;
  for (size_t i = 0; i < arrays.size(); ++i) {
    const lathe_tensor_spec *spec = lathe_module_input_spec(module, entry, i);
    bool given = !arrays[i].is_none() && spec;
    result.values.push_back(given ? result.read(*spec, arrays[i]) : lathe_value());
  }
  return result;
}

// A value whose memory `owner` keeps: an array, a list, None or what an optional holds, a dict.
py::object toObject(const lathe_value &value, const py::object &owner) {
  std::vector<py::ssize_t> dims(value.dims, value.dims + value.rank);
  if (holdsValues(value.kind)) {
    auto *items = static_cast<const lathe_value *>(value.data);
    py::list list;
    for (int64_t i = 0; i < value.dims[0]; ++i)
      list.append(toObject(items[i], owner));
    if (value.kind == LATHE_VALUE_SEQUENCE)
      return std::move(list);
    if (value.kind == LATHE_VALUE_OPTIONAL)
      return list.empty() ? py::object(py::none()) : py::object(list[0]);
    py::dict map;
    py::list keys = list[0].attr("tolist")();
    for (size_t i = 0; i < keys.size(); ++i)
      map[keys[i]] = list[1][py::int_(i)];
    return std::move(map);
  }
  if (value.dtype == LATHE_STRING) {
    py::list texts;
    auto *strings = static_cast<const lathe_string *>(value.data);
    for (int64_t i = 0, count = lathe_value_elements(&value); i < count; ++i)
      texts.append(py::reinterpret_steal<py::object>(
          PyUnicode_DecodeUTF8(strings[i].data, strings[i].size, "surrogateescape")));
    py::object numpy = py::module_::import("numpy");
    py::object flat = numpy.attr("empty")(texts.size(), py::arg("dtype") = "object");
    for (size_t i = 0; i < texts.size(); ++i)
      flat[py::int_(i)] = texts[i];
    return flat.attr("reshape")(dims);
  }
  uint32_t bits = lathe_dtype_bits(value.dtype);
  if (bits < 8)
    return unpack(value);
  std::vector<py::ssize_t> strides;
  py::ssize_t stride = bits / 8;
  bool isSet = false; // all zero: contiguous
  for (uint32_t d = 0; d < value.rank; ++d)
    isSet |= value.strides[d] != 0;
  for (uint32_t d = value.rank; d-- > 0; stride *= value.dims[d])
    strides.insert(strides.begin(), isSet ? value.strides[d] * py::ssize_t(bits / 8) : stride);
  return py::array(py::dtype(numpyName(value.dtype)), dims, strides, value.data, owner);
}

py::object toArray(lathe_value value) {
  // From here on the object that is made, or this guard, owns the memory.
  auto owner = std::make_unique<lathe::Tensor>(value);
  py::capsule base(owner.get(), [](void *tensor) { delete static_cast<lathe::Tensor *>(tensor); });
  owner.release();
  return toObject(value, base);
}

class Context {
public:
  Context(std::shared_ptr<lathe::Module> module, std::shared_ptr<lathe::Pool> pool,
          uint32_t threads, uint64_t dynamicLimit)
      : module(std::move(module)), pool(std::move(pool)),
        context(make(*this->module, this->pool.get(), threads, dynamicLimit)) {}

  // Runs, without holding the interpreter; states come back as None.
  py::list run(uint32_t entry, const py::list &arrays) {
    Inputs inputs = readInputs(module->get(), entry, arrays);
    uint32_t count = lathe_module_output_count(module->get(), entry);
    std::vector<lathe_value> outputs(count);
    lathe_status status;
    int32_t code;
    {
      py::gil_scoped_release released;
      code = lathe_context_run(context.get(), entry, inputs.values.data(), inputs.values.size(),
                               outputs.data(), outputs.size(), &status);
    }
    check(code, status);
    py::list result;
    for (uint32_t i = 0; i < count; ++i)
      result.append(lathe_module_output_spec(module->get(), entry, i)->state >= 0
                        ? py::none()
                        : toArray(outputs[i]));
    return result;
  }

  void warmUp(uint32_t entry, const py::list &arrays) {
    Inputs inputs = readInputs(module->get(), entry, arrays);
    lathe_status status;
    int32_t code;
    {
      py::gil_scoped_release released;
      code = lathe_context_warm_up(context.get(), entry, inputs.values.data(), inputs.values.size(),
                                   &status);
    }
    check(code, status);
  }

  py::dict memory(uint32_t entry, const py::list &arrays) {
    Inputs inputs = readInputs(module->get(), entry, arrays);
    lathe_memory_info info = {};
    info.size = sizeof(info);
    lathe_status status;
    check(lathe_context_memory(context.get(), entry, inputs.values.data(), inputs.values.size(),
                               &info, &status),
          status);
    py::dict result;
    result["arena"] = info.arena_bytes;
    result["outputs"] = info.output_bytes;
    result["states"] = info.state_bytes;
    result["peak"] = info.peak_bytes;
    result["dynamic"] = info.dynamic != 0;
    return result;
  }

  py::dict statistics() const {
    lathe_statistics counts = context.statistics();
    py::dict result;
    result["runs"] = counts.runs;
    result["failures"] = counts.failures;
    result["cancelled"] = counts.cancelled;
    result["late"] = counts.late;
    result["prepare_ns"] = counts.prepare_ns;
    result["run_ns"] = counts.run_ns;
    result["finish_ns"] = counts.finish_ns;
    result["longest_ns"] = counts.longest_ns;
    return result;
  }

  // What is left of a caller's own time may be negative: then it has passed.
  void setTimeout(std::optional<double> seconds) {
    if (!seconds)
      return context.noDeadline();
    if (std::isnan(*seconds))
      throw py::value_error("the time limit is not a number; None means no limit");
    context.deadline(std::chrono::steady_clock::now() +
                     std::chrono::nanoseconds(int64_t(std::clamp(*seconds, 0.0, 1e9) * 1e9)));
  }

  void cancel() { context.cancel(); }
  void resume() { context.resume(); }
  void reset() { context.reset(); }
  uint32_t threads() const { return context.threads(); }

private:
  static lathe::Context make(const lathe::Module &module, const lathe::Pool *pool, uint32_t threads,
                             uint64_t dynamicLimit) {
    lathe_context_options options = lathe::contextOptions(threads);
    options.pool = pool ? pool->get() : nullptr;
    options.dynamic_limit = dynamicLimit;
    return take(lathe::Context::create(module, options));
  }
  std::shared_ptr<lathe::Module> module;
  std::shared_ptr<lathe::Pool> pool; // outlives the context
  lathe::Context context;
};

py::list specs(const lathe::Module &module, uint32_t entry, bool inputs) {
  py::list result;
  uint32_t count = inputs ? module.inputCount(entry) : module.outputCount(entry);
  for (uint32_t i = 0; i < count; ++i)
    result.append(describe((inputs ? module.input(i, entry) : module.output(i, entry)).get()));
  return result;
}

} // namespace

PYBIND11_MODULE(_lathe, m) {
  m.doc() = "The runtime of Lathe; use the package lathe.";
  m.attr("version") = lathe_version_string();
  m.def("set_error", [](py::object type) {
    Py_XDECREF(errorType);
    errorType = type.release().ptr();
  });

  py::class_<lathe::Module, std::shared_ptr<lathe::Module>>(m, "Module")
      .def(py::init([](const std::string &path, const std::string &device) {
        // A driver may take long to begin.
        std::optional<lathe::Result<lathe::Device>> opened;
        if (!device.empty()) {
          py::gil_scoped_release released;
          opened.emplace(lathe::Device::open(device.c_str()));
        }
        std::optional<lathe::Device> kept;
        if (opened)
          kept = take(*std::move(opened));
        lathe_module_options options = {};
        options.size = sizeof(options);
        options.device = kept ? kept->get() : nullptr; // the module keeps it
        py::gil_scoped_release released;
        lathe::Result<lathe::Module> result = lathe::Module::open(path, &options);
        py::gil_scoped_acquire acquired;
        return std::make_shared<lathe::Module>(take(std::move(result)));
      }))
      .def("entries",
           [](const lathe::Module &module) {
             py::list names;
             for (uint32_t i = 0; i < module.entryCount(); ++i)
               names.append(py::str(std::string(module.entryName(i))));
             return names;
           })
      .def("inputs", [](const lathe::Module &module, uint32_t e) { return specs(module, e, true); })
      .def("outputs",
           [](const lathe::Module &module, uint32_t e) { return specs(module, e, false); })
      .def("manifest", [](const lathe::Module &module) { return std::string(module.manifest()); })
      .def("verify", [](const lathe::Module &module) {
        lathe_status status;
        int32_t code;
        {
          py::gil_scoped_release released;
          code = lathe_module_verify(module.get(), &status);
        }
        check(code, status);
      });
  py::class_<lathe::Pool, std::shared_ptr<lathe::Pool>>(m, "Pool")
      .def(py::init([](uint32_t threads) {
        return std::make_shared<lathe::Pool>(take(lathe::Pool::create(threads)));
      }))
      .def("threads", &lathe::Pool::threads);
  py::class_<Context>(m, "Context")
      .def(py::init<std::shared_ptr<lathe::Module>, std::shared_ptr<lathe::Pool>, uint32_t,
                    uint64_t>())
      .def("run", &Context::run)
      .def("warm_up", &Context::warmUp)
      .def("memory", &Context::memory)
      .def("statistics", &Context::statistics)
      .def("set_timeout", &Context::setTimeout)
      .def("cancel", &Context::cancel)
      .def("resume", &Context::resume)
      .def("reset", &Context::reset)
      .def("threads", &Context::threads);
}
