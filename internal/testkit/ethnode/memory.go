package ethnode

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
)

// Memory stands between Scrip and a node that keeps everything, and has it forget the state
// of old blocks, as other nodes do, until it shall remember.
type Memory struct {
	node *Node
	kept atomic.Int64 // states; 0: all
}

// Forget puts a memory of so many states before the node, for those who are told of it from
// now on.
func (n *Node) Forget(states int64) *Memory {
	n.t.Helper()
	m := &Memory{node: n}
	m.Keep(states)
	server := httptest.NewServer(http.HandlerFunc(m.serve))
	n.t.Cleanup(server.Close)
	n.url = server.URL
	return m
}

// Keep has it keep so many states; 0: all of them.
func (m *Memory) Keep(states int64) { m.kept.Store(states) }

type query struct {
	ID     int    `json:"id"`
	Method string `json:"method"`
	Params []any  `json:"params"`
}

func (m *Memory) serve(w http.ResponseWriter, r *http.Request) {
	var text json.RawMessage
	var one query
	var calls []query
	err := json.NewDecoder(r.Body).Decode(&text)
	switch {
	case err == nil && json.Unmarshal(text, &calls) == nil:
		answers := make([]map[string]any, len(calls))
		for i, c := range calls {
			answers[i] = m.answer(c)
		}
		_ = json.NewEncoder(w).Encode(answers)
	case err == nil && json.Unmarshal(text, &one) == nil:
		_ = json.NewEncoder(w).Encode(m.answer(one))
	default:
		http.Error(w, "no call", http.StatusBadRequest)
	}
}

func (m *Memory) answer(c query) map[string]any {
	var result json.RawMessage
	err := m.check(c)
	if err == nil {
		err = m.node.Ask(&result, c.Method, c.Params...)
	}
	if err != nil {
		return map[string]any{"jsonrpc": "2.0", "id": c.ID, "error": map[string]any{"code": -32000, "message": err.Error()}}
	}
	return map[string]any{"jsonrpc": "2.0", "id": c.ID, "result": result}
}

// check refuses what asks for the state of a block that is forgotten.
func (m *Memory) check(c query) error {
	kept := m.kept.Load()
	if kept == 0 || len(c.Params) < 2 {
		return nil
	}
	where, ok := c.Params[1].(map[string]any)
	if !ok {
		return nil
	}
	var h struct{ Number string }
	var end string
	if err := m.node.Ask(&h, "eth_getBlockByHash", where["blockHash"], false); err != nil {
		return err
	}
	if err := m.node.Ask(&end, "eth_blockNumber"); err != nil {
		return err
	}
	if tip, at := height(end), height(h.Number); tip-at >= kept {
		return fmt.Errorf("missing trie node of block %d", at)
	}
	return nil
}

func height(quantity string) int64 {
	n, err := strconv.ParseInt(strings.TrimPrefix(quantity, "0x"), 16, 64)
	if err != nil {
		return -1
	}
	return n
}
