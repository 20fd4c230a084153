package driftotel_test

import (
	"context"
	"log"
	"os"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/driftotel"
	"github.com/driftsdk/drift/webhook"
)

// The global providers are used. Set them up as for every other instrumentation.
func Example() {
	client, err := drift.NewClient(drift.FromEnv(), driftotel.New())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	quota, err := driftotel.Observe(client)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = quota.Unregister() }()

	if _, err := client.Contacts.Get(context.Background(), 7); err != nil {
		log.Print(err)
	}
}

func ExampleWebhook() {
	handler, err := webhook.NewHandler([]string{os.Getenv("DRIFT_VERIFICATION_TOKEN")}, driftotel.Webhook())
	if err != nil {
		log.Fatal(err)
	}
	webhook.On(handler, func(ctx context.Context, e *webhook.NewMessage) error {
		return nil // ctx carries the span of this function
	})
}
