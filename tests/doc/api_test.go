// SPDX-License-Identifier: MPL-2.0

package doc

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A page of doc/api documents functions in sections. A section's "h" block has
// their declarations as in the header, its "c" blocks are bodies of functions
// that run here, and "c top" blocks go before these, outside any function. The
// "c shared NAME" blocks of doc/api/README.md go before the examples of every page
// that calls NAME and has no such function of its own.
// The "c" blocks of the other pages that TestExamplesRun names are as those; a block "c theirs" is
// for another library.

var (
	comment     = regexp.MustCompile(`(?s)/\*.*?\*/`)
	declaration = regexp.MustCompile(`(?ms)^ZLINK_EXPORT\s+([^;]*?\b(zlink_\w+)\s*\([^;]*\));`)
	constant    = regexp.MustCompile(`(?m)^#define (ZLINK_\w+|E[A-Z]+)[ (]`)
	call        = regexp.MustCompile(`\b(zlink_\w+) \(`)
	name        = regexp.MustCompile(`\b(zlink_\w+)\s*\(`)
)

func header(t *testing.T) string {
	return comment.ReplaceAllString(read(t, filepath.Join(root, "include/zlink.h")), "")
}

// declarations maps the header's functions to their declarations.
func declarations(t *testing.T) map[string]string {
	all := map[string]string{}
	for _, m := range declaration.FindAllStringSubmatch(header(t), -1) {
		all[m[2]] = squeeze(m[1])
	}
	if len(all) < 60 {
		t.Fatalf("only %d functions found in the header", len(all))
	}
	return all
}

// squeeze removes the differences of layout.
func squeeze(declaration string) string {
	s := strings.Join(strings.Fields(declaration), " ")
	return strings.NewReplacer("( ", "(", " )", ")", " (", "(").Replace(s)
}

func TestEveryFunctionIsDocumentedOnce(t *testing.T) {
	left := declarations(t)
	var bad []string
	for _, p := range pages(t, "doc/api/*.md") {
		for _, b := range p.blocks {
			if b.info != "h" {
				continue
			}
			for text := range strings.SplitSeq(b.text, ";") {
				m := name.FindStringSubmatch(text)
				if m == nil {
					continue
				}
				switch want, ok := left[m[1]]; {
				case !ok:
					bad = append(bad, fmt.Sprintf("%s: %s is documented twice or not in the header", b.at(p), m[1]))
				case want != squeeze(text):
					bad = append(bad, fmt.Sprintf("%s: the header has: %s", b.at(p), want))
				}
				delete(left, m[1])
			}
		}
	}
	for f := range maps.Keys(left) {
		bad = append(bad, "doc/api: nothing about "+f)
	}
	report(t, bad)
}

// doc/api/services.md names what zlink_services.h declares, and what returns NULL.
func TestServicesAreDocumented(t *testing.T) {
	services := comment.ReplaceAllString(read(t, filepath.Join(root, "include/zlink_services.h")), "")
	said := map[string]bool{} // and whether it returns NULL
	for _, m := range regexp.MustCompile("`(zlink_\\w+)`( \\(NULL\\))?").FindAllStringSubmatch(pages(t, "doc/api/services.md")[0].text, -1) {
		said[m[1]] = m[2] != ""
	}
	var bad []string
	declared := declaration.FindAllStringSubmatch(services, -1)
	for _, m := range declared {
		if null, ok := said[m[2]]; !ok || null != strings.HasPrefix(m[1], "void") {
			bad = append(bad, "doc/api/services.md: nothing, or something else, about "+m[2])
		}
	}
	if len(declared) != 63 {
		bad = append(bad, fmt.Sprintf("zlink_services.h declares %d functions", len(declared)))
	}
	report(t, bad)
}

func TestEveryFunctionHasAnExample(t *testing.T) {
	var bad []string
	for _, p := range pages(t, "doc/api/*.md") {
		examples := map[string]string{} // by section
		for _, b := range p.blocks {
			if strings.HasPrefix(b.info, "c") {
				examples[b.section] += b.text
			}
		}
		for _, b := range p.blocks {
			if b.info != "h" {
				continue
			}
			for _, m := range name.FindAllStringSubmatch(b.text, -1) {
				if _, typedef := declarations(t)[m[1]]; typedef && !calls(examples[b.section], m[1]) {
					bad = append(bad, fmt.Sprintf("%s: no example calls %s", b.at(p), m[1]))
				}
			}
		}
	}
	report(t, bad)
}

func calls(code, function string) bool {
	for _, m := range call.FindAllStringSubmatch(code, -1) {
		if m[1] == function {
			return true
		}
	}
	return false
}

func TestEveryConstantIsDocumented(t *testing.T) {
	text := ""
	for _, p := range pages(t, "doc/api/*.md") {
		text += p.text
	}
	seen := map[string]bool{}
	for _, word := range regexp.MustCompile(`\w+`).FindAllString(text, -1) {
		seen[word] = true
	}
	var bad []string
	for _, m := range constant.FindAllStringSubmatch(header(t), -1) {
		if !seen[m[1]] && m[1] != "ZLINK_H_INCLUDED" && m[1] != "ZLINK_EXPORT" {
			bad = append(bad, "doc/api: nothing about "+m[1])
		}
	}
	slices.Sort(bad)
	report(t, bad)
}

// doc/api/constants.md has a row for each constant: | `name` | value | … |
func TestConstantsHaveTheirValues(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| `(\\w+)` \\| ([^|]+) \\|")
	value := regexp.MustCompile(`(?m)^#define (ZLINK_\w+|E[A-Z]+) +\(?([-\w][-+ \w]*)`)
	said := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(pages(t, "doc/api/constants.md")[0].text, -1) {
		said[m[1]] = m[2]
	}
	var bad []string
	for _, m := range value.FindAllStringSubmatch(header(t), -1) {
		if m[1] != "ZLINK_EXPORT" && said[m[1]] != strings.TrimSpace(m[2]) {
			bad = append(bad, fmt.Sprintf("doc/api/constants.md: %s is %s, not %q", m[1], m[2], said[m[1]]))
		}
	}
	report(t, bad)
}

func TestExamplesRun(t *testing.T) {
	for _, p := range pages(t, "doc/api/*.md", "doc/modes.md", "doc/public.md", "doc/migration.md", "doc/deploy.md",
		"doc/troubleshooting.md", "doc/restart.md") {
		if !slices.ContainsFunc(p.blocks, func(b block) bool { return b.info == "c" }) {
			continue
		}
		t.Run(filepath.Base(p.name), func(t *testing.T) {
			program := build(t, p)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			out, err := exec.CommandContext(ctx, program).CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// build compiles the examples of a page as one program.
func build(t *testing.T, p page) (program string) {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join(root, "build/doc"))
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	lib := filepath.Join(filepath.Dir(dir), "lib")
	if _, err := os.Stat(filepath.Join(lib, "libzlink.so")); err != nil {
		t.Fatal("there is no library; run ./build.sh lib first")
	}
	program = filepath.Join(dir, strings.TrimSuffix(filepath.Base(p.name), ".md"))
	if err := os.WriteFile(program+".c", []byte(shared(t, p)+source(p)), 0o644); err != nil {
		t.Fatal(err)
	}
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "gcc"
	}
	out, err := exec.Command(cc, "-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror",
		"-I"+filepath.Join(root, "include"), program+".c", "-o", program,
		"-L"+lib, "-lzlink", "-Wl,-rpath,"+lib, "-pthread").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// shared has the includes of a program, and the functions that pages share.
func shared(t *testing.T, p page) string {
	text := "#include <assert.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n" +
		"#include <unistd.h>\n#include <zlink.h>\n\n"
	for _, b := range pages(t, "doc/api/README.md")[0].blocks {
		name, ok := strings.CutPrefix(b.info, "c shared ")
		if ok && strings.Contains(p.text, name+" (") && !strings.Contains(p.text, " "+name+" (void)\n{") {
			text += fmt.Sprintf("#line %d \"doc/api/README.md\"\n%s", b.line, b.text)
		}
	}
	return text
}

// source is the program with the examples of a page.
func source(p page) string {
	var top, body, run strings.Builder
	for i, b := range p.blocks {
		place := fmt.Sprintf("#line %d \"%s\"\n", b.line, p.name)
		switch b.info {
		case "c top":
			top.WriteString(place + b.text)
		case "c":
			fmt.Fprintf(&body, "static void example_%d (void)\n{\n%s%s}\n", i, place, b.text)
			fmt.Fprintf(&run, "    fprintf (stderr, \"%s: %s\\n\");\n    example_%d ();\n", b.at(p), b.section, i)
		}
	}
	return top.String() + "\n" + body.String() +
		"int main (void)\n{\n" + run.String() + "    return 0;\n}\n"
}
