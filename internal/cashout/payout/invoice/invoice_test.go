package invoice_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/address/v2/bech32"
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"

	"github.com/scripcards/scrip/internal/cashout/payout/invoice"
	"github.com/scripcards/scrip/internal/core/fault"
)

// vectors reads the specification's examples, by name: those that are good, and the others.
func vectors(t testing.TB) (good, bad map[string]string) {
	t.Helper()
	text, err := os.ReadFile("testdata/bolt11.txt")
	if err != nil {
		t.Fatal(err)
	}
	good, bad = map[string]string{}, map[string]string{}
	into := good
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "---" {
			into = bad
		} else if name, value, ok := strings.Cut(line, " "); ok && name != "#" {
			into[name] = value
		}
	}
	return good, bad
}

// payee is the key that signed all examples, but the one whose signature has a high S and no key.
const payee = "03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad"

const (
	hash   = "0001020304050607080900010203040506070809000102030405060708090102"
	secret = "1111111111111111111111111111111111111111111111111111111111111111"
)

// Every example of the specification reads as the specification says, and was signed by
// the key that it names.
func TestVectors(t *testing.T) {
	good, _ := vectors(t)
	want := map[string]invoice.Invoice{
		"any-amount":       {Prefix: "bc", Description: "Please consider supporting this project"},
		"coffee":           {Prefix: "bc", MilliSatoshi: 250_000_000, Description: "1 cup coffee"},
		"nonsense":         {Prefix: "bc", MilliSatoshi: 250_000_000, Description: "ナンセンス 1杯"},
		"hashed":           {Prefix: "bc", MilliSatoshi: 2_000_000_000, HasDescriptionHash: true},
		"testnet-p2pkh":    {Prefix: "tb", MilliSatoshi: 2_000_000_000, HasDescriptionHash: true},
		"routes":           {Prefix: "bc", MilliSatoshi: 2_000_000_000, HasDescriptionHash: true, Routes: 1},
		"p2sh":             {Prefix: "bc", MilliSatoshi: 2_000_000_000, HasDescriptionHash: true},
		"p2wpkh":           {Prefix: "bc", MilliSatoshi: 2_000_000_000, HasDescriptionHash: true},
		"p2wsh":            {Prefix: "bc", MilliSatoshi: 2_000_000_000, HasDescriptionHash: true},
		"p2tr":             {Prefix: "bc", MilliSatoshi: 2_000_000_000, HasDescriptionHash: true},
		"pico":             {Prefix: "bc", MilliSatoshi: 967_878_534, Routes: 1, Delta: 10},
		"features":         {Prefix: "bc", MilliSatoshi: 2_500_000_000, Description: "coffee beans"},
		"capitals":         {Prefix: "bc", MilliSatoshi: 2_500_000_000, Description: "coffee beans"},
		"metadata":         {Prefix: "bc", MilliSatoshi: 1_000_000_000, Description: "payment metadata inside"},
		"high-s-recovered": {Prefix: "bc", Description: "Please consider supporting this project"},
	}
	expiry := map[string]time.Duration{"coffee": time.Minute, "nonsense": time.Minute, "pico": 7 * 24 * time.Hour}
	if len(good) < 14 {
		t.Fatalf("%d examples", len(good))
	}
	for name, text := range good {
		in, err := invoice.Decode(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		w, ok := want[name]
		if !ok {
			t.Errorf("%s: nobody says what it is", name)
		}
		if name == "pico" {
			w.Description = in.Description // a long one
			if !strings.HasPrefix(in.Description, "Blockstream Store: 88.85 USD") {
				t.Errorf("%s: %q", name, in.Description)
			}
		} else {
			w.Delta = 18
			if hex.EncodeToString(in.Hash[:]) != hash {
				t.Errorf("%s: hash %x", name, in.Hash)
			}
		}
		if name != "high-s-recovered" && hex.EncodeToString(in.Payee[:]) != payee {
			t.Errorf("%s: payee %x", name, in.Payee)
		}
		lasts := time.Hour
		if e, ok := expiry[name]; ok {
			lasts = e
		}
		if in.Prefix != w.Prefix || in.MilliSatoshi != w.MilliSatoshi || in.Description != w.Description || in.HasDescriptionHash != w.HasDescriptionHash ||
			in.Routes != w.Routes || in.Delta != w.Delta || hex.EncodeToString(in.Secret[:]) != secret || !in.ExpiresAt.Equal(in.MadeAt.Add(lasts)) {
			t.Errorf("%s: %+v\nwant %+v for %s", name, in, w, lasts)
		}
		if in.HasDescriptionHash && hex.EncodeToString(in.DescriptionHash[:]) != "3925b6f67e2c340036ed12093dd44e0368df1b6ea26c53dbe4811f58fd5db8c1" {
			t.Errorf("%s: %x", name, in.DescriptionHash)
		}
	}
	if in, err := invoice.Decode(good["any-amount"]); err != nil || in.MadeAt.Unix() != 1496314658 {
		t.Errorf("%v, %v", in.MadeAt, err)
	}
}

// Every example that a payer must not pay is refused, and so is whatever has one character
// changed.
func TestRefused(t *testing.T) {
	good, bad := vectors(t)
	if len(bad) < 12 {
		t.Fatalf("%d examples", len(bad))
	}
	for name, text := range bad {
		if in, err := invoice.Decode(text); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%s: %+v, %v", name, in, err)
		}
	}
	text := good["features"]
	for i := range text {
		changed := []byte(text)
		if changed[i]++; strings.EqualFold(string(changed), text) {
			continue
		}
		if in, err := invoice.Decode(string(changed)); err == nil && in.MilliSatoshi == 2_500_000_000 {
			t.Fatalf("character %d was changed, and nobody noticed: %s", i, changed)
		}
	}
	for _, text := range []string{"", "ln", "lnbc", "lnbc1", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", strings.Repeat("l", invoice.MaxText+1)} {
		if _, err := invoice.Decode(text); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// key is a private key that the whole world knows: the examples' own.
func key(t testing.TB) *btcec.PrivateKey {
	t.Helper()
	raw, err := hex.DecodeString("e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734")
	if err != nil {
		t.Fatal(err)
	}
	k, _ := btcec.PrivKeyFromBytes(raw)
	return k
}

// What is encoded reads as it was written, on every network and with every amount.
func TestEncode(t *testing.T) {
	made := time.Date(2026, 5, 22, 12, 0, 0, 0, time.UTC)
	for _, in := range []invoice.Invoice{
		{Prefix: "bc", Description: "nothing"},
		{Prefix: "bcrt", MilliSatoshi: 1, Description: ""},
		{Prefix: "tb", MilliSatoshi: 123_456_789_012, Description: strings.Repeat("x", 600)},
		{Prefix: "tbs", MilliSatoshi: 83_523_000, DescriptionHash: sha256.Sum256([]byte("a")), HasDescriptionHash: true},
	} {
		in.MadeAt, in.ExpiresAt, in.Delta = made, made.Add(10*time.Minute), 18
		in.Hash, in.Secret = sha256.Sum256([]byte("hash")), sha256.Sum256([]byte("secret"))
		text, err := invoice.Encode(in, key(t))
		if err != nil {
			t.Fatal(err)
		}
		got, err := invoice.Decode(text)
		copy(in.Payee[:], key(t).PubKey().SerializeCompressed())
		if err != nil || got.Features != nil || got.Prefix != in.Prefix || got.MilliSatoshi != in.MilliSatoshi || got.Hash != in.Hash || got.Secret != in.Secret ||
			got.Description != in.Description || got.DescriptionHash != in.DescriptionHash || got.Payee != in.Payee || !got.ExpiresAt.Equal(in.ExpiresAt) {
			t.Errorf("%+v, %v\nwant %+v", got, err, in)
		}
	}
}

// rewritten is an invoice with more words behind its fields, signed anew.
func rewritten(t *testing.T, text string, more ...byte) string {
	t.Helper()
	hrp, words, err := bech32.DecodeNoLimit(text)
	if err != nil {
		t.Fatal(err)
	}
	words = append(words[:len(words)-104], more...)
	signed, err := bech32.ConvertBits(words, 5, 8, true)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(append([]byte(hrp), signed...))
	compact := ecdsa.SignCompact(key(t), digest[:], true)
	signature, err := bech32.ConvertBits(append(compact[1:], compact[0]-27-4), 8, 5, true)
	if err != nil {
		t.Fatal(err)
	}
	if text, err = bech32.Encode(hrp, append(words, signature...)); err != nil {
		t.Fatal(err)
	}
	return text
}

// An invoice that names its payee is that one's if it signed it, and nobody's if it did not.
func TestNamed(t *testing.T) {
	good, _ := vectors(t)
	const tagPayee = 19
	named := func(pub string) string {
		raw, err := hex.DecodeString(pub)
		if err != nil {
			t.Fatal(err)
		}
		field, err := bech32.ConvertBits(raw, 8, 5, true)
		if err != nil {
			t.Fatal(err)
		}
		return rewritten(t, good["features"], append([]byte{tagPayee, byte(len(field) >> 5), byte(len(field) & 31)}, field...)...)
	}
	if in, err := invoice.Decode(named(payee)); err != nil || hex.EncodeToString(in.Payee[:]) != payee {
		t.Errorf("%+v, %v", in, err)
	}
	for name, other := range map[string]string{
		"another's": "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
		"no key":    strings.Repeat("00", 33),
	} {
		if in, err := invoice.Decode(named(other)); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%s: %+v, %v", name, in, err)
		}
	}
}

// A field that is unknown is passed over, though it is empty; one that breaks off is refused.
func TestLastField(t *testing.T) {
	good, _ := vectors(t)
	const unknown = 31
	if in, err := invoice.Decode(rewritten(t, good["features"], unknown, 0, 0)); err != nil || in.Description != "coffee beans" {
		t.Errorf("%+v, %v", in, err)
	}
	for _, broken := range [][]byte{{unknown}, {unknown, 0}, {unknown, 0, 1}} {
		if in, err := invoice.Decode(rewritten(t, good["features"], broken...)); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%d: %+v, %v", broken, in, err)
		}
	}
}

// No text has the decoder panic, and whatever it accepts is an invoice with a signature.
func FuzzDecode(f *testing.F) {
	good, bad := vectors(f)
	for _, all := range []map[string]string{good, bad} {
		for _, text := range all {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		in, err := invoice.Decode(text)
		if err != nil {
			return
		}
		if in.Hash == ([32]byte{}) && in.Secret == ([32]byte{}) || in.Payee == ([33]byte{}) || in.MilliSatoshi < 0 || in.ExpiresAt.Before(in.MadeAt) {
			t.Errorf("%q: %+v", text, in)
		}
	})
}
