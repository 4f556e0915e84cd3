"""The client of virtual cards against a running server with demonstration data."""

import json
import os
import queue
import threading
import unittest
import urllib.request
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import CryptoCardy

URL = os.environ.get("SCRIP_SDK_URL")


def setUpModule():
    if not URL:
        raise RuntimeError("SCRIP_SDK_URL names no server: go test ./internal/e2e -run TestSDK starts one")


def simulate(seed, what, **body):
    """Has a merchant or a chain do something, which is no part of the client."""
    request = urllib.request.Request(f"{URL}/v1/api/simulate/{what}", data=json.dumps(body).encode(), method="POST")
    request.add_header("X-Seed", seed)
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


class Live(unittest.TestCase):
    def setUp(self):
        with urllib.request.urlopen(f"{URL}/v1/api?card=visa&asset=BTC") as answer:
            self.start = json.load(answer)
        self.seed = self.start["seed"]
        self.client = CryptoCardy.Client(self.seed, URL)
        simulate(self.seed, "deposit", currency="btc", amount_crypto="0.05", confirmations=6)

    def test_quick_start(self):
        """The published quick start, from a seed of its own to the transactions."""
        client = self.client
        card = client.cards.create(bin_id="491653", amount=500, label="Ad Spend")
        self.assertEqual((len(card.last4), card.status, card.balance), (4, "active", Decimal("500.00")))
        details = client.cards.details(card.id)
        self.assertEqual((details.pan[:6], details.pan[-4:], len(details.cvv)), ("491653", card.last4, 3))
        self.assertEqual(client.cards.fund(card.id, amount=200).new_balance, Decimal("700.00"))
        paid = simulate(self.seed, "authorization", card_id=card.id, amount=12.5, merchant={"name": "FACEBK ADS", "mcc": "7311", "country": "US"})
        simulate(self.seed, "settlement", transaction_id=paid["transaction"]["id"])
        txns = client.transactions.list(card_id=card.id)
        self.assertEqual([(t.type, t.merchant.name, t.amount) for t in txns.data],
                         [("settlement", "FACEBK ADS", Decimal("-12.50")), ("authorization", "FACEBK ADS", Decimal("-12.50"))])
        self.assertEqual(txns.pagination.total, 2)
        whole = client.transactions.get(txns.data[0].id)
        self.assertEqual((whole.status, [step["event"] for step in whole.timeline], whole.three_ds["status"]),
                         ("settled", ["authorization", "settlement"], "not_authenticated"))

    def test_life(self):
        """A card waits, becomes active, changes, freezes and ends; the wallet adds up."""
        client, waiting = self.client, self.start["card"]["id"]
        self.assertEqual(client.cards.get(waiting).status, "pending_top_up")
        with self.assertRaises(CryptoCardy.CryptoCardyError) as caught:
            client.cards.freeze(waiting)
        self.assertEqual((caught.exception.code, caught.exception.status), ("invalid_state", 400))
        self.assertRegex(caught.exception.request_id, "^req_")
        client.cards.fund(waiting, "25.50")
        changed = client.cards.update(waiting, label="Mine", spending_limit=100, metadata={"team": "growth"})
        self.assertEqual((changed.label, changed.spending_limit, changed.metadata), ("Mine", Decimal("100.00"), {"team": "growth"}))
        self.assertEqual(client.cards.update(waiting, metadata={"team": None}).metadata, {})
        self.assertEqual(client.cards.freeze(waiting).status, "frozen")
        self.assertEqual([card.id for card in client.cards.list(status="frozen", label="min").data], [waiting])
        self.assertEqual(client.cards.unfreeze(waiting).status, "active")
        self.assertEqual(client.cards.withdraw(waiting, 5).withdrawn_amount, Decimal("5.00"))
        self.assertEqual(client.cards.terminate(waiting).refunded_amount, Decimal("20.50"))
        wallet = client.wallet.balance()
        self.assertEqual(wallet.balance, wallet.total_deposited - wallet.total_spent)
        self.assertEqual((wallet.total_spent, wallet.cards_active), (Decimal("0.00"), 0))
        self.assertEqual(client.wallet.deposits(status="confirmed").data[0].amount_crypto, "0.05")
        addresses = client.wallet.deposit_address("btc")
        self.assertEqual((addresses.addresses["btc"], addresses.min_deposit), (self.start["wallet"]["address"], {"btc": "0.0001"}))
        self.assertEqual([(b.id, b.three_ds, b.acceptance_rate) for b in client.bins.list().data][0], ("491653", True, Decimal("97.2")))

    def test_repeats(self):
        """A change under a key of one's own is made once."""
        first = self.client.cards.create("531993", 10, idempotency_key="order-1")
        self.assertEqual(self.client.cards.create("531993", 10, idempotency_key="order-1"), first)
        with self.assertRaises(CryptoCardy.CryptoCardyError) as caught:
            self.client.cards.create("531993", 11, idempotency_key="order-1")
        self.assertEqual(caught.exception.code, "idempotency_conflict")
        with self.assertRaises(CryptoCardy.CryptoCardyError) as caught:
            CryptoCardy.Client("0000-0000-0000-0000", URL).bins.list()
        self.assertEqual(caught.exception.code, "invalid_seed")

    def test_webhooks(self):
        """A webhook brings a one-time code, signed; then it goes."""
        deliveries = queue.Queue()

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(204)
                self.end_headers()
                deliveries.put((body, self.headers["X-CryptoCardy-Signature"]))

            def log_message(self, *_):
                pass

        receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(receiver.server_close)
        self.addCleanup(receiver.shutdown)
        hooks = self.client.webhooks
        made = hooks.create(f"http://127.0.0.1:{receiver.server_port}/hook", ["3ds.challenge"])
        card = self.client.cards.create("491653", 10)
        begun = simulate(self.seed, "3ds", card_id=card.id, merchant="SPOTIFY", amount=9.99)
        raw, signature = deliveries.get(timeout=60)
        self.assertTrue(CryptoCardy.verify_webhook(raw, signature, made.secret))
        event = hooks.verify(raw, signature, made.secret)
        self.assertEqual((event.type, event.data["otp"]), ("3ds.challenge", begun["otp"]))
        challenges = self.client.threeds.list(card_id=card.id, status="pending")
        self.assertEqual([(c.otp, c.merchant, c.amount) for c in challenges.data], [(begun["otp"], "SPOTIFY", Decimal("9.99"))])
        self.assertEqual(self.client.threeds.get(begun["id"]).status, "pending")
        self.assertEqual([(w.id, w.secret) for w in hooks.list().data], [(made.id, None)])
        hooks.delete(made.id)
        self.assertEqual(hooks.list().data, [])


if __name__ == "__main__":
    unittest.main()
