// Modules on a device: the emulator runs the kernels of device.c.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/Device.h"
#include "TestArtifact.h"
#include "lathe-c/Emulator.h"

#include <cstddef>
#include <cstring>
#include <gmock/gmock.h>
#include <thread>

using namespace lathe::test;
using lathe::runtime::DeviceMemory;
using lathe::runtime::DeviceOps;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

Bytes wholeArtifact() {
  static const Bytes bytes = makeArtifact(readModel(LATHE_TEST_DEVICE_MODEL));
  return bytes;
}

struct CloseDevice {
  void operator()(lathe_device *device) const { lathe_device_close(device); }
};
using DevicePtr = std::unique_ptr<lathe_device, CloseDevice>;

DevicePtr emulator(const char *architecture, uint64_t seed = 0, uint32_t watchEvery = 0) {
  lathe_emulator_options options = {sizeof(options), watchEvery, seed};
  lathe_device *device = nullptr;
  lathe_status status;
  EXPECT_EQ(lathe_emulator_open(architecture, &options, &device, &status), LATHE_STATUS_OK)
      << status.message;
  return DevicePtr(device);
}

OpenResult openOn(lathe_device *device, const Bytes &bytes = wholeArtifact()) {
  lathe_module_options options = moduleOptions();
  options.device = device;
  return openBytes(bytes, &options);
}

struct RunResult {
  int32_t code;
  lathe_status status;
  std::vector<float> output;
};

RunResult runEntry(lathe_context *context, const lathe_module *module, const char *entry,
                   std::vector<float> x) {
  RunResult result;
  lathe_value input = borrow(LATHE_F32, {int64_t(x.size())}, x), output = {};
  result.code =
      lathe_context_run(context, entryOf(module, entry), &input, 1, &output, 1, &result.status);
  EXPECT_EQ(result.code, result.status.code);
  if (!result.code) {
    auto *data = static_cast<const float *>(output.data);
    result.output.assign(data, data + output.dims[0]);
    lathe_value_release(&output);
  }
  return result;
}

/// Opens, runs once and gives up everything.
RunResult runOnce(const char *entry, std::vector<float> x, uint64_t seed = 0,
                  uint32_t watchEvery = 0) {
  DevicePtr device = emulator("sm_80", seed, watchEvery);
  OpenResult opened = openOn(device.get());
  EXPECT_NE(opened.module, nullptr) << opened.status.message;
  ContextPtr context = makeContext(opened.module.get());
  return runEntry(context.get(), opened.module.get(), entry, std::move(x));
}

TEST(Device, Runs) {
  RunResult result = runOnce("run", {1, 2, 3});
  EXPECT_EQ(result.code, LATHE_STATUS_OK) << result.status.message;
  EXPECT_THAT(result.output, ElementsAre(4, 8, 12)); // twice by the weight 2
  EXPECT_TRUE(runOnce("run", {}).output.empty());
  // More than a block, and not whole ones.
  EXPECT_EQ(runOnce("run", std::vector<float>(1001, 1)).output, std::vector<float>(1001, 4));
}

TEST(Device, TakesTheCodeThatFits) {
  DevicePtr device = emulator("gfx942");
  EXPECT_STREQ(lathe_device_name(device.get()), "emulator:gfx942");
  OpenResult opened = openOn(device.get());
  ASSERT_NE(opened.module, nullptr) << opened.status.message;
  // The caller's hold is not needed any more.
  device.reset();
  ContextPtr context = makeContext(opened.module.get());
  RunResult result = runEntry(context.get(), opened.module.get(), "run", {1, 2});
  EXPECT_THAT(result.output, ElementsAre(9, 18)); // the weights of this variant are 3
  EXPECT_EQ(lathe_device_name(nullptr), std::string());
  lathe_device_close(nullptr);
}

TEST(Device, DescribesVariantsAndImages) {
  lathe_module_options options = moduleOptions();
  options.flags = LATHE_MODULE_INSPECT;
  OpenResult opened = openBytes(wholeArtifact(), &options);
  ASSERT_NE(opened.module, nullptr) << opened.status.message;
  const lathe_module *module = opened.module.get();
  ASSERT_EQ(lathe_module_variant_count(module), 4u);
  lathe_variant_info variant = {};
  variant.size = sizeof(variant);
  ASSERT_EQ(lathe_module_variant_info(module, 1, &variant, nullptr), LATHE_STATUS_OK);
  EXPECT_STREQ(variant.name, "amd:gfx942");
  EXPECT_TRUE(variant.device);
  EXPECT_FALSE(variant.runnable);
  ASSERT_EQ(lathe_module_image_count(module, 0), 2u);
  EXPECT_EQ(lathe_module_image_count(module, 2), 1u);
  EXPECT_EQ(lathe_module_image_count(module, 4), 0u);
  EXPECT_EQ(lathe_module_image_count(nullptr, 0), 0u);
  lathe_image_info image = {};
  image.size = sizeof(image);
  lathe_status status;
  ASSERT_EQ(lathe_module_image_info(module, 0, 0, &image, &status), LATHE_STATUS_OK);
  EXPECT_EQ(image.kind, uint32_t(LATHE_IMAGE_PTX));
  EXPECT_STREQ(static_cast<const char *>(image.data), ".version 7.0");
  EXPECT_EQ(image.bytes, 13u);
  EXPECT_EQ(image.kernel_count, 5u);
  EXPECT_EQ(lathe_module_image_info(module, 0, 2, &image, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_THAT(status.message, HasSubstr("image 2 of variant 0 does not exist; there are 2"));
  EXPECT_EQ(lathe_module_image_info(module, 0, 0, nullptr, &status), LATHE_STATUS_ARGUMENT);
  // One for a processor has none.
  EXPECT_EQ(lathe_module_image_count(sharedModule(), 0), 0u);
}

TEST(Device, SaysWhatTheFileHolds) {
  DevicePtr other = emulator("gfx1100");
  OpenResult opened = openOn(other.get());
  EXPECT_EQ(opened.status.code, LATHE_STATUS_VARIANT);
  EXPECT_THAT(opened.status.message,
              HasSubstr("no code in it runs on emulator:gfx1100; it holds code for nvidia:sm_80, "
                        "amd:gfx942, nvidia:sm_90, nvidia:sm_120"));
  // Text for a driver is nothing that the emulator runs, and a host must have the features.
  DevicePtr noImage = emulator("sm_90"), noFeatures = emulator("sm_120");
  EXPECT_EQ(openOn(noImage.get()).status.code, LATHE_STATUS_VARIANT);
  EXPECT_EQ(openOn(noFeatures.get()).status.code, LATHE_STATUS_VARIANT);
  // A file for processors alone, and one for devices without one.
  DevicePtr device = emulator("sm_80");
  opened = openOn(device.get(), makeArtifact());
  EXPECT_EQ(opened.status.code, LATHE_STATUS_VARIANT);
  EXPECT_THAT(opened.status.message, HasSubstr("it holds code for no device"));
  opened = openBytes(wholeArtifact());
  EXPECT_EQ(opened.status.code, LATHE_STATUS_VARIANT);
  EXPECT_THAT(opened.status.message, HasSubstr("nvidia:sm_80, amd:gfx942"));
  lathe_module_options options = moduleOptions();
  options.device = device.get();
  options.variant = "amd:gfx942";
  opened = openBytes(wholeArtifact(), &options);
  EXPECT_EQ(opened.status.code, LATHE_STATUS_VARIANT);
  EXPECT_THAT(opened.status.message, HasSubstr("asked for amd:gfx942"));
}

TEST(Device, RefusesBadCalls) {
  lathe_device *device = nullptr;
  lathe_status status;
  EXPECT_EQ(lathe_emulator_open(nullptr, nullptr, &device, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_emulator_open("", nullptr, &device, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_emulator_open("sm_80", nullptr, nullptr, &status), LATHE_STATUS_ARGUMENT);
  lathe_emulator_options options = {};
  EXPECT_EQ(lathe_emulator_open("sm_80", &options, &device, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_THAT(status.message, HasSubstr("lathe_emulator_options.size is 0"));
  options = {sizeof(options), 6, 0};
  EXPECT_EQ(lathe_emulator_open("sm_80", &options, &device, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_THAT(status.message, HasSubstr("one of 6 lines of memory"));
  EXPECT_EQ(device, nullptr);
}

TEST(Device, TakesNoArena) {
  DevicePtr device = emulator("sm_80");
  OpenResult opened = openOn(device.get());
  alignas(LATHE_ALIGNMENT) static char memory[4096];
  lathe_context_options options = contextOptions();
  options.arena = memory;
  options.arena_bytes = sizeof(memory);
  lathe_context *context = nullptr;
  lathe_status status;
  EXPECT_EQ(lathe_context_create(opened.module.get(), &options, &context, &status),
            LATHE_STATUS_ARGUMENT);
  EXPECT_THAT(status.message, HasSubstr("a run on emulator:sm_80 uses memory of the device"));
  EXPECT_EQ(context, nullptr);
}

TEST(Device, PlansAndTellsItsMemory) {
  DevicePtr device = emulator("sm_80");
  OpenResult opened = openOn(device.get());
  ContextPtr context = makeContext(opened.module.get());
  std::vector<float> x(100);
  lathe_value input = borrow(LATHE_F32, {100}, x), output = {};
  uint64_t arena = 0;
  lathe_status status;
  ASSERT_EQ(lathe_context_plan(context.get(), 0, &input, 1, &output, &arena, &status),
            LATHE_STATUS_OK)
      << status.message;
  EXPECT_EQ(output.dims[0], 100);
  EXPECT_EQ(arena, 400u);
  lathe_memory_info info = {};
  info.size = sizeof(info);
  ASSERT_EQ(lathe_context_memory(context.get(), 0, &input, 1, &info, &status), LATHE_STATUS_OK)
      << status.message;
  EXPECT_GE(info.arena_bytes, 400u);
}

TEST(Device, WritesIntoTheCallersBuffers) {
  DevicePtr device = emulator("sm_80");
  OpenResult opened = openOn(device.get());
  ContextPtr context = makeContext(opened.module.get());
  std::vector<float> x = {1, 2, 3}, z(3), room(8, -1);
  lathe_value input = borrow(LATHE_F32, {3}, x), output = borrow(LATHE_F32, {3}, z);
  lathe_status status;
  ASSERT_EQ(lathe_context_run(context.get(), 0, &input, 1, &output, 1, &status), LATHE_STATUS_OK)
      << status.message;
  EXPECT_EQ(output.data, z.data());
  EXPECT_THAT(z, ElementsAre(4, 8, 12));
  // Of a size that the run finds out: there is room for more.
  x = {1, 2, -3};
  lathe_value more = borrow(LATHE_F32, {8}, room);
  uint32_t leading = entryOf(opened.module.get(), "leading");
  ASSERT_EQ(lathe_context_run(context.get(), leading, &input, 1, &more, 1, &status),
            LATHE_STATUS_OK)
      << status.message;
  EXPECT_EQ(more.dims[0], 2);
  EXPECT_THAT(room, ElementsAre(4, 8, -1, -1, -1, -1, -1, -1));
  // And where there is too little.
  lathe_value less = borrow(LATHE_F32, {1}, room);
  EXPECT_EQ(lathe_context_run(context.get(), leading, &input, 1, &less, 1, &status),
            LATHE_CODE_MEMORY);
  EXPECT_EQ(room[0], 4);
}

TEST(Device, FindsSizesOut) {
  EXPECT_THAT(runOnce("leading", {1, 2, -3, 4}).output, ElementsAre(4, 8));
  EXPECT_TRUE(runOnce("leading", {-1}).output.empty());
  EXPECT_TRUE(runOnce("leading", {}).output.empty());
}

TEST(Device, CatchesWhatIsOutOfBounds) {
  RunResult result = runOnce("past_end", std::vector<float>(10), 7);
  EXPECT_EQ(result.code, LATHE_STATUS_DEVICE);
  EXPECT_THAT(result.status.message, HasSubstr("the device failed: kernel 'past_end'"));
  EXPECT_THAT(result.status.message, HasSubstr("block 1 of 2, thread 1"));
  EXPECT_THAT(result.status.message, HasSubstr("writes 4 bytes"));
  EXPECT_THAT(result.status.message, HasSubstr("no memory of the device"));
  EXPECT_THAT(result.status.message, HasSubstr("(seed 7)"));
  result = runOnce("misaligned", std::vector<float>(10));
  EXPECT_EQ(result.code, LATHE_STATUS_DEVICE);
  EXPECT_THAT(result.status.message, HasSubstr("which is no multiple of 4"));
  EXPECT_EQ(runOnce("unknown", std::vector<float>(10)).code, LATHE_STATUS_DEVICE);
}

TEST(Device, GoesOnAfterAFault) {
  DevicePtr device = emulator("sm_80");
  OpenResult opened = openOn(device.get());
  ContextPtr context = makeContext(opened.module.get());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(runEntry(context.get(), opened.module.get(), "past_end", {1, 2}).code,
              LATHE_STATUS_DEVICE);
    EXPECT_THAT(runEntry(context.get(), opened.module.get(), "run", {1, 2}).output,
                ElementsAre(4, 8));
  }
}

TEST(Device, OrderIsThatOfTheSeed) {
  constexpr uint32_t hardly = 1 << 20; // all threads write to one place
  std::vector<float> last;
  for (uint64_t seed = 1; seed <= 16; ++seed) {
    RunResult result = runOnce("order", std::vector<float>(64), seed, hardly);
    ASSERT_EQ(result.code, LATHE_STATUS_OK) << result.status.message;
    EXPECT_EQ(runOnce("order", std::vector<float>(64), seed, hardly).output[0], result.output[0]);
    last.push_back(result.output[0]);
  }
  EXPECT_NE(last, std::vector<float>(16, last[0]));
}

TEST(Device, FindsRaces) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    RunResult result = runOnce("order", std::vector<float>(64), seed, 1);
    EXPECT_EQ(result.code, LATHE_STATUS_DEVICE);
    EXPECT_THAT(result.status.message, HasSubstr("kernel 'order', block "));
    EXPECT_THAT(result.status.message, HasSubstr(" wrote, and nothing orders them (seed"));
    EXPECT_EQ(runOnce("run", std::vector<float>(64, 1), seed, 1).output, std::vector<float>(64, 4));
  }
}

// Whether a kernel is done already or not: the host has no way there but a copy.
TEST(DeviceDeathTest, KeepsItsMemoryFromTheHost) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_DEATH(runOnce("ahead", {1}, 1), "");
  EXPECT_DEATH(runOnce("ahead", {1}, 2), "");
}

/// The device's own functions, below modules and contexts.
struct Queued {
  DevicePtr device;
  const DeviceOps &ops = *device->ops;
  void *queue = ops.openQueue(device.get());
  char *local = allocate(DeviceMemory::Local), *shared = allocate(DeviceMemory::Shared);

  explicit Queued(uint64_t seed) : device(emulator("sm_80", seed)) { memset(shared, 1, 64); }
  ~Queued() {
    ops.wait(queue);
    ops.closeQueue(device.get(), queue);
    ops.release(device.get(), shared, 64, DeviceMemory::Shared);
    if (local)
      ops.release(device.get(), local, 64, DeviceMemory::Local);
  }
  char *allocate(DeviceMemory kind) {
    return static_cast<char *>(ops.allocate(device.get(), 64, 64, kind));
  }
};

TEST(DeviceDeathTest, CopiesUpToTheWait) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    Queued queued(seed);
    EXPECT_EQ(queued.ops.copy(queued.queue, queued.local, queued.shared, 32), LATHE_CODE_OK);
    EXPECT_EQ(queued.ops.copy(queued.queue, queued.shared + 32, queued.local, 32), LATHE_CODE_OK);
    EXPECT_DEATH(*const_cast<volatile char *>(queued.shared + 32), "");
    EXPECT_EQ(queued.ops.wait(queued.queue), LATHE_CODE_OK);
    EXPECT_EQ(queued.shared[63], 1);
    EXPECT_DEATH(*const_cast<volatile char *>(queued.local), "");
    // Nobody is left who could be told.
    EXPECT_DEATH(
        {
          queued.ops.copy(queued.queue, queued.local, queued.shared, 32);
          queued.ops.closeQueue(queued.device.get(), queued.queue);
        },
        "the host ends its queue, and has not waited for a copy");
  }
}

TEST(Device, FindsMemoryThatIsGivenBackTooEarly) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    Queued queued(seed);
    EXPECT_EQ(queued.ops.copy(queued.queue, queued.local, queued.shared, 64), LATHE_CODE_OK);
    queued.ops.release(queued.device.get(), queued.local, 64, DeviceMemory::Local);
    queued.local = nullptr;
    EXPECT_EQ(queued.ops.wait(queued.queue), LATHE_CODE_DEVICE);
    char text[300];
    queued.ops.explain(queued.queue, text, sizeof(text));
    EXPECT_THAT(text, HasSubstr("the host gives back memory at 0x"));
    EXPECT_THAT(text, HasSubstr("which a copy may use that it has not waited for (seed " +
                                std::to_string(seed)));
    // And goes on.
    EXPECT_EQ(queued.ops.wait(queued.queue), LATHE_CODE_OK);
  }
}

TEST(Device, RunsOnSeveralThreads) {
  DevicePtr device = emulator("sm_80");
  OpenResult opened = openOn(device.get());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      lathe_context_options options = contextOptions();
      options.threads = 1 + t % 2;
      ContextPtr context = makeContext(opened.module.get(), &options);
      for (int i = 0; i < 50; ++i) {
        float value = t * 100 + i;
        EXPECT_EQ(
            runEntry(context.get(), opened.module.get(), "run", std::vector<float>(200, value))
                .output,
            std::vector<float>(200, 4 * value));
      }
    });
  for (std::thread &thread : threads)
    thread.join();
}

TEST(Device, RunsBesideTheCaller) {
  DevicePtr device = emulator("sm_80");
  OpenResult opened = openOn(device.get());
  ContextPtr context = makeContext(opened.module.get());
  std::vector<float> x = {1, 2, 3};
  lathe_value input = borrow(LATHE_F32, {3}, x), output = {};
  lathe_status status;
  ASSERT_EQ(lathe_context_run_async(context.get(), 0, &input, 1, &output, 1, nullptr, &status),
            LATHE_STATUS_OK)
      << status.message;
  ASSERT_EQ(lathe_context_wait(context.get(), -1, &status), LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(static_cast<float *>(output.data)[2], 12);
  lathe_value_release(&output);
}

// ---- Tables that break the rules ----------------------------------------------------------------

/// Where a static object of device.c lies: its address, and its bytes in the file.
uint64_t addressOf(Bytes &bytes, const std::string &name) {
  Elf64_Shdr &table = findSection(bytes, ".symtab");
  const char *names = bytes.data() + findSection(bytes, ".strtab").sh_offset;
  auto *symbols = reinterpret_cast<const Elf64_Sym *>(bytes.data() + table.sh_offset);
  for (size_t i = 0; i < table.sh_size / sizeof(Elf64_Sym); ++i)
    if (name == names + symbols[i].st_name)
      return symbols[i].st_value;
  ADD_FAILURE() << "no symbol " << name;
  return 0;
}

template <typename T> T &objectOf(Bytes &bytes, const std::string &name) {
  uint64_t address = addressOf(bytes, name);
  for (int i = 1; i < headerOf(bytes).e_shnum; ++i) {
    const Elf64_Shdr &section = sectionsOf(bytes)[i];
    if (section.sh_flags & SHF_ALLOC && address >= section.sh_addr &&
        address < section.sh_addr + section.sh_size)
      return *reinterpret_cast<T *>(bytes.data() + section.sh_offset + address - section.sh_addr);
  }
  ADD_FAILURE() << name << " lies in no section";
  return *reinterpret_cast<T *>(bytes.data());
}

/// Has the pointer at `offset` into an object point to `target`.
void redirect(Bytes &bytes, const std::string &name, uint64_t offset, uint64_t target) {
  Elf64_Shdr &section = findSection(bytes, ".rela.dyn");
  auto *relocations = reinterpret_cast<Elf64_Rela *>(bytes.data() + section.sh_offset);
  for (size_t i = 0; i < section.sh_size / sizeof(Elf64_Rela); ++i)
    if (relocations[i].r_offset == addressOf(bytes, name) + offset) {
      relocations[i].r_addend = target;
      return;
    }
  ADD_FAILURE() << name << " has no pointer at " << offset;
}

TEST(Device, RefusesTablesThatBreakTheRules) {
  using Device = lathe_device_variant;
  struct Case {
    const char *message;
    void (*damage)(Bytes &);
  } cases[] = {
      {"the list of variants for devices",
       [](Bytes &b) {
         objectOf<lathe_artifact>(b, "lathe_artifact_table").device_variant_count = 1 << 20;
       }},
      {"the list of variants for devices",
       [](Bytes &b) {
         redirect(b, "lathe_artifact_table", offsetof(lathe_artifact, device_variants),
                  addressOf(b, "devices") + 1);
       }},
      {"the list of variants is out of range",
       [](Bytes &b) {
         objectOf<lathe_artifact>(b, "lathe_artifact_table").device_variant_count = 0;
       }},
      // A table that ends before the devices has none, and nothing else either.
      {"the list of variants is out of range",
       [](Bytes &b) { objectOf<lathe_artifact>(b, "lathe_artifact_table").size = 56; }},
      {"out of range", [](Bytes &b) { objectOf<Device>(b, "devices").host.entry_count = 1 << 30; }},
      {"weights", [](Bytes &b) { objectOf<Device>(b, "devices").host.weights_bytes = 1 << 30; }},
      {"the kernels for a device",
       [](Bytes &b) { objectOf<Device>(b, "devices").kernel_count = 1 << 24; }},
      {"the kernels for a device",
       [](Bytes &b) {
         redirect(b, "devices", offsetof(Device, kernels), addressOf(b, "kernels") + 4);
       }},
      {"a kernel for a device",
       [](Bytes &b) { objectOf<lathe_device_kernel>(b, "kernels").block_threads = 0; }},
      {"a kernel for a device",
       [](Bytes &b) { objectOf<lathe_device_kernel>(b, "kernels").block_threads = 4096; }},
      {"a kernel for a device",
       [](Bytes &b) { objectOf<lathe_device_kernel>(b, "kernels").arg_count = 1; }},
      {"a kernel for a device",
       [](Bytes &b) { objectOf<lathe_device_kernel>(b, "kernels").block_items = 0; }},
      {"a kernel for a device",
       [](Bytes &b) { objectOf<lathe_device_kernel>(b, "kernels").block_items = 129; }},
      {"a kernel for a device",
       [](Bytes &b) { objectOf<lathe_device_kernel>(b, "kernels").shared_bytes = 1 << 30; }},
      {"the tensor maps of a kernel",
       [](Bytes &b) { (&objectOf<lathe_device_kernel>(b, "kernels"))[4].tensor_map_count = 33; }},
      {"the tensor maps of a kernel",
       [](Bytes &b) {
         redirect(b, "kernels",
                  4 * sizeof(lathe_device_kernel) + offsetof(lathe_device_kernel, tensor_maps),
                  addressOf(b, "tensor_map") + 4);
       }},
      {"the dtype or rank of a tensor map",
       [](Bytes &b) { objectOf<lathe_tensor_map>(b, "tensor_map").dtype = LATHE_STRING; }},
      {"the dtype or rank of a tensor map",
       [](Bytes &b) { objectOf<lathe_tensor_map>(b, "tensor_map").rank = 0; }},
      {"the dtype or rank of a tensor map",
       [](Bytes &b) { objectOf<lathe_tensor_map>(b, "tensor_map").rank = 6; }},
      {"the buffer of a tensor map",
       [](Bytes &b) { objectOf<lathe_tensor_map>(b, "tensor_map").buffer = 0; }},
      {"the buffer of a tensor map",
       [](Bytes &b) { objectOf<lathe_tensor_map>(b, "tensor_map").buffer = 3; }},
      {"the swizzle of a tensor map",
       [](Bytes &b) { objectOf<lathe_tensor_map>(b, "tensor_map").swizzle = 16; }},
      {"the box of a tensor map",
       [](Bytes &b) { objectOf<lathe_tensor_map>(b, "tensor_map").box[1] = 0; }},
      {"the box of a tensor map",
       [](Bytes &b) { objectOf<lathe_tensor_map>(b, "tensor_map").box[1] = 257; }},
      {"a size or stride of a tensor map",
       [](Bytes &b) { objectOf<lathe_tensor_map>(b, "tensor_map").sizes[1].factors[0] = 3; }},
      {"a size or stride of a tensor map",
       [](Bytes &b) { objectOf<lathe_tensor_map>(b, "tensor_map").strides[1].factors[3] = 3; }},
      {"the rows of a tensor map's box",
       [](Bytes &b) { objectOf<lathe_tensor_map>(b, "tensor_map").box[0] = 6; }},
      {"the rows of a tensor map's box",
       [](Bytes &b) { objectOf<lathe_tensor_map>(b, "tensor_map").swizzle = 64; }},
      {"the flags of a device", [](Bytes &b) { objectOf<Device>(b, "devices").flags = 1; }},
      {"the images for a device",
       [](Bytes &b) { objectOf<Device>(b, "devices").image_count = 1 << 20; }},
      {"an image for a device",
       [](Bytes &b) { objectOf<lathe_image>(b, "both").bytes = uint64_t(1) << 62; }},
      {"is not terminated", [](Bytes &b) { --objectOf<lathe_image>(b, "both").bytes; }},
      {"is not terminated", [](Bytes &b) { objectOf<lathe_image>(b, "both").bytes = 0; }},
      {"the table of emulated kernels",
       [](Bytes &b) { --objectOf<Device>(b, "devices").kernel_count; }},
      {"an emulated kernel lies outside",
       [](Bytes &b) { redirect(b, "emulated", 8, addressOf(b, "kernels")); }},
  };
  for (const Case &test : cases) {
    Bytes bytes = wholeArtifact();
    test.damage(bytes);
    EXPECT_TRUE(reseal(bytes));
    lathe_module_options options = moduleOptions();
    options.flags = LATHE_MODULE_INSPECT;
    OpenResult opened = openBytes(bytes, &options);
    EXPECT_EQ(opened.module, nullptr) << test.message;
    EXPECT_THAT(opened.status.message, HasSubstr(test.message));
  }
}

} // namespace
