"""Packages that functions find without bringing them: the AWS SDK. Most of its modules are imported when the runtime is
built, as those of the standard library are; in functions their files, such as descriptions of services, are in
`DIRECTORY`."""

import importlib.util
import os
import pkgutil
import socket
import sys
from importlib.machinery import SourceFileLoader

from .modules import LIBRARY

# Directory of the packages in functions. AWS's runtime has them in a directory of its own as well, after layers.
DIRECTORY = f"{LIBRARY}/site-packages"
# Directory of the packages in the build.
_BUILD = os.path.join(os.path.dirname(os.path.dirname(__file__)), "packages")
NAMES = frozenset("boto3 botocore dateutil jmespath s3transfer six urllib3".split())
# Modules that need packages which are not here, and those that write documentation.
_LEFT_OUT = (
    "boto3.crt", "boto3.docs", "boto3.examples", "botocore.crt", "botocore.docs", "botocore.vendored.requests",
    "dateutil.zoneinfo.rebuild", "dateutil.tz.win", "dateutil.tzwin", "s3transfer.crt", "urllib3.contrib",
    "urllib3.http2",
)


class _Loader(SourceFileLoader):
    """Reads files of the build, and gives modules the paths of functions."""

    def get_data(self, path):
        return super().get_data(path.replace(DIRECTORY, _BUILD))

    def path_stats(self, path):
        return super().path_stats(path.replace(DIRECTORY, _BUILD))


class _Finder:
    @staticmethod
    def find_spec(name, _path=None, _target=None):
        relative = name.replace(".", "/")
        for file, is_package in ((f"{relative}/__init__.py", True), (f"{relative}.py", False)):
            if os.path.isfile(f"{_BUILD}/{file}"):
                path = f"{DIRECTORY}/{file}"
                places = [os.path.dirname(path)] if is_package else None
                return importlib.util.spec_from_file_location(
                    name, path, loader=_Loader(name, path), submodule_search_locations=places
                )
        return None


def load() -> None:
    """Imports the packages. A module that cannot be imported fails the build."""
    sys.meta_path.insert(0, _Finder)
    # urllib3 tries whether the machine has IPv6, by a socket; no socket of the build exists in functions.
    had_ipv6, socket.has_ipv6 = socket.has_ipv6, False
    for name in _modules():
        importlib.import_module(name)
    socket.has_ipv6 = had_ipv6
    sys.meta_path.remove(_Finder)
    _keep_lists_of_services()
    for module in list(sys.modules.values()):
        spec = getattr(module, "__spec__", None)
        if isinstance(getattr(spec, "loader", None), _Loader):
            spec.loader = module.__loader__ = SourceFileLoader(spec.name, spec.origin)


def _modules():
    for found in pkgutil.walk_packages([_BUILD]):
        is_left_out = any(found.name == it or found.name.startswith(f"{it}.") for it in _LEFT_OUT)
        if found.name.partition(".")[0] in NAMES and not is_left_out:
            yield found.name


def _keep_lists_of_services():
    """Keeps the lists of services that the files of the packages describe: botocore looks at a thousand files for the
    first client, which is half of the time that takes. Descriptions elsewhere are looked for as ever."""
    from botocore.loaders import Loader

    find = Loader.list_available_services
    paths = [f"{DIRECTORY}/botocore/data", f"{DIRECTORY}/boto3/data"]
    kept = {}
    for own in ([paths[0]], paths):
        loader = Loader([it.replace(DIRECTORY, _BUILD) for it in own], include_default_search_paths=False)
        for kind in ("service-2", "resources-1"):
            kept[kind, len(own)] = find(loader, kind)

    def list_available_services(self, type_name):
        known = [it for it in paths if it in self.search_paths]
        others = [it for it in self.search_paths if it not in paths and os.path.isdir(it)]
        if not others and known == paths[: len(known)] and (type_name, len(known)) in kept:
            return list(kept[type_name, len(known)])
        return find(self, type_name)

    Loader.list_available_services = list_available_services
