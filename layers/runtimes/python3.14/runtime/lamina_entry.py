"""Entry of the runtime: exports `lambda:function/handler`. The build imports this module once and keeps the
interpreter's memory as it is then; each execution environment starts from that memory."""

import os
import sys

# Before the standard library, whose module ssl needs OpenSSL.
sys.path.insert(0, os.path.dirname(__file__))

from lamina_runtime import modules  # noqa: E402

modules.load()

from lamina_runtime import patches  # noqa: E402  (needs the modules)

patches.apply()

from lamina_runtime import packages  # noqa: E402  (its classes keep what the patches replace)

packages.load()

from wit_world import exports  # noqa: E402

from lamina_runtime import environment, invocation  # noqa: E402


class Handler(exports.Handler):
    """Called by the host: `init` once in each environment, then `invoke` for each event."""

    def init(self) -> None:
        invocation.run(environment.start)

    def invoke(self, event: str, context) -> str:
        return invocation.run(invocation.handle, event, context)

    def before_checkpoint(self) -> None:
        pass

    def after_restore(self) -> None:
        pass


modules.freeze(packages.DIRECTORY)
