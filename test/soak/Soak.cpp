// Runs models from several threads for a long time: with all that goes wrong in a server's life,
// and with every result compared. utils/soak starts it. Licensed under Apache-2.0 WITH
// LLVM-exception.
#include "test/soak/Cases.h"
#include "tools/common/Support.h"

#include <algorithm>
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>
#include <unistd.h>

using namespace lathe;
using namespace lathe::soak;

namespace {

int64_t nowNs() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * int64_t(1'000'000'000) + time.tv_nsec;
}

/// Memory that is counted, and refused by chance.
struct Allocator {
  std::atomic<int64_t> live{0};
  uint32_t refuseOneIn = 0; ///< 0: never
  std::atomic<uint64_t> calls{0};

  lathe_allocator get() { return {this, allocate, release}; }
  static void *allocate(void *user, uint64_t bytes, uint64_t alignment) {
    auto *self = static_cast<Allocator *>(user);
    uint64_t call = self->calls++ * UINT64_C(0x9e3779b97f4a7c15) >> 32;
    void *memory = nullptr;
    if ((self->refuseOneIn && call % self->refuseOneIn == 0) ||
        posix_memalign(&memory, alignment, bytes))
      return nullptr;
    self->live += bytes;
    return memory;
  }
  static void release(void *user, void *memory, uint64_t bytes) {
    static_cast<Allocator *>(user)->live -= bytes;
    free(memory);
  }
};

struct Soak {
  std::vector<Model> models;
  lathe_pool *pool = nullptr;
  Allocator allocator;
  std::string folder; ///< for files that come and go
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> opened{0}, refused{0}, contexts{0};
  std::mutex mutex;
  std::map<int32_t, uint64_t> codes;    ///< how runs ended
  std::vector<lathe_context *> running; ///< one per worker; under the mutex
  std::string failure;                  ///< the first; empty: none

  void fail(const std::string &what) {
    std::lock_guard lock(mutex);
    if (failure.empty())
      failure = what;
    stop = true;
  }
};

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
        runOnce(model, context);
      setRunning(nullptr);
      lathe_context_destroy(context);
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

  // Runs and takes the outputs' bytes.
  int32_t call(lathe_context *context, const std::vector<lathe_value> &inputs, size_t outputCount,
               std::vector<std::string> &bytes, lathe_status &status) {
    std::vector<lathe_value> outputs(outputCount);
    int32_t code = lathe_context_run(context, 0, inputs.data(), inputs.size(), outputs.data(),
                                     outputs.size(), &status);
    if (!code)
      bytes = bytesOf(outputs);
    for (lathe_value &output : outputs)
      lathe_value_release(&output);
    ++codes[code];
    return code;
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
      allowed = {damage(inputs[random() % inputs.size()])};
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
  int32_t damage(lathe_value &input) {
    switch (random() % 5) {
    case 0:
      input.dtype = input.dtype == LATHE_F64 ? LATHE_F32 : LATHE_F64;
      return LATHE_STATUS_TYPE;
    case 1:
      input.rank += 1;
      return LATHE_STATUS_SHAPE;
    case 2:
      input.device = 7;
      return LATHE_STATUS_LAYOUT;
    case 3:
      input.kind = LATHE_VALUE_NONE;
      return LATHE_STATUS_TYPE;
    default:
      input.kind = 99;
      return LATHE_STATUS_TYPE;
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
};

// Cancels a run here and there.
void cancelSome(Soak &soak) {
  std::mt19937_64 random(99);
  while (!soak.stop) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 4000));
    std::lock_guard lock(soak.mutex);
    lathe_context_cancel(soak.running[random() % soak.running.size()]);
  }
}

double residentMegabytes() {
  FILE *file = fopen("/proc/self/statm", "r");
  unsigned long size = 0, resident = 0;
  if (!file || fscanf(file, "%lu %lu", &size, &resident) != 2)
    resident = 0;
  if (file)
    fclose(file);
  return double(resident) * sysconf(_SC_PAGESIZE) / 1e6;
}

double meanOf(const std::vector<double> &samples, size_t begin, size_t end) {
  double sum = 0;
  for (size_t i = begin; i < end; ++i)
    sum += samples[i];
  return end > begin ? sum / double(end - begin) : 0;
}

int report(Soak &soak, const std::vector<double> &resident, double seconds, bool checkResident) {
  uint64_t runs = 0;
  for (auto [code, count] : soak.codes)
    runs += count;
  printf("%.0f s, %zu models, %zu threads: %" PRIu64 " runs, %" PRIu64 " contexts, %" PRIu64
         " modules opened, %" PRIu64 " damaged files refused\n",
         seconds, soak.models.size(), soak.running.size(), runs, soak.contexts.load(),
         soak.opened.load(), soak.refused.load());
  for (auto [code, count] : soak.codes)
    printf("  %-12s %" PRIu64 "\n", lathe_status_name(code), count);
  size_t quarter = resident.size() / 4;
  double early = meanOf(resident, quarter, 2 * quarter);
  double late = meanOf(resident, resident.size() - quarter, resident.size());
  printf("  resident: %.1f MB in the second quarter, %.1f MB in the last\n", early, late);
  // A leak of a few bytes a run is megabytes by then; what the allocator keeps moves by less.
  if (soak.failure.empty() && checkResident && late > early * 1.02 + 2)
    soak.failure = "the process grows";
  if (soak.failure.empty() && soak.allocator.live)
    soak.failure = std::to_string(soak.allocator.live) + " bytes are never released";
  printf("%s\n", soak.failure.empty() ? "soak: nothing failed" : soak.failure.c_str());
  return soak.failure.empty() ? 0 : 1;
}

} // namespace

// usage: lathe-soak SECONDS THREADS FOLDER CHECK-RESIDENT(0|1) ARTIFACT...
int main(int argc, char **argv) {
  if (argc < 6) {
    fprintf(stderr, "usage: utils/soak\n");
    return 2;
  }
  double seconds = atof(argv[1]);
  Soak soak;
  soak.folder = argv[3];
  soak.running.resize(std::max(1, atoi(argv[2])));
  try {
    std::mt19937_64 random(1);
    for (int i = 5; i < argc; ++i)
      soak.models.push_back(makeModel(argv[i], 5, random));
  } catch (const std::exception &error) {
    fprintf(stderr, "soak: %s\n", error.what());
    return 1;
  }
  if (lathe_pool_create(2, &soak.pool, nullptr))
    return 1;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < soak.running.size(); ++i)
    threads.emplace_back([&soak, i] { Worker(soak, i).work(); });
  std::thread canceller([&soak] { cancelSome(soak); });
  std::vector<double> resident;
  int64_t begin = nowNs(), end = begin + int64_t(seconds * 1e9);
  while (!soak.stop && nowNs() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    resident.push_back(residentMegabytes());
  }
  soak.stop = true;
  for (std::thread &thread : threads)
    thread.join();
  canceller.join();
  lathe_pool_destroy(soak.pool);
  return report(soak, resident, double(nowNs() - begin) / 1e9, atoi(argv[4]) != 0);
}
