// Regular expressions as deterministic automata, whose states are sets of those that the parser
// made. Apache-2.0 WITH LLVM-exception
#include "lib/Import/Regex.h"
#include "lib/Import/RegexNodes.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include <map>
#include <tuple>

using namespace llvm;
using namespace lathe::import;
using namespace lathe::import::regex;

namespace {

constexpr size_t kMaxStates = 4096;
constexpr uint64_t kMaxWork = 50000000;

bool isWordByte(int byte) { return byte < 128 && (isAlnum(char(byte)) || byte == '_'); }

/// Where conditions are asked for.
struct Place {
  bool begin = false, end = false, lineBegin = false, lineEnd = false, boundary = false;

  bool meets(Node::Condition condition) const {
    switch (condition) {
    case Node::always:
      return true;
    case Node::atBegin:
      return begin;
    case Node::atEnd:
      return end;
    case Node::atLineBegin:
      return lineBegin;
    case Node::atLineEnd:
      return lineEnd;
    case Node::boundary:
      return boundary;
    case Node::noBoundary:
      return !boundary;
    }
    llvm_unreachable("all conditions are covered");
  }
};

/// A state of the deterministic automaton: the nodes that the last byte led to, and what conditions
/// need to know of what came before.
struct State {
  std::vector<int> nodes;
  bool begin = false, afterWord = false, afterLine = false;

  bool operator<(const State &other) const {
    return std::tie(nodes, begin, afterWord, afterLine) <
           std::tie(other.nodes, other.begin, other.afterWord, other.afterLine);
  }
};

/// Subsets of the nodes as states.
class Determinizer {
public:
  Determinizer(const std::vector<Node> &nodes, Piece whole)
      : nodes(nodes), whole(whole), knowsWords(any_of(nodes,
                                                      [](const Node &node) {
                                                        return node.condition == Node::boundary ||
                                                               node.condition == Node::noBoundary;
                                                      })),
        knowsLines(
            any_of(nodes, [](const Node &node) { return node.condition == Node::atLineBegin; })) {}

  Expected<Automaton> run() {
    numberOf({{whole.begin}, /*begin=*/true, false, false});
    for (size_t i = 0; i < states.size(); ++i) {
      if (states.size() > kMaxStates || work > kMaxWork)
        return createStringError("it needs too many states");
      State state = states[i];
      transitions.resize(states.size() * 256, 0);
      // What conditions need to know of the byte that follows.
      enum { other, word, newline };
      for (int kind : {other, word, newline}) {
        bool lineBegin = state.begin || state.afterLine;
        std::vector<int> open =
            close(state.nodes, {state.begin, /*end=*/false, lineBegin, kind == newline,
                                state.afterWord != (kind == word)});
        std::map<std::vector<int>, int> targets;
        for (int byte = 0; byte < 256; ++byte) {
          if (kind != (isWordByte(byte) ? word : byte == '\n' ? newline : other))
            continue;
          work += open.size() / 16 + 1;
          std::vector<int> reached;
          for (int node : open)
            if (nodes[node].next >= 0 && nodes[node].bytes.test(byte))
              reached.push_back(nodes[node].next);
          llvm::sort(reached);
          reached.erase(std::unique(reached.begin(), reached.end()), reached.end());
          auto [it, isNew] = targets.try_emplace(reached, 0);
          if (isNew)
            it->second = numberOf(
                {reached, false, knowsWords && kind == word, knowsLines && kind == newline});
          transitions[i * 256 + byte] = it->second;
        }
      }
    }
    transitions.resize(states.size() * 256, 0);
    return renumber();
  }

private:
  /// The nodes, and those that they lead to without a byte.
  std::vector<int> close(std::vector<int> set, Place place) {
    seen.resize(nodes.size());
    ++search;
    std::vector<int> open = set;
    for (int node : set)
      seen[node] = search;
    while (!open.empty()) {
      const Node &node = nodes[open.back()];
      open.pop_back();
      ++work;
      if (!place.meets(node.condition))
        continue;
      for (int move : node.emptyMoves)
        if (seen[move] != search) {
          seen[move] = search;
          set.push_back(move);
          open.push_back(move);
        }
    }
    return set;
  }

  int numberOf(State state) {
    auto [it, isNew] = numbers.try_emplace(state, states.size());
    if (isNew) {
      std::vector<int> last =
          close(state.nodes, {state.begin, /*end=*/true, state.begin || state.afterLine,
                              /*lineEnd=*/true, state.afterWord});
      accepts.push_back(llvm::is_contained(last, whole.end));
      states.push_back(std::move(state));
    }
    return it->second;
  }

  /// Accepting states last. The first state stays first: where it accepts, the automaton is turned
  /// round.
  Automaton renumber() {
    size_t count = states.size();
    Automaton automaton;
    automaton.inverted = accepts[0];
    std::vector<int32_t> order(count);
    int32_t next = 0;
    bool first = accepts[0];
    for (bool wanted : {first, !first}) {
      for (size_t i = 0; i < count; ++i)
        if (accepts[i] == wanted)
          order[i] = next++;
      if (wanted == first)
        automaton.accepting = next;
    }
    automaton.transitions.resize(count * 256);
    for (size_t i = 0; i < count; ++i)
      for (int byte = 0; byte < 256; ++byte)
        automaton.transitions[size_t(order[i]) * 256 + byte] = order[transitions[i * 256 + byte]];
    return automaton;
  }

  const std::vector<Node> &nodes;
  Piece whole;
  bool knowsWords, knowsLines;
  std::map<State, int> numbers;
  std::vector<State> states;
  std::vector<bool> accepts;
  std::vector<int32_t> transitions;
  std::vector<uint32_t> seen; // by node: the last search that found it
  uint32_t search = 0;
  uint64_t work = 0;
};

} // namespace

Expected<Automaton> lathe::import::compileRegex(StringRef pattern) {
  Expected<Nodes> parsed = parse(pattern);
  if (!parsed)
    return parsed.takeError();
  return Determinizer(parsed->nodes, parsed->whole).run();
}
