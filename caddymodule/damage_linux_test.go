package caddymodule_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore"
)

// damageEnv sets the number of trials of live damage.
const damageEnv = "WEBPUSH_TEST_DAMAGE"

// Limits of a trial. A Caddy without damage takes about 60 MB of memory besides the file; the
// process gets no more than 1.5 GB, to protect the machine.
const (
	memoryLimit = 400 << 20
	answerLimit = 15 * time.Second
	dataLimit   = 1_500_000 // kB
)

// TestLiveDamage flips one bit of a header field of the open file, page headers,
// rows' headers, buckets' and the list of free pages, and then uses everything.
// Pages are served all the time, calls are answered or refused, memory is
// bounded, and SIGTERM ends the process.
func TestLiveDamage(t *testing.T) {
	trials := 40
	if testing.Short() {
		trials = 6
	}
	if n, err := strconv.Atoi(os.Getenv(damageEnv)); err == nil {
		trials = n
	}
	bin, err := caddytest.Build()
	if err != nil {
		t.Fatal(err)
	}
	limited := filepath.Join(t.TempDir(), "caddy")
	script := fmt.Sprintf("#!/bin/sh\nulimit -d %d\nexec %q \"$@\"\n", dataLimit, bin)
	if err := os.WriteFile(limited, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	store := seededStore(t)
	var sum damageSum
	t.Run("trials", func(t *testing.T) {
		slots := make(chan struct{}, 3)
		for n := range trials {
			t.Run(strconv.Itoa(n), func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				damageTrial(t, n, limited, store, &sum)
			})
		}
	})
	t.Logf("%d trials, %d kinds of fields: %d pages served of %d; %d calls done, %d refused; most memory %d MB, slowest answer %v, slowest end %v",
		trials, len(sum.kinds), sum.served, sum.pages, sum.done, sum.refused, sum.memory>>20, sum.slowest.Round(time.Millisecond), sum.ended.Round(time.Millisecond))
	if sum.refused == 0 || sum.done == 0 {
		t.Error("no call was refused, or none done: the test tests nothing")
	}
}

// damageSum is the sum of all trials' results.
type damageSum struct {
	sync.Mutex
	pages, served, done, refused, memory int64
	slowest, ended                       time.Duration
	kinds                                map[string]bool
}

// seededStore makes a store of two sites, the larger of which has branches.
func seededStore(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "webpush.db")
	s, err := boltstore.Open(t.Context(), path, boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	key, err := s.EnsureKey(t.Context(), func() (pushsvc.Key, error) { return service.NewKey(time.Now()) })
	if err != nil {
		t.Fatal(err)
	}
	for _, site := range []string{"seed.example", "other.example"} {
		var all []pushsvc.Subscription
		for n := range 3000 {
			sub := pushsvc.Subscription{Site: site, Endpoint: fmt.Sprintf("https://push.webpush.test/%s/%d", site, n), KeyID: key.ID, Created: time.Unix(1.8e9, 0)}
			sub.P256DH[0], sub.Language = 4, "de"
			all = append(all, sub)
		}
		if site == "other.example" {
			all = all[:5]
		}
		for i := 0; i < len(all); i += 250 { // several commits, so that pages get free
			var wg sync.WaitGroup
			for _, sub := range all[i:min(i+250, len(all))] {
				wg.Go(func() {
					if _, err := s.PutSubscription(context.Background(), sub, nil); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		for n := range 5 {
			m := pushsvc.Message{ID: fmt.Sprintf("01935a00-0001-7000-8000-0000000%05d", n), Site: site, Content: pushsvc.Content{Title: "Title"}}
			if _, _, err := s.CreateMessage(t.Context(), m, pushsvc.Idempotency{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func damageTrial(t *testing.T, n int, bin string, store []byte, sum *damageSum) {
	p := newProcess(t, "", t.TempDir())
	p.Bin = bin
	path := filepath.Join(p.Dir, "caddy", "webpush", "webpush.db")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, store, 0o600); err != nil {
		t.Fatal(err)
	}
	p.Start()
	for i := range 3 {
		if resp, body := p.Subscribe(p.Host(), caddytest.Subscription(t, fmt.Sprintf("https://push.webpush.test/known/%d", i))); resp.StatusCode != 201 {
			t.Fatalf("subscribing: %d %s", resp.StatusCode, body)
		}
	}

	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var pages, served, memory atomic.Int64
	wg.Go(func() {
		for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
			memory.Store(max(memory.Load(), anonymous(p.Cmd.Process.Pid)))
		}
	})
	wg.Go(func() {
		for ; ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
			pages.Add(1)
			resp, body, err := p.Try(http.MethodGet, p.Host(), "/offers.html", caddytest.Navigation, "")
			if err == nil && resp.StatusCode == 200 && strings.Contains(body, "</html>") {
				served.Add(1)
			} else {
				t.Logf("a page: %v, %.100q", err, body)
			}
		}
	})

	r := rand.New(rand.NewPCG(10, uint64(n)))
	kind := damageOpen(t, r, n, path)
	done, refused, slowest := useEverything(t, p, kind)
	stop()
	wg.Wait()

	begun := time.Now()
	_ = p.Cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(2*answerLimit, func() { t.Errorf("%s: SIGTERM does not end it", kind); _ = p.Cmd.Process.Kill() })
	err := p.Cmd.Wait()
	late.Stop()
	if err != nil {
		t.Errorf("%s: it ended with %v", kind, err)
	}
	if pages.Load() != served.Load() {
		t.Errorf("%s: %d of %d pages were served", kind, served.Load(), pages.Load())
	}
	if memory.Load() > memoryLimit {
		t.Errorf("%s: it took %d MB", kind, memory.Load()>>20)
	}
	if t.Failed() {
		log := p.Log.String()
		t.Logf("the log ends with:\n%s", log[max(0, len(log)-3000):])
	}
	sum.Lock()
	defer sum.Unlock()
	if sum.kinds == nil {
		sum.kinds = map[string]bool{}
	}
	sum.kinds[strings.SplitN(kind, ",", 2)[0]] = true
	sum.pages, sum.served, sum.done, sum.refused = sum.pages+pages.Load(), sum.served+served.Load(), sum.done+done, sum.refused+refused
	sum.memory, sum.slowest, sum.ended = max(sum.memory, memory.Load()), max(sum.slowest, slowest), max(sum.ended, time.Since(begun))
}

// anonymous returns the bytes of a process's memory that maps no file.
func anonymous(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, value, _ := strings.Cut(string(status), "RssAnon:")
	kb, _ := strconv.ParseInt(strings.Fields(value + " 0")[0], 10, 64)
	return kb << 10
}

// useEverything makes each kind of call. Any answer is allowed, but it must come.
func useEverything(t *testing.T, p *process, kind string) (done, refused int64, slowest time.Duration) {
	client := http.Client{Timeout: answerLimit}
	call := func(method, url, body string, public bool) {
		req, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if public {
			req.Host = p.Host()
			req.Header.Set("Sec-Fetch-Site", "same-origin")
		}
		begun := time.Now()
		resp, err := client.Do(req)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		slowest = max(slowest, time.Since(begun))
		switch {
		case resp == nil:
			t.Errorf("%s: %s %s: %v", kind, method, req.URL.Path, err)
		case err != nil, resp.StatusCode >= 500:
			refused++
		case resp.StatusCode < 300:
			done++
		default: // the requested row may be lost with the page
			refused++
		}
	}
	admin := fmt.Sprintf("http://localhost:%d/webpush", p.Admin)
	for i := range 3 {
		call(http.MethodPost, p.URL+"/_webpush/subscribe", caddytest.Subscription(t, fmt.Sprintf("https://push.webpush.test/new/%d", i)), true)
		call(http.MethodPost, p.URL+"/_webpush/subscribe", caddytest.Subscription(t, fmt.Sprintf("https://push.webpush.test/known/%d", i)), true)
		call(http.MethodPost, p.URL+"/_webpush/unsubscribe", `{"endpoint":"https://push.webpush.test/known/0"}`, true)
		call(http.MethodPost, p.URL+"/_webpush/events", fmt.Sprintf(`{"batch":"%sA","session":"%sA","sent":1800000000000,"events":[{"type":"event","name":"Viewed","time":1800000000000}]}`, strings.Repeat(strconv.Itoa(i), 21), strings.Repeat("s", 21)), true)
		for _, site := range []string{"seed.example", "other.example"} {
			for _, path := range []string{"", "/subscriptions?limit=1000", "/subscriptions?limit=1000&after=2900", "/messages", "/messages/01935a00-0001-7000-8000-000000000003", "/profiles", "/events"} {
				call(http.MethodGet, admin+"/sites/"+site+path, "", false)
			}
			call(http.MethodPost, admin+"/sites/"+site+"/messages", `{"title":"x","ttl":1}`, false)
			for id := 1 + i; id < 3000; id += 700 {
				call(http.MethodDelete, fmt.Sprintf("%s/sites/%s/subscriptions/%d", admin, site, id), "", false)
			}
		}
		call(http.MethodGet, admin+"/sites", "", false)
		if i == 1 {
			call(http.MethodGet, admin+"/backup", "", false)
			call(http.MethodPost, admin+"/compact", "", false)
		}
	}
	return done, refused, slowest
}

// field is a number in the file.
type field struct {
	at   int64
	size int
}

// damageOpen flips a bit of the open file and returns the field's name.
func damageOpen(t *testing.T, r *rand.Rand, n int, path string) string {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	fields := liveFields(data)
	names := slices.Sorted(func(yield func(string) bool) {
		for k := range fields {
			if !yield(k) {
				return
			}
		}
	})
	// First the cases that were found once; then every field in turn.
	known := []struct {
		name string
		bit  int
	}{
		{"list overflow", 31},
		{"top leaf overflow", 30},
		{"list overflow", 24},
		{"top leaf overflow", 24},
		{"leaf overflow", 31},
		{"branch overflow", 20},
		{"leaf row value", 31},
		{"leaf row value", 28},
		{"list count", 15},
		{"branch row child", 1},
	}
	name, bit := "", 0
	if n < len(known) {
		name, bit = known[n].name, known[n].bit
	} else {
		name = names[(n-len(known))%len(names)]
	}
	candidates := fields[name]
	if len(candidates) == 0 {
		t.Fatalf("the file has no %q, only %q", name, names)
	}
	field := candidates[r.IntN(len(candidates))]
	if n >= len(known) {
		bit = r.IntN(8 * field.size)
	}
	at := field.at + int64(bit/8) // little-endian, as on all supported machines
	if _, err := f.WriteAt([]byte{data[at] ^ 1<<(bit%8)}, at); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s, bit %d at %d", name, bit, field.at)
}

// liveFields returns the header fields of all pages in use, by name.
func liveFields(data []byte) map[string][]field {
	out := map[string][]field{}
	u64 := func(at int64) int64 { return int64(binary.NativeEndian.Uint64(data[at:])) }
	u32 := func(at int64) int64 { return int64(binary.NativeEndian.Uint32(data[at:])) }
	u16 := func(at int64) int64 { return int64(binary.NativeEndian.Uint16(data[at:])) }
	add := func(kind string, at int64, parts ...any) {
		for i := 0; i < len(parts); i += 2 {
			name, size := kind+" "+parts[i].(string), parts[i+1].(int)
			out[name] = append(out[name], field{at, size})
			at += int64(size)
		}
	}
	meta := int64(-1)
	for i := range int64(2) {
		at := i*4096 + 16
		sum := fnv.New64a()
		_, _ = sum.Write(data[at : at+56])
		if uint64(u64(at+56)) == sum.Sum64() && (meta < 0 || u64(at+48) > u64(meta+48)) {
			meta = at
		}
	}
	add("meta", meta, "magic", 4, "version", 4, "page size", 4, "flags", 4, "root", 8, "sequence", 8, "list", 8, "pages", 8, "transaction", 8, "checksum", 8)
	list := u64(meta+32) * 4096
	add("list", list, "id", 8, "flags", 2, "count", 2, "overflow", 4, "entry", 8)
	var tree func(at int64, kind string)
	var rows func(at int64, kind string)
	rows = func(at int64, kind string) {
		leaf := u16(at+8) == 2
		for i := range u16(at + 10) {
			e := at + 16 + 16*i
			if !leaf {
				add(kind+" row", e, "offset", 4, "key", 4, "child", 8)
				tree(u64(e+8)*4096, "")
				continue
			}
			add(kind+" row", e, "kind", 4, "offset", 4, "key", 4, "value", 4)
			if u32(e)&1 == 0 {
				continue
			}
			bucket := e + u32(e+4) + u32(e+8)
			add("bucket", bucket, "root", 8, "sequence", 8)
			if u64(bucket) != 0 {
				tree(u64(bucket)*4096, "")
				continue
			}
			add("small", bucket+16, "id", 8, "flags", 2, "count", 2, "overflow", 4)
			rows(bucket+16, "small")
		}
	}
	tree = func(at int64, kind string) {
		if u16(at+8) == 2 {
			kind += "leaf"
		} else {
			kind += "branch"
		}
		add(kind, at, "id", 8, "flags", 2, "count", 2, "overflow", 4)
		rows(at, kind)
	}
	tree(u64(meta+16)*4096, "top ")
	return out
}
