#!/usr/bin/python3
# Compares operators on strings, and those that move complex numbers, with what numpy and Python compute, as a suite of `lathe check`.
# Licensed under Apache-2.0 WITH LLVM-exception.
import argparse
import itertools
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import numpy as np  # noqa: E402

from tracer import Graph  # noqa: E402
from zoo_models import wire  # noqa: E402


def texts(values):
    array = np.empty(np.shape(values), object)
    array[...] = values
    return array


WORDS = texts([["", "a", "Hello", "hello world"], ["été", "ÀÉ ß", "мир МИР", "x" * 70]])


def moves():
    g = Graph("moves", opset=20)
    x = g.given(WORDS)
    g.output(x)
    g.output(g.transpose(x, 1, 0))
    g.output(g.reshape(x, 4, 2))
    g.output(g.concat(1, x, x))
    g.output(g.concat(0, x, g.slice(x, 1, 3, -9, -1)))
    g.output(g.slice(x, 1, 1, 3))
    g.output(g.gather(x, g.ints([1, 0, 1]), 0))
    g.output(g.gather(x, g.ints([[3], [0]]), 1))
    g.output(g.expand(g.slice(x, 0, 0, 1), 3, 1, 4))
    g.output(g.node("Tile", np.tile(WORDS, (1, 2)), x, g.ints([1, 2])))
    g.output(g.where(g.given(np.array([[True], [False]])), x, g.given(texts("no"))))
    constant = g.model.node("Constant", value_strings=["one", "", "drei"])
    g.output(g.node("Identity", texts(["one", "", "drei"]), constant))
    g.output(g.given(texts(np.empty((0, 3), object))))
    g.output(g.transpose(g.given(texts(np.empty((0, 3), object))), 1, 0))
    return g


def rearranged(name, values, nothing):
    """What moves elements of [2, 4] and fills with `nothing`: the same for all that are not numbers."""
    g = Graph(name, opset=19)
    x = g.given(values)
    g.output(g.node("Pad", np.pad(values, ((1, 0), (0, 2)), constant_values=nothing), x,
                    g.ints([1, 0, 0, 2])))
    fill = values[1, 3]
    g.output(g.node("Pad", np.pad(values, ((0, 1), (1, 0)), constant_values=fill), x,
                    g.ints([0, 1, 1, 0]), g.given(np.asarray(fill, values.dtype))))
    g.output(g.node("Pad", np.pad(values, ((0, 0), (2, 2)), mode="reflect"), x,
                    g.ints([0, 2, 0, 2]), mode="reflect"))
    rows, columns = np.indices(values.shape)
    for upper in (0, 1):
        keep = columns >= rows if upper else columns <= rows
        g.output(g.node("Trilu", np.where(keep, values, nothing), x, upper=upper))
    image = np.concatenate([values, values[::-1], values, values]).reshape(1, 8, 2, 2)
    y = g.given(image)
    apart = image.reshape(1, 2, 2, 2, 2, 2).transpose(0, 3, 4, 1, 5, 2).reshape(1, 2, 4, 4)
    spread = g.node("DepthToSpace", apart, y, blocksize=2)
    g.output(spread)
    g.output(g.node("SpaceToDepth", image, spread, blocksize=2))
    scattered = values.copy()
    scattered[[1, 0], [0, 1]] = values[0, 2:]
    g.output(g.node("ScatterElements", scattered, x, g.ints([[1, 0]]), g.given(values[:1, 2:])))
    scattered = values.copy()
    scattered[1] = values[0]
    g.output(g.node("ScatterND", scattered, x, g.ints([[1]]), g.given(values[:1])))
    hot = np.where(np.arange(3) == np.array([[2], [0]]), values[0, 1], values[0, 2])
    g.output(g.node("OneHot", hot.astype(values.dtype), g.ints([2, 0]), g.ints(3),
                    g.given(values[0, [2, 1]])))
    g.output(g.node("NonZero", np.array(np.nonzero(values != nothing)), x))
    g.output(g.node("Resize", values.repeat(2, 0), x, "", g.given(np.array([2.0, 1.0]))))
    g.output(g.node("ReverseSequence", np.stack([values[0], values[1, [1, 0, 2, 3]]]), x,
                    g.ints([1, 2]), batch_axis=0, time_axis=1))
    g.output(g.node("Compress", values[:, [1, 3]], x, g.given(np.array([False, True, False, True])),
                    axis=1))
    for value in (values[:0], values[:1]):
        y = g.given(value)
        g.output(g.node("Concat", np.concatenate([value, values]), y, x, axis=0))
    return g


def strings():
    return rearranged("strings", WORDS, "")


def complex_numbers(kind):
    numbers = np.array([[0, 1 - 2j, -3j, 0.5], [-1, 2 + 1j, 1e30 - 1j, 0]], kind)
    g = rearranged(kind, numbers, 0)
    constant = g.weight(values=numbers * 2)
    g.output(g.concat(0, g.given(numbers), constant))
    g.output(g.where(g.given(np.array([[True], [False]])), g.given(numbers), constant))
    g.output(g.given(numbers))
    return g


def bits():
    """The two parts of a complex number side by side, the real one first."""
    g = Graph("bits", opset=26)
    numbers = np.array([[0, 1 - 2j, -3j, 0.5], [-1, 2 + 1j, 1e30 - 1j, 0]], "complex64")
    for to, dtype in ((7, "int64"), (13, "uint64"), (14, "complex64")):
        y = g.node("BitCast", numbers.view(dtype), g.given(numbers), to=to)
        g.output(y)
        g.output(g.node("BitCast", numbers, y, to=14))
    wide = numbers.astype("complex128")
    g.output(g.node("BitCast", wide, g.given(wide), to=15))
    return g


def distinct():
    """Strings are compared byte by byte."""
    g = Graph("distinct", opset=20)
    values = texts(["b", "a", "", "ab", "b", "é", "a", "B", "a\0", "a" * 40, "b"])
    for array, is_sorted in itertools.product((values, values[:0], values[:1]), (0, 1)):
        plain = [text.encode() for text in array]
        keys = sorted(set(plain))
        first = np.array([plain.index(key) for key in keys], "int64")
        inverse = np.array([keys.index(text) for text in plain], "int64")
        counts = np.array([plain.count(key) for key in keys], "int64")
        order = np.arange(len(first)) if is_sorted else np.argsort(first)
        names = g.nodes("Unique", [array[first[order]], first[order],
                                   np.argsort(order)[inverse].astype("int64"), counts[order]],
                        g.given(array), sorted=is_sorted)
        for result in names:
            g.output(result)
    rows = texts([["b", "a"], ["a", "b"], ["b", "a"], ["a", ""]])
    results = [rows[[3, 1, 0]], np.array([3, 1, 0]), np.array([2, 1, 2, 0]), np.array([1, 1, 2])]
    for result in g.nodes("Unique", results, g.given(rows), axis=0):
        g.output(result)
    return g


def pairs():
    g = Graph("pairs", opset=20)
    a, b = g.given(WORDS), g.given(texts([["", "b", "Hello", "hello worlds"]]))
    g.output(g.node("Equal", a.array == b.array, a, b))
    g.output(g.node("StringConcat", a.array + b.array, a, b))
    scalar, one = g.given(texts("s")), g.given(texts(["s"]))
    g.output(g.node("StringConcat", texts("ss"), scalar, scalar))
    g.output(g.node("Equal", np.array([True]), scalar, one))
    nothing = g.given(texts(np.empty((0,), object)))
    g.output(g.node("StringConcat", texts(np.empty((0,), object)), nothing, one))
    return g


def splits():
    g = Graph("splits", opset=20)
    lists = [["a,b,,c", "", ",x,", "no comma"], ["a  b ", "  ", "", "\tone two\nthree four  "],
             ["aaaa"], [], ["a::b:c", "::"]]
    case = 0
    for values, delimiter, limit in itertools.product(lists, ["", ",", "aa", "::"], [None, 0, 1, 3]):
        case += 1
        parts = [(value.split(delimiter or None, -1 if limit is None else limit))
                 for value in values]
        most = max((len(part) for part in parts), default=0)
        padded = texts(np.full((len(values), most), "", object))
        for i, part in enumerate(parts):
            padded[i, :len(part)] = part
        attributes = {"delimiter": delimiter} if delimiter or case % 2 else {}
        if limit is not None:
            attributes["maxsplit"] = limit
        with g.case(f"split_{case}"):
            x = g.given(texts(values))
            for result in g.nodes("StringSplit", [padded, np.array([len(part) for part in parts],
                                                                   np.int64)], x, **attributes):
                g.output(result)
    return g


def normalizers():
    g = Graph("normalizers", opset=20)
    words = ["Monday", "monday", "TUE", "été", "", "ÉTÉ", "мир"]
    change = {"NONE": str, "LOWER": str.lower, "UPPER": str.upper}
    for stops, action, sensitive in itertools.product(
            [[], ["monday"], ["Monday", "tue", "", "été"], words], change, [0, 1]):
        lowered = [stop.lower() for stop in stops]
        kept = [change[action](word) for word in words
                if (word not in stops if sensitive else word.lower() not in lowered)] or [""]
        for shape in [(-1,), (1, -1)]:
            x = g.given(texts(words).reshape(shape))
            attributes = {"stopwords": stops} if stops else {}
            g.output(g.node("StringNormalizer", texts(kept).reshape(shape), x,
                            case_change_action=action, is_case_sensitive=sensitive, **attributes))
    nothing = g.given(texts(np.empty((0,), object)))
    g.output(g.node("StringNormalizer", texts([""]), nothing))
    return g


def patterns():
    g = Graph("patterns", opset=20)
    values = ["", "a", "ab", "abb", "abc", "aab", "a.b", "a-b", "12", "12.5", "x_1", "\n", "é", "aé",
              "a b", "abab", "www.example.com", "Foo", "foo@bar.org", "]", "^", "a|b", "aaaa"]
    for pattern in ["", "a", ".", ".*", "a*", "a+b?", "(a|b)*", "(?:ab){2}", "a{2,3}b", "a{0,1}",
                    "a{2,}", "[ab]+", "[^a]", "[^a]*", r"\d+(\.\d+)?", r"\w+", r"\W", r"\s", "[a-c]{3}",
                    r"a\.b", r"[\w.]+@[a-z]+\.org", "^a$", "(^|b)a($|b)", "a^b", "a$b", "a|",
                    "[]]", "[a^]", "[[:alpha:]]+", "(a*)*", "(a|ab)(c|bcd)?", r"\x61", "a??b*?", "é|x",
                    "(?P<name>a)b", "(a?){3}b", "(|a)+", r"\w+\b", r"a\b.b", r"\ba\Bb\b", r".*\bcom\b", "[a-]b?", r"[\-.]", "a{,2}", "(ab|a)*c?",
                    "(?i)foo", "(?i:f)oo", "(?s).*", "(?si)A.B", "(?i)[^A]B", r"(?i)\x41b{2}", "a(?i:B)b",
                    "(?i)f(?-i:OO)", "(?i)(?s-i:f.)o", "(?i)[a-c]{3}"]:
        x = g.given(texts(values))
        plain = pattern.replace("[[:alpha:]]", "[A-Za-z]").replace("[]]", r"\]")
        if pattern == "a{,2}":
            plain = r"a\{,2\}"  # a repetition needs its lower bound
        plain = plain.replace("$", r"\Z")
        expected = [re.fullmatch(plain, value, re.ASCII) is not None for value in values]
        g.output(g.node("RegexFullMatch", np.array(expected), x, pattern=pattern))
    return g


def shortest(value):
    """The fewest digits that read back as this number of its type, as Python writes a float."""
    for digits in range(17):
        text = f"{float(value):.{digits}e}"
        if not np.isfinite(value) or type(value)(text) == value:
            break
    return repr(float(text))


def numbers():
    g = Graph("numbers", opset=20)
    floats = np.array([0, 1, -1.5, 0.1, 1e-5, 1e16, 123456.789, 3.4028235e38, 1e-45, np.inf, -np.inf,
                       np.nan, 1048576])
    for dtype, number in (("float32", 1), ("float64", 11), ("float16", 10)):
        with np.errstate(over="ignore"):
            x = floats.astype(dtype)
        name = g.model.node("Cast", g.given(floats.astype("float64").astype("float32")).name,
                            to=number)
        if dtype == "float64":
            x = floats.astype("float32").astype("float64")
        g.output(g.node("Cast", texts([shortest(value) for value in x]), name, to=8))
    for dtype, number in (("int32", 6), ("int64", 7)):
        x = np.array([0, -1, 127, np.iinfo(dtype).max, np.iinfo(dtype).min], dtype)
        written = g.node("Cast", texts([str(value) for value in x]), g.given(x), to=8)
        g.output(written)
        g.output(g.node("Cast", x, written, to=number))
    x = np.array(["1", " -2.5e3", "+.5", "1e400", "-1e-400", "NaN", "INF", "-inf", "7.", "1e5",
                  "0.1000000000000000055511151231257827021181583404541015625"])
    g.output(g.node("Cast", x.astype("float32"), g.given(texts(list(x))), to=1))
    with g.case("bools"):
        flags = np.array([True, False])
        g.output(g.node("Cast", texts(["1", "0"]), g.given(flags), to=8))
    return g


def vocabularies():
    g = Graph("vocabularies", opset=20)
    words = texts([["cat", "dog", "", "bird"], ["été", "cat", "fish", "dogs"]])
    keys, to = ["dog", "cat", "été", ""], [7, 5, 9, 11]
    table = dict(zip(keys, to))
    x = g.given(words)
    look = np.vectorize(lambda word: table.get(word, -1))
    g.output(g.node("LabelEncoder", look(words), x, domain="ai.onnx.ml:2", keys_strings=keys,
                    values_int64s=to))
    g.output(g.node("CategoryMapper", look(words), x, domain="ai.onnx.ml:2", cats_strings=keys,
                    cats_int64s=to))
    names = np.vectorize(lambda n: {5: "cat", 7: "dog"}.get(n, "none"), otypes=[object])
    numbers = np.array([5, 6, 7])
    g.output(g.node("LabelEncoder", names(numbers), g.given(numbers), domain="ai.onnx.ml:2",
                    keys_int64s=[7, 5], values_strings=["dog", "cat"], default_string="none"))
    g.output(g.node("OneHotEncoder", (words[..., None] == texts(keys)).astype("float64"), x,
                    domain="ai.onnx.ml:2", cats_strings=keys))
    pool = ["cat", "dog", "dog", "cat", "cat", "dog"]  # two words, two pairs
    text = texts(["cat", "x", "dog", "cat", "dog", "dog"])
    counts = {}
    for skip in (0, 1, 4):
        found = [2, 3, 0, 0]
        for distance in range(1, skip + 2):
            for i in range(len(text) - distance):
                pair = (text[i], text[i + distance])
                found[2] += pair == ("dog", "cat")
                found[3] += pair == ("cat", "dog")
        counts[skip] = np.array(found, "float64")
    for skip, mode in itertools.product(counts, ["TF", "IDF", "TFIDF"]):
        weights = np.array([0.5, 2, 3, 4])
        found = counts[skip]
        result = {"TF": found, "IDF": (found > 0) * weights, "TFIDF": found * weights}[mode]
        g.output(g.node("TfIdfVectorizer", np.concatenate([[0], result[[1, 0, 3, 2]]]),
                        g.given(text), mode=mode, min_gram_length=1, max_gram_length=2,
                        max_skip_count=skip, ngram_counts=[0, 2], ngram_indexes=[2, 1, 4, 3],
                        pool_strings=pool, weights=[float(weight) for weight in weights]))
    numbers = np.array([[1, 2, 1], [3, 3, 3]])
    g.output(g.node("TfIdfVectorizer", np.array([[2.0, 0], [0, 3]]), g.given(numbers), mode="TF",
                    min_gram_length=1, max_gram_length=1, max_skip_count=0, ngram_counts=[0],
                    ngram_indexes=[0, 1], pool_int64s=[1, 3]))
    return g


CASES = [moves, pairs, splits, normalizers, patterns, numbers, vocabularies, strings, distinct,
         bits, lambda: complex_numbers("complex64"), lambda: complex_numbers("complex128")]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lathe", required=True, metavar="FILE", help="the `lathe` command")
    parser.add_argument("--keep", metavar="FOLDER", help="where the suite stays")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = args.keep or temporary
        for build in CASES:
            graph = build()
            folder = os.path.join(root, "text", graph.name)
            data = os.path.join(folder, "test_data_set_0")
            os.makedirs(data, exist_ok=True)
            graph.model.write(os.path.join(folder, "model.onnx"))
            for kind, values in (("input", graph.inputs), ("output", graph.outputs)):
                for i, (name, tensor) in enumerate(values.items()):
                    array = tensor.array
                    if array.dtype != object:
                        array = array.astype(tensor.dtype)
                    wire.tensor(array, name).write(os.path.join(data, f"{kind}_{i}.pb"))
        return subprocess.run([args.lathe, "check", "--suite", root], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
