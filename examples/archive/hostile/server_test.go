package hostile

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// service is a classic API that shares no code with the SDK and its test server. It changes while it is read.
type service struct {
	URL string

	mu            sync.Mutex
	random        *rand.Rand
	clock         int64 // of the last change, in milliseconds; never twice the same
	lastID        int64
	conversations map[int64]*conversation
	contacts      map[int64]*record
	files         map[int64][]byte
	lists         map[string][]record // by path
	accounts      []record
	gone          map[string]bool // paths that answer 404
	forbidden     map[string]bool // the beginnings of paths that answer 403
	requests      map[string]int  // by path without ids
	total         int

	churn    int           // a change every so many requests; 0: none
	faults   int           // a fault every so many requests, on average; 0: none
	lag      time.Duration // of the list
	lifetime int           // page tokens are good for so many requests; 0: for ever
	batches  bool          // contacts?id=…&id=…
	garbage  bool          // all pages of the list but the first
	down     bool          // every connection is closed without an answer
	fault    func(r *http.Request) int
}

// record is an element of a list, as it is sent.
type record struct {
	id  int64 // 0: nobody can tell
	raw string
}

type conversation struct {
	id, contact, created int64
	state                state
	listed               []state // what the list is going to show, the oldest first
	messages             []record
	notes                int
	details              string
	odd                  string // the element of the list, if it is odd
}

type state struct {
	updated int64
	status  string
}

func start(t *testing.T, seed uint64) *service {
	t.Helper()
	s := &service{
		random: rand.New(rand.NewPCG(seed, 20)), clock: time.Now().AddDate(0, 0, -20).UnixMilli(), lastID: 1000,
		conversations: map[int64]*conversation{}, contacts: map[int64]*record{}, files: map[int64][]byte{},
		lists: map[string][]record{}, gone: map[string]bool{}, forbidden: map[string]bool{},
		requests: map[string]int{}, batches: seed%2 == 0,
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

func (s *service) id() int64 { s.lastID++; return s.lastID }

// now is the time of a change: during the seeding in the past, later the real one.
func (s *service) now() int64 {
	if seeding := s.total == 0; seeding {
		s.clock += 1 + s.random.Int64N(1000)
	} else {
		s.clock = max(s.clock+1, time.Now().UnixMilli())
	}
	return s.clock
}

// ServeHTTP implements http.Handler.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	status, answer, kind := s.answer(r, body)
	s.mu.Unlock()
	switch kind {
	case "reset", "cut":
		connection, stream, err := http.NewResponseController(w).Hijack()
		if err == nil {
			if kind == "cut" {
				fmt.Fprintf(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
					len(answer)+10, answer[:len(answer)/2])
				_ = stream.Flush()
			}
			_ = connection.Close()
		}
		return
	case "slow":
		time.Sleep(100 * time.Millisecond)
	}
	if strings.HasPrefix(r.URL.Path, "/attachments/") && status == 200 {
		w.Header().Set("Content-Type", "application/octet-stream")
	} else {
		w.Header().Set("Content-Type", "application/json")
	}
	w.Header().Set("Date", time.UnixMilli(max(time.Now().UnixMilli(), s.clock)).UTC().Format(http.TimeFormat))
	if status == 429 {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, answer)
}

func (s *service) answer(r *http.Request, body []byte) (status int, answer, kind string) {
	s.total++
	path := strings.Trim(r.URL.Path, "/")
	s.requests[shape(path)]++
	if s.down {
		return 0, "", "reset"
	}
	if s.churn > 0 && s.total%s.churn == 0 {
		s.change()
	}
	if s.fault != nil {
		if status := s.fault(r); status != 0 {
			return status, `{"error":{"message":"on purpose"}}`, ""
		}
	}
	if s.faults > 0 && s.random.IntN(s.faults) == 0 {
		switch s.random.IntN(5) {
		case 0:
			return 429, `{"error":{"message":"slow down"}}`, ""
		case 1:
			return 500, `oops`, ""
		case 2:
			return 0, "", "reset"
		case 3:
			kind = "cut"
		case 4:
			kind = "slow"
		}
	}
	for prefix := range s.forbidden {
		if strings.HasPrefix(path, prefix) {
			return 403, `{"error":{"type":"forbidden","message":"no"}}`, ""
		}
	}
	if s.gone[path] {
		return 404, `{"error":{"type":"not_found","message":"gone"}}`, ""
	}
	status, answer = s.route(path, r.URL.Query(), body)
	return status, answer, kind
}

func shape(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if _, err := strconv.Atoi(part); err == nil {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, "/")
}

const notFound = `{"error":{"type":"not_found","message":"there is no such thing"}}`

func (s *service) route(path string, query url.Values, body []byte) (int, string) {
	parts := strings.Split(path, "/")
	switch {
	case path == "conversations/list" && s.garbage && query.Get("page_token") != "":
		return 200, "{\"data\":[{\"id\":1\xff\x00"
	case path == "conversations/list":
		return s.list(query)
	case path == "conversations/stats":
		return 200, s.stats()
	case path == "reports/conversations":
		return 200, s.report(body)
	case path == "accounts":
		return 200, s.accountsPage(query)
	case path == "contacts":
		return s.batch(query)
	case path == "app/token_info":
		return 200, `{"access_token":"x","authenticated_userid":"orgId:77","credential_id":"c","token_type":"bearer",` +
			`"expires_in":0,"created_at":1,"scope":"","id":"1"}`
	case path == "playbooks/list", path == "playbooks/clp":
		return 200, "[" + joined(s.lists[path]) + "]"
	case path == "contacts/attributes":
		return 200, `{"data":{"properties":[` + joined(s.lists[path]) + `]}}`
	case s.lists[path] != nil, path == "users/list", path == "teams/org", path == "users/meetings/org":
		return 200, `{"data":[` + joined(s.lists[path]) + `]}`
	}
	if len(parts) < 2 {
		return 404, notFound
	}
	id, _ := strconv.ParseInt(parts[1], 10, 64)
	switch c := s.conversations[id]; {
	case parts[0] == "contacts" && s.contacts[id] != nil:
		return 200, `{"data":` + s.contacts[id].raw + `}`
	case parts[0] == "attachments" && s.files[id] != nil:
		return 200, string(s.files[id])
	case parts[0] == "conversations" && c != nil && len(parts) == 2:
		return 200, `{"data":` + c.details + `}`
	case parts[0] == "conversations" && c != nil && parts[2] == "messages":
		return s.messages(c, query.Get("next"))
	}
	return 404, notFound
}

func joined(records []record) string {
	raws := make([]string, 0, len(records))
	for _, r := range records {
		raws = append(raws, r.raw)
	}
	return strings.Join(raws, ",")
}

// raw is the element of the list.
func (c *conversation) raw() string {
	if c.odd != "" {
		return c.odd
	}
	return fmt.Sprintf(`{"status":%q,"contactId":%d,"createdAt":%d,"id":%d,"inboxId":7,"updatedAt":%d}`,
		c.shown().status, c.contact, c.created, c.id, c.shown().updated)
}

// shown is the state in the list, which may lag.
func (c *conversation) shown() state { return c.listed[0] }

func (s *service) settle() {
	until := time.Now().Add(-s.lag).UnixMilli()
	for _, c := range s.conversations {
		for len(c.listed) > 1 && c.listed[1].updated <= until {
			c.listed = c.listed[1:]
		}
	}
}

func (s *service) list(query url.Values) (int, string) {
	s.settle()
	limit, _ := strconv.Atoi(query.Get("limit"))
	below := [2]int64{1 << 62, 0}
	if token := query.Get("page_token"); token != "" {
		data, err := base64.RawURLEncoding.DecodeString(token)
		var born int
		if _, scanErr := fmt.Sscanf(string(data), "%d %d %d %d", &below[0], &below[1], &limit, &born); err != nil || scanErr != nil ||
			s.lifetime > 0 && s.total-born > s.lifetime {
			return 400, `{"error":{"type":"invalid","message":"the token is too old"}}`
		}
	}
	var all []*conversation
	for _, c := range s.conversations {
		if at := c.shown().updated; at < below[0] || at == below[0] && c.id < below[1] {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b *conversation) int {
		if a.shown().updated != b.shown().updated {
			return int(b.shown().updated - a.shown().updated)
		}
		return int(b.id - a.id)
	})
	next := "null"
	if len(all) > limit {
		all = all[:limit]
		last := all[limit-1]
		token := fmt.Sprintf("%d %d %d %d", last.shown().updated, last.id, limit, s.total)
		next = fmt.Sprintf(`"https://api.elsewhere.test/conversations/list?page_token=%s"`,
			base64.RawURLEncoding.EncodeToString([]byte(token)))
	}
	raws := make([]string, 0, len(all))
	for _, c := range all {
		raws = append(raws, c.raw())
	}
	return 200, `{"data":[` + strings.Join(raws, ",") + `],"links":{"self":"x","next":` + next + `},"pagination":{"more":true,"next":"4"}}`
}

func (s *service) messages(c *conversation, next string) (int, string) {
	from, _ := strconv.Atoi(next)
	from = min(from, len(c.messages))
	page := c.messages[from:min(from+50, len(c.messages))]
	pagination := `{"more":false}`
	if from+50 < len(c.messages) {
		pagination = fmt.Sprintf(`{"more":true,"next":%d}`, from+50)
	}
	return 200, `{"data":{"messages":[` + joined(page) + `]},"pagination":` + pagination + `}`
}

func (s *service) stats() string {
	counts := map[string]int{}
	for _, c := range s.conversations {
		counts[strings.ToUpper(c.state.status)]++
	}
	data, _ := json.Marshal(map[string]any{"conversationCount": counts})
	return string(data)
}

func (s *service) report(body []byte) string {
	var request struct {
		Filters []struct{ Values []int64 }
		Metrics []string
	}
	_ = json.Unmarshal(body, &request)
	rows, between := []any{}, request.Filters[0].Values
	for _, c := range s.conversations {
		if c.state.updated < between[0] || c.state.updated > between[1] {
			continue
		}
		all := map[string]int64{"numAgentMessages": int64(len(c.messages) - c.notes), "updatedAt": c.state.updated}
		metrics := []int64{}
		for _, name := range request.Metrics {
			metrics = append(metrics, all[name])
		}
		rows = append(rows, map[string]any{"conversationId": c.id, "metrics": metrics})
	}
	data, _ := json.Marshal(map[string]any{"count": len(rows), "data": rows})
	return string(data)
}

func (s *service) accountsPage(query url.Values) string {
	size, _ := strconv.Atoi(query.Get("size"))
	index, _ := strconv.Atoi(query.Get("index"))
	index = min(index, len(s.accounts))
	end := min(index+size, len(s.accounts))
	next := ""
	if end < len(s.accounts) {
		next = fmt.Sprintf(`,"next":"/accounts?index=%d&size=%d"`, end, size)
	}
	return fmt.Sprintf(`{"data":{"accounts":[%s],"total":%d%s}}`, joined(s.accounts[index:end]), len(s.accounts), next)
}

func (s *service) batch(query url.Values) (int, string) {
	if !s.batches {
		return 400, `{"error":{"type":"CONTACT-10","message":"unknown parameter"}}`
	}
	var found []record
	for _, text := range query["id"] {
		id, _ := strconv.ParseInt(text, 10, 64)
		if c := s.contacts[id]; c != nil && !s.gone["contacts/"+text] && c.id == id {
			found = append(found, *c)
		}
	}
	return 200, `{"data":[` + joined(found) + `]}`
}

// seed makes an ordinary account.
func (s *service) seed(conversations int) {
	for i := range conversations {
		c := s.begin(s.person(fmt.Sprintf("person%d@example.com", i), fmt.Sprintf("Person Number%d", i)))
		for range s.random.IntN(8) {
			s.say(c)
		}
		if s.random.IntN(20) == 0 {
			for range 40 + s.random.IntN(100) {
				s.say(c)
			}
		}
	}
	for i := range 5 {
		s.lists["users/list"] = append(s.lists["users/list"],
			record{int64(1 + i), fmt.Sprintf(`{"id":%d,"orgId":77,"name":"Agent %d","email":"agent%d@corp.test"}`, 1+i, i, i)})
		s.lists["teams/org"] = append(s.lists["teams/org"], record{int64(1 + i), fmt.Sprintf(`{"id":%d,"name":"Team %d"}`, 1+i, i)})
		s.lists["playbooks/list"] = append(s.lists["playbooks/list"], record{int64(1 + i), fmt.Sprintf(`{"id":%d,"name":"Book %d"}`, 1+i, i)})
		s.lists["playbooks/clp"] = append(s.lists["playbooks/clp"],
			record{int64(1 + i), fmt.Sprintf(`{"playbookId":%d,"playbookName":"Book","landingPageUrl":"https://x.test/%d"}`, 1+i, i)})
		s.lists["contacts/attributes"] = append(s.lists["contacts/attributes"],
			record{int64(1 + i), fmt.Sprintf(`{"name":"a%d","type":"STRING","displayName":"A %d"}`, i, i)})
		s.lists["users/meetings/org"] = append(s.lists["users/meetings/org"], record{int64(1 + i),
			fmt.Sprintf(`{"eventId":"event-%d","agentId":1,"schedulerId":%d,"slotStart":%d,"status":"ACTIVE"}`, i, 1001+4*i, s.now())})
	}
	for i := range 150 {
		s.accounts = append(s.accounts, record{int64(1 + i), fmt.Sprintf(`{"accountId":"%d_x.test","ownerId":1,"name":"Account %d"}`, i, i)})
	}
}

func (s *service) person(email, name string) int64 {
	id := s.id()
	data, _ := json.Marshal(map[string]any{"id": id, "createdAt": s.now(),
		"attributes": map[string]any{"email": email, "name": name, "_END_USER_VERSION": 1, "_end_user_version": 2}})
	s.contacts[id] = &record{id, string(data)}
	return id
}

func (s *service) begin(contact int64) *conversation {
	c := &conversation{id: s.id(), contact: contact, created: s.now()}
	c.state = state{c.created, []string{"open", "closed", "pending", "bulk_sent"}[s.random.IntN(4)]}
	c.listed = []state{c.state}
	c.details = fmt.Sprintf(`{"id":%d,"contactId":%d,"status":"open","participants":[1,2],"conversationTags":[{"name":"vip"}]}`, c.id, contact)
	s.conversations[c.id] = c
	s.say(c)
	return c
}

// touch changes a conversation.
func (s *service) touch(c *conversation) {
	c.state.updated = s.now()
	if s.lag == 0 {
		c.listed = nil
	}
	c.listed = append(c.listed, c.state)
}

func (s *service) say(c *conversation) record {
	id, words := s.id(), []string{"hello", "price", "grüße", "日本語", "🎉", "<b>bold</b>", "&amp;", "a\\u0000b", "refund", "ticket"}
	text := words[s.random.IntN(len(words))] + " " + words[s.random.IntN(len(words))] + " " + strconv.FormatInt(id, 36)
	author := fmt.Sprintf(`{"id":%d,"type":"contact","bot":false}`, c.contact)
	kind := "chat"
	if s.random.IntN(3) == 0 {
		author = fmt.Sprintf(`{"id":%d,"type":"user","bot":false}`, 1+s.random.IntN(5))
		if s.random.IntN(3) == 0 {
			kind = "private_note"
			c.notes++
		}
	}
	attachments := ""
	if s.random.IntN(15) == 0 {
		file := s.id()
		s.files[file] = fmt.Appendf(nil, "file %d of %d", file%10, c.contact)
		attachments = fmt.Sprintf(`,"attachments":[{"id":%d,"fileName":"f%d.txt","mimeType":"text/plain"}]`, file, file)
	}
	raw := fmt.Sprintf(`{"id":%d,"conversationId":%d,"type":%q,"body":"<p>%s</p>","author":%s,"createdAt":%d,"unknown":{"a":[1,null]}%s}`,
		id, c.id, kind, text, author, s.now(), attachments)
	m := record{id, raw}
	c.messages = append(c.messages, m)
	s.touch(c)
	return m
}

// change is something that happens at the service.
func (s *service) change() {
	ids := make([]int64, 0, len(s.conversations))
	for id := range s.conversations {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	c := s.conversations[ids[s.random.IntN(len(ids))]]
	switch s.random.IntN(10) {
	case 0:
		s.begin(s.person(fmt.Sprintf("new%d@example.com", s.lastID), "New"))
	case 1:
		delete(s.conversations, c.id)
	case 2:
		c.state.status = "closed"
		s.touch(c)
	case 3: // an edit
		if n := len(c.messages); n > 0 {
			m := &c.messages[s.random.IntN(n)]
			m.raw = strings.Replace(m.raw, `"unknown":`, `"edited":true,"unknown":`, 1)
			s.touch(c)
		}
	default:
		s.say(c)
	}
}
