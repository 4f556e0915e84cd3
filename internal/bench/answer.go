package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Limits of an answer.
const (
	maxHeaderLine = 16 << 10
	maxHeaders    = 200
	maxBody       = 64 << 20
)

// head is what is needed of a status line and headers.
type head struct {
	status  int
	length  int64 // -1: not given
	chunked bool
	close   bool
}

// readFinal reads heads until one is not interim.
func (c *conn) readFinal() (head, error) {
	for range maxHeaders {
		h, err := c.readHead()
		if err != nil || h.status >= 200 {
			return h, err
		}
		if h.status == 101 {
			return h, errors.New("the server switched protocols")
		}
	}
	return head{}, errors.New("too many interim answers")
}

func (c *conn) readHead() (head, error) {
	line, err := c.readLine()
	if err != nil {
		return head{}, err
	}
	h, err := parseStatus(line)
	if err != nil {
		return head{}, err
	}
	for range maxHeaders {
		line, err := c.readLine()
		if err != nil {
			return head{}, err
		}
		if len(line) == 0 {
			return h, nil
		}
		if err := h.header(line); err != nil {
			return head{}, err
		}
	}
	return head{}, fmt.Errorf("the answer has more than %d headers", maxHeaders)
}

// readLine returns a line without its end, valid until the next read.
func (c *conn) readLine() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("a header is longer than %d bytes", maxHeaderLine)
	}
	if errors.Is(err, io.EOF) {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, nil
}

// parseStatus reads "HTTP/1.1 200 OK". A 1.0 server closes unless it says otherwise.
func parseStatus(line []byte) (head, error) {
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[7] != '0' && line[7] != '1' || line[8] != ' ' || len(line) > 12 && line[12] != ' ' {
		return head{}, fmt.Errorf("malformed status line %.40q", line)
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil || status < 100 {
		return head{}, fmt.Errorf("malformed status line %.40q", line)
	}
	return head{status: status, length: -1, close: line[7] == '0'}, nil
}

// header takes what matters of one header line.
func (h *head) header(line []byte) error {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || line[0] == ' ' || line[0] == '\t' || line[colon-1] == ' ' {
		return fmt.Errorf("malformed header %.40q", line)
	}
	name := line[:colon]
	switch {
	case equalFold(name, "content-length"):
		n, err := strconv.ParseUint(strings.TrimSpace(string(line[colon+1:])), 10, 62)
		if err != nil || h.length >= 0 && h.length != int64(n) {
			return fmt.Errorf("malformed header %.40q", line)
		}
		h.length = int64(n)
	case equalFold(name, "transfer-encoding"):
		if h.chunked || !strings.EqualFold(strings.TrimSpace(string(line[colon+1:])), "chunked") {
			return fmt.Errorf("unknown transfer encoding %.40q", line)
		}
		h.chunked = true
	case equalFold(name, "connection"):
		for word := range strings.SplitSeq(string(line[colon+1:]), ",") {
			switch word = strings.TrimSpace(word); {
			case strings.EqualFold(word, "close"):
				h.close = true
			case strings.EqualFold(word, "keep-alive"):
				h.close = false
			}
		}
	}
	return nil
}

// equalFold compares a header's name with one in lower case.
func equalFold(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i, b := range name {
		if b >= 'A' && b <= 'Z' {
			b += 'a' - 'A'
		}
		if b != lower[i] {
			return false
		}
	}
	return true
}

var errBodySize = fmt.Errorf("the answer's body is longer than %d bytes", maxBody)

// readBody reads the body that h announces (RFC 9112, section 6.3).
func (c *conn) readBody(method string, h *head) error {
	c.body = c.body[:0]
	switch {
	case method == "HEAD" || h.status == 204 || h.status == 304:
		return nil
	case h.chunked:
		return c.readChunks()
	case h.length >= 0:
		return c.take(h.length)
	}
	h.close = true
	return c.takeAll()
}

// take appends n bytes of input to the body.
func (c *conn) take(n int64) error {
	have := len(c.body)
	if n > int64(maxBody-have) {
		return errBodySize
	}
	if need := have + int(n); need > cap(c.body) {
		c.body = append(make([]byte, 0, need+need/4), c.body...)
	}
	c.body = c.body[:have+int(n)]
	if _, err := io.ReadFull(c.in, c.body[have:]); err != nil {
		return cut(err)
	}
	return nil
}

// takeAll reads to the end of the connection.
func (c *conn) takeAll() error {
	for len(c.body) <= maxBody {
		if len(c.body) == cap(c.body) {
			c.body = append(c.body, 0)[:len(c.body)]
		}
		n, err := c.in.Read(c.body[len(c.body):cap(c.body)])
		c.body = c.body[:len(c.body)+n]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return errBodySize
}

func (c *conn) readChunks() error {
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		size, err := parseChunkSize(line)
		if err != nil {
			return err
		}
		if size == 0 {
			return c.readTrailers()
		}
		if err := c.take(size); err != nil {
			return err
		}
		if line, err := c.readLine(); err != nil || len(line) > 0 {
			return errors.Join(errors.New("a chunk does not end where it should"), err)
		}
	}
}

func parseChunkSize(line []byte) (int64, error) {
	digits, _, _ := strings.Cut(string(line), ";")
	size, err := strconv.ParseUint(strings.TrimRight(digits, " \t"), 16, 62)
	if err != nil {
		return 0, fmt.Errorf("malformed chunk size %.40q", line)
	}
	return int64(size), nil
}

func (c *conn) readTrailers() error {
	for range maxHeaders {
		line, err := c.readLine()
		if err != nil || len(line) == 0 {
			return err
		}
	}
	return fmt.Errorf("the answer has more than %d trailers", maxHeaders)
}

func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
