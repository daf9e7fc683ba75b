// The Python extension: modules and contexts over NumPy arrays. What users see is in
// lathe/__init__.py. Licensed under Apache-2.0 WITH LLVM-exception.
#include "lathe-cpp/lathe.hpp"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

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

// What NumPy has for a dtype; types that it lacks travel as their bits. Empty: none.
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
  default:
    return lathe_dtype_bits(dtype) == 8 ? "uint8" : "";
  }
}

py::tuple describe(const lathe_tensor_spec &spec) {
  py::list dims;
  for (uint32_t d = 0; d < spec.rank; ++d) {
    const lathe_dim &dim = spec.dims[d];
    bool known = dim.size != LATHE_DYNAMIC;
    dims.append(py::make_tuple(known ? py::object(py::int_(dim.size)) : py::none(),
                               dim.symbol ? py::object(py::str(dim.symbol)) : py::none(), dim.min,
                               dim.max));
  }
  std::string text = lathe::Spec(&spec).text();
  const char *name = lathe_dtype_name(spec.dtype);
  return py::make_tuple(spec.name, name ? name : "unknown", numpyName(spec.dtype), dims,
                        spec.state >= 0, text);
}

// Inputs of one run, and what keeps their memory alive.
struct Inputs {
  std::vector<lathe_value> values;
  std::vector<py::object> kept;
  std::vector<std::vector<lathe_string>> strings;
};

// Arrays are contiguous already: lathe/__init__.py has seen to it. None: a state.
Inputs readInputs(const lathe_module *module, uint32_t entry, const py::list &arrays) {
  Inputs result;
  for (size_t i = 0; i < arrays.size(); ++i) {
    const lathe_tensor_spec *spec = lathe_module_input_spec(module, entry, i);
    lathe_value value = {};
    lathe_status status = {};
    if (!arrays[i].is_none() && spec) {
      auto array = arrays[i].cast<py::array>();
      std::vector<int64_t> dims(array.shape(), array.shape() + array.ndim());
      void *data = const_cast<void *>(array.data());
      if (spec->dtype == LATHE_STRING) {
        // An array of bytes objects.
        std::vector<lathe_string> &texts = result.strings.emplace_back();
        auto **objects = static_cast<PyObject **>(data);
        for (py::ssize_t e = 0; e < array.size(); ++e) {
          char *text;
          Py_ssize_t size;
          if (PyBytes_AsStringAndSize(objects[e], &text, &size))
            throw py::error_already_set();
          texts.push_back({text, uint64_t(size)});
        }
        data = texts.data();
      }
      check(lathe_value_borrow(&value, spec->dtype, dims.size(), dims.data(), data, &status),
            status);
      result.kept.push_back(array);
    }
    result.values.push_back(value);
  }
  return result;
}

py::object toArray(lathe_value value) {
  // From here on the array, or this guard, owns the memory.
  auto owner = std::make_unique<lathe::Tensor>(value);
  std::vector<py::ssize_t> dims(value.dims, value.dims + value.rank);
  if (value.kind == LATHE_VALUE_STRINGS) {
    py::list texts;
    auto *strings = static_cast<const lathe_string *>(value.data);
    for (size_t i = 0; i < owner->size(); ++i)
      texts.append(py::reinterpret_steal<py::object>(
          PyUnicode_DecodeUTF8(strings[i].data, strings[i].size, "surrogateescape")));
    py::object numpy = py::module_::import("numpy");
    py::object flat = numpy.attr("empty")(texts.size(), py::arg("dtype") = "object");
    for (size_t i = 0; i < texts.size(); ++i)
      flat[py::int_(i)] = texts[i];
    return flat.attr("reshape")(dims);
  }
  std::vector<py::ssize_t> strides;
  for (uint32_t d = 0; d < value.rank; ++d)
    strides.push_back(value.strides[d] * py::ssize_t(lathe_dtype_bits(value.dtype) / 8));
  py::dtype dtype(numpyName(value.dtype));
  py::capsule base(owner.get(), [](void *tensor) { delete static_cast<lathe::Tensor *>(tensor); });
  owner.release();
  return py::array(dtype, dims, strides, value.data, base);
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
    for (uint32_t i = 0; i < count; ++i) {
      const lathe_tensor_spec &spec = *lathe_module_output_spec(module->get(), entry, i);
      if (!*numpyName(spec.dtype))
        throw py::type_error(std::string("output '") + spec.name + "': NumPy has no type for " +
                             lathe_dtype_name(spec.dtype));
    }
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

  void setTimeout(double seconds) {
    if (seconds < 0)
      return context.noDeadline();
    context.deadline(std::chrono::steady_clock::now() +
                     std::chrono::nanoseconds(int64_t(std::min(seconds, 1e9) * 1e9)));
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
      .def(py::init([](const std::string &path) {
        py::gil_scoped_release released;
        lathe::Result<lathe::Module> result = lathe::Module::open(path);
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
