// Strings and n-grams.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Weights.h"
#include "lib/Import/Operators.h"
#include "lib/Import/Regex.h"
#include "lib/Import/Scores.h"
#include <map>

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;

static LogicalResult importStringConcat(Node &node) {
  return node.result(node.binary(BinaryKind::add, node.input(0), node.input(1)));
}

static LogicalResult importStringSplit(Node &node) {
  Value x = node.input(0);
  std::string delimiter = node.stringAttribute("delimiter", "");
  int64_t splits = node.intAttribute("maxsplit", -1);
  auto op = node.create<graph::StringSplitOp>(
      node.likeOf(x), node.tensorOf(node.builder().getI64Type()), x, delimiter, splits);
  if (!op)
    return failure();
  node.setResult(1, op.getCounts());
  return node.result(op.getPieces());
}

static LogicalResult importStringNormalizer(Node &node) {
  Value x = node.input(0);
  unsigned action = node.choice("case_change_action", {"NONE", "LOWER", "UPPER"}, 0);
  bool caseSensitive = node.flag("is_case_sensitive");
  auto stopWords = node.stringsAttribute("stopwords").value_or(std::vector<std::string>());
  node.ignore({"locale"}); // letters change as Unicode says, everywhere
  if (node.hasFailed())
    return failure();
  llvm::sort(stopWords);
  auto op =
      node.create<graph::StringNormalizeOp>(node.likeOf(x), static_cast<graph::LetterCase>(action),
                                            x, node.constantStrings(stopWords), caseSensitive);
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importRegexFullMatch(Node &node) {
  std::string pattern = node.stringAttribute("pattern", "");
  if (!node.hasAttribute("pattern"))
    return node.error() << "RegexFullMatch has no attribute 'pattern'";
  llvm::Expected<Automaton> automaton = compileRegex(pattern);
  if (!automaton)
    return node.error() << "the pattern '" << pattern
                        << "' cannot be compiled: " << llvm::toString(automaton.takeError());
  auto type = RankedTensorType::get({automaton->states(), 256}, node.builder().getI32Type());
  ArrayRef<char> bytes(reinterpret_cast<const char *>(automaton->transitions.data()),
                       automaton->transitions.size() * sizeof(int32_t));
  Value table = node.constant(graph::makeConstantAttr(type, bytes));
  if (!table)
    return failure();
  auto op = node.create<graph::StringMatchOp>(node.tensorOf(node.builder().getI1Type()),
                                              node.input(0), table, automaton->accepting);
  if (!op)
    return failure();
  return node.result(automaton->inverted ? node.unary(graph::UnaryKind::logical_not, op.getResult())
                                         : Value(op.getResult()));
}

// ---- N-grams -----------------------------------------------------------------------------------

namespace {
/// The n-grams of a model that its lengths ask for.
struct Grams {
  Ints elements; ///< [count, longest], padded with zeros
  Ints lengths;  ///< [count]
  Ints columns;  ///< [count], of the result
  SmallVector<double> weights;
  int64_t longest = 1;
};
} // namespace

/// Cuts the pool, in which all single elements come first, then all pairs and so on.
static std::optional<Grams> readGrams(Node &node, ArrayRef<int64_t> pool, int64_t least,
                                      int64_t most) {
  Ints starts = node.intsAttribute("ngram_counts").value_or(Ints());
  Ints columns = node.intsAttribute("ngram_indexes").value_or(Ints());
  auto weights = node.floatsAttribute("weights");
  Grams grams;
  grams.longest = std::max<int64_t>(1, most);
  auto fail = [&](const Twine &what) {
    node.error() << what;
    return std::optional<Grams>();
  };
  if (node.hasFailed())
    return std::nullopt;
  if (starts.empty() || int64_t(starts.size()) < most)
    return fail("attribute 'ngram_counts' of TfIdfVectorizer has " + Twine(starts.size()) +
                " values, the longest n-gram has " + Twine(most));
  if (weights && !weights->empty() && weights->size() != columns.size())
    return fail("attribute 'weights' of TfIdfVectorizer has " + Twine(weights->size()) +
                " values, there are " + Twine(columns.size()) + " n-grams");
  size_t index = 0;
  for (size_t n = 1; n <= starts.size(); ++n) {
    int64_t begin = starts[n - 1], end = n < starts.size() ? starts[n] : int64_t(pool.size());
    if (begin < 0 || end < begin || end > int64_t(pool.size()) || (end - begin) % n != 0)
      return fail("the n-grams of length " + Twine(n) + " of TfIdfVectorizer lie from " +
                  Twine(begin) + " to " + Twine(end) + " of a pool of " + Twine(pool.size()));
    for (int64_t at = begin; at < end; at += n, ++index) {
      if (index >= columns.size())
        return fail("attribute 'ngram_indexes' of TfIdfVectorizer has " + Twine(columns.size()) +
                    " values, which are fewer than n-grams");
      if (int64_t(n) < least || int64_t(n) > most)
        continue;
      for (int64_t i = 0; i < grams.longest; ++i)
        grams.elements.push_back(i < int64_t(n) ? pool[at + i] : 0);
      grams.lengths.push_back(n);
      grams.columns.push_back(columns[index]);
      grams.weights.push_back(weights && !weights->empty() ? (*weights)[index] : 1);
    }
  }
  return grams;
}

static LogicalResult importTfIdf(Node &node) {
  Value x = node.input(0);
  unsigned mode = node.choice("mode", {"TF", "IDF", "TFIDF"}, 0);
  int64_t least = node.intAttribute("min_gram_length", 1);
  int64_t most = node.intAttribute("max_gram_length", 1);
  int64_t skip = node.intAttribute("max_skip_count", 0);
  auto names = node.stringsAttribute("pool_strings").value_or(std::vector<std::string>());
  Ints pool = node.intsAttribute("pool_int64s").value_or(Ints());
  Ints allColumns = node.intsAttribute("ngram_indexes").value_or(Ints());
  std::optional<int64_t> rank = node.requireRank(x, "the input");
  if (!rank || node.hasFailed())
    return failure();
  if (*rank != 1 && *rank != 2)
    return node.error() << "the input of TfIdfVectorizer has rank " << *rank << ", it takes 1 or 2";
  if (least < 1 || most < least || most > 64 || skip < 0 || skip > 65536)
    return node.error() << "TfIdfVectorizer counts n-grams of " << least << " to " << most
                        << " elements that skip up to " << skip;
  if (names.empty() == pool.empty())
    return node.error() << "TfIdfVectorizer has " << (names.empty() ? "neither" : "both")
                        << " of 'pool_int64s' and 'pool_strings', it takes one";
  bool isString = isa<graph::StringType>(Node::elementOf(x));
  if (isString == names.empty())
    return node.error() << "the input of TfIdfVectorizer has element type " << Node::elementOf(x)
                        << ", its pool is of " << (names.empty() ? "numbers" : "strings");
  int64_t width = 0;
  for (int64_t column : allColumns) {
    if (column < 0 || column >= (int64_t(1) << 31))
      return node.error() << "attribute 'ngram_indexes' of TfIdfVectorizer holds " << column;
    width = std::max(width, column + 1);
  }
  if (width == 0)
    return node.error() << "TfIdfVectorizer has no n-grams";

  Type i64 = node.builder().getI64Type(), f32 = node.builder().getF32Type();
  if (isString) {
    // Words become their places in the sorted vocabulary; other words the place behind it.
    std::map<std::string, int64_t> places;
    for (const std::string &name : names)
      places.emplace(name, 0);
    std::vector<std::string> sorted;
    for (auto &entry : places) {
      entry.second = sorted.size();
      sorted.push_back(entry.first);
    }
    for (const std::string &name : names)
      pool.push_back(places[name]);
    auto found = node.create<graph::FindOp>(node.tensorOf(i64), x, node.constantStrings(sorted));
    x = found ? Value(found.getResult()) : Value();
  } else {
    x = node.cast(x, i64);
  }
  std::optional<Grams> grams = readGrams(node, pool, least, most);
  if (!grams || !x)
    return failure();
  int64_t count = grams->lengths.size();
  // Column by column of the result, the gram that it counts; `count`: none.
  Ints from(width, count);
  for (auto [gram, column] : llvm::enumerate(grams->columns)) {
    if (from[column] != count)
      return node.error() << "two n-grams of TfIdfVectorizer have index " << column;
    from[column] = gram;
  }
  Value rows = *rank == 2 ? node.shapeOf(x, 0, 1) : Value();
  auto blank = [&](int64_t columns) {
    Value shape = node.constant({columns});
    return node.full(rows ? node.concat({rows, shape}, 0) : shape, 0, f32);
  };
  if (count == 0)
    return node.result(blank(width));
  Value table = node.reshape(node.constant(grams->elements), {count, grams->longest});
  Value lengths = node.constant(grams->lengths);
  if (!table || !lengths)
    return failure();
  auto counted = node.create<graph::CountNGramsOp>(node.tensorOf(f32), x, table, lengths, skip);
  if (!counted)
    return failure();
  Value result = counted.getResult();
  if (mode == 1) // whether it is there at all
    result = node.binary(BinaryKind::min, result, 1);
  if (mode != 0)
    result =
        node.binary(BinaryKind::mul, result, floatConstant(node, {count}, grams->weights, f32));
  result = node.concat({result, blank(1)}, *rank - 1);
  return node.result(node.gather(result, node.constant(from), *rank - 1));
}

ArrayRef<Operator> lathe::import::textOperators() {
  static const Operator operators[] = {
      {"StringConcat", {20}, 2, 2, importStringConcat, kString},
      {"StringSplit", {20}, 1, 1, importStringSplit, kString},
      {"StringNormalizer", {10}, 1, 1, importStringNormalizer, kString},
      {"RegexFullMatch",
       {20},
       1,
       1,
       importRegexFullMatch,
       kString,
       "no classes of Unicode (`\\pN`), no bytes (`\\C`)"},
      {"TfIdfVectorizer", {9}, 1, 1, importTfIdf, kSigned | kString},
  };
  return operators;
}
