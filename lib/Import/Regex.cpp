// Regular expressions: a parser that builds a nondeterministic automaton piece by piece, and the
// construction of the deterministic one from sets of its states.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Regex.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/FormatVariadic.h"
#include <bitset>
#include <map>
#include <tuple>

using namespace llvm;
using namespace lathe::import;

namespace {

constexpr size_t kMaxNodes = 20000, kMaxStates = 4096;
constexpr uint64_t kMaxWork = 50000000;
constexpr int kMaxRepeat = 1000, kMaxDepth = 200;

using ByteSet = std::bitset<256>;

/// A state of the nondeterministic automaton: a byte of `bytes` leads on, or nothing does, where
/// `condition` holds. Boundaries are those of words.
struct Node {
  enum Condition : uint8_t { always, atBegin, atEnd, boundary, noBoundary };
  ByteSet bytes;
  int next = -1;                  // after a byte
  SmallVector<int, 2> emptyMoves; // without one
  Condition condition = always;   // of the empty moves
};

/// A piece of the automaton with one way in and one out.
struct Piece {
  int begin, end;
};

/// A set of characters: those of ASCII, and all others or none.
struct CharSet {
  ByteSet ascii;
  bool others = false;

  void invert() {
    for (int i = 0; i < 128; ++i)
      ascii.flip(i);
    others = !others;
  }
  void add(const CharSet &set) {
    ascii |= set.ascii;
    others |= set.others;
  }
};

class Parser {
public:
  explicit Parser(StringRef pattern) : rest(pattern) {}

  Expected<Piece> parse() {
    Piece whole = alternatives(0);
    if (message.empty() && !rest.empty())
      fail("there is a ) without (");
    if (!message.empty())
      return createStringError(message);
    return whole;
  }

  std::vector<Node> nodes;

private:
  int add() {
    if (nodes.size() >= kMaxNodes)
      fail("it is too large");
    nodes.emplace_back();
    return nodes.size() - 1;
  }
  void connect(int from, int to) { nodes[from].emptyMoves.push_back(to); }
  void fail(const Twine &what) {
    if (message.empty())
      message = what.str();
    rest = {};
  }
  bool take(char c) { return rest.consume_front(StringRef(&c, 1)); }
  char next() {
    char c = rest.front();
    rest = rest.drop_front();
    return c;
  }

  Piece empty() {
    int node = add();
    return {node, node};
  }
  Piece bytes(const ByteSet &set) {
    int begin = add(), end = add();
    nodes[begin].bytes = set;
    nodes[begin].next = end;
    return {begin, end};
  }
  Piece sequence(Piece a, Piece b) {
    connect(a.end, b.begin);
    return {a.begin, b.end};
  }
  Piece either(Piece a, Piece b) {
    int begin = add(), end = add();
    connect(begin, a.begin);
    connect(begin, b.begin);
    connect(a.end, end);
    connect(b.end, end);
    return {begin, end};
  }
  static ByteSet range(int first, int last) {
    ByteSet set;
    for (int i = first; i <= last; ++i)
      set.set(i);
    return set;
  }
  /// One character of the set, where others are sequences of two to four bytes.
  Piece character(const CharSet &set) {
    Piece piece = bytes(set.ascii);
    if (!set.others)
      return piece;
    ByteSet tail = range(0x80, 0xbf);
    Piece longer = sequence(bytes(range(0xc2, 0xdf)), bytes(tail));
    longer = either(longer, sequence(sequence(bytes(range(0xe0, 0xef)), bytes(tail)), bytes(tail)));
    longer = either(longer,
                    sequence(sequence(sequence(bytes(range(0xf0, 0xf4)), bytes(tail)), bytes(tail)),
                             bytes(tail)));
    return either(piece, longer);
  }
  Piece condition(Node::Condition when) {
    int begin = add(), middle = add(), end = add();
    nodes[middle].condition = when;
    connect(begin, middle);
    connect(middle, end);
    return {begin, end};
  }

  Piece alternatives(int depth) {
    if (depth > kMaxDepth)
      fail("its groups are nested too deep");
    Piece piece = concatenation(depth);
    while (take('|'))
      piece = either(piece, concatenation(depth));
    return piece;
  }

  Piece concatenation(int depth) {
    Piece piece = empty();
    while (!rest.empty() && rest.front() != '|' && rest.front() != ')')
      piece = sequence(piece, repetition(depth));
    return piece;
  }

  /// The flags between (? and what closes them; false after an error.
  bool takeFlags() {
    bool value = true;
    while (!rest.empty() && rest.front() != ')' && rest.front() != ':') {
      char c = next();
      if (c == '-' && value)
        value = false;
      else if (c == 'i')
        flags.ignoresCase = value;
      else if (c == 's')
        flags.dotTakesNewline = value;
      else if (c != 'U') { // of the shortest match: a whole match is the same
        fail(Twine("flag '") + Twine(c) + "' is not supported");
        return false;
      }
    }
    return true;
  }

  /// A group, behind its parenthesis. Flags hold until the group around them ends.
  Piece group(int depth) {
    Flags around = flags;
    if (take('?')) {
      StringRef name = rest;
      name.consume_front("P");
      if (size_t end = name.find('>'); name.starts_with("<") && end != StringRef::npos)
        rest = name.drop_front(end + 1); // a name changes nothing
      else if (!takeFlags())
        return empty();
      else if (take(')'))
        return empty();
      else if (!take(':'))
        fail("there is a ( without )");
    }
    Piece inside = alternatives(depth + 1);
    if (!take(')'))
      fail("there is a ( without )");
    flags = around;
    return inside;
  }

  /// The set with both cases of its letters, where case is ignored.
  ByteSet inBothCases(ByteSet set) const {
    if (flags.ignoresCase)
      for (int c = 'a'; c <= 'z'; ++c)
        if (set[c] || set[c - 32])
          set.set(c).set(c - 32);
    return set;
  }

  /// A copy of the nodes from `first` to `last`, which made `piece` and nothing else.
  Piece copy(Piece piece, int first, int last) {
    int shift = int(nodes.size()) - first;
    if (nodes.size() + (last - first) > kMaxNodes) {
      fail("it is too large");
      return piece;
    }
    for (int i = first; i < last; ++i) {
      Node node = nodes[i];
      if (node.next >= 0)
        node.next += shift;
      for (int &move : node.emptyMoves)
        move += shift;
      nodes.push_back(node);
    }
    return {piece.begin + shift, piece.end + shift};
  }

  /// Whether {min,max} follows; a brace that does not look so is a character.
  bool takeBounds(int &least, int &most) {
    StringRef ahead = rest;
    if (!ahead.consume_front("{") || ahead.consumeInteger(10, least))
      return false;
    most = least;
    if (ahead.consume_front(",")) {
      most = -1;
      if (!ahead.starts_with("}") && ahead.consumeInteger(10, most))
        return false;
    }
    if (!ahead.consume_front("}"))
      return false;
    rest = ahead;
    if (least < 0 || least > kMaxRepeat || most > kMaxRepeat || (most >= 0 && most < least))
      fail("a repetition is out of range");
    return true;
  }

  Piece repetition(int depth) {
    int first = nodes.size();
    Piece piece = atom(depth);
    int last = nodes.size();
    for (bool again = false; message.empty(); again = true) {
      int least, most;
      if (take('*'))
        least = 0, most = -1;
      else if (take('+'))
        least = 1, most = -1;
      else if (take('?'))
        least = 0, most = 1;
      else if (!takeBounds(least, most))
        break;
      if (again)
        fail("one repetition follows another");
      take('?'); // of the shortest match: a whole match is the same
      if (rest.starts_with("+"))
        fail("possessive repetition is not supported");
      piece = repeat(piece, first, last, least, most);
    }
    return piece;
  }

  Piece repeat(Piece piece, int first, int last, int least, int most) {
    Piece result = empty();
    // The original is the first copy; others are made of it before anything leads out of it.
    SmallVector<Piece> copies{piece};
    int wanted = most < 0 ? std::max(least, 1) : std::max(most, 1);
    for (int i = 1; i < wanted && message.empty(); ++i)
      copies.push_back(copy(piece, first, last));
    if (most == 0)
      return result;
    SmallVector<int> optional; // where the rest may be left out
    for (auto [i, each] : llvm::enumerate(copies)) {
      result = sequence(result, each);
      if (int(i) >= least)
        optional.push_back(each.begin);
    }
    int end = add();
    connect(result.end, end);
    for (int from : optional)
      connect(from, end);
    if (most < 0)
      connect(copies.back().end, copies.back().begin);
    return {result.begin, end};
  }

  Piece atom(int depth) {
    if (rest.empty())
      return empty();
    char c = next();
    switch (c) {
    case '(':
      return group(depth);
    case '[':
      return character(charClass());
    case '.': {
      CharSet any;
      any.ascii = range(0, 127);
      if (!flags.dotTakesNewline)
        any.ascii.reset('\n');
      any.others = true;
      return character(any);
    }
    case '^':
      return condition(Node::atBegin);
    case '$':
      return condition(Node::atEnd);
    case '*':
    case '+':
    case '?':
      fail(Twine("there is nothing before '") + Twine(c) + "'");
      return empty();
    case '\\':
      return escape();
    default: {
      ByteSet one;
      one.set(static_cast<unsigned char>(c));
      if (flags.ignoresCase && static_cast<unsigned char>(c) >= 0x80)
        fail("case of characters beyond ASCII is not supported");
      Piece piece = bytes(inBothCases(one));
      // The bytes of one character belong together.
      while (static_cast<unsigned char>(c) >= 0xc0 && !rest.empty() &&
             (static_cast<unsigned char>(rest.front()) & 0xc0) == 0x80) {
        ByteSet more;
        more.set(static_cast<unsigned char>(next()));
        piece = sequence(piece, bytes(more));
      }
      return piece;
    }
    }
  }

  /// \d, \w, \s and their opposites; false for other letters.
  static bool namedSet(char letter, CharSet &set) {
    switch (letter | 32) {
    case 'd':
      set.ascii = range('0', '9');
      break;
    case 'w':
      set.ascii = range('0', '9') | range('a', 'z') | range('A', 'Z');
      set.ascii.set('_');
      break;
    case 's':
      set.ascii = range('\t', '\n') | range('\f', '\r');
      set.ascii.set(' ');
      break;
    default:
      return false;
    }
    if (!(letter & 32))
      set.invert();
    return true;
  }

  /// The character that an escape stands for, -1 after an error.
  int escapedChar(char c) {
    static constexpr StringRef letters = "nrtfva", values = "\n\r\t\f\v\a";
    if (size_t at = letters.find(c); at != StringRef::npos)
      return values[at];
    if (c == 'x') {
      unsigned value;
      if (rest.size() < 2 || rest.take_front(2).getAsInteger(16, value) || value > 127) {
        fail("\\x needs two hexadecimal digits of an ASCII character");
        return -1;
      }
      rest = rest.drop_front(2);
      return value;
    }
    if (isAlnum(c) || static_cast<unsigned char>(c) >= 0x80) {
      fail(Twine("\\") + Twine(c) + " is not supported");
      return -1;
    }
    return c;
  }

  Piece escape() {
    if (rest.empty()) {
      fail("it ends with a \\");
      return empty();
    }
    char c = next();
    CharSet set;
    if (namedSet(c, set))
      return character(set);
    if (c == 'A')
      return condition(Node::atBegin);
    if (c == 'z')
      return condition(Node::atEnd);
    if (c == 'b' || c == 'B')
      return condition(c == 'b' ? Node::boundary : Node::noBoundary);
    int value = escapedChar(c);
    if (value < 0)
      return empty();
    set.ascii.set(value);
    set.ascii = inBothCases(set.ascii);
    return character(set);
  }

  CharSet charClass() {
    static constexpr std::pair<StringRef, StringRef> named[] = {
        {"[:alpha:]", "azAZ"},    {"[:digit:]", "09"},     {"[:alnum:]", "azAZ09"},
        {"[:upper:]", "AZ"},      {"[:lower:]", "az"},     {"[:xdigit:]", "09afAF"},
        {"[:word:]", "azAZ09__"}, {"[:space:]", "\t\r  "}, {"[:punct:]", "!/:@[`{~"},
        {"[:blank:]", "\t\t  "},  {"[:print:]", " ~"},     {"[:graph:]", "!~"}};
    CharSet set;
    bool inverted = take('^');
    for (bool first = true; message.empty(); first = false) {
      if (rest.empty()) {
        fail("there is a [ without ]");
        break;
      }
      if (!first && take(']'))
        break;
      bool isNamed = false;
      for (auto [name, ranges] : named)
        if (rest.consume_front(name)) {
          isNamed = true;
          for (size_t i = 0; i < ranges.size(); i += 2)
            set.ascii |= range(ranges[i], ranges[i + 1]);
        }
      if (isNamed)
        continue;
      CharSet one;
      char c = next();
      int low = c;
      if (c == '\\') {
        if (rest.empty()) {
          fail("it ends with a \\");
          break;
        }
        c = next();
        if (namedSet(c, one)) {
          set.add(one);
          continue;
        }
        low = escapedChar(c);
      }
      if (low < 0 || low > 127) {
        fail("characters beyond ASCII in a class are not supported");
        break;
      }
      int high = low;
      if (rest.size() >= 2 && rest[0] == '-' && rest[1] != ']') {
        next();
        char end = next();
        high = end == '\\' && !rest.empty() ? escapedChar(next()) : end;
        if (high < low || high > 127) {
          fail("a range of a class is out of order, or beyond ASCII");
          break;
        }
      }
      set.ascii |= range(low, high);
    }
    set.ascii = inBothCases(set.ascii);
    if (inverted)
      set.invert();
    return set;
  }

  struct Flags {
    bool ignoresCase = false, dotTakesNewline = false;
  };

  StringRef rest;
  Flags flags;
  std::string message;
};

bool isWordByte(int byte) { return byte < 128 && (isAlnum(char(byte)) || byte == '_'); }

/// Where conditions are asked for.
struct Place {
  bool begin = false, end = false, boundary = false;

  bool meets(Node::Condition condition) const {
    switch (condition) {
    case Node::always:
      return true;
    case Node::atBegin:
      return begin;
    case Node::atEnd:
      return end;
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
  bool begin = false, afterWord = false;

  bool operator<(const State &other) const {
    return std::tie(nodes, begin, afterWord) < std::tie(other.nodes, other.begin, other.afterWord);
  }
};

/// Subsets of the nodes as states.
class Determinizer {
public:
  Determinizer(const std::vector<Node> &nodes, Piece whole)
      : nodes(nodes), whole(whole), knowsWords(any_of(nodes, [](const Node &node) {
          return node.condition == Node::boundary || node.condition == Node::noBoundary;
        })) {}

  Expected<Automaton> run() {
    numberOf({{whole.begin}, /*begin=*/true, false});
    for (size_t i = 0; i < states.size(); ++i) {
      if (states.size() > kMaxStates || work > kMaxWork)
        return createStringError("it needs too many states");
      State state = states[i];
      transitions.resize(states.size() * 256, 0);
      for (bool word : {false, true}) {
        std::vector<int> open = close(state.nodes, {state.begin, false, state.afterWord != word});
        std::map<std::vector<int>, int> targets;
        for (int byte = 0; byte < 256; ++byte) {
          if (isWordByte(byte) != word)
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
            it->second = numberOf({reached, false, knowsWords && word});
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
      std::vector<int> last = close(state.nodes, {state.begin, true, state.afterWord});
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
  bool knowsWords;
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
  Parser parser(pattern);
  Expected<Piece> whole = parser.parse();
  if (!whole)
    return whole.takeError();
  return Determinizer(parser.nodes, *whole).run();
}
