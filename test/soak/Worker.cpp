// One thread of the soak: contexts, runs of every kind, files that come and go.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "test/soak/Soak.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <poll.h>

using namespace lathe;
using namespace lathe::soak;

namespace {

/// One thread of the soak.
class Worker {
public:
  Worker(Soak &soak, size_t index) : soak(soak), index(index), random(index + 1) {}

  void work() {
    while (!soak.stop) {
      // A context lives for some runs, then another one is made.
      const Model &model = soak.models[random() % soak.models.size()];
      lathe_context *context = makeContext(model, soak.allocator);
      if (!context)
        return;
      setRunning(context);
      for (int i = random() % 40; i >= 0 && !soak.stop; --i)
        if (random() % 16)
          runOnce(model, context);
        else
          runStrided(model, context);
      if (random() % 8 == 0) {
        destroyRunning(model, context);
      } else {
        setRunning(nullptr);
        lathe_context_destroy(context);
      }
      switch (random() % 8) {
      case 0:
        runWithLittleMemory(model);
        break;
      case 1:
        reload(model);
        break;
      case 2:
        openDamaged(model);
        break;
      }
    }
    std::lock_guard lock(soak.mutex);
    for (auto [code, count] : codes)
      soak.codes[code] += count;
  }

private:
  lathe_context *makeContext(const Model &model, Allocator &allocator) {
    lathe_context_options options = {};
    options.size = sizeof(options);
    options.threads = 1;
    options.allocator = allocator.get();
    if (random() % 2)
      options.pool = soak.pool;
    switch (random() % 3) {
    case 0:
      options.submit = Executor::submit;
      options.submit_user = &soak.executor;
      break;
    case 1:
      options.stream = soak.stream;
      break;
    }
    lathe_context *context = nullptr;
    lathe_status status;
    if (lathe_context_create(model.module->get(), &options, &context, &status))
      soak.fail(std::string("no context: ") + status.message);
    ++soak.contexts;
    return context;
  }

  void setRunning(lathe_context *context) {
    std::lock_guard lock(soak.mutex);
    soak.running[index] = context;
  }

  // Runs, one way or another, and takes the outputs' bytes.
  int32_t call(lathe_context *context, const std::vector<lathe_value> &inputs, size_t outputCount,
               std::vector<std::string> &bytes, lathe_status &status) {
    std::vector<lathe_value> outputs(outputCount);
    if (random() % 4 == 0)
      supplyOutputs(context, inputs, outputs);
    int32_t code = random() % 4 ? lathe_context_run(context, 0, inputs.data(), inputs.size(),
                                                    outputs.data(), outputs.size(), &status)
                                : callBeside(context, inputs, outputs, status);
    if (!code)
      bytes = bytesOf(outputs);
    for (lathe_value &output : outputs)
      lathe_value_release(&output);
    ++codes[code];
    return code;
  }

  // Memory for the outputs whose sizes are known ahead; the others are left to the runtime.
  void supplyOutputs(lathe_context *context, const std::vector<lathe_value> &inputs,
                     std::vector<lathe_value> &outputs) {
    std::vector<lathe_value> plan(outputs.size());
    if (lathe_context_plan(context, 0, inputs.data(), inputs.size(), plan.data(), nullptr, nullptr))
      return;
    lathe_allocator allocator = soak.allocator.get();
    for (size_t i = 0; i < plan.size(); ++i)
      if (plan[i].kind == LATHE_VALUE_TENSOR &&
          std::ranges::find(plan[i].dims, plan[i].dims + plan[i].rank, LATHE_DYNAMIC) ==
              plan[i].dims + plan[i].rank)
        lathe_value_create(&outputs[i], plan[i].dtype, plan[i].rank, plan[i].dims, &allocator,
                           nullptr);
  }

  // What a completion was told.
  struct Told {
    std::atomic<int> times{0};
    std::atomic<int32_t> code{-1};
    lathe_completion get() {
      return {this, [](void *user, const lathe_status *status) {
                static_cast<Told *>(user)->code = status->code;
                ++static_cast<Told *>(user)->times;
              }};
    }
  };

  // Beside the caller, who waits in one of four ways.
  int32_t callBeside(lathe_context *context, const std::vector<lathe_value> &inputs,
                     std::vector<lathe_value> &outputs, lathe_status &status) {
    enum { Told_, Descriptor, Slices, Wait } how = decltype(how)(random() % 4);
    int descriptor = how == Descriptor ? lathe_context_wait_descriptor(context) : 0;
    if (descriptor < 0)
      soak.fail("there is no descriptor to wait for");
    Told told;
    lathe_completion completion = told.get();
    bool tells = how == Told_ || random() % 2;
    if (int32_t code =
            lathe_context_run_async(context, 0, inputs.data(), inputs.size(), outputs.data(),
                                    outputs.size(), tells ? &completion : nullptr, &status))
      return code;
    ++soak.beside;
    // The context is in use, unless the run has ended already.
    if (int32_t code = random() % 4 ? 0 : lathe_context_reserve(context, 1, nullptr))
      if (code != LATHE_STATUS_ARGUMENT && code != LATHE_STATUS_MEMORY)
        soak.fail(std::string("a context in use says ") + lathe_status_name(code));
    if (how == Descriptor) {
      pollfd entry = {descriptor, POLLIN, 0};
      if (poll(&entry, 1, 60'000) != 1)
        soak.fail("the descriptor of a run does not become readable");
    } else if (how == Slices) {
      while (lathe_context_wait(context, random() % 100'000, &status) == LATHE_STATUS_PENDING)
        ;
    } else if (how == Told_) {
      while (!told.times)
        std::this_thread::yield();
    }
    int32_t code = lathe_context_wait(context, -1, &status);
    while (tells && !told.times) // it may be told after the wait has ended
      std::this_thread::yield();
    if (tells && (told.times != 1 || told.code != code))
      soak.fail("a completion was told otherwise than who waited");
    return code;
  }

  // A context that is destroyed while it runs: the run is cancelled, or it was fast enough.
  void destroyRunning(const Model &model, lathe_context *context) {
    const Case &test = model.cases[random() % model.cases.size()];
    std::vector<lathe_value> outputs(model.module->outputs().size());
    Told told;
    lathe_completion completion = told.get();
    lathe_context_deadline(context, 0);
    int32_t code = lathe_context_run_async(context, 0, test.inputs->data(), test.inputs->size(),
                                           outputs.data(), outputs.size(), &completion, nullptr);
    setRunning(nullptr);
    lathe_context_destroy(context);
    if (code || told.times != 1 || (told.code != test.code && told.code != LATHE_STATUS_CANCELLED))
      soak.fail(model.path + ": destroyed while it ran: " + lathe_status_name(told.code));
    if (told.code == LATHE_STATUS_OK && bytesOf(outputs) != test.outputs)
      soak.fail(model.path + ": other bits, destroyed while it ran");
    for (lathe_value &output : outputs)
      lathe_value_release(&output);
    ++codes[told.code];
    ++soak.beside;
  }

  // Inputs that lie with gaps or turned around are refused, and their copies are as good as they.
  void runStrided(const Model &model, lathe_context *context) {
    const Case &test = model.cases[random() % model.cases.size()];
    std::vector<lathe_value> inputs(test.inputs->data(), test.inputs->data() + test.inputs->size());
    std::vector<lathe_value> spread(inputs.size()), copies(inputs.size());
    lathe_allocator allocator = soak.allocator.get();
    lathe_status status;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const lathe_value &input = inputs[i];
      if (input.kind != LATHE_VALUE_TENSOR || lathe_dtype_bits(input.dtype) % 8)
        continue;
      int64_t strides[LATHE_MAX_RANK], stride = 1 + random() % 3;
      bool turned = random() % 2;
      for (uint32_t d = 0; d < input.rank; ++d) {
        uint32_t dim = turned ? d : input.rank - 1 - d;
        strides[dim] = stride;
        stride *= std::max<int64_t>(1, input.dims[dim]) + random() % 2;
      }
      lathe_value_layout layout = {};
      layout.size = sizeof(layout);
      layout.strides = strides;
      layout.alignment = uint64_t(16) << random() % 8;
      layout.allocator = allocator;
      if (lathe_value_create_layout(&spread[i], input.dtype, input.rank, input.dims, &layout,
                                    &status) ||
          lathe_value_copy(&input, &spread[i], &status) ||
          lathe_value_create(&copies[i], input.dtype, input.rank, input.dims, &allocator,
                             &status) ||
          lathe_value_copy(&spread[i], &copies[i], &status))
        soak.fail(model.path + ": a copy with strides: " + status.message);
      else if (bytesOf({input}) != bytesOf({copies[i]}))
        soak.fail(model.path + ": a copy of a copy with strides is another");
    }
    lathe_context_deadline(context, 0);
    std::vector<std::string> bytes;
    size_t wrong = inputs.empty() ? 0 : random() % inputs.size();
    if (wrong < inputs.size() && spread[wrong].kind && !lathe_value_contiguous(&spread[wrong])) {
      std::vector<lathe_value> given = inputs;
      given[wrong] = spread[wrong];
      int32_t code = call(context, given, model.module->outputs().size(), bytes, status);
      // An input before it may be refused first.
      if (code != LATHE_STATUS_LAYOUT && code != test.code)
        soak.fail(model.path + ": strides: " + status.message);
      if (!code)
        soak.fail(model.path + ": strides are not refused");
    }
    for (size_t i = 0; i < inputs.size(); ++i)
      if (copies[i].kind)
        inputs[i] = copies[i];
    int32_t code = call(context, inputs, model.module->outputs().size(), bytes, status);
    if (code == LATHE_STATUS_CANCELLED)
      lathe_context_resume(context);
    else if (code != test.code || (!code && bytes != test.outputs))
      soak.fail(model.path + ": other bits on copies: " + status.message);
    for (auto *values : {&spread, &copies})
      for (lathe_value &value : *values)
        lathe_value_release(&value);
    ++soak.strided;
  }

  void runOnce(const Model &model, lathe_context *context) {
    const Case &test = model.cases[random() % model.cases.size()];
    std::vector<lathe_value> inputs(test.inputs->data(), test.inputs->data() + test.inputs->size());
    std::vector<int32_t> allowed = {test.code, LATHE_STATUS_CANCELLED};
    uint64_t choice = random() % 16;
    int64_t deadline = 0;
    if (choice == 0)
      deadline = nowNs() + random() % 300'000;
    else if (choice <= 3 && !inputs.empty())
      damage(inputs[random() % inputs.size()]);
    if (deadline)
      allowed.push_back(LATHE_STATUS_DEADLINE);
    lathe_context_deadline(context, deadline);
    std::vector<std::string> bytes;
    lathe_status status;
    int32_t code = call(context, inputs, model.module->outputs().size(), bytes, status);
    if (code == LATHE_STATUS_CANCELLED)
      lathe_context_resume(context);
    bool isRefusal = choice >= 1 && choice <= 3 && !inputs.empty();
    bool fine = isRefusal ? (code == LATHE_STATUS_TYPE || code == LATHE_STATUS_SHAPE ||
                             code == LATHE_STATUS_LAYOUT || code == LATHE_STATUS_CANCELLED)
                          : std::ranges::find(allowed, code) != allowed.end();
    if (!fine || (code && !status.message[0]))
      soak.fail(model.path + ": status " + lathe_status_name(code) + ", " + status.message +
                "; alone it was " + lathe_status_name(test.code));
    if (code == LATHE_STATUS_OK && !isRefusal && bytes != test.outputs)
      soak.fail(model.path + ": other bits than alone");
  }

  // What no model takes.
  void damage(lathe_value &input) {
    // A sequence, or what else holds values, may be wrong inside.
    bool holds = input.kind >= LATHE_VALUE_SEQUENCE && input.kind <= LATHE_VALUE_MAP;
    if (holds && input.dims[0] > 0 && random() % 2) {
      auto *first = static_cast<const lathe_value *>(input.data);
      damagedItems.assign(first, first + input.dims[0]);
      input.data = damagedItems.data();
      lathe_value &item = damagedItems[random() % damagedItems.size()];
      item.kind = random() % 2 ? LATHE_VALUE_NONE : 99;
      return;
    }
    switch (random() % 5) {
    case 0:
      input.dtype = input.dtype == LATHE_F64 ? LATHE_F32 : LATHE_F64;
      break;
    case 1:
      input.rank += 1;
      break;
    case 2:
      input.device = 7;
      break;
    case 3:
      input.kind = LATHE_VALUE_NONE;
      break;
    default:
      input.kind = 99;
    }
  }

  void runWithLittleMemory(const Model &model) {
    Allocator refusing;
    refusing.refuseOneIn = 2 + random() % 4;
    refusing.calls = random();
    const Case &test = model.cases[random() % model.cases.size()];
    std::vector<lathe_value> inputs(test.inputs->data(), test.inputs->data() + test.inputs->size());
    lathe_context *context = makeContext(model, refusing);
    for (int i = 0; i < 8 && context; ++i) {
      std::vector<std::string> bytes;
      lathe_status status;
      int32_t code = call(context, inputs, model.module->outputs().size(), bytes, status);
      if (code != LATHE_STATUS_MEMORY && code != LATHE_STATUS_RUN_MEMORY && code != test.code)
        soak.fail(model.path + ": without memory: " + status.message);
      if (code == LATHE_STATUS_OK && bytes != test.outputs)
        soak.fail(model.path + ": other bits after a refusal");
    }
    lathe_context_destroy(context);
    if (refusing.live)
      soak.fail(model.path + ": " + std::to_string(refusing.live) + " bytes are lost");
  }

  std::string copyOf(const Model &model) {
    std::string path =
        soak.folder + "/" + std::to_string(index) + "-" + std::to_string(random() % 4) + ".lathe";
    std::filesystem::copy_file(model.path, path + ".part",
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::rename(path + ".part", path);
    return path;
  }

  // A file under a path that may be open already, by rename.
  void reload(const Model &model) {
    std::string path = copyOf(model);
    lathe_module *module = nullptr;
    lathe_status status;
    if (lathe_module_open(path.c_str(), nullptr, &module, &status))
      return soak.fail(std::string("reload: ") + status.message);
    ++soak.opened;
    lathe_context *context = nullptr;
    lathe_context_options options = {};
    options.size = sizeof(options);
    options.threads = 1;
    options.allocator = soak.allocator.get();
    if (lathe_context_create(module, &options, &context, &status))
      soak.fail(std::string("reload: ") + status.message);
    lathe_module_close(module); // the context keeps it
    const Case &test = model.cases[random() % model.cases.size()];
    std::vector<std::string> bytes;
    int32_t code = call(context, {test.inputs->data(), test.inputs->data() + test.inputs->size()},
                        model.module->outputs().size(), bytes, status);
    if (code != test.code || (!code && bytes != test.outputs))
      soak.fail(path + ": other bits after a reload");
    lathe_context_destroy(context);
  }

  void openDamaged(const Model &model) {
    std::string path = copyOf(model);
    uint64_t bytes = std::filesystem::file_size(path);
    if (random() % 2) {
      std::filesystem::resize_file(path, random() % bytes);
    } else if (FILE *file = fopen(path.c_str(), "r+b")) {
      fseek(file, random() % 512, SEEK_SET); // the headers
      fputs("damage", file);
      fclose(file);
    }
    lathe_module *module = nullptr;
    lathe_status status;
    int32_t code = lathe_module_open(path.c_str(), nullptr, &module, &status);
    lathe_module_close(module);
    std::filesystem::remove(path);
    if (!code || !status.message[0])
      soak.fail(path + ": a damaged file is loaded");
    ++soak.refused;
  }

  Soak &soak;
  size_t index;
  std::mt19937_64 random;
  std::map<int32_t, uint64_t> codes;
  std::vector<lathe_value> damagedItems;
};

} // namespace

void lathe::soak::work(Soak &soak, size_t index) { Worker(soak, index).work(); }
