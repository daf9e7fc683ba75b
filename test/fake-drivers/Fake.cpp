// The GPU behind the fake drivers. Licensed under Apache-2.0 WITH LLVM-exception.
#include "Fake.h"
#include "lathe-c/Emulator.h"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sstream>
#include <unistd.h>

using namespace lathe::fake;
using lathe::runtime::DeviceMemory;

thread_local int Fake::current = 0;

Fake::Fake(const char *name, uint32_t imageKind) : name(name), imageKind(imageKind) {
  std::string variable = "LATHE_FAKE_" + this->name;
  const char *text = getenv(variable.c_str());
  configure(text ? text : "");
}

Fake::~Fake() {
  for (const auto &[function, calls] : counts)
    if (printsCounts)
      fprintf(stderr, "fake %s: %s %d\n", name.c_str(), function.c_str(), calls);
  std::string left = account();
  if (!left.empty())
    fprintf(stderr, "fake %s: at the end: %s\n", name.c_str(), left.c_str());
  lathe_device_close(emulator);
}

void Fake::configure(const std::string &text) {
  std::lock_guard<std::mutex> lock(mutex);
  architecture = imageKind == LATHE_IMAGE_PTX ? "sm_80" : "gfx942";
  devices = 1;
  version = 12040;
  unified = 1;
  printsCounts = 0;
  planned.clear();
  lost = Success;
  counts.clear();
  misuses.clear();
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    size_t equal = word.find('=');
    std::string key = word.substr(0, equal), value = word.substr(equal + 1);
    if (key == "arch")
      architecture = value;
    else if (key == "devices")
      devices = std::stoi(value);
    else if (key == "version")
      version = std::stoi(value);
    else if (key == "unified")
      unified = std::stoi(value);
    else if (key == "counts")
      printsCounts = std::stoi(value);
    else if (key == "fail") {
      size_t colon = value.find(':'), code = value.find('=');
      planned.push_back(
          {value.substr(0, colon), std::stoi(value.substr(colon + 1)),
           code == std::string::npos ? int(OutOfMemory) : std::stoi(value.substr(code + 1)),
           value.back() == '!'});
    } else {
      fprintf(stderr, "fake %s: '%s' is not understood\n", name.c_str(), word.c_str());
      abort();
    }
  }
  if (emulator && modules.empty() && allocations.empty() && streams.empty()) {
    lathe_device_close(emulator);
    emulator = nullptr;
  }
}

int Fake::begin(const char *function, bool isQuery) {
  std::lock_guard<std::mutex> lock(mutex);
  int call = ++counts[function];
  if (lost && !isQuery)
    return lost;
  for (const Failure &failure : planned)
    if (failure.function == function && failure.call == call) {
      if (failure.isLoss)
        lost = failure.error;
      return failure.error;
    }
  return Success;
}

void Fake::misuse(const std::string &what) {
  fprintf(stderr, "fake %s: %s\n", name.c_str(), what.c_str());
  misuses.push_back(what);
}

std::string Fake::account() const {
  std::lock_guard<std::mutex> lock(mutex);
  std::string text;
  auto add = [&](size_t count, const char *what) {
    if (count)
      text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + what;
  };
  add(allocations.size(), "allocations");
  add(modules.size(), "modules");
  add(streams.size(), "streams");
  add(graphs.size(), "graphs");
  add(size_t(contexts), "contexts");
  if (current)
    text += (text.empty() ? "" : ", ") + std::string("the thread's device is not what it was");
  for (const std::string &what : misuses)
    text += (text.empty() ? "" : ", ") + what;
  return text;
}

lathe_device *Fake::device() {
  if (!emulator && lathe_emulator_open(architecture.c_str(), nullptr, &emulator, nullptr))
    abort();
  return emulator;
}

namespace {

/// A readable piece of the process.
struct Range {
  uint64_t begin, end;
};

// Near `address`: an artifact's tables and code are one mapping, or those of one library.
std::vector<Range> readableRanges(uint64_t address) {
  constexpr uint64_t near = uint64_t(64) << 20;
  std::vector<Range> ranges;
  FILE *maps = fopen("/proc/self/maps", "r");
  char line[4400];
  while (maps && fgets(line, sizeof(line), maps)) {
    unsigned long long begin, end;
    char mode;
    if (sscanf(line, "%llx-%llx %c", &begin, &end, &mode) == 3 && mode == 'r' &&
        end + near > address && begin < address + near)
      ranges.push_back({begin, end});
  }
  if (maps)
    fclose(maps);
  return ranges;
}

// Through the kernel, which says no where a plain read would fault.
class Memory {
public:
  explicit Memory(uint64_t address)
      : ranges(readableRanges(address)), file(open("/proc/self/mem", O_RDONLY | O_CLOEXEC)) {}
  ~Memory() { close(file); }
  bool read(uint64_t address, void *to, size_t bytes) const {
    return pread(file, to, bytes, off_t(address)) == ssize_t(bytes);
  }
  std::vector<uint64_t> find(uint64_t word) const {
    std::vector<uint64_t> found, words(8192);
    const size_t bytes = words.size() * sizeof(uint64_t);
    for (const Range &range : ranges)
      for (uint64_t at = range.begin; at < range.end; at += bytes) {
        size_t wanted = std::min<uint64_t>(bytes, range.end - at);
        if (!read(at, words.data(), wanted))
          continue;
        for (size_t i = 0; i < wanted / sizeof(uint64_t); ++i)
          if (words[i] == word)
            found.push_back(at + i * sizeof(uint64_t));
      }
    return found;
  }

private:
  std::vector<Range> ranges;
  int file;
};

} // namespace

// The driver is given an image alone. The emulated kernels stand in the artifact's tables, which
// are found by what points to the image.
const lathe_device_variant *Fake::findVariant(const void *image) {
  Memory memory(reinterpret_cast<uint64_t>(image));
  auto isImage = [&](uint64_t address) {
    lathe_image record;
    return memory.read(address, &record, sizeof(record)) &&
           (record.kind == imageKind || record.kind == binaryKind) && !record.reserved &&
           record.data == image;
  };
  auto isVariant = [&](uint64_t address) {
    lathe_device_variant variant;
    if (!memory.read(address, &variant, sizeof(variant)) || !variant.kernels ||
        !variant.host.entries || !variant.image_count || variant.image_count > LATHE_IMAGE_EMULATOR)
      return false;
    auto images = reinterpret_cast<uint64_t>(variant.images);
    for (uint32_t i = 0; i < variant.image_count; ++i)
      if (isImage(images + i * sizeof(lathe_image)))
        return true;
    return false;
  };
  const lathe_device_variant *&known = variants[image];
  if (known && isVariant(reinterpret_cast<uint64_t>(known)))
    return known;
  known = nullptr;
  for (uint64_t place : memory.find(reinterpret_cast<uint64_t>(image))) {
    uint64_t record = place - offsetof(lathe_image, data);
    if (!isImage(record))
      continue;
    for (uint32_t before = 0; before < LATHE_IMAGE_EMULATOR; ++before)
      for (uint64_t user : memory.find(record - before * sizeof(lathe_image)))
        if (uint64_t address = user - offsetof(lathe_device_variant, images); isVariant(address))
          return known = reinterpret_cast<const lathe_device_variant *>(address);
  }
  return nullptr;
}

/// Cubins are for one generation, and for what came in it before.
static bool takesBinary(const std::string &device, const char *code) {
  int made = atoi(strstr(code, "sm_") + 3), is = atoi(device.c_str() + 3);
  return made / 10 == is / 10 && made <= is;
}

int Fake::load(const void *image, void **module) {
  std::lock_guard<std::mutex> lock(mutex);
  const lathe_device_variant *code = findVariant(image);
  if (!code) {
    misuse("a module is loaded whose kernels are in no artifact");
    return NoBinary;
  }
  auto made = std::make_unique<Module>();
  made->code = code;
  bool isPtx = false;
  for (uint32_t i = 0; i < code->image_count; ++i) {
    if (code->images[i].data != image)
      continue;
    made->text.assign(static_cast<const char *>(image), code->images[i].bytes);
    isPtx = code->images[i].kind == LATHE_IMAGE_PTX;
    if (code->images[i].kind == binaryKind) {
      ++counts["a cubin"];
      if (!takesBinary(architecture, code->host.name))
        return NoBinary;
    }
  }
  // Text is read up to its end, which nobody says where it is.
  if (isPtx && made->text.find('\0') == std::string::npos)
    misuse("the text of a module is not terminated");
  modules.insert(made.get());
  *module = made.release();
  return Success;
}

int Fake::findFunction(void **function, void *given, const char *kernel) {
  std::lock_guard<std::mutex> lock(mutex);
  auto *module = static_cast<Module *>(given);
  if (!modules.count(module)) {
    misuse("a function of no module is asked for");
    return InvalidValue;
  }
  const lathe_device_variant &code = *module->code;
  for (uint32_t i = 0; i < code.kernel_count; ++i) {
    if (strcmp(code.kernels[i].name, kernel) || module->text.find(kernel) == std::string::npos)
      continue;
    auto &made = module->functions[kernel];
    made = std::make_unique<Function>(Function{&code, i});
    *function = made.get();
    return Success;
  }
  return NotFound;
}

int Fake::unload(void *given) {
  std::lock_guard<std::mutex> lock(mutex);
  auto *module = static_cast<Module *>(given);
  if (!modules.erase(module))
    misuse("a module is unloaded that is none");
  else
    delete module;
  return Success;
}

int Fake::allocate(void **memory, size_t bytes, DeviceMemory kind) {
  std::lock_guard<std::mutex> lock(mutex);
  if (!bytes)
    return InvalidValue;
  *memory = device()->ops->allocate(device(), bytes, 256, kind);
  if (!*memory)
    return OutOfMemory;
  allocations[*memory] = {bytes, kind};
  return Success;
}

const DeviceMemory *Fake::findMemory(const void *memory, size_t bytes) const {
  auto after = allocations.upper_bound(const_cast<void *>(memory));
  if (after == allocations.begin())
    return nullptr;
  const auto &[begin, found] = *std::prev(after);
  size_t offset = size_t(static_cast<const char *>(memory) - static_cast<const char *>(begin));
  return offset < found.bytes && bytes <= found.bytes - offset ? &found.kind : nullptr;
}

static bool pointsTo(const Work &work, const void *memory, size_t bytes) {
  auto begin = reinterpret_cast<uint64_t>(memory);
  auto isIn = [&](uint64_t address) { return address - begin < bytes; };
  return std::any_of(work.args.begin(), work.args.end(), isIn) ||
         (!work.function && (isIn(reinterpret_cast<uint64_t>(work.to)) ||
                             isIn(reinterpret_cast<uint64_t>(work.from))));
}

int Fake::release(void *memory, DeviceMemory kind) {
  std::lock_guard<std::mutex> lock(mutex);
  auto found = allocations.find(memory);
  if (found == allocations.end() || found->second.kind != kind) {
    misuse("memory is freed that is none of the device, or of another kind");
    return InvalidValue;
  }
  for (const Stream *stream : streams)
    for (const Work &work : stream->pending)
      if (!lost && pointsTo(work, memory, found->second.bytes))
        misuse("memory is freed while kernels or copies may use it");
  device()->ops->release(device(), memory, found->second.bytes, kind);
  allocations.erase(found);
  return Success;
}

// A real driver copies pageable memory of the host at once, in its own time: what is to be copied
// later must be pinned.
int Fake::copy(void *to, const void *from, size_t bytes, void *given, bool isNow) {
  std::lock_guard<std::mutex> lock(mutex);
  const DeviceMemory *target = findMemory(to, bytes), *source = findMemory(from, bytes);
  if ((!target && !source) || (!isNow && (!target || !source))) {
    misuse("a copy of memory that the driver did not give");
    return InvalidValue;
  }
  if (isNow)
    return device()->ops->upload(device(), to, from, bytes) ? int(InvalidValue) : int(Success);
  auto *stream = static_cast<Stream *>(given);
  if (!streams.count(stream)) {
    misuse("a copy on no stream");
    return InvalidValue;
  }
  stream->add({nullptr, {}, to, from, bytes});
  return Success;
}

int Fake::createStream(void **stream) {
  std::lock_guard<std::mutex> lock(mutex);
  auto *made = new Stream{device()->ops->openQueue(device()), {}, false, {}};
  streams.insert(made);
  *stream = made;
  return Success;
}

int Fake::destroyStream(void *given) {
  std::lock_guard<std::mutex> lock(mutex);
  auto *stream = static_cast<Stream *>(given);
  if (!streams.erase(stream)) {
    misuse("a stream is destroyed that is none");
    return InvalidValue;
  }
  device()->ops->closeQueue(device(), stream->queue);
  delete stream;
  return Success;
}

int Fake::allowShared(void *function, unsigned bytes) {
  std::lock_guard<std::mutex> lock(mutex);
  constexpr unsigned most = 227 << 10;
  static_cast<Function *>(function)->mostShared = bytes;
  return bytes <= most ? Success : InvalidValue;
}

int Fake::launch(void *function, unsigned gridX, unsigned blockX, unsigned sharedBytes, void *given,
                 void **parameters) {
  std::lock_guard<std::mutex> lock(mutex);
  auto *stream = static_cast<Stream *>(given);
  auto *launched = static_cast<Function *>(function);
  bool isKnown = false;
  for (const Module *module : modules)
    for (const auto &[kernel, known] : module->functions)
      isKnown |= known.get() == launched;
  if (!isKnown || !streams.count(stream)) {
    misuse("a launch of no function or on no stream");
    return InvalidValue;
  }
  const lathe_device_kernel &kernel = launched->code->kernels[launched->kernel];
  // Text cannot declare more than 48 KiB.
  unsigned asked =
      imageKind == LATHE_IMAGE_PTX && kernel.shared_bytes > 49152 ? kernel.shared_bytes : 0;
  if (sharedBytes != asked || sharedBytes > launched->mostShared) {
    misuse("kernel '" + std::string(kernel.name) + "' is launched with " +
           std::to_string(sharedBytes) + " bytes of shared memory, wants " + std::to_string(asked) +
           ", may have " + std::to_string(launched->mostShared));
    return InvalidValue;
  }
  Work made{launched, {}};
  for (uint32_t i = 0; i < kernel.arg_count; ++i)
    made.args.push_back(*static_cast<const uint64_t *>(parameters[i]));
  for (uint32_t i = 0; i < kernel.tensor_map_count; ++i)
    made.maps.push_back(
        *static_cast<const emulator::EmulatedMap *>(parameters[kernel.arg_count + i]));
  if (!findMemory(reinterpret_cast<const void *>(made.args.front()), sizeof(lathe_error))) {
    misuse("kernel '" + std::string(kernel.name) + "' has no memory to note faults in");
    return InvalidValue;
  }
  uint64_t count = made.args.back();
  uint64_t items = kernel.block_items;
  if (blockX != kernel.block_threads || gridX != (count + items - 1) / items || !gridX) {
    misuse("kernel '" + std::string(kernel.name) + "' gets " + std::to_string(gridX) +
           " blocks of " + std::to_string(blockX) + " threads for " + std::to_string(count) +
           " items");
    return InvalidValue;
  }
  stream->add(std::move(made));
  return Success;
}

int Fake::synchronize(void *given) {
  auto *stream = static_cast<Stream *>(given);
  std::vector<Work> pending;
  const lathe::runtime::DeviceOps *ops;
  {
    std::lock_guard<std::mutex> lock(mutex);
    if (!streams.count(stream)) {
      misuse("no stream is waited for");
      return InvalidValue;
    }
    if (stream->isCapturing) {
      misuse("a stream is waited for while it is captured");
      return InvalidValue;
    }
    pending.swap(stream->pending);
    ops = device()->ops;
  }
  // The emulator runs blocks by a service; the kernels of a driver know no call.
  auto runInTurn = [](lathe_call *, lathe_body body, const uint64_t *args, int64_t count, int64_t) {
    body(args, 0, count);
  };
  lathe_services services = {};
  services.parallel = runInTurn;
  lathe_call call = {};
  call.services = &services;
  for (Work &launch : pending) {
    if (!launch.function) {
      ops->copy(stream->queue, launch.to, launch.from, launch.bytes);
      continue;
    }
    auto *program = const_cast<lathe_device_variant *>(launch.function->code);
    auto count = int64_t(launch.args.back());
    for (emulator::EmulatedMap &map : launch.maps)
      launch.args.push_back(reinterpret_cast<uint64_t>(&map));
    auto argCount = uint32_t(launch.args.size());
    launch.args.resize(2 * argCount); // a driver is told of no extents
    if (!ops->launch(stream->queue, program, &call, launch.function->kernel, launch.args.data(),
                     argCount, count) &&
        !ops->wait(stream->queue))
      continue;
    char text[500];
    ops->wait(stream->queue); // what follows is never done
    ops->explain(stream->queue, text, sizeof(text));
    std::lock_guard<std::mutex> lock(mutex);
    fprintf(stderr, "fake %s: %s\n", name.c_str(), text);
    return lost = IllegalAddress;
  }
  ops->wait(stream->queue);
  return Success;
}

int Fake::beginCapture(void *given) {
  std::lock_guard<std::mutex> lock(mutex);
  auto *stream = static_cast<Stream *>(given);
  if (!streams.count(stream) || stream->isCapturing) {
    misuse("no stream is captured, or one twice");
    return InvalidValue;
  }
  stream->isCapturing = true;
  return Success;
}

// Capturing ends whatever this returns.
int Fake::endCapture(void *given, void **graph) {
  std::lock_guard<std::mutex> lock(mutex);
  auto *stream = static_cast<Stream *>(given);
  if (!streams.count(stream) || !stream->isCapturing) {
    misuse("a capture ends that has not begun");
    return InvalidValue;
  }
  stream->isCapturing = false;
  auto *made = new Graph{std::move(stream->captured)};
  stream->captured.clear();
  graphs.insert(made);
  *graph = made;
  return Success;
}

int Fake::instantiate(void **executable, void *given) {
  std::lock_guard<std::mutex> lock(mutex);
  auto *graph = static_cast<Graph *>(given);
  if (!graphs.count(graph) || graph->isExecutable)
    return InvalidValue;
  auto *made = new Graph{graph->works, true};
  graphs.insert(made);
  *executable = made;
  return Success;
}

int Fake::destroyGraph(void *given, bool isExecutable) {
  std::lock_guard<std::mutex> lock(mutex);
  auto *graph = static_cast<Graph *>(given);
  if (!graphs.count(graph) || graph->isExecutable != isExecutable) {
    misuse("a graph is destroyed that is none");
    return InvalidValue;
  }
  graphs.erase(graph);
  delete graph;
  return Success;
}

int Fake::launchGraph(void *executable, void *given) {
  std::lock_guard<std::mutex> lock(mutex);
  auto *graph = static_cast<Graph *>(executable);
  auto *stream = static_cast<Stream *>(given);
  if (!graphs.count(graph) || !graph->isExecutable || !streams.count(stream)) {
    misuse("no graph is launched, or on no stream");
    return InvalidValue;
  }
  for (const Work &work : graph->works)
    stream->add(work);
  return Success;
}

void Fake::retainContext() {
  std::lock_guard<std::mutex> lock(mutex);
  ++contexts;
}

void Fake::releaseContext() {
  std::lock_guard<std::mutex> lock(mutex);
  if (contexts-- == 0)
    misuse("a context is released that nobody has");
}

void lathe_fake_configure(const char *text) { fake().configure(text); }

size_t lathe_fake_account(char *text, size_t capacity) {
  std::string account = fake().account();
  snprintf(text, capacity, "%s", account.c_str());
  return account.size();
}

void lathe_fake_counts(void (*visit)(void *user, const char *function, int calls), void *user) {
  for (const auto &[function, calls] : std::map<std::string, int>(fake().counts))
    visit(user, function.c_str(), calls);
}
