package transaction_test

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/cashout/payout/transaction"
	"github.com/scripcards/scrip/internal/core/fault"
)

// The example of BIP 143 that spends P2WPKH, signed: two inputs, two outputs, a witness.
const (
	segwit   = "01000000000102fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f00000000494830450221008b9d1dc26ba6a9cb62127b02742fa9d754cd3bebf337f7a55d114c8e5cdd30be022040529b194ba3f9281a99f2b1c0a19c0489bc22ede944ccf4ecbab4cc618ef3ed01eeffffffef51e1b804cc89d182d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99f66f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac000247304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a0220573a954c4518331561406f90300e8f3358f51928d43c212a8caed02de67eebee0121025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee635711000000"
	segwitID = "e8151a2af31c368a35053ddd4bdb285a8595c769a3ad83e0fa02314a602d4609"
)

// The first transaction that paid anybody, which is in block 170.
const (
	first   = "0100000001c997a5e56e104102fa209c6a852dd90660a20b2d9c352423edce25857fcd3704000000004847304402204e45e16932b8af514961a1d3a1a25fdf3f4f7732e9d624c6c61548ab5fb8cd410220181522ec8eca07de4860a4acdd12909d831cc56cbbac4622082221a8768d1d0901ffffffff0200ca9a3b00000000434104ae1a62fe09c5f51b13905f07f06b99a2f7159b2225f374cd378d71302fa28414e7aab37397f554a7df5f142c21c1b7303b8a0626f1baded5c72a704f7e6cd84cac00286bee0000000043410411db93e1dcdb8a016b49840f8c53bc1eb68a382e97b1482ecad7b148a6909a5cb2e0eaddfb84ccf9744464f82e160bfa9b8b64f9d4c03f999b8643f656b412a3ac00000000"
	firstID = "f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Known transactions have their known ids, sizes and outputs, and are written as they were read.
func TestKnown(t *testing.T) {
	for _, c := range []struct {
		raw, id  string
		inputs   int
		satoshis []int64
		size     int64
	}{
		{segwit, segwitID, 2, []int64{112340000, 223450000}, 261},
		{first, firstID, 1, []int64{1000000000, 4000000000}, 275},
	} {
		raw := unhex(t, c.raw)
		tx, err := transaction.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		var satoshis []int64
		for _, o := range tx.Outputs {
			satoshis = append(satoshis, o.Satoshi)
		}
		if diff := cmp.Diff(c.satoshis, satoshis); diff != "" || len(tx.Inputs) != c.inputs {
			t.Errorf("%s: %d inputs, outputs %s", c.id, len(tx.Inputs), diff)
		}
		if tx.ID() != c.id || tx.Size() != c.size {
			t.Errorf("id %s, size %d; want %s, %d", tx.ID(), tx.Size(), c.id, c.size)
		}
		if diff := cmp.Diff(raw, tx.Bytes()); diff != "" {
			t.Errorf("written otherwise: %s", diff)
		}
	}
}

// A transaction pays what is asked for only if each output is there as often as it is
// named, and replaces another only if it spends all that the other does.
func TestPaysAndSpends(t *testing.T) {
	one, two := transaction.Output{Satoshi: 1, Script: []byte{1}}, transaction.Output{Satoshi: 2, Script: []byte{1}}
	tx := transaction.Transaction{Inputs: []transaction.Input{{TxID: "aa", Index: 0}, {TxID: "aa", Index: 1}}, Outputs: []transaction.Output{one, two, one}}
	for _, c := range []struct {
		wanted []transaction.Output
		want   bool
	}{
		{nil, true}, {[]transaction.Output{one}, true}, {[]transaction.Output{one, one}, true}, {[]transaction.Output{one, one, one}, false},
		{[]transaction.Output{two, two}, false}, {[]transaction.Output{{Satoshi: 1, Script: []byte{2}}}, false}, {[]transaction.Output{two, one, one}, true},
	} {
		if got := tx.Pays(c.wanted); got != c.want {
			t.Errorf("%v: %t", c.wanted, got)
		}
	}
	for _, c := range []struct {
		inputs []transaction.Input
		want   bool
	}{
		{tx.Inputs, true}, {tx.Inputs[1:], true}, {[]transaction.Input{{TxID: "aa", Index: 2}}, false}, {[]transaction.Input{{TxID: "bb", Index: 0}}, false},
		{append([]transaction.Input{{TxID: "bb"}}, tx.Inputs...), false}, {nil, false},
	} {
		if got := tx.Spends(&transaction.Transaction{Inputs: c.inputs}); got != c.want {
			t.Errorf("%v: %t", c.inputs, got)
		}
	}
}

// What is cut, or has something behind it, is no transaction.
func TestRefused(t *testing.T) {
	for _, text := range []string{segwit, first} {
		raw := unhex(t, text)
		for n := range raw {
			if _, err := transaction.Parse(raw[:n]); fault.CodeOf(err) != fault.InvalidRequest {
				t.Fatalf("%d of %d bytes: %v", n, len(raw), err)
			}
		}
		if _, err := transaction.Parse(append(raw, 0)); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("with a byte behind it: %v", err)
		}
	}
	if _, err := transaction.Parse(make([]byte, transaction.MaxSize+1)); fault.CodeOf(err) != fault.InvalidRequest {
		t.Errorf("too large: %v", err)
	}
}

// However many outputs and bytes there are, they are read as they were written, in as few
// bytes as nodes want.
func TestCounts(t *testing.T) {
	for _, c := range []struct{ n, width int }{{0xfc, 1}, {0xfd, 3}, {0xffff, 3}, {0x10000, 5}} {
		tx := transaction.Transaction{Version: 2, Inputs: []transaction.Input{{TxID: segwitID, Script: bytes.Repeat([]byte{1}, c.n)}}, Outputs: []transaction.Output{{Satoshi: 1, Script: []byte{}}}}
		if n := len(tx.Bytes()); n != 60+c.width+c.n-1 {
			t.Errorf("a script of %d bytes: %d bytes", c.n, n)
		}
		if c.n < 0x8000 {
			tx.Outputs = slices.Repeat(tx.Outputs, c.n)
		}
		got, err := transaction.Parse(tx.Bytes())
		if err != nil {
			t.Fatalf("%d: %v", c.n, err)
		}
		if diff := cmp.Diff(tx, got); diff != "" {
			t.Errorf("%d (-want +got):\n%s", c.n, diff)
		}
	}
}

// No bytes have the parser panic, and what it reads it reads again from what it wrote.
func FuzzParse(f *testing.F) {
	f.Add(unhex(f, segwit))
	f.Add(unhex(f, first))
	f.Fuzz(func(t *testing.T, raw []byte) {
		tx, err := transaction.Parse(raw)
		if err != nil {
			return
		}
		again, err := transaction.Parse(tx.Bytes())
		if err != nil || again.ID() != tx.ID() {
			t.Errorf("%x: %v", raw, err)
		}
	})
}
