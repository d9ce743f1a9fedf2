# SPDX-License-Identifier: Apache-2.0
"""A gRPC endpoint."""

from concurrent import futures

import grpc

from .process import free_port


class Server:
    """Echoes, with its name; `fail` is a status to end calls with instead."""

    def __init__(self, name, address, threads=4):
        self.name = name
        self.at = f"{address}:{free_port(address)}"
        self.fail = None
        self.threads = threads
        self.calls = []
        self.start()

    def start(self):
        self.server = grpc.server(futures.ThreadPoolExecutor(self.threads))
        self.server.add_generic_rpc_handlers((self,))
        assert self.server.add_insecure_port(self.at)
        self.server.start()

    def service(self, details):
        if details.method.endswith("Chat"):
            return grpc.stream_stream_rpc_method_handler(self.chat)
        if details.method.endswith("Late"):
            return grpc.unary_stream_rpc_method_handler(self.late)
        return grpc.unary_unary_rpc_method_handler(self.echo)

    def echo(self, request, context):
        self.calls.append(len(request))
        if self.fail:
            context.abort(self.fail, "as the test says")
        return self.name.encode() + b":" + request

    def late(self, request, context):
        """A message first, so that grpc-status comes in trailers."""
        yield request
        if self.fail:
            context.abort(self.fail, "as the test says")

    def chat(self, requests, context):
        for r in requests:
            yield self.name.encode() + b":" + r

    def stop(self):
        self.server.stop(0).wait()
