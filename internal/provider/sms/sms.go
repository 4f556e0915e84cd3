// Package sms sends codes to phones: as text messages and calls through providers that take a
// form or JSON over HTTP, or into a file where nobody is to get one.
//
// One attempt a message, bounded in time and memory; whatever a provider answers, no text of
// its ends up in an error. It must never log a code or a number.
package sms

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/scripcards/scrip/internal/cashout/phone"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/provider/call"
)

// maxReply bounds what is read of an answer, in bytes.
const maxReply = 64 << 10

// gateway is a provider's address for one channel.
type gateway struct {
	client  *http.Client
	timeout time.Duration
	url     string
	form    map[string]string
	object  map[string]string
	headers map[string]string
	user    string
	secret  pan.Secret
	words   string
	path    call.Path // to what says that the message was taken; nil: the status says it
	is      string
	// fixed are the placeholders that no message changes.
	fixed []string
}

// provider is a driver of HTTP.
type provider map[phone.Channel]*gateway

// Has implements phone.Sender.
func (p provider) Has(c phone.Channel) bool { return p[c] != nil }

// Send implements phone.Sender.
func (p provider) Send(ctx context.Context, m phone.Message) error {
	g := p[m.Channel]
	if g == nil {
		return fault.New(fault.Unavailable, "no codes are sent by %s", m.Channel)
	}
	return g.send(ctx, m)
}

// spoken is a code with pauses between its digits.
func spoken(code string) string { return strings.Join(strings.Split(code, ""), ", ") }

func (g *gateway) send(ctx context.Context, m phone.Message) error {
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	code := m.Code.Reveal()
	plain := strings.NewReplacer("{code}", code, "{digits}", spoken(code))
	fill := strings.NewReplacer(append([]string{"{to}", m.To.E164(), "{number}", strings.TrimPrefix(m.To.E164(), "+"), "{text}", plain.Replace(g.words),
		"{secret}", g.secret.Reveal()}, g.fixed...)...)
	request, err := g.request(ctx, fill)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "the message could not be written")
	}
	response, err := g.client.Do(request)
	if err != nil {
		return fault.New(fault.Unavailable, "the provider of messages: %s", call.Reason(err))
	}
	defer func() { _ = response.Body.Close() }() // read, or given up
	text, err := io.ReadAll(io.LimitReader(response.Body, maxReply+1))
	if err != nil || len(text) > maxReply {
		return fault.New(fault.Unavailable, "the provider of messages broke off, or said too much")
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fault.New(fault.Unavailable, "the provider of messages answers with status %d", response.StatusCode)
	}
	return g.judge(text)
}

// judge reads whether a message was taken.
func (g *gateway) judge(text []byte) error {
	if g.path == nil {
		return nil
	}
	if value := jsonValue(text); value != nil {
		if found, ok := g.path.Find(value); ok {
			if said, ok := call.Text(found); ok && said == g.is {
				return nil
			}
		}
	}
	return fault.New(fault.Unavailable, "the provider of messages did not take it")
}

func (g *gateway) request(ctx context.Context, fill *strings.Replacer) (*http.Request, error) {
	var body []byte
	media := "application/x-www-form-urlencoded"
	if g.object != nil {
		media = "application/json"
		filled := make(map[string]string, len(g.object))
		for name, value := range g.object {
			filled[name] = fill.Replace(value)
		}
		text, err := json.Marshal(filled, json.Deterministic(true))
		if err != nil {
			return nil, err
		}
		body = text
	} else {
		form := url.Values{}
		for name, value := range g.form {
			form.Set(name, fill.Replace(value))
		}
		body = []byte(form.Encode())
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", media)
	request.Header.Set("Accept", "application/json")
	for name, value := range g.headers {
		request.Header.Set(name, fill.Replace(value))
	}
	if g.user != "" {
		request.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(g.user+":"+g.secret.Reveal())))
	}
	return request, nil
}

// File writes messages, one JSON object a line, where nobody is to get one. It is safe for
// concurrent use.
type File struct {
	mu   sync.Mutex
	path string
}

// Has implements phone.Sender.
func (*File) Has(phone.Channel) bool { return true }

// Send implements phone.Sender.
func (f *File) Send(_ context.Context, m phone.Message) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	line, err := json.Marshal(struct {
		To      string `json:"to"`
		Channel string `json:"channel"`
		Code    string `json:"code"`
	}{m.To.E164(), string(m.Channel), m.Code.Reveal()})
	if err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "the file of messages cannot be opened")
	}
	_, err = file.Write(append(line, '\n'))
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "the file of messages cannot be written")
	}
	return nil
}

// Nowhere takes messages and drops them: of a demonstration whose codes are known.
type Nowhere struct{}

// Has implements phone.Sender.
func (Nowhere) Has(phone.Channel) bool { return true }

// Send implements phone.Sender.
func (Nowhere) Send(context.Context, phone.Message) error { return nil }
