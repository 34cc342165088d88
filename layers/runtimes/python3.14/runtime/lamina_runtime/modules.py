"""Modules of the standard library that are imported when the runtime is built. Their import is free for functions:
memory is mapped copy-on-write. All others are files in `LIBRARY`, imported on use."""

import gc
import importlib
import sys

# Directory of the standard library in functions; the build has it there too.
LIBRARY = "/python"
# Directory of compiled files: below it each has the path of its source. Those of the library are in the bundle; the
# host makes those of a function's own files when it is deployed.
COMPILED = f"{LIBRARY}/.pyc"

PRELOADED = """
    ssl abc argparse ast asyncio asyncio.streams base64 binascii bisect calendar collections collections.abc colorsys
    concurrent.futures concurrent.futures.thread configparser contextlib contextvars copy csv dataclasses datetime decimal
    difflib email email.header email.headerregistry email.message email.mime.base email.mime.multipart email.mime.text
    email.parser email.policy email.utils encodings.ascii encodings.base64_codec encodings.cp037 encodings.cp1252
    encodings.cp437 encodings.hex_codec encodings.idna encodings.iso8859_1 encodings.iso8859_15 encodings.latin_1
    encodings.punycode encodings.raw_unicode_escape encodings.rot_13 encodings.unicode_escape encodings.utf_16
    encodings.utf_16_be encodings.utf_16_le encodings.utf_32 encodings.utf_7 encodings.utf_8_sig enum fnmatch fractions
    functools getpass gettext glob graphlib gzip hashlib heapq hmac html html.parser http http.client http.cookiejar
    http.cookies importlib.metadata importlib.resources importlib.util inspect io ipaddress itertools json linecache locale
    logging logging.config logging.handlers marshal math mimetypes numbers operator optparse os os.path pathlib pickle
    pkgutil platform pprint queue quopri random re reprlib secrets select selectors shlex shutil signal socket sqlite3 stat
    statistics string stringprep struct subprocess tarfile tempfile textwrap threading time timeit tokenize tomllib
    traceback types typing unicodedata unittest unittest.mock urllib urllib.error urllib.parse urllib.request uuid warnings
    weakref xml.dom.minidom xml.etree.ElementTree zipfile zipimport zlib zoneinfo _strptime
"""

# Modules that AWS's runtime has imported before the function: a function cannot replace them by files of its own.
_FIXED = frozenset(
    "abc ast base64 bisect builtins calendar codecs collections contextlib copyreg datetime dis email encodings enum errno "
    "functools genericpath http importlib inspect io itertools json keyword linecache locale logging marshal math opcode "
    "operator os posixpath random re reprlib select selectors signal site socket ssl stat string struct subprocess sys "
    "tempfile threading time token tokenize traceback types typing urllib warnings weakref zipimport "
    "lamina_entry lamina_runtime wit_world componentize_py_types componentize_py_async_support poll_loop".split()
)


def load() -> None:
    """Imports the preloaded modules. A missing one fails the build."""
    for name in PRELOADED.split():
        importlib.import_module(name)
    # Python compiles this pattern on the first use of strptime, and caches it.
    import _strptime

    _strptime._strptime_datetime_datetime(sys.modules["datetime"].datetime, "2026-01-01", "%Y-%m-%d")


def freeze(packages) -> None:
    """Leaves the library and the packages as the only places of modules, and takes all objects out of garbage
    collection: it would write to their memory, which environments share until then."""
    sys.path[:] = [LIBRARY, packages]
    sys.path_importer_cache.clear()
    sys.dont_write_bytecode = True
    sys.pycache_prefix = COMPILED
    gc.collect()
    gc.freeze()


def unload(names, packages) -> None:
    """Forgets preloaded modules of which the function has files of the same name: its own come first. The packages
    import each other, so that a function that brings one of them gets none that is bound to the others."""
    replaced = {name for name in names if name in sys.modules and name not in _FIXED}
    if not replaced:
        return
    if replaced & packages:
        replaced |= packages
    for name in list(sys.modules):
        if name.partition(".")[0] in replaced:
            del sys.modules[name]
