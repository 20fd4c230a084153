package drift_test

import "github.com/driftsdk/drift/internal/faults"

func listFaults() faults.Cases { return faults.Cases{} }
