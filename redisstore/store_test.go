package redisstore_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/redisstore"
)

func TestNewRejects(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	for _, name := range []string{"", "a{b", "a}b", "a\nb", strings.Repeat("x", 201)} {
		_, err := redisstore.New(client, redisstore.WithAccount(name))
		require.Error(t, err, "%q", name)
	}
	_, err := redisstore.New(nil)
	require.Error(t, err)
	_, err = redisstore.New(client, nil, redisstore.WithLocation(nil), redisstore.WithLogger(nil), redisstore.WithTimeout(0),
		redisstore.WithPlan(-1), redisstore.FallBack(0), redisstore.FailClosed())
	require.NoError(t, err)
}
