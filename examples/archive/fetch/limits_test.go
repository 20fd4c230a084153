package fetch_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/archive/fetch"
)

// months syncs month after month, until a sync gets through.
func (a *archive) months(t *testing.T) (months int, calls []int) {
	t.Helper()
	for {
		months++
		result, err := a.fetcher().Sync(t.Context())
		require.NotNil(t, result)
		calls = append(calls, result.Calls)
		if err == nil {
			assert.True(t, result.Complete(), "%+v", result)
			return months, calls
		}
		var quota *drift.QuotaError
		require.ErrorAs(t, err, &quota)
		now := time.Now().UTC()
		assert.Equal(t, time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC), quota.Usage.ResetsAt)
		assert.NotEmpty(t, result.Left)
		time.Sleep(time.Until(quota.Usage.ResetsAt))
	}
}

func TestMonthOf500Calls(t *testing.T) {
	for name, test := range map[string]struct {
		plan                  drift.Plan
		conversations, months int
	}{"the plan is known": {500, 500, 4}, "the service says so": {0, 250, 2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := account(t, test.conversations, drifttest.WithLimits(0, 500))
				a := newArchive(t, server)
				a.plan = test.plan
				months, calls := a.months(t)
				requireComplete(t, a)
				assert.Equal(t, test.months, months, "calls: %v", calls)
				for _, n := range calls {
					assert.LessOrEqual(t, n, 500+4, "a call of each worker may be refused")
				}
			})
		})
	}
}

func TestCountOutlivesProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArchive(t, account(t, 100))
		a.plan = 150
		_, err := a.fetcher().Sync(t.Context())
		require.ErrorIs(t, err, drift.ErrQuotaExceeded)
		a.server.Reset()
		_, err = a.fetcher().Sync(t.Context())
		require.ErrorIs(t, err, drift.ErrQuotaExceeded)
		assert.Zero(t, a.server.Count("*"), "the second process knows that the month is used up")
	})
}

func TestKeepFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArchive(t, account(t, 100))
		quota := fetch.NewQuota(a.Store, 150, 50)
		client := a.server.Client(drift.WithQuotaStore(quota))
		_, err := fetch.New(client, a.Store, quota, a.Options).Sync(t.Context())
		require.ErrorIs(t, err, drift.ErrQuotaExceeded)
		assert.Equal(t, 100, a.server.Count("*"))
	})
}

func TestWaitsForNextMonth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArchive(t, account(t, 100))
		a.plan, a.Wait = 150, true
		start := time.Now()
		assert.True(t, a.sync(t).Complete())
		requireComplete(t, a)
		assert.Greater(t, time.Since(start), 30*24*time.Hour)
	})
}

func TestStaysWithinMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArchive(t, account(t, 200, drifttest.WithLimits(100, 0)))
		a.sync(t)
		requireComplete(t, a)
		for _, request := range a.server.Requests() {
			require.NotEqual(t, http.StatusTooManyRequests, request.Status)
		}
	})
}

// errDown is a network that is down.
var errDown = errors.New("the network is down")

func TestOutageNeverCountsAgainstRecord(t *testing.T) {
	for name, answer := range map[string]func() (*http.Response, error){
		"no connection": func() (*http.Response, error) { return nil, errDown },
		"503": func() (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: http.NoBody}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newArchive(t, account(t, 50))
				a.Patience = time.Hour
				start, requests := time.Now(), 0
				a.network = func(request *http.Request, server http.RoundTripper) (*http.Response, error) {
					if requests++; requests > 40 && time.Since(start) < 50*time.Minute {
						return answer()
					}
					return server.RoundTrip(request)
				}
				a.Workers = 1
				assert.True(t, a.sync(t).Complete())
				requireComplete(t, a)
				assert.Less(t, requests, 500, "it does not hammer a service that is down")
			})
		})
	}
}

func TestPatienceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArchive(t, account(t, 5))
		a.Patience = 10 * time.Minute
		a.network = func(*http.Request, http.RoundTripper) (*http.Response, error) { return nil, errDown }
		start := time.Now()
		_, err := a.fetcher().Sync(t.Context())
		var patience *fetch.PatienceError
		require.ErrorAs(t, err, &patience)
		assert.WithinDuration(t, start.Add(10*time.Minute), time.Now(), 6*time.Minute)
	})
}

// A record whose call always fails is left and listed, and the others are archived.
func TestBrokenRecordsAreLeft(t *testing.T) {
	for name, status := range map[string]int{"500": 500, "400": 400, "403": 403, "dropped": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newArchive(t, account(t, 30))
				a.network = func(request *http.Request, server http.RoundTripper) (*http.Response, error) {
					switch {
					case request.URL.Path != "/conversations/7/messages" && request.URL.Path != "/attachments/2/data":
						return server.RoundTrip(request)
					case status == 0:
						return nil, errDown
					}
					return &http.Response{StatusCode: status, Body: http.NoBody}, nil
				}
				result := a.sync(t)
				assert.Equal(t, []string{"1 conversation", "1 file"}, result.Left)
				assert.Equal(t, 2, result.Status.Oddities)
				assert.Empty(t, result.Missing)

				a.network = nil
				assert.True(t, a.sync(t).Complete(), "the next run tries again")
				requireComplete(t, a)
			})
		})
	}
}

func TestGoneRecordsAreNotOdd(t *testing.T) {
	a := newArchive(t, account(t, 30))
	a.network = func(request *http.Request, server http.RoundTripper) (*http.Response, error) {
		if slices.Contains([]string{"/conversations/7/messages", "/contacts/8", "/attachments/2/data"}, request.URL.Path) {
			return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody}, nil
		}
		return server.RoundTrip(request)
	}
	result := a.sync(t)
	assert.True(t, result.Complete(), "%+v", result)
	assert.Equal(t, 1, result.Status.Gone)
	file, err := a.Attachment(t.Context(), 2)
	require.NoError(t, err)
	assert.Equal(t, "gone", file.State)
	a.server.Reset()
	a.network = nil
	a.sync(t)
	assert.LessOrEqual(t, a.server.Count("*"), 2, "it does not ask again")
}

func TestMissingScopes(t *testing.T) {
	for _, test := range []struct{ path, missing string }{
		{"/contacts/", "contacts: not archived, the token lacks the scope contact_read"},
		{"/users/list", "users: not archived, the token lacks the scope user_read"},
		{"/accounts", "accounts: not archived, the token lacks the scope account_read"},
		{"/playbooks/list", "playbooks: not archived, the token lacks the scope playbook_read"},
		{"/conversations/list", "conversations: not archived, the token lacks the scope conversation_read"},
	} {
		t.Run(test.path, func(t *testing.T) {
			a := newArchive(t, account(t, 30))
			a.network = func(request *http.Request, server http.RoundTripper) (*http.Response, error) {
				if strings.HasPrefix(request.URL.Path, test.path) && request.URL.Path != "/contacts/attributes" {
					return &http.Response{StatusCode: http.StatusForbidden, Body: http.NoBody}, nil
				}
				return server.RoundTrip(request)
			}
			result := a.sync(t)
			assert.Equal(t, []string{test.missing}, result.Missing)
			assert.False(t, result.Complete())
			assert.Zero(t, result.Status.Oddities, "a missing scope is not an odd record")
			a.network = nil
			assert.True(t, a.sync(t).Complete())
			requireComplete(t, a)
		})
	}
}

func TestRejectedTokenEndsSync(t *testing.T) {
	a := newArchive(t, account(t, 30))
	a.network = func(*http.Request, http.RoundTripper) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusUnauthorized, Body: http.NoBody}, nil
	}
	_, err := a.fetcher().Sync(t.Context())
	assert.ErrorIs(t, err, drift.ErrUnauthorized)
}

func TestCancelAndResume(t *testing.T) {
	server := account(t, 60)
	whole := newArchive(t, server)
	whole.sync(t)
	total := server.Count("*")
	a := newArchive(t, server)
	server.Reset()
	for stop := 20; ; stop += 20 {
		ctx, cancel := context.WithCancel(t.Context())
		a.network = func(request *http.Request, server http.RoundTripper) (*http.Response, error) {
			response, err := server.RoundTrip(request)
			if a.server.Count("*") >= stop {
				cancel()
			}
			return response, err
		}
		result, err := a.fetcher().Sync(ctx)
		cancel()
		if err == nil {
			assert.True(t, result.Complete())
			break
		}
		require.ErrorIs(t, err, context.Canceled)
		require.NotNil(t, result, "it says what the archive holds")
	}
	requireComplete(t, a)
	t.Log(total, server.Count("*"))
}

func TestBindsToAccount(t *testing.T) {
	a := newArchive(t, account(t, 3))
	require.NoError(t, a.fetcher().Bind(t.Context(), "driftapi.com", drifttest.DefaultToken))
	require.NoError(t, a.fetcher().Bind(t.Context(), "driftapi.com", drifttest.DefaultToken))
	assert.Equal(t, 1, a.server.Count("classic.app.tokenInfo"), "a known token is not looked up again")
	assert.ErrorIs(t, a.fetcher().Bind(t.Context(), "demo", drifttest.DefaultToken), fetch.ErrOtherAccount)

	a.network = replace("/app/token_info", `{"authenticated_userid":"orgId:2"}`)
	assert.ErrorIs(t, a.fetcher().Bind(t.Context(), "driftapi.com", "other"), fetch.ErrOtherAccount)
	a.network = replace("/app/token_info", `{"authenticated_userid":"orgId:1"}`)
	assert.NoError(t, a.fetcher().Bind(t.Context(), "driftapi.com", "renewed"), "another token of the same organization")
}

func TestBindsWithoutTokenInfo(t *testing.T) {
	a := newArchive(t, account(t, 3))
	a.server.AddUser(classic.User{Name: "Mia"})
	a.network = func(request *http.Request, server http.RoundTripper) (*http.Response, error) {
		if request.URL.Path == "/app/token_info" {
			return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody}, nil
		}
		return server.RoundTrip(request)
	}
	require.NoError(t, a.fetcher().Bind(t.Context(), "driftapi.com", drifttest.DefaultToken))
	organization, err := a.Meta(t.Context(), "organization")
	require.NoError(t, err)
	assert.Equal(t, "1", organization, "as the users say")
}
