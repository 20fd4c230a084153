package faults_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/internal/faults"
	"github.com/driftsdk/drift/internal/testkit"
)

// bodyFaults: what a body can hold.
func bodyFaults() faults.Cases {
	return faults.Cases{
		72: faultTruncatedJSON, 73: faultWrongContentType, 74: faultWrongCharset, 75: faultHugeBody, 76: faultGzipBomb, 77: faultUnaskedEncoding,
		78: faultHugeHeaders, 79: faultInvalidUTF8, 80: faultLargeID, 81: faultNumberOutOfRange, 82: faultNullEverywhere, 83: faultWrongTopLevel,
		84: faultUnknownEnum, 85: faultUnknownField, 86: faultWrongType, 87: faultNumberOrText, 88: faultDuplicateNames, 89: faultDeepNesting,
		90: faultTrailingData, 91: faultOddDates, 92: faultOddPages, 93: faultPageFails,
	}
}

// bodyFault returns a client, and the network that answers it, for answers that a test changes from call to call.
func bodyFault(t *testing.T) (*faultClient, *testkit.MemoryNetwork) {
	t.Helper()
	network := &testkit.MemoryNetwork{Status: http.StatusOK, ContentType: "application/json"}
	client := throughFault(t, network.RoundTrip)
	client.limiter.Limiter = testkit.OpenLimiter{}
	return client, network
}

// conversation reads a conversation, and createConversation writes one.
func (c *faultClient) conversation() (*drift.Conversation, error) {
	conversation, err := c.Conversations.Get(c.t.Context(), 1)
	return conversation, c.saw(err)
}

func (c *faultClient) createConversation() error {
	_, err := c.Conversations.CreateFromScratch(c.t.Context(), drift.ConversationCreateFromScratchRequest{Email: testkit.MarkedAddress, Title: testkit.MarkedBody})
	return c.saw(err)
}

// requireAllSpent: every request took a slot and a call of the month, and none was sent twice.
func (c *faultClient) requireAllSpent(calls int, network *testkit.MemoryNetwork) {
	c.t.Helper()
	assert.EqualValues(c.t, calls, network.Requests.Load())
	c.requireSpent(calls, calls)
}

func faultTruncatedJSON(t *testing.T) {
	client, network := bodyFault(t)
	whole := `{"data":{"id":1,"title":"` + testkit.MarkedAnswer + `","labels":["a"],"custom_attributes":{"a":1.5}}}`
	for cut := range len(whole) {
		network.Body = whole[:cut]
		_, err := client.conversation()
		testkit.RequireDecodeError(t, err, "")
		err = client.createConversation()
		testkit.RequireDecodeError(t, err, "")
		require.ErrorIs(t, err, drift.ErrAmbiguous)
	}
	client.requireAllSpent(2*len(whole), network)
}

func faultWrongContentType(t *testing.T) {
	client, network := bodyFault(t)
	network.Body = `{"data":{"id":1}}`
	lenient := []string{"", "text/plain", "application/octet-stream", "text/json; charset=UTF-8", "application/problem+json", "///", "a; b; c"}
	for _, contentType := range lenient {
		network.ContentType = contentType
		conversation, err := client.conversation()
		require.NoError(t, err, contentType)
		assert.Equal(t, &drift.Conversation{ID: 1}, conversation)
	}
	refuse := func() {
		_, err := client.conversation()
		require.ErrorIs(t, err, drift.ErrUnexpectedContent)
		err = client.createConversation()
		require.ErrorIs(t, err, drift.ErrUnexpectedContent)
		require.ErrorIs(t, err, drift.ErrAmbiguous)
	}
	for _, contentType := range []string{"text/html", "TEXT/HTML; charset=utf-8", "application/xhtml+xml"} {
		network.ContentType = contentType
		refuse()
	}
	network.ContentType = "application/json"
	for _, body := range []string{"<!doctype html><title>" + testkit.MarkedAnswer, " \r\n<html>", "Log in, " + testkit.MarkedAnswer, "\x1f\x8b\x08"} {
		network.Body = body
		refuse()
	}
	client.requireAllSpent(len(lenient)+14, network)
}

func faultWrongCharset(t *testing.T) {
	client, network := bodyFault(t)
	network.Body = "{\"data\":{\"id\":1,\"title\":\"\xe9\"}}"
	for _, charset := range []string{"iso-8859-1", "latin1", "windows-1252", "utf-16", "UTF-16LE", testkit.MarkedAnswer} {
		network.ContentType = "application/json; charset=" + charset
		_, err := client.conversation()
		require.ErrorIs(t, err, drift.ErrUnexpectedContent, charset)
	}
	network.ContentType = "application/json"
	for _, body := range []string{"\xff\xfe{\x00}\x00", "\xfe\xff\x00{\x00}"} { // UTF-16 that does not say so
		network.Body = body
		_, err := client.conversation()
		require.ErrorIs(t, err, drift.ErrUnexpectedContent)
	}
	network.Body = `{"data":{"id":1,"title":"é"}}`
	for _, charset := range []string{"utf-8", "UTF-8", `"utf-8"`, "utf8", "us-ascii"} {
		network.ContentType = "application/json; charset=" + charset
		conversation, err := client.conversation()
		require.NoError(t, err, charset)
		assert.Equal(t, "é", conversation.Title)
	}
	client.requireAllSpent(13, network)
}

const (
	gibibyte      = 1 << 30
	boundedMemory = 128 << 20 // for all that is allocated until an answer of at most 10 MiB is given up
)

// requireBounded fails if a call allocates in proportion to a huge answer.
func requireBounded(t *testing.T, call func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	call()
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(boundedMemory))
}

var blanks = bytes.Repeat([]byte{' '}, 1<<20)

// longBody is white space in pieces.
type longBody struct {
	left, read, piece int
}

func (b *longBody) Read(p []byte) (int, error) {
	n := min(len(p), b.piece, b.left)
	if n == 0 {
		return 0, io.EOF
	}
	n = copy(p[:n], blanks)
	b.left -= n
	b.read += n
	return n, nil
}

func (*longBody) Close() error { return nil }

func faultHugeBody(t *testing.T) {
	t.Run("announced", func(t *testing.T) { checkHugeBody(t, gibibyte, gibibyte, 1<<20, 0) })
	t.Run("not announced", func(t *testing.T) { checkHugeBody(t, -1, gibibyte, 1<<20, drift.DefaultMaxResponseBytes+1) })
	t.Run("announced as small", func(t *testing.T) { checkHugeBody(t, 100, gibibyte, 1<<20, drift.DefaultMaxResponseBytes+1) })
	t.Run("drip by drip", func(t *testing.T) {
		checkHugeBody(t, -1, drift.DefaultMaxResponseBytes+100, 1, drift.DefaultMaxResponseBytes+1)
	})
	t.Run("a byte too many", func(t *testing.T) {
		checkHugeBody(t, -1, drift.DefaultMaxResponseBytes+1, 1<<20, drift.DefaultMaxResponseBytes+1)
	})
	t.Run("of an error", checkHugeErrorBody)
	t.Run("the connection is closed", checkHugeBodyIsCutOff)
}

// checkHugeBody: a body of so many bytes, announced with such a length, is given up after so many.
func checkHugeBody(t *testing.T, announced int64, size, piece, read int) {
	var body *longBody
	client := throughFault(t, func(r *http.Request) (*http.Response, error) {
		resp := testkit.MemoryAnswer(r, http.StatusOK, "application/json", "")
		body = &longBody{left: size, piece: piece}
		resp.Body, resp.ContentLength = body, announced
		return resp, nil
	})
	requireBounded(t, func() {
		_, err := client.conversation()
		require.ErrorIs(t, err, drift.ErrTooLarge)
		require.NotErrorIs(t, err, drift.ErrAmbiguous)
	})
	assert.Equal(t, read, body.read)
	requireBounded(t, func() {
		err := client.createConversation()
		require.ErrorIs(t, err, drift.ErrTooLarge)
		require.ErrorIs(t, err, drift.ErrAmbiguous)
	})
	client.requireSpent(2, 2)
}

// checkHugeErrorBody: the status tells what went wrong, however much is said about it.
func checkHugeErrorBody(t *testing.T) {
	for announced, most := range map[int64]int{-1: 64<<10 + 1<<20 + 1, gibibyte: 64<<10 + 1} {
		body := &longBody{left: gibibyte, piece: 1 << 20}
		client := throughFault(t, func(r *http.Request) (*http.Response, error) {
			resp := testkit.MemoryAnswer(r, http.StatusNotFound, "application/json", "")
			resp.Body, resp.ContentLength = body, announced
			return resp, nil
		})
		requireBounded(t, func() {
			_, err := client.conversation()
			require.ErrorIs(t, err, drift.ErrNotFound)
		})
		assert.LessOrEqual(t, body.read, most)
	}
}

// checkHugeBodyIsCutOff: what is given up is not read to its end, so the service can no longer write.
func checkHugeBodyIsCutOff(t *testing.T) {
	written, cut := 0, make(chan struct{})
	client := serveFault(t, func(w http.ResponseWriter, _ *http.Request) {
		defer close(cut)
		w.Header().Set("Content-Type", "application/json")
		piece := bytes.Repeat([]byte(" "), 1<<20)
		for written < gibibyte {
			if _, err := w.Write(piece); err != nil {
				return
			}
			written += len(piece)
		}
	})
	_, err := client.conversation()
	require.ErrorIs(t, err, drift.ErrTooLarge)
	<-cut
	assert.Less(t, written, gibibyte/4, "what buffers of sockets hold, and no more")
}

// gzipped compresses a text that is repeated, fast: a stream may have many parts.
func gzipped(t *testing.T, text string, times int) []byte {
	t.Helper()
	var part bytes.Buffer
	w, err := gzip.NewWriterLevel(&part, gzip.BestCompression)
	require.NoError(t, err)
	_, err = io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return bytes.Repeat(part.Bytes(), times)
}

func faultGzipBomb(t *testing.T) {
	bomb := gzipped(t, strings.Repeat(" ", 1<<20), 1<<10)
	require.Less(t, len(bomb), gibibyte/900)
	status := http.StatusOK
	client := serveFault(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "gzip", r.Header.Get("Accept-Encoding"))
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(status)
		_, _ = w.Write(bomb)
	})
	requireBounded(t, func() {
		_, err := client.conversation()
		require.ErrorIs(t, err, drift.ErrTooLarge)
	})
	requireBounded(t, func() { require.ErrorIs(t, client.createConversation(), drift.ErrTooLarge) })
	status = http.StatusConflict
	requireBounded(t, func() { require.ErrorIs(t, client.createConversation(), drift.ErrConflict) })
	client.requireSpent(3, 3)
}

func faultUnaskedEncoding(t *testing.T) {
	const body = `{"data":{"id":1}}`
	var encoding, sent string
	requests, status := 0, http.StatusOK
	client := serveFault(t, func(w http.ResponseWriter, _ *http.Request) {
		requests++
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", encoding)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, sent)
	})
	for _, encoding = range []string{"br", "deflate", "zstd", "gzip, gzip", "x-gzip", testkit.MarkedAnswer} {
		sent = body
		_, err := client.conversation()
		require.ErrorIs(t, err, drift.ErrUnexpectedContent, encoding)
		require.ErrorIs(t, client.createConversation(), drift.ErrAmbiguous)
	}
	encoding, sent = "gzip", string(gzipped(t, string(gzipped(t, body, 1)), 1)) // twice
	_, err := client.conversation()
	require.ErrorIs(t, err, drift.ErrUnexpectedContent)
	for _, encoding = range []string{"", "identity", "IDENTITY"} {
		sent = body
		_, err := client.conversation()
		require.NoError(t, err, encoding)
	}
	encoding, sent = "gzip", string(gzipped(t, body, 1))
	_, err = client.conversation()
	require.NoError(t, err)
	encoding, status = "br", http.StatusNotFound
	_, err = client.conversation()
	require.ErrorIs(t, err, drift.ErrNotFound, "the status tells enough")
	client.requireSpent(requests, requests)
	require.Equal(t, 18, requests)
}

func faultHugeHeaders(t *testing.T) {
	for name, piece := range map[string]string{"one": strings.Repeat("x", 1<<10), "many": testkit.MarkedAnswer + "\r\nX-More: "} {
		t.Run(name, func(t *testing.T) {
			client := serveFault(t, func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					return
				}
				defer conn.Close()
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-Long: "+strings.Repeat(piece, 10<<20/len(piece))+
					"\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"data\":{\"id\":1}}")
			})
			_, err := client.conversation()
			require.ErrorAs(t, err, new(*drift.TransportError))
			require.NotErrorIs(t, err, drift.ErrAmbiguous)
			client.requireSpent(3, 3)
			require.ErrorIs(t, client.createConversation(), drift.ErrAmbiguous)
			client.requireSpent(4, 4)
		})
	}
}

func faultInvalidUTF8(t *testing.T) {
	client, network := bodyFault(t)
	for text, want := range map[string]string{
		"a\xffb": "a\ufffdb", `a\ud83db`: "a\ufffdb", `a\ude00b`: "a\ufffdb", `a\u0000b`: "a\x00b", `a\ud83d\ude00b`: "a😀b", "a\xc0\x80b": "a\ufffdb", "a\xed\xa0\x80b": "a\ufffdb",
	} {
		network.Status, network.Body = http.StatusOK, `{"data":{"id":1,"title":"`+text+`","`+text+`":"`+text+`"}}`
		conversation, err := client.conversation()
		require.NoError(t, err, text)
		for strings.Contains(conversation.Title, "\ufffd\ufffd") { // how many stand for what is missing is of no interest
			conversation.Title = strings.ReplaceAll(conversation.Title, "\ufffd\ufffd", "\ufffd")
		}
		assert.Equal(t, want, conversation.Title)
		_, err = json.Marshal(conversation)
		require.NoError(t, err)

		network.Status, network.Body = http.StatusNotFound, `{"error":{"type":"`+text+`","message":"`+text+`","param":"`+text+`"}}`
		_, err = client.conversation()
		require.ErrorIs(t, err, drift.ErrNotFound)
		testkit.RequirePrintableError(t, err)
	}
}

func faultLargeID(t *testing.T) {
	client, network := bodyFault(t)
	for _, digits := range []string{"9007199254740993", "9223372036854775807"} {
		for _, value := range []string{digits, `"` + digits + `"`} {
			network.Body = `{"data":{"id":` + value + `,"contact_id":` + value + `,"custom_attributes":{"n":` + digits + `}}}`
			id, err := strconv.ParseInt(digits, 10, 64)
			require.NoError(t, err)
			conversation, err := client.Conversations.Get(t.Context(), drift.ConversationID(id))
			require.NoError(t, client.saw(err))
			assert.Equal(t, digits, conversation.ID.String())
			assert.Equal(t, digits, conversation.ContactID.String())
			assert.Equal(t, json.Number(digits), conversation.CustomAttributes["n"])
			text, err := json.Marshal(conversation)
			require.NoError(t, err)
			assert.Contains(t, string(text), `"id":`+digits)
		}
	}
}

func faultNumberOutOfRange(t *testing.T) {
	client, network := bodyFault(t)
	for _, value := range append([]string{"1e400", "1e-1", "-0", "9223372036854775808"}, testkit.RefusedIntegers...) {
		network.Body = `{"data":{"id":` + value + `}}`
		_, err := client.conversation()
		testkit.RequireDecodeError(t, err, "/id")
	}
	for _, value := range testkit.RefusedIntegers {
		network.Body = `{"data":{"id":1,"duration":` + value + `}}`
		_, err := client.Meetings.Get(t.Context(), 1)
		testkit.RequireDecodeError(t, client.saw(err), "/duration")
	}
}

// decodedRecord is an operation that answers with a record, or with a list of them, and the record's type.
type decodedRecord struct {
	call testkit.Invocation
	of   reflect.Type
	id   reflect.StructField // that a record must have; without a name if it may lack one
	list bool
}

// answer is the body that holds this object as the record.
func (d decodedRecord) answer(object any) string {
	text, _ := json.Marshal(object)
	switch {
	case d.list:
		return d.call.ListAnswer(string(text))
	case d.call.Operation.Answer == "bare-object":
		return string(text)
	}
	return `{"data":` + string(text) + `}`
}

// got returns the record of a call's results.
func (d decodedRecord) got(results []reflect.Value) reflect.Value {
	if d.list {
		return testkit.Items(results[0])[0].Elem()
	}
	return results[0].Elem()
}

// idName is the name of the id in JSON.
func (d decodedRecord) idName() string {
	name, _, _ := strings.Cut(d.id.Tag.Get("json"), ",")
	return name
}

// setID gives a record the id that the call asks for.
func setID(id reflect.Value) {
	switch {
	case id.CanInt():
		id.SetInt(1)
	case id.Kind() == reflect.String:
		id.SetString("ada@example.com")
	}
}

// fields are those of the record by name, with good values.
func (d decodedRecord) fields(t *testing.T) (fields map[string]json.RawMessage) {
	t.Helper()
	record := testkit.Filled(t, d.of)
	if extra := record.Elem().FieldByName("Extra"); extra.IsValid() {
		extra.SetZero()
	}
	for _, name := range []string{d.id.Name, "ConversationID"} { // those that the call asks for
		if id := record.Elem().FieldByName(name); id.IsValid() {
			setID(id)
		}
	}
	text, err := json.Marshal(record.Interface())
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &fields))
	return fields
}

// decodedRecords lists the operations that answer with records. Those that range over a list read its pages in the same
// way. A transcript takes any JSON, and what describes a token does not write it.
func decodedRecords(t *testing.T) (found []decodedRecord) {
	t.Helper()
	client := testkit.NewClient(t, "https://drift.test")
	hidden := []reflect.Type{reflect.TypeFor[classic.JSONTranscript](), reflect.TypeFor[classic.TokenInfo]()}
	for _, call := range testkit.Invocations(t) {
		of := call.Type(client).Out(0)
		if call.Ranges() || of.Kind() != reflect.Pointer && !call.AnswersList() {
			continue
		}
		for of.Kind() != reflect.Struct {
			of = of.Elem()
			if items, page := fieldOf(of, "Items"); page {
				of = items.Type
			}
		}
		if slices.Contains(hidden, of) {
			continue
		}
		record := decodedRecord{call: call, of: of, list: call.AnswersList()}
		for _, field := range reflect.VisibleFields(of) {
			if tag := field.Tag.Get("wire"); tag == "id" || tag == "required" {
				record.id = field
			}
		}
		found = append(found, record)
	}
	return found
}

func fieldOf(of reflect.Type, name string) (reflect.StructField, bool) {
	if of.Kind() != reflect.Struct {
		return reflect.StructField{}, false
	}
	return of.FieldByName(name)
}

// mayLackID: some records have no id, and an interaction of a bot may come without one.
func (d decodedRecord) mayLackID() bool {
	return d.id.Name == "" || d.of == reflect.TypeFor[drift.DriftbotInteraction]()
}

func faultNullEverywhere(t *testing.T) {
	client, network := bodyFault(t)
	for _, record := range decodedRecords(t) {
		nulls := map[string]any{}
		for name := range record.fields(t) {
			nulls[name] = nil
		}
		network.Body = record.answer(nulls)
		err := client.saw(record.call.On(t.Context(), client.Client))
		if record.mayLackID() {
			require.NoError(t, err)
			continue
		}
		testkit.RequireDecodeError(t, err, "/"+record.idName())
		want := reflect.New(record.of).Elem()
		nulls[record.idName()] = record.fields(t)[record.idName()]
		network.Body = record.answer(nulls)
		results := record.call.Results(t.Context(), client.Client)
		require.True(t, results[1].IsNil(), "%s: %v", record.call.Operation.Name, results[1])
		require.NoError(t, json.Unmarshal([]byte(onlyMember(t, nulls, record.idName())), want.Addr().Interface()))
		assert.Equal(t, want.Interface(), record.got(results).Interface(), "null is the same as absent")
	}
}

// onlyMember is an object with one of the members.
func onlyMember(t *testing.T, members map[string]any, name string) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{name: members[name]})
	require.NoError(t, err)
	return string(text)
}

func faultWrongTopLevel(t *testing.T) {
	client, network := bodyFault(t)
	for _, record := range decodedRecords(t) {
		wrong := []string{`"` + testkit.MarkedAnswer + `"`, `7`, `true`, `{"data":"` + testkit.MarkedAnswer + `"}`, `{"data":7}`, `{"data":false}`, `[7]`, `{"data":["` + testkit.MarkedAnswer + `"]}`}
		switch {
		case record.of == reflect.TypeFor[classic.Tag]():
			wrong = wrong[:3] // a text is the name of a tag
		case record.of == reflect.TypeFor[classic.Report](): // whose list is under "data"
			wrong = append(wrong, `null`, `{}`, `{"data":null}`)
		case record.call.Operation.Answer == "data-map" || record.call.Operation.Name == "classic.scim.listUsers":
		case record.list: // no list is an empty one
			wrong = append(wrong, `{}`, `{"data":{}}`)
		case record.call.Method != "MatchEmail": // which finds nothing then
			wrong = append(wrong, `null`, `[]`, `{"data":null}`, `{"data":[]}`)
		}
		for _, network.Body = range wrong {
			err := client.saw(record.call.On(t.Context(), client.Client))
			require.ErrorAs(t, err, new(*drift.DecodeError), "%s %s", record.call.Operation.Name, network.Body)
			assert.Equal(t, !record.call.Reads(), errors.Is(err, drift.ErrAmbiguous))
		}
	}
}

func faultUnknownEnum(t *testing.T) {
	client, network := bodyFault(t)
	network.Body = `{"data":{"id":1,"status":"snoozed","direction":"Sideways"}}`
	conversation, err := client.conversation()
	require.NoError(t, err)
	assert.Equal(t, drift.ConversationStatus("snoozed"), conversation.Status)
	assert.False(t, conversation.Status.IsKnown() || conversation.Direction.IsKnown())
	text, err := json.Marshal(conversation)
	require.NoError(t, err)
	assert.JSONEq(t, `{"id":1,"status":"snoozed","direction":"Sideways"}`, string(text))
}

func faultUnknownField(t *testing.T) {
	client, network := bodyFault(t)
	unknown := map[string]json.RawMessage{"X_new": json.RawMessage(`{"B":[1.50,null]}`), "also new": json.RawMessage(`"a"`)}
	for _, record := range decodedRecords(t) {
		fields := record.fields(t)
		delete(fields, "client_message_id") // the call makes one up
		for name, value := range unknown {
			fields[name] = value
		}
		network.Body = record.answer(fields)
		results := record.call.Results(t.Context(), client.Client)
		require.True(t, results[1].IsNil(), "%s: %v", record.call.Operation.Name, results[1])
		got := record.got(results)
		assert.Equal(t, unknown, got.FieldByName("Extra").Interface(), record.of.Name())
		text, err := json.Marshal(got.Interface())
		require.NoError(t, err)
		for name, value := range unknown {
			assert.Contains(t, string(text), fmt.Sprintf(`%q:%s`, name, value))
		}
	}
}

// Every field of every record: a list in a list fits none of them.
func faultWrongType(t *testing.T) {
	client, network := bodyFault(t)
	for _, record := range decodedRecords(t) {
		fields := record.fields(t)
		for name := range fields {
			if name == "payload" || name == "meta" && record.of == reflect.TypeFor[classic.SCIMUser]() { // may be anything
				continue
			}
			wrong := map[string]json.RawMessage{}
			for other, value := range fields {
				wrong[other] = value
			}
			wrong[name] = json.RawMessage(`[["` + testkit.MarkedAnswer + `"]]`)
			network.Body = record.answer(wrong)
			err := client.saw(record.call.On(t.Context(), client.Client))
			var decode *drift.DecodeError
			require.ErrorAs(t, err, &decode, "%s of %s", name, record.of.Name())
			assert.True(t, decode.Path == "/"+name || decode.Path == "/"+name+"/0", "%s of %s: %s", name, record.of.Name(), decode.Path)
			assert.Equal(t, record.list, errors.As(err, new(*drift.RecordError)))
			assert.Equal(t, !record.call.Reads() && !record.list, errors.Is(err, drift.ErrAmbiguous))
		}
	}
}

func faultNumberOrText(t *testing.T) {
	client, network := bodyFault(t)
	for _, network.Body = range []string{
		`{"data":[{"id":7,"company_id":"12"}]}`, `{"data":[{"id":"7","company_id":12}]}`,
	} {
		page, err := client.Companies.ListPeople(t.Context(), testkit.MarkedPath, drift.CompanyListPeopleOptions{})
		require.NoError(t, client.saw(err))
		assert.Equal(t, []*drift.Person{{ID: 7, CompanyID: "12"}}, page.Items)
	}
	for _, network.Body = range []string{`{"data":{"id":7,"created_at":1767225600000}}`, `{"data":{"id":"7","created_at":"1767225600000"}}`} {
		conversation, err := client.Conversations.Get(t.Context(), 7)
		require.NoError(t, client.saw(err))
		assert.Equal(t, &drift.Conversation{ID: 7, CreatedAt: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}, conversation)
	}
}

func faultDuplicateNames(t *testing.T) {
	client, network := bodyFault(t)
	for _, network.Body = range []string{
		`{"data":{"id":9,"id":1,"title":"b","Title":"a","assignedUserId":8,"assigned_user_id":7}}`,
		`{"DATA":{"id":9,"title":"c"},"data":{"ID":2,"Id":1,"TITLE":"b","AssignedUserID":7}}`,
	} {
		conversation, err := client.conversation()
		require.NoError(t, err)
		assert.Equal(t, &drift.Conversation{ID: 1, Title: "b", AssignedUserID: 7}, conversation)
	}
}

func faultDeepNesting(t *testing.T) {
	client, network := bodyFault(t)
	for _, levels := range []int{10_001, 1_000_000} {
		lists := strings.Repeat("[", levels)
		objects := strings.Repeat(`{"a":`, levels)
		for name, body := range map[string]string{
			"lists": lists, "closed": lists + strings.Repeat("]", levels), "objects": objects, "unknown field": `{"data":{"id":1,"x":` + lists,
			"attributes": `{"data":{"id":1,"custom_attributes":` + objects, "beside the data": `{"data":{"id":1},"x":` + objects, "pagination": `{"data":{"id":1},"pagination":` + lists,
		} {
			network.Status, network.Body = http.StatusOK, body
			requireBounded(t, func() {
				_, err := client.conversation()
				require.ErrorAs(t, err, new(*drift.DecodeError), name)
			})
			network.Status, network.Body = http.StatusNotFound, `{"error":`+body
			requireBounded(t, func() {
				_, err := client.conversation()
				require.ErrorIs(t, err, drift.ErrNotFound, name)
			})
		}
	}
}

func faultTrailingData(t *testing.T) {
	client, network := bodyFault(t)
	const document = `{"data":{"id":1}}`
	for _, network.Body = range []string{
		document + " x", document + document, document + "]", document + "\x00", document + " " + testkit.MarkedAnswer, document + "\ufeff", `{"id":1} null`, `{"id":1},`,
	} {
		_, err := client.conversation()
		testkit.RequireDecodeError(t, err, "")
	}
	for _, network.Body = range []string{document + " \r\n\t", "\n\t " + document, "\ufeff" + document, "\ufeff \r\n" + document} {
		conversation, err := client.conversation()
		require.NoError(t, err, "%q", network.Body)
		assert.Equal(t, &drift.Conversation{ID: 1}, conversation)
	}
}

func faultOddDates(t *testing.T) {
	client, network := bodyFault(t)
	newYear := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Time{
		`"2026-01-01T00:00:00+00:00"`: newYear, `"2026-01-01T00:00:00Z"`: newYear, `"2025-12-31T14:00:00-10:00"`: newYear, `"2026-01-01T05:45:00.000000+05:45"`: newYear,
		`1767225600000`: newYear, `"1767225600000"`: newYear, `1.7672256e12`: newYear, `0`: {}, `"0"`: {}, `""`: {}, `-1`: time.UnixMilli(-1).UTC(), `null`: {},
	} {
		network.Body = `{"data":{"id":1,"created_at":` + value + `}}`
		conversation, err := client.conversation()
		require.NoError(t, err, value)
		assert.Equal(t, want, conversation.CreatedAt, value)
	}
	for _, value := range []string{
		`" "`, `"2026-01-01T00:00:00"`, `"2026-01-01 00:00:00"`, `"2026-01-01"`, `"0000-00-00"`, `"0000-00-00 00:00:00"`, `"2026-02-30T00:00:00Z"`, `"2026-01-01T24:00:00Z"`,
		`"2026-01-01T00:00:00 CET"`, `"2026-01-01T00:00:00+2500"`, `"Thu, 01 Jan 2026 00:00:00 GMT"`, `1767225600.5`, `1.7672256001234e12`, `true`,
	} {
		network.Body = `{"data":{"id":1,"created_at":` + value + `}}`
		_, err := client.conversation()
		testkit.RequireDecodeError(t, err, "/created_at")
	}
}

// throughPages returns a client of a list of contacts in pages.
func throughPages(t *testing.T, pages *testkit.PagedContacts) *faultClient {
	t.Helper()
	return throughFault(t, pages.RoundTrip)
}

// collect reads a list of contacts from a cursor on.
func (c *faultClient) collect(ctx context.Context, cursor string, opts ...drift.CallOption) ([]int, *drift.PageError) {
	contacts, err := drift.Collect(c.Contacts.All(ctx, drift.ContactListOptions{Search: testkit.MarkedQuery, Cursor: cursor}, opts...), 0)
	var failed *drift.PageError
	if c.saw(err) != nil {
		require.ErrorAs(c.t, err, &failed)
	}
	return testkit.IDsOf(contacts), failed
}

func faultOddPages(t *testing.T) {
	t.Run("a cursor repeats", func(t *testing.T) {
		pages := &testkit.PagedContacts{Pages: map[string]testkit.ContactPage{"": {IDs: []int{1}, Next: "a"}, "a": {IDs: []int{2}, Next: "b"}, "b": {IDs: []int{3}, Next: "a"}}}
		ids, failed := throughPages(t, pages).collect(t.Context(), "")
		assert.Equal(t, []int{1, 2, 3}, ids)
		require.ErrorIs(t, failed, drift.ErrCursorLoop)
		assert.Equal(t, []string{"", "a", "b"}, pages.Cursors())
	})
	t.Run("empty pages", func(t *testing.T) {
		pages := &testkit.PagedContacts{Pages: map[string]testkit.ContactPage{"": {Next: "a"}, "a": {Next: "b"}, "b": {IDs: []int{1}, Next: "c"}, "c": {}}}
		ids, failed := throughPages(t, pages).collect(t.Context(), "")
		require.Nil(t, failed)
		assert.Equal(t, []int{1}, ids)
	})
	t.Run("a link to another host", func(t *testing.T) {
		trap, calls := testkit.TrapServer(t)
		requests := 0
		client := serveFault(t, func(w http.ResponseWriter, r *http.Request) {
			requests++
			links := ""
			if requests == 1 {
				links = fmt.Sprintf(`,"links":{"next":%q}`, trap+"/v2/contacts?next=second&token="+testkit.MarkedAnswer)
			}
			testkit.Respond(http.StatusOK, fmt.Sprintf(`{"data":[{"id":%d}]%s}`, requests, links))(w, r)
		})
		ids, failed := client.collect(t.Context(), "")
		require.Nil(t, failed)
		assert.Equal(t, []int{1, 2}, ids)
		assert.Zero(t, calls())
	})
	t.Run("no end", checkEndlessList)
}

// checkEndlessList: a list whose every page names another one ends with the context, or with the caller's patience.
func checkEndlessList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		client := throughFault(t, func(r *http.Request) (*http.Response, error) {
			requests++
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
			return testkit.MemoryAnswer(r, http.StatusOK, "application/json", testkit.ContactPage{IDs: []int{requests}, Next: fmt.Sprint(requests)}.JSON()), nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10500*time.Millisecond)
		defer cancel()
		start := time.Now()
		ids, failed := client.collect(ctx, "")
		require.ErrorIs(t, failed, context.DeadlineExceeded)
		assert.Equal(t, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, ids)
		assert.Equal(t, "10", failed.Cursor)
		assert.Equal(t, 10500*time.Millisecond, time.Since(start), "at once")

		some, err := drift.Collect(client.Contacts.All(t.Context(), drift.ContactListOptions{}), 3)
		require.NoError(t, client.saw(err))
		assert.Len(t, some, 3)
		assert.Equal(t, 14, requests, "nothing is read ahead")
	})
}

func faultPageFails(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusInternalServerError} {
		for _, opts := range [][]drift.CallOption{nil, {drift.WithPrefetch()}} {
			t.Run(fmt.Sprint(status, len(opts)), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					pages := &testkit.PagedContacts{Pages: map[string]testkit.ContactPage{
						"": {IDs: []int{1, 2}, Next: "b"}, "b": {IDs: []int{3, 4}, Next: "c"}, "c": {Status: status}, "d": {IDs: []int{7, 8}, Next: "e"}, "e": {IDs: []int{9}},
					}}
					client := throughPages(t, pages)
					ids, failed := client.collect(t.Context(), "", opts...)
					assert.Equal(t, []int{1, 2, 3, 4}, ids)
					require.NotNil(t, failed)
					assert.Equal(t, "c", failed.Cursor)
					var api *drift.APIError
					require.ErrorAs(t, failed, &api)
					assert.Equal(t, status, api.StatusCode)
					assert.Equal(t, 2+len(api.Attempts), pages.Requests())
					assert.False(t, slices.Contains(pages.Cursors(), "d"), "nothing after the failure")

					pages.Pages["c"] = testkit.ContactPage{IDs: []int{5, 6}, Next: "d"}
					ids, failed = client.collect(t.Context(), failed.Cursor, opts...)
					require.Nil(t, failed)
					assert.Equal(t, []int{5, 6, 7, 8, 9}, ids)
				})
			})
		}
	}
}
