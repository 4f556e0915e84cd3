"""The client against a running server with demonstration data.

SCRIP_SDK_URL says where it is; it must allow webhooks to this machine. TestSDK in
internal/e2e starts one.
"""

import os
import queue
import re
import threading
import unittest
import uuid
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import scrip_sdk as sdk

URL = os.environ.get("SCRIP_SDK_URL")
KEY = "cp_test_sk_demo"


def setUpModule():
    if not URL:
        raise RuntimeError("SCRIP_SDK_URL names no server: go test ./internal/e2e -run TestSDK starts one")


class Live(unittest.TestCase):
    def setUp(self):
        self.client = sdk.CardPing(KEY, URL)

    def assert_refused(self, kind, code, call, *args, **more):
        with self.assertRaises(kind) as caught:
            call(*args, **more)
        self.assertEqual(caught.exception.code, code)
        self.assertRegex(caught.exception.request_id, "^req_")

    def test_published_example(self):
        """The published example gives what is published."""
        got = self.client.ping("6006-4913-0000-0011", "visa_gift", pin="1234")
        self.assertRegex(got.id, r"^ping_[0-9a-z]+$")
        self.assertEqual(
            got, sdk.PingResult(got.id, "active", Decimal("47.50"), "USD", "2027-03", 0.02, [], True, "visa_gift", 68, age=0)
        )

    def test_repeats(self):
        """A repeated check is one check, another under its key a conflict."""
        check = {"card_number": "6006491300000011", "network": "visa_gift"}
        key = f"check-{uuid.uuid4()}"
        first = self.client.ping(**check, idempotency_key=key)
        self.assertEqual(self.client.ping(**check, idempotency_key=key).id, first.id)
        self.assertNotEqual(self.client.ping(**check).id, first.id)
        self.assert_refused(sdk.ConflictError, "idempotency_conflict", self.client.ping, **check, pin="1", idempotency_key=key)

    def test_refusals(self):
        """Refusals are errors of their kind."""
        impatient, stranger = sdk.CardPing(KEY, URL, max_retries=0), sdk.CardPing("cp_test_sk_wrong", URL)
        self.assert_refused(sdk.CardInvalidError, "card_invalid", self.client.ping, "1234", "visa_gift")
        self.assert_refused(sdk.InvalidRequestError, "invalid_request", self.client.ping, "6006491300000011", "nowhere")
        self.assert_refused(sdk.NetworkUnavailableError, "network_unavailable", impatient.ping, "6006491300000055", "visa_gift")
        self.assert_refused(sdk.AuthError, "auth_invalid", stranger.networks)
        self.assert_refused(sdk.NotFoundError, "not_found", self.client.portals.get, "portal_01kf3v8q5tfzk9w2m7x4c6n0ab")

    def test_batch(self):
        """A batch answers in order, each part by itself."""
        numbers = ["6006491300000011", "1", "6006491300000044"]
        good, bad, risky = self.client.ping_batch([{"card_number": number, "network": "visa_gift"} for number in numbers])
        self.assertEqual(good.result.balance, Decimal("47.50"))
        self.assertIsInstance(bad.error, sdk.CardInvalidError)
        self.assertEqual(risky.result.fraud_score, 0.89)
        self.assertEqual(risky.result.fraud_signals, ["velocity_anomaly", "proxy_ip_detected", "sequential_pan_pattern"])

    def test_networks(self):
        """Networks are listed."""
        visa = next(network for network in self.client.networks() if network.id == "visa_gift")
        self.assertEqual(visa, sdk.Network("visa_gift", "Visa Gift Card", "open_loop", False, ["USD"], [16], "operational"))

    def test_webhooks(self):
        """A webhook is made, delivers what verifies, rotates and goes."""
        deliveries = queue.Queue()

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(204)
                self.end_headers()
                deliveries.put((body, self.headers["CP-Signature"]))

            def log_message(self, *_):
                pass

        receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(receiver.server_close)
        self.addCleanup(receiver.shutdown)

        hooks = self.client.webhooks
        made = hooks.create(f"http://127.0.0.1:{receiver.server_port}/hook", ["fraud.high_risk"])
        self.assertRegex(made.secret, "^whsec_")
        rotated = hooks.rotate(made.id)
        self.client.ping("6006491300000044", "visa_gift")
        raw, signature = deliveries.get(timeout=60)
        for secret in (made.secret, rotated.secret):
            event = hooks.verify(raw, signature, secret)
            self.assertEqual((event.type, event.data["fraud_score"]), ("fraud.high_risk", Decimal("0.89")))
            self.assertTrue(re.match("card_", event.data["card_id"]))
        with self.assertRaises(sdk.SignatureError):
            hooks.verify(raw, signature, "whsec_other")

        self.assertFalse(hooks.update(made.id, active=False).active)
        self.assertIn((made.id, None), [(webhook.id, webhook.secret) for webhook in hooks.list()])
        hooks.delete(made.id)
        self.assert_refused(sdk.NotFoundError, "not_found", hooks.rotate, made.id)

    def test_portals(self):
        """A portal is made, listed, changed and goes."""
        portals, slug = self.client.portals, f"python-{uuid.uuid4().hex[:16]}"
        branding = sdk.Branding(logo_url="https://acme.example/logo.svg", primary_color="#1f4e79")
        made = portals.create("Python", slug, branding=branding)
        self.assertEqual((made.slug, made.active, made.custom_domain, made.branding), (slug, True, None, branding))
        other = portals.create("Other", slug + "-b")
        page = portals.list(limit=1)
        self.assertEqual(page.data, [other])
        self.assertEqual(portals.list(limit=1, cursor=page.next_cursor).data, [made])
        self.assertFalse(portals.update(made.id, active=False).active)
        self.assertFalse(portals.get(made.id).active)
        proof = portals.update(other.id, custom_domain=f"{slug}.shop.example").domain_proof
        self.assertEqual((proof.state, proof.record_name), ("pending", f"_scrip.{slug}.shop.example"))
        self.assert_refused(sdk.ConflictError, "invalid_state", portals.verify, made.id)
        self.assert_refused(sdk.ConflictError, "already_exists", portals.create, "Python", slug)
        portals.delete(made.id)
        portals.delete(other.id)


if __name__ == "__main__":
    unittest.main()
