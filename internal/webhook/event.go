package webhook

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/quote"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
)

// EventID names an event ("evt_…"). It is what receivers recognise repetitions by.
type EventID string

// NewEventID returns a fresh id for an event whose maker needs to know it.
func NewEventID() EventID { return EventID(id.New("evt")) }

// Event is something that happened, for those who subscribed to its type.
type Event struct {
	// ID may be left empty: Effects makes one.
	ID    EventID
	Book  ledger.BookID
	Realm realm.Realm
	// Type is dotted lower case, such as "card.created"; at most 64 bytes.
	Type string
	// Data is one JSON value of at most 64 KiB, sent as it is.
	Data []byte
	// Sensitive data, such as a one-time code, is sealed where it is stored and left out of lists.
	Sensitive bool
	// At is when it happened, in the realm's time; now when zero.
	At time.Time
	// State says, when listed, whether deliveries were made: none, pending or dispatched.
	State string
}

// The states of an event.
const (
	eventNone       = "none" // nobody subscribed
	eventPending    = "pending"
	eventDispatched = "dispatched"
)

const (
	maxData = 64 << 10
	maxType = 64
	// sealEvent and sealSecret are what things are sealed for.
	sealEvent  = "webhook.event"
	sealSecret = "webhook.secret"
)

// Data is the data of an event: an object of texts and whole numbers, written as it is built.
type Data struct{ text []byte }

// Text adds a member; an empty value is left out.
func (d *Data) Text(name, value string) *Data {
	if value == "" {
		return d
	}
	d.name(name)
	d.text = quote.JSON(d.text, value)
	return d
}

// Int adds a member that is a whole number.
func (d *Data) Int(name string, value int64) *Data {
	d.name(name)
	d.text = strconv.AppendInt(d.text, value, 10)
	return d
}

// Number adds a member that is an amount in major units, as a number with all its decimals.
func (d *Data) Number(name string, amount money.Amount) *Data {
	d.name(name)
	d.text = amount.Append(d.text)
	return d
}

func (d *Data) name(name string) {
	if d.text == nil {
		d.text = append(make([]byte, 0, 512), '{')
	} else {
		d.text = append(d.text, ',')
	}
	d.text = append(quote.JSON(d.text, name), ':')
}

// JSON returns the object. Nothing may be added afterwards.
func (d *Data) JSON() []byte {
	if d.text == nil {
		return []byte("{}")
	}
	return append(d.text, '}')
}

// Outbox takes events. It is safe for concurrent use.
type Outbox struct {
	db            *storage.DB
	clocks        *clock.Realms
	vault         *vault.Vault
	logger        *slog.Logger
	subscriptions subscriptions
	wake          chan struct{} // one token: an event may be pending
}

// NewOutbox returns an outbox on d's database, clocks, vault and logger whose events nobody
// delivers: Service has its own.
func NewOutbox(d Deps) *Outbox {
	return &Outbox{db: d.DB, clocks: d.Clocks, vault: d.Vault, logger: d.Logger, wake: make(chan struct{}, 1)}
}

// Effects returns what adds e to the caller's transaction: one row. It reads no
// database: who subscribed is known from memory. An event that breaks a limit or
// holds no JSON is a mistake in the program; its effect refuses the transaction.
func (o *Outbox) Effects(e Event) []storage.Effect {
	if e.ID == "" {
		e.ID = NewEventID()
	}
	if e.At.IsZero() {
		e.At = o.clocks.Now(e.Realm)
	}
	state := eventNone
	if o.subscriptions.wants(e.Book, e.Type) {
		state = eventPending
		o.Wake()
	}
	return []storage.Effect{o.insert(e, state)}
}

// insert is the effect of storing e; the table refuses the state of an invalid event.
func (o *Outbox) insert(e Event, state string) storage.Effect {
	data, sealed, err := e.Data, int64(0), e.validate()
	if err == nil && e.Sensitive {
		sealed = 1
		data, err = o.vault.Seal(sealEvent, string(e.ID), e.Data)
	}
	if err != nil {
		o.logger.Error("webhook event refused", "type", e.Type, "event", string(e.ID), "error", err)
		state, data = "invalid: "+err.Error(), []byte("-")
	}
	return insertEvent.Row(string(e.Book), string(e.ID), string(e.Realm), e.Type, data, sealed, state, storage.Micros(e.At))
}

func (e *Event) validate() error {
	switch {
	case e.Book == "" || !id.Valid("evt", string(e.ID)):
		return fmt.Errorf("a book and an id of evt_ are required")
	case !validType(e.Type):
		return fmt.Errorf("the type must be dotted lower case of at most %d bytes", maxType)
	case len(e.Data) > maxData || !json.Valid(e.Data):
		return fmt.Errorf("the data must be JSON of at most %d bytes", maxData)
	}
	_, err := realm.Parse(string(e.Realm))
	return err
}

// validType reports whether text is words of lower-case letters, digits and _ with dots between them, two at least.
func validType(text string) bool {
	dots, word := 0, 0
	for _, c := range []byte(text) {
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_':
			word++
		case c == '.' && word > 0:
			dots, word = dots+1, 0
		default:
			return false
		}
	}
	return len(text) <= maxType && dots > 0 && word > 0
}

const housePrefix = "house_"

// House names the book of an installation's own events in a realm: what concerns its
// operators, whoever their customers are. There is no money in it.
func House(r realm.Realm) ledger.BookID { return ledger.BookID(housePrefix + string(r)) }

// HouseRealm returns the realm of a book that House named, and whether it did.
func HouseRealm(book string) (realm.Realm, bool) {
	name, ok := strings.CutPrefix(book, housePrefix)
	if !ok {
		return "", false
	}
	r, err := realm.Parse(name)
	return r, err == nil
}

// Operators returns what tells the operators of an event: e, in the house's book of its realm.
func (o *Outbox) Operators(e Event) []storage.Effect {
	e.Book = House(e.Realm)
	return o.Effects(e)
}

// Wake has pending events looked for soon. Effects calls it by itself; after a
// transaction that took long, its maker may call it again. It never blocks.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default: // the token that is there does
	}
}

// rest waits for d at most and reports whether it was woken.
func (o *Outbox) rest(ctx context.Context, d time.Duration) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	woken := make(chan bool, 1)
	go func() {
		select {
		case <-o.wake:
			woken <- true
			cancel()
		case <-ctx.Done():
			woken <- false
		}
	}()
	_ = clock.Wait(ctx, d) // whether time or the wake ended it is told below
	cancel()
	return <-woken
}

// Page sizes of lists, and how much is looked at for a page of a few among many.
const (
	DefaultLimit = 50
	MaxLimit     = 200
	MaxLooked    = 10_000
)

// Cursor is a place in a list of events, as Event.Cursor gives it. Empty is no place.
type Cursor string

// Cursor returns the place of e.
func (e *Event) Cursor() Cursor {
	text := strconv.FormatInt(storage.Micros(e.At), 10) + "/" + string(e.Book) + "/" + string(e.ID)
	return Cursor(base64.RawURLEncoding.EncodeToString([]byte(text)))
}

// EventFilter says which events to list: those of one book, or of all books of a
// realm in the order of their times.
type EventFilter struct {
	Book ledger.BookID
	// Realm is needed where Book is empty.
	Realm realm.Realm
	// Type, when set, must be equal to the event's.
	Type string
	// Before lists what is older than a place, After the nearest of what is newer. At most one is set.
	Before, After Cursor
	// Settled leaves out of what is newer than After what happened so lately that an earlier
	// event may still be written down.
	Settled bool
	// Limit is the page size, DefaultLimit when 0, MaxLimit and one more at most.
	Limit int
	// Look is how many events are looked at for those of a type, MaxLooked when 0.
	Look int
}

// Search returns a page of events, newest first, without sensitive data. Of a Type it looks at
// f.Look events at most: where it passed over so many, it may return fewer than were asked for,
// none even, and then the place to go on from, behind which there may be nothing. It returns the
// fault invalid_cursor when a cursor is none of Event.Cursor's.
func (o *Outbox) Search(ctx context.Context, f EventFilter) ([]Event, Cursor, error) {
	place, err := f.place()
	if err != nil {
		return nil, "", err
	}
	end := o.bookEnd
	args := []any{f.Type, string(f.Book), string(place.ID)}
	if f.Book == "" {
		end, args = o.realmEnd, []any{f.Type, string(f.Realm), storage.Micros(place.At), string(place.Book), string(place.ID)}
	}
	bound, next, err := end(ctx, &f, &place)
	if err != nil {
		return nil, "", fmt.Errorf("search events: %w", err)
	}
	events, err := storage.All(ctx, o.db, scanEvent, f.statement(), append(args, bound, pageSize(f.Limit))...)
	if err != nil {
		return nil, "", fmt.Errorf("list events: %w", err)
	}
	for i := range events {
		if events[i].Sensitive {
			events[i].Data = nil
		}
	}
	if f.After != "" {
		slices.Reverse(events)
	}
	if next.ID == "" || len(events) == pageSize(f.Limit) {
		return events, "", nil
	}
	return events, next.Cursor(), nil
}

// List is Search for whoever does not go on: of a type it may end before all were looked at.
func (o *Outbox) List(ctx context.Context, f EventFilter) ([]Event, error) {
	events, _, err := o.Search(ctx, f)
	return events, err
}

// bookEnd returns where a search through a book ends, as its statement takes it, and from
// where another goes on: behind the last event that is looked at, of whatever type. There is no
// place where nothing is left out, or all that is there and settled is looked at.
func (o *Outbox) bookEnd(ctx context.Context, f *EventFilter, from *Event) (any, Event, error) {
	bound, end := "", endBookBefore
	if f.After != "" {
		bound, end = lastID, endBookAfter
	}
	if f.Settled {
		bound = string(o.settled(f).ID)
	}
	if f.Type == "" {
		return bound, Event{}, nil
	}
	last, found, err := storage.One(ctx, o.db, storage.Scalar[string], end, string(f.Book), string(from.ID), f.look()-1)
	switch place := (Event{Book: f.Book, ID: EventID(last), At: storage.Time(0)}); {
	case !found || err != nil:
	case f.After == "":
		return last, place, nil
	case last < bound:
		return last + firstLetter, place, nil // it is the last itself
	}
	return bound, Event{}, err
}

// realmEnd is bookEnd for all books of a realm: all of an instant is looked at.
func (o *Outbox) realmEnd(ctx context.Context, f *EventFilter, from *Event) (any, Event, error) {
	bound, end := int64(0), endRealmBefore
	if f.After != "" {
		bound, end = math.MaxInt64, endRealmAfter
	}
	if f.Settled {
		bound = storage.Micros(o.settled(f).At)
	}
	if f.Type == "" {
		return bound, Event{}, nil
	}
	last, found, err := storage.One(ctx, o.db, storage.Scalar[int64], end, string(f.Realm), storage.Micros(from.At), f.look()-1)
	switch {
	case !found || err != nil:
	case f.After == "":
		return last, Event{Book: afterAllBooks, ID: firstID, At: storage.Time(last - 1)}, nil
	case last+1 < bound:
		return last + 1, Event{ID: firstID, At: storage.Time(last + 1)}, nil
	}
	return bound, Event{}, err
}

func (f *EventFilter) look() int {
	if f.Look == 0 {
		return MaxLooked
	}
	return f.Look
}

// firstID sorts before every evt_…, what ends in firstLetter right behind what does not, and
// afterAllBooks behind every book.
const (
	firstLetter   = "0"
	firstID       = "evt_00000000000000000000000000"
	afterAllBooks = "~"
)

// lastID sorts behind every evt_….
const lastID = "f"

// settle is how much later than others an event may be written down that happened before
// them: lanes and processes commit in an order of their own.
const settle = 10 * time.Second

// settled is the place up to which all that happened is written down.
func (o *Outbox) settled(f *EventFilter) Event {
	return Event{Book: f.Book, ID: EventID(id.Ago("evt", settle)), At: o.clocks.Now(f.Realm).Add(-settle)}
}

// Follow returns the place from which to follow the list that begins with newest: its own
// or, while earlier events may still be written down, one before it.
func (o *Outbox) Follow(f EventFilter, newest *Event) Cursor {
	settled := o.settled(&f)
	if f.Book == "" && newest.At.Before(settled.At) || f.Book != "" && newest.ID < settled.ID {
		return newest.Cursor()
	}
	return settled.Cursor()
}

func (f *EventFilter) statement() *storage.Statement {
	switch {
	case f.Book == "" && f.After != "":
		return listRealmAfter
	case f.Book == "":
		return listRealmBefore
	case f.After != "":
		return listBookAfter
	}
	return listBookBefore
}

// place returns where the page begins: after all events unless a cursor says otherwise.
func (f *EventFilter) place() (Event, error) {
	text := f.Before
	switch {
	case f.Before != "" && f.After != "":
		return Event{}, fault.New(fault.InvalidCursor, "give a cursor before or after, not both")
	case f.After != "":
		text = f.After
	case f.Before == "":
		return Event{ID: lastID, At: storage.Time(math.MaxInt64)}, nil
	}
	e, ok := parseCursor(text)
	if !ok || (f.Book != "" && e.Book != f.Book) {
		return Event{}, fault.New(fault.InvalidCursor, "the cursor does not belong to this list")
	}
	return e, nil
}

func parseCursor(c Cursor) (e Event, ok bool) {
	text, err := base64.RawURLEncoding.DecodeString(string(c))
	if err != nil || len(text) > 256 {
		return e, false
	}
	parts := strings.Split(string(text), "/")
	if len(parts) != 3 {
		return e, false
	}
	at, err := strconv.ParseInt(parts[0], 10, 64)
	return Event{At: storage.Time(at), Book: ledger.BookID(parts[1]), ID: EventID(parts[2])}, err == nil && id.Valid("evt", parts[2])
}

// pageSize lets a list have one more than the largest page, which tells whether there is another.
func pageSize(limit int) int {
	if limit <= 0 {
		return DefaultLimit
	}
	return min(limit, MaxLimit+1)
}
