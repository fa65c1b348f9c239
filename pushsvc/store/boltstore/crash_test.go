package boltstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// childEnv makes this test binary a child that runs one job on the store at a
// path: "<job> <path> <argument>".
const childEnv = "BOLTSTORE_TEST_CHILD"

// jobs are a child's jobs; each gets a path and an argument.
var jobs = map[string]func(path, argument string) error{
	"subscribe": subscribeForever,
	"hold":      holdLock,
	"move":      moveJob,
}

func TestMain(m *testing.M) {
	job := strings.Fields(os.Getenv(childEnv))
	if len(job) != 3 {
		os.Exit(m.Run())
	}
	err := jobs[job[0]](job[1], job[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child prepares this test binary to run the job.
func child(t *testing.T, job, path, argument string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+job+" "+path+" "+argument)
	return cmd
}

// subscribeForever subscribes with eight goroutines, with endpoints that begin
// with first, and prints the id and endpoint of each acknowledged one.
func subscribeForever(path, first string) error {
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		return err
	}
	return subscribe(s, first)
}

func subscribe(s *Store, first string) error {
	from, err := strconv.Atoi(first)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	fmt.Println("ready")
	for g := range 8 {
		wg.Go(func() {
			for n := from + g; ; n += 8 {
				row, err := s.PutSubscription(context.Background(), realistic(n), nil)
				mu.Lock()
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
				}
				fmt.Println(row.ID, row.Endpoint)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return nil
}

// moments returns the number of kills: from the environment, or a few for a
// normal run.
func moments(t *testing.T, few int) int {
	t.Helper()
	text := os.Getenv("BOLTSTORE_TEST_MOMENTS")
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// note records an acknowledgement printed by a child; the last line may be cut
// off.
func note(acked map[string]string, line string) {
	id, endpoint, complete := strings.Cut(line, " ")
	if complete && len(endpoint) == len(realistic(0).Endpoint) {
		acked[endpoint] = id
	}
}

// TestKill kills a process while it subscribes, again and again, and checks that
// everything acknowledged is stored.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	acked := map[string]string{} // id by endpoint
	for round := 0; round < moments(t, 20) || len(acked) < 100 && round < 500; round++ {
		cmd := child(t, "subscribe", path, strconv.Itoa(round*1_000_000))
		for _, line := range killed(t, cmd, time.Duration(rand.IntN(60_000))*time.Microsecond) {
			note(acked, line)
		}
		checkAcked(t, path, acked)
	}
	if len(acked) < 100 {
		t.Errorf("only %d subscriptions were acknowledged in all rounds: the test tests nothing", len(acked))
	}
	t.Logf("%d acknowledged, none lost", len(acked))
}

// killed starts a child, kills it some time after it is ready, and returns the
// lines that it printed since.
func killed(t *testing.T, cmd *exec.Cmd, after time.Duration) (printed []string) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the child did not start: %q", lines.Text())
	}
	kill := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	for lines.Scan() {
		printed = append(printed, lines.Text())
	}
	_ = cmd.Wait()
	kill.Stop()
	return printed
}

func checkAcked(t *testing.T, path string, acked map[string]string) {
	t.Helper()
	s := open(t, path)
	defer s.Close()
	have := map[string]string{}
	page, err := s.SubscriptionPage(t.Context(), realistic(0).Site, 0, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	byEndpoint := map[string]pushsvc.Subscription{}
	for _, row := range page {
		have[row.Endpoint] = fmt.Sprint(row.ID)
		byEndpoint[row.Endpoint] = row
	}
	again := 20 // number of browsers that subscribe again
	for endpoint, id := range acked {
		if have[endpoint] != id {
			t.Errorf("subscription %s was acknowledged and is gone", id)
		}
		if again--; again > 0 {
			sub := byEndpoint[endpoint]
			if row, err := s.PutSubscription(t.Context(), sub, nil); err != nil || fmt.Sprint(row.ID) != id {
				t.Errorf("subscription %s comes again and gets id %d, %v", id, row.ID, err)
			}
		}
	}
	if len(acked) == 0 {
		return
	}
	sum, err := s.Site(t.Context(), realistic(0).Site)
	if err != nil || sum.Subscriptions != int64(len(have)) {
		t.Errorf("the site counts %d, %v; it has %d", sum.Subscriptions, err, len(have))
	}
}

// TestReopen finds everything after a restart.
func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "webpush.db")
	s := open(t, path)
	for _, c := range []struct {
		path string
		mode os.FileMode
	}{{path, 0o600}, {filepath.Dir(path), 0o700}, {filepath.Dir(filepath.Dir(path)), 0o700}} {
		if info, err := os.Stat(c.path); err != nil || info.Mode().Perm() != c.mode {
			t.Errorf("%s: mode %v, %v; want %v", filepath.Base(c.path), info.Mode(), err, c.mode)
		}
	}
	ctx := t.Context()
	sub, err := s.PutSubscription(ctx, realistic(1), nil)
	if err != nil {
		t.Fatal(err)
	}
	message := pushsvc.Message{ID: "01935a00", Site: sub.Site, Created: sub.Created}
	if _, _, err := s.CreateMessage(ctx, message, pushsvc.Idempotency{Key: "k", Expires: sub.Created.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	receipts := []pushsvc.Receipt{{Subscription: sub.ID, Kind: pushsvc.ReceiptShown}}
	if n, err := s.AddReceipts(ctx, sub.Site, message.ID, receipts); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	key, err := s.ImportKey(ctx, pushsvc.Key{ID: "id", Public: "public", Private: "private"}, true)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := s.Secret(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open(t, path)
	if page, err := s.SubscriptionPage(ctx, sub.Site, 0, 10); err != nil || len(page) != 1 || !reflect.DeepEqual(page[0], sub) {
		t.Errorf("subscriptions: %d, %v", len(page), err)
	}
	if m, created, err := s.CreateMessage(ctx, message, pushsvc.Idempotency{Key: "k"}); err != nil || created || m.Progress.Shown != 1 {
		t.Errorf("message: created %v, %+v, %v", created, m.Progress, err)
	}
	if n, err := s.AddReceipts(ctx, sub.Site, message.ID, receipts); n != 0 || err != nil {
		t.Errorf("receipts: %d new, %v", n, err)
	}
	if got, err := s.EnsureKey(ctx, nil); err != nil || got != key {
		t.Errorf("key: %v, %v", got, err)
	}
	if got, err := s.Secret(ctx); err != nil || string(got) != string(secret) {
		t.Errorf("secret: %v", err)
	}
	if next, err := s.PutSubscription(ctx, realistic(2), nil); err != nil || next.ID <= sub.ID {
		t.Errorf("next id %d after %d, %v", next.ID, sub.ID, err)
	}
}

// TestCreateRace opens one new path many times at once: the process that gets the
// lock must not lose the data of an earlier one.
func TestCreateRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	const n = 8
	errs := make(chan error, n)
	for i := range n {
		go func() {
			s, err := Open(context.Background(), path, Options{Timeout: 30 * time.Second})
			if err != nil {
				errs <- err
				return
			}
			_, err = s.PutSubscription(context.Background(), realistic(i), nil)
			errs <- errors.Join(err, s.Close())
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, path)
	if page, err := s.SubscriptionPage(t.Context(), realistic(0).Site, 0, 100); err != nil || len(page) != n {
		t.Errorf("%d of %d are there, %v", len(page), n, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) != 0 {
		t.Errorf("files are left over: %v", left)
	}
}

func holdLock(path, _ string) error {
	if _, err := Open(context.Background(), path, Options{}); err != nil {
		return err
	}
	fmt.Println("ready")
	_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent closes it
	return nil
}

func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	cmd := child(t, "hold", path, "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func() (*Store, error){
		"timeout": func() (*Store, error) {
			return Open(context.Background(), path, Options{Timeout: 100 * time.Millisecond})
		},
		"deadline": func() (*Store, error) {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			return Open(ctx, path, Options{})
		},
	} {
		start := time.Now()
		_, err := try()
		if err == nil || !strings.Contains(err.Error(), "locked by another process; another Caddy running? use 'caddy reload'") {
			t.Errorf("%s: error %v", name, err)
		}
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("%s: took %v", name, d)
		}
	}
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	open(t, path) // the kernel released the lock with the process
}
