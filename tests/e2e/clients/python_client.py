"""The Python SDK as a client: logs in, lists the tools, calls one, and prints what it got as JSON.

usage: python_client.py URL CA TOOL ARGUMENTS [MODE]
MODE: auto, legacy, or sse for the oldest transport
"""

import asyncio
import html
import json
import re
import ssl
import sys
from contextlib import AsyncExitStack
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
from mcp.client import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata
from mcp.shared.exceptions import MCPError

REDIRECT = "http://127.0.0.1:9/callback"
MAX_PAGES = 12


class Memory:
    """Keeps tokens and the registration for as long as the process lives."""

    tokens = None
    client_info = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client_info

    async def set_client_info(self, client_info):
        self.client_info = client_info


class Person:
    """Follows the login and consent pages."""

    def __init__(self):
        self.back = None
        self.logins = 0

    async def open(self, url):
        self.logins += 1
        async with httpx2.AsyncClient() as browser:
            response = await browser.get(url)
            for _ in range(MAX_PAGES):
                if location := response.headers.get("location"):
                    url = urljoin(str(response.url), location)
                    if url.startswith(REDIRECT):
                        self.back = parse_qs(urlsplit(url).query)
                        return
                    response = await browser.get(url)
                    continue
                action = re.search(r'<form[^>]*\saction="([^"]*)"', response.text)
                prompt = re.search(r'name="prompt" value="([^"]*)"', response.text)
                form = {"prompt": prompt.group(1)}
                if form["prompt"] == "login":
                    form |= {"login": "alice@acme", "password": "any"}
                target = urljoin(str(response.url), html.unescape(action.group(1)))
                response = await browser.post(target, data=form)
        raise RuntimeError("no way back from the login pages")

    async def answer(self):
        first = {name: values[0] for name, values in self.back.items()}
        return AuthorizationCodeResult(code=first["code"], state=first.get("state"), iss=first.get("iss"))


async def main(url, ca, tool, arguments, mode="auto"):
    person = Person()
    login = OAuthClientProvider(
        server_url=url,
        client_metadata=OAuthClientMetadata(
            client_name="e2e python",
            redirect_uris=[REDIRECT],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
            token_endpoint_auth_method="none",
        ),
        storage=Memory(),
        redirect_handler=person.open,
        callback_handler=person.answer,
    )
    trust = ssl.create_default_context(cafile=ca)

    def new_http(**settings):
        return httpx2.AsyncClient(verify=trust, **({"auth": login, "timeout": 30} | settings))

    answer = {}
    async with AsyncExitStack() as stack:
        if mode == "sse":
            transport = sse_client(url, auth=login, httpx_client_factory=new_http)
            mode = "legacy"
        else:
            transport = streamable_http_client(url, http_client=await stack.enter_async_context(new_http()))
        client = await stack.enter_async_context(Client(transport, mode=mode))
        answer["tools"] = [tool.name for tool in (await client.list_tools()).tools]
        try:
            result = await client.call_tool(tool, json.loads(arguments))
            answer["result"] = result.model_dump(mode="json", by_alias=True, exclude_none=True)
        except MCPError as error:
            answer["error"] = error.error.model_dump(mode="json", exclude_none=True)
    print(json.dumps(answer | {"logins": person.logins}))


asyncio.run(main(*sys.argv[1:]))
