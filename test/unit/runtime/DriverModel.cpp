// A model for GPUs as the compiler would make it. Licensed under Apache-2.0 WITH LLVM-exception.
#include "DriverModel.h"

#include <algorithm>
#include <atomic>
#include <iterator>

namespace {

constexpr uint32_t blockThreads = 32;

// ---- Kernels, as the emulator runs them: numbers that are parameters, the last the count
// ----------

uint64_t itemOf(const lathe_emulated_thread &thread) {
  return uint64_t(thread.block) * thread.block_threads + thread.thread;
}

uint64_t address(const void *pointer) { return reinterpret_cast<uint64_t>(pointer); }

// An element, or null where the device has no such memory.
float *at(lathe_emulated_thread *thread, uint64_t base, uint64_t index, bool isWrite) {
  auto *element = reinterpret_cast<float *>(base) + index;
  const char *range[2];
  return thread->check(thread, element, sizeof(float), sizeof(float), isWrite, range) ? element
                                                                                      : nullptr;
}

// to[i] = from[i] * weights[i % 4]
void scale(const uint64_t *args, lathe_emulated_thread *thread) {
  uint64_t i = itemOf(*thread);
  if (i >= args[4])
    return;
  float *from = at(thread, args[1], i, false), *weight = at(thread, args[2], i % 4, false);
  float *to = at(thread, args[3], i, true);
  if (from && weight && to)
    *to = *from * *weight;
}

// to[i] = from[i] + 1
void increment(const uint64_t *args, lathe_emulated_thread *thread) {
  uint64_t i = itemOf(*thread);
  if (i >= args[3])
    return;
  float *from = at(thread, args[1], i, false), *to = at(thread, args[2], i, true);
  if (from && to)
    *to = *from + 1;
}

// to[i] = from[i], but for the number 100 + which, which is a fault that the site of this number
// tells of.
void passOn(const uint64_t *args, lathe_emulated_thread *thread) {
  uint64_t i = itemOf(*thread), which = args[3];
  if (i >= args[4])
    return;
  float *from = at(thread, args[1], i, false), *to = at(thread, args[2], i, true);
  if (!from || !to)
    return;
  *to = *from;
  auto *faults = reinterpret_cast<lathe_error *>(args[0]);
  const char *range[2];
  if (*from != float(100 + which) ||
      !thread->check(thread, faults, sizeof(*faults), alignof(lathe_error), true, range))
    return;
  int32_t none = 0;
  if (!std::atomic_ref(faults->code).compare_exchange_strong(none, LATHE_CODE_INDEX))
    return;
  faults->site = uint32_t(which);
  faults->args[0] = int64_t(100 + which);
  faults->args[1] = int64_t(args[4]);
}

// to[i] = 2 * from[i] + 1, where a copy of a tensor brings a block's numbers of `from`.
void boxes(const uint64_t *args, lathe_emulated_thread *thread) {
  uint64_t i = itemOf(*thread);
  auto *part = reinterpret_cast<float *>(thread->shared);
  void *barrier = part + blockThreads;
  auto first = int32_t(blockThreads * thread->block);
  const auto *map = reinterpret_cast<const void *>(args[4]);
  if (thread->thread == 0 &&
      !(thread->init_phases(thread, barrier, 1) && thread->fence_phases(thread) &&
        thread->copy_tensor(thread, part, map, barrier, 1, &first) &&
        thread->arrive(thread, barrier, sizeof(float) * blockThreads)))
    return;
  if (!thread->barrier(thread) || !thread->wait_phase(thread, barrier, 0) || i >= args[3])
    return;
  float *from = at(thread, address(part), thread->thread, false),
        *to = at(thread, args[2], i, true);
  if (from && to)
    *to = 2 * *from + 1;
}

void never(const uint64_t *, lathe_emulated_thread *) {}

enum { Scale, Increment, Wide, PassOn };
const lathe_device_kernel kernels[] = {
    {"scale", 5, blockThreads, blockThreads, 0, 0, 0, nullptr},
    {"increment", 4, blockThreads, blockThreads, 0, 0, 0, nullptr},
    {"wide", lathe::test::tooManyParameters, blockThreads, blockThreads, 0, 0, 0, nullptr},
    {"pass_on", 5, blockThreads, blockThreads, 0, 0, 0, nullptr},
};
constexpr uint32_t kernelCount = 4;
const lathe_emulated_kernel emulated[] = {scale, increment, never, passOn};

// As many numbers as the count from the address on that is parameter 1.
constexpr lathe_tensor_map numbers = {1, LATHE_F32, 0, 1, 0, {{1, {3}}}, {}, {blockThreads}, 0};
const lathe_device_kernel mappedKernels[] = {
    {"boxes", 4, blockThreads, blockThreads, 4 * blockThreads + 8, 1, 0, &numbers}};
const lathe_emulated_kernel mappedEmulated[] = {boxes};

// ---- The host program
// ------------------------------------------------------------------------------

int32_t plan(lathe_call *call, lathe_plan *plan) {
  call->outputs[0].dims[0] = call->inputs[0].dims[0];
  plan->arena_bytes = uint64_t(call->inputs[0].dims[0]) * sizeof(float);
  return LATHE_CODE_OK;
}

// The input by the weights, to the arena.
int32_t launchScale(lathe_call *call) {
  int64_t count = call->inputs[0].dims[0];
  uint64_t args[] = {0, address(call->inputs[0].data), address(call->weights), address(call->arena),
                     uint64_t(count)};
  return call->services->launch(call, Scale, args, 5, count);
}

int32_t launchIncrement(lathe_call *call, const void *from, void *to, int64_t count) {
  uint64_t args[] = {0, address(from), address(to), uint64_t(count)};
  return call->services->launch(call, Increment, args, 4, count);
}

int32_t run(lathe_call *call) {
  int64_t count = call->inputs[0].dims[0];
  uint64_t bytes = uint64_t(count) * sizeof(float);
  void *temporary = call->services->allocate_device(call, bytes);
  auto *seen = static_cast<float *>(call->services->allocate(call, bytes));
  if (!temporary || !seen)
    return LATHE_CODE_MEMORY;
  if (int32_t code = launchScale(call))
    return code;
  if (int32_t code = launchIncrement(call, call->arena, temporary, count))
    return code;
  // The host looks at what kernels wrote, and changes it.
  if (int32_t code = call->services->copy(call, seen, temporary, bytes, LATHE_COPY_TO_HOST))
    return code;
  for (int64_t i = 0; i < count; ++i)
    seen[i] -= 1;
  if (int32_t code = call->services->copy(call, temporary, seen, bytes, LATHE_COPY_TO_DEVICE))
    return code;
  return launchIncrement(call, temporary, call->outputs[0].data, count);
}

// The same without a look at memory.
int32_t runUnseen(lathe_call *call) {
  int64_t count = call->inputs[0].dims[0];
  if (int32_t code = launchScale(call))
    return code;
  return launchIncrement(call, call->arena, call->outputs[0].data, count);
}

int32_t launchPassOn(lathe_call *call, const void *from, void *to, uint64_t which) {
  int64_t count = call->inputs[0].dims[0];
  uint64_t args[] = {0, address(from), address(to), which, uint64_t(count)};
  return call->services->launch(call, PassOn, args, 5, count);
}

// The same, by way of three kernels that may find a fault.
int32_t runChecked(lathe_call *call) {
  void *input = call->inputs[0].data, *output = call->outputs[0].data;
  int32_t code = launchPassOn(call, input, call->arena, 0);
  if (!code)
    code = launchPassOn(call, call->arena, output, 1);
  if (!code)
    code = launchPassOn(call, output, input, 2);
  if (!code)
    code = runUnseen(call);
  return code;
}

// With a sequence in front of the input, which it leaves alone.
int32_t runBeside(lathe_call *call) {
  lathe_call inner = *call;
  ++inner.inputs;
  return runUnseen(&inner);
}

int32_t planBeside(lathe_call *call, lathe_plan *memory) {
  lathe_call inner = *call;
  ++inner.inputs;
  return plan(&inner, memory);
}

// The host itself finds a fault, after a kernel that may find one.
int32_t runRefusing(lathe_call *call) {
  if (int32_t code = launchPassOn(call, call->inputs[0].data, call->arena, 0))
    return code;
  *call->error = {LATHE_CODE_SHAPE, lathe::test::hostSite, {call->inputs[0].dims[0]}};
  return LATHE_CODE_SHAPE;
}

// The host looks at what a kernel wrote that may have found a fault.
int32_t runLooking(lathe_call *call) {
  int64_t count = call->inputs[0].dims[0];
  if (int32_t code = launchPassOn(call, call->inputs[0].data, call->arena, 0))
    return code;
  for (int64_t i = 0; i < count; ++i) {
    float number = 0;
    const void *from = reinterpret_cast<const float *>(call->arena) + i;
    if (int32_t code = call->services->copy(call, &number, from, 4, LATHE_COPY_TO_HOST))
      return code;
    if (number == 100)
      return LATHE_CODE_LOOP; // it goes by a number that it should not have seen
  }
  return runUnseen(call);
}

// Copies that are refused, by the first number of the input: from nowhere, across the end of the
// arena, to the weights, between two places of which one is none. Others are well.
int32_t runAstray(lathe_call *call) {
  int64_t bytes = call->inputs[0].dims[0] * 4;
  float which = 0, room[8] = {};
  auto copy = [&](void *to, const void *from, int64_t size, uint32_t direction) {
    return call->services->copy(call, to, from, uint64_t(size), direction);
  };
  int32_t code = copy(&which, call->inputs[0].data, 4, LATHE_COPY_TO_HOST);
  if (!code && which == 1)
    code = copy(room, room + 4, 4, LATHE_COPY_TO_HOST);
  if (!code && which == 2)
    code = copy(room, call->arena + bytes - 4, 8, LATHE_COPY_TO_HOST);
  if (!code && which == 3)
    code = copy(const_cast<char *>(call->weights), room, 4, LATHE_COPY_TO_DEVICE);
  if (!code && which == 4)
    code = copy(room, call->arena, 4, LATHE_COPY_ON_DEVICE);
  if (!code && which == 5)
    code = copy(call->arena, room, 4, LATHE_COPY_ON_DEVICE);
  if (!code && which == 6)
    code = copy(call->arena + bytes - 4, room, INT64_MAX, LATHE_COPY_TO_DEVICE);
  if (!code && which == 8) {
    constexpr int64_t large = (9 << 20) + 12;
    auto *memory = static_cast<char *>(call->services->allocate_device(call, large));
    auto *there = static_cast<char *>(call->services->allocate(call, large)),
         *back = static_cast<char *>(call->services->allocate(call, large));
    for (int64_t i = 0; i < large; ++i)
      there[i] = char(i % 251);
    code = copy(memory, there, large, LATHE_COPY_TO_DEVICE);
    if (!code)
      code = copy(back, memory, large, LATHE_COPY_TO_HOST);
    if (!code && !std::equal(there, there + large, back))
      code = LATHE_CODE_LOOP;
  }
  return code ? code : runUnseen(call);
}

// Looks at what it goes on with, which is its weights and some of the arena.
int32_t runWaiting(lathe_call *call) {
  int64_t count = call->inputs[0].dims[0];
  float weight = 0, number = 0;
  if (int32_t code = launchScale(call))
    return code;
  if (int32_t code = call->services->copy(call, &weight, call->weights, 4, LATHE_COPY_TO_HOST))
    return code;
  if (int32_t code = call->services->copy(call, &number, call->arena, 4, LATHE_COPY_TO_HOST))
    return code;
  if (weight != 2 || number != -6)
    return LATHE_CODE_LOOP;
  return launchIncrement(call, call->arena, call->outputs[0].data, count);
}

// By memory that it asks for, from where the device copies it.
int32_t runAllocating(lathe_call *call) {
  int64_t count = call->inputs[0].dims[0];
  uint64_t bytes = uint64_t(count) * sizeof(float);
  void *memory = call->services->allocate_device(call, bytes);
  if (!memory)
    return LATHE_CODE_MEMORY;
  if (int32_t code = launchScale(call))
    return code;
  if (int32_t code = launchIncrement(call, call->arena, memory, count))
    return code;
  return call->services->copy(call, call->outputs[0].data, memory, bytes, LATHE_COPY_ON_DEVICE);
}

// What no host program may do.
int32_t runPeeking(lathe_call *call) {
  return *static_cast<volatile float *>(call->inputs[0].data) != 0;
}

int32_t runMany(lathe_call *call) {
  return launchIncrement(call, call->arena, call->arena, INT64_MAX / 2);
}

int32_t runWide(lathe_call *call) {
  uint64_t args[lathe::test::tooManyParameters] = {};
  args[lathe::test::tooManyParameters - 1] = 1;
  return call->services->launch(call, Wide, args, lathe::test::tooManyParameters, 1);
}

int32_t runWild(lathe_call *call) {
  return launchIncrement(call, call->inputs[0].data, &call, call->inputs[0].dims[0]);
}

int32_t launchBoxes(lathe_call *call, uint64_t offset) {
  int64_t count = call->inputs[0].dims[0];
  uint64_t args[] = {0, address(call->inputs[0].data) + offset, address(call->outputs[0].data),
                     uint64_t(count)};
  return call->services->launch(call, 0, args, 4, count);
}
int32_t runBoxes(lathe_call *call) { return launchBoxes(call, 0); }
int32_t runOdd(lathe_call *call) { return launchBoxes(call, sizeof(float)); }

const lathe_dim dims[] = {{LATHE_DYNAMIC, "n", 0, INT64_MAX}};
const lathe_tensor_spec input = {"x", LATHE_VALUE_TENSOR, LATHE_F32, 1, -1, -1, 0, {dims}};
const lathe_tensor_spec output = {"y", LATHE_VALUE_TENSOR, LATHE_F32, 1, -1, -1, 0, {dims}};
const lathe_entry entries[] = {
    {"run", plan, run, 1, 1, &input, &output},
    {"many", plan, runMany, 1, 1, &input, &output},
    {"wide", plan, runWide, 1, 1, &input, &output},
    {"wild", plan, runWild, 1, 1, &input, &output},
    {"looking", plan, runLooking, 1, 1, &input, &output},
    {"checked", plan, runChecked, 1, 1, &input, &output},
    {"refusing", plan, runRefusing, 1, 1, &input, &output},
    {"astray", plan, runAstray, 1, 1, &input, &output},
};

const lathe_tensor_spec besideInputs[] = {{"s", LATHE_VALUE_SEQUENCE, 0, 0, -1, -1, 0, {nullptr}},
                                          input};
const lathe_entry unseenEntries[] = {
    {"run", plan, runUnseen, 1, 1, &input, &output},
    {"peeking", plan, runPeeking, 1, 1, &input, &output},
    {"waiting", plan, runWaiting, 1, 1, &input, &output},
    {"checked", plan, runChecked, 1, 1, &input, &output},
    {"refusing", plan, runRefusing, 1, 1, &input, &output},
    {"beside", planBeside, runBeside, 2, 1, besideInputs, &output},
    {"allocating", plan, runAllocating, 1, 1, &input, &output},
};

const lathe_entry mappedEntries[] = {
    {"run", plan, runBoxes, 1, 1, &input, &output},
    {"odd", plan, runOdd, 1, 1, &input, &output},
};

const lathe_site sites[] = {{"node 'first': %0 is among %1 numbers"},
                            {"node 'second': %0 is among %1 numbers"},
                            {"node 'third': %0 is among %1 numbers"},
                            {"the host does not take %0 numbers"}};

// ---- The artifact
// ----------------------------------------------------------------------------------

alignas(LATHE_ALIGNMENT) const float weights[16] = {2, 2, 2, 2};

// Drivers look for the kernels' names in it; the fakes do no more. Each image has an address of its
// own, as fakes tell them apart by it.
#define TEXT(ARCH) "// scale increment wide pass_on, for " ARCH
const char sm80[] = TEXT("sm_80"), sm86[] = TEXT("sm_86"), sm90a[] = TEXT("sm_90a"),
           gfx90a[] = TEXT("gfx90a"), gfx942[] = TEXT("gfx942");

#define IMAGES(KIND, TEXT)                                                                         \
  {                                                                                                \
    {KIND, 0, TEXT, sizeof(TEXT)}, { LATHE_IMAGE_EMULATOR, 0, emulated, sizeof(emulated) }         \
  }
const lathe_image images[][2] = {
    IMAGES(LATHE_IMAGE_PTX, sm80),
    IMAGES(LATHE_IMAGE_PTX, sm90a),
    IMAGES(LATHE_IMAGE_HSACO, gfx90a),
    IMAGES(LATHE_IMAGE_HSACO, gfx942),
};
/// With what needs no compiler of the driver's.
const char sm86Binary[] = TEXT("sm_86, assembled");
const lathe_image withBinary[] = {
    {LATHE_IMAGE_PTX, 0, sm86, sizeof(sm86)},
    {LATHE_IMAGE_CUBIN, 0, sm86Binary, sizeof(sm86Binary)},
    {LATHE_IMAGE_EMULATOR, 0, emulated, sizeof(emulated)},
};
const char unseenPtx[] = TEXT("sm_80, unseen"), unseenObject[] = TEXT("gfx942, unseen");
const lathe_image unseenImages[][2] = {
    IMAGES(LATHE_IMAGE_PTX, unseenPtx),
    IMAGES(LATHE_IMAGE_HSACO, unseenObject),
};

const char mappedPtx[] = "// boxes, for sm_80", mappedObject[] = "// boxes, for gfx942";
const lathe_image mappedImages[][2] = {
    {{LATHE_IMAGE_PTX, 0, mappedPtx, sizeof(mappedPtx)},
     {LATHE_IMAGE_EMULATOR, 0, mappedEmulated, sizeof(mappedEmulated)}},
    {{LATHE_IMAGE_HSACO, 0, mappedObject, sizeof(mappedObject)},
     {LATHE_IMAGE_EMULATOR, 0, mappedEmulated, sizeof(mappedEmulated)}},
};

constexpr lathe_variant host(const char *name) {
  return {name, 0, 0, sizeof(weights), uint32_t(std::size(entries)), 0, entries};
}
constexpr lathe_variant unseen(const char *name) {
  return {name, 0, 0, sizeof(weights), uint32_t(std::size(unseenEntries)), 0, unseenEntries};
}
const lathe_device_variant variants[] = {
    {host("nvidia:sm_80"), kernelCount, 2, kernels, images[0], LATHE_DEVICE_HOST_LOOKS, 0},
    {host("nvidia:sm_86"), kernelCount, 3, kernels, withBinary, LATHE_DEVICE_HOST_LOOKS, 0},
    {host("nvidia:sm_90a"), kernelCount, 2, kernels, images[1], LATHE_DEVICE_HOST_LOOKS, 0},
    {host("amd:gfx90a"), kernelCount, 2, kernels, images[2], LATHE_DEVICE_HOST_LOOKS, 0},
    {host("amd:gfx942"), kernelCount, 2, kernels, images[3], LATHE_DEVICE_HOST_LOOKS, 0},
};
const lathe_device_variant unseenVariants[] = {
    {unseen("nvidia:sm_80"), kernelCount, 2, kernels, unseenImages[0], 0, 0},
    {unseen("amd:gfx942"), kernelCount, 2, kernels, unseenImages[1], 0, 0},
};
constexpr lathe_variant mapped(const char *name) {
  return {name, 0, 0, sizeof(weights), uint32_t(std::size(mappedEntries)), 0, mappedEntries};
}
const lathe_device_variant mappedVariants[] = {
    {mapped("nvidia:sm_80"), 1, 2, mappedKernels, mappedImages[0], 0, 0},
    {mapped("amd:gfx942"), 1, 2, mappedKernels, mappedImages[1], 0, 0},
};
constexpr lathe_artifact tableOf(uint32_t count, const lathe_device_variant *devices) {
  return {LATHE_MAGIC,
          LATHE_FORMAT_VERSION,
          LATHE_ABI_VERSION,
          sizeof(lathe_artifact),
          0,
          nullptr,
          std::size(sites),
          sites,
          count,
          devices};
}
const lathe_artifact table = tableOf(5, variants), unseenTable = tableOf(2, unseenVariants),
                     mappedTable = tableOf(2, mappedVariants);

lathe_static_model modelOf(const lathe_artifact &table) {
  return {sizeof(lathe_static_model),
          0,
          "gpu model",
          &table,
          reinterpret_cast<const char *>(weights),
          sizeof(weights),
          "{}",
          2};
}

} // namespace

const lathe_static_model lathe::test::driverModel = modelOf(table);
const lathe_static_model lathe::test::unseenModel = modelOf(unseenTable);
const lathe_static_model lathe::test::mappedModel = modelOf(mappedTable);
