"""HTTPS server for tests: `server.py CERTIFICATE KEY`. Prints its port. GET sends as many bytes as the path says;
POST sends the number of bytes that it got and their digest."""

import hashlib
import http.server
import ssl
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.respond(b"x" * int(self.path.strip("/")))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.respond(f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode())

    def respond(self, body):
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
