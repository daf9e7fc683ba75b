// Devices behind drivers, over the fake ones: what they compute, and that any call may fail, with a
// status that says so, nothing lost, and all that is left to be closed.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "DriverModel.h"
#include "TestArtifact.h"
#include "lathe-cpp/lathe.hpp"

#include <cstdlib>
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <map>
#include <numeric>
#include <thread>

using namespace lathe::test;
using testing::AnyOf;
using testing::HasSubstr;

namespace {

struct Vendor {
  const char *variable, *library, *oldLibrary, *device;
  const char *memoryError, *lostError;
  std::vector<std::string> mayFail; ///< Functions whose failure a run need not notice.
};

// What gives back may fail without harm, and so may what only describes. The contexts and devices
// of threads are entered on the way back, too.
const Vendor cuda = {"LATHE_CUDA_DRIVER",
                     LATHE_FAKE_DRIVERS "/libcuda.so",
                     LATHE_FAKE_DRIVERS "/libcuda-old.so",
                     "cuda:0",
                     "CUDA_ERROR_OUT_OF_MEMORY (out of memory)",
                     "CUDA_ERROR_LAUNCH_FAILED (some failure of the fake); the process cannot use "
                     "the device any more",
                     {"cuStreamBeginCapture_v2", "cuStreamEndCapture",
                      "cuGraphInstantiateWithFlags", "cuGraphDestroy", "cuGraphExecDestroy",
                      "cuMemFree_v2", "cuMemFreeHost", "cuModuleUnload", "cuStreamDestroy_v2",
                      "cuCtxPopCurrent_v2", "cuCtxPushCurrent_v2", "cuDevicePrimaryCtxRelease_v2",
                      "cuDeviceGetName", "cuDeviceTotalMem_v2", "cuDeviceGetAttribute"}};
const Vendor hip = {"LATHE_HIP_DRIVER",
                    LATHE_FAKE_DRIVERS "/libamdhip64.so",
                    LATHE_FAKE_DRIVERS "/libamdhip64-old.so",
                    "hip:1",
                    "hipErrorOutOfMemory (out of memory)",
                    "hipErrorLaunchFailure (some failure of the fake); the process cannot use the "
                    "device any more",
                    {"hipStreamBeginCapture", "hipStreamEndCapture", "hipGraphInstantiateWithFlags",
                     "hipGraphDestroy", "hipGraphExecDestroy", "hipFree", "hipHostFree",
                     "hipModuleUnload", "hipStreamDestroy", "hipGetDevice", "hipSetDevice",
                     "hipDeviceGetName", "hipDeviceTotalMem"}};

struct CloseDevice {
  void operator()(lathe_device *device) const { lathe_device_close(device); }
};
using DevicePtr = std::unique_ptr<lathe_device, CloseDevice>;

/// What a program does with a model.
struct Program {
  const lathe_static_model &model;
  const char *entry;
  unsigned launches, copies;                 ///< of a run,
  unsigned recordedLaunches, recordedCopies; ///< and of the part of it that is recorded.
  std::vector<std::vector<float>> inputs;
  bool replays() const { return launches == recordedLaunches; }
};

std::vector<float> numbersFrom(float first, size_t count) {
  std::vector<float> numbers(count);
  std::iota(numbers.begin(), numbers.end(), first);
  return numbers;
}

// The second size needs a larger arena; the second run of a size is recorded, from then on it is
// replayed.
const std::vector<std::vector<float>> twoSizes = {numbersFrom(-3, 40), numbersFrom(-3, 40),
                                                  numbersFrom(-3, 1000), numbersFrom(-3, 1000),
                                                  numbersFrom(-3, 1000)};
// Number 102 is a fault: in a run that is launched, in one that is recorded and in one that is
// replayed.
const std::vector<std::vector<float>> withFaults = {numbersFrom(102, 40), numbersFrom(102, 40),
                                                    numbersFrom(1, 40), numbersFrom(102, 40),
                                                    numbersFrom(1, 40)};
// What is looked at comes with the record of faults, and goes back.
const Program seen = {driverModel, "run", 3, 5, 0, 0, {numbersFrom(-3, 40), numbersFrom(-3, 99)}},
              unseen = {unseenModel, "run", 2, 2, 2, 2, twoSizes},
              allocating = {unseenModel, "allocating", 2, 3, 0, 2, {3, numbersFrom(-3, 40)}},
              faulty = {unseenModel, "checked", 5, 2, 5, 2, withFaults},
              mapped = {mappedModel, "run", 1, 2, 1, 2, twoSizes};

struct Drivers : testing::TestWithParam<const Vendor *> {
  const Vendor &vendor = *GetParam();
  void *library = dlopen(vendor.library, RTLD_NOW | RTLD_LOCAL);
  lathe_status status = {};

  void SetUp() override {
    ASSERT_TRUE(library) << dlerror();
    setenv(vendor.variable, vendor.library, 1);
    configure("");
  }
  void TearDown() override {
    EXPECT_EQ(account(), "");
    unsetenv(vendor.variable);
  }

  template <typename Function> Function *find(const char *name) const {
    return reinterpret_cast<Function *>(dlsym(library, name));
  }
  void configure(const std::string &text) {
    find<void(const char *)>("lathe_fake_configure")(("devices=2 " + text).c_str());
  }
  std::string account() const {
    char text[1000];
    find<size_t(char *, size_t)>("lathe_fake_account")(text, sizeof(text));
    return text;
  }
  std::map<std::string, int> counts() const {
    std::map<std::string, int> result;
    auto visit = [](void *user, const char *function, int calls) {
      (*static_cast<std::map<std::string, int> *>(user))[function] = calls;
    };
    find<void(void (*)(void *, const char *, int), void *)>("lathe_fake_counts")(visit, &result);
    return result;
  }

  DevicePtr openDevice() {
    lathe_device *device = nullptr;
    lathe_device_open(vendor.device, &device, &status);
    return DevicePtr(device);
  }
  ModulePtr openModule(lathe_device *device, const char *variant = nullptr,
                       const lathe_static_model &model = driverModel) {
    lathe_module_options options = moduleOptions();
    options.device = device;
    options.variant = variant;
    lathe_module *module = nullptr;
    lathe_module_open_static(&model, &options, &module, &status);
    return ModulePtr(module);
  }
  ContextPtr openContext(lathe_module *module) {
    lathe_context_options options = contextOptions();
    options.threads = 1;
    lathe_context *context = nullptr;
    lathe_context_create(module, &options, &context, &status);
    return ContextPtr(context);
  }
  static int32_t run(lathe_context *context, uint32_t entry, size_t count, lathe_status &status) {
    return runOn(context, entry, numbersFrom(-3, count), status);
  }
  static int32_t runOn(lathe_context *context, uint32_t entry, std::vector<float> x,
                       lathe_status &status) {
    size_t count = x.size();
    lathe_value input = borrow(LATHE_F32, {int64_t(count)}, x), output = {};
    int32_t code = lathe_context_run(context, entry, &input, 1, &output, 1, &status);
    EXPECT_EQ(code, status.code);
    if (code)
      return code;
    const auto *y = static_cast<const float *>(output.data);
    for (size_t i = 0; i < count; ++i)
      EXPECT_EQ(y[i], expectedResult(x[i])) << i;
    lathe_value_release(&output);
    return code;
  }

  /// Expects a run of "checked" on `numbers` to find the fault that `site` tells of.
  void expectFault(lathe_module *module, lathe_context *context, const std::vector<float> &numbers,
                   uint32_t site, const std::string &message) {
    EXPECT_EQ(runOn(context, entryOf(module, "checked"), numbers, status), LATHE_STATUS_INDEX);
    EXPECT_EQ(status.site, site);
    EXPECT_EQ(status.message, message);
    EXPECT_EQ(status.args[0], int64_t(100 + site));
    EXPECT_EQ(status.args[1], int64_t(numbers.size()));
  }

  /// As runOn, and a fault that is to be found is well.
  static int32_t runAny(lathe_context *context, const lathe_module *module, const Program &program,
                        const std::vector<float> &numbers, lathe_status &status) {
    int32_t code = runOn(context, entryOf(module, program.entry), numbers, status);
    bool isBad = &program == &faulty && testing::Value(numbers, testing::Contains(102.0F));
    if (!isBad || (code && code != LATHE_STATUS_INDEX))
      return code;
    EXPECT_EQ(code, LATHE_STATUS_INDEX);
    EXPECT_STREQ(status.message, "node 'third': 102 is among 40 numbers");
    return LATHE_STATUS_OK;
  }

  /// All that a program does, as far as it gets; then two more runs where the first one failed.
  int32_t useAll(bool mayRecover, const Program &program) {
    DevicePtr device = openDevice();
    if (!device)
      return status.code;
    ModulePtr module = openModule(device.get(), nullptr, program.model);
    if (!module)
      return status.code;
    ContextPtr context = openContext(module.get());
    if (!context)
      return status.code;
    for (const std::vector<float> &numbers : program.inputs)
      if (int32_t code = runAny(context.get(), module.get(), program, numbers, status)) {
        lathe_status again;
        int32_t next = runAny(context.get(), module.get(), program, numbers, again);
        EXPECT_EQ(next == LATHE_STATUS_OK, mayRecover)
            << status.message << ", then " << again.message;
        if (!mayRecover) {
          EXPECT_THAT(again.message, HasSubstr(vendor.lostError));
        }
        return code;
      }
    return LATHE_STATUS_OK;
  }
};

TEST_P(Drivers, Run) {
  DevicePtr device = openDevice();
  ASSERT_TRUE(device) << status.message;
  EXPECT_STREQ(lathe_device_name(device.get()), vendor.device);
  lathe_device_info info = {};
  info.size = sizeof(info);
  ASSERT_EQ(lathe_device_describe(device.get(), &info, &status), LATHE_STATUS_OK);
  EXPECT_EQ(info.kind, uint32_t(&vendor == &cuda ? LATHE_DEVICE_CUDA : LATHE_DEVICE_HIP));
  EXPECT_STREQ(info.architecture, &vendor == &cuda ? "sm_80" : "gfx942");
  EXPECT_STREQ(info.name, &vendor == &cuda ? "Fake sm_80" : "Fake gfx942");
  EXPECT_EQ(info.memory_bytes, uint64_t(1) << 30);

  ModulePtr module = openModule(device.get());
  ASSERT_TRUE(module) << status.message;
  device.reset(); // the module keeps it
  ContextPtr context = openContext(module.get());
  ASSERT_TRUE(context) << status.message;
  for (size_t count : {1, 0, 31, 32, 33, 5000})
    EXPECT_EQ(run(context.get(), 0, count, status), LATHE_STATUS_OK) << status.message;
}

TEST_P(Drivers, ManyThreads) {
  DevicePtr device = openDevice();
  ModulePtr module = openModule(device.get());
  ASSERT_TRUE(module) << status.message;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5; ++i) {
        lathe_context_options options = contextOptions();
        options.threads = 1;
        lathe_context *made = nullptr;
        lathe_status own;
        ASSERT_EQ(lathe_context_create(module.get(), &options, &made, &own), LATHE_STATUS_OK);
        ContextPtr context(made);
        for (int k = 0; k < 10; ++k)
          EXPECT_EQ(run(made, 0, size_t(1 + 100 * t + k), own), LATHE_STATUS_OK) << own.message;
      }
    });
  for (std::thread &thread : threads)
    thread.join();
}

struct EachCall : Drivers {
  void failEach(const Program &program);
};

TEST_P(EachCall, MayFail) { failEach(seen); }
TEST_P(EachCall, MayFailWhereTheHostSeesNothing) { failEach(unseen); }
TEST_P(EachCall, MayFailWhereARunAsksForMemory) { failEach(allocating); }
TEST_P(EachCall, MayFailBesideFaultsInTheData) { failEach(faulty); }
TEST_P(EachCall, MayFailWithTensorMaps) {
  if (&vendor == &cuda)
    return failEach(mapped);
  EXPECT_EQ(useAll(true, mapped), LATHE_STATUS_DEVICE);
  EXPECT_STREQ(status.message,
               "hip:1: kernel 'boxes' needs tensor maps, which the driver does not make");
}

void EachCall::failEach(const Program &program) {
  ASSERT_EQ(useAll(true, program), LATHE_STATUS_OK) << status.message;
  std::map<std::string, int> calls = counts();
  EXPECT_GT(calls.size(), 15u);
  const std::string copy = &vendor == &cuda ? "cuMemcpyAsync" : "hipMemcpyAsync";
  const std::string launch = &vendor == &cuda ? "cuLaunchKernel" : "hipModuleLaunchKernel";
  EXPECT_EQ(calls.count(copy), 1u);
  for (const auto &[function, count] : calls)
    for (int call = 1; call <= count; ++call)
      for (bool isLost : {false, true}) {
        std::string plan =
            "fail=" + function + ":" + std::to_string(call) + (isLost ? "=719!" : "=2");
        SCOPED_TRACE(plan);
        configure(plan);
        int32_t code = useAll(/*mayRecover=*/!isLost, program);
        EXPECT_EQ(account(), "");
        // What is recorded may fail.
        bool isOfLaunch = function == launch || function == "cuTensorMapEncodeTiled";
        unsigned inRun = function == copy ? program.copies : isOfLaunch ? program.launches : 0;
        unsigned recorded = function == copy ? program.recordedCopies : program.recordedLaunches;
        unsigned place = unsigned(call - 1);
        if (inRun && program.replays())
          place %= 2 * inRun;
        bool isRecorded = inRun && place >= inRun && place < inRun + recorded;
        bool mayBeOk = isRecorded || testing::Value(vendor.mayFail, testing::Contains(function));
        if (code == LATHE_STATUS_OK) {
          EXPECT_TRUE(mayBeOk);
          continue;
        }
        EXPECT_EQ(code, status.code);
        EXPECT_THAT(code, AnyOf(LATHE_STATUS_DEVICE, LATHE_STATUS_MEMORY, LATHE_STATUS_RUN_MEMORY));
        EXPECT_THAT(status.message, HasSubstr(isLost ? vendor.lostError : vendor.memoryError));
        EXPECT_FALSE(isLost && code == LATHE_STATUS_MEMORY) << status.message;
      }
}

struct CudaDrivers : Drivers {};

// A launch has maps of its own, which recorded ones keep.
TEST_P(CudaDrivers, MakesTensorMaps) {
  DevicePtr device = openDevice();
  ModulePtr module = openModule(device.get(), nullptr, mappedModel);
  ASSERT_TRUE(module) << status.message;
  ContextPtr context = openContext(module.get());
  for (size_t count : {40, 0, 33, 40, 40, 33, 1000, 33, 33, 1})
    EXPECT_EQ(run(context.get(), 0, count, status), LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(counts()["cuTensorMapEncodeTiled"], counts()["cuLaunchKernel"]);
  EXPECT_GT(counts()["cuGraphLaunch"], 1);
  EXPECT_EQ(run(context.get(), entryOf(module.get(), "odd"), 40, status), LATHE_STATUS_DEVICE);
  EXPECT_THAT(status.message,
              HasSubstr("cuda:0: kernel 'boxes': tensor map 0: the tensor begins at "
                        "0x"));
  EXPECT_THAT(status.message, HasSubstr(", which is no multiple of 16"));
  EXPECT_EQ(run(context.get(), 0, 40, status), LATHE_STATUS_OK) << status.message;
  configure("fail=cuTensorMapEncodeTiled:1=2");
  EXPECT_EQ(run(context.get(), 0, 41, status), LATHE_STATUS_DEVICE);
  EXPECT_THAT(status.message, HasSubstr("cuda:0: kernel 'boxes': tensor map 0: "
                                        "CUDA_ERROR_OUT_OF_MEMORY (out of memory)"));
}

// One that makes none runs what needs none.
TEST_P(CudaDrivers, NeedsADriverThatMakesTensorMaps) {
  const char *const old = LATHE_FAKE_DRIVERS "/libcuda-mapless.so";
  setenv(vendor.variable, old, 1);
  DevicePtr device = openDevice();
  ASSERT_TRUE(device) << status.message;
  EXPECT_FALSE(openModule(device.get(), nullptr, mappedModel));
  EXPECT_EQ(status.code, LATHE_STATUS_DEVICE);
  EXPECT_STREQ(status.message,
               "cuda:0: kernel 'boxes' needs tensor maps, which the driver does not "
               "make (it lacks cuTensorMapEncodeTiled, of CUDA 12.0); update it");
  ModulePtr module = openModule(device.get());
  ASSERT_TRUE(module) << status.message;
  EXPECT_EQ(run(openContext(module.get()).get(), 0, 33, status), LATHE_STATUS_OK) << status.message;
}

TEST(CudaDriver, FromCpp) {
  setenv(cuda.variable, cuda.library, 1);
  auto device = lathe::Device::open("cuda:0");
  ASSERT_TRUE(device) << device.error().message();
  EXPECT_EQ(device->name(), "cuda:0");
  EXPECT_STREQ(device->info().architecture, "sm_80");
  lathe_module_options options = moduleOptions();
  options.device = device->get();
  auto module = lathe::Module::openStatic(driverModel, &options);
  ASSERT_TRUE(module) << module.error().message();
  unsetenv(cuda.variable);
  EXPECT_THAT(std::string(lathe::Device::open("cpu").error().message()),
              HasSubstr("'cpu' needs no device"));
}

// The names of errors are no more than a help.
TEST(CudaDriver, ErrorsWithoutNames) {
  void *library = dlopen(cuda.library, RTLD_NOW | RTLD_LOCAL);
  ASSERT_TRUE(library) << dlerror();
  setenv(cuda.variable, cuda.library, 1);
  auto *configure =
      reinterpret_cast<void (*)(const char *)>(dlsym(library, "lathe_fake_configure"));
  lathe_device *device = nullptr;
  lathe_status status;
  configure("fail=cuDeviceGet:1=222 fail=cuGetErrorName:1=1 fail=cuGetErrorString:1=1");
  EXPECT_EQ(lathe_device_open("cuda:0", &device, &status), LATHE_STATUS_DEVICE);
  EXPECT_STREQ(status.message, "cuda:0: the device: error 222; the driver is older than the code: "
                               "update it");
  configure("");
  unsetenv(cuda.variable);
}

TEST_P(Drivers, SaysWhatTheCompilerSays) {
  DevicePtr device = openDevice();
  ASSERT_TRUE(device) << status.message;
  configure(&vendor == &cuda ? "fail=cuModuleLoadDataEx:1=218" : "fail=hipModuleLoadDataEx:1=218");
  EXPECT_FALSE(openModule(device.get()));
  EXPECT_EQ(status.code, LATHE_STATUS_DEVICE);
  EXPECT_THAT(status.message,
              HasSubstr(&vendor == &cuda
                            ? "cuda:0: the driver does not take the code for nvidia:sm_80: ptxas "
                              "fatal: as planned: CUDA_ERROR_UNKNOWN"
                            : "hip:1: the driver does not take the code for amd:gfx942: "));
}

// Where nobody can tell whether kernels still go on, none may follow them.
TEST_P(Drivers, StopsWhereWaitingFails) {
  DevicePtr device = openDevice();
  ModulePtr module = openModule(device.get());
  ContextPtr context = openContext(module.get());
  ASSERT_TRUE(context) << status.message;
  const std::string function = &vendor == &cuda ? "cuStreamSynchronize" : "hipStreamSynchronize";
  // A run waits at its end, also where a launch has failed, and then once more.
  configure("fail=" + function + ":1=2 fail=" + function + ":2=2");
  EXPECT_EQ(run(context.get(), entryOf(module.get(), "many"), 8, status), LATHE_STATUS_DEVICE);
  EXPECT_EQ(run(context.get(), 0, 8, status), LATHE_STATUS_DEVICE);
  EXPECT_THAT(status.message, HasSubstr(vendor.memoryError));
  // That run waited at its end, which went well.
  EXPECT_EQ(run(context.get(), 0, 8, status), LATHE_STATUS_OK) << status.message;
}

TEST_P(Drivers, LaunchesWithinLimits) {
  DevicePtr device = openDevice();
  ModulePtr module = openModule(device.get());
  ContextPtr context = openContext(module.get());
  ASSERT_TRUE(context) << status.message;
  EXPECT_EQ(run(context.get(), entryOf(module.get(), "many"), 8, status), LATHE_STATUS_DEVICE);
  EXPECT_THAT(status.message, HasSubstr("kernel 'increment': 144115188075855872 blocks of 32 "
                                        "threads are more than a launch can have"));
  EXPECT_EQ(run(context.get(), entryOf(module.get(), "wide"), 8, status), LATHE_STATUS_DEVICE);
  EXPECT_THAT(status.message, HasSubstr("kernel 'wide': 600 parameters are more than the 512"));
  EXPECT_EQ(run(context.get(), 0, 8, status), LATHE_STATUS_OK) << status.message;
}

// No host program reaches memory of the device but by copies.
TEST_P(Drivers, KeepsMemoryFromTheHost) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  DevicePtr device = openDevice();
  ModulePtr module = openModule(device.get(), nullptr, unseenModel);
  ASSERT_TRUE(module) << status.message;
  ContextPtr context = openContext(module.get());
  for (size_t count : {1, 0, 31, 32, 33, 5000})
    EXPECT_EQ(run(context.get(), 0, count, status), LATHE_STATUS_OK) << status.message;
  EXPECT_DEATH(run(context.get(), entryOf(module.get(), "peeking"), 8, status), "");
}

// The second run of a size is recorded, and all that follow are one call of the driver.
TEST_P(Drivers, ReplaysRunsOfASize) {
  DevicePtr device = openDevice();
  ModulePtr module = openModule(device.get(), nullptr, unseenModel);
  ASSERT_TRUE(module) << status.message;
  ContextPtr context = openContext(module.get());
  bool isCuda = &vendor == &cuda;
  const char *launch = isCuda ? "cuLaunchKernel" : "hipModuleLaunchKernel",
             *replay = isCuda ? "cuGraphLaunch" : "hipGraphLaunch";
  for (size_t count : {100, 100, 100, 7, 100, 7, 7})
    EXPECT_EQ(run(context.get(), 0, count, status), LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(counts()[launch], 2 * 4); // two kernels, twice for each size
  EXPECT_EQ(counts()[replay], 5);
  // A larger arena is another run; more sizes than are kept are forgotten.
  for (size_t count = 101; count < 130; ++count)
    for (int i = 0; i < 2; ++i)
      EXPECT_EQ(run(context.get(), 0, count, status), LATHE_STATUS_OK) << status.message;
  for (size_t count : {7, 7, 7, 129})
    EXPECT_EQ(run(context.get(), 0, count, status), LATHE_STATUS_OK) << status.message;
}

// Who looks at a value may do another thing the next time: nothing is recorded.
// Memory that a run asks for is gone after it.
TEST_P(Drivers, ReplaysNothingThatLooksOrAllocates) {
  DevicePtr device = openDevice();
  ModulePtr module = openModule(device.get(), nullptr, unseenModel);
  for (const char *entry : {"waiting", "allocating"}) {
    ContextPtr context = openContext(module.get());
    ASSERT_TRUE(context) << status.message;
    for (int i = 0; i < 4; ++i)
      EXPECT_EQ(run(context.get(), entryOf(module.get(), entry), 50, status), LATHE_STATUS_OK)
          << status.message;
  }
  EXPECT_EQ(counts()[&vendor == &cuda ? "cuGraphLaunch" : "hipGraphLaunch"], 0);
}

// A fault that the host finds while it records ends that run alone.
TEST_P(Drivers, ReplayRunsAfterAFaultOfTheHost) {
  DevicePtr device = openDevice();
  ModulePtr module = openModule(device.get(), nullptr, unseenModel);
  ContextPtr context = openContext(module.get());
  ASSERT_TRUE(context) << status.message;
  uint32_t refusing = entryOf(module.get(), "refusing");
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(run(context.get(), refusing, 8, status), LATHE_STATUS_SHAPE) << status.message;
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(run(context.get(), 0, 8, status), LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(counts()[&vendor == &cuda ? "cuGraphLaunch" : "hipGraphLaunch"], 2);
}

// It stays with the host, where those look at it whose runs are not replayed.
TEST_P(Drivers, ReplayRunsWhateverASequenceHolds) {
  DevicePtr device = openDevice();
  ModulePtr module = openModule(device.get(), nullptr, unseenModel);
  ContextPtr context = openContext(module.get());
  ASSERT_TRUE(context) << status.message;
  std::vector<float> x = numbersFrom(-3, 50), held(1000);
  for (int64_t size : {1000, 1, 1, 1, 500, 1}) {
    lathe_value item = borrow(LATHE_F32, {size}, held), output = {}, inputs[2] = {};
    inputs[0].kind = LATHE_VALUE_SEQUENCE;
    inputs[0].rank = inputs[0].dims[0] = inputs[0].strides[0] = 1;
    inputs[0].data = &item;
    inputs[1] = borrow(LATHE_F32, {50}, x);
    ASSERT_EQ(lathe_context_run(context.get(), entryOf(module.get(), "beside"), inputs, 2, &output,
                                1, &status),
              LATHE_STATUS_OK)
        << status.message;
    for (size_t i = 0; i < 50; ++i)
      EXPECT_EQ(static_cast<const float *>(output.data)[i], expectedResult(x[i])) << size << i;
    lathe_value_release(&output);
  }
  EXPECT_EQ(counts()[&vendor == &cuda ? "cuGraphLaunch" : "hipGraphLaunch"], 5);
}

// A kernel that may find a fault in the data is no reason to wait, or to record nothing.
TEST_P(Drivers, FindFaultsInReplayedRuns) {
  DevicePtr device = openDevice();
  ModulePtr module = openModule(device.get(), nullptr, unseenModel);
  ContextPtr context = openContext(module.get());
  ASSERT_TRUE(context) << status.message;
  uint32_t checked = entryOf(module.get(), "checked");
  bool isCuda = &vendor == &cuda;
  const char *launch = isCuda ? "cuLaunchKernel" : "hipModuleLaunchKernel",
             *replay = isCuda ? "cuGraphLaunch" : "hipGraphLaunch",
             *wait = isCuda ? "cuStreamSynchronize" : "hipStreamSynchronize",
             *copy = isCuda ? "cuMemcpyAsync" : "hipMemcpyAsync";
  const std::vector<float> good(50, 7);
  std::vector<float> first = good, third = good, several = good;
  first[0] = 100;
  third[49] = 102;
  several[3] = 102;
  several[40] = 101;
  // The first run is launched, the second recorded, all others are replayed. None leaves anything
  // behind for the next.
  for (const auto &[numbers, site] :
       {std::pair(third, 2), {good, -1}, {third, 2}, {several, 1}, {first, 0}, {good, -1}}) {
    if (site < 0) {
      EXPECT_EQ(runOn(context.get(), checked, numbers, status), LATHE_STATUS_OK) << status.message;
      continue;
    }
    const char *node = site == 0 ? "first" : site == 1 ? "second" : "third";
    expectFault(module.get(), context.get(), numbers, uint32_t(site),
                std::string("node '") + node + "': " + std::to_string(100 + site) +
                    " is among 50 numbers");
  }
  // Five kernels and two copies, launched and recorded; a wait for each run.
  EXPECT_EQ(counts()[launch], 5 * 2);
  EXPECT_EQ(counts()[copy], 2 * 2);
  EXPECT_EQ(counts()[replay], 5);
  EXPECT_EQ(counts()[wait], 6);
}

// What a kernel has found comes before what the host finds after it was launched.
TEST_P(Drivers, FindTheFirstFault) {
  for (const lathe_static_model *model : {&unseenModel, &driverModel}) {
    DevicePtr device = openDevice();
    ModulePtr module = openModule(device.get(), nullptr, *model);
    ContextPtr context = openContext(module.get());
    ASSERT_TRUE(context) << status.message;
    uint32_t refusing = entryOf(module.get(), "refusing");
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(runOn(context.get(), refusing, {1, 2, 3}, status), LATHE_STATUS_SHAPE);
      EXPECT_STREQ(status.message, "the host does not take 3 numbers");
      EXPECT_EQ(status.site, hostSite);
      EXPECT_EQ(runOn(context.get(), refusing, {1, 100}, status), LATHE_STATUS_INDEX);
      EXPECT_STREQ(status.message, "node 'first': 100 is among 2 numbers");
      EXPECT_EQ(status.site, 0u);
    }
    // Of a kernel and of the device, it is the device.
    configure(&vendor == &cuda ? "fail=cuLaunchKernel:2=2" : "fail=hipModuleLaunchKernel:2=2");
    uint32_t checked = entryOf(module.get(), "checked");
    EXPECT_EQ(runOn(context.get(), checked, {1, 100}, status), LATHE_STATUS_DEVICE);
    EXPECT_THAT(status.message, HasSubstr("kernel 'pass_on': "));
    EXPECT_EQ(runOn(context.get(), checked, {1, 2}, status), LATHE_STATUS_OK) << status.message;
    configure("");
  }
}

// A host that looks at values gets none that follow a fault.
TEST_P(Drivers, FindFaultsBeforeTheHostLooks) {
  DevicePtr device = openDevice();
  ModulePtr module = openModule(device.get());
  ContextPtr context = openContext(module.get());
  ASSERT_TRUE(context) << status.message;
  uint32_t looking = entryOf(module.get(), "looking");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(runOn(context.get(), looking, {1, 100, 3}, status), LATHE_STATUS_INDEX);
    EXPECT_STREQ(status.message, "node 'first': 100 is among 3 numbers");
    EXPECT_EQ(runOn(context.get(), looking, {1, 2, 3}, status), LATHE_STATUS_OK) << status.message;
  }
  EXPECT_EQ(counts()[&vendor == &cuda ? "cuGraphLaunch" : "hipGraphLaunch"], 0);
}

// A piece comes at once, so that looking at number after number costs few copies.
TEST_P(Drivers, CopyInPieces) {
  DevicePtr device = openDevice();
  ModulePtr module = openModule(device.get());
  ContextPtr context = openContext(module.get());
  ASSERT_TRUE(context) << status.message;
  bool isCuda = &vendor == &cuda;
  const char *copy = isCuda ? "cuMemcpyAsync" : "hipMemcpyAsync",
             *wait = isCuda ? "cuStreamSynchronize" : "hipStreamSynchronize";
  // 12,000 bytes are 3 to 4 pieces; beside them inputs and outputs, and a wait at the end.
  EXPECT_EQ(runOn(context.get(), entryOf(module.get(), "looking"), numbersFrom(200, 3000), status),
            LATHE_STATUS_OK)
      << status.message;
  EXPECT_GE(counts()[wait], 4);
  EXPECT_LE(counts()[wait], 5);
  EXPECT_EQ(counts()[copy], 2 + 2 * (counts()[wait] - 1));
  // More than what copies go by holds, there and back.
  EXPECT_EQ(runOn(context.get(), entryOf(module.get(), "astray"), {8}, status), LATHE_STATUS_OK)
      << status.message;
}

TEST_P(Drivers, CopyTheirOwnMemoryAlone) {
  DevicePtr device = openDevice();
  ModulePtr module = openModule(device.get());
  ContextPtr context = openContext(module.get());
  ASSERT_TRUE(context) << status.message;
  uint32_t astray = entryOf(module.get(), "astray");
  for (float which = 1; which <= 6; ++which) {
    EXPECT_EQ(runOn(context.get(), astray, {which, 0, 0}, status), LATHE_STATUS_DEVICE) << which;
    EXPECT_THAT(status.message,
                HasSubstr(vendor.device + std::string(": the host program copies ")));
    EXPECT_THAT(status.message, HasSubstr(", which are not memory of the device"));
    EXPECT_EQ(runOn(context.get(), astray, {7, 0, 0}, status), LATHE_STATUS_OK) << status.message;
  }
}

// What a kernel does is known when it is waited for, and then the device is lost.
TEST_P(Drivers, FailsLate) {
  DevicePtr device = openDevice();
  ModulePtr module = openModule(device.get());
  ContextPtr context = openContext(module.get());
  ASSERT_TRUE(context) << status.message;
  EXPECT_EQ(run(context.get(), entryOf(module.get(), "wild"), 8, status), LATHE_STATUS_DEVICE);
  EXPECT_THAT(status.message,
              AnyOf(HasSubstr("CUDA_ERROR_ILLEGAL_ADDRESS"), HasSubstr("hipErrorIllegalAddress")));
  EXPECT_EQ(run(context.get(), 0, 8, status), LATHE_STATUS_DEVICE);
  EXPECT_FALSE(openContext(module.get()));
  EXPECT_EQ(status.code, LATHE_STATUS_DEVICE) << status.message;
}

TEST_P(Drivers, AreRefused) {
  lathe_device *device = nullptr;
  setenv(vendor.variable, vendor.oldLibrary, 1);
  EXPECT_EQ(lathe_device_open(vendor.device, &device, &status), LATHE_STATUS_DEVICE);
  EXPECT_THAT(status.message,
              HasSubstr(&vendor == &cuda ? "cuda:0: the driver lacks 'cuMemHostAlloc'"
                                         : "hip:1: the driver lacks 'hipHostMalloc'"));
  setenv(vendor.variable, "/none/driver.so", 1);
  EXPECT_EQ(lathe_device_open(vendor.device, &device, &status), LATHE_STATUS_DEVICE);
  EXPECT_THAT(status.message, HasSubstr("there is no driver (/none/driver.so: cannot open"));
  setenv(vendor.variable, vendor.library, 1);
  configure("devices=0");
  EXPECT_EQ(lathe_device_open(vendor.device, &device, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_THAT(status.message, HasSubstr("there is no such device; the driver has 0"));
  if (&vendor != &cuda)
    return;
  configure("version=10020");
  EXPECT_EQ(lathe_device_open(vendor.device, &device, &status), LATHE_STATUS_DEVICE);
  EXPECT_THAT(status.message, HasSubstr("is for CUDA 10.2, which is too old; CUDA 11.0 is needed"));
  configure("unified=0");
  EXPECT_EQ(lathe_device_open(vendor.device, &device, &status), LATHE_STATUS_DEVICE);
  EXPECT_THAT(status.message, HasSubstr("Fake sm_80 (sm_80) has other addresses than the host"));
  EXPECT_FALSE(device);
}

TEST_P(Drivers, TakesWhatFits) {
  const std::map<std::string, std::string> expected =
      &vendor == &cuda ? std::map<std::string, std::string>{{"sm_75", ""},
                                                            {"sm_80", "nvidia:sm_80"},
                                                            {"sm_86", "nvidia:sm_86"},
                                                            {"sm_89", "nvidia:sm_86"},
                                                            {"sm_90", "nvidia:sm_90a"},
                                                            {"sm_100", "nvidia:sm_86"},
                                                            {"sm_120", "nvidia:sm_86"}}
                       : std::map<std::string, std::string>{
                             {"gfx908", ""}, {"gfx90a", "amd:gfx90a"}, {"gfx942", "amd:gfx942"}};
  for (const auto &[architecture, name] : expected) {
    configure("arch=" + architecture);
    DevicePtr device = openDevice();
    ASSERT_TRUE(device) << status.message;
    ModulePtr module = openModule(device.get());
    if (name.empty()) {
      EXPECT_EQ(status.code, LATHE_STATUS_VARIANT);
      EXPECT_THAT(status.message, HasSubstr("it holds code for nvidia:sm_80, nvidia:sm_86, "));
      continue;
    }
    ASSERT_TRUE(module) << status.message;
    ModulePtr named = openModule(device.get(), name.c_str());
    EXPECT_TRUE(named) << architecture << " does not take " << name << ": " << status.message;
    for (const auto &[other, code] : expected)
      if (!code.empty() && code != name && &vendor == &hip) {
        EXPECT_FALSE(openModule(device.get(), code.c_str()));
      }
  }
}

TEST_P(Drivers, TakesBinariesOfItsGeneration) {
  if (&vendor != &cuda)
    return;
  // How often a cubin is loaded, and whether the module is.
  auto open = [&](const char *configuration, const char *variant) {
    configure(configuration);
    DevicePtr device = openDevice();
    ModulePtr module = openModule(device.get(), variant);
    return std::pair(counts()["a cubin"], module != nullptr);
  };
  EXPECT_EQ(open("arch=sm_86", nullptr), std::pair(1, true));
  EXPECT_EQ(open("arch=sm_89", nullptr), std::pair(1, true));
  EXPECT_EQ(open("arch=sm_90", "nvidia:sm_86"), std::pair(0, true));
  EXPECT_EQ(open("arch=sm_80", nullptr), std::pair(0, true));
  // What the driver does not take it compiles, and where that fails as well it says why.
  EXPECT_EQ(open("arch=sm_86 fail=cuModuleLoadDataEx:1=209", nullptr), std::pair(0, true));
  EXPECT_EQ(open("arch=sm_86 fail=cuModuleLoadDataEx:1=209 fail=cuModuleLoadDataEx:2=218", nullptr),
            std::pair(0, false));
  EXPECT_THAT(status.message, HasSubstr("ptxas fatal: as planned"));
  configure("");
}

INSTANTIATE_TEST_SUITE_P(All, Drivers, testing::Values(&cuda, &hip),
                         [](const auto &info) { return info.param == &cuda ? "Cuda" : "Hip"; });
INSTANTIATE_TEST_SUITE_P(All, CudaDrivers, testing::Values(&cuda));
INSTANTIATE_TEST_SUITE_P(All, EachCall, testing::Values(&cuda, &hip),
                         [](const auto &info) { return info.param == &cuda ? "Cuda" : "Hip"; });

TEST(Devices, NamesAreChecked) {
  lathe_device *device = nullptr;
  lathe_status status;
  for (const char *name : {"", "cuda", "cuda:", "cuda:x", "cuda:-1", "cuda:99999", "cuda:0 ", "hip",
                           "vulkan:0", "cuda0", "CUDA:0"}) {
    EXPECT_EQ(lathe_device_open(name, &device, &status), LATHE_STATUS_ARGUMENT) << name;
    EXPECT_THAT(status.message, HasSubstr("is not known; known are cuda:N and hip:N"));
  }
  EXPECT_EQ(lathe_device_open("cpu", &device, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_THAT(status.message, HasSubstr("'cpu' needs no device"));
  EXPECT_EQ(lathe_device_open("emulator:sm_80", &device, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_THAT(status.message, HasSubstr("lathe_emulator_open"));
  EXPECT_EQ(lathe_device_open(nullptr, &device, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_device_open("cuda:0", nullptr, &status), LATHE_STATUS_ARGUMENT);
  lathe_device_info info = {};
  EXPECT_EQ(lathe_device_describe(nullptr, &info, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(device, nullptr);
  EXPECT_STREQ(lathe_device_name(nullptr), "");
  lathe_device_close(nullptr);
}

} // namespace
