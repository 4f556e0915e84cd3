package customer_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/cashout/customer"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/cashdesk"
)

// The published tiers, at each of their edges.
func TestTiers(t *testing.T) {
	tiers := customer.DefaultTiers()
	if err := tiers.Check(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		cents int64
		asks  []customer.Ask
		code  fault.Code
	}{
		{0, nil, ""}, {1_000_00, nil, ""},
		{1_000_01, []customer.Ask{customer.Names}, ""}, {3_000_00, []customer.Ask{customer.Names}, ""},
		{3_000_01, []customer.Ask{customer.Names, customer.Document}, ""}, {10_000_00, []customer.Ask{customer.Names, customer.Document}, ""},
		{10_000_01, nil, fault.GuardExceeded},
	} {
		asks, err := tiers.At(money.New(c.cents, money.USD))
		if cmp.Diff(c.asks, asks) != "" || fault.CodeOf(err) != c.code {
			t.Errorf("%d: %v, %v", c.cents, asks, err)
		}
	}
	for cents, right := range map[int64]bool{9_99: false, 10_00: true, 1_000_00: true, 1_000_01: false, 0: false, -1: false} {
		if err := tiers.CheckOrder(money.New(cents, money.USD)); (err == nil) != right {
			t.Errorf("an order of %d: %v", cents, err)
		}
	}
	if got := tiers.Until(customer.Document); got.Minor != 3_000_00 {
		t.Errorf("documents from %v", got)
	}
}

// Rules that cannot hold are refused.
func TestTiersCheck(t *testing.T) {
	usd := func(cents int64) money.Amount { return money.New(cents, money.USD) }
	for name, change := range map[string]func(*customer.Tiers){
		"no window": func(x *customer.Tiers) { x.Window = 0 }, "no smallest": func(x *customer.Tiers) { x.Smallest = usd(0) },
		"largest below": func(x *customer.Tiers) { x.Largest = usd(1) }, "most below": func(x *customer.Tiers) { x.Most = usd(1) },
		"falling":     func(x *customer.Tiers) { x.Steps[1].Above = x.Steps[0].Above },
		"unknown ask": func(x *customer.Tiers) { x.Steps[0].Asks = []customer.Ask{"blood"} },
		"too many":    func(x *customer.Tiers) { x.Steps = make([]customer.Tier, 17) },
	} {
		tiers := customer.DefaultTiers()
		change(&tiers)
		if err := tiers.Check(); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Names have letters of any script, both parts or none.
func TestParseName(t *testing.T) {
	for _, c := range []struct {
		first, last string
		right       bool
	}{
		{"", "", true}, {" Ada ", "Lovelace", true}, {"Seán", "O'Brien", true}, {"毛", "泽东", true}, {"Jean-Luc", "de la Tour", true}, {"J.", "Doe", true},
		{"Ada", "", false}, {"", "Lovelace", false}, {"Ada1", "L", false}, {"<b>", "L", false}, {"A\nB", "L", false},
		{".", "-", false}, {"Ada", "’", false}, {"\u0301", "L", false}, {strings.Repeat("a", 65), "L", false},
	} {
		if _, err := customer.ParseName(c.first, c.last); (err == nil) != c.right {
			t.Errorf("%q %q: %v", c.first, c.last, err)
		}
	}
}

const list = `# made up
name: Ivan Ivanovich Petrov
name: MÜLLER, Jürgen
name: Seán O'Brien
name: Lukasz Groß
name: Мар'яна Лук´яненко
name: Ivan Petrov
name: Bruno Woods
name: Γιώργος Νηρέας
address: bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4

`

// A list finds names however they are written, and addresses whatever their case.
func TestList(t *testing.T) {
	l, err := customer.ReadList("sdn", strings.NewReader(list))
	if err != nil || l.Len() != 9 {
		t.Fatalf("%v, %v", l, err)
	}
	for _, c := range []struct{ first, last, address, kind string }{
		{"Jürgen", "Müller", "x", "name"}, {"muller", "JURGEN", "x", "name"}, {"Petrov Ivan", "Ivanovich", "x", "name"},
		{"Sean", "O’BRIEN", "x", "name"}, {"Sean", "O\u02bcBrien", "x", "name"}, {"Łukasz", "Gross", "x", "name"}, {"I\u20ddvan Ivanovich", "Petrov", "x", "name"},
		{"\u0406v\u0430n Ivan\u043evich", "\u0420\u0435tr\u03bfv", "x", "name"}, {"I\u0475\u0251n Ivanovich", "P\u0451trov", "x", "name"}, // other scripts' letters
		{"Iv\u3164an Ivanovich", "Petrov\u115f", "x", "name"}, // letters that nobody sees
		{"Мар\u02bcяна", "Лук’яненко", "x", "name"}, {"Sean", "Brien", "x", ""},
		// letters that look like another one as capitals than as small ones
		{"I\u03bdan", "Petrov", "x", "name"}, {"I\u03bdan", "PETRO\u0474", "x", "name"}, {"\u04c0van", "Petrov", "x", "name"}, {"Ivan", "Pet\u0433ov", "x", "name"},
		{"Br\u03c5\u03b7o", "Woods", "x", "name"}, {"BRU\u039dO", "WOODS", "x", "name"}, {"Bruno", "W\u03c3\u0585ds", "x", "name"}, {"Bruno", "\u03c9oods", "x", "name"},
		{"\u0392r\u057d\u0578o", "Wood\u054f", "x", "name"}, {"Iva\u043f", "Petrov", "x", "name"},
		{"ΓΙΏΡΓΟΣ", "Νηρέας", "x", "name"}, {"γιώργος", "ΝΗΡΈΑΣ", "x", "name"}, {"Inan", "Petrov", "x", ""}, {"Iuan", "Petrou", "x", ""},
		{"Ivan", "Pavlov", "x", ""}, {"", "", "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", "address"}, {"Ada", "Lovelace", "bc1other", ""},
	} {
		m, err := l.Screen(t.Context(), customer.Subject{Name: customer.Name{First: c.first, Last: c.last}, Address: c.address})
		if err != nil || m.Kind != c.kind || m.Found() != (c.kind != "") {
			t.Errorf("%+v: %+v, %v", c, m, err)
		}
	}
}

// A line that is none is named, and nothing of the list is used.
func TestListRefuses(t *testing.T) {
	for name, text := range map[string]string{"kind": "name: A\nperson: B\n", "empty": "name: A\naddress:\n", "no letters": "name: A\nname: ...\n", "long": "name: A\nname: " + strings.Repeat("x", 5000)} {
		if _, err := customer.ReadList("sdn", strings.NewReader(text)); fault.CodeOf(err) != fault.InvalidRequest || !strings.Contains(err.Error(), "sdn:2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := customer.ReadList("sdn", failing{}); err == nil {
		t.Error("a list that cannot be read is empty")
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the disk is gone") }

// broken is a service that does not answer.
type broken struct{}

func (broken) Screen(context.Context, customer.Subject) (customer.Match, error) {
	return customer.Match{}, fault.New(fault.Unavailable, "no answer")
}

// Screeners are asked in turn until one finds somebody or cannot say.
func TestScreeners(t *testing.T) {
	l, err := customer.ReadList("sdn", strings.NewReader(list))
	if err != nil {
		t.Fatal(err)
	}
	bad, good := customer.Subject{Name: customer.Name{First: "Jürgen", Last: "Müller"}}, customer.Subject{Address: "x"}
	if m, err := (customer.Screeners{l, broken{}}).Screen(t.Context(), bad); err != nil || !m.Found() {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := (customer.Screeners{l, broken{}}).Screen(t.Context(), good); fault.CodeOf(err) != fault.Unavailable {
		t.Error(err)
	}
	if m, err := (customer.Screeners{}).Screen(t.Context(), bad); err != nil || m.Found() {
		t.Errorf("%+v, %v", m, err)
	}
}

// A list of any text is read or refused, and never finds somebody of no name.
func FuzzReadList(f *testing.F) {
	f.Add([]byte(list))
	f.Add([]byte("name:\xff\nname: \u0301"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := customer.ReadList("fuzz", bytes.NewReader(text))
		if err != nil {
			return
		}
		if m, err := l.Screen(t.Context(), customer.Subject{}); err != nil || m.Found() {
			t.Errorf("nobody is on the list: %+v, %v", m, err)
		}
	})
}

// A phone has one profile, whose name is kept once and sealed; who decided on an older state of it has to decide anew.
func TestRegister(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		book := d.Look(d.Opened(5500)).Book
		register := customer.New(d.Vault)
		admit := func(number string) (c customer.Customer) {
			t.Helper()
			d.Must(db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) (err error) {
				c, err = register.Admit(ctx, tx, customer.Newcomer{Book: book, Hash: []byte(number), At: d.Clock.Now(),
					Seal: func(row string) ([]byte, error) { return d.Vault.Seal("test", row, []byte(number)) }})
				return err
			}))
			return c
		}
		c := admit("one")
		if again := admit("one"); again.ID != c.ID || admit("two").ID == c.ID {
			t.Errorf("%s and %s", c.ID, again.ID)
		}
		touch := func(c customer.Customer, name customer.Name) error {
			effects, err := register.Touch(c, name, d.Clock.Now())
			d.Must(err)
			return db.Apply(t.Context(), effects)
		}
		d.Must(touch(c, customer.Name{First: "Ada", Last: "Lovelace"}))
		if err := touch(c, customer.Name{}); !errors.Is(err, storage.ErrStale) {
			t.Errorf("decided on an old state: %v", err)
		}
		c, err := register.Find(t.Context(), db, book, c.ID)
		d.Must(err)
		d.Must(touch(c, customer.Name{First: "Eve", Last: "Other"}))
		c, err = register.Find(t.Context(), db, book, c.ID)
		d.Must(err)
		if name, err := register.NameOf(c); err != nil || name != (customer.Name{First: "Ada", Last: "Lovelace"}) || !c.HasName {
			t.Errorf("%s %s, %v", name.First, name.Last, err)
		}
		if strings.Contains(d.Contents(), "Lovelace") {
			t.Error("the name is stored in the clear")
		}
		if _, err := register.Find(t.Context(), db, book, "payee_none"); fault.CodeOf(err) != fault.NotFound {
			t.Error(err)
		}
	})
}
