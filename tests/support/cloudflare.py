"""A stand-in for Cloudflare's REST API that follows the recorded traffic, with faults to order.

    with Cloudflare() as cf:
        cf.fault("POST", Fault.LOSE_ANSWER)      # the next POST is carried out, its answer never comes
        hd("push", env=cf.env())
        cf.requests                              # [(method, path, body), …]
"""

import http.server
import json
import socket
import threading
import urllib.parse
from enum import Enum

ACCOUNT = "0123456789abcdef0123456789abcdef"
TOKEN = "cf-token-4711"


class Fault(Enum):
    LOSE_ANSWER = "carried out, the connection closed without an answer"
    HANG_UP = "not carried out, the connection closed"
    TOO_MANY = "429 with Retry-After"
    INTERNAL = "500 with an HTML body, not carried out"
    INTERNAL_DONE = "500 with an HTML body, carried out all the same"
    TORN = "carried out, the JSON cut in the middle"
    EMPTY = "carried out, 204 without a body"
    WAF = "403 with an HTML body"
    AUTHENTICATION = "403 as for a wrong token"


class Cloudflare:
    def __init__(self, per_page: int = 20):
        self.per_page = per_page
        self.configs: dict[str, dict] = {}
        self.passwords: dict[str, str] = {}
        self.requests: list[tuple[str, str, dict | None]] = []
        self.faults: list[tuple[str, Fault]] = []
        self.count = 0
        handler = type("Handler", (_Handler,), {"cloudflare": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/client/v4"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()

    def env(self) -> dict:
        return {"CLOUDFLARE_API_TOKEN": TOKEN, "CLOUDFLARE_ACCOUNT_ID": ACCOUNT, "CLOUDFLARE_API_BASE_URL": self.url}

    def fault(self, method: str, *faults: Fault):
        self.faults += [(method, fault) for fault in faults]

    def methods(self) -> list[str]:
        return [method for method, _, _ in self.requests]

    def add(self, name: str, **origin) -> str:
        """A config as if the dashboard had made it."""
        return self.create({"name": name, "origin": {"scheme": "postgresql", "host": "db.example.com", "port": 5432,
                                                     "database": "neondb", "user": "test",
                                                     "password": "there"} | origin})["id"]

    # --- what the API does -----------------------------------------------------------------------------
    def create(self, body: dict) -> dict:
        if any(config["name"] == body["name"] for config in self.configs.values()):
            raise ApiError(400, 2017, "A Hyperdrive config with the given name already exists")
        self.count += 1
        id = f"cf{self.count:030d}"
        origin = dict(body["origin"])
        self.passwords[id] = origin.pop("password", None)
        origin.pop("access_client_secret", None)
        self.configs[id] = {"id": id, "name": body["name"], "origin": origin,
                            "created_on": "2026-01-02T03:04:05.678901Z", "modified_on": "2026-01-02T03:04:05.678901Z",
                            "caching": body.get("caching", {"disabled": False})} | \
                           {key: body[key] for key in ("mtls", "origin_connection_limit") if key in body}
        return self.configs[id]

    def patch(self, id: str, body: dict) -> dict:
        config = self.find(id)
        for key, value in body.items():
            if isinstance(value, dict) and key == "origin":
                value = dict(value)
                if "password" in value:
                    self.passwords[id] = value.pop("password")
                config["origin"].update(value)
            else:
                config[key] = value
        return config

    def find(self, id: str) -> dict:
        if id not in self.configs:
            raise ApiError(404, 2006, "Hyperdrive config not found")
        return self.configs[id]


class ApiError(Exception):
    def __init__(self, status: int, code: int, message: str):
        self.status, self.code, self.message = status, code, message


class _Handler(http.server.BaseHTTPRequestHandler):
    cloudflare: Cloudflare
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_any(self):
        cf = self.cloudflare
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        body = json.loads(raw) if raw else None
        cf.requests.append((self.command, self.path, body))
        fault = next((f for f in cf.faults if f[0] == self.command), None)
        if fault:
            cf.faults.remove(fault)
            fault = fault[1]
        if fault is Fault.HANG_UP:
            return self.hang_up()
        if fault is Fault.TOO_MANY:
            return self.answer(429, self.failure(971, "Please wait and consider throttling your request speed"),
                               {"Retry-After": "1"})
        if fault is Fault.INTERNAL:
            return self.answer(500, b"<html><body>Internal Server Error</body></html>", {"CF-Ray": "8abc-LHR"})
        if fault is Fault.WAF:
            return self.answer(403, b"<html>challenge</html>", {"CF-Ray": "8abc-LHR"})
        if fault is Fault.AUTHENTICATION:
            return self.answer(403, self.failure(10000, "Authentication error"))
        try:
            answer = self.carry_out(body)
        except ApiError as error:
            return self.answer(error.status, self.failure(error.code, error.message))
        if fault is Fault.LOSE_ANSWER:
            return self.hang_up()
        if fault is Fault.INTERNAL_DONE:
            return self.answer(500, b"<html>oops</html>")
        if fault is Fault.TORN:
            return self.answer(200, answer[:len(answer) // 2])
        if fault is Fault.EMPTY:
            return self.answer(204, b"")
        return self.answer(200, answer)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do_any

    def carry_out(self, body) -> bytes:
        cf = self.cloudflare
        url = urllib.parse.urlsplit(self.path)
        page = int(urllib.parse.parse_qs(url.query).get("page", ["1"])[0])
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise ApiError(403, 10000, "Authentication error")
        parts = url.path.removeprefix("/client/v4/").split("/")
        if parts == ["accounts"]:
            return self.envelope([{"id": ACCOUNT, "name": "Account One"}], 1, 1)
        if parts[:4] != ["accounts", ACCOUNT, "hyperdrive", "configs"]:
            raise ApiError(404, 7003, "Could not route")
        id = parts[4] if len(parts) > 4 else None
        if self.command == "GET" and not id:
            all = list(cf.configs.values())
            first = (page - 1) * cf.per_page
            return self.envelope(all[first:first + cf.per_page], page, len(all))
        if self.command == "POST":
            return self.envelope(cf.create(body))
        if self.command == "PATCH":
            return self.envelope(cf.patch(id, body))
        if self.command == "DELETE":
            cf.find(id)
            del cf.configs[id]
            return self.envelope(None)
        return self.envelope(cf.find(id))

    def envelope(self, result, page=None, total=None) -> bytes:
        body = {"result": result, "success": True, "errors": [], "messages": []}
        if page:
            body["result_info"] = {"page": page, "per_page": self.cloudflare.per_page, "count": len(result),
                                   "total_count": total}
        return json.dumps(body).encode()

    def failure(self, code, message) -> bytes:
        return json.dumps({"result": None, "success": False, "errors": [{"code": code, "message": message}],
                           "messages": []}).encode()

    def answer(self, status: int, body: bytes, headers: dict | None = None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
