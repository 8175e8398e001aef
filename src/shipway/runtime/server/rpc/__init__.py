"""gRPC's face of the server. Imported only where gRPC is switched on: protobuf and hpack may be missing elsewhere."""
