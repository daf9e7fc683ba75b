// What all tools share: errors, files, text.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/Support.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

namespace lathe::tools {

namespace {

[[noreturn]] void failWithErrno(const std::string &path, const char *what) {
  throw Failure(path + ": " + what + ": " + std::strerror(errno));
}

/// Closes a file descriptor at the end of its scope.
struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0)
      ::close(number);
  }
};

} // namespace

std::string readFile(const std::string &path) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.number < 0)
    failWithErrno(path, "cannot open");
  struct stat status;
  if (::fstat(file.number, &status) != 0)
    failWithErrno(path, "cannot read");
  if (!S_ISREG(status.st_mode))
    throw Failure(path + ": not a regular file");
  std::string bytes(static_cast<size_t>(status.st_size), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    ssize_t got = ::read(file.number, bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      failWithErrno(path, "cannot read");
    if (got == 0)
      break;
    done += static_cast<size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

void writeFile(const std::string &path, std::string_view bytes) {
  std::string temporary = path + ".XXXXXX";
  Descriptor file{::mkostemp(temporary.data(), O_CLOEXEC)};
  if (file.number < 0)
    failWithErrno(path, "cannot create");
  auto giveUp = [&] {
    int reason = errno;
    ::unlink(temporary.c_str());
    errno = reason;
    failWithErrno(path, "cannot write");
  };
  while (!bytes.empty()) {
    ssize_t written = ::write(file.number, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      giveUp();
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  mode_t mask = ::umask(0);
  ::umask(mask);
  if (::fchmod(file.number, 0666 & ~mask) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0)
    giveUp();
}

void createFolders(const std::string &path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error)
    throw Failure(path + ": cannot create the folder: " + error.message());
}

TemporaryFile::TemporaryFile(const std::string &suffix) {
  const char *folder = std::getenv("TMPDIR");
  name = std::string(folder && *folder ? folder : "/tmp") + "/lathe-XXXXXX" + suffix;
  Descriptor file{::mkostemps(name.data(), static_cast<int>(suffix.size()), O_CLOEXEC)};
  if (file.number < 0)
    failWithErrno(name, "cannot create a temporary file");
}

TemporaryFile::~TemporaryFile() { ::unlink(name.c_str()); }

std::string formatNumber(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*g", digits, value);
  return text;
}

std::string formatBytes(uint64_t bytes) {
  static constexpr const char *units[] = {"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  unsigned unit = 0;
  while (value >= 1000 && unit + 1 < std::size(units)) {
    value /= 1000;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.2f %s", value, units[unit]);
  return text;
}

std::string formatSeconds(double seconds) {
  static constexpr struct {
    double size;
    const char *unit;
  } scales[] = {{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {1e-9, "ns"}};
  char text[32];
  for (auto [size, unit] : scales)
    if (seconds >= size || size == 1e-9) {
      std::snprintf(text, sizeof text, "%.3g %s", seconds / size, unit);
      if (seconds / size >= 100)
        std::snprintf(text, sizeof text, "%.0f %s", seconds / size, unit);
      break;
    }
  return text;
}

std::string printable(std::string_view text, bool keepLines) {
  std::string result;
  for (char c : text) {
    auto code = static_cast<unsigned char>(c);
    if ((code >= 0x20 && code != 0x7f) || (c == '\n' && keepLines)) {
      result += c;
      continue;
    }
    char escaped[5];
    std::snprintf(escaped, sizeof escaped, "\\x%02x", code);
    result += escaped;
  }
  return result;
}

std::string formatCount(uint64_t count, std::string_view noun) {
  return std::to_string(count) + ' ' + std::string(noun) + (count == 1 ? "" : "s");
}

std::string join(const std::vector<std::string> &parts, std::string_view separator) {
  std::string text;
  for (const std::string &part : parts) {
    if (!text.empty())
      text += separator;
    text += part;
  }
  return text;
}

size_t nearestRank(size_t count, double percent) {
  auto rank = static_cast<size_t>(std::ceil(percent / 100 * static_cast<double>(count)));
  return std::clamp<size_t>(rank, 1, count) - 1;
}

std::string processorName() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name"))
      if (size_t colon = line.find(": "); colon != std::string::npos)
        return line.substr(colon + 2);
  return "unknown processor";
}

std::pair<std::string, std::string> splitPair(const std::string &text, char separator,
                                              const std::string &option, const std::string &form) {
  // Names of ONNX values may hold '=' themselves, so the last one separates.
  size_t at = text.rfind(separator);
  if (at == std::string::npos || at == 0 || at + 1 == text.size())
    throw WrongUsage(option + " wants " + form + ", not '" + text + "'");
  return {text.substr(0, at), text.substr(at + 1)};
}

Style::Style(int fileDescriptor) : terminal(::isatty(fileDescriptor) == 1) {
  const char *noColour = std::getenv("NO_COLOR");
  coloured = terminal && !(noColour && *noColour);
}

std::string Style::wrap(const char *code, std::string_view text) const {
  if (!coloured)
    return std::string(text);
  return std::string("\x1b[") + code + "m" + std::string(text) + "\x1b[0m";
}

} // namespace lathe::tools
