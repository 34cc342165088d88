# event: {}
# event: {}
import os
import pathlib
import shutil
import tempfile


def lambda_handler(event, context):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "a" / "b.txt"
        path.parent.mkdir()
        path.write_text("one\ntwo\n")
        shutil.copy(path, path.with_suffix(".copy"))
        os.rename(path, path.with_name("c.txt"))
        names = sorted(str(it.relative_to(directory)) for it in pathlib.Path(directory).rglob("*"))
        lines = (path.with_name("c.txt")).read_text().splitlines()
        size = os.stat(path.with_name("c.txt")).st_size
    with tempfile.NamedTemporaryFile("w+") as file:
        file.write("x" * 1000)
        file.seek(990)
        rest = file.read()
    return {"names": names, "lines": lines, "size": size, "rest": rest, "gone": not os.path.exists(directory)}
