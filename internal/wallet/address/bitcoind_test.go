package address_test

import (
	"encoding/hex"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"

	"github.com/scripcards/scrip/internal/testkit/btcnode"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet/address"
)

// bitcoind derives the same addresses from an account's key, however that is written.
func TestNodeDerives(t *testing.T) {
	node := btcnode.StartBitcoind(t, btcnode.NewWallet(t, 1))
	const count = address.MaxPreview
	for name, text := range map[string]string{
		"zpub": "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs",
		"xpub": "xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V",
		"vpub": address.DemoBitcoin,
	} {
		key, err := address.ParseBitcoin(text)
		check.OK(t, err)
		var ours []string
		for position := range uint32(count) {
			made, err := key.On("regtest").Address(t.Context(), position)
			check.OK(t, err)
			ours = append(ours, made)
		}
		var described struct{ Descriptor string }
		check.OK(t, node.Ask(&described, "getdescriptorinfo", "wpkh("+forTests(t, text)+"/0/*)"))
		var theirs []string
		check.OK(t, node.Ask(&theirs, "deriveaddresses", described.Descriptor, []int{0, count - 1}))
		if !slices.Equal(ours, theirs) {
			t.Errorf("%s: %q, and the node's are %q", name, ours, theirs)
		}
	}
}

// forTests writes an account's key as nodes of a test network read it: as a tpub.
func forTests(t *testing.T, text string) string {
	t.Helper()
	account, err := hdkeychain.NewKeyFromString(text)
	check.OK(t, err)
	version, err := hex.DecodeString("043587cf")
	check.OK(t, err)
	again, err := account.CloneWithVersion(version)
	check.OK(t, err)
	return again.String()
}
