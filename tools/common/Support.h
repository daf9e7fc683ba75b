// What all tools share: errors, files, text.
// Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TOOLS_COMMON_SUPPORT_H
#define LATHE_TOOLS_COMMON_SUPPORT_H

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace lathe::tools {

/// Exit statuses of all commands.
enum ExitStatus { ExitFine = 0, ExitFailed = 1, ExitUsage = 2 };

/// A failure of the user's files or of the machine. Main prints it and exits with ExitFailed.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Wrong usage: main prints it with a pointer to --help and exits with ExitUsage.
struct WrongUsage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Reads a whole file; throws Failure naming it.
std::string readFile(const std::string &path);

/// Writes a file so that it appears complete or not at all; throws Failure naming it.
void writeFile(const std::string &path, std::string_view bytes);

/// Creates a folder and its parents where they don't exist; throws Failure.
void createFolders(const std::string &path);

/// A file that is removed at the end of its scope.
class TemporaryFile {
public:
  /// Creates an empty file for the user's eyes only in $TMPDIR, its name ending in `suffix`.
  explicit TemporaryFile(const std::string &suffix);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile &) = delete;
  TemporaryFile &operator=(const TemporaryFile &) = delete;
  const std::string &path() const { return name; }

private:
  std::string name;
};

/// The text form of a number with `digits` significant digits, such as "1.23e-05".
std::string formatNumber(double value, int digits = 4);

/// Bytes for people: "12 B", "3.4 MB".
std::string formatBytes(uint64_t bytes);

/// Seconds for people: "850 ns", "12.3 us", "4.56 ms", "1.20 s".
std::string formatSeconds(double seconds);

/// `text` with control characters written as \xNN, as names in files may hold anything and
/// terminals obey it. Line ends stay where `keepLines`.
std::string printable(std::string_view text, bool keepLines = false);

/// "1 run", "3 runs".
std::string formatCount(uint64_t count, std::string_view noun);

std::string join(const std::vector<std::string> &parts, std::string_view separator);

/// Where, among `count` numbers in ascending order (one at least), the least stands that `percent`
/// of them do not exceed.
size_t nearestRank(size_t count, double percent);

/// What the system calls this machine's processor, or "unknown processor".
std::string processorName();

/// Splits at the first `separator`; throws WrongUsage saying that `option` wants `form` when there
/// is none or when a side is empty.
std::pair<std::string, std::string> splitPair(const std::string &text, char separator,
                                              const std::string &option, const std::string &form);

/// Colour on a terminal, nothing elsewhere or where NO_COLOR is set.
class Style {
public:
  explicit Style(int fileDescriptor);
  std::string good(std::string_view text) const { return wrap("32", text); }
  std::string bad(std::string_view text) const { return wrap("31", text); }
  std::string strong(std::string_view text) const { return wrap("1", text); }
  std::string faint(std::string_view text) const { return wrap("2", text); }
  bool isTerminal() const { return terminal; }

private:
  std::string wrap(const char *code, std::string_view text) const;
  bool terminal, coloured;
};

} // namespace lathe::tools

#endif // LATHE_TOOLS_COMMON_SUPPORT_H
