package caddymodule_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
)

// freezable mounts a new ext4 file system. freeze blocks every write to it until
// thaw or the end of the test. It needs root and loop devices.
func freezable(t *testing.T) (dir string, freeze, thaw func()) {
	t.Helper()
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 128<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", image).CombinedOutput(); err != nil {
		t.Skipf("no disk to freeze here: mkfs.ext4: %v %s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
		t.Skipf("no disk to freeze here: mounting a loop device: %v %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	root, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	frozen := false
	ioctl := func(request uintptr) {
		t.Helper()
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, root.Fd(), request, 0); errno != 0 {
			t.Fatalf("freezing or thawing: %v", errno)
		}
	}
	freeze = func() { ioctl(0xc0045877); frozen = true } // FIFREEZE, _IOWR('X', 119, int)
	thaw = func() {
		if frozen {
			frozen = false
			ioctl(0xc0045878) // FITHAW, _IOWR('X', 120, int)
		}
	}
	t.Cleanup(func() { thaw(); _ = root.Close() })
	return dir, freeze, thaw
}

// newFrozenProcess makes a Caddy with its store, and only that, in dir.
func newFrozenProcess(t *testing.T, dir string) *process {
	t.Helper()
	p := newProcess(t, "", t.TempDir())
	raw, err := os.ReadFile(p.File)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(raw), "push_services default", fmt.Sprintf("storage bbolt %s\n\t\tpush_services default", filepath.Join(dir, "webpush.db")), 1)
	if err := os.WriteFile(p.File, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// operator sends a request to the admin endpoint and returns the answer and its
// time.
func (p *process) operator(method, path, body string) (status int, text string, took time.Duration) {
	req, err := http.NewRequest(method, fmt.Sprintf("http://localhost:%d%s", p.Admin, path), strings.NewReader(body))
	if err != nil {
		p.T.Error(err)
		return 0, "", 0
	}
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodPost && strings.Contains(path, "/subscriptions") {
		req.Header.Set("Content-Type", "application/x-ndjson")
	}
	start := time.Now()
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		return 0, err.Error(), time.Since(start)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer), time.Since(start)
}

func (p *process) goroutines() int {
	_, text, _ := p.operator(http.MethodGet, "/debug/pprof/goroutine?debug=1", "")
	_, total, _ := strings.Cut(text, "total ")
	line, _, _ := strings.Cut(total, "\n")
	n, _ := strconv.Atoi(line)
	return n
}

// TestFrozenDisk freezes the disk under a running server. Pages work, each post
// and each operator's call is answered in time, health turns red, a reload is not
// delayed. When the disk answers again, push works and everything acknowledged is
// stored.
func TestFrozenDisk(t *testing.T) {
	dir, freeze, thaw := freezable(t)
	p := newFrozenProcess(t, dir)
	p.Start()
	const acked = 5
	for n := range acked {
		if resp, body := p.Subscribe(p.Host(), caddytest.Subscription(t, fmt.Sprint("https://fcm.googleapis.com/fcm/send/acked", n))); resp.StatusCode != http.StatusCreated {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
	}
	before := p.goroutines()
	if status, text, _ := p.operator(http.MethodGet, "/webpush/health", ""); status != http.StatusOK {
		t.Fatalf("health: %d %s", status, text)
	}
	bodies := map[string]func(n int) string{
		"subscribe": func(n int) string {
			return caddytest.Subscription(t, fmt.Sprint("https://fcm.googleapis.com/fcm/send/frozen", n))
		},
		"unsubscribe": func(n int) string {
			return fmt.Sprintf(`{"endpoint":"https://fcm.googleapis.com/fcm/send/%d","keys":{"auth":"AAAAAAAAAAAAAAAAAAAAAA"}}`, n)
		},
		"events": func(n int) string {
			return fmt.Sprintf(`{"batch":"%021dA","session":"%021dA","sent":1,"events":[{"type":"event","name":"E"}]}`, n, n)
		},
	}
	freeze()

	var wg sync.WaitGroup
	var longest, refused atomic.Int64
	for action, body := range bodies {
		for n := range 333 {
			wg.Go(func() {
				text := body(n)
				start := time.Now()
				resp, answer, err := p.Try(http.MethodPost, p.Host(), "/_webpush/"+action, caddytest.Posting, text)
				took := time.Since(start)
				for old := longest.Load(); int64(took) > old && !longest.CompareAndSwap(old, int64(took)); old = longest.Load() {
				}
				switch {
				case err != nil:
					t.Errorf("%s: %v", action, err)
				case resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "":
					refused.Add(1)
				default:
					t.Errorf("%s: %d %s", action, resp.StatusCode, answer)
				}
			})
		}
	}
	pages := 0
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); pages++ {
		start := time.Now()
		if resp, body := p.Page(p.Host(), "/"); resp.StatusCode != http.StatusOK || !strings.Contains(body, "sdk.js") || time.Since(start) > 3*time.Second {
			t.Errorf("a page while the disk hangs: %d after %v", resp.StatusCode, time.Since(start))
		}
	}
	wg.Wait()
	t.Logf("%d pages; %d posts refused, the last after %v", pages, refused.Load(), time.Duration(longest.Load()).Truncate(time.Millisecond))
	if took := time.Duration(longest.Load()); took > 7*time.Second || refused.Load() < 990 || pages < 10 {
		t.Errorf("the last of 1,000 posts was answered after %v; %d were refused; %d pages", took, refused.Load(), pages)
	}
	start := time.Now()
	if resp, _ := p.Subscribe(p.Host(), bodies["subscribe"](9999)); resp.StatusCode != http.StatusServiceUnavailable || time.Since(start) > 2*time.Second {
		t.Errorf("a post to a disk that is known to hang: %d after %v", resp.StatusCode, time.Since(start))
	}
	if status, text, _ := p.operator(http.MethodGet, "/webpush/health", ""); status != http.StatusServiceUnavailable || !strings.Contains(text, "disk does not answer") {
		t.Errorf("health: %d %s", status, text)
	}
	if _, text, _ := p.operator(http.MethodGet, "/metrics", ""); !strings.Contains(text, "\ncaddy_webpush_store_healthy 0") {
		t.Error("the metrics don't say that the store is ill")
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if n := p.goroutines(); n <= before+100 {
			break
		} else if time.Now().After(deadline) {
			t.Errorf("%d goroutines, %d before", n, before)
			break
		}
	}

	sub := bodies["subscribe"](5000)
	for _, call := range []struct{ method, path, body string }{
		{"POST", "/webpush/sites/" + p.Host() + "/messages", `{"title":"x","body":"y"}`},
		{"POST", "/webpush/keys/rotate", `{}`},
		{"PUT", "/webpush/sites/" + p.Host() + "/prompt", `{"title":"x"}`},
		{"PUT", "/webpush/sites/" + p.Host() + "/popup-settings", `{}`},
		{"POST", "/webpush/sites/" + p.Host() + "/subscriptions?key=current", sub + "\n"},
		{"DELETE", "/webpush/sites/" + p.Host() + "/subscriptions/1", ""},
		{"POST", "/webpush/compact", ""},
		{"GET", "/webpush/backup", ""},
	} {
		wg.Go(func() {
			status, text, took := p.operator(call.method, call.path, call.body)
			t.Logf("%s %s: %d after %v: %s", call.method, call.path, status, took.Truncate(10*time.Millisecond), strings.TrimSpace(text))
			if status != http.StatusServiceUnavailable || !strings.Contains(text, "disk") || took > 20*time.Second {
				t.Errorf("%s %s: %d after %v: %s", call.method, call.path, status, took, text)
			}
		})
	}
	for path, want := range map[string]int{"/webpush/sites": 200, "/webpush/sites/" + p.Host(): 200, "/webpush/keys": 200} {
		if status, text, took := p.operator(http.MethodGet, path, ""); status != want || took > 3*time.Second {
			t.Errorf("GET %s: %d after %v: %s", path, status, took, text)
		}
	}
	start = time.Now()
	if out, err := p.Command("reload", "--config", p.File, "--address", fmt.Sprintf("localhost:%d", p.Admin), "--force").CombinedOutput(); err != nil || time.Since(start) > 40*time.Second {
		t.Errorf("a reload took %v: %v %s", time.Since(start), err, out)
	}
	t.Logf("a reload took %v", time.Since(start))
	if resp, body := p.Page(p.Host(), "/"); resp.StatusCode != http.StatusOK || !strings.Contains(body, "sdk.js") {
		t.Errorf("a page after the reload: %d", resp.StatusCode)
	}
	wg.Wait()

	thaw()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		resp, body := p.Subscribe(p.Host(), caddytest.Subscription(t, "https://fcm.googleapis.com/fcm/send/after"))
		if resp.StatusCode == http.StatusCreated {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after the thaw: %d %s", resp.StatusCode, body)
		}
	}
	if status, text, _ := p.operator(http.MethodGet, "/webpush/health", ""); status != http.StatusOK {
		t.Errorf("health after the thaw: %d %s", status, text)
	}
	p.Terminate()
	if got := caddytest.Stored(t, filepath.Join(dir, "webpush.db"), p.Host()); got < acked+1 {
		t.Errorf("%d stored, %d acknowledged", got, acked+1)
	}
	if log := p.Log.String(); !strings.Contains(log, "push does not work") || strings.Count(log, "\n") > 400 {
		t.Errorf("the log: %d lines\n%.3000s", strings.Count(log, "\n"), log)
	}
}

// TestFrozenStart: a server whose disk hangs from the start serves its sites, and
// has push when the disk answers.
func TestFrozenStart(t *testing.T) {
	dir, freeze, thaw := freezable(t)
	p := newFrozenProcess(t, dir)
	freeze()
	p.Cmd = p.Command("run", "--config", p.File)
	p.Cmd.Stdout, p.Cmd.Stderr = p.Log, p.Log
	if err := p.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { thaw(); _ = p.Cmd.Process.Kill(); _ = p.Cmd.Wait() })
	start := time.Now()
	for {
		if resp, _, err := p.Try(http.MethodGet, p.Host(), "/", caddytest.Navigation, ""); err == nil && resp.StatusCode == http.StatusOK {
			break
		}
		if time.Since(start) > 20*time.Second {
			t.Fatal("no page within 20 s")
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Logf("the first page after %v", time.Since(start))
	if resp, body := p.Subscribe(p.Host(), caddytest.Subscription(t, "https://fcm.googleapis.com/fcm/send/1")); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	thaw()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		resp, body := p.Subscribe(p.Host(), caddytest.Subscription(t, "https://fcm.googleapis.com/fcm/send/1"))
		if resp.StatusCode == http.StatusCreated {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after the thaw: %d %s", resp.StatusCode, body)
		}
	}
	p.Terminate()
}

// TestSlowPosts: a thousand clients post one byte per second to existing and
// unknown paths below the prefix. All are cut off, and pages are not delayed.
func TestSlowPosts(t *testing.T) {
	p := newProcess(t, "", t.TempDir())
	p.Start()
	paths := []string{"subscribe", "unsubscribe", "events", "messages", "sdk.js", "sw.js", "frame.html", "popup.js", "i/abc.png", "nothing", "a/b/c", ""}
	heads := []string{
		"Content-Length: 1000", "Transfer-Encoding: chunked", "Content-Length: 100000", "Content-Length: 1000\r\nSec-Fetch-Site: cross-site",
		"Content-Length: 1000\r\nContent-Encoding: gzip", "Content-Length: 1000\r\nExpect: 100-continue",
	}
	var wg sync.WaitGroup
	var slow, cut atomic.Int64
	for n := range 1000 {
		wg.Go(func() {
			c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p.Port))
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			path, head := paths[n%len(paths)], heads[n/len(paths)%len(heads)]
			start := time.Now()
			fmt.Fprintf(c, "POST /_webpush/%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n%s\r\n\r\n", path, p.Host(), head)
			go func() {
				drop := "x"
				if strings.Contains(head, "chunked") {
					drop = "1\r\nx\r\n"
				}
				for {
					time.Sleep(time.Second)
					if _, err := io.WriteString(c, drop); err != nil {
						return
					}
				}
			}()
			_ = c.SetReadDeadline(start.Add(20 * time.Second))
			_, err = io.Copy(io.Discard, bufio.NewReader(c))
			if took := time.Since(start); err != nil && strings.Contains(err.Error(), "timeout") {
				slow.Add(1)
				t.Errorf("POST %q with %q has no end after %v", path, head, took)
			} else if cut.Add(1); took > 8*time.Second { // some of it is this machine's
				t.Errorf("POST %q with %q was cut after %v", path, head, took)
			}
		})
	}
	time.Sleep(time.Second)
	for range 20 {
		start := time.Now()
		if resp, _ := p.Page(p.Host(), "/"); resp.StatusCode != http.StatusOK || time.Since(start) > 2*time.Second {
			t.Errorf("a page beside slow posts: %d after %v", resp.StatusCode, time.Since(start))
		}
		time.Sleep(50 * time.Millisecond)
	}
	wg.Wait()
	t.Logf("%d cut, %d not", cut.Load(), slow.Load())
	p.Terminate()
}
