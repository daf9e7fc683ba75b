// The parser of regular expressions, which builds a nondeterministic automaton piece by piece.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/CharSet.h"
#include "lib/Import/RegexNodes.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ConvertUTF.h"

using namespace llvm;
using namespace lathe::import;
using namespace lathe::import::regex;

namespace {

constexpr size_t kMaxNodes = 20000;
constexpr int kMaxRepeat = 1000, kMaxDepth = 200;

/// What (?ims) turns on. (?U) changes which match is found, not whether there is one.
struct Flags {
  bool anyCase = false, lines = false, dotIsAny = false;
};

class Parser {
public:
  explicit Parser(StringRef pattern) : rest(pattern) {}

  Expected<Nodes> parse() {
    Piece whole = alternatives(0);
    if (message.empty() && !rest.empty())
      fail("there is a ) without (");
    if (!message.empty())
      return createStringError(message);
    return Nodes{std::move(nodes), whole};
  }

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
  /// The UTF-8 of a range of characters that take `count` bytes each, as alternatives to `piece`.
  Piece orUtf8(Piece piece, uint32_t first, uint32_t last, int count) {
    for (int i = 1; i < count; ++i) {
      // The last i bytes run through all of their values, or the bytes before are one.
      uint32_t low = (1u << (6 * i)) - 1;
      if ((first & ~low) == (last & ~low))
        continue;
      if ((first & low) != 0) {
        piece = orUtf8(piece, first, first | low, count);
        return orUtf8(piece, (first | low) + 1, last, count);
      }
      if ((last & low) != low) {
        piece = orUtf8(piece, first, (last & ~low) - 1, count);
        return orUtf8(piece, last & ~low, last, count);
      }
    }
    static constexpr int marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    Piece all = empty();
    for (int i = count - 1; i >= 0; --i) {
      int mask = i == count - 1 ? 0xff : 0x3f, mark = i == count - 1 ? marks[count] : 0x80;
      all = sequence(
          all, bytes(range(mark | (first >> (6 * i) & mask), mark | (last >> (6 * i) & mask))));
    }
    return either(piece, all);
  }
  /// One character of the set.
  Piece character(const CharSet &set) {
    ByteSet ascii;
    for (auto [first, last] : set.ranges())
      if (first < 0x80)
        ascii |= range(first, std::min<uint32_t>(last, 0x7f));
    Piece piece = bytes(ascii);
    if (set.ranges().empty() || set.ranges().back().second < 0x80)
      return piece;
    if (CharSet::Range all = set.ranges().back();
        all.first <= 0x80 && all.second == CharSet::kLast) {
      // All beyond ASCII, with sequences that UTF-8 does not have: that is far smaller.
      ByteSet tail = range(0x80, 0xbf);
      Piece longer = sequence(bytes(range(0xc2, 0xdf)), bytes(tail));
      longer =
          either(longer, sequence(sequence(bytes(range(0xe0, 0xef)), bytes(tail)), bytes(tail)));
      longer = either(
          longer, sequence(sequence(sequence(bytes(range(0xf0, 0xf4)), bytes(tail)), bytes(tail)),
                           bytes(tail)));
      return either(piece, longer);
    }
    static constexpr uint32_t ends[] = {0, 0x80, 0x800, 0x10000, CharSet::kLast + 1};
    for (auto [first, last] : set.ranges())
      for (int count = 2; count <= 4; ++count) {
        uint32_t from = std::max(first, ends[count - 1]), to = std::min(last, ends[count] - 1);
        if (from <= to)
          piece = orUtf8(piece, from, to, count);
      }
    return piece;
  }
  /// The character itself, or in any case.
  CharSet charactersOf(uint32_t first, uint32_t last) const {
    CharSet set;
    set.add(first, last);
    if (flags.anyCase)
      set.addOtherCases();
    return set;
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
    while (!rest.empty()) {
      if (quoted ? rest.consume_front("\\E") : rest.consume_front("\\Q")) {
        quoted = !quoted;
        continue;
      }
      if (!quoted && (rest.front() == '|' || rest.front() == ')'))
        break;
      // Flags without a group of their own hold to the end of the one that they are in.
      StringRef ahead = rest;
      Flags changed = flags;
      if (!quoted && ahead.consume_front("(?") && takeFlags(ahead, changed) &&
          ahead.consume_front(")")) {
        rest = ahead;
        flags = changed;
        continue;
      }
      piece = sequence(piece, repetition(depth));
    }
    return piece;
  }

  /// Letters of flags, those behind a - to be turned off; false where there are others.
  static bool takeFlags(StringRef &text, Flags &changed) {
    bool on = true, any = true;
    for (; !text.empty() && text.front() != ')' && text.front() != ':'; text = text.drop_front()) {
      any = text.front() != '-';
      switch (text.front()) {
      case 'i':
        changed.anyCase = on;
        break;
      case 'm':
        changed.lines = on;
        break;
      case 's':
        changed.dotIsAny = on;
        break;
      case 'U':
        break;
      case '-':
        if (!on)
          return false;
        on = false;
        break;
      default:
        return false;
      }
    }
    return any;
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
    if (quoted && rest.consume_front("\\E"))
      quoted = false;
    if (quoted)
      return piece;
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
    if (quoted)
      return literal();
    char c = rest.front();
    if (!StringRef("([.^$*+?\\").contains(c))
      return literal();
    next();
    switch (c) {
    case '(': {
      Flags outer = flags;
      if (take('?')) {
        // A name changes nothing.
        StringRef named = rest;
        named.consume_front("P");
        size_t end = named.find('>');
        if (named.starts_with("<") && end != StringRef::npos) {
          rest = named.drop_front(end + 1);
        } else if (!takeFlags(rest, flags) || !take(':')) {
          fail("a group begins with (? and neither flags nor a name");
          return empty();
        }
      }
      Piece inside = alternatives(depth + 1);
      flags = outer;
      if (!take(')'))
        fail("there is a ( without )");
      return inside;
    }
    case '[':
      return character(charClass());
    case '.': {
      CharSet any;
      if (!flags.dotIsAny)
        any.add('\n', '\n');
      any.invert();
      return character(any);
    }
    case '^':
      return condition(flags.lines ? Node::atLineBegin : Node::atBegin);
    case '$':
      return condition(flags.lines ? Node::atLineEnd : Node::atEnd);
    case '\\':
      return escape();
    default:
      fail(Twine("there is nothing before '") + Twine(c) + "'");
      return empty();
    }
  }

  /// The next character; -1 after an error.
  int64_t nextCharacter() {
    auto *begin = reinterpret_cast<const UTF8 *>(rest.data()), *end = begin;
    UTF32 value;
    if (convertUTF8Sequence(&end, begin + rest.size(), &value, strictConversion) != conversionOK) {
      fail("it is not valid UTF-8");
      return -1;
    }
    rest = rest.drop_front(end - begin);
    return value;
  }

  Piece literal() {
    int64_t c = nextCharacter();
    return c < 0 ? empty() : character(charactersOf(c, c));
  }

  /// \d, \w, \s and their opposites; false for other letters.
  bool namedSet(char letter, CharSet &set) const {
    StringRef ranges;
    switch (letter | 32) {
    case 'd':
      ranges = "09";
      break;
    case 'w':
      ranges = "09AZ__az";
      break;
    case 's':
      ranges = "\t\n\f\r  ";
      break;
    default:
      return false;
    }
    addRanges(set, ranges, /*inverted=*/!(letter & 32));
    return true;
  }

  /// Adds ranges of ASCII, or all that they leave out.
  void addRanges(CharSet &set, StringRef ranges, bool inverted) const {
    CharSet named;
    for (size_t i = 0; i < ranges.size(); i += 2)
      named.add(charactersOf(ranges[i], ranges[i + 1]));
    if (inverted)
      named.invert();
    set.add(named);
  }

  /// The code point that an escape stands for, whose letter is taken; -1 after an error.
  int64_t escapedChar(char c) {
    static constexpr StringRef letters = "nrtfva", values = "\n\r\t\f\v\a";
    if (size_t at = letters.find(c); at != StringRef::npos)
      return values[at];
    if (c == 'x') {
      StringRef digits = rest.take_front(2);
      bool braces = take('{');
      if (braces)
        digits = rest.take_until([](char each) { return each == '}'; });
      rest = rest.drop_front(std::min(digits.size(), rest.size()));
      uint32_t value;
      if (digits.size() < (braces ? 1 : 2) || !all_of(digits, isHexDigit) ||
          digits.getAsInteger(16, value) || value > CharSet::kLast || (braces && !take('}'))) {
        fail("\\x needs two hexadecimal digits, or those of a character in braces");
        return -1;
      }
      return value;
    }
    bool octal = !rest.empty() && rest.front() >= '0' && rest.front() <= '7';
    if (c == '0' || (c >= '1' && c <= '7' && octal)) {
      int64_t value = c - '0';
      for (int i = 0; i < 2 && !rest.empty() && rest.front() >= '0' && rest.front() <= '7'; ++i)
        value = value * 8 + (next() - '0');
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
    int64_t value = escapedChar(c);
    return value < 0 ? empty() : character(charactersOf(value, value));
  }

  /// A class such as [:alpha:] or its opposite [:^alpha:]; false where none follows.
  bool takeNamedClass(CharSet &set) {
    static constexpr std::pair<StringRef, StringRef> named[] = {{"alpha", "AZaz"},
                                                                {"digit", "09"},
                                                                {"alnum", "09AZaz"},
                                                                {"upper", "AZ"},
                                                                {"lower", "az"},
                                                                {"xdigit", "09AFaf"},
                                                                {"word", "09AZ__az"},
                                                                {"space", "\t\r  "},
                                                                {"punct", "!/:@[`{~"},
                                                                {"blank", "\t\t  "},
                                                                {"print", " ~"},
                                                                {"graph", "!~"},
                                                                {"cntrl", {"\0\x1f\x7f\x7f", 4}},
                                                                {"ascii", {"\0\x7f", 2}}};
    StringRef ahead = rest;
    if (!ahead.consume_front("[:"))
      return false;
    bool inverted = ahead.consume_front("^");
    for (auto [name, ranges] : named)
      if (StringRef after = ahead; after.consume_front(name) && after.consume_front(":]")) {
        rest = after;
        addRanges(set, ranges, inverted);
        return true;
      }
    return false;
  }

  CharSet charClass() {
    CharSet set;
    bool inverted = take('^');
    for (bool first = true; message.empty(); first = false) {
      if (rest.empty()) {
        fail("there is a [ without ]");
        break;
      }
      if (!first && take(']'))
        break;
      if (takeNamedClass(set))
        continue;
      if (rest.size() >= 2 && rest[0] == '\\' && namedSet(rest[1], set)) {
        rest = rest.drop_front(2);
        continue;
      }
      auto one = [&]() -> int64_t {
        if (!take('\\'))
          return nextCharacter();
        if (!rest.empty())
          return escapedChar(next());
        fail("it ends with a \\");
        return -1;
      };
      int64_t low = one(), high = low;
      if (rest.size() >= 2 && rest[0] == '-' && rest[1] != ']') {
        next();
        high = one();
      }
      if (low < 0 || high < 0)
        break;
      if (high < low) {
        fail("a range of a class is out of order");
        break;
      }
      set.add(charactersOf(low, high));
    }
    if (inverted)
      set.invert();
    return set;
  }

  std::vector<Node> nodes;
  StringRef rest;
  Flags flags;
  bool quoted = false; // between \Q and \E
  std::string message;
};

} // namespace

Expected<Nodes> lathe::import::regex::parse(StringRef pattern) { return Parser(pattern).parse(); }
