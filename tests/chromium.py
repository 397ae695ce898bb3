"""A page in headless Chromium, in real time: what it says when asked, what it looks like, and what its console got."""

import base64
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

import websocket

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--remote-allow-origins=*"]


class Page:
    """One page, opened in a browser of its own; `with Page(url, folder) as page`.

    Time is real: a virtual clock runs out while a slow machine still compiles, and then the page is silent.
    """

    def __init__(self, url: str, folder: Path, *flags: str, width: int = 1300, height: int = 1000):
        flags = [*FLAGS, *flags, f"--user-data-dir={folder}", f"--window-size={width},{height}"]
        shutil.rmtree(folder, ignore_errors=True)
        self.browser = subprocess.Popen(["chromium", *flags, "about:blank"], stderr=subprocess.DEVNULL)
        port = self._port(folder / "DevToolsActivePort")
        listed = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json"))
        target = next(one for one in listed if one["type"] == "page")
        self.socket = websocket.create_connection(target["webSocketDebuggerUrl"], timeout=120)
        self.numbers, self.errors = itertools.count(), []
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        for method in ("Runtime.enable", "Log.enable", "Page.enable"):
            self.ask(method)
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        self.open(url)

    def open(self, url: str):
        self.errors.clear()
        self.ask("Page.navigate", url=url)
        self.wait(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    def _port(self, path: Path) -> str:
        for _ in range(300):
            if path.is_file() and (lines := path.read_text().splitlines()):
                return lines[0]
            time.sleep(0.1)
        raise TimeoutError("chromium did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.browser.terminate()
        self.browser.wait()

    def ask(self, method: str, **params) -> dict:
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            told = json.loads(self.socket.recv())
            if told.get("id") == number:
                if "error" in told:
                    raise RuntimeError(f"{method}: {told['error']}")
                return told["result"]
            self._hear(told.get("method"), told.get("params"))

    def _hear(self, event: str, params: dict):
        if event == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(f"Uncaught {details.get('exception', {}).get('description', details['text'])}")
        elif event == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(params["entry"]["text"])
        elif event == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.errors.append(str(params["args"]))

    def get(self, expression: str):
        """The value of an expression, which may be a promise."""
        asked = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        told = self.ask("Runtime.evaluate", **asked)
        if "exceptionDetails" in told:
            raise RuntimeError(f"{expression}: {told['exceptionDetails']['exception']['description']}")
        return told["result"].get("value")

    def wait(self, expression: str, seconds: float = 60):
        """Wait until an expression is true; return the seconds that it took."""
        clock = time.perf_counter()
        while not self.get(expression):
            if time.perf_counter() - clock > seconds:
                raise TimeoutError(f"not within {seconds} s: {expression}; console: {self.errors}")
            time.sleep(0.05)
        return time.perf_counter() - clock

    def screenshot(self, path: Path):
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))
