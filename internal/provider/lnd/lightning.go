package lnd

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/invoice"
	"github.com/scripcards/scrip/internal/core/fault"
)

// Lightning is the node's part of that network, as payouts want it.
type Lightning struct{ *Node }

// payment is a payment as the node has it.
type payment struct {
	Hash     string `json:"payment_hash"`
	Preimage string `json:"payment_preimage"`
	Value    int64  `json:"value_msat,string"`
	Fee      int64  `json:"fee_msat,string"`
	Made     int64  `json:"creation_time_ns,string"`
	Status   string `json:"status"`
	Failure  string `json:"failure_reason"`
	Parts    []struct {
		Status string `json:"status"`
	} `json:"htlcs"`
}

// What the status of a payment and of its parts may be.
const (
	initiated = "INITIATED"
	inFlight  = "IN_FLIGHT"
	succeeded = "SUCCEEDED"
	failed    = "FAILED"
)

// failurePrefix begins each of lnd's reasons.
const failurePrefix = "FAILURE_REASON_"

// reasons are those that are passed on, so that no text of the node's is.
var reasons = map[string]bool{"TIMEOUT": true, "NO_ROUTE": true, "ERROR": true, "INCORRECT_PAYMENT_DETAILS": true, "INSUFFICIENT_BALANCE": true, "CANCELED": true}

// outcome reads a payment. It returns unavailable for one that is not of the hash, or whose
// preimage does not fit.
func (p *payment) outcome(hash [32]byte) (payout.Answer, error) {
	if p.Hash != hex.EncodeToString(hash[:]) {
		return payout.Answer{}, unavailable("the node answers for another payment than it was asked about")
	}
	switch p.Status {
	case initiated, inFlight:
		return payout.Answer{Outcome: payout.InFlight}, nil
	case failed:
		return p.failure(), nil
	case succeeded:
		answer := payout.Answer{Outcome: payout.Succeeded, Fee: p.Fee}
		raw, err := hex.DecodeString(p.Preimage)
		if err != nil || len(raw) != len(answer.Preimage) || sha256.Sum256(raw) != hash || p.Fee < 0 {
			return payout.Answer{}, unavailable("the node says that a payment was made, and its proof does not fit")
		}
		copy(answer.Preimage[:], raw)
		return answer, nil
	}
	return payout.Answer{}, unavailable("the node says of a payment what is not known here")
}

// failure is a payment that failed, unless a part of it is under way yet.
func (p *payment) failure() payout.Answer {
	for _, part := range p.Parts {
		if part.Status != failed {
			return payout.Answer{Outcome: payout.InFlight}
		}
	}
	reason := strings.TrimPrefix(p.Failure, failurePrefix)
	if !reasons[reason] {
		reason = "unknown"
	}
	return payout.Answer{Outcome: payout.Refused, Reason: strings.ToLower(reason)}
}

// sendRequest asks for a payment. The fee is limited whatever the amount.
type sendRequest struct {
	Invoice  string `json:"payment_request"`
	Amount   int64  `json:"amt_msat,omitzero,string"` // of an invoice that has none
	FeeLimit int64  `json:"fee_limit_msat,string"`
	Timeout  int64  `json:"timeout_seconds"`
	Quiet    bool   `json:"no_inflight_updates"`
}

// Pay implements payout.Lightning. The node goes on with the payment when ctx ends.
func (l Lightning) Pay(ctx context.Context, t payout.Transfer) (payout.Answer, error) {
	if err := l.ready(ctx); err != nil {
		return payout.Answer{}, err
	}
	in, err := invoice.Decode(t.Invoice)
	switch {
	case err != nil:
		return payout.Answer{}, err
	case in.Hash != t.Hash || in.MilliSatoshi != 0 && in.MilliSatoshi != t.MilliSatoshi:
		return payout.Answer{}, fault.New(fault.InvalidRequest, "the invoice is not the one that is to be paid")
	}
	request := sendRequest{Invoice: t.Invoice, FeeLimit: t.FeeLimit, Timeout: max(int64(t.Timeout/time.Second), 1), Quiet: true}
	if in.MilliSatoshi == 0 {
		request.Amount = t.MilliSatoshi
	}
	var p payment
	err = l.client.first(ctx, question{http.MethodPost, "/v2/router/send", request}, &p)
	if r, ok := refused(err); ok && r.Code == codeAlreadyExists {
		return l.Track(ctx, t.Hash)
	}
	if err != nil {
		return payout.Answer{}, plain(err)
	}
	return p.outcome(t.Hash)
}

// unheard is how lnd says that it was never asked to pay a hash.
const unheard = "payment isn't initiated"

// Track implements payout.Lightning.
func (l Lightning) Track(ctx context.Context, hash [32]byte) (payout.Answer, error) {
	if err := l.ready(ctx); err != nil {
		return payout.Answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, l.config.timeout())
	defer cancel()
	var p payment
	err := l.client.first(ctx, question{http.MethodGet, "/v2/router/track/" + base64.URLEncoding.EncodeToString(hash[:]), nil}, &p)
	if r, ok := refused(err); ok && r.Code == codeNotFound && r.Message == unheard {
		return payout.Answer{Outcome: payout.Unheard}, nil
	}
	if err != nil {
		return payout.Answer{}, plain(err)
	}
	return p.outcome(hash)
}

// Balance implements payout.Lightning: what the channels that are in use can send, without
// what each must keep.
func (l Lightning) Balance(ctx context.Context) (satoshi int64, err error) {
	var answer struct {
		Channels []struct {
			Local int64 `json:"local_balance,string"`
			Rules struct {
				Reserve int64 `json:"chan_reserve_sat,string"`
			} `json:"local_constraints"`
		} `json:"channels"`
	}
	if err := l.client.get(ctx, "/v1/channels", url.Values{"active_only": {"true"}}, &answer); err != nil {
		return 0, plain(err)
	}
	for _, c := range answer.Channels {
		satoshi += max(c.Local-c.Rules.Reserve, 0)
	}
	return satoshi, nil
}
