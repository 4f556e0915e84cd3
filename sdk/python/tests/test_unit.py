"""The client alone, against a server that misbehaves as it is told."""

import json
import os
import threading
import unittest
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

import scrip_sdk as sdk

KEY = "cp_test_sk_unit"
SAMPLE = (
    '{"id":"ping_9f4a3b2c","status":"active","balance":47.50,"currency":"USD","expiry":"2027-03","fraud_score":0.02,'
    '"fraud_signals":[],"ai_verified":true,"network":"visa_gift","latency_ms":68}'
)
CHECK = {"card_number": "6006-4913-0000-0011", "pin": "1234", "network": "visa_gift"}


def refused(code, status, headers=None):
    body = json.dumps({"error": {"code": code, "message": f"no: {code}", "request_id": "req_1"}})
    return status, body, headers or {}


class Faulty:
    """Answers with each of the replies in turn, then with the last: "drop", "hang" or (status, body, headers)."""

    def __init__(self, test, *replies):
        self.seen, self.waits, over = [], [], threading.Event()
        faulty = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                faulty.seen.append({"method": self.command, "path": self.path, "headers": self.headers, "body": body})
                reply = replies[min(len(faulty.seen), len(replies)) - 1]
                if reply == "hang":
                    over.wait()
                if isinstance(reply, str):
                    self.close_connection = True
                    return
                status, text, headers = reply
                self.send_response(status)
                for name, value in {"Content-Length": str(len(text)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = do_PATCH = do_DELETE = answer

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        test.addCleanup(thread.join)
        test.addCleanup(server.server_close)
        test.addCleanup(server.shutdown)
        test.addCleanup(over.set)
        self.url = f"http://127.0.0.1:{server.server_port}/v1/"

    def client(self, **options):
        return sdk.CardPing(KEY, self.url, **{"wait": self.waits.append, **options})

    def bodies(self):
        return [json.loads(request["body"]) for request in self.seen]


class Client(unittest.TestCase):
    def test_published_sample(self):
        """The published sample comes out member for member, its balance to the cent."""
        faulty = Faulty(self, (200, SAMPLE, {"Age": "7"}))
        got = faulty.client().ping(CHECK["card_number"], "visa_gift", pin="1234", currency="USD", idempotency_key="k1")
        self.assertEqual(
            got,
            sdk.PingResult("ping_9f4a3b2c", "active", Decimal("47.50"), "USD", "2027-03", 0.02, [], True, "visa_gift", 68, age=7),
        )
        self.assertEqual(str(got.balance), "47.50")
        (request,) = faulty.seen
        self.assertEqual((request["method"], request["path"]), ("POST", "/v1/cards/ping"))
        self.assertEqual((request["headers"]["X-API-Key"], request["headers"]["Content-Type"]), (KEY, "application/json"))
        self.assertEqual(faulty.bodies(), [{**CHECK, "currency": "USD", "idempotency_key": "k1"}])

    def test_repeats(self):
        """A check is repeated under one key that the client makes, after as long as the server asks for."""
        faulty = Faulty(
            self, refused("rate_limited", 429, {"Retry-After": "2"}), refused("network_unavailable", 503), "drop", (200, SAMPLE, {})
        )
        client = faulty.client()
        self.assertEqual(client.ping(**CHECK).balance, Decimal("47.50"))
        self.assertEqual(len(faulty.seen), 4)
        self.assertEqual(len({request["body"] for request in faulty.seen}), 1, "all attempts are one check")
        self.assertRegex(faulty.bodies()[0]["idempotency_key"], r"^[0-9a-f-]{36}$")
        self.assertEqual(faulty.waits[0], 2)
        self.assertTrue(0.5 <= faulty.waits[1] <= 1 <= faulty.waits[2] <= 2, faulty.waits)
        client.ping(**CHECK)
        self.assertNotEqual(faulty.bodies()[4]["idempotency_key"], faulty.bodies()[0]["idempotency_key"])

    def test_repetitions_end(self):
        """Repetitions end, and what waiting does not cure is not repeated."""
        for reply, times, kind in [
            (refused("network_unavailable", 503), 4, sdk.NetworkUnavailableError),
            (refused("quota_exceeded", 429, {"Retry-After": "2"}), 1, sdk.QuotaExceededError),
            (refused("rate_limited", 429, {"Retry-After": "61"}), 1, sdk.RateLimitError),
            (refused("rate_limited", 429, {"Retry-After": "1796007977191"}), 1, sdk.RateLimitError),
            (refused("card_invalid", 422), 1, sdk.CardInvalidError),
            (refused("idempotency_conflict", 409), 1, sdk.ConflictError),
        ]:
            faulty = Faulty(self, reply)
            with self.subTest(kind), self.assertRaises(kind):
                faulty.client().ping(**CHECK)
            self.assertEqual(len(faulty.seen), times, kind)

    def test_changes(self):
        """A change is repeated only when a limit refused it before it was made."""
        made = '{"id":"wh_1","url":"u","events":[],"active":true,"created_at":"c","secret":"whsec_1"}'
        limited = Faulty(self, refused("rate_limited", 429, {"Retry-After": "0"}), (201, made, {}))
        webhook = limited.client().webhooks.create("https://a.example/", ["*"])
        self.assertEqual(webhook.secret, "whsec_1")
        self.assertNotIn("whsec_1", repr(webhook))
        unclear = Faulty(self, refused("overloaded", 503))
        with self.assertRaises(sdk.ServerError):
            unclear.client().webhooks.rotate("wh_1")
        self.assertEqual(len(unclear.seen), 1)

    def test_proxies(self):
        """What is for this machine goes to no proxy that the environment names."""
        faulty, proxy = Faulty(self, (200, '{"data":[]}', {})), Faulty(self, (200, '{"data":[]}', {}))
        with mock.patch.dict(os.environ, {"http_proxy": proxy.url, "no_proxy": ""}):
            self.assertEqual(faulty.client().networks(), [])
            elsewhere = sdk.CardPing(KEY, "http://scrip.example", allow_http=True, max_retries=0)
            self.assertEqual(elsewhere.networks(), [])
        self.assertEqual(([r["path"] for r in faulty.seen], [r["path"] for r in proxy.seen]),
                         (["/v1/networks"], ["http://scrip.example/v1/networks"]))

    def test_deletes(self):
        """What was deleted by an attempt whose answer was lost is deleted."""
        Faulty(self, "drop", refused("not_found", 404)).client().webhooks.delete("wh_1")
        for before in [], [refused("rate_limited", 429, {"Retry-After": "0"})]:
            with self.assertRaises(sdk.NotFoundError):
                Faulty(self, *before, refused("not_found", 404)).client().webhooks.delete("wh_1")

    def test_refusals(self):
        """Every refusal has its class, code, status, request and time to wait."""
        for code, status, kind in [
            ("auth_invalid", 401, sdk.AuthError),
            ("permission_denied", 403, sdk.PermissionDenied),
            ("invalid_request", 400, sdk.InvalidRequestError),
            ("card_invalid", 422, sdk.CardInvalidError),
            ("not_found", 404, sdk.NotFoundError),
            ("idempotency_conflict", 409, sdk.ConflictError),
            ("already_exists", 409, sdk.ConflictError),
            ("invalid_state", 409, sdk.ConflictError),
            ("rate_limited", 429, sdk.RateLimitError),
            ("quota_exceeded", 429, sdk.QuotaExceededError),
            ("network_unavailable", 503, sdk.NetworkUnavailableError),
            ("internal_error", 500, sdk.ServerError),
            ("timeout", 504, sdk.ServerError),
            ("body_too_large", 413, sdk.InvalidRequestError),
            ("something_new", 418, sdk.InvalidRequestError),
        ]:
            faulty = Faulty(self, refused(code, status, {"Retry-After": "9"}))
            with self.subTest(code), self.assertRaises(sdk.CardPingError) as caught:
                faulty.client(max_retries=0).networks()
            error = caught.exception
            self.assertIs(type(error), kind)
            self.assertEqual((error.code, error.status, error.request_id, error.retry_after), (code, status, "req_1", 9))

    def test_nonsense(self):
        """An answer that is not of the API is an error, too."""
        for reply, code, status in [
            ((502, "<html>", {"X-Request-Id": "req_2"}), "http_502", 502),
            ((200, "null", {}), "invalid_answer", 200),
            ((200, "x" * ((4 << 20) + 1), {}), "invalid_answer", 200),
            ((302, "", {"Location": "https://elsewhere.example/"}), "http_302", 302),
            ("drop", "connection_failed", None),
        ]:
            faulty = Faulty(self, reply)
            with self.subTest(code), self.assertRaises(sdk.CardPingError) as caught:
                faulty.client(max_retries=0).networks()
            self.assertEqual((caught.exception.code, caught.exception.status), (code, status))

    def test_timeout(self):
        """A call ends when its time is over."""
        with self.assertRaises(sdk.ConnectionFailed) as caught:
            Faulty(self, "hang").client(max_retries=0, timeout=0.02).networks()
        self.assertEqual(caught.exception.code, "timed_out")

    def test_batch(self):
        """Each part of a batch has its key, and its result or its error."""
        answer = '{"results":[{"result":%s,"age":41},{"error":{"code":"card_invalid","message":"no","request_id":"req_3"}},{"error":{"code":"rate_limited","message":"no","request_id":"req_3"},"retry_after":60}]}' % SAMPLE
        faulty = Faulty(self, (200, answer, {}))
        first, second, third = faulty.client().ping_batch([{**CHECK, "idempotency_key": "a"}, CHECK, CHECK])
        self.assertEqual((first.result.balance, first.result.age), (Decimal("47.50"), 41))
        self.assertIsInstance(second.error, sdk.CardInvalidError)
        self.assertEqual(second.error.request_id, "req_3")
        self.assertEqual((second.error.retry_after, third.error.retry_after), (None, 60))
        one, other, _ = faulty.bodies()[0]["checks"]
        self.assertEqual(one["idempotency_key"], "a")
        self.assertGreater(len(other["idempotency_key"]), 20)
        with self.assertRaises(TypeError):
            faulty.client().ping_batch([{"cardNumber": "1", "network": "visa_gift"}])

    def test_settings(self):
        """A client is made of sensible settings alone, and never shows its key."""
        for key, options in [
            ("", {}),
            ("a\r\nb", {}),
            (KEY, {"base_url": "http://scrip.example"}),
            (KEY, {"base_url": "ftp://127.0.0.1"}),
            (KEY, {"base_url": "https://user:secret@scrip.example"}),
            (KEY, {"max_retries": -1}),
            (KEY, {"timeout": float("nan")}),
        ]:
            with self.subTest(options), self.assertRaises(ValueError):
                sdk.CardPing(key, **options)
        client = sdk.CardPing(KEY, "http://scrip.example", allow_http=True)
        self.assertNotIn(KEY, repr(client) + repr(vars(client)) + repr(vars(client._http)))
        with self.assertRaises(ValueError):
            client.portals.get("../networks")


class Signatures(unittest.TestCase):
    def test_vectors(self):
        """Webhooks are judged as the shared vectors say."""
        path = Path(__file__).resolve().parents[2] / "testdata" / "webhooks.json"
        vectors = json.loads(path.read_text(encoding="utf-8"))["vectors"]
        self.assertGreater(len(vectors), 30)
        client = sdk.CardPing(KEY)
        for vector in vectors:
            for raw in (vector["body"], vector["body"].encode()):
                with self.subTest(vector["name"]):
                    if vector["fault"] is None:
                        event = client.webhooks.verify(raw, vector["header"], vector["secret"], now=vector["now"])
                        self.assertEqual(event.type, json.loads(vector["body"])["type"])
                        continue
                    with self.assertRaises(sdk.SignatureError) as caught:
                        client.webhooks.verify(raw, vector["header"], vector["secret"], now=vector["now"])
                    self.assertEqual(caught.exception.code, vector["fault"])

    def test_arguments(self):
        """The tolerance can be set, a missing header is refused, and a parsed body is a mistake."""
        header = "t=1795251600,v1=d1af16c5e61f8ca8c3ce3db13eec0d4e3576a9eb82a97938f07e89bb830d1c84"
        body, secret = b'{"id":"evt_1","type":"ping.completed"}', "whsec_example"
        self.assertEqual(sdk.verify_webhook(body, header, secret, tolerance=900, now=1795252500).id, "evt_1")
        with self.assertRaises(sdk.SignatureError):
            sdk.verify_webhook(body, None, secret)
        with self.assertRaises(TypeError):
            sdk.verify_webhook(json.loads(body), header, secret)
        with self.assertRaises(ValueError):
            sdk.verify_webhook(body, header, secret, tolerance=float("inf"))


if __name__ == "__main__":
    unittest.main()
