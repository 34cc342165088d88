"""Starts the engine once, with the modules of a directory, and keeps its memory: `module.py IN.wasm DIRECTORY OUT.wasm`,
for components of one core module with code. Functions then begin with the interpreter and its modules in place, which takes a third of a second otherwise.

The core module runs here with stand-ins for its imports: no clock, file or variable of this machine gets into the
memory. Handles would not live on in functions; the engine takes none while it starts."""

import pathlib
import struct
import sys

import wasmtime

START = "lamina_prepare"
PAGE = 1 << 16
# Zeros between two pieces of memory that are cheaper to keep than a segment of its own.
GAP = 1 << 12
CUSTOM, IMPORTS, MEMORY, GLOBALS, EXPORTS, START_SECTION, CODE, DATA, DATA_COUNT = 0, 2, 5, 6, 7, 8, 10, 11, 12
FUNCTION_KIND, GLOBAL_KIND = 0, 3
EMPTY_BODY = b"\x02\x00\x0b"


def unsigned(number):
    out = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def signed(number):
    out = bytearray()
    while True:
        low, number = number & 0x7F, number >> 7
        is_last = (number == 0 and not low & 0x40) or (number == -1 and low & 0x40)
        out.append(low if is_last else low | 0x80)
        if is_last:
            return bytes(out)


class Reader:
    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def number(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    def signed(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value - (1 << shift) if byte & 0x40 else value

    def take(self, count):
        self.at += count
        return self.data[self.at - count : self.at]

    def name(self):
        return self.take(self.number()).decode()

    def limits(self):
        flags = self.number()
        least = self.number()
        return flags, least, self.number() if flags & 1 else None


def sections(data):
    """Kinds and contents of the sections after the eight bytes of the header."""
    reader, found = Reader(data, 8), []
    while reader.at < len(data):
        kind = reader.byte()
        found.append((kind, reader.take(reader.number())))
    return found


def joined(header, parts):
    return header + b"".join(bytes([kind]) + unsigned(len(content)) + content for kind, content in parts)


def imported(parts):
    """Numbers of imported functions and globals."""
    counts = {FUNCTION_KIND: 0, GLOBAL_KIND: 0}
    reader = Reader(dict(parts).get(IMPORTS, b"\0"))
    for _ in range(reader.number()):
        reader.name(), reader.name()
        kind = reader.byte()
        if kind == FUNCTION_KIND:
            reader.number()
        elif kind == 1:
            reader.byte(), reader.limits()
        elif kind == 2:
            reader.limits()
        else:
            reader.take(2)
        counts[kind] = counts.get(kind, 0) + 1
    return counts[FUNCTION_KIND], counts[GLOBAL_KIND]


def globals_of(content):
    """Types, mutability and values of globals of numbers; all that compilers make."""
    reader, found = Reader(content), []
    for _ in range(reader.number()):
        kind, is_mutable, operation = reader.byte(), reader.byte(), reader.byte()
        assert operation in (0x41, 0x42), "a global that is no number"
        found.append((kind, is_mutable, operation, reader.signed()))
        assert reader.byte() == 0x0B
    return found


def exports_of(content):
    reader = Reader(content)
    return [(reader.name(), reader.byte(), reader.number()) for _ in range(reader.number())]


def with_globals_exported(header, parts):
    first = imported(parts)[1]
    made = []
    for kind, content in parts:
        if kind == EXPORTS:
            count = len(globals_of(dict(parts)[GLOBALS]))
            entries = content[len(unsigned(Reader(content).number())) :]
            for index in range(count):
                name = f"global {index}".encode()
                entries += unsigned(len(name)) + name + bytes([GLOBAL_KIND]) + unsigned(first + index)
            content = unsigned(len(exports_of(content)) + count) + entries
        made.append((kind, content))
    return joined(header, made)


def run(code, arguments):
    """Runs the module's start; returns its memory and its globals."""
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    module = wasmtime.Module(engine, code)
    instance = []
    stand_ins = [StandIn(it, store, instance, arguments).function for it in module.imports]
    instance.append(wasmtime.Instance(store, module, stand_ins))
    exports = instance[0].exports(store)
    for name in ("_initialize", START):
        if name in exports:
            exports[name](store)
    memory = exports["memory"]
    values, index = [], 0
    while f"global {index}" in exports:
        values.append(exports[f"global {index}"].value(store))
        index += 1
    return bytes(memory.read(store, 0, memory.data_len(store))), values


class StandIn:
    """An import that gives nothing away of this machine."""

    def __init__(self, wanted, store, instance, arguments):
        self.name = f"{wanted.module.partition('@')[0]}#{wanted.name}"
        self.store, self.instance = store, instance
        self.arguments = arguments
        self.function = wasmtime.Func(store, wanted.type, self.called)

    def write(self, at, data):
        self.instance[0].exports(self.store)["memory"].write(self.store, data, at)

    def allocated(self, data, alignment=1):
        place = self.instance[0].exports(self.store)["cabi_realloc"](self.store, 0, 0, alignment, len(data))
        self.write(place, data)
        return place

    def called(self, *arguments):
        name = self.name
        if name.endswith("#get-arguments"):
            texts = [it.encode() for it in self.arguments]
            places = b"".join(struct.pack("<II", self.allocated(it), len(it)) for it in texts)
            self.write(arguments[-1], struct.pack("<II", self.allocated(places, 4), len(texts)))
        elif name.endswith(("#get-environment", "#get-directories")):
            self.write(arguments[-1], struct.pack("<II", 8, 0))
        elif name == "wasi:clocks/wall-clock#now":
            self.write(arguments[-1], struct.pack("<QI", 0, 0))
        elif name == "wasi:random/insecure-seed#insecure-seed":
            self.write(arguments[-1], struct.pack("<QQ", 1, 2))
        elif name == "wasi:random/random#get-random-bytes":
            count, at = arguments
            data = (bytes(range(256)) * (count // 256 + 1))[:count]
            self.write(at, struct.pack("<II", self.allocated(data), count))
        elif name.endswith("#[method]output-stream.blocking-write-and-flush"):
            memory = self.instance[0].exports(self.store)["memory"]
            sys.stderr.write(bytes(memory.read(self.store, arguments[1], arguments[1] + arguments[2])).decode())
            self.write(arguments[-1], b"\0")
        elif name.endswith(("#get-stderr", "#get-stdout")):
            return 1
        elif "[resource-drop]" in name:
            return None
        elif name in ("wasi:clocks/monotonic-clock#now", "wasi:random/random#get-random-u64"):
            return 1
        else:
            raise RuntimeError(f"the engine calls {name} while it starts")
        return None


def pieces(memory):
    """Parts of memory that are not zero, and their addresses."""
    found, zeros = [], bytes(GAP)
    for at in range(0, len(memory), GAP):
        block = memory[at : at + GAP]
        if block == zeros:
            continue
        if found and found[-1][0] + len(found[-1][1]) == at:
            found[-1][1].extend(block)
        else:
            found.append((at, bytearray(block)))
    return found


def data_section(memory):
    parts = pieces(memory)
    segments = b"".join(
        b"\0\x41" + signed(at) + b"\x0b" + unsigned(len(data)) + bytes(data) for at, data in parts
    )
    return len(parts), unsigned(len(parts)) + segments


def without_initialize(content, index):
    """The code with an empty body for a function that has been called."""
    reader = Reader(content)
    made = []
    for at in range(reader.number()):
        body = reader.take(reader.number())
        made.append(EMPTY_BODY if at == index else unsigned(len(body)) + body)
    return unsigned(len(made)) + b"".join(made)


def started(code, arguments):
    """The module as it is after its start."""
    header, parts = code[:8], sections(code)
    memory, values = run(with_globals_exported(header, parts), arguments)
    count, data = data_section(memory)
    functions = imported(parts)[0]
    again = [index - functions for name, _, index in exports_of(dict(parts)[EXPORTS]) if name == "_initialize"]
    made = []
    for kind, content in parts:
        if kind == MEMORY:
            reader = Reader(content)
            assert reader.number() == 1
            flags, _, most = reader.limits()
            content = b"\x01" + unsigned(flags) + unsigned(len(memory) // PAGE)
            content += unsigned(most) if flags & 1 else b""
        elif kind == GLOBALS:
            known = globals_of(content)
            content = unsigned(len(known))
            for (type_, is_mutable, operation, _), value in zip(known, values):
                content += bytes([type_, is_mutable, operation]) + signed(value) + b"\x0b"
        elif kind == CODE and again:
            content = without_initialize(content, again[0])
        elif kind == DATA:
            content = data
        elif kind == DATA_COUNT:
            content = unsigned(count)
        elif kind == START_SECTION:
            continue
        made.append((kind, content))
    return joined(header, made)


def main(source, modules, target):
    arguments = []
    for path in sorted(pathlib.Path(modules).glob("*.js")):
        arguments += [f"lamina/{path.stem}", path.read_text()]
    with open(source, "rb") as file:
        component = file.read()
    parts = sections(component)
    # Of the core modules, the others only pass calls on.
    largest = max((len(content), at) for at, (kind, content) in enumerate(parts) if kind == 1)[1]
    parts[largest] = (1, started(parts[largest][1], arguments))
    with open(target, "wb") as file:
        file.write(joined(component[:8], parts))


if __name__ == "__main__":
    main(*sys.argv[1:])
