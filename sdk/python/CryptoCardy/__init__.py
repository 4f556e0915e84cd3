"""The client of virtual cards under the name that the published examples import."""

from scrip_sdk.cryptocardy import Client, CryptoCardyError, verify_webhook

__all__ = ["Client", "CryptoCardyError", "verify_webhook"]
