package redisstore_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"

	"github.com/redis/go-redis/v9"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/redisstore"
	"github.com/driftsdk/drift/webhook"
)

// All processes with the same account share the minute and the month.
func Example() {
	ctx := context.Background()
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379", Password: os.Getenv("REDIS_PASSWORD")})
	defer rdb.Close()
	store, err := redisstore.New(rdb,
		redisstore.WithAccount("acme"),
		redisstore.WithPlan(drift.PlanProfessional),
		redisstore.WithLogger(slog.Default()),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close(ctx) // after the client
	if err := store.Ping(ctx); err != nil {
		log.Fatal(err)
	}
	client, err := drift.NewClient(
		drift.WithToken(os.Getenv("DRIFT_TOKEN")),
		drift.WithLimiter(store.Limiter(drift.DefaultRateLimit)),
		drift.WithQuotaStore(store),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	conversation, err := client.Conversations.Get(ctx, 42)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(conversation.Status)
}

// Eight processes share 100 calls a minute. While Redis is away, each goes on with 12.
func ExampleFallBack() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	store, err := redisstore.New(rdb, redisstore.FallBack(12), redisstore.WithLogger(slog.Default()))
	if err != nil {
		log.Fatal(err)
	}
	_ = drift.WithLimiter(store.Limiter(100))
}

// Processes that share the tokens of an authorization refresh them one at a time.
func ExampleStore_Tokens() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	store, err := redisstore.New(rdb)
	if err != nil {
		log.Fatal(err)
	}
	config := drift.OAuthConfig{ClientID: "app", ClientSecret: drift.Secret(os.Getenv("DRIFT_CLIENT_SECRET"))}
	source := config.TokenSource(store.Tokens("org-7"))
	defer source.Close()
	_ = drift.WithTokenSource(source)
}

// Each delivery is handled once, whichever process receives it.
func ExampleStore_Dedup() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	store, err := redisstore.New(rdb)
	if err != nil {
		log.Fatal(err)
	}
	_ = webhook.WithDedup(store.Dedup())
}
