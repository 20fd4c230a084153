//go:build !race && !goexperiment.jsonv2

package drift

import (
	"context"
	"errors"
	"math"
	"net/http"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/internal/rest"
)

// These are the allocations that a call may make, as many as it makes today. A change that makes a call dearer has to
// change them here. The race detector empties pools at random, and the JSON package of the experiment allocates
// differently, so neither build is checked.
const (
	budgetGet     = 47
	budgetCreate  = 54
	budgetUpdate  = 61
	budgetDelete  = 34
	budgetList    = 1099 // 100 conversations
	budgetAll     = 1120 // the same, in a sequence
	budgetDo      = 40
	budgetError   = 51
	budgetLimiter = 1 // of each of the calls above
	budgetQuota   = 0
	budgetToken   = 0 // of WithToken
)

func TestAllocationBudgets(t *testing.T) {
	record := `{"data":` + benchRecord + `}`
	for _, test := range []struct {
		name   string
		budget int
		status int
		body   string
		call   func(context.Context, *Client) error
	}{
		{"get", budgetGet, http.StatusOK, record, func(ctx context.Context, c *Client) error {
			_, err := c.Conversations.Get(ctx, 42)
			return err
		}},
		{"create", budgetCreate, http.StatusOK, record, func(ctx context.Context, c *Client) error {
			_, err := c.Conversations.CreateFromScratch(ctx, benchCreateRequest())
			return err
		}},
		{"update", budgetUpdate, http.StatusOK, record, func(ctx context.Context, c *Client) error {
			_, err := c.Conversations.Update(ctx, 42, ConversationUpdateRequest{AssignedUserID: Null[UserID](), Labels: Set([]string{"hot"})})
			return err
		}},
		{"delete", budgetDelete, http.StatusNoContent, "", func(ctx context.Context, c *Client) error {
			return c.Conversations.Delete(ctx, 42)
		}},
		{"list", budgetList, http.StatusOK, benchPage(rest.Cursors.Max), func(ctx context.Context, c *Client) error {
			_, err := c.Conversations.List(ctx, benchListOptions())
			return err
		}},
		{"all", budgetAll, http.StatusOK, benchPage(rest.Cursors.Max), func(ctx context.Context, c *Client) error {
			_, err := Collect(c.Conversations.All(ctx, benchListOptions()), 0)
			return err
		}},
		{"do", budgetDo, http.StatusOK, record, func(ctx context.Context, c *Client) error {
			var out struct {
				ID    int64
				Title string
			}
			return c.Do(ctx, Request{Path: "v2/conversations/{id}", Values: map[string]string{"id": "42"}}, &out)
		}},
		{"error answer", budgetError, http.StatusNotFound, `{"error":{"type":"not_found","message":"there is no such conversation"}}`,
			func(ctx context.Context, c *Client) error {
				if _, err := c.Conversations.Get(ctx, 42); !errors.Is(err, ErrNotFound) {
					return errors.New("found")
				}
				return nil
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := benchClient(t, test.status, test.body)
			requireBudget(t, test.budget, func() error { return test.call(t.Context(), client) })
		})
	}
}

func TestAllocationBudgetsOfSteps(t *testing.T) {
	t.Run("limiter", func(t *testing.T) {
		limiter := &freshLimiter{}
		requireBudget(t, budgetLimiter, func() error {
			slot, err := limiter.Acquire(t.Context(), Turn{})
			if err == nil {
				slot.Done(context.Background(), Result{Outcome: OutcomeAnswered})
			}
			return err
		})
	})
	t.Run("quota", func(t *testing.T) {
		quota := newMemoryQuota(PlanEnterprise)
		requireBudget(t, budgetQuota, func() error {
			_, err := quota.Reserve(t.Context())
			return err
		})
	})
	t.Run("static token", func(t *testing.T) {
		source := newTokens(newStaticTokens(t))
		requireBudget(t, budgetToken, func() error {
			_, err := source.token(t.Context())
			return err
		})
	})
}

func newStaticTokens(t *testing.T) staticTokens {
	var c config
	require.NoError(t, WithToken("token").applyClient(&c))
	return c.tokens[0].(staticTokens)
}

// requireBudget makes fewer calls at a time than a limiter lets through in a minute. The best of several runs counts,
// because a garbage collection empties the pools of decoders and buffers.
func requireBudget(t *testing.T, budget int, call func() error) {
	t.Helper()
	var err error
	fewest := math.MaxInt
	for range 12 {
		runtime.GC() // twice, and the decoders of earlier calls are gone
		runtime.GC()
		fewest = min(fewest, int(testing.AllocsPerRun(20, func() {
			if e := call(); e != nil {
				err = e
			}
		})))
		require.NoError(t, err)
		if fewest <= budget {
			break
		}
	}
	t.Logf("%d allocations", fewest)
	assert.LessOrEqual(t, fewest, budget)
}
