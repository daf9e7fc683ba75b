// What calls of the runtime cost, on a model that computes almost nothing: z = x + 2 y in two
// parallel regions (test/unit/runtime/model.c).
//
//   build/bin/runtime-bench [--benchmark_filter=REGEX] [--benchmark_repetitions=N]
//
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "test/unit/runtime/TestArtifact.h"

#include <benchmark/benchmark.h>
#include <cstdio>
#include <cstdlib>

namespace {

void check(int32_t code, const lathe_status &status) {
  if (code == LATHE_STATUS_OK)
    return;
  fprintf(stderr, "runtime-bench: %s\n", status.message);
  exit(1);
}

lathe_module *open() {
  static const lathe::test::TemporaryFile file(lathe::test::makeArtifact());
  lathe_module *module = nullptr;
  lathe_status status;
  check(lathe_module_open(file.path(), nullptr, &module, &status), status);
  return module;
}

lathe_module *sharedModule() {
  static lathe_module *const module = open(); // as long as the process
  return module;
}

/// A context, and inputs and an output of `rows` times 4 floats.
class Call {
public:
  explicit Call(int64_t rows, uint32_t threads = 1)
      : entry(lathe_module_entry_find(sharedModule(), "run")), x(rows * 4, 1), y(rows * 4, 2),
        z(rows * 4) {
    lathe_context_options options = {};
    options.size = sizeof(options);
    options.threads = threads;
    check(lathe_context_create(sharedModule(), &options, &context, &status), status);
    const int64_t dims[] = {rows, 4};
    check(lathe_value_borrow(&inputs[0], LATHE_F32, 2, dims, x.data(), &status), status);
    check(lathe_value_borrow(&inputs[1], LATHE_F32, 2, dims, y.data(), &status), status);
    check(lathe_value_borrow(&output, LATHE_F32, 2, dims, z.data(), &status), status);
  }
  ~Call() { lathe_context_destroy(context); }
  Call(const Call &) = delete;

  void run() { check(lathe_context_run(context, entry, inputs, 2, &output, 1, &status), status); }

  lathe_context *context = nullptr;
  uint32_t entry;
  lathe_value inputs[2], output;
  lathe_status status;

private:
  std::vector<float> x, y, z;
};

// Four elements, in memory of the caller.
void run(benchmark::State &state) {
  Call call(1);
  for (auto _ : state)
    call.run();
}
BENCHMARK(run);

void runWithoutStatus(benchmark::State &state) {
  Call call(1);
  for (auto _ : state)
    benchmark::DoNotOptimize(
        lathe_context_run(call.context, call.entry, call.inputs, 2, &call.output, 1, nullptr));
}
BENCHMARK(runWithoutStatus);

// The runtime allocates the output, the caller releases it.
void runAllocating(benchmark::State &state) {
  Call call(1);
  for (auto _ : state) {
    lathe_value output = {};
    check(lathe_context_run(call.context, call.entry, call.inputs, 2, &output, 1, &call.status),
          call.status);
    lathe_value_release(&output);
  }
}
BENCHMARK(runAllocating);

// On a thread of the context's own, and waited for.
void runBesideTheCaller(benchmark::State &state) {
  Call call(1);
  for (auto _ : state) {
    check(lathe_context_run_async(call.context, call.entry, call.inputs, 2, &call.output, 1,
                                  nullptr, &call.status),
          call.status);
    check(lathe_context_wait(call.context, -1, &call.status), call.status);
  }
}
BENCHMARK(runBesideTheCaller)->UseRealTime();

// Two regions of so many rows, on one thread or two: the difference to one is the hand-over.
void regions(benchmark::State &state) {
  Call call(state.range(1), uint32_t(state.range(0)));
  for (auto _ : state)
    call.run();
}
BENCHMARK(regions)
    ->ArgNames({"threads", "rows"})
    ->ArgsProduct({{1, 2}, {1, 64, 4096}})
    ->UseRealTime();

// A context for each thread, on one module: with as many processors, the time of a run stays.
void runInThreads(benchmark::State &state) {
  Call call(64);
  for (auto _ : state)
    call.run();
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(runInThreads)->ThreadRange(1, 64)->UseRealTime();

// Dims of the outputs and size of the arena, without running.
void queryShapes(benchmark::State &state) {
  Call call(1);
  for (auto _ : state) {
    lathe_value output;
    uint64_t arena;
    check(
        lathe_context_plan(call.context, call.entry, call.inputs, 2, &output, &arena, &call.status),
        call.status);
  }
}
BENCHMARK(queryShapes);

void queryMemory(benchmark::State &state) {
  Call call(1);
  for (auto _ : state) {
    lathe_memory_info info = {};
    info.size = sizeof(info);
    check(lathe_context_memory(call.context, call.entry, call.inputs, 2, &info, &call.status),
          call.status);
  }
}
BENCHMARK(queryMemory);

void borrowValue(benchmark::State &state) {
  float data[4] = {};
  const int64_t dims[] = {1, 4};
  for (auto _ : state) {
    lathe_value value;
    lathe_value_borrow(&value, LATHE_F32, 2, dims, data, nullptr);
    benchmark::DoNotOptimize(value);
  }
}
BENCHMARK(borrowValue);

void createValue(benchmark::State &state) {
  const int64_t dims[] = {state.range(0)};
  for (auto _ : state) {
    lathe_value value;
    lathe_value_create(&value, LATHE_F32, 1, dims, nullptr, nullptr);
    benchmark::DoNotOptimize(value);
    lathe_value_release(&value);
  }
}
BENCHMARK(createValue)->Arg(4)->Arg(1 << 16);

void openModule(benchmark::State &state) {
  for (auto _ : state)
    lathe_module_close(open());
}
BENCHMARK(openModule);

void createContext(benchmark::State &state) {
  lathe_context_options options = {};
  options.size = sizeof(options);
  options.threads = 1;
  for (auto _ : state) {
    lathe_context *context = nullptr;
    lathe_status status;
    check(lathe_context_create(sharedModule(), &options, &context, &status), status);
    lathe_context_destroy(context);
  }
}
BENCHMARK(createContext);

} // namespace

BENCHMARK_MAIN();
