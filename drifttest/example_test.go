package drifttest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"

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

// The server gets an endpoint that it does not have, for code that calls [drift.Client.Do].
func ExampleServer_Handle() {
	srv := drifttest.NewServer()
	defer srv.Close()
	srv.Handle("GET", "users/{userId}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("userId") != "7" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		fmt.Fprint(w, `{"data": {"id": 7, "name": "Ada"}}`)
	})

	client := srv.Client()
	var user struct{ Name string }
	for _, id := range []string{"7", "8"} {
		request := drift.Request{Path: "users/{userId}", Values: map[string]string{"userId": id}}
		err := client.Do(context.Background(), request, &user)
		fmt.Println(id, user.Name, errors.Is(err, drift.ErrNotFound))
		user.Name = ""
	}
	fmt.Println(srv.Count("GET users/{userId}"), "requests")
	// Output:
	// 7 Ada false
	// 8  true
	// 2 requests
}
