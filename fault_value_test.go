package drift_test

import "github.com/driftsdk/drift/internal/faults"

func valueFaults() faults.Cases { return faults.Cases{} }
