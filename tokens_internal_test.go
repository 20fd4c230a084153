package drift

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A clock that is set back must not prolong the cooldown.
func TestTokenCooldown(t *testing.T) {
	now := time.Now()
	var c tokenCooldown
	assert.False(t, c.active(now), "nothing was refused yet")
	c.start(now)
	assert.True(t, c.active(now))
	assert.True(t, c.active(now.Add(tokenCooldownTime-1)))
	assert.False(t, c.active(now.Add(tokenCooldownTime)))
	assert.False(t, c.active(now.Add(-time.Hour)), "an hour back")
	c.end()
	assert.False(t, c.active(now))
}
