package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
)

// conversationJSON is a conversation with every field that the type has, 1.2 KB in its envelope.
const conversationJSON = `{"id":%ID%,"title":"Hello, we are a team of forty in three countries, and would like to know what a contract for two years ` +
	`with single sign-on would cost us, and how soon we could begin",` +
	`"status":"open","email":"ann.example@customer.example.com","contact_id":7104412,"org_id":51234,"inbox_id":612,` +
	`"assigned_user_id":7001,"workflow_id":8012,"related_playbook_id":9044,"direction":"inbound","integration":"email",` +
	`"labels":["hot","europe","enterprise","security-review"],` +
	`"tags":[{"id":31,"name":"pricing","color":"#ff8800"},{"id":32,"name":"renewal","color":"#0044cc"},{"id":33,"name":"vip","color":"#228833"}],` +
	`"custom_attributes":{"plan":"professional","seats":40,"score":0.125,"trial":true,` +
	`"source":"https://www.example.com/pricing/compare?utm_campaign=autumn","industry":"logistics and warehousing"},` +
	`"participants":[7001,7002,7003,7019],"member_count":4,` +
	`"reply_subject":"Re: Hello, we are a team of forty in three countries, and would like to know what a contract for two years",` +
	`"archived":false,"deleted":false,"created_at":1767225600123,"updated_at":1767225601123,"resolved_at":1767225602123,` +
	`"last_activity_at":1767225603123,"last_message_sent_at":1767225604123}`

const (
	conversationID = 4200017
	pageItems      = 1000
)

func conversationOf(id int) string {
	return strings.Replace(conversationJSON, "%ID%", strconv.Itoa(id), 1)
}

// answerOne is the answer with one conversation.
func answerOne() []byte { return []byte(`{"data":` + conversationOf(conversationID) + `}`) }

// answerPage is the answer with a page of conversations; next is the cursor of the page after it, "" for none.
func answerPage(first, items int, next string) []byte {
	var page bytes.Buffer
	page.WriteString(`{"data":[`)
	for i := range items {
		if i > 0 {
			page.WriteByte(',')
		}
		page.WriteString(conversationOf(first + i))
	}
	page.WriteString(`],"pagination":{"more":` + strconv.FormatBool(next != "") + `,"next":"` + next + `"}}`)
	return page.Bytes()
}

// stub answers every request with the same body, in memory.
type stub struct {
	header http.Header
	body   []byte
}

func newStub(body []byte) *stub {
	return &stub{http.Header{"Content-Type": {"application/json"}}, body}
}

func (s *stub) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, err := io.Copy(io.Discard, r.Body)
		if err = cmp.Or(err, r.Body.Close()); err != nil {
			return nil, err
		}
	}
	return &http.Response{Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: s.header,
		Body: &arriving{rest: s.body}, ContentLength: int64(len(s.body)), Request: r}, nil
}

// arriving is a body that comes in pieces of 16 KiB, about as it does from a connection.
type arriving struct{ rest []byte }

func (a *arriving) Read(p []byte) (int, error) {
	if len(a.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, a.rest[:min(len(a.rest), 16<<10)])
	a.rest = a.rest[n:]
	return n, nil
}

func (a *arriving) Close() error { return nil }

// loopback is a server on loopback that has its answer ready: it looks for the end of a request without a body, and that is
// all. The transport is one with connections to it, for whoever is measured.
func loopback(body []byte) (url string, transport *http.Transport, end func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, nil, err
	}
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"+
		"Content-Length: %d\r\n\r\n%s", len(body), body)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answerAll(conn, answer)
		}
	}()
	transport = newLoopbackTransport()
	return "http://" + listener.Addr().String(), transport, func() {
		transport.CloseIdleConnections()
		_ = listener.Close()
	}, nil
}

func answerAll(conn net.Conn, answer []byte) {
	defer conn.Close()
	var buffer [4096]byte
	for got := 0; ; {
		n, err := conn.Read(buffer[got:])
		if err != nil {
			return
		}
		got += n
		if !bytes.HasSuffix(buffer[:got], []byte("\r\n\r\n")) && got < len(buffer) {
			continue
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
		got = 0
	}
}

// loopbackHTTP is loopback with the server of net/http.
func loopbackHTTP(body []byte) (url string, transport *http.Transport, end func()) {
	server := httptest.NewServer(answering(body))
	transport = newLoopbackTransport()
	return server.URL, transport, func() {
		transport.CloseIdleConnections()
		server.Close()
	}
}

func newLoopbackTransport() *http.Transport { return http.DefaultTransport.(*http.Transport).Clone() }

func answering(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}
}

// mustBeJSON keeps a slip in the templates above from being measured.
func mustBeJSON(body []byte) []byte {
	if !json.Valid(body) {
		panic("the workload is not JSON")
	}
	return body
}
