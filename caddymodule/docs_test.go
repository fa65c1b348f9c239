package caddymodule_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-webpush/caddy-webpush/caddymodule"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
)

// blocksNotRun is how many blocks of all pages have the marker "not run". Raise it
// only for a block that no test can run, and say why in the marker.
const blocksNotRun = 14

// block is one fenced code block of a page.
//
// An HTML comment on the line before the fence says what a test does with it:
//
//	<!-- not run: why -->         nothing; the reason is for readers of the source
//	<!-- output of: command -->   the command prints the block's first line
//	<!-- json: kind -->           the JSON is of this kind
//	<!-- file: name, json: … -->  the block is also a file that commands after it read
//	<!-- stopped: why -->         Caddy is stopped before the commands, and started after them
type block struct {
	page, lang, text string
	line             int
	notRun, outputOf string
	file, json       string
	stopped          bool
}

var marker = regexp.MustCompile(`(not run|output of|file|json|stopped): ?(.+?)(?:, (json): (.+?))? -->$`)

// docPages returns all Markdown files of the project, as paths from its root.
func docPages(t *testing.T) []string {
	t.Helper()
	var pages []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			rel, err := filepath.Rel("..", path)
			pages = append(pages, filepath.ToSlash(rel))
			return err
		}
		return nil
	})
	if err != nil || len(pages) < 20 {
		t.Fatalf("pages found: %d, %v", len(pages), err)
	}
	return pages
}

func docText(t *testing.T, page string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", page))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// docBlocks returns the code blocks of a page in their order.
func docBlocks(t *testing.T, page string) (blocks []block) {
	t.Helper()
	var b *block
	before := ""
	lines := bufio.NewScanner(strings.NewReader(docText(t, page)))
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		lang, fence := strings.CutPrefix(strings.TrimLeft(line, " "), "```")
		switch {
		case fence && b == nil:
			b = &block{page: page, lang: lang, line: n}
			if m := marker.FindStringSubmatch(before); m != nil {
				for i := 1; i < len(m); i += 2 {
					switch m[i] {
					case "not run":
						b.notRun = m[i+1]
					case "output of":
						b.outputOf = m[i+1]
					case "file":
						b.file = m[i+1]
					case "stopped":
						b.stopped = true
					case "json":
						b.json = m[i+1]
					}
				}
			} else if strings.HasPrefix(before, "<!--") {
				t.Errorf("%s:%d: the marker %q is not one that block's comment lists", page, n-1, before)
			}
		case fence:
			blocks = append(blocks, *b)
			b = nil
		case b != nil:
			b.text += line + "\n"
		}
		before = line
	}
	if b != nil {
		t.Errorf("%s:%d: the block does not end", page, b.line)
	}
	return blocks
}

var commandLine = regexp.MustCompile(`(?m)^\s*(?:\$ )?(?:caddy|curl|go run|xcaddy) `)

// TestDocBlocks: each block has a language and is of a kind that a test runs. Caddyfiles
// and configurations are adapted and provisioned here; TestDocCommands runs the rest.
func TestDocBlocks(t *testing.T) {
	t.Setenv("IDENTITY_SECRET", "s3cret")
	notRun := 0
	counts := map[string]int{}
	for _, page := range docPages(t) {
		for _, b := range docBlocks(t, page) {
			counts[b.lang]++
			if b.notRun != "" {
				notRun++
				continue
			}
			switch b.lang {
			case "caddyfile":
				provision(t, b, adaptBlock(t, b))
			case "json":
				checkJSON(t, b)
			case "sh":
				if !strings.Contains(b.text, "caddy") && !strings.Contains(b.text, "curl") && !strings.Contains(b.text, "openssl") {
					t.Errorf("%s:%d: no command is run here", page, b.line)
				}
			case "text":
				if b.outputOf == "" && commandLine.MatchString(b.text) {
					t.Errorf("%s:%d: commands belong into a block of the language sh", page, b.line)
				}
			case "js", "html", "css", "mermaid":
			default:
				t.Errorf("%s:%d: the language %q is not one that is checked", page, b.line, b.lang)
			}
		}
	}
	if notRun != blocksNotRun {
		t.Errorf("%d blocks are marked as not run, want %d", notRun, blocksNotRun)
	}
	if counts["caddyfile"] < 10 || counts["json"] < 4 || counts["sh"] < 15 {
		t.Errorf("blocks found: %v", counts)
	}
}

// adaptBlock adapts a Caddyfile; one that begins with the directive is put into a site block.
func adaptBlock(t *testing.T, b block) []byte {
	t.Helper()
	text := b.text
	if strings.HasPrefix(text, "webpush") {
		text = "shop.example.com {\n" + text + "\n}\n"
	}
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Errorf("%s:%d: %v", b.page, b.line, err)
	}
	return config
}

func provision(t *testing.T, b block, config []byte) {
	t.Helper()
	if config == nil {
		return // adapting has failed
	}
	var c caddy.Config
	if err := caddy.StrictUnmarshalJSON(config, &c); err != nil {
		t.Errorf("%s:%d: reading the configuration: %v", b.page, b.line, err)
		return
	}
	if err := caddy.Validate(&c); err != nil {
		t.Errorf("%s:%d: provisioning: %v", b.page, b.line, err)
	}
}

// checkJSON provisions configurations; a running Caddy takes the other kinds in
// TestDocCommands.
func checkJSON(t *testing.T, b block) {
	t.Helper()
	if !json.Valid([]byte(b.text)) {
		t.Errorf("%s:%d: this is not JSON", b.page, b.line)
	}
	switch b.json {
	case "config":
		provision(t, b, []byte(b.text))
	case "popup", "prompt", "results":
	default:
		t.Errorf("%s:%d: %q is not a kind of JSON that is checked; write it like: <!-- json: popup -->", b.page, b.line, b.json)
	}
}

// TestDeployCaddyfiles: the Caddyfiles for a service and a container are provisioned.
func TestDeployCaddyfiles(t *testing.T) {
	t.Setenv("CONTACT", "mailto:ops@example.com")
	files, err := filepath.Glob("../examples/deploy/*/Caddyfile")
	if err != nil || len(files) != 2 {
		t.Fatalf("found %q, %v", files, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b := block{page: file, text: string(raw)}
		provision(t, b, adaptBlock(t, b))
		if got := caddyfile.Format(raw); string(got) != string(raw) {
			t.Errorf("%s is not as caddy fmt writes it", file)
		}
	}
}

// TestDocOptions: the block of all options, and the tables, contain each option.
func TestDocOptions(t *testing.T) {
	const page = "caddymodule/README.md"
	text := docText(t, page)
	var used string
	for _, b := range docBlocks(t, page) {
		if b.lang == "caddyfile" {
			used += b.text
		}
	}
	options := caddymodule.OptionNames()
	if len(options) < 35 {
		t.Fatalf("options: %q", options)
	}
	for _, name := range options {
		row := regexp.MustCompile("(?m)^\\|[^|]*`" + name + "(?: [a-z]+)?`[^|]*\\|")
		if !row.MatchString(text) {
			t.Errorf("%s: no row of a table has the option %s", page, name)
		}
		line := regexp.MustCompile(`(?m)^\s+` + name + `( |$)`)
		if name != "dialer" && name != "retire" && !line.MatchString(used) {
			t.Errorf("%s: no Caddyfile has the option %s", page, name)
		}
	}
}

// TestDocRoutes: the reference of the API contains each of its routes, and no others.
func TestDocRoutes(t *testing.T) {
	const page = "pushsvc/api/README.md"
	listed := map[string]bool{}
	row := regexp.MustCompile("(?m)^\\| ([A-Z, ]+) \\| `(/webpush/[^`]+)` \\|")
	for _, m := range row.FindAllStringSubmatch(docText(t, page), -1) {
		for method := range strings.SplitSeq(m[1], ", ") {
			listed[method+" "+m[2]] = true
		}
	}
	for _, r := range api.Routes {
		if !listed[r.Method+" "+r.Path] {
			t.Errorf("%s lacks %s %s", page, r.Method, r.Path)
		}
		delete(listed, r.Method+" "+r.Path)
	}
	for name := range listed {
		t.Errorf("%s has %s, which the API has not", page, name)
	}
}

// TestDocMetrics: the reference contains each metric.
func TestDocMetrics(t *testing.T) {
	source, err := os.ReadFile("metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`(?:Name: |desc\()"([a-z_]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(names) < 10 {
		t.Fatalf("metrics found: %q", names)
	}
	text := docText(t, "caddymodule/README.md")
	for _, m := range names {
		if !regexp.MustCompile("`caddy_webpush_" + m[1] + "[`{]").MatchString(text) {
			t.Errorf("the reference lacks caddy_webpush_%s", m[1])
		}
	}
}

var (
	docLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	docHeading = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	fenced     = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	notInSlug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// slugs returns the anchors that GitHub makes from a page's headings.
func slugs(text string) map[string]bool {
	all := map[string]bool{}
	for _, m := range docHeading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		s := notInSlug.ReplaceAllString(strings.ToLower(m[1]), "")
		all[strings.ReplaceAll(s, " ", "-")] = true
	}
	return all
}

// TestDocLinks: links between pages lead to files and headings that exist.
func TestDocLinks(t *testing.T) {
	links := 0
	for _, page := range docPages(t) {
		for _, m := range docLink.FindAllStringSubmatch(fenced.ReplaceAllString(docText(t, page), ""), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			links++
			path, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if path != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(page), path))
			}
			if _, err := os.Stat(filepath.Join("..", target)); err != nil {
				t.Errorf("%s: the link %s leads nowhere", page, m[1])
			} else if anchor != "" && !slugs(docText(t, target))[anchor] {
				t.Errorf("%s: the link %s leads to no heading", page, m[1])
			}
		}
	}
	if links < 100 {
		t.Errorf("%d links found", links)
	}
}

// TestDocSizes: the README is short, references can be searched, and each page is linked: from the
// README, and with its own table of contents.
func TestDocSizes(t *testing.T) {
	readme := docText(t, "README.md")
	limits := map[string]int{
		"README.md": 10_000, "caddymodule/README.md": 20_000, "pushsvc/api/README.md": 20_000, "pushsvc/web/README.md": 20_000,
	}
	for _, page := range docPages(t) {
		chapter := strings.HasPrefix(page, ".github/docs/")
		limit, reference := limits[page]
		if !chapter && !reference {
			continue
		}
		text := docText(t, page)
		if chapter {
			limit = 20_000
		}
		if len(text) > limit {
			t.Errorf("%s has %d bytes, more than %d", page, len(text), limit)
		}
		if page == "README.md" {
			continue
		}
		if !strings.Contains(readme, "("+page+")") {
			t.Errorf("the README has no link to %s", page)
		}
		_, contents, _ := strings.Cut(text, "\n## Contents\n")
		contents, _, _ = strings.Cut(contents, "\n## ")
		for _, m := range regexp.MustCompile(`(?m)^## (.+)$`).FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
			anchor := slices.Collect(maps.Keys(slugs("## " + m[1])))[0]
			if m[1] != "Contents" && !strings.Contains(contents, "(#"+anchor+")") {
				t.Errorf("%s: the contents lack %q", page, m[1])
			}
		}
	}
}

// TestDocScriptSizes: the README has the sizes of the script and the worker, as gzip serves them.
func TestDocScriptSizes(t *testing.T) {
	m := regexp.MustCompile(`The script has (\d+) kB, the worker (\d+) kB \(gzip\)`).FindStringSubmatch(docText(t, "README.md"))
	if m == nil {
		t.Fatal("the README does not have the sizes")
	}
	for i, name := range []string{"sdk.js", "sw.js"} {
		source, err := os.ReadFile(filepath.Join("..", "pushsvc", "web", "dist", name))
		if err != nil {
			t.Fatal(err)
		}
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(source); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		if kilobytes := fmt.Sprint((packed.Len() + 500) / 1000); kilobytes != m[i+1] {
			t.Errorf("%s has %d bytes, so %s kB, and the README says %s", name, packed.Len(), kilobytes, m[i+1])
		}
	}
}

var (
	goTest    = regexp.MustCompile(`(?m)go test .*$`)
	testNames = regexp.MustCompile(`-run '?([A-Za-z]+)`)
	testPaths = regexp.MustCompile(`\./([a-z0-9/]+)`)
)

// TestContributing: the tests that CONTRIBUTING.md runs exist in the packages that it names.
func TestContributing(t *testing.T) {
	lines := goTest.FindAllString(docText(t, ".github/CONTRIBUTING.md"), -1)
	if len(lines) < 5 {
		t.Fatalf("found %q", lines)
	}
	for _, line := range lines {
		folder := testPaths.FindStringSubmatch(line)
		if folder == nil {
			t.Errorf("%s: no package", line)
			continue
		}
		name := testNames.FindStringSubmatch(line)
		files, err := filepath.Glob(filepath.Join("..", folder[1], "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Errorf("%s: the package has no tests: %v", line, err)
		}
		if name != nil && !slices.ContainsFunc(files, func(file string) bool {
			raw, err := os.ReadFile(file)
			return err == nil && strings.Contains(string(raw), "\nfunc "+name[1])
		}) {
			t.Errorf("%s: the package has no test of that name", line)
		}
	}
}

// TestWorkflow: CI runs the one list of checks, and its actions are pinned.
func TestWorkflow(t *testing.T) {
	raw, err := os.ReadFile("../.github/workflows/check.yml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), "run: .tools/check\n") {
		t.Error("the workflow does not run .tools/check")
	}
	uses := regexp.MustCompile(`uses: (\S+)`).FindAllStringSubmatch(string(raw), -1)
	for _, m := range uses {
		if !regexp.MustCompile(`@[0-9a-f]{40}$`).MatchString(m[1]) {
			t.Errorf("%s is not pinned to a commit", m[1])
		}
	}
	if len(uses) == 0 {
		t.Error("no action found")
	}
}

// TestServiceUnit: systemd accepts the unit, if this machine has systemd.
func TestServiceUnit(t *testing.T) {
	verify, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	raw, err := os.ReadFile("../examples/deploy/systemd/caddy-webpush.service")
	if err != nil {
		t.Fatal(err)
	}
	// systemd-analyze requires the program to exist.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "caddy-webpush.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(raw), "/usr/local/bin/caddy", self)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(verify, "verify", unit).CombinedOutput(); err != nil || strings.Contains(string(out), "caddy-webpush.service:") {
		t.Errorf("%v\n%s", err, out)
	}
}
