"""`kiwi.LocalServer.v1`: any local server that speaks the OpenAI protocol (llama.cpp, vLLM, Ollama)."""

import ipaddress
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Iterable, Literal, Optional  # noqa: UP035
from urllib.parse import urlsplit

import httpx
from spacy_llm.registry import registry

from ...errors import KiwiError
from .exchange import Failure, Prompt, Reply, align, mark
from .gbnf import grammar_text

Lock = Literal["llama.cpp", "vllm"]


class LocalServer:
    """Asks a server for the answers, many at a time; holds no weights and no text."""

    def __init__(
        self, url: str, *, model: str = "default", lock: Optional[Lock] = None, requests: int = 4, timeout: float = 300,  # noqa: UP045
        tries: int = 2, allow_hosts: Sequence[str] = (), context_length: int = 8192,
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
        gone = threading.Event()
        # No proxy of the environment: notes go to the address that is named and nowhere else.
        with httpx.Client(timeout=self.timeout, trust_env=False) as client, ThreadPoolExecutor(self.requests) as pool:
            flat = [prompt for note in notes for prompt in note]
            answers = iter(list(pool.map(lambda prompt: self._ask(client, prompt, gone), flat)))
        return [[next(answers) for _ in note] for note in notes]

    def _ask(self, client: httpx.Client, prompt: Any, gone: threading.Event) -> Reply | Failure | str:
        reason = "the server does not answer"
        for attempt in range(self.tries):
            if gone.is_set():
                return Failure("the server does not answer", smaller=False)
            if attempt:
                time.sleep(min(2.0, 0.2 * 2**attempt))
            try:
                response = client.post(f"{self.url}/chat/completions", json=self._body(prompt))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
            except httpx.HTTPError as error:  # its message may hold what was sent
                reason = f"the server's answer broke off ({type(error).__name__})"
                continue
            if response.status_code in (429, 500, 502, 503, 504):
                reason = f"the server answered with status {response.status_code}"
                continue
            if response.status_code != 200:
                return Failure(f"the server answered with status {response.status_code}")
            return self._read(prompt, response)
        if reason == "the server does not answer":
            gone.set()
            return Failure(reason, smaller=False)
        return Failure(reason)

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

    def _read(self, prompt: Any, response: httpx.Response) -> Reply | Failure | str:
        try:
            choice = response.json()["choices"][0]
            answer, finish = choice["message"]["content"], choice.get("finish_reason")
            if not isinstance(answer, str):
                raise TypeError
        except (ValueError, KeyError, IndexError, TypeError):
            return Failure("the server's answer is not of the OpenAI protocol", smaller=False)
        if finish == "length":
            return Failure("the answer was cut")
        if not isinstance(prompt, Prompt):
            return answer
        found = align(answer, prompt.text, prompt.schema)
        if "answer cut short" in found.problems and not found.spans and self.lock:
            return Failure("the answer was cut")
        return Reply(answer, found)

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
    timeout: float = 300, tries: int = 2, allow_hosts: list[str] | None = None, context_length: int = 8192,
) -> Callable[[Iterable[Iterable[Any]]], Iterable[Iterable[Any]]]:
    """Build a client of a local server.

    url (str): Up to /v1. Only this machine is allowed, unless `allow_hosts` names another.
    model (str): The model's name on the server.
    lock (str | None): How the copy-lock is sent: "llama.cpp", or "vllm" (1.0 or later, as structured outputs); None
        sends none (Ollama), and answers are then aligned with the text, what does not fit being counted.
    requests (int): Requests in flight. timeout (float): Seconds. tries (int): Of each request.
    allow_hosts (list | None): Names of other machines that notes may be sent to.
    RAISES (KiwiError): The address is none, or of another machine that is not allowed.
    """
    return LocalServer(
        url, model=model, lock=lock, requests=requests, timeout=timeout, tries=tries, allow_hosts=allow_hosts or (),
        context_length=context_length,
    )
