package supply

import (
	"context"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// For is what submissions are for: an order of a book, or other codes for some of its codes
// that are dead.
type For struct {
	Book  ledger.BookID
	Order int64 // the number of the order in its book
	// Remedy is the key of the remedy that has codes replaced; empty: the order itself.
	Remedy string
}

// Row is a submission as it is kept.
type Row struct {
	Submission
	For
	// Try is its number among those for the same, from 1.
	Try   int
	Realm realm.Realm
	// Supplier is its id.
	Supplier string
	// State is where it is: Unknown until the supplier said something.
	State  State
	Reason string
	// Delivered counts the codes that the order keeps of it, and Cost is what they cost. Of what
	// is kept as delivered, Most is not.
	Delivered int
	Cost      catalog.Cost
	// Asked counts how often it was asked about.
	Asked int
	// BusyUntil is by when the last call about it is over, by the machine's clock.
	BusyUntil, ChangedAt time.Time
}

// Open reports whether it is not known what becomes of it.
func (r *Row) Open() bool { return r.State == Unknown || r.State == Working }

// slack is how long after its time a call may still be on its way, and as much again
// something that it sent.
const slack = 10 * time.Second

// settle is how long after the last call whose end is unknown a refusal is believed of a
// submission that has no reference: until then, what was sent may yet arrive.
const settle = time.Minute

// Begin returns the first row of a submission of what an offer is for, with the time by which its call
// is over.
func (s *Service) Begin(o *Offer) Row {
	now, wanted := s.now(), o.asked
	wanted.Most = o.Cost
	return Row{Submission: Submission{ID: SubmissionID(id.New(submissionPrefix)), Wanted: wanted, SentAt: now},
		Realm: o.Realm, Supplier: o.Supplier, BusyUntil: now.Add(o.conn.timeout() + slack), ChangedAt: now}
}

// Written returns the effect of keeping a new submission: storage.IsUnique tells when its
// try was made already.
func (r *Row) Written() storage.Effect { return insertSubmission.Row(r.values()...) }

// Changed returns the effect of keeping what became of an open submission. It fails with
// storage.ErrStale if it was over, or asked about, meanwhile.
func (s *Service) Changed(r *Row) storage.Effect { return s.change(r, r.Asked) }

func (s *Service) change(r *Row, asked int) storage.Effect {
	currency, minor := r.amount()
	return changeSubmission.With(string(r.Book), r.Order, int64(r.Try), stored(r.State), r.Reference, r.Reason, int64(r.Delivered), currency, minor,
		int64(r.Asked), storage.Micros(r.BusyUntil), storage.Micros(s.now()), int64(asked), r.Remedy).Exactly(1)
}

// Asking returns an open submission that is about to be asked about, and the effect of
// keeping that, which fails with storage.ErrStale if somebody else is at it.
func (s *Service) Asking(r Row) (Row, storage.Effect) {
	timeout := DefaultTimeout
	if c := s.find(key{r.Realm, r.Supplier}); c != nil {
		timeout = c.timeout()
	}
	r.Asked++
	r.BusyUntil = s.now().Add(timeout + slack)
	return r, s.change(&r, r.Asked-1)
}

// Busy returns how long a call about a submission may still be under way, here or in
// another process; zero: none is.
func (s *Service) Busy(r *Row) time.Duration { return max(0, r.BusyUntil.Sub(s.now())) }

// Idle says that no call about r is under way any more.
func (s *Service) Idle(r *Row) { r.BusyUntil = s.now() }

// Believes reports whether a refusal is the last word on a submission that was asked about
// once more: since the supplier knows it by name, or nothing that was sent in the calls
// before, the last of which was over at the given time, can arrive any more.
func (s *Service) Believes(r *Row, before time.Time) bool {
	return r.Reference != "" || s.now().Sub(before) >= settle
}

// Pause returns how long to wait before an open submission is asked about again.
func (r *Row) Pause() time.Duration {
	const first, last = time.Second, 2 * time.Minute
	return min(last, first<<min(r.Asked, 10))
}

// maxListed bounds the open submissions that are listed.
const maxListed = 1000

// OpenSubmissions returns what suppliers of a realm were asked for and did not answer to the
// end, oldest first, of all books: maxListed at most.
func (s *Service) OpenSubmissions(ctx context.Context, r realm.Realm) ([]Row, error) {
	return storage.All(ctx, s.DB, scanSubmission, listOpen, string(r), maxListed)
}

// Submissions returns what was asked of suppliers for the same, first to last.
func (s *Service) Submissions(ctx context.Context, q storage.Queryer, what For) ([]Row, error) {
	return storage.All(ctx, q, scanSubmission, listSubmissions, string(what.Book), what.Order, what.Remedy)
}
