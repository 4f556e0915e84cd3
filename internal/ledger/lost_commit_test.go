package ledger_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// A commit whose answer is lost with the connection may have happened. The ledger does not
// do it again by itself, unless a key tells whether it was done. What a server that is being
// stopped has answered is done.
func TestLostAnswerToCommitPostsAgain(t *testing.T) {
	for _, c := range []struct {
		name     string
		answered bool
		farewell string
		done     int
	}{
		{"cut", false, "", 0},
		{"by a pooler", false, farewell("08P01", "server conn crashed?"), 0},
		{"stopped", true, farewell("57P01", "terminating connection due to administrator command"), 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			if os.Getenv(testkit.PostgresVariable) == "" {
				t.Skip("no PostgreSQL is at hand")
			}
			config := testkit.Database(t, "postgres")
			direct, books := stand(t, config, 100)
			wire := listen(t, config.URL)
			wire.answered, wire.farewell = c.answered, c.farewell
			config.URL = wire.url
			g := gate(t, testkit.Open(t, config))
			var done atomic.Int32
			names := []string{"", "", "", "key-1", "key-2"}
			for _, key := range names {
				g.enqueue(context.Background(), spend(key, 1), func(o ledger.Outcome, err error) {
					if err == nil {
						done.Add(1)
					} else if o.Transaction != "" || fault.CodeOf(err) != fault.Unavailable {
						t.Errorf("%q was refused with the outcome %+v, %v", key, o, err)
					}
				})
			}
			wire.cut.Store(2) // the first is that of the operation that stands still
			g.finish()
			if wire.cut.Load() != 0 {
				t.Fatal("the connection was not cut")
			}
			if posted, _ := balance(t, books, "wallet"); posted != 100-int64(len(names)) || int(done.Load()) != c.done {
				t.Errorf("the balance is %d after %d payments of 1 from 100, of which %d were acknowledged", posted, len(names), done.Load())
			}
			for _, key := range []string{"key-1", "key-2"} {
				if o := submit(t, books, spend(key, 1)); !o.Replayed {
					t.Errorf("%s was not done", key)
				}
			}
			verified(t, direct)
		})
	}
}

// unreliable forwards connections to a server. Once cut is set, it hangs up when the server
// has said so many times that it has committed: with a last message, and passes on before it
// what was answered, or does not.
type unreliable struct {
	url      string
	cut      atomic.Int32
	answered bool
	farewell string
	server   string
}

// farewell is the error with which a server, or a pooler, ends a connection.
func farewell(code, text string) string {
	body := "SFATAL\x00VFATAL\x00C" + code + "\x00M" + text + "\x00\x00"
	return "E" + string(binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))) + body
}

func listen(t *testing.T, server string) *unreliable {
	t.Helper()
	u, err := url.Parse(server)
	check.OK(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check.OK(t, err)
	p := &unreliable{server: u.Host}
	query := u.Query()
	query.Set("sslmode", "disable") // what is encrypted cannot be cut in the right place
	u.Host, u.RawQuery = listener.Addr().String(), query.Encode()
	p.url = u.String()
	var group sync.WaitGroup
	group.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				if err := p.serve(client); err != nil && !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
			})
		}
	})
	t.Cleanup(func() {
		check.OK(t, listener.Close())
		group.Wait()
	})
	return p
}

// serve forwards one connection, both ways, until either side ends it.
func (p *unreliable) serve(client net.Conn) error {
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return errors.Join(err, client.Close())
	}
	var group sync.WaitGroup
	group.Go(func() {
		_, _ = io.Copy(server, client) // it ends when either side has hung up
		_ = server.Close()
	})
	buffer, before := make([]byte, 64<<10), []byte{}
	for {
		n, err := server.Read(buffer)
		if err != nil {
			break
		}
		before = before[max(0, len(before)-len(committed)+1):]
		passed := len(before)
		before = append(before, buffer[:n]...)
		if at := bytes.Index(before, []byte(committed)); at >= 0 && p.cut.Load() > 0 && p.cut.Add(-1) == 0 {
			last := p.farewell
			if p.answered {
				last = string(before[passed:at+len(committed)]) + last
			}
			_, _ = io.WriteString(client, last) // whoever has hung up hears nothing
			break
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			break
		}
	}
	_ = client.Close()
	group.Wait()
	return nil
}

// committed is how PostgreSQL says so, on the wire.
const committed = "COMMIT\x00"
