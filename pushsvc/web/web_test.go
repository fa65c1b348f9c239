package web

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var scripts = []struct {
	name    string
	source  []byte
	render  func([]byte) []byte
	maxGzip int // bytes
}{
	{"sdk.js", sdk, SDK, 8000},
	{"sw.js", worker, Worker, 3000},
	{"retire.js", retireSDK, RetireSDK, 2000},
	{"retire-sw.js", retireWorker, RetireWorker, 1500},
}

// modules are the files that the page script imports when it needs them.
var modules = []struct {
	name    string
	maxGzip int // bytes
}{
	{"ui.js", 8000},
	{"texts.js", 8000},
	{"compat.js", 9500},
	{"onesignal.js", 6500},
	{"wait.js", 1500},
	{"join.js", 3700},
	{"track.js", 4000},
	{"trouble.js", 3000},
	{"onsite.js", 4000},
	{"popup.js", 8000},
	{"popup-more.js", 6000},
	{"popup-words.js", 4000},
}

// otherFiles are the files that pages and workers get in another way.
var otherFiles = []struct {
	name    string
	source  []byte
	maxGzip int // bytes
}{
	{"frame.js", frame, 2500},
	{"tell.js", tell, 1300},
}

func TestSize(t *testing.T) {
	for _, script := range scripts {
		t.Run(script.name, func(t *testing.T) { checkSize(t, script.source, script.maxGzip) })
	}
	for _, module := range modules {
		t.Run(module.name, func(t *testing.T) {
			source, ok := Module(module.name)
			if !ok {
				t.Fatal("not among the modules")
			}
			checkSize(t, source, module.maxGzip)
		})
	}
	for _, file := range otherFiles {
		t.Run(file.name, func(t *testing.T) { checkSize(t, file.source, file.maxGzip) })
	}
}

// TestDesignBudgets compares the table of DESIGN.md with the budgets.
func TestDesignBudgets(t *testing.T) {
	text, err := os.ReadFile("DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, row := range regexp.MustCompile("(?m)^\\| `dist/(.+?)` \\| .* \\| ([0-9,]+) \\|$").FindAllSubmatch(text, -1) {
		got[string(row[1])] = strings.ReplaceAll(string(row[2]), ",", "")
	}
	want := make(map[string]string)
	for _, script := range scripts {
		want[script.name] = strconv.Itoa(script.maxGzip)
	}
	for _, module := range modules {
		want[module.name] = strconv.Itoa(module.maxGzip)
	}
	for _, file := range otherFiles {
		want[file.name] = strconv.Itoa(file.maxGzip)
	}
	if !maps.Equal(got, want) {
		t.Errorf("the table has %v, the budgets are %v", got, want)
	}
}

// TestFrame checks that the script can stand inside a document.
func TestFrame(t *testing.T) {
	script := Frame()
	if found := forbidden.FindAll(script, -1); len(found) != 1 || string(found[0]) != "document.write" {
		t.Errorf("found %q, want only the one call that writes the HTML", found)
	}
	if found := moduleSyntax.FindAll(script, -1); found != nil {
		t.Errorf("found %q", found)
	}
	for _, what := range []string{placeholder, "</script", "<!--", "<script"} {
		if bytes.Contains(script, []byte(what)) {
			t.Errorf("has %q", what)
		}
	}
	for i, c := range script {
		if c > 0x7e {
			t.Fatalf("byte %#x at %d: must be ASCII", c, i)
		}
	}
	document := FrameDocument()
	if !bytes.HasPrefix(document, []byte("<!DOCTYPE html>")) || bytes.Count(document, script) != 1 {
		t.Errorf("the document is %.60q…", document)
	}
	script[0] = 'X'
	if Frame()[0] == 'X' {
		t.Error("the result shares memory with the embedded script")
	}
}

func checkSize(t *testing.T, source []byte, maxGzip int) {
	t.Helper()
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(source); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes, %d gzip", len(source), buf.Len())
	if buf.Len() > maxGzip {
		t.Errorf("%d bytes gzip, budget %d", buf.Len(), maxGzip)
	}
	if len(source) == 0 {
		t.Error("empty")
	}
}

func TestPlaceholder(t *testing.T) {
	for _, script := range scripts {
		t.Run(script.name, func(t *testing.T) {
			if n := bytes.Count(script.source, []byte(placeholder)); n != 1 {
				t.Fatalf("placeholder occurs %d times, want once", n)
			}
			before := bytes.Clone(script.source)
			// A config that itself contains the placeholder stays whole.
			config := []byte(`{"name":"` + placeholder + `"}`)
			got := script.render(config)
			if n := bytes.Count(got, []byte(placeholder)); n != 1 || !bytes.Contains(got, config) {
				t.Errorf("config not inserted whole: placeholder occurs %d times", n)
			}
			got[0] = 'X'
			if !bytes.Equal(script.source, before) {
				t.Error("the result shares memory with the embedded script")
			}
		})
	}
}

// forbidden matches what no file may have: a directive, a fetch listener, comments, inline
// markup, dynamic code.
var forbidden = regexp.MustCompile(`"use strict"|["']fetch["']|onfetch|sourceMappingURL|importScripts|innerHTML|insertAdjacentHTML|\beval\b|new Function|document\.write|/\*|\bclaim\(`)

// moduleSyntax matches what makes a script a module; import() does not.
var moduleSyntax = regexp.MustCompile(`\bimport\b[^(]|\bexport\b`)

func TestModuleShape(t *testing.T) {
	for _, module := range modules {
		t.Run(module.name, func(t *testing.T) {
			source, _ := Module(module.name)
			if found := forbidden.FindAll(source, -1); found != nil {
				t.Errorf("found %q", found)
			}
			if !bytes.Contains(source, []byte("export{")) {
				t.Error("exports nothing")
			}
			if bytes.Contains(source, []byte(placeholder)) {
				t.Error("a module has no config")
			}
		})
	}
}

func TestShape(t *testing.T) {
	for _, script := range scripts {
		t.Run(script.name, func(t *testing.T) {
			if found := forbidden.FindAll(script.source, -1); found != nil {
				t.Errorf("found %q", found)
			}
			if found := moduleSyntax.FindAll(script.source, -1); found != nil {
				t.Errorf("found %q", found)
			}
			if n := bytes.Count(script.source, []byte("import(")); n > 0 && script.name != "sdk.js" {
				t.Errorf("import() %d times", n)
			}
			text := strings.TrimSpace(string(script.source))
			if !strings.HasPrefix(text, "(()=>{") || !strings.HasSuffix(text, "})();") {
				t.Error("not one immediately invoked function")
			}
			for i, c := range script.source {
				if c > 0x7e {
					t.Fatalf("byte %#x at %d: must be ASCII, whatever charset a server names", c, i)
				}
			}
		})
	}
}

// TestTell checks that the script may follow any worker.
func TestTell(t *testing.T) {
	script := Tell()
	if found := append(forbidden.FindAll(script, -1), moduleSyntax.FindAll(script, -1)...); found != nil {
		t.Errorf("found %q", found)
	}
	if bytes.Contains(script, []byte(placeholder)) {
		t.Error("has a place for a config")
	}
	script[0] = 'X'
	if Tell()[0] == 'X' {
		t.Error("the result shares memory with the embedded script")
	}
}

// siteWorker is a worker of a site; it ends in a comment without a line end.
const siteWorker = `"use strict";
const config = 1, start = 2;
self.addEventListener("push", () => {});
self.addEventListener("fetch", () => {});
// end`

// workerHost is the minimum that a worker script needs to run. It prints the
// listeners that the script added.
const workerHost = `
const added = [];
globalThis.self = globalThis;
globalThis.addEventListener = (type) => added.push(type);
globalThis.skipWaiting = () => { throw new Error("skipWaiting called at top level"); };
`

// TestAppendedWorker runs the worker after a site's own script, as classic script
// and as module, once and twice.
func TestAppendedWorker(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not in PATH; the worker was not run")
	}
	config, err := json.Marshal(map[string]string{"version": "1", "site": "</script>\u2028", "prefix": "/_webpush"})
	if err != nil {
		t.Fatal(err)
	}
	ours := string(Worker(config))
	const listeners = "install,push,notificationclick,notificationclose,pushsubscriptionchange,sync"
	tests := []struct{ name, file, script, want string }{
		{"alone", "sw.cjs", ours, listeners},
		{"classic", "sw.cjs", siteWorker + "\n;" + ours, "push,fetch," + listeners},
		{"module", "sw.mjs", siteWorker + "\n;" + ours + "\nexport {};", "push,fetch," + listeners},
		{"twice", "sw.cjs", ours + "\n;" + ours, listeners},
		{"for pages that listen", "sw.cjs", ours + "\n;" + string(Tell()) + "\n;" + string(Tell()), listeners + ",push,notificationclick,notificationclose,message"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			host := filepath.Join(dir, "host.cjs")
			file := filepath.Join(dir, test.file)
			// The directive must stay the script's first statement.
			script := test.script + "\nprocess.stdout.write(globalThis.added.join());"
			for path, text := range map[string]string{host: workerHost + "globalThis.added = added;", file: script} {
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			out, err := exec.CommandContext(t.Context(), node, "--require", host, file).CombinedOutput()
			if err != nil {
				t.Fatalf("running the worker: %v\n%s", err, out)
			}
			if string(out) != test.want {
				t.Errorf("listeners %s, want %s", out, test.want)
			}
		})
	}
}
