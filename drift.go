// Package drift is a client for the Drift conversational-marketing API.
package drift

import "runtime/debug"

// userAgent names the SDK to the service.
const userAgent = "drift-go"

var _ = debug.ReadBuildInfo
