package drift_test

import "github.com/driftsdk/drift/internal/faults"

func resendFaults() faults.Cases { return faults.Cases{} }
