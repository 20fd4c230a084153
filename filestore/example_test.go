package filestore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/filestore"
)

// Two runs of a program, one after the other, share what is used of the minute and of the month.
func Example() {
	server := drifttest.NewServer(drifttest.WithDemoData())
	defer server.Close()
	dir, err := os.MkdirTemp("", "drift")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	run := func() error {
		quota, err := filestore.OpenQuota(filepath.Join(dir, "drift.quota"), filestore.WithPlan(drift.PlanStarter))
		if err != nil {
			return err
		}
		defer quota.Close()
		client := server.Client(drift.WithQuotaStore(quota), drift.WithLimiter(quota.Limiter(drift.DefaultRateLimit)))
		defer client.Close()

		ctx := context.Background()
		if _, err := client.Contacts.List(ctx, drift.ContactListOptions{}); err != nil {
			return err
		}
		usage, err := client.Quota(ctx)
		fmt.Println(usage.Used, "used,", usage.Remaining(), "left")
		return err
	}
	for range 2 {
		if err := run(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// 1 used, 9999 left
	// 2 used, 9998 left
}
