"""`kiwi.LocalServer.v1`: any local server that speaks the OpenAI protocol (llama.cpp, vLLM, Ollama)."""

import asyncio
import ipaddress
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any, Iterable, Literal, Optional  # noqa: UP035
from urllib.parse import urlsplit

import httpx
from spacy_llm.registry import registry

from ...errors import KiwiError
from .exchange import Failure, Prompt, Reply, mark, read_answer
from .gbnf import grammar_text

Lock = Literal["llama.cpp", "vllm"]
_BUSY = frozenset({429, 500, 502, 503, 504})  # worth another try, later
_GONE = "the server does not answer"
# What llama.cpp, vLLM and OpenAI say of a prompt that is too long for the model: the only error that a smaller window mends.
_TOO_LONG = (b"exceed_context_size", b"context_length_exceeded", b"maximum context length", b"available context size")


def _retry_after(said: str | None, otherwise: float) -> float:
    """Return the seconds that a `Retry-After` header asks for, given as seconds or as a date.

    >>> _retry_after("3", 0.5), _retry_after("Thu, 01 Jan 1970 00:00:00 GMT", 0.5), _retry_after("soon", 0.5)
    (3.0, 0.0, 0.5)
    """
    if said is None:
        return otherwise
    if said.strip().isdecimal():
        return float(said)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except ValueError:
        return otherwise


class LocalServer:
    """Asks a server for the answers, many at a time; holds no weights and no text."""

    def __init__(
        self, url: str, *, model: str = "default", lock: Optional[Lock] = None, requests: int = 4, timeout: float = 300,  # noqa: UP045
        tries: int = 4, allow_hosts: Sequence[str] = (), context_length: int = 8192,
    ) -> None:
        """Build a client; arguments as of `create_local_server`."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise KiwiError(f"'{url}' is no address of a server; write http://127.0.0.1:8080/v1")
        if not _is_loopback(parts.hostname) and parts.hostname not in allow_hosts:
            raise KiwiError(
                f"Notes would leave this machine for '{parts.hostname}'. If that is meant, name it: "
                f'allow_hosts = ["{parts.hostname}"]'
            )
        self.url, self.model, self.lock, self.requests = url.rstrip("/"), model, lock, requests
        self.timeout, self.tries, self.allow_hosts, self.context_length = timeout, tries, list(allow_hosts), context_length

    def __call__(self, prompts: Iterable[Iterable[Any]]) -> Iterable[Iterable[Any]]:
        """Return a Reply, or a Failure, for each prompt of each note."""
        notes = [list(note) for note in prompts]
        flat = [prompt for note in notes for prompt in note]
        with ThreadPoolExecutor(1) as pool:  # a loop of its own: a notebook's thread has one that runs
            answers = iter(pool.submit(asyncio.run, self._ask_all(flat)).result())
        return [[next(answers) for _ in note] for note in notes]

    async def _ask_all(self, prompts: Sequence[Any]) -> list[Any]:
        turns, gone = asyncio.Semaphore(self.requests), asyncio.Event()
        # No proxy of the environment: notes go to the address that is named and nowhere else.
        async with httpx.AsyncClient(timeout=self.timeout, trust_env=False, follow_redirects=False) as client:

            async def ask(prompt: Any) -> Any:
                async with turns:
                    return await self._ask(client, prompt, gone)

            return await asyncio.gather(*map(ask, prompts))

    async def _ask(self, client: httpx.AsyncClient, prompt: Any, gone: asyncio.Event) -> Reply | Failure | str:
        """Return the answer to one prompt. All tries and waits together take `timeout` seconds, whatever the server does."""
        ends = time.monotonic() + self.timeout
        reason, wait = "the server does not answer", 0.0
        for attempt in range(self.tries):
            if gone.is_set():
                return Failure(_GONE)
            if time.monotonic() + wait >= ends:
                break
            await asyncio.sleep(wait)
            wait = min(8.0, 0.25 * 2**attempt)
            try:
                status, headers, data = await asyncio.wait_for(self._send(client, prompt), ends - time.monotonic())
            except asyncio.TimeoutError:
                return Failure(f"the server did not answer whole within {self.timeout:g} seconds")
            except (httpx.ConnectError, httpx.ConnectTimeout):
                reason = _GONE
                continue
            except httpx.HTTPError as error:  # its message may hold what was sent
                reason = f"the server's answer broke off ({type(error).__name__})"
                continue
            if data is None:
                return Failure("the server's answer is far longer than its window")
            if status in _BUSY:
                reason = f"the server answered with status {status}"
                wait = _retry_after(headers.get("retry-after"), wait)
                continue
            if 300 <= status < 400:
                return Failure(f"the server redirects (status {status}), which is not followed: name the address itself as url")
            if status != 200:
                too_long = status in (400, 413) and any(mark in data.lower() for mark in _TOO_LONG)
                return Failure(f"the server answered with status {status}", smaller=too_long)
            return self._read(prompt, data)
        if reason == _GONE:
            gone.set()
        return Failure(reason)

    async def _send(self, client: httpx.AsyncClient, prompt: Any) -> tuple[int, httpx.Headers, bytes | None]:
        """Return status, headers and content of one request; None for content larger than any answer to the prompt."""
        most = 65536 + 400 * len(getattr(prompt, "text", prompt))
        data = bytearray()
        async with client.stream("POST", f"{self.url}/chat/completions", json=self._body(prompt)) as response:
            async for part in response.aiter_bytes():
                data += part
                if len(data) > most:
                    return response.status_code, response.headers, None
        return response.status_code, response.headers, bytes(data)

    def _body(self, prompt: Any) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.model, "temperature": 0, "stream": False}
        if not isinstance(prompt, Prompt):
            return {**body, "messages": [{"role": "user", "content": str(prompt)}]}
        turns = [{"role": "system", "content": prompt.instruction}]
        for shot in prompt.shots:
            turns += [{"role": "user", "content": shot.text}, {"role": "assistant", "content": shot.markup}]
        turns.append({"role": "user", "content": prompt.text if prompt.given is None else mark(prompt.text, prompt.given)})
        body |= {"messages": turns, "max_tokens": 64 + 4 * len(prompt.text)}
        if self.lock == "llama.cpp":
            body["grammar"] = grammar_text(prompt)
        elif self.lock == "vllm":
            body["structured_outputs"] = {"grammar": grammar_text(prompt)}
        return body

    def _read(self, prompt: Any, data: bytes) -> Reply | Failure | str:
        try:
            choice = json.loads(data)["choices"][0]
            answer, finish = choice["message"]["content"], choice.get("finish_reason")
            if not isinstance(answer, str):
                raise TypeError
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
            return Failure("the server's answer is not of the OpenAI protocol")
        if finish == "length":
            return Failure("the answer was cut", smaller=True)
        if not isinstance(prompt, Prompt):
            return answer
        reply = read_answer(answer, prompt.text, prompt.schema)
        if isinstance(reply, Reply) and "answer cut short" in reply.found.problems and not reply.found.spans and self.lock:
            return Failure("the answer was cut", smaller=True)
        return reply

    def describe(self) -> str:
        """Return the model's name; a server does not show its weights."""
        return self.model

    # spacy-llm keeps a model with a pipeline only where all four of these are there; here all stands in the config.

    def to_disk(self, path: Any, *, exclude: Sequence[str] = ()) -> None:
        """Nothing to write."""

    def from_disk(self, path: Any, *, exclude: Sequence[str] = ()) -> "LocalServer":
        """Nothing to read."""
        return self

    def to_bytes(self, *, exclude: Sequence[str] = ()) -> bytes:
        """Nothing to keep."""
        return b""

    def from_bytes(self, data: bytes, *, exclude: Sequence[str] = ()) -> "LocalServer":
        """Nothing to take."""
        return self


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@registry.llm_models("kiwi.LocalServer.v1")
def create_local_server(
    url: str = "http://127.0.0.1:8080/v1", model: str = "default", lock: Optional[Lock] = None, requests: int = 4,  # noqa: UP045
    timeout: float = 300, tries: int = 4, allow_hosts: list[str] | None = None, context_length: int = 8192,
) -> Callable[[Iterable[Iterable[Any]]], Iterable[Iterable[Any]]]:
    """Build a client of a local server.

    url (str): Up to /v1. Only this machine is allowed, unless `allow_hosts` names another.
    model (str): The model's name on the server.
    lock (str | None): How the copy-lock is sent: "llama.cpp", or "vllm" (1.0 or later, as structured outputs); None
        sends none (Ollama), and answers are then aligned with the text, what does not fit being counted.
    requests (int): Requests in flight. tries (int): Of each request, while the server is busy or fails; `Retry-After` is heeded.
    timeout (float): Seconds for a request with all its tries and waits, however slowly its answer comes.
    allow_hosts (list | None): Names of other machines that notes may be sent to.
    RAISES (KiwiError): The address is none, or of another machine that is not allowed.
    """
    return LocalServer(
        url, model=model, lock=lock, requests=requests, timeout=timeout, tries=tries, allow_hosts=allow_hosts or (),
        context_length=context_length,
    )
