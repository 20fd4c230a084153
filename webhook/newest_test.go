package webhook_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/webhook"
)

func TestNewest(t *testing.T) {
	var newest webhook.Newest[drift.ContactID]
	assert.True(t, newest.Accept(1, instant(5)))
	assert.False(t, newest.Accept(1, instant(4)))
	assert.True(t, newest.Accept(1, instant(5)), "the same one may come again")
	assert.True(t, newest.Accept(2, instant(4)), "keys are apart")
	assert.True(t, newest.Accept(1, time.Time{}), "no time says nothing")
	assert.True(t, newest.Accept(1, instant(6)))
	assert.False(t, newest.Accept(1, instant(5)))
}

func TestNewestIsBounded(t *testing.T) {
	var newest webhook.Newest[int]
	for key := range webhook.NewestSize {
		newest.Accept(key, instant(5))
	}
	assert.True(t, newest.Accept(0, instant(5)), "0 is the last one now")
	assert.True(t, newest.Accept(webhook.NewestSize, instant(5)))
	assert.True(t, newest.Accept(1, instant(4)), "1 was forgotten")
	assert.False(t, newest.Accept(0, instant(4)))
	assert.False(t, newest.Accept(3, instant(4)))
}

func TestNewestIsSafe(t *testing.T) {
	var newest webhook.Newest[int]
	var group sync.WaitGroup
	for i := range 100 {
		group.Go(func() { newest.Accept(1, instant(int64(i))) })
	}
	group.Wait()
	assert.False(t, newest.Accept(1, instant(98)))
}
