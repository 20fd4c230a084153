package drift

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/internal/wire"
)

// recordFields are all records, and what else is decoded by the layout of its type.
func recordFields() []any {
	return []any{
		new(Conversation).fields(), new(Message).fields(), new(Contact).fields(), new(Note).fields(), new(Tag).fields(),
		new(Meeting).fields(), new(Participant).fields(), new(Person).fields(), new(Team).fields(), new(DriftbotInteraction).fields(),
		new(MeetingCreateRequest).fields(), new(NoteCreateRequest).fields(), new(messageContextFields), new(tagRefFields),
	}
}

// Decoding by the layout of a type is there for speed alone: what it makes of an answer is what the JSON package makes of it.
func FuzzLayout(f *testing.F) {
	seeds := []string{
		`{}`, `null`, `[]`, `"vip"`, `7`, ``, `{`, `{"id":1}`, `{"id":null,"title":null,"tags":null,"archived":null,"created_at":null,"custom_attributes":null}`,
		`{"ID":"12","Created-At":"2026-01-02T03:04:05+02:00","createdAt":5,"x":{"y":[1,2]},"x":true}`,
		`{"id":1,"tags":["vip",{"id":"3","name":"é","color":null},null],"labels":["a","b","c","d","e","f"],"participants":[1,"2",null]}`,
		`{"id":1,"author":{"id":"7","type":"contact"},"author":{"bot":true},"context":{"ip":"::1","z":1},"buttons":[{"label":"a","reaction":{"type":"b"}}]}`,
		`{"id":1,"custom_attributes":{"a":[1.50,{"b":"\ud83d"}],"a":2},"member_count":3,"duration":30,"payload":{"a":1e400}}`,
		`{"id":1,"archived":"true"}`, `{"id":1,"title":5}`, `{"id":1,"labels":[5]}`, `{"id":1,"labels":{}}`, `{"id":{},"member_count":"3"}`,
		`{"id":1,"title":"\u0041\n","email":"` + "\xff" + `","":1,"\u0069d":2}`, `{"id":1} x`, `{"id":1,"custom_attributes":[]}`,
		`{"id":1,"author":[]}`, `{"id":1,"context":null,"author":null}`, `{"id":1,"attachments":[{"id":"3","file_name":"a"}],"members":[{"id":2}]}`,
	}
	for kind := range recordFields() {
		for _, seed := range seeds {
			f.Add(uint8(kind), []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		if lower := bytes.ToLower(data); slices.ContainsFunc([]string{"\u017f", "\u212a", `\u017f`, `\u212a`}, func(letter string) bool {
			return bytes.Contains(data, []byte(letter)) || bytes.Contains(lower, []byte(letter))
		}) {
			return // the JSON package folds these two into ASCII, which no name of the API needs
		}
		fields := recordFields()
		i := int(kind) % len(fields)
		got, want := fields[i], recordFields()[i]
		err, wantErr := wire.UnmarshalObject(data, got), wire.Unmarshal(data, want)
		if _, bare := got.(*tagRefFields); bare && bytes.HasPrefix(bytes.TrimSpace(data), []byte(`"`)) {
			return // a tag may be its name alone, which is ours to know
		}
		require.Equal(t, wantErr == nil, err == nil, "%v, and the JSON package: %v", err, wantErr)
		if err == nil {
			require.Equal(t, want, got)
		}
	})
}
