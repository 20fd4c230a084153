package filestore_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/filestore"
)

func TestPlanChangeKeepsTheCount(t *testing.T) {
	path := newPath(t)
	q := open(t, path, filestore.WithPlan(3))
	for range 3 {
		reserve(t, q, noon)
	}
	rejected(t, path, filestore.ErrSettings, filestore.WithPlan(4))

	bigger := open(t, path, filestore.WithPlan(4), filestore.WithChangedSettings())
	usage := reserve(t, bigger, noon)
	assert.Equal(t, 4, usage.Used)
	assert.Equal(t, 4, usage.Limit)
	_, err := q.Reserve(t.Context())
	require.ErrorIs(t, err, filestore.ErrSettings, "the program that has the old plan")
	_, err = q.Usage(t.Context())
	require.ErrorIs(t, err, filestore.ErrSettings)

	smaller := open(t, path, filestore.WithPlan(1), filestore.WithChangedSettings())
	usage = refused(t, smaller, noon)
	assert.Equal(t, 4, usage.Used)
	assert.Zero(t, usage.Remaining())
}

func TestPlanOfTheFile(t *testing.T) {
	path := newPath(t)
	q := open(t, path)
	for range 3 {
		reserve(t, q, noon)
	}
	open(t, path, filestore.WithPlan(3))
	assert.Equal(t, 3, refused(t, q, noon).Limit, "a process without a plan obeys that of another")
	assert.Equal(t, 3, refused(t, open(t, path), noon).Limit)
	assert.Equal(t, 3, refused(t, open(t, path, filestore.WithChangedSettings()), noon).Limit)
}

func TestTimeZoneOfTheFile(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	path := newPath(t)
	q := open(t, path, filestore.WithLocation(berlin))
	reserve(t, q, noon)
	rejected(t, path, filestore.ErrSettings)
	rejected(t, path, filestore.ErrSettings, filestore.WithLocation(time.FixedZone("Europe/Berlin", 3600)))
	_, err = filestore.OpenQuota(path)
	require.EqualError(t, err, "filestore: "+path+": the file is used with other settings: its months begin in "+
		"Europe/Berlin (UTC+01:00, UTC+02:00), not in UTC (UTC+00:00, UTC+00:00)")

	utc := open(t, path, filestore.WithChangedSettings())
	assert.Equal(t, 2, reserve(t, utc, noon).Used)
	_, err = q.Reserve(t.Context())
	require.ErrorIs(t, err, filestore.ErrSettings)
}

func TestCallsAMinuteOfTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		old := open(t, path).Limiter(10)
		use(t, old, 1)
		_, err := open(t, path).Limiter(20).Acquire(t.Context(), drift.Turn{})
		require.ErrorIs(t, err, filestore.ErrSettings)
		require.EqualError(t, err, "filestore: "+path+": the file is used with other settings: "+
			"it allows 10 calls a minute, not 20")

		use(t, open(t, path, filestore.WithChangedSettings()).Limiter(20), 19)
		late(t, open(t, path).Limiter(20), drift.ClassInteractive, 59*time.Second)
		_, err = old.Acquire(t.Context(), drift.Turn{})
		require.ErrorIs(t, err, filestore.ErrSettings)
	})
}
