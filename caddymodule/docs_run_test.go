package caddymodule_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"image"
	"image/png"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
)

// docSite answers for every host, so that each site that a page names exists.
const docSite = `http://:8080 {
	bind 127.0.0.1
	webpush {
		prompt {
			topics {
				news "Breaking news" checked
				deals "Deals of the week"
				sport "Sport"
			}
		}
	}
	header Content-Type "text/html; charset=utf-8"
	respond "<!doctype html><html><head><title>x</title></head><body>x</body></html>"
}
`

// reader follows a page's instructions: in a folder of their own, with a running Caddy,
// subscribers, a visitor who has logged in, and a push service that accepts.
type reader struct {
	*process
	folder string // where commands run, with the files that pages name
	env    []string
}

// docSites are the sites that pages name in commands.
var docSites = regexp.MustCompile(`--site (\S+)|sites (?:rename|merge) (\S+)|sites/([a-z.-]+)/`)

// newReader starts a Caddy for the blocks of one page.
func newReader(t *testing.T, page string, blocks []block) *reader {
	t.Helper()
	bin, err := caddytest.Build()
	if err != nil {
		t.Fatal(err)
	}
	p := newProcess(t, docSite, t.TempDir())
	p.SendTo(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
	}))
	r := &reader{process: p, folder: t.TempDir()}
	home := t.TempDir()
	// Answers of 4xx and 5xx are failures of the command.
	if err := os.WriteFile(filepath.Join(home, ".curlrc"), []byte("fail-with-body\nsilent\nshow-error\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home, "IDENTITY_SECRET=s3cret", "TERM=dumb",
		fmt.Sprintf("CADDY_ADMIN=localhost:%d", p.Admin), "PATH="+filepath.Dir(bin)+":"+os.Getenv("PATH"))
	p.Start()
	// A page of an example is read in the example's folder.
	if filepath.Dir(page) != "." && strings.HasPrefix(page, "examples/") {
		if err := os.CopyFS(r.folder, os.DirFS(filepath.Join("..", filepath.Dir(page)))); err != nil {
			t.Fatal(err)
		}
	}
	r.files(blocks)
	r.people(blocks)
	return r
}

// files makes the files that pages name: those that a block shows, and those that only an operator
// with subscribers, keys or pictures has.
func (r *reader) files(blocks []block) {
	r.T.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.T.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		r.T.Fatal(err)
	}
	var list, picture bytes.Buffer
	zip := gzip.NewWriter(&list)
	b64 := base64.RawURLEncoding.EncodeToString
	point, err := key.PublicKey.Bytes()
	if err != nil {
		r.T.Fatal(err)
	}
	fmt.Fprintf(zip, "endpoint,p256dh,auth\nhttps://push.webpush.test/imported,%s,%s\n", b64(point), b64(make([]byte, 16)))
	if err := zip.Close(); err != nil {
		r.T.Fatal(err)
	}
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		r.T.Fatal(err)
	}
	files := map[string][]byte{
		"vapid.pem":      pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}),
		"players.csv.gz": list.Bytes(),
		"sale.png":       picture.Bytes(),
	}
	for _, b := range blocks {
		if b.file != "" {
			files[b.file] = []byte(b.text)
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(r.folder, name), content, 0o600); err != nil {
			r.T.Fatal(err)
		}
	}
}

// people subscribes a browser to each site that the blocks name, and logs one in.
func (r *reader) people(blocks []block) {
	r.T.Helper()
	var sites []string
	for _, b := range blocks {
		for _, m := range docSites.FindAllStringSubmatch(r.here(b.text), -1) {
			sites = append(sites, m[1]+m[2]+m[3])
		}
	}
	slices.Sort(sites)
	for i, site := range slices.Compact(sites) {
		if resp, body := r.Subscribe(site, caddytest.Subscription(r.T, fmt.Sprintf("https://push.webpush.test/%d", i))); resp.StatusCode != http.StatusCreated {
			r.T.Fatalf("subscribing to %s: %d %s", site, resp.StatusCode, body)
		}
		resp, body := r.Request(http.MethodPost, site, "/_webpush/events", caddytest.Posting, fmt.Sprintf(
			`{"batch":"AAAAAAAAAAAAAAAAAAA%02dA","events":[{"type":"event","name":"Charged"},{"type":"login","identities":[{"kind":"email","value":"ann@example.com"}]}]}`, i))
		if resp.StatusCode != http.StatusNoContent {
			r.T.Fatalf("logging in at %s: %d %s", site, resp.StatusCode, body)
		}
	}
}

// here replaces the machine's names in the page by those of this machine.
func (r *reader) here(lines string) string {
	return strings.NewReplacer(
		"go run ./caddymodule/cmd/caddy ", "caddy ", "go run ../../caddymodule/cmd/caddy ", "caddy ",
		"sudo -u caddy ", "", // the test's user is Caddy's
		"localhost:2019", fmt.Sprintf("localhost:%d", r.Admin), "localhost:8080", r.Host(), "localhost:8082", r.Host(),
		"https://shop.example.com/", "http://"+r.Host()+"/", "/var/lib/caddy-webpush/", r.Dir+"/", "/var/backups/", r.folder+"/",
	).Replace(lines)
}

// run runs lines in a shell.
func (r *reader) run(lines string) (string, error) {
	r.T.Helper()
	cmd := exec.CommandContext(r.T.Context(), "sh", "-e", "-c", r.here(lines))
	cmd.Dir, cmd.Env = r.folder, r.env
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestDocCommands runs the commands of each page in their order against a Caddy, and sends it the
// page's pop-ups and settings. Everything must succeed.
func TestDocCommands(t *testing.T) {
	ran := 0
	for _, page := range docPages(t) {
		blocks := slices.DeleteFunc(docBlocks(t, page), func(b block) bool {
			return b.notRun != "" || b.lang != "sh" && b.outputOf == "" && b.json != "popup" && b.json != "prompt" && b.json != "results"
		})
		if len(blocks) == 0 {
			continue
		}
		t.Run(page, func(t *testing.T) {
			r := newReader(t, page, blocks)
			for _, b := range blocks {
				ran++
				switch {
				case b.stopped:
					// Messages that have not ended when a store is restored are held.
					r.OK("send", "--site", "shop.example.com", "--title", "Later", "--at", "+1h")
					if out, err := r.run("caddy webpush backup --force webpush.backup"); err != nil {
						t.Fatalf("%v\n%s", err, out)
					}
					r.Terminate()
					r.runs(b)
					r.Start()
				case b.lang == "sh":
					r.runs(b)
				case b.outputOf != "":
					r.prints(b)
				default:
					r.takes(b)
				}
			}
		})
	}
	if ran < 25 {
		t.Errorf("%d blocks ran", ran)
	}
}

// runs runs a block's commands, which must succeed.
func (r *reader) runs(b block) {
	r.T.Helper()
	if out, err := r.run(b.text); err != nil {
		r.T.Errorf("%s:%d: %v\n%s\n%s", b.page, b.line, err, b.text, out)
	}
}

// prints runs a block's command, which must print the block's first line.
func (r *reader) prints(b block) {
	r.T.Helper()
	out, err := r.run(b.outputOf)
	first, _, _ := strings.Cut(b.text, "\n")
	want := strings.Join(strings.Fields(first), " ")
	for line := range strings.Lines(out) {
		if strings.Join(strings.Fields(line), " ") == want {
			return
		}
	}
	r.T.Errorf("%s:%d: %v: %s printed\n%s\nand not the line %q", b.page, b.line, err, b.outputOf, out, want)
}

// takes sends JSON to the API, which refuses unknown members; the API's answer is compared with its
// members.
func (r *reader) takes(b block) {
	r.T.Helper()
	send := func(method, path, body string) string {
		req, err := http.NewRequestWithContext(r.T.Context(), method, fmt.Sprintf("http://localhost:%d/webpush/sites/shop.example.com%s", r.Admin, path), strings.NewReader(body))
		if err != nil {
			r.T.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			r.T.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode >= 300 {
			r.T.Errorf("%s:%d: %s %s: %d %s, %v", b.page, b.line, method, path, resp.StatusCode, answer, err)
		}
		return string(answer)
	}
	switch b.json {
	case "popup":
		send(http.MethodPost, "/popups", b.text)
	case "prompt":
		send(http.MethodPut, "/prompt", b.text)
	case "results":
		var shown map[string]json.RawMessage
		var list struct {
			Messages []struct {
				Results map[string]json.RawMessage `json:"results"`
			} `json:"messages"`
		}
		if err := json.Unmarshal([]byte(b.text), &shown); err != nil {
			r.T.Fatal(err)
		}
		if err := json.Unmarshal([]byte(send(http.MethodGet, "/messages", "")), &list); err != nil || len(list.Messages) == 0 {
			r.T.Fatalf("%s:%d: no message was sent before: %v", b.page, b.line, err)
		}
		for name := range shown {
			if _, ok := list.Messages[0].Results[name]; !ok {
				r.T.Errorf("%s:%d: the results have no %q", b.page, b.line, name)
			}
		}
		for name := range list.Messages[0].Results {
			if _, ok := shown[name]; !ok {
				r.T.Errorf("%s:%d: the page lacks %q", b.page, b.line, name)
			}
		}
	}
}

var (
	inlineCommand = regexp.MustCompile("`(caddy webpush [^`]+)`")
	inlineFlag    = regexp.MustCompile(`--[a-z][a-z-]*`)
)

// TestDocInlineCommands: commands in the text and in tables exist, with their flags.
func TestDocInlineCommands(t *testing.T) {
	bin, err := caddytest.Build()
	if err != nil {
		t.Fatal(err)
	}
	help := map[string]string{}
	seen := 0
	for _, page := range docPages(t) {
		text := fenced.ReplaceAllString(docText(t, page), "")
		for _, m := range inlineCommand.FindAllStringSubmatch(text, -1) {
			words := strings.Fields(strings.NewReplacer("[", "", "]", "").Replace(m[1]))[2:]
			var paths []string
			for _, names := range alternatives(words) {
				path := strings.Join(names, " ")
				if _, ok := help[path]; !ok {
					out, err := exec.Command(bin, append(append([]string{"webpush"}, names...), "--help")...).CombinedOutput()
					if err != nil || !strings.Contains(string(out), "caddy webpush "+path+" ") {
						t.Errorf("%s: %s: there is no such command: %v\n%s", page, m[1], err, out)
					}
					help[path] = string(out)
				}
				paths = append(paths, path)
			}
			for _, flag := range inlineFlag.FindAllString(m[1], -1) {
				seen++
				if !slices.ContainsFunc(paths, func(p string) bool { return strings.Contains(help[p], " "+flag+" ") }) {
					t.Errorf("%s: %s has no flag %s", page, m[1], flag)
				}
			}
		}
	}
	if len(help) < 20 || seen < 20 {
		t.Errorf("%d commands and %d flags found", len(help), seen)
	}
}

// alternatives returns the names of the commands that words begin with; `pause\|resume` means both.
func alternatives(words []string) (all [][]string) {
	all = [][]string{nil}
	for _, word := range words {
		if !regexp.MustCompile(`^[a-z|\\]+$`).MatchString(word) {
			break
		}
		var next [][]string
		for _, name := range strings.Split(word, `\|`) {
			for _, before := range all {
				next = append(next, append(slices.Clone(before), name))
			}
		}
		all = next
	}
	return all
}
