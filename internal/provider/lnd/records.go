package lnd

import (
	"context"
	"encoding/hex"
	"net/url"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout"
)

// milli are the millisatoshis in a satoshi.
const milli = 1000

// Payments implements payout.Wallet: transactions that spend the wallet's coins and pay
// others. What opens the node's own channels pays nobody.
func (w Wallet) Payments(ctx context.Context, from, until time.Time) ([]payout.Record, error) {
	channels, err := w.channels(ctx)
	if err != nil {
		return nil, err
	}
	var all []payout.Record
	seen := map[string]bool{}
	err = w.each(ctx, func(k *known) error {
		at := time.Unix(k.Time, 0)
		if at.Before(from) || !at.Before(until) || seen[k.ID] || len(all) == payout.MaxRecords {
			return nil
		}
		seen[k.ID] = true
		if paid := k.paid(channels); paid > 0 {
			raw, _ := hex.DecodeString(k.Raw) // who wants to read it parses it
			all = append(all, payout.Record{ID: k.ID, Satoshi: paid, Fee: k.Fee, At: at, Raw: raw})
		}
		return nil
	})
	return all, err
}

// paid is what others got of a transaction that spends the wallet's coins.
func (k *known) paid(channels map[string]bool) (satoshi int64) {
	ours := false
	for _, spent := range k.Spends {
		ours = ours || spent.Ours
	}
	if !ours {
		return 0
	}
	for _, out := range k.Outputs {
		if !out.Ours && !channels[k.ID+":"+strconv.FormatInt(out.Index, 10)] {
			satoshi += out.Satoshi
		}
	}
	return satoshi
}

// point is where a channel's money is: txid:index.
type point struct {
	Channel string `json:"channel_point"`
}

// pending are channels of one kind that are being opened or closed.
type pending []struct {
	Channel point `json:"channel"`
}

// channels returns the outputs that the node's channels are made of, those that are closed too.
func (n *Node) channels(ctx context.Context) (map[string]bool, error) {
	var open, closed struct {
		Channels []point `json:"channels"`
	}
	var waiting struct {
		Opening pending `json:"pending_open_channels"`
		Forced  pending `json:"pending_force_closing_channels"`
		Closing pending `json:"waiting_close_channels"`
	}
	for _, list := range []struct {
		path string
		out  any
	}{{"/v1/channels", &open}, {"/v1/channels/closed", &closed}, {"/v1/channels/pending", &waiting}} {
		if err := n.client.get(ctx, list.path, nil, list.out); err != nil {
			return nil, plain(err)
		}
	}
	all := map[string]bool{}
	for _, p := range append(open.Channels, closed.Channels...) {
		all[p.Channel] = true
	}
	for _, some := range []pending{waiting.Opening, waiting.Forced, waiting.Closing} {
		for _, c := range some {
			all[c.Channel.Channel] = true
		}
	}
	return all, nil
}

// Payments implements payout.Lightning.
func (l Lightning) Payments(ctx context.Context, from, until time.Time) ([]payout.Record, error) {
	var all []payout.Record
	for after := "0"; len(all) < payout.MaxRecords; {
		var answer struct {
			Payments []payment `json:"payments"`
			Last     string    `json:"last_index_offset"`
		}
		query := url.Values{"index_offset": {after}, "max_payments": {strconv.Itoa(page)}, "omit_hops": {"true"},
			"creation_date_start": {strconv.FormatInt(from.Unix(), 10)}, "creation_date_end": {strconv.FormatInt(until.Unix(), 10)}}
		if err := l.client.get(ctx, "/v1/payments", query, &answer); err != nil {
			return nil, plain(err)
		}
		for i := range answer.Payments {
			p := &answer.Payments[i]
			at := time.Unix(0, p.Made)
			if p.Status == succeeded && !at.Before(from) && at.Before(until) {
				all = append(all, payout.Record{ID: p.Hash, Satoshi: p.Value / milli, Fee: (p.Fee + milli - 1) / milli, At: at})
			}
		}
		if len(answer.Payments) < page || answer.Last == after {
			break
		}
		after = answer.Last
	}
	return all[:min(len(all), payout.MaxRecords)], nil
}
