package filestore_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/filestore"
)

// Either copy of the record is enough from the beginning, before anything was counted.
func TestNewFileHasTwoCopies(t *testing.T) {
	for _, damaged := range []int64{0, filestore.BlockSize} {
		path := newPath(t)
		q, err := filestore.OpenQuota(path)
		require.NoError(t, err)
		require.NoError(t, q.Close())
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = file.WriteAt(make([]byte, filestore.RecordSize), damaged)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		q = open(t, path)
		assert.Zero(t, used(t, q, noon))
		assert.Equal(t, 1, reserve(t, q, noon).Used)
	}
}
