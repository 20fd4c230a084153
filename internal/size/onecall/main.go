// Command onecall is the smallest program that makes one call, to measure what the SDK adds to a binary.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/driftsdk/drift"
)

func main() {
	client, err := drift.NewClient(drift.WithToken(os.Getenv("DRIFT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	conv, err := client.Conversations.Get(context.Background(), 42)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(conv.ID, conv.Title)
}
