package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/webhook"
)

// The token is found with the app on dev.drift.com.
const token = "an-example-verification-token"

func Example() {
	handler, err := webhook.NewHandler([]string{token}, webhook.WithOnError(func(_ context.Context, e webhook.Event, err error) {
		log.Printf("%s failed: %v", e.EventType(), err)
	}))
	if err != nil {
		log.Fatal(err)
	}
	webhook.On(handler, func(_ context.Context, e *webhook.NewMessage) error {
		fmt.Printf("conversation %s: %s\n", e.Data.ConversationID, e.Data.Body)
		return nil
	})
	webhook.On(handler, func(_ context.Context, e *webhook.UnknownEvent) error {
		fmt.Printf("%s: %s\n", e.Type, e.Raw)
		return nil
	})

	// In a program: http.Handle("POST /webhooks/drift", handler)
	deliver := func(event string, data any) {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, drifttest.NewDelivery(token, event, data))
		fmt.Println(answer.Code)
	}
	deliver("new_message", webhook.Message{ID: 7, ConversationID: 42, Body: "hello"})
	deliver("phone_captured", webhook.PhoneNumber{ConversationID: 42, PhoneNumber: "+49 30 901820"})
	deliver("something_new", nil)
	// Output:
	// conversation 42: hello
	// 200
	// 200
	// something_new: {"data":null,"orgId":1,"type":"something_new"}
	// 200
}

// An event is a hint: the token does not prove that it is true, or new. What matters is read through the client.
func ExampleOn_reread() {
	server := drifttest.NewServer(drifttest.WithDemoData())
	defer server.Close()
	client := server.Client() // with an account: drift.NewClient(drift.WithToken(os.Getenv("DRIFT_TOKEN")))

	handler, err := webhook.NewHandler([]string{token})
	if err != nil {
		log.Fatal(err)
	}
	webhook.On(handler, func(ctx context.Context, e *webhook.ConversationStatusUpdated) error {
		conversation, err := client.Conversations.Get(ctx, e.Data.ConversationID)
		if errors.Is(err, drift.ErrNotFound) {
			return nil // to try again would not help
		}
		if err != nil {
			return err // answered 500: the sender tries again
		}
		if conversation.Status != drift.ConversationStatusClosed {
			fmt.Printf("the event says %s, Drift says %s: nothing to do\n", e.Data.Status, conversation.Status)
			return nil
		}
		fmt.Println("sending the invoice")
		return nil
	})

	forged := webhook.StatusChange{ConversationID: 3, Status: drift.ConversationStatusClosed, ChangedAt: time.Now()}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, drifttest.NewDelivery(token, "conversation_status_updated", forged))
	fmt.Println(answer.Code)
	// Output:
	// the event says closed, Drift says pending: nothing to do
	// 200
}

// A server with the time-outs that net/http leaves open, and a queue that is drained before the program ends.
func ExampleHandler_Shutdown() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	handler, err := webhook.NewHandler(
		[]string{os.Getenv("DRIFT_VERIFICATION_TOKEN")},
		webhook.WithQueue(1000),
		webhook.WithOnError(func(_ context.Context, e webhook.Event, err error) {
			log.Printf("%s failed: %v", e.EventType(), err) // and put json.Marshal(e) where it can be tried again
		}),
	)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/drift", handler)
	server := &http.Server{
		Addr:              ":8443",
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	go func() {
		defer stop()
		if err := server.ListenAndServeTLS("server.crt", "server.key"); !errors.Is(err, http.ErrServerClosed) {
			log.Print(err)
		}
	}()
	<-ctx.Done()

	ending, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := server.Shutdown(ending); err != nil {
		log.Print(err)
	}
	if err := handler.Shutdown(ending); err != nil {
		log.Print(err) // what was left went to the function of WithOnError
	}
}

func ExampleNewest() {
	handler, err := webhook.NewHandler([]string{token})
	if err != nil {
		log.Fatal(err)
	}
	var newest webhook.Newest[drift.UserID]
	webhook.On(handler, func(_ context.Context, e *webhook.UserAvailabilityUpdated) error {
		if !newest.Accept(e.Data.UserID, e.OccurredAt()) {
			return nil // something later is known already
		}
		fmt.Println(e.Data.Availability)
		return nil
	})

	noon := time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)
	for _, change := range []webhook.UserAvailability{
		{UserID: 7, Availability: webhook.AvailabilityAvailable, UpdatedAt: noon},
		{UserID: 7, Availability: webhook.AvailabilityOnCall, UpdatedAt: noon.Add(2 * time.Minute)},
		{UserID: 7, Availability: webhook.AvailabilityOffline, UpdatedAt: noon.Add(time.Minute)}, // overtaken
	} {
		handler.ServeHTTP(httptest.NewRecorder(), drifttest.NewDelivery(token, "user_availability_updated", change))
	}
	// Output:
	// AVAILABLE
	// ON_CALL
}
