// lathe sign: signs artifacts, and checks signatures. An executable of its own, since the lathe
// command does without libcrypto.
// Apache-2.0 WITH LLVM-exception.
#include "lathe-c/Sign.h"
#include "tools/common/CommandLine.h"
#include "tools/common/Session.h"
#include "tools/common/Support.h"

#include <iostream>
#include <memory>

using namespace lathe::tools;

namespace {

struct Options {
  std::string artifact, output, key;
  std::vector<std::string> trusted;
};

int sign(const Options &options) {
  const std::string &output = options.output.empty() ? options.artifact : options.output;
  lathe_status status;
  checkStatus(
      lathe_sign_file(options.artifact.c_str(), output.c_str(), options.key.c_str(), &status),
      status);
  std::cout << output << "  signed\n";
  return ExitFine;
}

struct DestroyTrust {
  void operator()(lathe_trust *trust) const { lathe_trust_destroy(trust); }
};

int check(const Options &options) {
  lathe_status status;
  lathe_trust *created = nullptr;
  checkStatus(lathe_trust_create(0, &created, &status), status);
  std::unique_ptr<lathe_trust, DestroyTrust> trust(created);
  for (const std::string &path : options.trusted)
    checkStatus(lathe_trust_add_file(trust.get(), path.c_str(), &status), status);
  lathe_module_options moduleOptions = {};
  moduleOptions.size = sizeof(moduleOptions);
  moduleOptions.flags = LATHE_MODULE_INSPECT;
  moduleOptions.verifier = lathe_trust_verifier(trust.get());
  lathe_module *module = nullptr;
  int32_t code = lathe_module_open(options.artifact.c_str(), &moduleOptions, &module, &status);
  lathe_module_close(module);
  checkStatus(code, status);
  std::cout << options.artifact << "  trusted\n";
  return ExitFine;
}

} // namespace

int main(int argc, char **argv) {
  CLI::App root("What is behind `lathe sign`.");
  root.require_subcommand(1);
  Action action;
  auto options = std::make_shared<Options>();
  CLI::App &command = addCommand(
      root, "sign", "Sign an artifact, or check who signed it",
      "  openssl genpkey -algorithm ed25519 -out key.pem\n"
      "  openssl pkey -in key.pem -pubout -out key.pub\n"
      "  lathe sign model.lathe --key key.pem             signs the file itself\n"
      "  lathe sign model.lathe --key key.pem -o signed.lathe\n"
      "  lathe sign model.lathe --trust key.pub           is it signed with that key?\n");
  command.add_option("artifact", options->artifact, "The artifact")->required();
  CLI::Option *key = command.add_option("--key", options->key, "Sign with this secret key (PEM)");
  command.add_option("-o,--output", options->output, "Write here, not to the file itself")
      ->needs(key);
  addRepeated(command, "--trust", options->trusted,
              "Check that it is signed with this public key (PEM), or with one of several")
      ->excludes(key);
  command.callback([options, &action] {
    action = [options] {
      if (options->key.empty() && options->trusted.empty())
        throw WrongUsage("give --key to sign or --trust to check");
      return options->key.empty() ? check(*options) : sign(*options);
    };
  });
  return runCommandLine(root, action, argc, argv);
}
