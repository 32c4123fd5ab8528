"""A FastMCP server with a few small tools. usage: fastmcp_server.py PORT

With the environment's E2E_ISSUER, E2E_BASE, E2E_CERTIFICATE and E2E_KEY it protects itself instead of trusting a
gateway: a resource server to compare the gateway with, and to prove the clients against.
"""

import asyncio
import os
import sys
from typing import Annotated

from fastmcp import Context, FastMCP
from fastmcp.server.dependencies import get_http_request
from pydantic import Field


def protection():
    from fastmcp.server.auth import JWTVerifier, RemoteAuthProvider

    issuer, base = os.environ["E2E_ISSUER"], os.environ["E2E_BASE"]
    verifier = JWTVerifier(
        jwks_uri=f"{issuer}/jwks", issuer=issuer, audience=f"{base}/mcp", required_scopes=["mcp:tools"]
    )
    return RemoteAuthProvider(token_verifier=verifier, authorization_servers=[issuer], base_url=base)


protected = "E2E_ISSUER" in os.environ
server = FastMCP("fastmcp", auth=protection() if protected else None)


@server.tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool
def headers() -> list[list[str]]:
    """Gives the header fields of the request that carried this call, in order, repeated ones included."""
    return [[name.decode(), value.decode("latin-1")] for name, value in get_http_request().headers.raw]


@server.tool
async def count(steps: int, pause: float, ctx: Context) -> int:
    """Counts slowly, telling its progress at each step."""
    for step in range(1, steps + 1):
        await asyncio.sleep(pause)
        await ctx.report_progress(step, steps)
    return steps


@server.tool(annotations={"destructiveHint": True})
def delete_all(reason: Annotated[str, Field(description="Why “all”, \\ and / not?")] = "é") -> str:
    """Would delete everything."""
    return f"deleted: {reason}"


def tls():
    if not protected:
        return {}
    return {"ssl_certfile": os.environ["E2E_CERTIFICATE"], "ssl_keyfile": os.environ["E2E_KEY"]}


server.run(
    transport="http",
    host="127.0.0.1",
    port=int(sys.argv[1]),
    path="/mcp",
    show_banner=False,
    uvicorn_config=tls() | {"timeout_graceful_shutdown": 1},
)
