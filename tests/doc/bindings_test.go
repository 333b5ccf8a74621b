// SPDX-License-Identifier: MPL-2.0

package doc

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The pages of bindings. A block with a whole program is the end of the example "echo", which has a test of
// its own; the others are bodies of functions that run here.

var (
	optionRow   = regexp.MustCompile(`(?m)^\| ([A-Z][A-Z0-9_, ]*(?:\([a-z, 0-9]+\))?[A-Z0-9_, ]*(?:\([a-z, 0-9]+\))?) \| `)
	optionNames = regexp.MustCompile(`[A-Z_][A-Z0-9_]*`)
)

// socketOptions are the options of sockets in doc/options.md, as C has them.
func socketOptions(t *testing.T) (names []string) {
	t.Helper()
	text, _, _ := strings.Cut(pages(t, "doc/options.md")[0].text, "\n| option | default | valid |\n")
	for _, row := range optionRow.FindAllStringSubmatch(text, -1) {
		first := ""
		for _, name := range optionNames.FindAllString(row[1], -1) {
			if strings.HasPrefix(name, "_") { // another end of the first one
				name = first[:strings.LastIndex(first, "_")] + name
			} else {
				first = name
			}
			names = append(names, name)
		}
	}
	if len(names) < 78 {
		t.Fatalf("only %d options found: %v", len(names), names)
	}
	return names
}

// Each option of sockets has a name in each binding that gives them types.
func TestBindingsHaveEveryOption(t *testing.T) {
	var bad []string
	cpp := read(t, filepath.Join(root, "bindings/cpp/include/zlink.hpp"))
	for _, name := range socketOptions(t) {
		if short := strings.ToLower(strings.TrimPrefix(name, "STREAM_")); !strings.Contains(cpp, " "+short+"{ZLINK_"+name+"}") {
			bad = append(bad, "zlink.hpp has no option "+short+" for "+name)
		}
	}
	report(t, bad)
	python := read(t, filepath.Join(root, "bindings/python/zlink_stream/_constants.py"))
	node := read(t, filepath.Join(root, "bindings/node/lib/constants.js"))
	java := read(t, filepath.Join(root, "bindings/java/src/io/github/zlink/Option.java"))
	csharp := read(t, filepath.Join(root, "bindings/dotnet/Zlink.cs"))
	_, csharp, _ = strings.Cut(csharp, "public enum Option\n")
	csharp, _, _ = strings.Cut(csharp, "\n    }\n")
	for _, name := range socketOptions(t) {
		number := regexp.MustCompile(`(?m)^#define ZLINK_` + name + ` (\d+)`).FindStringSubmatch(header(t))[1]
		if line := "\n    " + strings.TrimPrefix(name, "STREAM_") + " = " + number; !strings.Contains(python, line) {
			t.Errorf("bindings/python: no %s", strings.TrimSpace(line))
		}
		if line := "\n  " + strings.TrimPrefix(name, "STREAM_") + ": " + number + ","; !strings.Contains(node, line) {
			t.Errorf("bindings/node: no %s", strings.TrimSpace(line))
		}
		if !regexp.MustCompile(` = ` + number + `\b`).MatchString(csharp) {
			t.Errorf("bindings/dotnet: no option has the number %s, of %s", number, name)
		}
		if line := "\n    " + strings.TrimPrefix(name, "STREAM_") + "(" + number; !strings.Contains(java, line+")") && !strings.Contains(java, line+", Kind.") {
			t.Errorf("bindings/java: no %s", strings.TrimSpace(line))
		}
	}
}

// showsEcho checks a block with a whole program against the binding's example.
func showsEcho(t *testing.T, p page, b block, example string) {
	t.Helper()
	if !strings.HasSuffix(read(t, filepath.Join(root, example)), b.text) {
		t.Errorf("%s: not the end of %s", b.at(p), example)
	}
}

// library is the folder of the library.
func library(t *testing.T) string {
	t.Helper()
	lib, err := filepath.Abs(filepath.Join(root, "build/lib"))
	if err == nil {
		_, err = os.Stat(filepath.Join(lib, "libzlink.so"))
	}
	if err != nil {
		t.Fatal("there is no library; run ./build.sh lib first")
	}
	return lib
}

// run runs a program to its end.
func run(t *testing.T, environment []string, command ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	program := exec.CommandContext(ctx, command[0], command[1:]...)
	program.Env = append(os.Environ(), environment...)
	if out, err := program.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", command[0], err, out)
	}
}

func TestCppPageRuns(t *testing.T) {
	compiler, err := exec.LookPath("g++")
	if err != nil {
		fmt.Println("not run here: bindings/cpp/README.md: there is no g++")
		return
	}
	p, lib := pages(t, "bindings/cpp/README.md")[0], library(t)
	var text, calls strings.Builder
	text.WriteString("#include <cassert>\n#include <string>\n#include <zlink.hpp>\n")
	for i, b := range p.blocks {
		switch {
		case b.info != "cpp":
		case strings.Contains(b.text, "int main"):
			showsEcho(t, p, b, "bindings/cpp/example/echo.cpp")
		default:
			fmt.Fprintf(&text, "static void example_%d ()\n{\n#line %d \"%s\"\n%s}\n", i, b.line, p.name, b.text)
			fmt.Fprintf(&calls, "    example_%d ();\n", i)
		}
	}
	fmt.Fprintf(&text, "int main ()\n{\n%s}\n", calls.String())
	source := filepath.Join(t.TempDir(), "page.cpp")
	if err := os.WriteFile(source, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	program := strings.TrimSuffix(source, ".cpp")
	run(t, nil, compiler, "-std=c++17", "-g", "-Wall", "-Wextra", "-Werror", "-I"+filepath.Join(root, "include"),
		"-I"+filepath.Join(root, "bindings/cpp/include"), source, "-o", program, "-L"+lib, "-lzlink", "-Wl,-rpath,"+lib)
	if !t.Failed() {
		run(t, nil, program)
	}
}

// The blocks in Python that import the binding are programs.
func TestPythonPagesRun(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		fmt.Println("not run here: bindings/python/README.md: there is no python3")
		return
	}
	folder, err := filepath.Abs(filepath.Join(root, "bindings/python"))
	if err != nil {
		t.Fatal(err)
	}
	environment := []string{"PYTHONPATH=" + folder, "PYTHONDONTWRITEBYTECODE=1",
		"ZLINK_LIBRARY=" + filepath.Join(library(t), "libzlink.so.5")}
	for _, p := range pages(t, "bindings/python/README.md", "doc/getting-started.md") {
		for _, b := range p.blocks {
			switch {
			case b.info != "python" || !strings.Contains(b.text, "import zlink_stream"):
			case strings.Contains(b.text, "sys.argv"):
				showsEcho(t, p, b, "bindings/python/example/echo.py")
			default:
				run(t, environment, python, "-W", "error", "-c", b.text)
			}
		}
	}
}

// node runs a program in JavaScript with the package for Node.js; "": it has to be left out, which is said.
func node(t *testing.T, page string) (program string, environment []string) {
	t.Helper()
	packages, err := filepath.Abs(filepath.Join(root, "build/node"))
	if err != nil {
		t.Fatal(err)
	}
	program, err = exec.LookPath("node")
	if err != nil || !exists("build/node/zlink-stream/zlink.node") {
		fmt.Printf("not run here: %s: there is no node, or the package was not built\n", page)
		return "", nil
	}
	return program, []string{"NODE_PATH=" + packages}
}

// The blocks in JavaScript are bodies of functions that talk to a server of each framing.
func TestBrowserPageRuns(t *testing.T) {
	program, environment := node(t, "bindings/browser/README.md")
	if program == "" {
		return
	}
	with := filepath.Join(root, "tests/third/node.sh") // it knows how to have a WebSocket
	if exec.CommandContext(t.Context(), "bash", with, "-e", "").Run() != nil {
		fmt.Println("not run here: bindings/browser/README.md: this node has no WebSocket")
		return
	}
	client, err := filepath.Abs(filepath.Join(root, "bindings/browser/zlink.js"))
	if err != nil {
		t.Fatal(err)
	}
	const script = `const { Context, Batch } = require('zlink-stream'), zlink = require('%s');
console.assert = require('assert');
async function server(framing) {
  const socket = new Context().socket({ framing }), batch = new Batch(16);
  (async () => { while (await socket.receiveBatch(batch)) socket.sendBatch(batch); })();
  return socket.bind('ws://127.0.0.1:*');
}
(async () => {
  const url = await server(0), headedUrl = await server(3);
%s})().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
`
	for _, b := range pages(t, "bindings/browser/README.md")[0].blocks {
		if b.info == "js" {
			run(t, environment, "bash", with, "-e", fmt.Sprintf(script, client, b.text))
		}
	}
}

// The block in C# is a script of Unity's, of which this has what it calls.
func TestUnityPageCompiles(t *testing.T) {
	compiler, err := exec.LookPath("mcs")
	if err != nil {
		fmt.Println("not run here: bindings/unity/README.md: there is no mcs")
		return
	}
	const engine = "namespace UnityEngine { public class MonoBehaviour {} public static class Debug { public static void Log(object text) {} } }\n"
	folder := t.TempDir()
	files := []string{filepath.Join(folder, "Engine.cs"), filepath.Join(folder, "Page.cs")}
	for _, b := range pages(t, "bindings/unity/README.md")[0].blocks {
		if b.info != "csharp" {
			continue
		}
		for i, text := range []string{engine, b.text} {
			if err := os.WriteFile(files[i], []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		run(t, nil, compiler, "-nologo", "-target:library", "-out:"+filepath.Join(folder, "page.dll"), files[0], files[1],
			filepath.Join(root, "bindings/unity/ZlinkClient.cs"))
	}
}

// A block with a class is the example, and the others are methods, which a compiler takes with the binding's sources.
func TestCsharpPageCompiles(t *testing.T) {
	compiler, err := exec.LookPath("mcs")
	if err != nil {
		fmt.Println("not run here: bindings/dotnet/README.md: there is no mcs")
		return
	}
	sources, err := filepath.Glob(filepath.Join(root, "bindings/dotnet/*.cs"))
	if err != nil || len(sources) == 0 {
		t.Fatal("no sources of the binding", err)
	}
	p := pages(t, "bindings/dotnet/README.md")[0]
	for _, b := range p.blocks {
		switch {
		case b.info != "csharp":
		case strings.Contains(b.text, "static class"):
			showsEcho(t, p, b, "bindings/dotnet/example/Echo.cs")
		default:
			file := filepath.Join(t.TempDir(), "Page.cs")
			text := "using System.Threading;\nusing System.Threading.Tasks;\nusing Zlink;\nclass Page {\n" + b.text + "}\n"
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			command := []string{compiler, "-nologo", "-unsafe", "-target:library", "-out:" + file + ".dll", file}
			run(t, nil, append(command, sources...)...)
		}
	}
}

// The jar is built with the programs; where it is not, nothing runs. A block without a class is the body of a program.
func TestJavaPageRuns(t *testing.T) {
	java, err := exec.LookPath("java")
	jar := filepath.Join(root, "build/java/zlink-stream.jar")
	if err != nil || !exists("build/java/zlink-stream.jar") {
		fmt.Println("not run here: bindings/java/README.md: there is no java, or the jar was not built")
		return
	}
	p := pages(t, "bindings/java/README.md")[0]
	for _, b := range p.blocks {
		switch {
		case b.info != "java":
		case strings.Contains(b.text, "public class"):
			showsEcho(t, p, b, "bindings/java/example/Echo.java")
		default:
			source := filepath.Join(t.TempDir(), "Page.java")
			text := "import io.github.zlink.*;\npublic class Page {\npublic static void main(String[] arguments) {\n" + b.text + "}\n}\n"
			if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			run(t, nil, java, "-ea", "-cp", jar, source)
		}
	}
}

// The counters are those of the header, in its order.
func TestJavaHasEveryCounter(t *testing.T) {
	java := read(t, filepath.Join(root, "bindings/java/src/io/github/zlink/Stats.java"))
	_, fields, _ := strings.Cut(header(t), "typedef struct zlink_stream_stats_t")
	fields, _, _ = strings.Cut(fields, "} zlink_stream_stats_t")
	var wanted strings.Builder
	for _, field := range regexp.MustCompile(`uint64_t (\w+)`).FindAllStringSubmatch(fields, -1) {
		if field[1] == "ended_by" {
			wanted.WriteString("        endedBy = Arrays.copyOfRange(all, at, at + 32);\n        at += 32;\n")
			continue
		}
		words := strings.Split(field[1], "_")
		for i, word := range words[1:] {
			words[i+1] = strings.ToUpper(word[:1]) + word[1:]
		}
		fmt.Fprintf(&wanted, "        %s = all[at++];\n", strings.Join(words, ""))
	}
	if !strings.Contains(java, wanted.String()) {
		t.Errorf("bindings/java: Stats.java does not read\n%s", wanted.String())
	}
}

// The package is built with the programs; where it is not, nothing runs.
func TestNodePageRuns(t *testing.T) {
	program, environment := node(t, "bindings/node/README.md")
	if program == "" {
		return
	}
	p := pages(t, "bindings/node/README.md")[0]
	for _, b := range p.blocks {
		switch {
		case b.info != "js":
		case strings.Contains(b.text, "process.argv"):
			showsEcho(t, p, b, "bindings/node/example/echo.js")
		default:
			failing := "console.assert = require('assert');\n"
			run(t, environment, program, "-e", failing+b.text)
		}
	}
}
