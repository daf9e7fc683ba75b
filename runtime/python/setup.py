# pip install ./runtime/python: the extension with the whole runtime in it, so that the wheel needs no
# other file. Licensed under Apache-2.0 WITH LLVM-exception.
import glob
import os
import re

from setuptools import Extension, setup

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))
os.chdir(HERE)


def project_version():
    with open(os.path.join(ROOT, "CMakeLists.txt"), encoding="utf-8") as file:
        return re.search(r"project\(Lathe VERSION ([0-9.]+)", file.read())[1]


def include_folders():
    folders = [ROOT, os.path.join(ROOT, "include")]
    try:
        import pybind11
        folders.append(pybind11.get_include())
    except ImportError:
        pass  # Debian's pybind11-dev is where compilers look anyway
    return folders


runtime = [source for folder in ("Artifact", "Core", "Cpu", "Gpu")
           for source in sorted(glob.glob(os.path.join("..", folder, "*.cpp")))]
# A build that was left in the tree is made again where any of them has changed.
headers = [header for folder in (os.path.join("..", "**"), os.path.join(ROOT, "include", "**"))
           for header in sorted(glob.glob(os.path.join(folder, "*.h*"), recursive=True))]
setup(
    name="lathe",
    version=project_version(),
    description="Runs models that the Lathe compiler made, over NumPy arrays",
    license="Apache-2.0 WITH LLVM-exception",
    python_requires=">=3.9",
    install_requires=["numpy>=1.23"],
    packages=["lathe"],
    package_data={"lathe": ["py.typed", "*.pyi"]},
    ext_modules=[Extension(
        "lathe._lathe",
        ["module.cpp", *runtime],
        depends=["setup.py", os.path.join(ROOT, "CMakeLists.txt"), *headers],
        include_dirs=include_folders(),
        define_macros=[("LATHE_VERSION_STRING", f'"{project_version()}"'), ("_GNU_SOURCE", None)],
        extra_compile_args=["-std=c++20", "-O2", "-fvisibility=hidden", "-fvisibility-inlines-hidden",
                            "-Wno-unused-parameter"],
        extra_link_args=["-pthread", "-ldl", "-Wl,--strip-debug"],  # else ten times the size
        language="c++",
    )],
)
