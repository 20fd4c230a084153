package testkit

import (
	"io"
	"reflect"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
)

// goodClassic are arguments of methods of package classic that can be sent, where the type does not tell what is good.
var goodClassic = map[reflect.Type]any{
	reflect.TypeFor[[]string]():                      []string{"ada@example.com"},
	reflect.TypeFor[[]drift.UserID]():                []drift.UserID{1},
	reflect.TypeFor[[]classic.Tag]():                 []classic.Tag{{Name: "vip"}},
	reflect.TypeFor[io.Writer]():                     io.Discard,
	reflect.TypeFor[classic.ContactUpdateRequest]():  classic.ContactUpdateRequest{Attributes: drift.Attributes{"a": 1}},
	reflect.TypeFor[classic.TimelineEventRequest]():  classic.TimelineEventRequest{ContactID: 1, Event: "signed up"},
	reflect.TypeFor[classic.UserUpdateRequest]():     classic.UserUpdateRequest{Name: drift.Set("Ada")},
	reflect.TypeFor[classic.MeetingListOptions]():    classic.MeetingListOptions{To: time.UnixMilli(1767225600123)},
	reflect.TypeFor[classic.MessageCreateRequest]():  classic.MessageCreateRequest{Type: classic.MessageTypeChat},
	reflect.TypeFor[classic.AccountCreateRequest]():  classic.AccountCreateRequest{OwnerID: 1},
	reflect.TypeFor[classic.AccountUpdateRequest]():  classic.AccountUpdateRequest{OwnerID: 1},
	reflect.TypeFor[classic.ReportRequest]():         classic.ReportRequest{Metrics: []string{"numBotMessages"}},
	reflect.TypeFor[classic.ReportSummaryRequest]():  classic.ReportSummaryRequest{Metrics: []classic.ReportSummaryMetric{{}}},
	reflect.TypeFor[classic.SCIMUserCreateRequest](): classic.SCIMUserCreateRequest{UserName: "a@b.c", DisplayName: "Ada"},
	reflect.TypeFor[classic.SCIMUserUpdateRequest](): classic.SCIMUserUpdateRequest{Active: drift.Set(false)},
	reflect.TypeFor[classic.ConversationCreateRequest](): classic.ConversationCreateRequest{
		Email: "ada@example.com", Body: "Hello",
	},
}
