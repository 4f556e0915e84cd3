"""The client of virtual cards alone, against a server that misbehaves as it is told."""

import hashlib
import hmac
import json
import unittest
from decimal import Decimal

import CryptoCardy
from scrip_sdk import cryptocardy as sdk
from test_unit import Faulty

SEED = "0f1e-2d3c-4b5a-6978"
CARD = (
    '{"id":"card_8xK2m9Lp4q","bin_id":"491653","network":"visa","last4":"2039","status":"active","balance":487.50,"spending_limit":2000.00,'
    '"total_spent":12.50,"transaction_count":3,"label":"Meta Ads Campaign #12","allowed_categories":[],"auto_freeze_at":0.00,'
    '"metadata":{"amount":"12"},"created_at":"2026-04-15T12:00:00Z","expires_at":"2029-04-15T23:59:59Z","last_used_at":null}'
)
DETAILS = (
    '{"id":"card_8xK2m9Lp4q","pan":"4916531288472039","cvv":"847","exp_month":4,"exp_year":2029,"holder_name":"ANONYMOUS",'
    '"billing_address":{"line1":"123 Privacy Street","city":"Wilmington","state":"DE","zip":"19801","country":"US"}}'
)
LINES = (
    '{"data":[{"id":"txn_a1b2c3d4","card_id":"card_8xK2m9Lp4q","type":"settlement","amount":-12.50,"currency":"USD","merchant":'
    '{"name":"FACEBK ADS","category":"advertising","mcc":"7311","country":"US"},"balance_after":487.50,"created_at":"2026-04-15T14:32:00Z"}],'
    '"pagination":{"page":1,"per_page":50,"total":328,"total_pages":7}}'
)
MOVED = '{"id":"card_8xK2m9Lp4q","previous_balance":487.50,"funded_amount":200.00,"new_balance":687.50,"wallet_balance":1312.50}'


def refused(word, status, headers=None):
    return status, json.dumps({"error": word, "message": f"no: {word}", "code": status, "request_id": "req_1"}), headers or {}


def client(faulty, **options):
    base = faulty.url.replace("/v1/", "/v1/api/")
    return CryptoCardy.Client(SEED, base, **{"wait": faulty.waits.append, **options})


class Client(unittest.TestCase):
    def test_quick_start(self):
        """The published quick start sends what it should and reads what is published."""
        faulty = Faulty(self, (201, CARD, {}), (200, DETAILS, {}), (200, MOVED, {}), (200, LINES, {}))
        cc = client(faulty)
        card = cc.cards.create(bin_id="491653", amount=500, label="Ad Spend")
        self.assertEqual((card.id, card.last4, card.balance, card.metadata), ("card_8xK2m9Lp4q", "2039", Decimal("487.50"), {"amount": "12"}))
        details = cc.cards.details(card.id)
        self.assertEqual((details.pan, details.cvv), ("4916531288472039", "847"))
        self.assertNotIn("4916531288472039", repr(details))
        self.assertEqual(cc.cards.fund(card.id, amount=200).new_balance, Decimal("687.50"))
        txns = cc.transactions.list(card_id=card.id)
        self.assertEqual([(t.merchant.name, t.amount) for t in txns.data], [("FACEBK ADS", Decimal("-12.50"))])
        self.assertEqual(txns.pagination.total_pages, 7)
        create, look, fund, listed = faulty.seen
        self.assertEqual((create["method"], create["path"]), ("POST", "/v1/api/cards"))
        self.assertEqual(json.loads(create["body"]), {"bin_id": "491653", "amount": 500, "label": "Ad Spend"})
        self.assertEqual(create["headers"]["X-Seed"], SEED)
        self.assertRegex(create["headers"]["X-Idempotency-Key"], "^[0-9a-f-]{36}$")
        self.assertIsNone(look["headers"]["X-Idempotency-Key"])
        self.assertEqual((fund["path"], fund["body"]), ("/v1/api/cards/card_8xK2m9Lp4q/fund", b'{"amount": 200}'))
        self.assertEqual(listed["path"], "/v1/api/transactions?card_id=card_8xK2m9Lp4q")

    def test_repeats(self):
        """A change is sent again under one key, and done once."""
        faulty = Faulty(self, refused("rate_limited", 429, {"Retry-After": "2"}), refused("unavailable", 503), "drop", (200, MOVED, {}))
        client(faulty).cards.fund("card_1", "12.50", idempotency_key="mine")
        self.assertEqual({request["headers"]["X-Idempotency-Key"] for request in faulty.seen}, {"mine"})
        self.assertEqual(({request["body"] for request in faulty.seen}, len(faulty.seen)), ({b'{"amount": 12.5}'}, 4))
        self.assertEqual(faulty.waits[0], 2)

    def test_pages(self):
        """Lists that come in pages are read beyond the first."""
        faulty = Faulty(self, (200, '{"data":[],"pagination":{"page":3,"per_page":100,"total":201,"total_pages":3}}', {}))
        cc = client(faulty)
        self.assertEqual(cc.wallet.deposits(status="confirmed", page=3, per_page=100).pagination.total_pages, 3)
        self.assertEqual(cc.threeds.list(card_id="card_1", page=2).pagination.total, 201)
        self.assertEqual(
            [request["path"] for request in faulty.seen],
            ["/v1/api/wallet/deposits?status=confirmed&page=3&per_page=100", "/v1/api/3ds?card_id=card_1&page=2"],
        )

    def test_ends_of_nothing(self):
        """What is not there was not ended by an attempt before, whose answer the key would give."""
        for first in "drop", refused("unavailable", 503), refused("rate_limited", 429):
            with self.subTest(first), self.assertRaises(sdk.CryptoCardyError) as caught:
                client(Faulty(self, first, refused("not_found", 404))).cards.terminate("card_1")
            self.assertEqual(caught.exception.code, "not_found")

    def test_refusals(self):
        """A refusal has its word, status, request and time to wait; nothing that waiting does not cure is sent again."""
        for word, status in [("insufficient_funds", 400), ("invalid_seed", 401), ("not_found", 404), ("idempotency_conflict", 400)]:
            faulty = Faulty(self, refused(word, status, {"Retry-After": "9"}))
            with self.subTest(word), self.assertRaises(sdk.CryptoCardyError) as caught:
                client(faulty).cards.withdraw("card_1", 1)
            error = caught.exception
            self.assertEqual((error.code, error.status, error.request_id, error.retry_after), (word, status, "req_1", 9))
            self.assertEqual(len(faulty.seen), 1)
        for reply, code in [((502, "<html>", {}), "http_502"), ((200, "null", {}), "invalid_answer"), ("drop", "connection_failed")]:
            with self.subTest(code), self.assertRaises(sdk.CryptoCardyError) as caught:
                client(Faulty(self, reply), max_retries=0).bins.list()
            self.assertEqual(caught.exception.code, code)

    def test_settings(self):
        """A client is made of a seed alone, which it never shows; ids lead nowhere else, and amounts are numbers."""
        with self.assertRaises(ValueError):
            CryptoCardy.Client("")
        with self.assertRaises(ValueError):
            CryptoCardy.Client(SEED, "http://scrip.example")
        cc = CryptoCardy.Client(SEED, "https://scrip.example/v1/api")
        self.assertNotIn(SEED, repr(cc) + repr(vars(cc)) + repr(vars(cc._http)))
        with self.assertRaises(ValueError):
            cc.cards.get("../wallet/balance")
        with self.assertRaises(ValueError):
            cc.cards.fund("card_1", Decimal("NaN"))


class Signatures(unittest.TestCase):
    def test_published(self):
        """The published verification is what this one is."""
        body, secret = b'{"id":"evt_1","type":"card.funded","data":{"balance":"1.50"}}', "whsec_example"
        good = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        for signature, ok in [(good, True), (good.upper(), False), (good[:-1], False), ("", False), (None, False), ("é", False)]:
            self.assertEqual(CryptoCardy.verify_webhook(body, signature, secret), ok, signature)
        self.assertTrue(CryptoCardy.verify_webhook(body.decode(), good, secret))
        self.assertFalse(CryptoCardy.verify_webhook(body + b" ", good, secret))
        hooks = CryptoCardy.Client(SEED).webhooks
        self.assertEqual(hooks.verify(body, good, secret).data, {"balance": "1.50"})
        with self.assertRaises(sdk.CryptoCardyError) as caught:
            hooks.verify(body, good, "whsec_other")
        self.assertEqual(caught.exception.code, "signature_invalid")
        with self.assertRaises(TypeError):
            CryptoCardy.verify_webhook(json.loads(body), good, secret)


if __name__ == "__main__":
    unittest.main()
