package issuing_test

import (
	"context"
	"regexp"
	"strings"

	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/webhook"
)

var transactionID = regexp.MustCompile(`txn_[0-9a-z]{26}`)

// data returns what a holder's events of cards say, oldest first.
func (p *process) data(h issuing.Holder) []string {
	p.t.Helper()
	events, err := p.Outbox.List(context.Background(), webhook.EventFilter{Book: h.Book, Limit: webhook.MaxLimit})
	must(p.t, err)
	var all []string
	for _, e := range events {
		if strings.HasPrefix(e.Type, "card.") {
			all = append([]string{transactionID.ReplaceAllString(string(e.Data), "txn")}, all...)
		}
	}
	return all
}
