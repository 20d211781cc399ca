"""The generated messages, or a clear word on what is missing."""

try:
    import google.protobuf  # noqa: F401
except ImportError as error:
    raise ImportError("prism needs Python's protobuf library: apt-get install python3-protobuf, or pip install protobuf") from error

try:
    from prism.v1 import prism_pb2 as messages
except ImportError as error:
    raise ImportError(
        "prism/v1/prism_pb2.py has not been generated: run scripts/python-proto.sh in a checkout of Prism (it needs protoc)"
    ) from error

__all__ = ["messages"]
