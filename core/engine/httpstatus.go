// SPDX-License-Identifier: MPL-2.0

package engine

// What HTTP defines by numbers and names (RFC 9110). net/http, which has that too, and much
// more, is not linked.

// Statuses of answers that this side sends or understands.
const (
	statusSwitchingProtocols          = 101
	statusOK                          = 200
	statusBadRequest                  = 400
	statusForbidden                   = 403
	statusNotFound                    = 404
	statusMethodNotAllowed            = 405
	statusURITooLong                  = 414
	statusUpgradeRequired             = 426
	statusRequestHeaderFieldsTooLarge = 431
	statusServiceUnavailable          = 503
	statusHTTPVersionNotSupported     = 505
)

// statusText are the phrases of the statuses that this side answers a request with without an upgrade.
var statusText = map[int]string{
	statusOK:                          "OK",
	statusBadRequest:                  "Bad Request",
	statusForbidden:                   "Forbidden",
	statusNotFound:                    "Not Found",
	statusMethodNotAllowed:            "Method Not Allowed",
	statusURITooLong:                  "Request URI Too Long",
	statusUpgradeRequired:             "Upgrade Required",
	statusRequestHeaderFieldsTooLarge: "Request Header Fields Too Large",
	statusServiceUnavailable:          "Service Unavailable",
	statusHTTPVersionNotSupported:     "HTTP Version Not Supported",
}

// phraseOf returns the phrase of a status that this side answers with. Those that only an application
// gives need none.
func phraseOf(status int) string {
	if phrase := statusText[status]; phrase != "" {
		return phrase
	}
	return "Refused"
}

// httpTime is the format of the field Date.
const httpTime = "Mon, 02 Jan 2006 15:04:05 GMT"
