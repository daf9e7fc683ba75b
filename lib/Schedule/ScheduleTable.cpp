// Reading tables of schedules, and the table that is built in. Apache-2.0 WITH LLVM-exception
#include "lathe/Schedule.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace llvm;
using namespace lathe::schedule;

static constexpr StringLiteral builtinText = R"(
# Rows of a tile beside two vectors: 12 read a panel of weights less often than 8 do, 3 to 9 % on
# products of 128 to 784 rows (Intel Xeon, Zen 5).
*x32 wide:    rows=12
# Rows a multiple of 4 KiB apart share one set of the first-level cache, which has 8 to 12 places.
*x32 aliased: rows=8
# All registers, where that is the whole loop.
*x32 few:     rows=14
# One vector wide: more rows instead, as many chains as hide the latency of the multiply-add.
*x32 narrow:  rows=14
*x16 wide:    rows=6
*x16 aliased: rows=6
*x16 few:     rows=6
*x16 narrow:  rows=10
)";

void Tiling::complete(const Tiling &other) {
  auto take = [](auto &here, const auto &there) {
    if (!here)
      here = there;
  };
  take(rows, other.rows);
  take(vectors, other.vectors);
  take(winograd, other.winograd);
}

std::string Tiling::toString() const {
  SmallVector<std::string> parts;
  if (rows)
    parts.push_back(formatv("rows={0}", *rows));
  if (vectors)
    parts.push_back(formatv("vectors={0}", *vectors));
  if (winograd)
    parts.push_back(*winograd ? "winograd=on" : "winograd=off");
  return join(parts, " ");
}

static Error refuse(const Twine &message) {
  return createStringError(inconvertibleErrorCode(), message);
}

static Error parseValue(Tiling &tiling, StringRef text) {
  auto [name, value] = text.split('=');
  if (name == "winograd") {
    if (value != "on" && value != "off")
      return refuse("winograd=" + value + ": wants on or off");
    tiling.winograd = value == "on";
    return Error::success();
  }
  std::optional<int64_t> Tiling::*number = name == "rows"      ? &Tiling::rows
                                           : name == "vectors" ? &Tiling::vectors
                                                               : nullptr;
  if (!number)
    return refuse("'" + text + "': there are rows=N, vectors=N and winograd=on|off");
  int64_t parsed;
  if (value.getAsInteger(10, parsed) || parsed < 1 || parsed > 32)
    return refuse("'" + text + "': wants a number from 1 to 32");
  tiling.*number = parsed;
  return Error::success();
}

Expected<ScheduleTable::Line> ScheduleTable::parseLine(StringRef text) {
  auto [head, values] = text.split(':');
  auto [registers, kernels] = head.split(' ');
  auto [bits, number] = registers.split('x');
  Line line;
  if ((bits != "*" && bits.getAsInteger(10, line.vectorBits)) ||
      number.getAsInteger(10, line.vectorRegisters))
    return refuse("'" + registers + "': wants the registers first, such as 512x32 or *x16");
  line.kernels = kernels.trim().str();
  if (line.kernels.empty() || values.trim().empty())
    return refuse("wants 'REGISTERS KERNELS: rows=N vectors=N winograd=on|off'");
  SmallVector<StringRef> parts;
  values.split(parts, ' ', -1, /*KeepEmpty=*/false);
  for (StringRef part : parts)
    if (Error error = parseValue(line.tiling, part))
      return error;
  // Accumulators, the vectors that rows share, and the number they are multiplied by.
  int64_t rows = line.tiling.rows.value_or(1), vectors = line.tiling.vectors.value_or(1);
  if (rows * vectors + (rows > 1 ? vectors : 0) + 1 > line.vectorRegisters)
    return refuse(
        formatv("{0} takes more than {1} registers", line.tiling.toString(), line.vectorRegisters));
  return line;
}

Expected<ScheduleTable> ScheduleTable::parse(StringRef text, StringRef name) {
  ScheduleTable table;
  unsigned number = 0;
  while (!text.empty()) {
    auto [line, rest] = text.split('\n');
    text = rest;
    ++number;
    line = line.split('#').first.trim();
    if (line.empty())
      continue;
    Expected<Line> parsed = parseLine(line);
    if (!parsed)
      return refuse(name + ":" + Twine(number) + ": " + toString(parsed.takeError()));
    table.lines.push_back(std::move(*parsed));
  }
  return table;
}

Expected<ScheduleTable> ScheduleTable::read(StringRef path) {
  auto file = MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!file)
    return createStringError(file.getError(), path + ": " + file.getError().message());
  return parse((*file)->getBuffer(), path);
}

const ScheduleTable &ScheduleTable::builtin() {
  static const ScheduleTable table = cantFail(parse(builtinText, "built-in schedules"));
  return table;
}

Tiling ScheduleTable::find(const TargetInfo &target, StringRef kernels) const {
  for (const Line &line : reverse(lines))
    if ((line.vectorBits == 0 || line.vectorBits == target.vectorBits) &&
        line.vectorRegisters == target.vectorRegisters && line.kernels == kernels)
      return line.tiling;
  return {};
}

Tiling Options::findTiling(StringRef kernels) const {
  Tiling tiling;
  if (table)
    tiling = table->find(target, kernels);
  tiling.complete(ScheduleTable::builtin().find(target, kernels));
  return tiling;
}

std::vector<std::string> ScheduleTable::findUnused(const StringSet<> &shapes) const {
  std::vector<std::string> unused;
  for (const Line &line : lines) {
    bool isClass =
        any_of(builtin().lines, [&](const Line &known) { return known.kernels == line.kernels; });
    if (!isClass && !shapes.contains(line.kernels))
      unused.push_back(line.kernels);
  }
  return unused;
}

std::string lathe::schedule::describeRegisters(unsigned vectorBits, unsigned vectorRegisters) {
  return formatv("{0}x{1}", vectorBits, vectorRegisters);
}
