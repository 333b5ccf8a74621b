// SPDX-License-Identifier: MPL-2.0

package doc

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMutantsFitTheSources: every fault that tests/mutation puts into a file still changes
// that file. Whether a test finds it, only tests/mutation/run.sh tells, which takes long.
func TestMutantsFitTheSources(t *testing.T) {
	var bad []string
	file := ""
	for i, line := range strings.Split(read(t, filepath.Join(root, "tests/mutation/mutants.txt")), "\n") {
		kind, rest, _ := strings.Cut(line, " ")
		switch kind {
		case "file":
			file = rest
		case "sed":
			before := read(t, filepath.Join(root, file))
			after, err := exec.Command("sed", "-e", rest, filepath.Join(root, file)).Output()
			if err != nil || string(after) == before {
				bad = append(bad, fmt.Sprintf("mutants.txt:%d: changes nothing in %s", i+1, file))
			}
		}
	}
	report(t, bad)
}
