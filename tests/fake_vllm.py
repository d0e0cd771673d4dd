"""A program that is started as a vLLM would be: MODEL --served-model-name NAME --host HOST --port PORT.

It answers "yes" to all, over the standard library alone. Before these come its own arguments: a folder for what it
notes, with `ids.json`, the tokens that it says each probe has; and when each of its starts ends: "3" dies on its third
question, "0" before it listens, "deaf" never listens, "" lives.
"""

import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

folder, ends, model, *options = Path(sys.argv[1]), sys.argv[2].split(","), *sys.argv[3:]
given = dict(zip(options[::2], options[1::2], strict=True))
starts = len(list(folder.glob("start-*")))
end = ends[starts] if starts < len(ends) else ""
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])  # as vLLM has its engine
note = {"pids": [os.getpid(), child.pid], "model": model, "given": given, "environment": dict(os.environ)}
(folder / f"start-{starts}-{os.getpid()}").write_text(json.dumps(note))
if end == "0":
    sys.exit("no memory for the model")
while end == "deaf":
    time.sleep(600)


class Handler(BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self) -> None:
        self.reply({"data": [{"id": given["--served-model-name"]}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        ids = None
        if body.get("return_token_ids"):
            ids = json.loads((folder / "ids.json").read_text())[str(len(body["messages"]))]
        else:
            Handler.asked += 1
        if end and Handler.asked == int(end):
            os._exit(3)
        choices = [{"index": i, "message": {"content": "yes"}} for i in range(body.get("n", 1))]
        self.reply({"model": body["model"], "choices": choices, "prompt_token_ids": ids})

    def reply(self, document: dict[str, Any]) -> None:
        content = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


ThreadingHTTPServer((given["--host"], int(given["--port"])), Handler).serve_forever()
