// lathe check --suite: every model below a folder, each in a process of its own.
// Apache-2.0 WITH LLVM-exception.
//
// Cases are forked from this process, which has the compiler loaded and initialised, so that a case
// costs what it compiles and runs, and not a start. It has no threads, as forking demands.
#include "tools/lathe-compile/Suite.h"
#include "lathe-c/Runtime.h"
#include "tools/common/Support.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <regex>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace lathe::tools {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

struct Case {
  std::string name, model;
  std::string verdict, reason; ///< empty verdict: not finished
  double seconds = 0;
};

std::regex parseRegex(const std::string &text) {
  try {
    return std::regex(text);
  } catch (const std::regex_error &) {
    throw WrongUsage("--only: '" + text + "' is no regular expression");
  }
}

std::vector<Case> findCases(const SuiteOptions &options) {
  std::regex only = parseRegex(options.only);
  std::error_code error;
  fs::path root = fs::path(options.folder);
  if (!fs::is_directory(root, error))
    throw Failure(options.folder + ": no such folder");
  std::vector<Case> cases;
  fs::recursive_directory_iterator walk(root, fs::directory_options::skip_permission_denied, error);
  for (; !error && walk != fs::recursive_directory_iterator(); walk.increment(error)) {
    if (walk->path().filename() != "model.onnx")
      continue;
    fs::path folder = walk->path().parent_path();
    std::string name = folder.lexically_relative(root).string();
    if (name == "." || name.empty())
      name = fs::canonical(folder, error).filename().string();
    cases.push_back({name, walk->path().string(), "", "", 0});
  }
  if (error)
    throw Failure(options.folder + ": cannot list the folder: " + error.message());
  if (cases.empty())
    throw Failure(options.folder + ": no folder below has a model.onnx");
  std::erase_if(cases, [&](const Case &one) { return !std::regex_search(one.name, only); });
  if (cases.empty())
    throw Failure("--only: no case has a name that matches '" + options.only + "'");
  std::ranges::sort(cases, {}, &Case::name);
  return cases;
}

std::string asOneLine(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())))
    text.pop_back();
  std::ranges::replace(text, '\n', ' ');
  return printable(text);
}

/// What the worker of a case tells its parent: the verdict and, after a space, the reason.
std::string runCase(const Case &one, const std::string &artifact, const CheckOptions &options) {
  try {
    std::vector<std::string> dataSets = findDataSets(one.model);
    if (dataSets.empty())
      return "SKIP no data set beside the model";
    CheckReport report = checkModel(one.model, dataSets, artifact, options);
    return report.passed() ? "PASS" : "FAIL " + report.reason();
  } catch (const std::bad_alloc &) {
    return "FAIL out of memory";
  } catch (const std::exception &error) {
    return std::string("FAIL ") + error.what();
  }
}

void limitMemory(uint64_t bytes) {
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  return; // Their shadow memory alone takes terabytes of addresses.
#endif
#endif
  struct rlimit limit = {bytes, bytes};
  ::setrlimit(RLIMIT_AS, &limit);
  struct rlimit noCore = {0, 0};
  ::setrlimit(RLIMIT_CORE, &noCore);
}

/// Writes all of it; a parent that is gone is nobody to tell.
void writeAll(int descriptor, std::string_view text) {
  while (!text.empty()) {
    ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

/// A case that runs, seen from the parent.
struct Worker {
  pid_t process = -1;
  Case *running = nullptr;
  Clock::time_point start;
  bool timedOut = false;
  struct Stream {
    int descriptor = -1;
    std::string text;
  } answer, errors; ///< its pipe, and its standard error
};

/// Runs cases in processes, a fixed number at a time, and reports them in order.
class SuiteRunner {
public:
  SuiteRunner(const SuiteOptions &options, std::vector<Case> &cases)
      : options(options), cases(cases), workers(options.jobs), style(STDOUT_FILENO),
        progressStyle(STDERR_FILENO) {
    std::string pattern = fs::temp_directory_path().string() + "/lathe-suite-XXXXXX";
    if (!::mkdtemp(pattern.data()))
      throw Failure(pattern + ": cannot create a temporary folder: " + std::strerror(errno));
    folder = pattern;
  }

  ~SuiteRunner() {
    for (Worker &worker : workers)
      if (worker.process > 0)
        ::kill(-worker.process, SIGKILL);
    std::error_code error;
    fs::remove_all(folder, error);
  }

  void runAll() {
    size_t next = 0, finished = 0;
    while (finished < cases.size()) {
      for (Worker &worker : workers)
        if (worker.process < 0 && next < cases.size())
          start(worker, cases[next++]);
      waitForNews();
      for (Worker &worker : workers)
        if (worker.process >= 0 && isDone(worker)) {
          finish(worker);
          ++finished;
        }
      printFinished();
      if (progressStyle.isTerminal())
        std::cerr << "\r\x1b[K" << finished << " of " << cases.size() << std::flush;
    }
    if (progressStyle.isTerminal())
      std::cerr << "\r\x1b[K" << std::flush;
  }

private:
  void start(Worker &worker, Case &one) {
    int answer[2], errors[2];
    if (::pipe2(answer, O_CLOEXEC) != 0 || ::pipe2(errors, O_CLOEXEC) != 0)
      throw Failure(std::string("cannot create a pipe: ") + std::strerror(errno));
    std::cout.flush();
    std::cerr.flush();
    std::string artifact = folder + "/" + std::to_string(&one - cases.data()) + ".lathe";
    pid_t parent = ::getpid();
    pid_t process = ::fork();
    if (process < 0)
      throw Failure(std::string("cannot start a process: ") + std::strerror(errno));
    if (process == 0) {
      ::setpgid(0, 0);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent)
        ::_exit(ExitFailed);
      ::dup2(errors[1], STDERR_FILENO);
      ::dup2(errors[1], STDOUT_FILENO);
      ::close(answer[0]);
      ::close(errors[0]);
      limitMemory(options.memoryBytes);
      writeAll(answer[1], runCase(one, artifact, options.check));
      // Not exit: the parent's buffers and exit handlers are not ours to run.
      ::_exit(ExitFine);
    }
    ::setpgid(process, process); // In both processes, as either may be first.
    ::close(answer[1]);
    ::close(errors[1]);
    worker = Worker();
    worker.process = process;
    worker.running = &one;
    worker.start = Clock::now();
    for (auto [stream, descriptor] :
         {std::pair{&worker.answer, answer[0]}, std::pair{&worker.errors, errors[0]}}) {
      ::fcntl(descriptor, F_SETFL, O_NONBLOCK);
      stream->descriptor = descriptor;
    }
  }

  /// Sleeps until a worker says something or one's time is up.
  void waitForNews() {
    std::vector<struct pollfd> polled;
    double shortest = options.timeout;
    for (Worker &worker : workers) {
      if (worker.process < 0)
        continue;
      for (Worker::Stream *stream : {&worker.answer, &worker.errors})
        if (stream->descriptor >= 0)
          polled.push_back({stream->descriptor, POLLIN, 0});
      shortest = std::min(shortest, options.timeout - secondsSince(worker.start));
    }
    int milliseconds = static_cast<int>(std::clamp(shortest * 1000 + 1, 1.0, 1000.0));
    ::poll(polled.data(), polled.size(), milliseconds);
  }

  /// Reads what there is; the end of the answer is the end of the case.
  bool isDone(Worker &worker) {
    constexpr size_t mostKept = 1 << 16;
    for (Worker::Stream *stream : {&worker.answer, &worker.errors}) {
      char buffer[4096];
      ssize_t got = 0;
      while (stream->descriptor >= 0 &&
             (got = ::read(stream->descriptor, buffer, sizeof buffer)) > 0)
        if (stream->text.size() < mostKept)
          stream->text.append(buffer, static_cast<size_t>(got));
      if (stream->descriptor >= 0 && got == 0)
        closeStream(*stream);
    }
    if (worker.answer.descriptor < 0)
      return true;
    worker.timedOut = secondsSince(worker.start) > options.timeout;
    return worker.timedOut;
  }

  void finish(Worker &worker) {
    Case &one = *worker.running;
    // Its own helpers may live on, so the whole group goes.
    ::kill(-worker.process, SIGKILL);
    int status = 0;
    while (::waitpid(worker.process, &status, 0) < 0 && errno == EINTR)
      ;
    closeStream(worker.answer);
    closeStream(worker.errors);
    one.seconds = secondsSince(worker.start);
    const std::string &answer = worker.answer.text;
    bool answered =
        answer.starts_with("PASS") || answer.starts_with("FAIL") || answer.starts_with("SKIP");
    if (answered) {
      one.verdict = answer.substr(0, 4);
      one.reason = asOneLine(answer.substr(std::min<size_t>(5, answer.size())));
    } else {
      one.verdict = "FAIL";
      if (worker.timedOut)
        one.reason = "no result within " + formatNumber(options.timeout) + " s";
      else if (WIFSIGNALED(status))
        one.reason = std::string("crashed: ") + ::strsignal(WTERMSIG(status));
      else
        one.reason = "ended without a result, exit status " +
                     std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : -1);
      constexpr size_t longest = 200;
      std::string said = worker.errors.text.substr(0, worker.errors.text.find('\n'));
      if (!said.empty())
        one.reason += ": " + asOneLine(said.substr(0, longest));
    }
    worker.process = -1;
    std::error_code error;
    fs::remove(folder + "/" + std::to_string(&one - cases.data()) + ".lathe", error);
  }

  /// Prints the cases that are next in order.
  void printFinished() {
    for (; printed < cases.size() && !cases[printed].verdict.empty(); ++printed) {
      const Case &one = cases[printed];
      if (progressStyle.isTerminal())
        std::cerr << "\r\x1b[K" << std::flush;
      std::cout << (one.verdict == "PASS"   ? style.good(one.verdict)
                    : one.verdict == "FAIL" ? style.bad(one.verdict)
                                            : style.faint(one.verdict))
                << ' ' << one.name << (one.reason.empty() ? "" : " ") << one.reason << std::endl;
    }
  }

  static double secondsSince(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  }
  static void closeStream(Worker::Stream &stream) {
    if (stream.descriptor >= 0)
      ::close(stream.descriptor);
    stream.descriptor = -1;
  }

  const SuiteOptions &options;
  std::vector<Case> &cases;
  std::vector<Worker> workers;
  Style style, progressStyle;
  std::string folder;
  size_t printed = 0;
};

} // namespace

int runSuite(const SuiteOptions &given) {
  SuiteOptions options = given;
  if (options.jobs == 0)
    options.jobs = lathe_host_processors();
  if (options.check.threads == 0)
    options.check.threads = 1;
  options.check.verbose = false;
  options.check.tolerance.useOnnxRunners();

  std::vector<Case> cases = findCases(options);
  options.jobs = static_cast<uint32_t>(std::min<size_t>(options.jobs, cases.size()));
  initializeCompiler();
  SuiteRunner(options, cases).runAll();

  auto count = [&](const char *verdict) {
    return std::ranges::count(cases, verdict, &Case::verdict);
  };
  if (!options.jsonFile.empty()) {
    Json report{{"passed", count("PASS")},
                {"failed", count("FAIL")},
                {"skipped", count("SKIP")},
                {"cases", Json::array()}};
    for (const Case &one : cases)
      report["cases"].push_back({{"name", one.name},
                                 {"verdict", one.verdict},
                                 {"reason", one.reason},
                                 {"seconds", one.seconds}});
    std::string text = report.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
    if (options.jsonFile == "-")
      std::cout << text;
    else
      writeFile(options.jsonFile, text);
  }
  std::cout << count("PASS") << " passed, " << count("FAIL") << " failed, " << count("SKIP")
            << " skipped" << std::endl;
  return count("FAIL") ? ExitFailed : ExitFine;
}

} // namespace lathe::tools
