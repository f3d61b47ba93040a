"""Run blocks of Python as one program, and print what each of them printed.

Reads a JSON list of [file, line, source] from standard input, and prints a
JSON list of outputs. A block that fails ends the run with its traceback.
"""

import contextlib
import io
import json
import sys

namespace = {"__name__": "__main__"}
outputs = []
for file, line, source in json.load(sys.stdin):
    # Empty lines before it, so that a traceback has the line of the document.
    code = compile("\n" * line + source, file, "exec")
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(code, namespace)
    outputs.append(output.getvalue())
print(json.dumps(outputs))
