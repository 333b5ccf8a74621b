// SPDX-License-Identifier: MPL-2.0

package doc

import (
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/zlink/zlink/core/endpoint"
)

// firstColumn finds rows of a table that begin with a word, and texts of endpoints.
var (
	firstColumn = regexp.MustCompile("(?m)^\\| ([a-z]+) \\| `([a-z]+)://")
	anEndpoint  = regexp.MustCompile(`\b([a-z]+)://`)
	has         = regexp.MustCompile(`(?s)named capability: "stream", or a transport, (.*?)\.`)
	quoted      = regexp.MustCompile(`"(\w+)"`)
)

func firsts(matches [][]string) (all []string) {
	for _, m := range matches {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TestTransportsAreDocumented compares what the documents name with the table that the
// library reads.
func TestTransportsAreDocumented(t *testing.T) {
	var there []string
	for _, s := range endpoint.Schemes() {
		there = append(there, s.Name)
	}
	slices.Sort(there)
	file := func(name string) string { return read(t, filepath.Join(root, name)) }
	for what, named := range map[string][]string{
		"the table of doc/transports.md": firsts(firstColumn.FindAllStringSubmatch(file("doc/transports.md"), -1)),
		"zlink_has in include/zlink.h":   firsts(quoted.FindAllStringSubmatch(has.FindString(file("include/zlink.h")), -1)),
	} {
		named = slices.DeleteFunc(named, func(name string) bool { return name == "stream" })
		if !slices.Equal(named, there) {
			t.Errorf("%s names %v, the library has %v", what, named, there)
		}
	}
	forms := firsts(anEndpoint.FindAllStringSubmatch(file("doc/endpoints.md"), -1))
	for _, name := range there {
		if !slices.Contains(forms, name) {
			t.Errorf("doc/endpoints.md has no endpoint of %s", name)
		}
	}
}
