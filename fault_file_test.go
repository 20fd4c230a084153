package drift_test

import "github.com/driftsdk/drift/internal/faults"

func fileFaults() faults.Cases { return faults.Cases{} }
