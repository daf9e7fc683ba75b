# Tests of the Python package; the folder given holds mlp.onnx and gpt.onnx.
# Licensed under Apache-2.0 WITH LLVM-exception.
import gc
import os
import sys
import threading
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

    def test_types_are_described(self):
        folder = os.path.dirname(lathe.__file__)
        self.assertTrue(os.path.exists(os.path.join(folder, "py.typed")))
        with open(os.path.join(folder, "__init__.pyi"), encoding="utf-8") as file:
            stubs = {}
            exec(compile(file.read(), "stubs", "exec"), stubs)
        for name in lathe.__all__:
            self.assertIn(name, stubs)
            for member in vars(stubs[name]) if isinstance(stubs[name], type) else ():
                if not member.startswith("_"):
                    self.assertTrue(hasattr(getattr(lathe, name), member), f"{name}.{member}")


if __name__ == "__main__":
    unittest.main()
