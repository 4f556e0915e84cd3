package cashout

import (
	"slices"

	"github.com/scripcards/scrip/internal/core/fault"
)

// Status is where an order is in its life.
type Status string

// The statuses. Blocked is an order whose bitcoin nobody may be paid: callers see it as one
// that is processing, or approved.
const (
	Created    Status = "created"
	Confirmed  Status = "confirmed"  // the phone is
	Authorized Status = "authorized" // the price is locked; pictures are asked for
	Processing Status = "processing" // under review
	Approved   Status = "approved"   // the payout is on its way
	Completed  Status = "completed"
	Blocked    Status = "blocked"
	Cancelled  Status = "cancelled"
	Expired    Status = "expired"
)

// Statuses returns the closed list in its documented order.
func Statuses() []Status {
	return []Status{Created, Confirmed, Authorized, Processing, Approved, Completed, Blocked, Cancelled, Expired}
}

// next is the transition table.
var next = map[Status][]Status{
	Created:    {Confirmed, Cancelled}, // or it is removed
	Confirmed:  {Authorized, Cancelled, Expired},
	Authorized: {Processing, Cancelled, Expired},
	Processing: {Authorized, Approved, Blocked, Cancelled},
	Approved:   {Completed, Blocked, Cancelled}, // cancelled once the approval was reversed in the books
	Blocked:    {Approved},                      // once two people found that the match is false
}

// CanBecome reports whether an order may go from s to another status.
func (s Status) CanBecome(to Status) bool { return slices.Contains(next[s], to) }

// IsOpen reports whether an order of that status ends by itself when its time is over.
func (s Status) IsOpen() bool { return s == Created || s == Confirmed || s == Authorized }

// IsGone reports whether callers are told that there is no such order.
func (s Status) IsGone() bool { return s == Cancelled || s == Expired }

// Act is something that a caller does to an order.
type Act string

// The acts.
const (
	Change  Act = "change"  // the phone, the address
	AskCode Act = "code"    // have a code sent
	Confirm Act = "confirm" // enter it
	Pay     Act = "payment" // say where to
	Upload  Act = "upload"
	Submit  Act = "verify"
)

// during is the one status in which each act is allowed.
var during = map[Act]Status{Change: Created, AskCode: Created, Confirm: Created, Pay: Confirmed, Upload: Authorized, Submit: Authorized}

// Allows returns invalid_state where the order is not as the act needs it.
func (o *Order) Allows(a Act) error {
	if during[a] != o.Status {
		return fault.New(fault.InvalidState, "the order is %s", o.Shown())
	}
	return nil
}

// Shown is the status as callers see it: an order that is blocked stays what it was for them.
func (o *Order) Shown() Status {
	switch {
	case o.Status != Blocked:
		return o.Status
	case o.ChangedAt.After(o.DecidedAt): // approved, and blocked for where it was to be paid instead
		return Approved
	}
	return Processing
}

// become moves the order on. It returns invalid_state for what the table does not have.
func (o *Order) become(to Status) error {
	if !o.Status.CanBecome(to) {
		return fault.New(fault.InvalidState, "the order is %s and cannot become %s", o.Shown(), to)
	}
	o.Status = to
	return nil
}
