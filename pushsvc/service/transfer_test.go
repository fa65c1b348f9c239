package service_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/transfer"
)

// fileLine is the n-th subscription of a file.
func fileLine(n int, key string) string {
	return fmt.Sprintf(`{"endpoint":"https://web.push.apple.com/Q%d","keys":{"p256dh":%q,"auth":%q},"applicationServerKey":%q}`+"\n", n, p256dh, auth, key)
}

func (f *fixture) importing(t *testing.T, text string, o service.ImportOptions) api.Imported {
	t.Helper()
	if o.Format == "" {
		o.Format = transfer.FormatAuto
	}
	got, err := f.Import(t.Context(), "A.example:443", strings.NewReader(text), o)
	if err != nil {
		t.Fatal(err)
	}
	if sum := got.Added + got.Known + got.Conflicting + got.Skipped + got.Refused; sum != got.Rows {
		t.Errorf("%d rows, but the sum is %d: %+v", got.Rows, sum, got)
	}
	return got
}

func (f *fixture) rows(t *testing.T) []pushsvc.Subscription {
	t.Helper()
	rows, err := f.Store.SubscriptionPage(t.Context(), "a.example", 0, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestImport: several batches, twice, with faults between.
func TestImport(t *testing.T) {
	f := newFixture(t)
	key := f.withKey(t)
	const n = 2500
	var text strings.Builder
	for i := range n {
		text.WriteString(fileLine(i, key.Public))
		if i == 1200 {
			text.WriteString("this is no JSON\n")
		}
	}
	first := f.importing(t, text.String(), service.ImportOptions{})
	if first.Rows != n+1 || first.Added != n || first.Refused != 1 || first.Faults[0].Line != 1202 || first.Format != transfer.FormatWebPush {
		t.Errorf("%+v", first)
	}
	if again := f.importing(t, text.String(), service.ImportOptions{}); again.Known != n || again.Added != 0 || again.Refused != 1 {
		t.Errorf("again: %+v", again)
	}
	rows := f.rows(t)
	if len(rows) != n || rows[0].KeyID != key.ID || !rows[0].Created.Equal(f.now().Truncate(time.Second)) {
		t.Fatalf("%d rows, %+v", len(rows), rows[0])
	}
	other := strings.ReplaceAll(fileLine(1, key.Public), auth, "AAAAAAAAAAAAAAAAAAAAAA")
	if got := f.importing(t, other, service.ImportOptions{}); got.Conflicting != 1 {
		t.Errorf("other keys: %+v", got)
	}
}

// TestImportDates: times of the file are kept, except for future ones.
func TestImportDates(t *testing.T) {
	f := newFixture(t)
	key := f.withKey(t)
	now := f.now().Truncate(time.Second)
	for i, tt := range []struct {
		members       string
		created, seen time.Time
	}{
		{``, now, now},
		{`,"created":"2023-01-02T03:04:05.678Z"`, time.Date(2023, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2023, 1, 2, 3, 4, 5, 0, time.UTC)},
		{`,"created":"2023-01-02T03:04:05Z","seen":"2024-01-02T03:04:05Z"`, time.Date(2023, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)},
		{`,"created":"2024-01-02T03:04:05Z","seen":"2023-01-02T03:04:05Z"`, time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)},
		{`,"created":"2063-04-05T00:00:00Z","seen":"2063-04-05T00:00:00Z"`, now, now},
	} {
		f.importing(t, strings.Replace(fileLine(i, key.Public), "}\n", tt.members+"}\n", 1), service.ImportOptions{})
		rows := f.rows(t)
		if row := rows[len(rows)-1]; !row.Created.Equal(tt.created) || !row.Seen.Equal(tt.seen) {
			t.Errorf("%s: %v, %v", tt.members, row.Created, row.Seen)
		}
	}
}

// TestImportRefuses: an invalid or forbidden row is refused with its field, and
// the error does not contain the row's values.
func TestImportRefuses(t *testing.T) {
	f := newFixture(t)
	key := f.withKey(t)
	good := fileLine(1, key.Public)
	foreign, err := service.NewKey(f.now())
	if err != nil {
		t.Fatal(err)
	}
	zero := base64.RawURLEncoding.EncodeToString(append([]byte{4}, make([]byte, 64)...))
	for _, tt := range []struct{ name, line, field string }{
		{"local endpoint", strings.Replace(good, "https://web.push.apple.com/", "https://127.0.0.1/", 1), "endpoint"},
		{"http", strings.Replace(good, "https:", "http:", 1), "endpoint"},
		{"foreign host", strings.Replace(good, "web.push.apple.com", "web.push.apple.com.evil.example", 1), "endpoint"},
		{"long endpoint", strings.Replace(good, "/Q1", "/"+strings.Repeat("q", pushsvc.MaxEndpoint), 1), "endpoint"},
		{"not on the curve", strings.Replace(good, p256dh, zero, 1), "keys.p256dh"},
		{"no key", strings.Replace(good, p256dh, "", 1), "keys.p256dh"},
		{"short auth", strings.Replace(good, auth, auth[:10], 1), "keys.auth"},
		{"no VAPID key", strings.Replace(good, key.Public, "", 1), "applicationServerKey"},
		{"foreign VAPID key", strings.Replace(good, key.Public, foreign.Public, 1), "applicationServerKey"},
		{"token", `{"token":"d:APA91b"}`, "token"},
		{"no endpoint", `{"keys":{}}`, "endpoint"},
	} {
		got := f.importing(t, tt.line, service.ImportOptions{})
		if got.Refused != 1 || len(got.Faults) != 1 || got.Faults[0].Field != tt.field || got.Faults[0].Line != 1 || got.Faults[0].Reason == "" {
			t.Errorf("%s: %+v", tt.name, got)
		}
		if strings.Contains(fmt.Sprint(got), "Q1") || strings.Contains(fmt.Sprint(got), p256dh) {
			t.Errorf("%s: the fault repeats the row: %+v", tt.name, got)
		}
	}
	if rows := f.rows(t); len(rows) != 0 {
		t.Errorf("%d rows stored", len(rows))
	}
}

// TestImportBounds: the list of faults is limited.
func TestImportBounds(t *testing.T) {
	f := newFixture(t)
	f.withKey(t)
	got := f.importing(t, strings.Repeat("{}\n", 500), service.ImportOptions{})
	if got.Refused != 500 || len(got.Faults) != service.MaxFaults || got.Faults[service.MaxFaults-1].Line != service.MaxFaults {
		t.Errorf("%d refused, %d told", got.Refused, len(got.Faults))
	}
}

// TestImportKeys: rows without their own key use the given one.
func TestImportKeys(t *testing.T) {
	f := newFixture(t)
	old := f.withKey(t)
	current, err := f.RotateKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bare := func(n int) string { return fileLine(n, "") }
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(old.Public) + "="
	for i, tt := range []struct{ line, key, want string }{
		{bare(0), "current", current.ID},
		{bare(1), old.ID, old.ID},
		{bare(2), old.Public + "=", old.ID},
		{bare(3), standard, old.ID},
		{fileLine(4, old.Public), "current", old.ID},
		{fileLine(5, standard), "", old.ID},
		{"[" + bare(6) + "]", current.Public, current.ID},
	} {
		if got := f.importing(t, tt.line, service.ImportOptions{Key: tt.key}); got.Added != 1 {
			t.Errorf("%d: %+v", i, got)
			continue
		}
		rows := f.rows(t)
		if got := rows[len(rows)-1].KeyID; got != tt.want {
			t.Errorf("%d: key %s, want %s", i, got, tt.want)
		}
	}
	if _, err := f.Import(t.Context(), "a.example", strings.NewReader(bare(9)), service.ImportOptions{Format: transfer.FormatAuto, Key: "nonsense"}); fieldOf(err) != "key" {
		t.Errorf("%v", err)
	}
	counts, err := f.KeyCounts(t.Context())
	if d := cmp.Diff(map[string]int64{old.ID: 5, current.ID: 2}, counts); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
}

// TestImportOneSignal imports OneSignal's table with its key; its binary values
// are in standard base64.
func TestImportOneSignal(t *testing.T) {
	f := newFixture(t)
	f.withKey(t)
	standard := strings.NewReplacer("-", "+", "_", "/")
	file := "id,identifier,language,timezone_id,created_at,invalid_identifier,device_type,web_auth,web_p256\n" +
		"1,https://web.push.apple.com/Q1,de,Europe/Berlin,2023-01-02 03:04:05 UTC,f,17," + standard.Replace(auth) + "==," + standard.Replace(p256dh) + "=\n" +
		"2,https://web.push.apple.com/Q2,de,Europe/Berlin,2023-01-02 03:04:05 UTC,t,17," + auth + "," + p256dh + "\n"
	got := f.importing(t, file, service.ImportOptions{Key: "current"})
	rows := f.rows(t)
	if got.Format != transfer.FormatOneSignal || got.Added != 1 || got.Skipped != 1 || len(rows) != 1 {
		t.Fatalf("%+v, %d rows", got, len(rows))
	}
	if r := rows[0]; r.Language != "de" || r.TimeZone != "Europe/Berlin" || r.Created.Year() != 2023 || base64.RawURLEncoding.EncodeToString(r.P256DH[:]) != p256dh {
		t.Errorf("%+v", r)
	}
}

func TestImportDryRun(t *testing.T) {
	f := newFixture(t)
	key := f.withKey(t)
	got := f.importing(t, fileLine(1, key.Public)+"x\n", service.ImportOptions{DryRun: true})
	if got.Added != 1 || got.Refused != 1 || !got.DryRun || len(f.rows(t)) != 0 {
		t.Errorf("%+v, %d rows", got, len(f.rows(t)))
	}
}

// TestImportDryRunCounts: a dry run counts new, known and conflicting rows as the import after it.
func TestImportDryRunCounts(t *testing.T) {
	f := newFixture(t)
	key := f.withKey(t)
	f.importing(t, fileLine(1, key.Public), service.ImportOptions{})
	other := base64.RawURLEncoding.EncodeToString(make([]byte, pushsvc.AuthSize))
	text := fileLine(1, key.Public) + fileLine(2, key.Public) + fileLine(2, key.Public) + strings.ReplaceAll(fileLine(1, key.Public)+fileLine(2, key.Public), auth, other)
	dry := f.importing(t, text, service.ImportOptions{DryRun: true})
	real := f.importing(t, text, service.ImportOptions{})
	if dry.DryRun = false; !reflect.DeepEqual(dry, real) || real.Added != 1 || real.Known != 2 || real.Conflicting != 2 {
		t.Errorf("the dry run has %+v, the import %+v", dry, real)
	}
}

// broken returns an error after its text.
type broken struct{ text io.Reader }

var errBroken = errors.New("the line is dead")

func (b broken) Read(p []byte) (int, error) {
	n, err := b.text.Read(p)
	if errors.Is(err, io.EOF) {
		err = errBroken
	}
	return n, err
}

// TestImportBreaksOff: complete rows are stored and counted.
func TestImportBreaksOff(t *testing.T) {
	f := newFixture(t)
	key := f.withKey(t)
	text := fileLine(1, key.Public) + fileLine(2, key.Public) + `{"endpoint":"https://web.pu`
	got, err := f.Import(t.Context(), "a.example", broken{strings.NewReader(text)}, service.ImportOptions{Format: transfer.FormatAuto})
	if !errors.Is(err, errBroken) || got.Added != 2 || len(f.rows(t)) != 2 {
		t.Errorf("%+v, %v, %d rows", got, err, len(f.rows(t)))
	}
	var format *transfer.FormatError
	if _, err := f.Import(t.Context(), "a.example", strings.NewReader("hello"), service.ImportOptions{Format: transfer.FormatAuto}); !errors.As(err, &format) {
		t.Errorf("%v", err)
	}
}

// TestExportImport: an export from one server is the same after the import into
// another.
func TestExportImport(t *testing.T) {
	from, to := newFixture(t), newFixture(t)
	key := from.withKey(t)
	for i := range 1500 {
		r := request(i)
		r.Language, r.TimeZone, r.Page = "de", "Europe/Berlin", "/x"
		if i%2 == 0 {
			r.ExpirationTime = ptr(1.9e12)
		}
		if _, err := from.Subscribe(t.Context(), "a.example", r); err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	if n, err := from.Export(t.Context(), "A.example", service.ExportNDJSON, &file); err != nil || n != 1500 || bytes.Count(file.Bytes(), []byte("\n")) != 1500 {
		t.Fatalf("%d, %v", n, err)
	}
	to.advance(time.Hour)
	to.withKey(t)
	if got := to.importing(t, file.String(), service.ImportOptions{}); got.Refused != 1500 || got.Faults[0].Field != "applicationServerKey" {
		t.Errorf("without the key pair: %+v", got.Faults)
	}
	if _, err := to.ImportKey(t.Context(), key.Public, key.Private, true); err != nil {
		t.Fatal(err)
	}
	if got := to.importing(t, file.String(), service.ImportOptions{}); got.Added != 1500 {
		t.Errorf("%+v", got)
	}
	if d := cmp.Diff(from.rows(t), to.rows(t)); d != "" {
		t.Errorf("(-exported +imported):\n%s", d)
	}
	var unknown *service.UnknownSiteError
	if _, err := from.Export(t.Context(), "c.example", service.ExportCSV, io.Discard); !errors.As(err, &unknown) {
		t.Errorf("another site: %v", err)
	}
}

// TestRotation follows a subscription through a rotation: it uses the old key
// until the browser has subscribed with the new one.
func TestRotation(t *testing.T) {
	f := newFixture(t)
	old := f.withKey(t)
	var changed []string
	f.KeyChanged = func(k pushsvc.Key) { changed = append(changed, k.ID) }
	row, err := f.Subscribe(t.Context(), "a.example", request(1))
	if err != nil {
		t.Fatal(err)
	}
	current, err := f.RotateKey(t.Context())
	if err != nil || current.ID == old.ID || !current.Current {
		t.Fatalf("%+v, %v", current, err)
	}
	ring, err := f.Store.Keys(t.Context())
	if err != nil || len(ring) != 2 || ring[0].ID != current.ID || ring[1].Private.Reveal() != old.Private.Reveal() {
		t.Fatalf("%+v, %v", ring, err)
	}
	// The browser returns with its old subscription: it stays on the old key.
	r := request(1)
	r.ApplicationServerKey = old.Public
	if again, err := f.Subscribe(t.Context(), "a.example", r); err != nil || again.ID != row.ID || f.rows(t)[0].KeyID != old.ID {
		t.Errorf("%+v, %v, %+v", again, err, f.rows(t))
	}
	// The browser has subscribed again, in place of the old one.
	r = request(2)
	r.ApplicationServerKey = current.Public
	r.Replaces = new(service.ProofJSON)
	r.Replaces.Endpoint, r.Replaces.Keys.Auth = request(1).Endpoint, auth
	if _, err := f.Subscribe(t.Context(), "a.example", r); err != nil {
		t.Fatal(err)
	}
	if rows := f.rows(t); len(rows) != 1 || rows[0].KeyID != current.ID {
		t.Errorf("%+v", rows)
	}
	if !slices.Equal(changed, []string{current.ID}) {
		t.Errorf("reported keys: %v", changed)
	}
}

// TestUnsupported: a store in memory can't be backed up or compacted.
func TestUnsupported(t *testing.T) {
	f := newFixture(t)
	if _, err := f.Backup(t.Context(), io.Discard); !errors.Is(err, service.ErrUnsupported) {
		t.Errorf("%v", err)
	}
	if _, _, err := f.Compact(t.Context()); !errors.Is(err, service.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}
