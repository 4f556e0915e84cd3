package operator_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/webhook"
)

func (b *bundle) signIn(r *http.Request, _ []byte) {
	r.Header.Set("Authorization", "Bearer "+b.keys[account.RoleAdmin])
}

// raw is a request of an administrator with bytes that are not JSON.
func (b *bundle) raw(method, target string, body []byte) (*http.Request, *httptest.ResponseRecorder) {
	r := httptest.NewRequest(method, target, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/octet-stream")
	b.signIn(r, body)
	return r, httptest.NewRecorder()
}

var wildcard = regexp.MustCompile(`\{\w+\}`)

// What a role may not do is refused before anything is looked up; what it may do is not.
func TestRoles(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	for _, r := range b.surface.Routes() {
		target := wildcard.ReplaceAllString(r.Path, "nothing")
		for _, role := range []account.Role{account.RoleAdmin, account.RoleSupport, account.RoleAuditor} {
			w := b.do(role, r.Method, target, "")
			allowed := r.Public || role.May(account.Duty(r.Scope))
			if refused := w.Code == http.StatusForbidden; refused == allowed {
				t.Errorf("%s as %s: %d, allowed is %t", r.Name, role, w.Code, allowed)
			}
		}
	}
}

// Whatever changes something needs more than the duty to read.
func TestAuditorsOnlyRead(t *testing.T) {
	for _, r := range newSurface(t).Routes() {
		if r.Method != http.MethodGet && r.Scope == string(account.DutyRead) && r.Name != "giftcards.find" && r.Name != "cards.find" {
			t.Errorf("%s is a %s that auditors may do", r.Name, r.Method)
		}
		if r.Scope == "" && !r.Public {
			t.Errorf("%s asks for no duty", r.Name)
		}
	}
}

// A template's cover is what was uploaded, both ways, encoded anew.
func TestCover(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		r, w := b.raw("PUT", "/operator/v1/templates/aurora/cover", cover(t))
		if b.handler.ServeHTTP(w, r); w.Code != 200 {
			t.Fatalf("put: %d %s", w.Code, w.Body)
		}
		got := b.do(account.RoleAuditor, "GET", "/operator/v1/templates/aurora/cover", "")
		if got.Code != 200 || got.Header().Get("Content-Type") != "image/png" || !bytes.HasPrefix(got.Body.Bytes(), []byte("\x89PNG")) {
			t.Errorf("get: %d %s", got.Code, got.Header().Get("Content-Type"))
		}
		r, w = b.raw("GET", "/operator/v1/templates/aurora/cover", nil)
		r.Header.Del("Content-Type")
		r.Header.Set("If-None-Match", got.Header().Get("ETag"))
		if b.handler.ServeHTTP(w, r); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
			t.Errorf("get what one has: %d %s", w.Code, w.Body)
		}
		r, w = b.raw("PUT", "/operator/v1/templates/aurora/cover", []byte("no picture"))
		if b.handler.ServeHTTP(w, r); w.Code != 400 || !strings.Contains(w.Body.String(), `"field":"cover"`) {
			t.Errorf("put text: %d %s", w.Code, w.Body)
		}
	})
}

// Status tells the engine and that no migration is pending.
func TestStatus(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		w := b.do(account.RoleAuditor, "GET", "/operator/v1/status", "")
		var got struct {
			Version, Engine string
			Migrations      struct{ Applied, Pending int }
			Clock           struct {
				LiveAt string `json:"live_at"`
			}
		}
		check(t, json.Unmarshal(w.Body.Bytes(), &got))
		if got.Version != "1.2.3" || got.Engine != db.Engine() || got.Migrations.Pending != 0 || got.Migrations.Applied == 0 || got.Clock.LiveAt != "2026-11-21T09:00:00.000Z" {
			t.Errorf("status %s", w.Body)
		}
	})
}

// Every list gives each of its items once, in order, whatever the page size, and says so where
// it ends.
func TestPaging(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		book := "/operator/v1/books/" + string(b.customer.Test)
		for i := range 5 {
			w := b.do(account.RoleAdmin, "POST", "/operator/v1/customers/"+string(b.customer.ID)+"/wallet/loads",
				fmt.Sprintf(`{"realm":"test","amount":"1.00","currency":"USD","reference":"bank-%d"}`, i))
			if w.Code != 201 {
				t.Fatalf("load: %d %s", w.Code, w.Body)
			}
		}
		hook, err := b.Webhooks.Create(t.Context(), webhook.NewEndpoint{Book: b.customer.Test, Realm: realm.Test, URL: b.receiver.URL, Events: []string{"*"},
			Scheme: webhook.SchemeCardPing, Actor: seeder})
		check(t, err)
		for i := range 4 {
			_, err := b.Webhooks.SendTest(t.Context(), webhook.Change{Book: hook.Book, Endpoint: hook.ID, Actor: seeder})
			check(t, err)
			b.bought(t, fmt.Sprintf("1%d.00", i))
			b.look(t, "visa_gift", fmt.Sprintf("600649130000471%d", i))
			b.page(t, fmt.Sprintf("acme-%d", i))
			number := pan.NewSecret(fmt.Sprintf("GC000000000000001%d", i))
			_, err = b.Pings.AddHoney(t.Context(), ping.NewHoney{Realm: realm.Test, Network: "scrip", Number: number, Actor: seeder})
			check(t, err)
			caller := ping.Caller{Book: b.customer.Test, Realm: realm.Test, Credential: fmt.Sprintf("key_%d", i)}
			_, err = b.Pings.Ping(t.Context(), ping.Check{Caller: caller, Network: "scrip", Number: number})
			check(t, err)
		}
		for _, list := range []string{
			"/operator/v1/honey", "/operator/v1/suspensions", book + "/checks", book + "/portals",
			"/operator/v1/customers", "/operator/v1/operators", "/operator/v1/templates", "/operator/v1/audit", "/operator/v1/events?realm=test",
			book + "/accounts", book + "/transactions", book + "/events", book + "/statement?account_id=wallet/USD", book + "/giftcards",
			book + "/giftcards/" + string(b.card.Card.ID) + "/history", book + "/cards", book + "/webhooks/" + string(hook.ID) + "/deliveries",
		} {
			whole := b.walk(t, list, 200)
			for _, size := range []int{1, 2, 3} {
				if got := b.walk(t, list, size); got != whole || whole == "" {
					t.Errorf("%s by %d:\n%s\nwant\n%s", list, size, got, whole)
				}
			}
		}
	})
}

// walk reads a list page by page and returns its items, one a line.
func (b *bundle) walk(t *testing.T, list string, size int) string {
	t.Helper()
	join := "?"
	if strings.Contains(list, "?") {
		join = "&"
	}
	var items strings.Builder
	cursor := ""
	for range 100 {
		w := b.do(account.RoleAuditor, "GET", fmt.Sprintf("%s%slimit=%d&cursor=%s", list, join, size, cursor), "")
		var got struct {
			Data       []json.RawMessage
			NextCursor string `json:"next_cursor"`
		}
		check(t, json.Unmarshal(w.Body.Bytes(), &got))
		mayBeEmpty := cursor == "" || strings.Contains(list, "/orders?") // as its contract says
		if w.Code != 200 || len(got.Data) > size || len(got.Data) == 0 && !mayBeEmpty {
			t.Fatalf("%s: %d with %d items", list, w.Code, len(got.Data))
		}
		for _, item := range got.Data {
			fmt.Fprintf(&items, "%s\n", item)
		}
		if cursor = got.NextCursor; cursor == "" {
			return items.String()
		}
	}
	t.Fatalf("%s never ends", list)
	return ""
}

// A statement that is too long for one file goes on in the next, without a gap.
func TestLongStatement(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	const entries = 20_500
	from, to := ledger.AccountID("cash/USD"), ledger.AccountID("sales/USD")
	ops := make([]ledger.Operation, entries)
	for i := range ops {
		ops[i] = ledger.Operation{Book: b.customer.Test, Kind: "sale", Reference: "=1+1", At: began,
			Open:     []ledger.NewAccount{{ID: from, Currency: money.USD, Side: ledger.Debit, Unbounded: true}, {ID: to, Currency: money.USD, Side: ledger.Credit}},
			Postings: []ledger.Posting{{Debit: from, Credit: to, Amount: money.New(1, money.USD)}}}
	}
	_, err := b.Books.SubmitAll(t.Context(), ops, nil)
	check(t, err)
	next, cursor := entries, ""
	for file := 1; ; file++ {
		w := b.do(account.RoleAuditor, "GET", "/operator/v1/books/"+string(b.customer.Test)+"/statement.csv?account_id=sales/USD&cursor="+cursor, "")
		rows, err := csv.NewReader(w.Body).ReadAll()
		check(t, err)
		for _, row := range rows[1:] {
			if row[0] != fmt.Sprint(next) || row[4] != "'=1+1" {
				t.Fatalf("file %d: %s where %d should be", file, row, next)
			}
			next--
		}
		if cursor = w.Header().Get("X-Next-Cursor"); cursor == "" {
			break
		}
	}
	if next != 0 {
		t.Errorf("%d entries are missing", next)
	}
}

// A key has up to 64 networks, however long they are, and the audit log has them all.
func TestManyNetworks(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		var networks []string
		for i := range 65 {
			networks = append(networks, fmt.Sprintf("2001:db8:ffff:ffff:ffff:ffff:ffff:ff%02x/128", i+16))
		}
		keyOf := func(count int) *httptest.ResponseRecorder {
			t.Helper()
			body, err := json.Marshal(map[string]any{"name": "Till", "scopes": []string{"*"}, "networks": networks[:count]})
			check(t, err)
			return b.do(account.RoleAdmin, "POST", "/operator/v1/books/"+string(b.customer.Test)+"/keys", string(body))
		}
		if w := keyOf(65); w.Code != 400 || !strings.Contains(w.Body.String(), `"field":"networks"`) {
			t.Errorf("65 networks: %d %s", w.Code, w.Body)
		}
		if w := keyOf(64); w.Code != 201 {
			t.Fatalf("64 networks: %d %s", w.Code, w.Body)
		}
		entries, err := b.Audit.List(t.Context(), audit.Filter{Book: string(b.customer.Test), Action: "key.create", Limit: 1})
		check(t, err)
		var noted []string
		for _, name := range slices.Sorted(maps.Keys(entries[0].Detail)) {
			if strings.HasPrefix(name, "networks") {
				noted = append(noted, strings.Fields(entries[0].Detail[name])...)
			}
		}
		if diff := cmp.Diff(networks[:64], noted); diff != "" {
			t.Error(diff)
		}
	})
}

// Of two changes of different parts of one thing at once both are kept.
func TestChangesOfParts(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		other, err := b.Accounts.CreateOperator(t.Context(), seeder, account.NewOperator{Name: "Otto", Role: account.RoleAdmin})
		check(t, err)
		key, err := b.Accounts.CreateKey(t.Context(), seeder, account.NewKey{Book: b.customer.Test,
			KeySettings: account.KeySettings{Name: "Till", Scopes: account.NewScopes(account.ScopeAll)}})
		check(t, err)
		_, err = b.Pings.AddNetwork(t.Context(), ping.Setup{Configured: ping.Configured{Realm: realm.Live, ID: "acme", Name: "Acme", Type: ping.ClosedLoop, Kind: "http"},
			Config: []byte(`{"url":"https://acme.example"}`), Actor: seeder})
		check(t, err)
		_, err = b.Supply.Add(t.Context(), supply.Setup{Configured: supply.Configured{Realm: realm.Test, ID: "house", Name: "House", Kind: supply.KindGiftcard},
			Config: []byte(`{"customer":"` + string(b.customer.ID) + `"}`), Actor: seeder})
		check(t, err)
		roles := []account.Role{account.RoleAuditor, account.RoleSupport}
		for target, part := range map[string]func(round int) string{
			"/customers/" + string(b.customer.ID): func(round int) string { return fmt.Sprintf(`"email":"shop%d@acme.example"`, round) },
			"/suppliers/test/house":               func(round int) string { return fmt.Sprintf(`"active":%t`, round%2 > 0) },
			"/networks/live/acme":                 func(round int) string { return fmt.Sprintf(`"active":%t`, round%2 > 0) },
			"/operators/" + string(other.ID):      func(round int) string { return fmt.Sprintf(`"role":"%s"`, roles[round%2]) },
			"/books/" + string(b.customer.Test) + "/keys/" + string(key.ID): func(round int) string {
				return fmt.Sprintf(`"networks":["10.0.%d.0/24"]`, round)
			},
		} {
			for round := range 24 {
				parts := []string{fmt.Sprintf(`"name":"Name %d"`, round), part(round)}
				var group sync.WaitGroup
				for _, changed := range parts {
					group.Go(func() {
						if w := b.do(account.RoleAdmin, "PATCH", "/operator/v1"+target, "{"+changed+"}"); w.Code != 200 {
							t.Errorf("%s: %d %s", changed, w.Code, w.Body)
						}
					})
				}
				group.Wait()
				got := b.do(account.RoleAuditor, "GET", "/operator/v1"+target, "").Body.String()
				for _, changed := range parts {
					if !strings.Contains(got, changed) {
						t.Fatalf("%s after round %d: %s, not %s", target, round, got, changed)
					}
				}
			}
		}
	})
}

// A balance that is asked for at the time of a statement's line is the line's, though times
// are kept finer than they are shown.
func TestBalanceAtALine(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		b.clock.Advance(123_456 * time.Microsecond)
		load := `{"realm":"test","amount":"1.00","currency":"USD","reference":"bank-1"}`
		if w := b.do(account.RoleAdmin, "POST", "/operator/v1/customers/"+string(b.customer.ID)+"/wallet/loads", load); w.Code != 201 {
			t.Fatalf("load: %d %s", w.Code, w.Body)
		}
		about := func(what string, out any) {
			t.Helper()
			w := b.do(account.RoleAuditor, "GET", "/operator/v1/books/"+string(b.customer.Test)+what+"&account_id="+string(wallet.Account(money.USD).ID), "")
			if err := json.Unmarshal(w.Body.Bytes(), out); err != nil || w.Code != 200 {
				t.Fatalf("%s: %d %s", what, w.Code, w.Body)
			}
		}
		var lines struct {
			Data []struct{ Balance, At string }
		}
		about("/statement?limit=1", &lines)
		for at, want := range map[string]string{lines.Data[0].At: lines.Data[0].Balance, "2026-11-21T09:00:00.122Z": "0.00", "2026-11-21T09:00:00.123455Z": "0.00"} {
			var then struct{ Posted, At string }
			if about("/balance?at="+at, &then); then.Posted != want || !strings.HasPrefix(at, strings.TrimSuffix(then.At, "Z")) {
				t.Errorf("at %s there was %s as of %s, want %s", at, then.Posted, then.At, want)
			}
		}
	})
}

// Followers of the feed see each new event once, in pages.
func TestFeedFollows(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		newest := func(target string) (string, int) {
			w := b.do(account.RoleAuditor, "GET", target, "")
			var got struct {
				Data         []json.RawMessage
				NewestCursor string `json:"newest_cursor"`
				NextCursor   string `json:"next_cursor"`
			}
			check(t, json.Unmarshal(w.Body.Bytes(), &got))
			if strings.Contains(target, "after=") && got.NextCursor != "" {
				t.Errorf("%s leads back to what was read", target)
			}
			return got.NewestCursor, len(got.Data)
		}
		const feed = "/operator/v1/events?realm=test"
		b.clock.Advance(11e9)
		place, n := newest(feed)
		if n != 3 {
			t.Fatalf("%d events at first", n)
		}
		if place, n = newest(feed + "&after=" + place); n != 0 {
			t.Fatalf("%d events too many", n)
		}
		b.clock.Advance(1e9)
		w := b.do(account.RoleSupport, "POST", "/operator/v1/books/"+string(b.customer.Test)+"/giftcards/"+string(b.card.Card.ID)+"/block", `{"reason":"lost"}`)
		if w.Code != 200 {
			t.Fatalf("block: %d %s", w.Code, w.Body)
		}
		load := `{"realm":"test","amount":"1.00","currency":"USD","reference":"bank-1"}`
		if w := b.do(account.RoleAdmin, "POST", "/operator/v1/customers/"+string(b.customer.ID)+"/wallet/loads", load); w.Code != 201 {
			t.Fatalf("load: %d %s", w.Code, w.Body)
		}
		if _, n = newest(feed + "&after=" + place); n != 0 {
			t.Errorf("%d events that others may still precede", n)
		}
		late, _ := newest(feed) // whoever begins now
		b.clock.Advance(11e9)
		for _, place := range []string{place, late} {
			if _, n = newest(feed + "&limit=1&after=" + place); n != 1 {
				t.Errorf("%d new events", n)
			}
		}
	})
}

// A reason of a hundred characters is taken in every script.
func TestReasonsOfAnyScript(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		m := giftcard.Merchant{Book: b.customer.Test, Realm: realm.Test, Actor: seeder}
		spare, err := b.Cards.Create(t.Context(), m, giftcard.Issue{Title: "Spare", TemplateID: "aurora", Amount: money.New(700, money.USD)})
		check(t, err)
		hook, err := b.Webhooks.Create(t.Context(), webhook.NewEndpoint{Book: b.customer.Test, Realm: realm.Test, URL: b.receiver.URL, Events: []string{"*"},
			Scheme: webhook.SchemeCardPing, Actor: seeder})
		check(t, err)
		book, customer := "/books/"+string(b.customer.Test), "/customers/"+string(b.customer.ID)
		card := book + "/giftcards/" + string(spare.Card.ID)
		const redemptions = `"account_id":"giftcard.redeemed/USD",`
		for _, call := range [][2]string{
			{customer + "/suspend"}, {customer + "/reactivate"}, {book + "/accounts/freeze", redemptions}, {book + "/accounts/unfreeze", redemptions},
			{book + "/transactions/" + string(b.redeemed.Transaction) + "/reverse"}, {card + "/block"}, {card + "/unblock"}, {card + "/cancel"},
			{book + "/webhooks/" + string(hook.ID) + "/disable"},
		} {
			reason := `"reason":"` + strings.Repeat("𠮷", 100) + `"`
			if w := b.do("admin", "POST", "/operator/v1"+call[0], "{"+call[1]+reason+"}"); w.Code > 299 {
				t.Errorf("%s: %d %s", call[0], w.Code, w.Body)
			}
		}
		entries, err := b.Audit.List(t.Context(), audit.Filter{Everywhere: true})
		check(t, err)
		for _, e := range entries {
			if e.Detail["reason"] == "[redacted]" {
				t.Errorf("%s was done without a reason", e.Action)
			}
		}
	})
}

// Everything that operators do is in the audit log under their id, and the log's chains hold.
func TestActionsAreAudited(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		card := "/operator/v1/books/" + string(b.customer.Test) + "/giftcards/" + string(b.card.Card.ID)
		made := b.page(t, "acme")
		_, err := b.Pings.AddHoney(t.Context(), ping.NewHoney{Realm: realm.Test, Network: "scrip", Number: pan.NewSecret("GC0000000000000017"), Actor: seeder})
		check(t, err)
		b.look(t, "scrip", "GC0000000000000017")
		for _, call := range [][2]string{
			{card + "/reveal", ""}, {card + "/block", `{"reason":"lost"}`},
			{"/operator/v1/books/" + string(b.customer.Test) + "/accounts/freeze", `{"account_id":"giftcard.funding/USD","reason":"review"}`},
			{"/operator/v1/books/" + string(b.customer.Test) + "/portals/" + string(made.ID) + "/disable", `{"reason":"phishing"}`},
			{"/operator/v1/books/" + string(b.customer.Test) + "/suspensions/lift", `{"caller":"key_desk","reason":"their own test"}`},
			{"/operator/v1/customers/" + string(b.customer.ID) + "/suspend", `{"reason":"chargebacks"}`},
			{"/operator/v1/customers/" + string(b.customer.ID) + "/wallet/loads", `{"realm":"test","amount":"1.00","currency":"USD","reference":"bank-1"}`},
		} {
			if w := b.do(account.RoleAdmin, "POST", call[0], call[1]); w.Code > 299 {
				t.Errorf("%s: %d %s", call[0], w.Code, w.Body)
			}
		}
		me, err := b.Accounts.AuthenticateOperator(t.Context(), b.keys[account.RoleAdmin], netip.Addr{})
		check(t, err)
		entries, err := b.Audit.List(t.Context(), audit.Filter{Everywhere: true, Actor: string(me.ID)})
		check(t, err)
		actions := map[string]bool{}
		for _, e := range entries {
			actions[e.Action] = true
		}
		want := map[string]bool{"giftcard.reveal": true, "giftcard.block": true, "account.freeze": true, "customer.suspend": true, "wallet.load": true,
			"portal.change": true, "caller.lift": true}
		if diff := cmp.Diff(want, actions); diff != "" {
			t.Error(diff)
		}
	})
}

// Whoever helps customers makes them no money: a wallet is loaded by those alone who may do everything.
func TestSupportLoadsNoWallet(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		purse := "/operator/v1/customers/" + string(b.customer.ID) + "/wallet"
		before := b.do(account.RoleAuditor, "GET", purse+"?realm=test", "").Body.String()
		if w := b.do(account.RoleSupport, "POST", purse+"/loads", `{"realm":"test","amount":"1.00","currency":"USD","reference":"bank-1"}`); w.Code != 403 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if after := b.do(account.RoleAuditor, "GET", purse+"?realm=test", "").Body.String(); after != before {
			t.Errorf("the wallet was %s, and is %s", before, after)
		}
	})
}

// Statements can be had as a PDF, with a name for its file.
func TestStatementPDF(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		b.spend(t, nil)
		found, err := b.Issuing.List(t.Context(), issuing.Filter{Holder: issuing.Holder{Book: b.customer.Test, Realm: realm.Test}})
		check(t, err)
		card, base := string(found.Cards[0].ID), "/operator/v1/books/"+string(b.customer.Test)
		for target, name := range map[string]string{base + "/cards/" + card + "/statements/2026-11/pdf": "statement-" + card + "-2026-11.pdf",
			base + "/wallets/USD/statements/2026-11/pdf": "statement-wallet-USD-2026-11.pdf"} {
			w := b.do(account.RoleAuditor, "GET", target, "")
			if w.Code != 200 || w.Header().Get("Content-Type") != "application/pdf" || w.Header().Get("Content-Disposition") != "attachment; filename="+name ||
				!strings.HasPrefix(w.Body.String(), "%PDF-") {
				t.Errorf("%s: %d %v", target, w.Code, w.Header())
			}
		}
	})
}
