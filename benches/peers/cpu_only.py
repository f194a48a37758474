"""Lets PyTorch's CUDA wheel be imported without CUDA: run once after installing torch with --no-deps.

The wheel that PyPI has for Linux links 14 CUDA libraries (2 GB to download), none of which a CPU run calls. This writes
stand-ins for them beside torch's own libraries: the functions that torch wants from them, each returning error 100
("no CUDA device"). Needs gcc and binutils.
"""

import itertools
import pathlib
import re
import subprocess
import sysconfig
import tempfile

LIB = pathlib.Path(sysconfig.get_path("platlib")) / "torch" / "lib"
OURS = ["lib*torch*.so", "libc10*.so", "libcaffe2*.so", "libshm.so"]
CUDA = ("libcu", "libnv", "libnccl")
FUNCTION = re.compile(r"(__cuda|cu|nv|nccl)[A-Za-z]*[A-Z_]")


def lines(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def stand_in(name):
    """A function in C. Registration at load time and error texts want pointers."""
    if name.startswith("__cuda"):
        return f"void *{name}(void) {{ return room; }}"
    if "String" in name:
        return f'const char *{name}(void) {{ return "no CUDA"; }}'
    return f"int {name}(void) {{ return 100; }}"


def main():
    sonames, wanted, defined, home = set(), set(), set(), {}
    for path in itertools.chain(*(LIB.glob(pattern) for pattern in OURS)):
        source = None
        for line in lines("objdump", "-p", path):
            if found := re.match(r"\s+NEEDED\s+(\S+)", line):
                sonames.add(found[1])
            elif found := re.match(r"\s+required from (\S+):", line):
                source = found[1]
            elif source and (found := re.match(r"\s+0x\S+ 0x\S+ \d+ (\S+)", line)):
                home[found[1]] = source
        for line in lines("nm", "-D", path):
            *_, kind, name = line.split()
            (wanted if kind == "U" else defined).add(name)
    sonames = sorted(name for name in sonames if name.startswith(CUDA))
    libraries = {soname: {} for soname in sonames}
    for symbol in sorted(wanted - defined):
        name, _, version = symbol.partition("@")
        soname = home.get(version, sonames[0])
        if FUNCTION.match(name) and soname in libraries:
            libraries[soname].setdefault(version, []).append(name)
    with tempfile.TemporaryDirectory() as folder:
        code, versions = pathlib.Path(folder) / "code.c", pathlib.Path(folder) / "versions"
        for soname, symbols in libraries.items():
            bodies = [stand_in(name) for names in symbols.values() for name in names]
            code.write_text("static long room[64];\n" + "\n".join(bodies) + "\n")
            named = {version: names for version, names in symbols.items() if version}
            versions.write_text("".join(f"{v} {{ global: {'; '.join(names)}; }};\n" for v, names in named.items()))
            script = [f"-Wl,--version-script={versions}"] if named else []
            subprocess.run(
                ["gcc", "-shared", "-fPIC", "-w", f"-Wl,-soname,{soname}", *script, "-o", LIB / soname, code], check=True
            )
            print(soname, len(bodies))


if __name__ == "__main__":
    main()
