// Regular expressions as finite automata.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_REGEX_H
#define LATHE_LIB_IMPORT_REGEX_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <vector>

namespace lathe::import {

/// A deterministic automaton over bytes that accepts what a whole string must be (`inverted`: must
/// not be). It begins in state 0; states from `accepting` on accept.
struct Automaton {
  std::vector<int32_t> transitions; ///< [states, 256]
  int32_t accepting = 0;
  bool inverted = false;

  int64_t states() const { return transitions.size() / 256; }
};

/// The automaton of a pattern in the syntax of RE2, of which classes of Unicode (`\pN`) and bytes
/// (`\C`) are missing. The error says what is not supported, or wrong.
llvm::Expected<Automaton> compileRegex(llvm::StringRef pattern);

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_REGEX_H
