# Tests of the Python package; the folder given holds mlp.onnx and gpt.onnx.
# Licensed under Apache-2.0 WITH LLVM-exception.
import gc
import inspect
import os
import shutil
import sys
import threading
import time
import unittest

import numpy as np

import lathe

FOLDER = sys.argv.pop(1)


def path(name):
    return os.path.join(FOLDER, name)


class Calls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = lathe.compile(path("mlp.onnx"), path("mlp.lathe"), target="x86-64-v3")
        rng = np.random.default_rng(1)
        cls.numeric = rng.standard_normal((5, 6)).astype(np.float32)
        cls.categories = rng.integers(0, 2, (5, 2))
        cls.expected = cls.model(cls.numeric, cls.categories)

    def test_each_row_alone(self):
        for row in range(5):
            alone = self.model(self.numeric[row:row + 1], self.categories[row:row + 1])
            np.testing.assert_allclose(alone, self.expected[row:row + 1], rtol=1e-6)

    def test_no_rows(self):
        empty = self.model(self.numeric[:0], self.categories[:0])
        self.assertEqual(empty.shape, (0, 1))

    def test_layouts(self):
        fortran = np.asfortranarray(self.numeric)
        reversed_twice = np.ascontiguousarray(self.numeric[::-1])[::-1]
        for array in (fortran, reversed_twice):
            self.assertFalse(array.flags.c_contiguous)
            np.testing.assert_array_equal(self.model(array, self.categories), self.expected)
        raw = np.zeros(self.numeric.nbytes + 1, np.uint8)
        unaligned = np.frombuffer(raw.data, np.float32, self.numeric.size, 1).reshape(5, 6)
        unaligned[:] = self.numeric
        np.testing.assert_array_equal(self.model(unaligned, self.categories), self.expected)

    def test_read_only_arrays(self):
        frozen = self.numeric.copy()
        frozen.flags.writeable = False
        np.testing.assert_array_equal(self.model(frozen, self.categories), self.expected)

    def test_results_outlive_everything(self):
        model = lathe.load(path("mlp.lathe"))
        result = model(self.numeric, self.categories)
        view = result[2:]
        del model, result
        gc.collect()
        np.testing.assert_array_equal(view, self.expected[2:])
        again = np.from_dlpack(self.model(self.numeric, self.categories))
        gc.collect()
        np.testing.assert_array_equal(again, self.expected)

    def test_arguments(self):
        cases = [
            ((self.numeric,), {}, TypeError, "input 'categories' is missing"),
            ((self.numeric, self.categories, 1), {}, TypeError, "3 arguments are given"),
            ((self.numeric,), {"numeric": 1}, TypeError, "given twice"),
            ((self.numeric,), {"colour": 1}, TypeError, "no input 'colour'"),
            ((self.numeric, self.categories.astype(np.int32)), {}, TypeError, "takes int64"),
            ((self.numeric[:, :5], self.categories), {}, lathe.Error, "dim 1 of"),
            ((self.numeric[:4], self.categories), {}, lathe.Error, "batch"),
            ((self.numeric[0], self.categories), {}, lathe.Error, "rank 1 is given"),
        ]
        for args, kwargs, kind, message in cases:
            with self.assertRaisesRegex(kind, message):
                self.model(*args, **kwargs)
        np.testing.assert_array_equal(self.model(self.numeric, self.categories), self.expected)

    def test_lists_keep_their_values(self):
        numbers, scores = self.numeric.tolist(), self.expected
        np.testing.assert_array_equal(self.model(numbers, self.categories.tolist()), scores)
        integers = [[1, 2, 3, 4, 5, 6]]
        np.testing.assert_array_equal(self.model(integers, [[1, True]]),
                                      self.model(np.array(integers, np.float32), np.array([[1, 1]])))
        self.assertEqual(self.model(np.zeros((0, 6), np.float32), np.zeros((0, 2), np.int64)).shape, (0, 1))
        for categories in ([[0.5, 1]], [[None, 1]], None, [["0", "1"]], [[2**64, 0]], [[2**63, 0]], [[1], [1, 2]]):
            with self.assertRaisesRegex(TypeError, "input 'categories'"):
                self.model(integers, categories)
        with self.assertRaisesRegex(TypeError, "input 'numeric'"):
            self.model([[1j] * 6], [[1, 1]])

    def test_bad_arguments_of_load(self):
        for threads in (-1, -100):
            with self.assertRaisesRegex(ValueError, f"{threads} threads"):
                lathe.load(path("mlp.lathe"), threads=threads)
            with self.assertRaisesRegex(ValueError, f"{threads} threads"):
                self.model.context(threads=threads)
        with self.assertRaisesRegex(ValueError, "no zero"):
            lathe.load("a\0b")
        odd = os.path.join(FOLDER.encode(), b"mlp\xff.lathe")  # no UTF-8
        shutil.copy(path("mlp.lathe"), odd)
        for name in (odd, os.fsdecode(odd)):
            np.testing.assert_array_equal(lathe.load(name)(self.numeric, self.categories), self.expected)

    def test_threads_at_once(self):
        failures = []

        def call():
            for _ in range(50):
                if not np.array_equal(self.model(self.numeric, self.categories), self.expected):
                    failures.append("differs")

        threads = [threading.Thread(target=call) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_one_context_two_threads(self):
        # Nothing breaks; the second caller is told.
        context = self.model.context(threads=1)
        refused = []

        def call():
            for _ in range(200):
                try:
                    context(self.numeric, self.categories)
                except lathe.Error as error:
                    refused.append(str(error))

        threads = [threading.Thread(target=call) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertTrue(all("another thread is using the context" in text for text in refused))

    def test_others_run_meanwhile(self):
        # A model that never ends: only if the interpreter is free can another thread stop it.
        endless = lathe.compile(path("hostile/test_endless/model.onnx"), target="x86-64-v3")
        context = endless.context(threads=1)
        caught = []

        def call():
            try:
                context(np.ones(4, np.float32))
            except lathe.Error as error:
                caught.append(error.name)

        thread = threading.Thread(target=call)
        thread.start()
        while not caught and thread.is_alive():
            try:
                context.memory(np.ones(4, np.float32))
                time.sleep(0.001)
            except lathe.Error as error:
                self.assertIn("another thread is using the context", str(error))
                context.cancel()
                thread.join()
        self.assertEqual(caught, ["cancelled"])

    def test_nothing_is_copied_that_fits(self):
        info = self.model.inputs[0]
        for given in (self.numeric, self.numeric[1:3], self.numeric[:, :]):
            self.assertTrue(np.shares_memory(lathe._to_array(given, info), self.numeric))

        class Foreign:
            def __init__(self, array):
                self.array = array

            def __dlpack__(self, **options):
                return self.array.__dlpack__(**options)

            def __dlpack_device__(self):
                return self.array.__dlpack_device__()

        self.assertTrue(np.shares_memory(lathe._to_array(Foreign(self.numeric), info), self.numeric))
        result = self.model(self.numeric, self.categories)
        self.assertTrue(np.shares_memory(np.from_dlpack(result), result))
        self.assertFalse(result.flags.owndata)  # it lies where the runtime wrote it

    def test_cancel(self):
        context = self.model.context()
        context.cancel()
        with self.assertRaises(lathe.Error) as caught:
            context(self.numeric, self.categories)
        self.assertEqual((caught.exception.name, caught.exception.code), ("cancelled", 7))
        context.resume()
        np.testing.assert_array_equal(context(self.numeric, self.categories), self.expected)

    def test_files(self):
        with self.assertRaises(lathe.Error) as caught:
            lathe.load(path("nothing.lathe"))
        self.assertEqual(caught.exception.name, "io")
        with self.assertRaisesRegex(ValueError, "no entry 'walk'; it has run"):
            lathe.load(path("mlp.lathe"), entry="walk")
        with self.assertRaisesRegex(lathe.Error, "nothing.onnx"):
            lathe.compile(path("nothing.onnx"))

    def test_compile_from_bytes(self):
        with open(path("mlp.onnx"), "rb") as file:
            model = lathe.compile(file.read(), target="x86-64-v3", dims={"batch": 5})
        self.assertEqual(model.inputs[0].shape, (5, 6))
        np.testing.assert_allclose(model(self.numeric, self.categories), self.expected, rtol=1e-5)

    def test_compiler_is_missing(self):
        saved = os.environ["LATHE_COMPILER"]
        os.environ["LATHE_COMPILER"] = path("no-compiler")
        try:
            with self.assertRaisesRegex(FileNotFoundError, "is not installed"):
                lathe.compile(path("mlp.onnx"))
        finally:
            os.environ["LATHE_COMPILER"] = saved

    def test_states_need_a_context(self):
        caches = {f"past_key_values.{layer}.{part}": f"present.{layer}.{part}"
                  for layer in range(2) for part in ("key", "value")}
        model = lathe.compile(path("gpt.onnx"), states=caches, target="x86-64-v3")
        with self.assertRaisesRegex(ValueError, r"call what context\(\) returns"):
            model(np.array([[1]]), np.array([[1]]))
        stepwise, whole = model.context(), model.context()
        tokens = np.array([[3, 14, 15, 92]])
        for t in range(4):
            last = stepwise(tokens[:, t:t + 1], np.ones((1, t + 1), np.int64))
        full = whole(tokens, np.ones((1, 4), np.int64))
        np.testing.assert_allclose(last[0, -1], full[0, -1], rtol=1e-4, atol=1e-5)

    def test_types_that_numpy_lacks(self):
        # Of each: bits, and what they are in float32.
        cases = {
            "bfloat16": ("bf16", np.uint16, [0x3f80, 0xc020, 0x0001], [1, -2.5, 9.18355e-41]),
            "float8e4m3fn": ("f8e4m3fn", np.uint8, [0x38, 0xc4, 0x01], [1, -3, 2**-9]),
            "float8e5m2": ("f8e5m2", np.uint8, [0x3c, 0xc2, 0x7b], [1, -3, 57344]),
            "float8e8m0": ("f8e8m0", np.uint8, [127, 128, 120], [1, 2, 2**-7]),
            "float4e2m1": ("f4e2m1", np.uint8, [2, 15, 1, 8, 7], [1, -6, 0.5, -0.0, 6]),
            "int4": ("i4", np.int8, [-8, 7, -1, 0, 3], [-8, 7, -1, 0, 3]),
            "uint4": ("u4", np.uint8, [15, 0, 8], [15, 0, 8]),
            "int2": ("i2", np.int8, [-2, 1, -1, 0, 1, 1], [-2, 1, -1, 0, 1, 1]),
            "uint2": ("u2", np.uint8, [3, 0, 2, 1, 3], [3, 0, 2, 1, 3]),
        }
        for name, (dtype, carrier, bits, floats) in cases.items():
            with self.subTest(name):
                model = lathe.compile(path(name + ".onnx"), target="x86-64-v3")
                self.assertEqual((model.inputs[0].dtype, model.inputs[0].numpy_dtype), (dtype, carrier))
                for count in range(len(bits) + 1):
                    same, wide = model(np.array(bits[:count], carrier))
                    self.assertEqual((same.dtype, wide.dtype), (carrier, np.float32))
                    np.testing.assert_array_equal(same, np.array(bits[:count], carrier))
                    np.testing.assert_allclose(wide, np.array(floats[:count], np.float32), rtol=1e-5)
                with self.assertRaisesRegex(TypeError, f"float32 is given where the model takes .*{dtype}"):
                    model(np.zeros(3, np.float32))
        for name, value, message in (("int4", 8, "8 is no i4, which holds -8 to 7"),
                                     ("int4", -9, "-9 is no i4"), ("uint2", 4, "holds 0 to 3")):
            with self.assertRaisesRegex(ValueError, message):
                lathe.compile(path(name + ".onnx"), target="x86-64-v3")(
                    np.array([0, value], cases[name][1]))

    def test_sequences(self):
        def compiled(name):
            return lathe.compile(path(f"sequences/test_{name}/model.onnx"), target="x86-64-v3")

        model = compiled("editing")
        self.assertEqual(repr(model.inputs[0]), "xs: sequence of f32[?]")
        self.assertEqual((model.inputs[0].kind, model.inputs[0].items[0].shape), ("sequence", (None,)))
        items = [np.arange(n, dtype=np.float32) for n in (3, 0, 2)]
        x = np.ones(4, np.float32)
        results = model.run({"xs": items, "x": x, "p": 1, "q": np.int32(-1)})
        self.assertEqual([len(item) for item in results["inserted"]], [3, 4, 0, 2])
        self.assertEqual([len(item) for item in results["erased"]], [3, 0])
        np.testing.assert_array_equal(results["item"], items[2])
        self.assertEqual(int(results["n"]), 4)
        # Items keep the memory of their sequence.
        item = results["inserted"][0]
        del results
        gc.collect()
        np.testing.assert_array_equal(item, items[0])
        for wrong, message in ((x, "ndarray is given where the model takes a sequence; give a list"),
                               ([x.astype(np.float64)], "float64 is given where the model takes float32")):
            with self.assertRaisesRegex(TypeError, message):
                model(wrong, x, 0, np.int32(0))
        with self.assertRaisesRegex(lathe.Error, "element 1: rank 2 is given"):
            model([x, x.reshape(2, 2)], x, 0, np.int32(0))
        self.assertTrue(model.context().memory(items, x, 1, np.int32(-1))["dynamic"])

        model = compiled("of_strings")
        ys, y = model([np.array(["a", "\u00e4"]), np.array(["long " * 20])], 0)
        self.assertEqual(list(ys[2]), ["aa", "\u00e4\u00e4"])
        self.assertEqual(list(y), ["a", "\u00e4", "long " * 20, "aa", "\u00e4\u00e4"])

        model = compiled("of_int4")
        x, wide, ys, y = model([np.array([-8, 7, 3], np.int8), np.array([1, -1], np.int8)], 0)
        self.assertEqual((x.tolist(), wide.tolist()), ([-8, 7, 3], [-8, 7, 3]))
        self.assertEqual((ys[1].tolist(), y.tolist()), ([1, -1], [-8, 7, 3, 1, -1, -8, 7, 3]))

    def test_optionals_and_maps(self):
        def compiled(name):
            return lathe.compile(path(f"sequences/test_{name}/model.onnx"), target="x86-64-v3")

        model = compiled("optional")
        z = np.zeros(2, np.float32)
        y, has, same = model(None, z)
        self.assertEqual((bool(has), same), (False, None))
        np.testing.assert_array_equal(y, z)
        y, has, same = model(np.ones(3, np.float32), z)
        self.assertEqual((bool(has), same.tolist(), y.tolist()), (True, [1, 1, 1], [-1, -1, -1]))
        model = compiled("optional_sequence")
        self.assertEqual([int(model(xs)) for xs in (None, [], [z, z])], [-1, 0, 2])
        model = compiled("vectorized")
        self.assertEqual(repr(model.inputs[0]), "x: map from string to f32")
        np.testing.assert_array_equal(model({"c": 1.5, "a": -2.0}).ravel(), [-2, 0, 1.5, 0])
        with self.assertRaisesRegex(TypeError, "list is given where the model takes a map; give a dict"):
            model([1, 2])
        model = compiled("zipped")
        x = np.arange(6, dtype=np.float32).reshape(2, 3)
        self.assertEqual(model(x), [{7: 0, -1: 1, 3: 2}, {7: 3, -1: 4, 3: 5}])
        self.assertEqual([item.name for item in compiled("zipped_by_name").outputs[0].items], ["y"])
        self.assertEqual(compiled("zipped_by_name")(x)[1], {"b": 3, "a": 4, "long name": 5})

    def test_temporaries_are_told(self):
        # The result has one size, what is computed in between has not.
        model = lathe.compile(path("temporary.onnx"), target="x86-64-v3")
        need = model.context().memory(np.zeros((2, 3), np.float32))
        self.assertTrue(need["dynamic"])
        self.assertFalse(self.model.context().memory(self.numeric, self.categories)["dynamic"])

    def test_types_are_described(self):
        folder = os.path.dirname(lathe.__file__)
        self.assertTrue(os.path.exists(os.path.join(folder, "py.typed")))
        with open(os.path.join(folder, "__init__.pyi"), encoding="utf-8") as file:
            stubs = {}
            exec(compile(file.read(), "stubs", "exec"), stubs)
        def parameters(function):
            return [(each.name, each.kind) for each in inspect.signature(function).parameters.values()]

        def members(kind):
            return {member: value for base in reversed(kind.__mro__)
                    if base not in lathe.Error.__mro__[1:]
                    for member, value in vars(base).items()
                    if not member.startswith("_") or member in ("__call__", "__init__")}

        for name in lathe.__all__:
            stub, real = stubs[name], getattr(lathe, name)
            if not isinstance(real, type):
                self.assertEqual(parameters(stub), parameters(real), name)
                continue
            described = members(stub)
            for member, value in members(real).items():
                if member == "__init__" and member not in described:
                    continue  # made by functions, not by users
                self.assertIn(member, set(described) | set(stub.__annotations__), f"{name}.{member}")
                if inspect.isfunction(value):
                    self.assertEqual(parameters(described[member]), parameters(value), f"{name}.{member}")
            example = {"Model": self.model, "Context": self.model.context(),
                       "TensorInfo": self.model.inputs[0], "Error": lathe.Error("")}[name]
            for member in [*described, *stub.__annotations__]:
                self.assertTrue(hasattr(example, member), f"{name}.{member}")

    def test_time_limits(self):
        context = self.model.context(threads=1)
        for seconds in (0, -1, -1e300, 1e-9):
            context.set_timeout(seconds)  # what is left of a caller's time may be less than nothing
            with self.assertRaises(lathe.Error) as caught:
                context(self.numeric, self.categories)
            self.assertEqual(caught.exception.name, "deadline")
        with self.assertRaisesRegex(ValueError, "not a number"):
            context.set_timeout(float("nan"))
        for seconds in (60, float("inf"), None):
            context.set_timeout(seconds)
            np.testing.assert_array_equal(context(self.numeric, self.categories), self.expected)


if __name__ == "__main__":
    unittest.main()
