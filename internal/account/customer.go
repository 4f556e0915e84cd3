package account

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// CustomerID names a customer ("cus_…").
type CustomerID string

// State says whether a customer's credentials work.
type State string

// The states of a customer.
const (
	Active    State = "active"
	Suspended State = "suspended"
)

// nextStates lists what each state may become.
var nextStates = map[State][]State{Active: {Suspended}, Suspended: {Active}}

// Customer owns a book in each realm and whatever is in them.
type Customer struct {
	ID        CustomerID
	Name      string
	Email     string // empty: none
	State     State
	Live      ledger.BookID
	Test      ledger.BookID
	CreatedAt time.Time
	ChangedAt time.Time
}

// Book returns the customer's book in r.
func (c *Customer) Book(r realm.Realm) ledger.BookID {
	if r == realm.Live {
		return c.Live
	}
	return c.Test
}

// NewCustomer describes a customer: a name of 1 to 128 characters and, if wanted, an email address.
type NewCustomer struct {
	Name  string
	Email string
	Also  storage.Also[Customer]
}

const maxSearch = 254 // characters

func (n NewCustomer) check() (NewCustomer, error) {
	var err error
	if n.Name, err = cleanText("name", n.Name, maxName); err != nil {
		return n, err
	}
	n.Email = strings.TrimSpace(n.Email)
	if n.Email == "" {
		return n, nil
	}
	if !plain.Email(n.Email) {
		return n, invalid("email", "want one plain email address")
	}
	return n, nil
}

// CreateCustomer makes a customer and opens both books.
func (s *Service) CreateCustomer(ctx context.Context, actor string, n NewCustomer) (Customer, error) {
	n, err := n.check()
	if err != nil {
		return Customer{}, err
	}
	var made Customer
	err = s.write(ctx, actor, func(ctx context.Context, c *change) error {
		var err error
		if made, err = c.createCustomer(ctx, n); err != nil {
			return err
		}
		return n.Also.Apply(ctx, c.Tx, made)
	})
	return made, err
}

func (c *change) createCustomer(ctx context.Context, n NewCustomer) (Customer, error) {
	customer := Customer{
		ID: CustomerID(id.New("cus")), Name: n.Name, Email: n.Email, State: Active,
		Live: ledger.BookID(id.New("bk")), Test: ledger.BookID(id.New("bk")), CreatedAt: c.at, ChangedAt: c.at,
	}
	if err := c.ExecRows(ctx, insertCustomer, [][]any{customer.row()}); err != nil {
		return Customer{}, err
	}
	if err := c.index(ctx, &customer); err != nil {
		return Customer{}, err
	}
	for _, r := range realm.All() {
		book := ledger.Book{ID: customer.Book(r), Realm: r, OpenedAt: c.at}
		if err := ledger.OpenBook(ctx, c.Tx, book); err != nil {
			return Customer{}, err
		}
		row := []any{string(book.ID), string(customer.ID), string(r), string(Active)}
		if err := c.ExecRows(ctx, insertBook, [][]any{row}); err != nil {
			return Customer{}, err
		}
		opened := note{action: "book.open", subject: string(book.ID), book: book.ID, realm: r,
			detail: map[string]string{"customer": string(customer.ID), "realm": string(r)}}
		if err := c.record(ctx, opened); err != nil {
			return Customer{}, err
		}
	}
	return customer, c.record(ctx, note{action: "customer.create", subject: string(customer.ID),
		detail: map[string]string{"live_book": string(customer.Live), "test_book": string(customer.Test)}})
}

// FindCustomer returns a customer, or fault.NotFound.
func (s *Service) FindCustomer(ctx context.Context, customer CustomerID) (Customer, error) {
	return findCustomer(ctx, s.db, readCustomer, customer)
}

func findCustomer(ctx context.Context, q storage.Queryer, read *storage.Statement, customer CustomerID) (Customer, error) {
	found, ok, err := storage.One(ctx, q, scanCustomer, read, string(customer))
	if err == nil && !ok {
		err = notFound("customer", clip(string(customer)))
	}
	return found, err
}

// ListCustomers returns customers, newest first.
func (s *Service) ListCustomers(ctx context.Context, page Page) (List[Customer], error) {
	before, read, err := page.before("cus")
	if err != nil {
		return List[Customer]{}, err
	}
	rows, err := storage.All(ctx, s.db, scanCustomer, listCustomers, before, read)
	if err != nil {
		return List[Customer]{}, err
	}
	return cut(rows, read, func(c Customer) string { return string(c.ID) }), nil
}

const (
	maxTerm  = 254 // bytes of a term by which customers are found
	maxWords = 16  // of a name, from which it is found
)

// index replaces the terms by which a customer is found.
func (c *change) index(ctx context.Context, customer *Customer) error {
	if _, err := c.Exec(ctx, deleteTerms, string(customer.ID)); err != nil {
		return err
	}
	var rows [][]any
	for _, term := range customer.terms() {
		rows = append(rows, []any{string(customer.ID), term})
	}
	return c.ExecRows(ctx, insertTerm, rows)
}

// terms are the address and the name, whole and from each further word on, each once.
func (c *Customer) terms() [][]byte {
	texts := []string{c.Email}
	words := strings.Fields(c.Name)
	for i := range min(len(words), maxWords) {
		texts = append(texts, strings.Join(words[i:], " "))
	}
	var terms [][]byte
	for _, text := range texts {
		term := searchTerm(text)
		if len(term) > 0 && !slices.ContainsFunc(terms, func(t []byte) bool { return bytes.Equal(t, term) }) {
			terms = append(terms, term)
		}
	}
	return terms
}

// searchTerm is a text as it is looked for: small letters, single spaces, at most maxTerm bytes.
func searchTerm(text string) []byte {
	term := []byte(strings.ToLower(strings.Join(strings.Fields(text), " ")))
	return term[:min(len(term), maxTerm)]
}

// SearchCustomers returns the customers whose name, from any word on, or email address
// begins with text, whatever the case of letters, in the order of what matches.
// It returns fault.InvalidRequest for a text of none or more than 254 characters.
func (s *Service) SearchCustomers(ctx context.Context, text string, page Page) (List[Customer], error) {
	text, err := cleanText("search", text, maxSearch)
	if err != nil {
		return List[Customer]{}, err
	}
	// In UTF-8 no byte is 0xFF: everything that begins with prefix is below prefix and one such.
	prefix := searchTerm(text)
	end, from, after := append(slices.Clone(prefix), 0xFF), prefix, ""
	if page.After != "" {
		id, term, _ := strings.Cut(page.After, " ")
		from, after, page.After = []byte(term), id, id
	}
	_, read, err := page.before("cus")
	if err != nil {
		return List[Customer]{}, err
	}
	rows, err := storage.All(ctx, s.db, scanMatch, searchCustomers, from, after, prefix, end, read)
	if err != nil {
		return List[Customer]{}, err
	}
	matches := cut(rows, read, func(m match) string { return string(m.ID) + " " + string(m.term) })
	found := List[Customer]{Next: matches.Next}
	for _, m := range matches.Items {
		found.Items = append(found.Items, m.Customer)
	}
	return found, nil
}

// ChangeCustomer replaces the name and the email address by what edit makes of them. The
// same ones again change nothing.
func (s *Service) ChangeCustomer(ctx context.Context, actor string, customer CustomerID, edit Edit[NewCustomer]) (Customer, error) {
	return s.changeCustomer(ctx, actor, customer, func(ctx context.Context, c *change, now *Customer) error {
		to, err := edit(NewCustomer{Name: now.Name, Email: now.Email})
		if err != nil {
			return err
		}
		if to, err = to.check(); err != nil {
			return err
		}
		if to.Name == now.Name && to.Email == now.Email {
			return to.Also.Apply(ctx, c.Tx, *now)
		}
		detail := map[string]string{
			"name_changed": strconv.FormatBool(now.Name != to.Name), "email_changed": strconv.FormatBool(now.Email != to.Email),
		}
		now.Name, now.Email, now.ChangedAt = to.Name, to.Email, c.at
		if err := c.index(ctx, now); err != nil {
			return err
		}
		if err := to.Also.Apply(ctx, c.Tx, *now); err != nil {
			return err
		}
		return c.record(ctx, note{action: "customer.change", subject: string(customer), detail: detail})
	})
}

// Suspend makes every credential of the customer be refused, in both realms. The
// reason, at most 128 characters, is for the audit log. What the customer's cards
// may do is for the products. It returns fault.InvalidState when suspended already.
func (s *Service) Suspend(ctx context.Context, actor string, customer CustomerID, reason string) (Customer, error) {
	return s.setState(ctx, actor, customer, stateChange{to: Suspended, action: "customer.suspend", reason: reason})
}

// Reactivate ends a suspension. It returns fault.InvalidState when there is none.
func (s *Service) Reactivate(ctx context.Context, actor string, customer CustomerID, reason string) (Customer, error) {
	return s.setState(ctx, actor, customer, stateChange{to: Active, action: "customer.reactivate", reason: reason})
}

type stateChange struct {
	to     State
	action string
	reason string
}

func (s *Service) setState(ctx context.Context, actor string, customer CustomerID, to stateChange) (Customer, error) {
	reason, err := cleanText("reason", to.reason, maxName)
	if err != nil {
		return Customer{}, err
	}
	changed, err := s.changeCustomer(ctx, actor, customer, func(ctx context.Context, c *change, now *Customer) error {
		if !slices.Contains(nextStates[now.State], to.to) {
			return fault.New(fault.InvalidState, "customer %s is %s", customer, now.State)
		}
		now.State, now.ChangedAt = to.to, c.at
		for _, r := range realm.All() {
			if err := c.Apply(ctx, []storage.Effect{setBookState.With(string(now.Book(r)), string(to.to)).Exactly(1)}); err != nil {
				return err
			}
		}
		return c.record(ctx, note{action: to.action, subject: string(customer), detail: map[string]string{"reason": reason}})
	})
	s.keys.Forget(func(g *grant) bool { return g.principal.Customer == customer })
	s.merchants.Forget(func(g *merchantGrant) bool { return g.merchant.Customer == customer })
	s.seeds.Forget(func(g *seedGrant) bool { return g.principal.Customer == customer })
	return changed, err
}

// changeCustomer lets edit change the locked row, and writes back what became different.
func (s *Service) changeCustomer(ctx context.Context, actor string, customer CustomerID, edit func(context.Context, *change, *Customer) error) (Customer, error) {
	var changed Customer
	err := s.write(ctx, actor, func(ctx context.Context, c *change) error {
		found, err := findCustomer(ctx, c, lockCustomer, customer)
		if err != nil {
			return err
		}
		changed = found
		if err := edit(ctx, c, &changed); err != nil || changed == found {
			return err
		}
		write := updateCustomer.With(string(changed.ID), changed.Name, storage.NullText(changed.Email), string(changed.State), storage.Micros(changed.ChangedAt))
		return c.Apply(ctx, []storage.Effect{write.Exactly(1)})
	})
	return changed, err
}

// Owner says whose a book is.
type Owner struct {
	Book     ledger.BookID
	Customer CustomerID
	Realm    realm.Realm
	State    State
}

// FindOwner returns the owner of a book, or fault.NotFound.
func (s *Service) FindOwner(ctx context.Context, book ledger.BookID) (Owner, error) {
	return findOwner(ctx, s.db, readBook, book)
}

func findOwner(ctx context.Context, q storage.Queryer, read *storage.Statement, book ledger.BookID) (Owner, error) {
	found, ok, err := storage.One(ctx, q, scanOwner, read, string(book))
	if err == nil && !ok {
		err = notFound("book", clip(string(book)))
	}
	return found, err
}

// maxBooks bounds the books that are read at once.
const maxBooks = 500

// EachBooks calls fn with the books of all customers, some at a time.
func EachBooks(ctx context.Context, q storage.Queryer, fn func([]ledger.BookID) error) error {
	for last := ""; ; {
		some, err := storage.All(ctx, q, storage.Scalar[ledger.BookID], listBooks, last, maxBooks)
		if err != nil || len(some) == 0 {
			return err
		}
		if err := fn(some); err != nil {
			return err
		}
		last = string(some[len(some)-1])
	}
}
