package redisstore_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/redisstore"
)

// needTopology skips tests that start several servers, unless DRIFT_REDIS_TOPOLOGY is set.
func needTopology(t *testing.T) {
	t.Helper()
	if os.Getenv("DRIFT_REDIS_TOPOLOGY") == "" {
		t.Skip("a cluster and a Sentinel take several servers: set DRIFT_REDIS_TOPOLOGY=1")
	}
}

// useAll uses everything of a store.
func useAll(t *testing.T, store *redisstore.Store) {
	t.Helper()
	slot, err := store.Limiter(100).Acquire(t.Context(), drift.Turn{Quota: store})
	require.NoError(t, err)
	assert.NotNil(t, slot.(drift.ReservedSlot).Reservation())
	require.NoError(t, slot.Done(t.Context(), answered))
	require.NoError(t, store.Tokens("acme").Save(t.Context(), token("1")))
	assert.Equal(t, token("1"), load(t, store.Tokens("acme")))
	_, err = store.Dedup().Claim(t.Context(), "key", time.Minute)
	require.NoError(t, err)
}

func TestCluster(t *testing.T) {
	needTopology(t)
	var addrs []string
	nodes := make([]*server, 3)
	for i := range nodes {
		nodes[i] = startRedis(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000",
			"--cluster-config-file", filepath.Join(t.TempDir(), "nodes.conf"))
		addrs = append(addrs, nodes[i].addr)
	}
	first := nodes[0].client()
	for i, node := range nodes {
		from, to := i*16384/3, (i+1)*16384/3-1
		require.NoError(t, node.client().ClusterAddSlotsRange(t.Context(), from, to).Err())
		host, port, err := net.SplitHostPort(node.addr)
		require.NoError(t, err)
		require.NoError(t, first.ClusterMeet(t.Context(), host, port).Err())
	}
	require.Eventually(t, func() bool {
		for _, node := range nodes {
			info, _ := node.client().ClusterInfo(t.Context()).Result()
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3") {
				return false
			}
		}
		return true
	}, 20*time.Second, 50*time.Millisecond)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, ReadOnly: true, RouteRandomly: true})
	t.Cleanup(func() { _ = client.Close() })
	for _, account := range []string{"a", "b", "c", "d", "e"} {
		store := open(t, client, redisstore.WithAccount(account), redisstore.WithTimeout(time.Second))
		require.NoError(t, store.Ping(t.Context()))
		useAll(t, store)
	}
}

// A replica takes over from a master that is gone, found through Sentinel.
func TestSentinel(t *testing.T) {
	needTopology(t)
	master := startRedis(t)
	host, port, err := net.SplitHostPort(master.addr)
	require.NoError(t, err)
	replica := startRedis(t, "--replicaof", host+" "+port)
	sentinels := make([]string, 2)
	for i := range sentinels {
		config := filepath.Join(t.TempDir(), "sentinel.conf")
		require.NoError(t, os.WriteFile(config, []byte("sentinel monitor main "+host+" "+port+" 1\n"+
			"sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n"), 0o600))
		s := &server{t: t, addr: freeAddr(t), first: []string{config, "--sentinel"}}
		s.start()
		t.Cleanup(s.kill)
		sentinels[i] = s.addr
	}
	client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "main", SentinelAddrs: sentinels})
	t.Cleanup(func() { _ = client.Close() })
	store := open(t, client, redisstore.WithTimeout(2*time.Second))
	require.Eventually(t, func() bool { return store.Ping(t.Context()) == nil }, 10*time.Second, 50*time.Millisecond)
	useAll(t, store)
	before, err := store.Usage(t.Context())
	require.NoError(t, err)
	sentinel := redis.NewSentinelClient(&redis.Options{Addr: sentinels[0]})
	t.Cleanup(func() { _ = sentinel.Close() })
	require.Eventually(t, func() bool { // the Sentinel has found the replica, and that has everything
		found, _ := sentinel.Replicas(t.Context(), "main").Result()
		n, _ := replica.client().Exists(t.Context(), "drift:{default}:state").Result()
		return len(found) == 1 && n == 1
	}, 20*time.Second, 50*time.Millisecond)
	master.kill()
	start := time.Now()
	require.Eventually(t, func() bool { return store.Ping(t.Context()) == nil }, 30*time.Second, 50*time.Millisecond)
	t.Logf("back after %v", time.Since(start).Round(time.Millisecond))
	after, err := store.Usage(t.Context())
	require.NoError(t, err)
	assert.Equal(t, before, after)
}
