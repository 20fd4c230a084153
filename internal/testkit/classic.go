package testkit

import (
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
)

// goodClassic are arguments of methods of package classic that can be sent, where the type does not tell what is good.
var goodClassic = map[reflect.Type]any{
	reflect.TypeFor[[]string]():                     []string{"ada@example.com"},
	reflect.TypeFor[[]drift.UserID]():               []drift.UserID{1},
	reflect.TypeFor[[]classic.Tag]():                []classic.Tag{{Name: "vip"}},
	reflect.TypeFor[io.Writer]():                    io.Discard,
	reflect.TypeFor[classic.ContactUpdateRequest](): classic.ContactUpdateRequest{Attributes: drift.Attributes{"a": 1}},
	reflect.TypeFor[classic.TimelineEventRequest](): classic.TimelineEventRequest{ContactID: 1, Event: "signed up"},
	reflect.TypeFor[classic.UserUpdateRequest]():    classic.UserUpdateRequest{Name: drift.Set("Ada")},
	reflect.TypeFor[classic.MeetingListOptions]():   classic.MeetingListOptions{To: time.UnixMilli(1767225600123)},
	reflect.TypeFor[classic.MessageCreateRequest](): classic.MessageCreateRequest{Type: classic.MessageTypeChat},
	reflect.TypeFor[classic.AccountCreateRequest](): classic.AccountCreateRequest{OwnerID: 1},
	reflect.TypeFor[classic.AccountUpdateRequest](): classic.AccountUpdateRequest{OwnerID: 1},
	reflect.TypeFor[classic.ReportRequest]():        classic.ReportRequest{Metrics: []string{"numBotMessages"}},
	reflect.TypeFor[classic.ReportSummaryRequest](): classic.ReportSummaryRequest{
		Metrics: []classic.ReportSummaryMetric{{Property: "numBotMessages", Type: "AVG"}},
	},
	reflect.TypeFor[classic.SCIMUserCreateRequest](): classic.SCIMUserCreateRequest{UserName: "a@b.c", DisplayName: "Ada"},
	reflect.TypeFor[classic.SCIMUserUpdateRequest](): classic.SCIMUserUpdateRequest{Active: drift.Set(false)},
	reflect.TypeFor[classic.ConversationCreateRequest](): classic.ConversationCreateRequest{
		Email: "ada@example.com", Body: "Hello",
	},
}

// ClassicJSONTypes returns every type of package classic that users may put through encoding/json: records, requests,
// and the parts of records. Only those that hide or derive something are missing.
func ClassicJSONTypes() []reflect.Type {
	var types []reflect.Type
	add := func(of reflect.Type) {
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice || of.Kind() == reflect.Map {
			of = of.Elem()
		}
		if items, ok := fieldByName(of, "Items"); ok {
			of = items.Type.Elem().Elem()
		}
		if of.Kind() == reflect.Struct && of.PkgPath() == reflect.TypeFor[classic.Client]().PkgPath() && !slices.Contains(types, of) {
			types = append(types, of)
		}
	}
	for _, service := range ClassicServices() {
		for method := range service.Methods() {
			add(method.Type.Out(0))
			for _, argument := range StructArguments(method.Type) {
				if strings.HasSuffix(argument.Name(), "Request") {
					add(argument)
				}
			}
		}
	}
	for i := 0; i < len(types); i++ { // types grows by the parts of its elements
		for j := range types[i].NumField() {
			add(types[i].Field(j).Type)
		}
	}
	hidden := []reflect.Type{reflect.TypeFor[classic.TokenInfo](), reflect.TypeFor[classic.JSONTranscript]()}
	types = slices.DeleteFunc(types, func(of reflect.Type) bool { return slices.Contains(hidden, of) })
	return byName(types)
}

func fieldByName(of reflect.Type, name string) (reflect.StructField, bool) {
	if of.Kind() != reflect.Struct {
		return reflect.StructField{}, false
	}
	return of.FieldByName(name)
}
