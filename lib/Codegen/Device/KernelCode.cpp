// What the code of kernels is like: registers, shared memory, how many blocks a processor holds,
// and which instructions stand in it. AMD's objects say so themselves; of NVIDIA's code only ptxas
// knows how many registers it takes. Apache-2.0 WITH LLVM-exception
#include "lathe/ArtifactFormat.h"
#include "lathe/Codegen.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/BinaryFormat/MsgPackDocument.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/MathExtras.h"

using namespace llvm;

namespace lathe::codegen {
namespace {

using Counts = InstructionCounts;

/// An instruction by the beginning of its name. Where its name goes on is left to `isWide`.
struct Kind {
  StringRef prefix;
  uint32_t Counts::*counter;
};

// The first that fits counts. Parameters and constants are no memory that a thread goes to.
constexpr Kind ptxKinds[] = {
    {"ld.param", nullptr},
    {"st.param", nullptr},
    {"ld.const", nullptr},
    {"ld.shared", &Counts::sharedLoads},
    {"st.shared", &Counts::sharedStores},
    {"ldmatrix", &Counts::sharedLoads},
    {"ld.local", &Counts::privateAccesses},
    {"st.local", &Counts::privateAccesses},
    {"cp.async.commit", nullptr},
    {"cp.async.wait", nullptr},
    {"cp.async", &Counts::loads},
    {"ld", &Counts::loads},
    {"st", &Counts::stores},
    {"atom", &Counts::atomics},
    {"red", &Counts::atomics},
    {"mma", &Counts::matrix},
    {"wgmma.mma", &Counts::matrix},
    {"bar.", &Counts::barriers},
    {"barrier", &Counts::barriers},
};

constexpr Kind amdKinds[] = {
    {"global_load_lds", &Counts::loads},
    {"global_load", &Counts::loads},
    {"global_store", &Counts::stores},
    {"global_atomic", &Counts::atomics},
    {"flat_load", &Counts::loads},
    {"flat_store", &Counts::stores},
    {"flat_atomic", &Counts::atomics},
    {"buffer_load", &Counts::loads},
    {"buffer_store", &Counts::stores},
    {"scratch_load", &Counts::privateAccesses},
    {"scratch_store", &Counts::privateAccesses},
    {"ds_read", &Counts::sharedLoads},
    {"ds_load", &Counts::sharedLoads},
    {"ds_write", &Counts::sharedStores},
    {"ds_store", &Counts::sharedStores},
    {"v_mfma", &Counts::matrix},
    {"v_wmma", &Counts::matrix},
    {"s_barrier_wait", nullptr}, // the second half of one
    {"s_barrier", &Counts::barriers},
};

/// Whether an access is one of 16 bytes.
bool isWide(StringRef name) {
  for (StringRef mark :
       {".v4.b32", ".v4.f32", ".v4.u32", ".v2.b64", ".v2.f64", ".b128", "dwordx4", "_b128"})
    if (name.contains(mark))
      return true;
  // Of an asynchronous copy the size is an operand.
  return name.starts_with("cp.async.cg");
}

void count(StringRef name, ArrayRef<Kind> kinds, Counts &counts) {
  ++counts.all;
  for (const Kind &kind : kinds) {
    if (!name.starts_with(kind.prefix))
      continue;
    if (!kind.counter)
      return;
    ++(counts.*kind.counter);
    if (!isWide(name))
      return;
    if (kind.counter == &Counts::loads)
      ++counts.wideLoads;
    if (kind.counter == &Counts::stores)
      ++counts.wideStores;
    return;
  }
}

/// The name of the instruction that a line of assembly holds; empty where it holds none.
StringRef instructionOf(StringRef line) {
  line = line.trim();
  if (line.empty() || line.ends_with(":"))
    return "";
  // "@%p1 bra" runs under a condition.
  if (line.consume_front("@"))
    line = line.split(' ').second.ltrim();
  StringRef name = line.take_while([](char c) { return isAlnum(c) || c == '.' || c == '_'; });
  return !name.empty() && isLower(name.front()) ? name : "";
}

/// A function of PTX from its name on to its last brace; of AMD's text from its label on to where
/// its data begin.
void countInstructions(StringRef assembly, bool isNvidia,
                       function_ref<KernelCode *(StringRef)> find) {
  KernelCode *kernel = nullptr;
  while (!assembly.empty()) {
    StringRef line;
    std::tie(line, assembly) = assembly.split('\n');
    if (isNvidia) {
      if (size_t entry = line.find(".entry "); entry != StringRef::npos)
        kernel = find(line.drop_front(entry + strlen(".entry ")).take_until([](char c) {
          return c == '(' || isSpace(c);
        }));
      else if (line.starts_with("}") || line.contains(".func"))
        kernel = nullptr;
    } else if (!line.empty() && !isSpace(line.front())) {
      // Labels of blocks begin with a dot.
      if (!line.starts_with("."))
        kernel = find(line.split(':').first);
    } else if (line.trim().starts_with(".section") || line.trim().starts_with(".amdhsa_kernel")) {
      kernel = nullptr;
    }
    StringRef name = instructionOf(line);
    if (kernel && !name.empty())
      count(name, isNvidia ? ArrayRef<Kind>(ptxKinds) : ArrayRef<Kind>(amdKinds),
            kernel->instructions);
  }
}

/// Reads the note that AMD's compiler leaves for the loader.
Error readNote(MemoryBufferRef image, function_ref<KernelCode *(StringRef)> find) {
  auto object = object::ELFFile<object::ELF64LE>::create(image.getBuffer());
  if (!object)
    return object.takeError();
  auto sections = object->sections();
  if (!sections)
    return sections.takeError();
  for (const auto &section : *sections) {
    if (section.sh_type != ELF::SHT_NOTE)
      continue;
    Error error = Error::success();
    for (const auto &note : object->notes(section, error)) {
      if (note.getType() != ELF::NT_AMDGPU_METADATA)
        continue;
      msgpack::Document document;
      if (!document.readFromBlob(toStringRef(note.getDesc(section.sh_addralign)),
                                 /*Multi=*/false))
        continue;
      msgpack::DocNode kernels = document.getRoot().getMap(true)["amdhsa.kernels"];
      if (!kernels.isArray())
        continue;
      for (msgpack::DocNode &node : kernels.getArray()) {
        if (!node.isMap())
          continue;
        msgpack::MapDocNode &values = node.getMap();
        auto numberOf = [&](StringRef key) -> uint32_t {
          msgpack::DocNode value = values[key];
          return value.getKind() == msgpack::Type::UInt  ? value.getUInt()
                 : value.getKind() == msgpack::Type::Int ? value.getInt()
                                                         : 0;
        };
        KernelCode *kernel = find(values[".name"].toString());
        if (!kernel)
          continue;
        kernel->registers = numberOf(".vgpr_count");
        kernel->scalarRegisters = numberOf(".sgpr_count");
        kernel->spillBytes = 4 * numberOf(".vgpr_spill_count");
        kernel->stackBytes = numberOf(".private_segment_fixed_size");
        kernel->sharedBytes = numberOf(".group_segment_fixed_size");
      }
    }
    if (error)
      return error;
  }
  return Error::success();
}

/// A number before `unit` in a text such as "Used 48 registers, 24576 bytes smem".
std::optional<uint32_t> numberBefore(StringRef text, StringRef unit) {
  size_t end = text.find(unit);
  if (end == StringRef::npos)
    return std::nullopt;
  StringRef before = text.take_front(end).rtrim();
  size_t begin = before.find_last_not_of("0123456789");
  uint32_t number;
  if (before.drop_front(begin == StringRef::npos ? 0 : begin + 1).getAsInteger(10, number))
    return std::nullopt;
  return number;
}

/// Reads what `ptxas -v` says.
void readLog(StringRef log, function_ref<KernelCode *(StringRef)> find) {
  KernelCode *kernel = nullptr;
  bool isOwn = false; // what follows is about the kernel, not about a function that it calls
  while (!log.empty()) {
    StringRef line;
    std::tie(line, log) = log.split('\n');
    if (size_t at = line.find("Compiling entry function '"); at != StringRef::npos) {
      kernel = find(line.drop_front(at).split('\'').second.split('\'').first);
    } else if (line.contains("Function properties for ")) {
      isOwn = kernel && line.ends_with(" " + kernel->name);
    } else if (kernel && isOwn && line.contains("bytes spill stores")) {
      kernel->stackBytes = numberBefore(line, "bytes stack frame");
      kernel->spillBytes = numberBefore(line, "bytes spill stores");
    } else if (kernel && line.contains("Used ")) {
      kernel->registers = numberBefore(line, "registers");
      // What the launch asks for, the assembler does not know.
      if (kernel->sharedBytes.value_or(0) <= LATHE_MOST_STATIC_SHARED)
        kernel->sharedBytes = numberBefore(line, "bytes smem").value_or(0);
    }
  }
}

/// What a processor of a GPU (SM, CU or WGP) has for its blocks.
struct Processor {
  StringRef device;
  unsigned warp, warps, blocks;
  unsigned units;                 ///< which share the warps, each with registers of its own
  unsigned registers;             ///< of a unit, for one lane of a warp
  unsigned granule;               ///< of those, a warp takes a multiple
  unsigned shared, sharedOfBlock; ///< bytes, and how many a block takes beyond its own
};

// CUDA C++ Programming Guide, "Compute Capabilities"; LLVM's AMDGPU backend, GCNSubtarget. One of
// NVIDIA has 16,384 registers in each of four units, and gives a warp multiples of 256: 8 for a
// lane.
constexpr Processor processors[] = {
    {"nvidia:sm_80", 32, 64, 32, 4, 512, 8, 164 << 10, 1 << 10},
    {"nvidia:sm_86", 32, 48, 16, 4, 512, 8, 100 << 10, 1 << 10},
    {"nvidia:sm_89", 32, 48, 24, 4, 512, 8, 100 << 10, 1 << 10},
    {"nvidia:sm_90", 32, 64, 32, 4, 512, 8, 228 << 10, 1 << 10},
    {"nvidia:sm_90a", 32, 64, 32, 4, 512, 8, 228 << 10, 1 << 10},
    {"nvidia:sm_100a", 32, 64, 32, 4, 512, 8, 228 << 10, 1 << 10},
    {"nvidia:sm_120", 32, 48, 24, 4, 512, 8, 100 << 10, 1 << 10},
    {"amd:gfx90a", 64, 32, 16, 4, 512, 8, 64 << 10, 0},
    {"amd:gfx942", 64, 32, 16, 4, 512, 8, 64 << 10, 0},
    {"amd:gfx1100", 32, 64, 32, 4, 1536, 24, 128 << 10, 0},
    {"amd:gfx1201", 32, 64, 32, 4, 1536, 24, 128 << 10, 0},
};

/// The share of a processor's warps that are busy where it has all the blocks that it can hold.
std::optional<unsigned> occupancyOf(const KernelCode &kernel, const DeviceTarget &target) {
  const Processor *processor =
      find_if(processors, [&](const Processor &p) { return p.device == target.name; });
  if (processor == std::end(processors) || !kernel.registers || !kernel.sharedBytes)
    return std::nullopt;
  unsigned warps = divideCeil(kernel.blockThreads, processor->warp);
  unsigned ofWarp = alignTo(std::max(*kernel.registers, 1u), processor->granule);
  unsigned most = std::min(processor->warps, processor->registers / ofWarp * processor->units);
  unsigned blocks = most / warps;
  // One warp waits for nobody: AMD counts only those blocks that do.
  if (warps > 1 || target.isNvidia())
    blocks = std::min(blocks, processor->blocks);
  if (unsigned bytes = *kernel.sharedBytes)
    blocks = std::min(blocks, processor->shared / (bytes + processor->sharedOfBlock));
  return 100 * blocks * warps / processor->warps;
}

} // namespace

Expected<std::vector<KernelCode>> describeKernels(ArrayRef<DeviceKernel> kernels,
                                                  const DeviceTarget &target,
                                                  const DeviceCode &code, StringRef ptxasLog) {
  std::vector<KernelCode> result(kernels.size());
  StringMap<KernelCode *> known;
  for (auto [kernel, described] : zip_equal(kernels, result)) {
    described.name = kernel.name;
    described.blockThreads = kernel.blockThreads;
    described.sharedBytes = kernel.sharedBytes;
    known[kernel.name] = &described;
  }
  auto find = [&](StringRef name) { return known.lookup(name); };
  countInstructions(code.assembly, target.isNvidia(), find);
  if (target.isNvidia())
    readLog(ptxasLog, find);
  else if (Error error = readNote(code.image->getMemBufferRef(), find))
    return std::move(error);
  for (KernelCode &kernel : result)
    kernel.occupancy = occupancyOf(kernel, target);
  return result;
}

} // namespace lathe::codegen
