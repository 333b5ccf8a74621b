// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// WebRules say which requests for a WebSocket a listener takes. They do not change; nil means
// those of no options.
type WebRules struct {
	Protocols []string // subprotocols, the preferred one first
	Origins   *OriginList
	Health    string   // path that is answered 200; "": none
	Paths     []string // that are taken besides the endpoint's; one with * at its end: all that begin so
}

// ParseProtocols reads names of subprotocols, with commas or spaces between. The error names the
// entry that is wrong.
func ParseProtocols(text string) (names []string, err error) {
	for _, name := range strings.FieldsFunc(text, betweenEntries) {
		if !isToken(name) {
			return nil, fmt.Errorf("%.64q has characters that are not of names", name)
		}
		names = append(names, name)
	}
	return names, nil
}

// choose returns the first subprotocol of the list that a request offers, or "".
func (r *WebRules) choose(h *head) string {
	if r == nil {
		return ""
	}
	for _, name := range r.Protocols {
		for offered := range h.list("Sec-WebSocket-Protocol") {
			if offered == name {
				return name
			}
		}
	}
	return ""
}

// ParsePaths reads paths of WebSockets, with commas or spaces between. The error names the entry
// that is wrong.
func ParsePaths(text string) (paths []string, err error) {
	for _, path := range strings.FieldsFunc(text, betweenEntries) {
		for i := range len(path) {
			if c := path[i]; path[0] != '/' || c <= ' ' || c >= 0x7F || c == '?' || c == '#' || c == '*' && i != len(path)-1 {
				return nil, fmt.Errorf("%.64q is no path such as /chat or /rooms/*", path)
			}
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// takes reports whether a path is one of the list.
func (r *WebRules) takes(path string) bool {
	return r != nil && slices.ContainsFunc(r.Paths, func(taken string) bool {
		begin, all := strings.CutSuffix(taken, "*")
		return taken == path || all && strings.HasPrefix(path, begin)
	})
}

// CheckHealthPath returns an error if no request has the path, so that a probe would never be
// answered.
func CheckHealthPath(path string) error {
	if path == "" {
		return nil
	}
	if path[0] != '/' {
		return errors.New("it does not begin with /")
	}
	if strings.Contains(path, "?") || !validTarget(path) {
		return errors.New("it has characters that are not of paths")
	}
	return nil
}

// healthy reports whether a path asks whether the server is there.
func (r *WebRules) healthy(path string) bool { return r != nil && r.Health != "" && r.Health == path }

func (r *WebRules) origins() *OriginList {
	if r == nil {
		return nil
	}
	return r.Origins
}

// OriginList is a set of origins of pages. It does not change. A nil list is an empty one.
type OriginList struct {
	any   bool
	exact []string // in small letters, without a default port
}

// ParseOrigins reads origins such as https://a.example:8443, with commas or spaces between;
// "null", which pages without an origin have; "*" for all. The error names the entry that is wrong.
func ParseOrigins(text string) (*OriginList, error) {
	list := &OriginList{}
	for _, entry := range strings.FieldsFunc(text, betweenEntries) {
		_, host, hasScheme := strings.Cut(entry, "://")
		switch {
		case entry == "*":
			list.any = true
		case entry == "null":
			list.exact = append(list.exact, entry)
		case !hasScheme, host == "", host[0] == ':', !validHost(host), strings.Contains(host, "*"): // it would look like a pattern
			return nil, fmt.Errorf("%.64q is no origin such as https://a.example", entry)
		default:
			list.exact = append(list.exact, canonicalOrigin(entry))
		}
	}
	if !list.any && list.exact == nil {
		return nil, nil
	}
	return list, nil
}

// canonicalOrigin returns an origin in small letters and without the default port of its scheme.
func canonicalOrigin(origin string) string {
	origin = strings.ToLower(origin)
	switch {
	case strings.HasPrefix(origin, "http://"):
		return strings.TrimSuffix(origin, ":80")
	case strings.HasPrefix(origin, "https://"):
		return strings.TrimSuffix(origin, ":443")
	}
	return origin
}

// checkOrigin refuses a page that may not ask. Without a list, a page of another host may not once
// the application looks at what browsers send by themselves: cookies, passwords or a
// certificate, which say who uses the browser and not who wrote the page. Programs
// without a page send no origin.
func checkOrigin(h *head, list *OriginList, kept *Properties) error {
	if list == nil && !kept.ambient() || list != nil && list.any {
		return nil
	}
	origin, n := h.one("Origin")
	switch {
	case n == 0:
		return nil
	case n > 1:
		return bad("the field Origin is there more than once")
	}
	origin = canonicalOrigin(origin)
	if list != nil && slices.Contains(list.exact, origin) || list == nil && sameHost(h, origin) {
		return nil
	}
	return &refusal{status: statusForbidden, text: "pages of this origin may not connect"}
}

// sameHost reports whether a request was made to the host that the page is from.
func sameHost(h *head, origin string) bool {
	scheme, host, _ := strings.Cut(origin, "://")
	asked, _ := h.one("Host")
	return host != "" && host == strings.TrimPrefix(canonicalOrigin(scheme+"://"+asked), scheme+"://")
}

// ambient reports whether something is kept that browsers send to a server whatever page asks
// them to connect.
func (p *Properties) ambient() bool {
	if p == nil {
		return false
	}
	certificate := uint32(1<<tlsSubject | 1<<tlsSAN | 1<<tlsSHA256 | 1<<proxyTLSName)
	return p.fixed&certificate != 0 || slices.ContainsFunc(p.headers, func(name string) bool {
		return strings.EqualFold(name, "Cookie") || strings.EqualFold(name, "Authorization")
	})
}
