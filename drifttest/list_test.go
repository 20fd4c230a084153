package drifttest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/driftsdk/drift/drifttest"
)

func TestPaging(t *testing.T) {
	t.Parallel()
	w := start(t, drifttest.WithDemoData())

	first := w.list("v2/conversations")
	assert.Len(t, first.Data, 25)
	assert.True(t, first.Pagination.More)

	var all []int
	path := "v2/conversations?limit=23"
	for next := ""; ; {
		l := w.list(path + next)
		all = append(all, l.ids()...)
		if !l.Pagination.More {
			assert.Empty(t, l.Pagination.Next)
			break
		}
		next = "&next=" + url.QueryEscape(l.Pagination.Next)
	}
	assert.Equal(t, upTo(60), all)
	assert.False(t, w.list("v2/conversations?limit=60").Pagination.More, "the last record is on this page")
}

func upTo(n int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = i + 1
	}
	return ids
}

func TestCursorSurvivesInsertsAndDeletes(t *testing.T) {
	t.Parallel()
	w := start(t)
	for i := range 6 {
		w.ok(http.MethodPost, "v2/contacts/raw", fmt.Sprintf(`{"email":"c%d@x.example"}`, i))
	}
	next := "&next=" + w.list("v2/contacts?limit=3").Pagination.Next

	w.send(http.MethodDelete, "v2/contacts/3", "") // the one that the cursor points at
	w.send(http.MethodDelete, "v2/contacts/4", "")
	w.ok(http.MethodPost, "v2/contacts/raw", `{"email":"late@x.example"}`)

	assert.Equal(t, []int{5, 6, 7}, w.list("v2/contacts?limit=3"+next).ids())
	w.refused(http.StatusBadRequest, http.MethodGet, "v2/conversations?limit=3"+next, "")
}

func TestCursorGoesWithFilters(t *testing.T) {
	t.Parallel()
	w := start(t, drifttest.WithDemoData())
	l := w.list("v2/conversations/status/open?limit=2")
	assert.Equal(t, []int{1, 4}, l.ids())
	assert.Equal(t, []int{7, 10}, w.list("v2/conversations/status/open?limit=2&next="+l.Pagination.Next).ids())
}

func TestEmptyListIsAList(t *testing.T) {
	t.Parallel()
	w := start(t)
	res := w.send(http.MethodGet, "v2/conversations", "")
	assert.JSONEq(t, `{"data":[],"pagination":{"more":false}}`, string(res.body))
}

// Each filter lets some demo records through and keeps others out. The instants are those of records
// that were read before.
func TestFilters(t *testing.T) {
	t.Parallel()
	w := start(t, drifttest.WithDemoData())
	third := w.list("v2/conversations?id=3").Data[0]
	second := w.list("v2/conversations?id=2").Data[0]
	meeting := w.list("v2/meetings?id=2").Data[0]
	ms := func(record map[string]any, name string) string { return fmt.Sprintf("%.0f", record[name]) }

	tests := []struct {
		path string
		want []int
	}{
		{"v2/conversations?id=3", []int{3}},
		{"v2/conversations?archived=true", []int{2, 14, 26, 38, 50}},
		{"v2/conversations?deleted=true", []int{}},
		{"v2/conversations?assigned_user_id=2&labels=warm&tags=trial", []int{2}},
		{"v2/conversations?labels=warm&labels=cold", []int{}},
		{"v2/conversations?tags=vip&tags=vip&direction=outbound", []int{}},
		{"v2/conversations?tags=trial&direction=outbound", []int{6, 18, 30, 42, 54}},
		{"v2/conversations?email=GRACE.ABBOTT@customer01.example", []int{1, 31}},
		{"v2/conversations?title=Question%20about%20the%20trial&direction=outbound", []int{30, 60}},
		{"v2/conversations?title=Question", []int{}},
		{"v2/conversations?reply_subject=Re:%20Can%20we%20add%20ten%20seats%3F&labels=hot&tags=billing", []int{3}},
		{"v2/conversations?integration=email", []int{}},
		{"v2/conversations?member_count=2", []int{}},
		{"v2/conversations?workflow_id=1", []int{}},
		{"v2/conversations?custom_attributes[priority]=3&tags=billing", []int{3, 15, 27, 39, 51}},
		{"v2/conversations?custom_attributes[nope]=3", []int{}},
		{"v2/conversations?participants=ada%20byron&tags=vip", []int{1, 21, 41}},
		{"v2/conversations?participants=ben@acme.example&participants=hugo.abbott@customer02.example", []int{}},
		{"v2/conversations?created_at=" + ms(third, "created_at"), []int{3}},
		{"v2/conversations?updated_at=" + ms(third, "updated_at"), []int{3}},
		{"v2/conversations?last_activity_at=" + ms(third, "last_activity_at"), []int{3}},
		{"v2/conversations?last_message_sent_at=" + ms(third, "last_message_sent_at"), []int{3}},
		{"v2/conversations?resolved_at=" + ms(second, "resolved_at"), []int{2}},

		{"v2/conversations/status/pending?archived=false", []int{3, 9, 15, 21, 27, 33, 39, 45, 51, 57}},
		{"v2/conversations/status/closed?archived=true", []int{2, 14, 26, 38, 50}},
		{"v2/conversations/status/unheard-of", []int{}},

		{"v2/contacts?search=OLGA", []int{9, 19, 29}},
		{"v2/contacts?search=customer07", []int{7}},
		{"v2/contacts?email=Hugo.Abbott@customer02.example", []int{2}},
		{"v2/contacts?labels=hot&tags=bug", []int{12, 24}},
		{"v2/contacts?custom_attributes[plan]=pro&custom_attributes[seats]=6", []int{2, 23}},
		{"v2/contacts?workflow_id=1", []int{}},
		{"v2/contacts?background_mode=true&search=kira", []int{5, 15, 25}},

		{"v2/companies/acme.example/people?search=PATEL", []int{4}},
		{"v2/companies/acme.example/people?search=acme.example&limit=2", []int{1, 2}},
		{"v2/companies/acme.example/teams?search=sup", []int{1}},

		{"v2/meetings?subject=Renewal", []int{4}},
		{"v2/meetings?direction=inbound", []int{1, 3}},
		{"v2/meetings?event_type=phone", []int{}},
		{"v2/meetings?duration=45", []int{2, 4}},
		{"v2/meetings?location=https://meet.acme.example/renewal", []int{4}},
		{"v2/meetings?notes=Agenda%20follows.&limit=1", []int{1}},
		{"v2/meetings?created_by=4&updated_by=4&limit=1", []int{1}},
		{"v2/meetings?created_by=5", []int{}},
		{"v2/meetings?in_progress=true", []int{}},
		{"v2/meetings?ended_at=1", []int{}},
		{"v2/meetings?participant_ids=3&participant_ids=4", []int{2}},
		{"v2/meetings?participant_ids=3&participant_ids=5", []int{}},
		{"v2/meetings?participants=Dev%20Patel&participants=grace.abbott@customer01.example", []int{1}},
		{"v2/meetings?start_at=" + ms(meeting, "start_at"), []int{2}},
		{"v2/meetings?start_after=" + ms(meeting, "start_at"), []int{3, 4}},
		{"v2/meetings?start_before=" + ms(meeting, "start_at"), []int{1}},
		{"v2/meetings?created_after=" + ms(meeting, "created_at"), []int{3, 4}},
		{"v2/meetings?created_before=" + ms(meeting, "created_at"), []int{1}},
		{"v2/meetings?updated_since=" + ms(meeting, "updated_at"), []int{2, 3, 4}},
	}
	for _, test := range tests {
		t.Run(test.path, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, w.list(test.path).ids())
		})
	}
}
