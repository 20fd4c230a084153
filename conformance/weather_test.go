package conformance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// weather is the network between a client and a server: several roads at a time, each of which has one kind of trouble. A
// connection takes one of them by chance. When the weather turns, all connections are cut and other roads take their place.
//
// The troubles of a road are fixed before it opens, because toxiproxy can deadlock when a toxic is taken from a connection whose
// client has gone.
type weather struct {
	server    string // host and port
	toxiproxy *toxiproxy.ApiServer
	requests  atomic.Int64 // whose first bytes went onto the wire

	mu    sync.Mutex
	dice  *rand.Rand
	roads []*toxiproxy.Proxy
	met   map[string]int // connections by trouble
}

// toxic is one as toxiproxy's API describes it.
type toxic struct {
	Type       string         `json:"type"`
	Stream     string         `json:"stream"`
	Attributes map[string]int `json:"attributes"`
}

const (
	toServer = "upstream"
	toClient = "downstream"
)

// troubles are the kinds of roads. Numbers are bytes, milliseconds, or microseconds between slices.
var troubles = []struct {
	name   string
	toxics func(dice *rand.Rand) []toxic
}{
	{"latency", func(dice *rand.Rand) []toxic {
		delay := map[string]int{"latency": 1 + dice.IntN(15), "jitter": 10}
		return []toxic{{"latency", toServer, delay}, {"latency", toClient, delay}}
	}},
	{"slices", func(dice *rand.Rand) []toxic {
		size := 5 + dice.IntN(200)
		slices := map[string]int{"average_size": size, "size_variation": size / 2, "delay": 50}
		return []toxic{{"slicer", toServer, slices}, {"slicer", toClient, slices}}
	}},
	{"reset at the request", func(dice *rand.Rand) []toxic {
		return []toxic{{"reset_peer", toServer, map[string]int{"timeout": dice.IntN(4)}}}
	}},
	{"reset at the answer", func(dice *rand.Rand) []toxic {
		return []toxic{{"reset_peer", toClient, map[string]int{"timeout": dice.IntN(4)}}}
	}},
	{"cut in a request", func(dice *rand.Rand) []toxic {
		return []toxic{{"limit_data", toServer, map[string]int{"bytes": 1 + dice.IntN(1200)}}}
	}},
	{"cut in an answer", func(dice *rand.Rand) []toxic {
		return []toxic{{"limit_data", toClient, map[string]int{"bytes": 1 + dice.IntN(5000)}}}
	}},
	{"requests lost", func(dice *rand.Rand) []toxic {
		return []toxic{{"timeout", toServer, map[string]int{"timeout": dice.IntN(2) * 30}}} // 0: the connection stays
	}},
	{"answers lost", func(dice *rand.Rand) []toxic {
		return []toxic{{"timeout", toClient, map[string]int{"timeout": dice.IntN(2) * 30}}}
	}},
}

const roadsAtATime = 4 // besides one without trouble, and one that is closed

func newWeather(t *testing.T, server string, seed uint64) *weather {
	t.Helper()
	w := &weather{
		server:    server,
		toxiproxy: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()),
		dice:      rand.New(rand.NewPCG(seed, 0)),
		met:       map[string]int{},
	}
	t.Cleanup(w.stop)
	return w
}

// turn cuts every connection and opens new roads.
func (w *weather) turn(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closeRoads()
	closed := w.open(t, "refused")
	closed.Stop()
	w.roads = []*toxiproxy.Proxy{closed, w.open(t, "no trouble")}
	for _, i := range w.dice.Perm(len(troubles))[:roadsAtATime] {
		w.roads = append(w.roads, w.open(t, troubles[i].name, troubles[i].toxics(w.dice)...))
	}
}

func (w *weather) open(t *testing.T, name string, toxics ...toxic) *toxiproxy.Proxy {
	t.Helper()
	road := toxiproxy.NewProxy(w.toxiproxy, name, "127.0.0.1:0", w.server)
	for _, toxic := range toxics {
		description, err := json.Marshal(toxic)
		require.NoError(t, err)
		_, err = road.Toxics.AddToxicJson(bytes.NewReader(description))
		require.NoError(t, err)
	}
	require.NoError(t, road.Start())
	return road
}

// stop cuts everything for good.
func (w *weather) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closeRoads()
}

func (w *weather) closeRoads() {
	for _, road := range w.roads {
		road.Stop()
	}
	w.roads = nil
}

// transport sends over the roads, whatever the address. It keeps few connections, so that new ones are made all the time.
func (w *weather) transport(t *testing.T) *http.Transport {
	t.Helper()
	transport := &http.Transport{DialContext: w.dial, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func (w *weather) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, w.choose())
	if err != nil {
		return nil, err
	}
	return &countingConn{conn, &w.requests}, nil
}

func (w *weather) choose() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	road := w.roads[w.dice.IntN(len(w.roads))]
	w.met[road.Name]++
	return road.Listen
}

// countingConn counts the requests that were written to it, at least in part. net/http begins each with a Write of its own.
type countingConn struct {
	net.Conn
	requests *atomic.Int64
}

func (c *countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	method, _, _ := bytes.Cut(b, []byte(" "))
	switch string(method) {
	case http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete:
		if n > 0 {
			c.requests.Add(1)
		}
	}
	return n, err
}
