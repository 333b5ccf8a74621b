// SPDX-License-Identifier: MPL-2.0

package engine

// What HTTP defines by numbers and names (RFC 9110). net/http, which has that too, and much
// more, is not linked.

// Statuses of answers that this side sends or understands.
const (
	statusSwitchingProtocols          = 101
	statusBadRequest                  = 400
	statusNotFound                    = 404
	statusMethodNotAllowed            = 405
	statusURITooLong                  = 414
	statusUpgradeRequired             = 426
	statusRequestHeaderFieldsTooLarge = 431
	statusHTTPVersionNotSupported     = 505
)

// statusText are the phrases of the statuses that this side refuses a request with.
var statusText = map[int]string{
	statusBadRequest:                  "Bad Request",
	statusNotFound:                    "Not Found",
	statusMethodNotAllowed:            "Method Not Allowed",
	statusURITooLong:                  "Request URI Too Long",
	statusUpgradeRequired:             "Upgrade Required",
	statusRequestHeaderFieldsTooLarge: "Request Header Fields Too Large",
	statusHTTPVersionNotSupported:     "HTTP Version Not Supported",
}

// httpTime is the format of the field Date.
const httpTime = "Mon, 02 Jan 2006 15:04:05 GMT"
