package drift

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A clock that is set back must not keep new tokens away for as long as it was set back.
func TestVainTokensAndAClockThatIsSetBack(t *testing.T) {
	now := time.Now()
	var f fruitless
	assert.False(t, f.refuses(now), "nothing was refused yet")
	f.refused(now)
	assert.True(t, f.refuses(now))
	assert.True(t, f.refuses(now.Add(fruitlessPause-1)))
	assert.False(t, f.refuses(now.Add(fruitlessPause)))
	assert.False(t, f.refuses(now.Add(-time.Hour)), "an hour back")
	f.succeeded()
	assert.False(t, f.refuses(now))
}
