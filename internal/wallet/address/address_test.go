package address_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/webhook"
)

var (
	bitcoin = address.Place{Realm: realm.Live, Chain: asset.Bitcoin}
	monero  = address.Place{Realm: realm.Live, Chain: asset.Monero}
	solana  = address.Place{Realm: realm.Live, Chain: asset.Solana}
)

// outside is a wallet process that a test can take away.
type outside struct {
	mu   sync.Mutex
	down bool
	made []uint32
}

func (*outside) Name() string { return "outside" }

func (o *outside) Address(_ context.Context, position uint32) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down {
		return "", errors.New("connection refused")
	}
	o.made = append(o.made, position)
	return fmt.Sprintf("8sub%d", position), nil
}

type bench struct {
	*address.Service
	t       *testing.T
	books   *ledger.Ledger
	outside *outside
	log     *bytes.Buffer
	outbox  *webhook.Outbox
}

func each(t *testing.T, test func(t *testing.T, b *bench)) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := &bench{t: t, outside: &outside{}, log: &bytes.Buffer{}}
		clocks := clock.NewRealms(clock.NewManual(time.Date(2026, 5, 22, 12, 0, 0, 0, time.UTC)))
		b.books = ledger.New(db, clocks, ledger.Config{})
		t.Cleanup(b.books.Close)
		key, err := address.ParseBitcoin("zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs")
		check.OK(b.t, err)
		b.outbox = webhook.NewOutbox(webhook.Deps{DB: db, Clocks: clocks, Logger: slog.New(slog.DiscardHandler)})
		b.Service = address.New(address.Deps{DB: db, Audit: audit.New(db), Outbox: b.outbox, Clocks: clocks, Logger: slog.New(slog.NewTextHandler(b.log, nil)),
			Makers: map[address.Place]address.Maker{bitcoin: key, monero: b.outside}, Pools: map[address.Place]int{solana: 2}})
		test(t, b)
	})
}

// another is the same in another process.
func (b *bench) another(change func(*address.Deps)) *address.Service {
	d := b.Deps
	d.Makers = map[address.Place]address.Maker{}
	for p, m := range b.Makers {
		d.Makers[p] = m
	}
	change(&d)
	return address.New(d)
}

func (b *bench) wallet(name string) address.Wallet {
	b.t.Helper()
	w := address.Wallet{Book: ledger.BookID(name), Realm: realm.Live}
	check.OK(b.t, b.DB.Write(context.Background(), func(ctx context.Context, tx *storage.Tx) error {
		return ledger.OpenBook(ctx, tx, ledger.Book{ID: w.Book, Realm: w.Realm, OpenedAt: b.Clocks.Now(w.Realm)})
	}))
	return w
}

func (b *bench) give(w address.Wallet, chain asset.Chain) string {
	b.t.Helper()
	text, err := b.Address(context.Background(), w, chain)
	check.OK(b.t, err)
	return text
}

func (b *bench) refused(w address.Wallet, chain asset.Chain, want fault.Code) {
	b.t.Helper()
	if text, err := b.Address(context.Background(), w, chain); fault.CodeOf(err) != want || text != "" {
		b.t.Fatalf("%q, %v; want %s", text, err, want)
	}
}

// A wallet keeps the address it was given, on each chain one, and no two wallets share any.
func TestOneEach(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		first, second := b.wallet("first"), b.wallet("second")
		want := "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu"
		for range 3 {
			if got := b.give(first, asset.Bitcoin); got != want {
				t.Fatalf("%s, want %s", got, want)
			}
		}
		if got, want := b.give(second, asset.Bitcoin), "bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g"; got != want {
			t.Errorf("the second: %s, want %s", got, want)
		}
		if got := b.give(first, asset.Monero); got != "8sub0" {
			t.Errorf("monero: %s", got)
		}
		owner, found, err := b.Find(context.Background(), bitcoin, want)
		if err != nil || !found || owner != first.Book {
			t.Errorf("owner %s, %t, %v", owner, found, err)
		}
		for _, p := range []address.Place{{Realm: realm.Test, Chain: asset.Bitcoin}, monero} {
			if owner, found, err := b.Find(context.Background(), p, want); found || err != nil {
				t.Errorf("%v: owner %s, %v", p, owner, err)
			}
		}
		all, err := b.List(context.Background(), first.Book)
		if err != nil || len(all) != 2 || all[0] != (address.Given{Chain: asset.Bitcoin, Address: want}) {
			t.Errorf("%v, %v", all, err)
		}
		b.refused(first, asset.Ethereum, fault.FeatureDisabled)
		preview, err := b.Preview(context.Background(), bitcoin, 3)
		if err != nil || len(preview) != 3 || preview[0] != want || preview[1] != b.give(second, asset.Bitcoin) {
			t.Errorf("%v, %v", preview, err)
		}
		for p, count := range map[address.Place]int{bitcoin: 0, monero: address.MaxPreview + 1, solana: 1} {
			if _, err := b.Preview(context.Background(), p, count); err == nil {
				t.Errorf("a preview of %d on %s", count, p.Chain)
			}
		}
	})
}

// What was restored from a backup knows nothing of the addresses that were given since: passed
// over, they are given to nobody else.
func TestSkip(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := context.Background()
		var list []string
		for n := range 4 {
			text, err := address.Demo{}.Address(ctx, uint32(n))
			check.OK(b.t, err)
			list = append(list, text)
		}
		_, err := b.Import(ctx, address.Import{Place: solana, Addresses: list, Actor: "ada"})
		check.OK(b.t, err)
		given, err := b.Preview(ctx, bitcoin, 4)
		check.OK(b.t, err)
		first, second := b.wallet("first"), b.wallet("second")
		for _, c := range []asset.Chain{asset.Bitcoin, asset.Monero, asset.Solana} {
			b.give(first, c)
			if n, err := b.Skip(ctx, address.Skip{Place: address.Place{Realm: realm.Live, Chain: c}, Count: 2, Actor: "ada"}); err != nil || n != 3 {
				t.Errorf("%s: %d, %v", c, n, err)
			}
		}
		log, err := b.Audit.List(ctx, audit.Filter{Everywhere: true})
		check.OK(b.t, err)
		var told []string
		for _, e := range log {
			told = append(told, fmt.Sprint(e.Actor, " ", e.Action, " ", e.Subject, " ", e.Detail))
		}
		slices.Sort(told)
		check.List(t, "the audit log", told, "ada wallet.import_addresses solana map[added:4 known:0 realm:live]", "ada wallet.skip_addresses bitcoin map[realm:live skipped:2]",
			"ada wallet.skip_addresses monero map[realm:live skipped:2]", "ada wallet.skip_addresses solana map[realm:live skipped:2]")
		for c, want := range map[asset.Chain]string{asset.Bitcoin: given[3], asset.Monero: "8sub3", asset.Solana: list[3]} {
			if got := b.give(second, c); got != want {
				t.Errorf("%s: %s, want %s", c, got, want)
			}
			if got := b.give(first, c); got == want {
				t.Errorf("%s: the first has %s now", c, got)
			}
		}
		if n, err := b.Skip(ctx, address.Skip{Place: monero, Count: address.MaxSkip, Actor: "ada"}); err != nil || n != 4+address.MaxSkip {
			t.Errorf("%d, %v", n, err)
		}
		if n, err := b.Skip(ctx, address.Skip{Place: bitcoin, Count: 1, Actor: "ada"}); err != nil || n != 5 {
			t.Errorf("%d, %v", n, err)
		}
		for _, c := range []struct {
			place address.Place
			count int
			want  fault.Code
		}{
			{bitcoin, 0, fault.InvalidRequest},
			{bitcoin, address.MaxSkip + 1, fault.InvalidRequest},
			{solana, 1, fault.InvalidRequest},
			{address.Place{Realm: realm.Test, Chain: asset.Bitcoin}, 1, fault.FeatureDisabled},
		} {
			if _, err := b.Skip(ctx, address.Skip{Place: c.place, Count: c.count, Actor: "ada"}); fault.CodeOf(err) != c.want {
				t.Errorf("%v, %d: %v, want %s", c.place, c.count, err, c.want)
			}
		}
	})
}

// However many ask for the first time at once, in two processes, a wallet has one address,
// and no position is wasted.
func TestAtOnce(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		wallets := []address.Wallet{b.wallet("first"), b.wallet("second"), b.wallet("third")}
		other := b.another(func(*address.Deps) {})
		var group sync.WaitGroup
		var mu sync.Mutex
		got := map[ledger.BookID]map[string]bool{}
		for i := range 24 {
			w := wallets[i%len(wallets)]
			service := []*address.Service{b.Service, other}[i%2]
			group.Go(func() {
				text, err := service.Address(context.Background(), w, asset.Bitcoin)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if got[w.Book] == nil {
					got[w.Book] = map[string]bool{}
				}
				got[w.Book][text] = true
			})
		}
		group.Wait()
		every := map[string]bool{}
		for _, w := range wallets {
			if len(got[w.Book]) != 1 {
				t.Errorf("%s has %v", w.Book, got[w.Book])
			}
			for text := range got[w.Book] {
				every[text] = true
			}
		}
		if len(every) != len(wallets) {
			t.Errorf("%d addresses for %d wallets", len(every), len(wallets))
		}
		fourth := b.give(b.wallet("fourth"), asset.Bitcoin)
		if at3, err := b.Makers[bitcoin].Address(context.Background(), 3); err != nil || fourth != at3 {
			t.Errorf("the fourth wallet has %s, want position 3: %s, %v", fourth, at3, err)
		}
	})
}

// A maker that does not answer gives no address, and later the one that was reserved.
func TestMakerDown(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		first, second := b.wallet("first"), b.wallet("second")
		b.outside.down = true
		b.refused(first, asset.Monero, fault.Unavailable)
		b.refused(first, asset.Monero, fault.Unavailable)
		b.outside.down = false
		if got := b.give(second, asset.Monero); got != "8sub1" {
			t.Errorf("the second: %s", got)
		}
		if got := b.give(first, asset.Monero); got != "8sub0" {
			t.Errorf("the first: %s", got)
		}
		if len(b.outside.made) != 2 {
			t.Errorf("made %v", b.outside.made)
		}
	})
}

// An address outlives the key that it was made from; new ones come from the new key, and so
// does one that was reserved and that nobody has seen.
func TestKeyReplaced(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		first, second, third := b.wallet("first"), b.wallet("second"), b.wallet("third")
		old := b.give(first, asset.Bitcoin)
		b.outside.down = true
		b.refused(second, asset.Monero, fault.Unavailable)
		key, err := address.ParseBitcoin(address.DemoBitcoin)
		check.OK(b.t, err)
		b.Service = b.another(func(d *address.Deps) { d.Makers[bitcoin], d.Makers[monero] = key, key })
		if got := b.give(first, asset.Bitcoin); got != old {
			t.Errorf("the old address became %s", got)
		}
		const fresh = "tb1q6rz28mcfaxtmd6v789l9rrlrusdprr9pqcpvkl"
		if got := b.give(third, asset.Bitcoin); got != fresh {
			t.Errorf("the new key's first is %s, want %s", got, fresh)
		}
		if got := b.give(third, asset.Monero); got != fresh {
			t.Errorf("the new key's first is %s, want %s", got, fresh)
		}
		next, err := key.Address(context.Background(), 1)
		check.OK(b.t, err)
		if got := b.give(second, asset.Monero); got != next {
			t.Errorf("the reserved one is %s, want the new key's next, %s", got, next)
		}
		if got := b.give(b.wallet("fourth"), asset.Monero); got == fresh || got == next {
			t.Errorf("%s is given twice", got)
		}
		if owner, found, err := b.Find(context.Background(), bitcoin, old); err != nil || !found || owner != first.Book {
			t.Errorf("the old address is %s's, %t, %v", owner, found, err)
		}
	})
}

// A key that comes back under another name, and makes the same addresses once more, gives nobody
// one that is another's.
func TestKeyRenamed(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		first, second := b.wallet("first"), b.wallet("second")
		old := b.give(first, asset.Bitcoin)
		again := b.another(func(d *address.Deps) { d.Makers[bitcoin] = renamed{d.Makers[bitcoin]} })
		for range 2 {
			if got, err := again.Address(t.Context(), second, asset.Bitcoin); err == nil || got != "" {
				t.Errorf("%q is given, %v", got, err)
			}
		}
		if owner, found, err := again.Find(t.Context(), bitcoin, old); err != nil || !found || owner != first.Book {
			t.Errorf("it is %s's, %t, %v", owner, found, err)
		}
	})
}

type renamed struct{ address.Maker }

func (renamed) Name() string { return "renamed" }

// A key gives the last of its addresses, and then no more.
func TestKeyUsedUp(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		first, second, third := b.wallet("first"), b.wallet("second"), b.wallet("third")
		b.give(first, asset.Monero)
		check.OK(t, b.DB.Write(context.Background(), func(ctx context.Context, tx *storage.Tx) error {
			_, err := tx.Exec(ctx, useUp, "outside")
			return err
		}))
		if got := b.give(second, asset.Monero); got != "8sub2147483647" {
			t.Errorf("the last is %s", got)
		}
		for range 2 {
			b.refused(third, asset.Monero, fault.Unavailable)
		}
		if last := b.outside.made[len(b.outside.made)-1]; last != math.MaxInt32 {
			t.Errorf("made %d", last)
		}
	})
}

var useUp = storage.SQL("address_test.use_up", `UPDATE wallet_makers SET given = 2147483647 WHERE maker = $1`)

// How many addresses were given is told for the only maker that gave some.
func TestIssued(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		expect := func(s *address.Service, want int64) {
			t.Helper()
			if got, err := s.Issued(context.Background(), monero); err != nil || got != want {
				t.Errorf("%d were given, %v; want %d", got, err, want)
			}
		}
		expect(b.Service, 0)
		b.give(b.wallet("first"), asset.Monero)
		b.outside.down = true
		b.refused(b.wallet("second"), asset.Monero, fault.Unavailable)
		expect(b.Service, 2) // it has its position
		key, err := address.ParseBitcoin(address.DemoBitcoin)
		check.OK(b.t, err)
		other := b.another(func(d *address.Deps) { d.Makers[monero] = key })
		if _, err := other.Issued(context.Background(), monero); fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("another maker: %v", err)
		}
		_, err = other.Address(context.Background(), b.wallet("third"), asset.Monero)
		check.OK(b.t, err)
		for _, s := range []*address.Service{b.Service, other} {
			_, err := s.Issued(context.Background(), monero)
			check.Code(t, "of two makers", err, fault.Unavailable)
		}
	})
}

// A list is given out in its order and once, its end is an alarm and then a refusal, and an
// import ends both.
func TestPool(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := context.Background()
		sol := func(n uint32) string {
			text, err := address.Demo{}.Address(ctx, n)
			check.OK(b.t, err)
			return text
		}
		b.refused(b.wallet("none"), asset.Solana, fault.Unavailable)
		add := func(want int, addresses ...string) {
			t.Helper()
			n, err := b.Import(ctx, address.Import{Place: solana, Addresses: addresses, Actor: "ada"})
			if err != nil || n != want {
				t.Fatalf("%d added, %v; want %d", n, err, want)
			}
		}
		levels := func(changed int, left int, low bool) {
			t.Helper()
			n, err := b.CheckLevels(ctx)
			check.OK(b.t, err)
			all, err := b.Levels(ctx)
			check.OK(b.t, err)
			if n != changed || len(all) != 1 || all[0].Left != left || all[0].Low != low {
				t.Fatalf("%d changed, %+v; want %d, %d left, low %t", n, all, changed, left, low)
			}
		}
		levels(1, 0, true)
		levels(0, 0, true)
		add(3, sol(1), sol(2), sol(1), sol(3))
		add(0, sol(2))
		levels(1, 3, false)
		for i := range 3 {
			if got := b.give(b.wallet(fmt.Sprint("w", i)), asset.Solana); got != sol(uint32(i+1)) {
				t.Errorf("wallet %d has %s", i, got)
			}
		}
		levels(1, 0, true)
		var told []string
		events, err := b.outbox.List(ctx, webhook.EventFilter{Book: webhook.House(solana.Realm)})
		check.OK(b.t, err)
		for _, e := range events {
			told = append(told, e.Type+" "+string(e.Data))
		}
		if want := []string{`addresses.low {"chain":"solana","left":0}`, `addresses.enough {"chain":"solana","left":3}`, `addresses.low {"chain":"solana","left":0}`}; !slices.Equal(told, want) {
			t.Errorf("the operators were told %q, want %q", told, want)
		}
		if log := b.log.String(); strings.Count(log, "addresses run low") != 2 || strings.Count(log, "chain=solana left=0") != 2 {
			t.Errorf("the log says %q", b.log)
		}
		b.refused(b.wallet("late"), asset.Solana, fault.Unavailable)
		add(1, sol(4))
		if got := b.give(address.Wallet{Book: "late", Realm: realm.Live}, asset.Solana); got != sol(4) {
			t.Errorf("the late one has %s", got)
		}
		for name, bad := range map[string]address.Import{
			"nothing":  {Place: solana},
			"ethereum": {Place: solana, Addresses: []string{"0x9858EfFD232B4033E47d90003D41EC34EcaEda94"}},
			"short":    {Place: solana, Addresses: []string{sol(5), "111111111111111111111111111111111111111111"}},
			"bitcoin":  {Place: bitcoin, Addresses: []string{sol(6)}},
		} {
			bad.Actor = "ada"
			if n, err := b.Import(ctx, bad); fault.CodeOf(err) != fault.InvalidRequest || n != 0 {
				t.Errorf("%s: %d, %v", name, n, err)
			}
		}
	})
}

// The levels of several lists stand in one order: live before test, then by chain.
func TestLevelsInOrder(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		want := []address.Place{{Realm: realm.Live, Chain: asset.Monero}, solana, {Realm: realm.Test, Chain: asset.Bitcoin}, {Realm: realm.Test, Chain: asset.Solana}}
		b.Service = b.another(func(d *address.Deps) {
			d.Pools = map[address.Place]int{}
			for _, p := range want {
				d.Pools[p] = 1
			}
		})
		for range 8 { // a map has another order each time
			all, err := b.Levels(context.Background())
			check.OK(t, err)
			var got []address.Place
			for _, l := range all {
				got = append(got, l.Place)
			}
			check.List(t, "levels", got, want...)
		}
	})
}

// Many wallets at once share a list without sharing an address.
func TestPoolAtOnce(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := context.Background()
		var list []string
		for n := range uint32(8) {
			text, err := address.Demo{}.Address(ctx, n)
			check.OK(b.t, err)
			list = append(list, text)
		}
		_, err := b.Import(ctx, address.Import{Place: solana, Addresses: list, Actor: "ada"})
		check.OK(b.t, err)
		var group sync.WaitGroup
		var mu sync.Mutex
		given, refused := map[string]int{}, 0
		for i := range 12 {
			w := b.wallet(fmt.Sprint("w", i))
			group.Go(func() {
				text, err := b.Address(ctx, w, asset.Solana)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case fault.CodeOf(err) == fault.Unavailable:
					refused++
				case err != nil:
					t.Error(err)
				default:
					given[text]++
				}
			})
		}
		group.Wait()
		if len(given) != 8 || refused != 4 {
			t.Errorf("%d were given and %d refused: %v", len(given), refused, given)
		}
	})
}
