package replacement

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/scripcards/scrip/internal/cashout/payout/transaction"
	"github.com/scripcards/scrip/internal/core/fault"
)

// payee is somebody's script, and ours the wallet's.
var (
	payee = append([]byte{0, 20}, bytes.Repeat([]byte{9}, 20)...)
	ours  = append([]byte{0, 20}, bytes.Repeat([]byte{7}, 20)...)
)

// input spends one of the wallet's coins, signed.
func input(number int) transaction.Input {
	return transaction.Input{TxID: strings.Repeat(fmt.Sprintf("%02x", number), 32), Sequence: 0xfffffffd, Witness: [][]byte{make([]byte, 72), make([]byte, 33)}}
}

func coin(number int, satoshi int64) Coin {
	return Coin{input(number), transaction.Output{Satoshi: satoshi, Script: ours}}
}

// need is a transaction that pays 10,000 with one coin and a fee of 200, and has some
// change, which is to be raised to a rate within a cap of 100 satoshis per virtual byte.
func need(change, rate int64, coins ...int64) Need {
	n := Need{Spent: 10_200 + change, Outputs: []transaction.Output{{Satoshi: 10_000, Script: payee}}, Rate: rate, Most: 100_000,
		Change: append([]byte{0x51, 32}, make([]byte, 32)...)}
	n.Before = transaction.Transaction{Version: 2, LockTime: 7, Inputs: []transaction.Input{input(1)}, Outputs: n.Outputs}
	if change > 0 {
		n.Before.Outputs = []transaction.Output{{Satoshi: change, Script: ours}, n.Outputs[0]}
	}
	for i, satoshi := range coins {
		n.Coins = append(n.Coins, coin(i+2, satoshi))
	}
	return n
}

// The fee comes from the change while that is enough, then from the smallest coin that is,
// then from as few as can be; what is too little to come back is a part of the fee.
func TestMake(t *testing.T) {
	for name, c := range map[string]struct {
		need    Need
		added   string // what the coins that were added come to
		outputs int
		fresh   bool
		fee     int64
	}{
		"from the change":            {need(50_000, 20_000, 9_000), "", 2, false, 141 * 20 * 99 / 100},
		"from all of the change":     {need(2_500, 20_000, 9_000), "", 1, false, 2_700},
		"the relay alone":            {need(50_000, 1_000), "", 2, false, 200 + 141 + 1},
		"a coin, and a little back":  {need(600, 20_000, 500_000, 90_000, 5_000, 800), "5000", 2, false, 209 * 20 * 99 / 100},
		"a coin, and change anew":    {need(0, 20_000, 500_000, 90_000, 800), "90000", 2, true, 221 * 20 * 99 / 100},
		"a coin, and nothing back":   {need(0, 20_000, 500_000, 3_700), "3700", 1, false, 3_900},
		"several coins":              {need(600, 50_000, 5_650, 5_650, 5_650, 5_650), "5650 5650 5650", 2, false, 345 * 50 * 99 / 100},
		"what is left in the wallet": {func() Need { n := need(0, 20_000, 90_000, 80_000); n.Reserve = 160_000; return n }(), "80000", 2, true, 221 * 20 * 99 / 100},
	} {
		made, err := c.need.Make()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var added []string
		for _, coin := range made.Added {
			added = append(added, fmt.Sprint(coin.Satoshi))
		}
		if got := strings.Join(added, " "); got != c.added || len(made.Outputs) != c.outputs || made.Fresh != c.fresh || made.Fee != c.fee {
			t.Errorf("%s: added %q, %d outputs, fresh %t, fee %d (%d bytes); want %q, %d, %t, %d", name, got, len(made.Outputs), made.Fresh, made.Fee, made.Size(), c.added, c.outputs, c.fresh, c.fee)
		}
		if made.LockTime != 7 || made.Version != 2 || !made.Spends(&c.need.Before) || !made.Pays(c.need.Outputs) {
			t.Errorf("%s: %+v", name, made.Transaction)
		}
	}
}

// Where there is no honest way to a higher fee, there is none.
func TestMakeRefuses(t *testing.T) {
	reserved := need(0, 20_000, 90_000)
	reserved.Reserve = 90_001
	other := need(600, 20_000, 90_000)
	other.Outputs = []transaction.Output{{Satoshi: 10_001, Script: payee}}
	two := need(600, 20_000, 90_000)
	two.Before.Outputs = append(two.Before.Outputs, transaction.Output{Satoshi: 5, Script: ours})
	for name, c := range map[string]struct {
		need Need
		want fault.Code
	}{
		"no coins":            {need(600, 20_000), fault.InsufficientFunds},
		"its own coin":        {func() Need { n := need(600, 20_000, 90_000); n.Coins[0].TxID = n.Before.Inputs[0].TxID; return n }(), fault.InsufficientFunds},
		"coins worth nothing": {need(600, 20_000, 900, 900, 900, 900), fault.InsufficientFunds},
		"beyond the cap":      {need(600, 101_000, 90_000), fault.InsufficientFunds},
		"the reserve":         {reserved, fault.InsufficientFunds},
		"pays something else": {other, fault.InvalidState},
		"two are nobody's":    {two, fault.InvalidState},
	} {
		if made, err := c.need.Make(); fault.CodeOf(err) != c.want {
			t.Errorf("%s: %+v, %v", name, made, err)
		}
	}
}

// Whatever there is, a replacement spends what came before, pays the same, is worth its
// relay by rate and in full, stays within the cap, and loses no satoshi.
func TestAnyReplacement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		coins := rapid.SliceOfN(rapid.Int64Range(1, 100_000), 0, 30).Draw(t, "coins")
		n := need(rapid.Int64Range(0, 20_000).Draw(t, "change"), rapid.Int64Range(1_000, 120_000).Draw(t, "rate"), coins...)
		n.Reserve = rapid.Int64Range(0, 50_000).Draw(t, "reserve")
		old := n.Spent
		for _, out := range n.Before.Outputs {
			old -= out.Satoshi
		}
		for range 3 { // and replacements of replacements
			made, err := n.Make()
			if err != nil {
				return
			}
			in, left := n.Spent, int64(0)
			for _, c := range n.Coins {
				left += c.Satoshi
			}
			for _, c := range made.Added {
				in, left = in+c.Satoshi, left-c.Satoshi
			}
			fee := in
			for i, out := range made.Outputs {
				fee -= out.Satoshi
				if out.Satoshi < Dust {
					t.Fatalf("output %d is dust: %+v", i, out)
				}
			}
			size := made.Size()
			switch {
			case fee != made.Fee || !made.Spends(&n.Before) || !made.Pays(n.Outputs) || len(made.Inputs) != len(n.Before.Inputs)+len(made.Added):
				t.Fatalf("%+v", made)
			case fee < old+size || fee*n.Before.Size() <= old*size:
				t.Fatalf("a fee of %d for %d bytes after %d for %d", fee, size, old, n.Before.Size())
			case fee*1000 > n.Most*size || fee*1000 < n.Rate*size*98/100-1000:
				t.Fatalf("a fee of %d for %d bytes at %d", fee, size, n.Rate)
			case len(made.Added) > 0 && left+in-fee-10_000 < n.Reserve:
				t.Fatalf("%d is left, less than %d", left, n.Reserve)
			}
			for _, c := range made.Added {
				for i := range n.Coins {
					if n.Coins[i].TxID == c.TxID {
						n.Coins = append(n.Coins[:i], n.Coins[i+1:]...)
						break
					}
				}
			}
			n.Before, n.Spent, n.Rate, old = made.Transaction, in, n.Rate*5/4, fee
		}
	})
}
