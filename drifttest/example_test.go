package drifttest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

// In a test, write drifttest.Start(t) in place of NewServer: it closes the server when the test ends.
func Example() {
	srv := drifttest.NewServer()
	defer srv.Close()
	id := srv.AddContact(drift.Contact{Email: "ada@acme.example"})

	// The first attempt is answered 503, and the client tries again.
	srv.Fail("contacts.get", drifttest.Fault{Status: http.StatusServiceUnavailable})

	contact, err := srv.Client().Contacts.Get(context.Background(), id)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(contact.Email, "after", srv.Count("contacts.get"), "attempts")
	// Output: ada@acme.example after 2 attempts
}

// Handle adds an endpoint that the server does not have, for code that calls Do.
func ExampleServer_Handle() {
	srv := drifttest.NewServer()
	defer srv.Close()
	srv.Handle("GET", "deals/{dealId}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("dealId") != "7" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		fmt.Fprint(w, `{"data": {"id": 7, "name": "Renewal"}}`)
	})

	client := srv.Client()
	var deal struct{ Name string }
	for _, id := range []string{"7", "8"} {
		request := drift.Request{Path: "deals/{dealId}", Values: map[string]string{"dealId": id}}
		err := client.Do(context.Background(), request, &deal)
		fmt.Println(id, deal.Name, errors.Is(err, drift.ErrNotFound))
		deal.Name = ""
	}
	fmt.Println(srv.Count("GET deals/{dealId}"), "requests")
	// Output:
	// 7 Renewal false
	// 8  true
	// 2 requests
}

// A list has a page for each cursor. The second page has a record that does not decode.
func ExampleServer_Handle_pages() {
	srv := drifttest.NewServer()
	defer srv.Close()
	srv.Handle("GET", "deals", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("next") == "" {
			fmt.Fprint(w, `{"data": [{"id": 1}, {"id": 2}], "pagination": {"next": "2"}}`)
			return
		}
		fmt.Fprint(w, `{"data": [{"id": "three"}, {"id": 4}]}`)
	})

	type deal struct{ ID int64 }
	client := srv.Client()
	read := func(ctx context.Context, cursor string) (*drift.Page[deal], error) {
		query := url.Values{}
		if cursor != "" {
			query.Set("next", cursor)
		}
		return drift.ListOf[deal](ctx, client, drift.Request{Path: "deals", Query: query})
	}
	for deal, err := range drift.Paginate(context.Background(), "", read) {
		if odd, ok := errors.AsType[*drift.RecordError](err); ok {
			fmt.Println(odd)
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(deal.ID)
	}
	// Output:
	// 1
	// 2
	// drift: deals: record at index 0 of the page: cannot decode the JSON at /id: not a 64-bit integer
	// 4
}
