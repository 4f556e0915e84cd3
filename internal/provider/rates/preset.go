package rates

import (
	"maps"
	"slices"
)

// Presets returns the names of the sources that are known, in order.
func Presets() []string { return slices.Sorted(maps.Keys(presets)) }

// presets are public tickers that need no key and quote dollars, not a token that should
// be worth one. Where there are bids, the highest counts: what the asset could be sold for.
var presets = map[string]settings{
	"bitfinex": {URL: "https://api-pub.bitfinex.com/v2/ticker/{pair}", Price: "0",
		Pairs: map[string]string{"BTC/USD": "tBTCUSD", "ETH/USD": "tETHUSD", "SOL/USD": "tSOLUSD", "USDT/USD": "tUSTUSD", "XMR/USD": "tXMRUSD"}},
	"bitstamp": {URL: "https://www.bitstamp.net/api/v2/ticker/{pair}/", Price: "bid", Time: "timestamp", TimeFormat: formUnix,
		Pairs: map[string]string{"BTC/USD": "btcusd", "BTC/EUR": "btceur", "ETH/USD": "ethusd", "ETH/EUR": "etheur",
			"SOL/USD": "solusd", "SOL/EUR": "soleur", "USDT/USD": "usdtusd", "USDT/EUR": "usdteur"}},
	"coinbase": {URL: "https://api.coinbase.com/v2/prices/{pair}/spot", Price: "data.amount",
		Pairs: map[string]string{"BTC/USD": "BTC-USD", "BTC/EUR": "BTC-EUR", "ETH/USD": "ETH-USD", "ETH/EUR": "ETH-EUR",
			"SOL/USD": "SOL-USD", "SOL/EUR": "SOL-EUR", "USDT/USD": "USDT-USD", "USDT/EUR": "USDT-EUR"}},
	"gemini": {URL: "https://api.gemini.com/v1/pubticker/{pair}", Price: "bid", // its timestamp is the end of a period of volume
		Pairs: map[string]string{"BTC/USD": "btcusd", "ETH/USD": "ethusd", "SOL/USD": "solusd", "USDT/USD": "usdtusd"}},
	"kraken": {URL: "https://api.kraken.com/0/public/Ticker?pair={pair}", Price: "result.{pair}.b.0",
		Pairs: map[string]string{"BTC/USD": "XXBTZUSD", "BTC/EUR": "XXBTZEUR", "ETH/USD": "XETHZUSD", "ETH/EUR": "XETHZEUR",
			"SOL/USD": "SOLUSD", "SOL/EUR": "SOLEUR", "USDT/USD": "USDTZUSD", "USDT/EUR": "USDTEUR", "XMR/USD": "XXMRZUSD", "XMR/EUR": "XXMRZEUR"}},
	"okx": {URL: "https://www.okx.com/api/v5/market/index-tickers?instId={pair}", Price: "data.0.idxPx", Time: "data.0.ts", TimeFormat: formUnixMilli,
		Pairs: map[string]string{"BTC/USD": "BTC-USD", "ETH/USD": "ETH-USD", "SOL/USD": "SOL-USD", "USDT/USD": "USDT-USD", "XMR/USD": "XMR-USD"}},
}
