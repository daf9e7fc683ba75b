// What the parser of regular expressions makes: a nondeterministic automaton.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_REGEXNODES_H
#define LATHE_LIB_IMPORT_REGEXNODES_H

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <bitset>
#include <vector>

namespace lathe::import::regex {

using ByteSet = std::bitset<256>;

/// A state of the nondeterministic automaton: a byte of `bytes` leads on, or nothing does, where
/// `condition` holds. Boundaries are those of words.
struct Node {
  enum Condition : uint8_t { always, atBegin, atEnd, atLineBegin, atLineEnd, boundary, noBoundary };
  ByteSet bytes;
  int next = -1;                        // after a byte
  llvm::SmallVector<int, 2> emptyMoves; // without one
  Condition condition = always;         // of the empty moves
};

/// A piece of the automaton with one way in and one out.
struct Piece {
  int begin, end;
};

/// All nodes, and the piece that is the whole pattern.
struct Nodes {
  std::vector<Node> nodes;
  Piece whole;
};

/// The nodes of a pattern, in the syntax that compileRegex() takes.
llvm::Expected<Nodes> parse(llvm::StringRef pattern);

} // namespace lathe::import::regex

#endif // LATHE_LIB_IMPORT_REGEXNODES_H
