"""A server of the official Python SDK, which checks Host and Origin. usage: mcp_server.py PORT"""

import sys

from mcp.server import MCPServer

server = MCPServer("mcp")


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


server.run(transport="streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
