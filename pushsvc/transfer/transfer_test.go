package transfer_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/transfer"
)

// readAll reads a whole file: its records, its faults, and the error at the end.
func readAll(t testing.TB, text string, format transfer.Format) (records []transfer.Record, faults []string, kind transfer.Format, err error) {
	t.Helper()
	r, err := transfer.NewReader(strings.NewReader(text), format)
	if err != nil {
		return nil, nil, "", err
	}
	for range len(text) + 2 {
		rec, err := r.Next()
		var bad *transfer.RecordError
		switch {
		case errors.Is(err, io.EOF):
			return records, faults, r.Format(), nil
		case errors.As(err, &bad):
			faults = append(faults, fmt.Sprintf("%d %s", bad.Line, bad.Field))
		case err != nil:
			return records, faults, r.Format(), err
		default:
			records = append(records, rec)
		}
	}
	t.Fatalf("no end of %q", text)
	return nil, nil, "", nil
}

// endpoints returns the records' lines and endpoints.
func endpoints(records []transfer.Record) (list []string) {
	for _, r := range records {
		list = append(list, fmt.Sprintf("%d %s", r.Line, r.Endpoint))
	}
	return list
}

const sub = `{"endpoint":"https://a/%d","keys":{"p256dh":"P","auth":"A"}}`

func line(n int) string { return fmt.Sprintf(sub, n) }

func TestReader(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
		faults     []string
		format     transfer.Format
	}{
		{"empty", "", nil, nil, "auto"},
		{"blank", " \r\n\n\t", nil, nil, "auto"},
		{"one line", line(1), []string{"1 https://a/1"}, nil, "web-push"},
		{"lines", line(1) + "\n" + line(2) + "\r\n\n" + line(3) + "\n", []string{"1 https://a/1", "2 https://a/2", "4 https://a/3"}, nil, "web-push"},
		{"byte order mark", "\ufeff" + line(1) + "\n", []string{"1 https://a/1"}, nil, "web-push"},
		{"bad lines between", line(1) + "\n{\"endpoint\":\n{\"endpoint\":\"x\n7\nnull\n" + line(2), []string{"1 https://a/1", "6 https://a/2"}, []string{"2 ", "3 ", "4 ", "5 "}, "web-push"},
		{"bad line first", "{]}\n" + line(2), []string{"2 https://a/2"}, []string{"1 "}, "web-push"},
		{"wrong type", `{"endpoint":7}` + "\n" + line(2), []string{"2 https://a/2"}, []string{"1 endpoint"}, "web-push"},
		{"wrong type inside", `{"endpoint":"x","keys":{"auth":1}}` + "\n", nil, []string{"1 keys.auth"}, "auto"},
		{"long line", `{"endpoint":"` + strings.Repeat("x", transfer.MaxRecord) + "\"}\n" + line(2), []string{"2 https://a/2"}, []string{"1 "}, "web-push"},
		{"nothing in it", "{}\n" + line(2), []string{"2 https://a/2"}, []string{"1 endpoint"}, "web-push"},
		{"list", "[" + line(1) + ",\n" + line(2) + "]\n", []string{"1 https://a/1", "2 https://a/2"}, nil, "web-push"},
		{"empty list", "[ ]", nil, nil, "auto"},
		{"indented list", "[\n  {\n    \"endpoint\": \"https://a/1\"\n  },\n  {\n    \"endpoint\": \"https://a/]}\\\"\"\n  }\n]\n", []string{"2 https://a/1", "5 https://a/]}\""}, nil, "web-push"},
		{"list with strangers", `[7, null, "x", ["y"], ` + line(1) + `]`, []string{"1 https://a/1"}, []string{"1 ", "1 ", "1 ", "1 "}, "web-push"},
		{"cut off list", "[" + line(1) + ",\n{\"endpoint\":", []string{"1 https://a/1"}, []string{"2 "}, "web-push"},
		{"cut off between", "[" + line(1) + ",", []string{"1 https://a/1"}, []string{"1 "}, "web-push"},
		{"something after", "[" + line(1) + "]\nx", []string{"1 https://a/1"}, []string{"2 "}, "web-push"},
		{"long element", `[{"endpoint":"` + strings.Repeat("x", transfer.MaxRecord) + `"},` + line(2) + `]`, nil, []string{"1 "}, "auto"},
		{"one indented object", "{\n \"endpoint\": \"https://a/1\",\n \"keys\": {}\n}\n", []string{"1 https://a/1"}, nil, "web-push"},
		{"indented objects", "{\n \"endpoint\": \"https://a/1\"\n}\n{\n \"endpoint\": \"https://a/2\"\n}\n", []string{"1 https://a/1", "4 https://a/2"}, nil, "web-push"},
		{"under a name", "{\"subscriptions\": [" + line(1) + ",\n" + line(2) + "]}", []string{"1 https://a/1", "2 https://a/2"}, nil, "web-push"},
		{"by name", "{\"-Nx1\": " + line(1) + ",\n\"-Nx2\": " + line(2) + "}", []string{"1 https://a/1", "2 https://a/2"}, nil, "web-push"},
		{"keys first", `{"keys":{"p256dh":"P","auth":"A"},"endpoint":"https://a/1"}`, []string{"1 https://a/1"}, nil, "web-push"},
		{"nested", `{"user":7,"subscription":` + line(1) + `}`, []string{"1 https://a/1"}, nil, "web-push"},
		{"nested as text", `{"subscription":"{\"endpoint\":\"https://a/1\",\"keys\":{}}"}`, []string{"1 https://a/1"}, nil, "web-push"},
		{"bare tokens", `["dXb1:APA91bHx","eZ:APA91x"]`, nil, []string{"1 ", "1 "}, "auto"},
		{"a token alone", `{"token":"dXb1:APA91bHx"}` + "\n", nil, []string{"1 token"}, "auto"},
		{"csv", "endpoint,p256dh,auth\nhttps://a/1,P,A\n\nhttps://a/2,P,A\n", []string{"2 https://a/1", "4 https://a/2"}, nil, "csv"},
		{"csv with a bad row", "endpoint,p256dh,auth\nhttps://a/1,P\nx\"y,P,A\nhttps://a/2,P,A", []string{"4 https://a/2"}, []string{"2 ", "3 "}, "csv"},
		{"csv of whole subscriptions", "user,subscription\n7,\"{\"\"endpoint\"\":\"\"https://a/1\"\"}\"\n8,x\n", []string{"2 https://a/1"}, []string{"3 "}, "csv"},
		{"semicolons", "Endpoint;P256dh;Auth\nhttps://a/1;P;A", []string{"2 https://a/1"}, nil, "csv"},
		{"a quote that never ends", "endpoint,p256dh,auth\nhttps://a/1,P,A\n\"" + strings.Repeat("x\n", transfer.MaxRecord), []string{"2 https://a/1"}, []string{"3 "}, "csv"},
		{"only a header", "endpoint,p256dh,auth\n", nil, nil, "csv"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			records, faults, format, err := readAll(t, tt.text, transfer.FormatAuto)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, endpoints(records)); d != "" {
				t.Errorf("records (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tt.faults, faults); d != "" {
				t.Errorf("faults (-want +got):\n%s", d)
			}
			if format != tt.format {
				t.Errorf("format %s, want %s", format, tt.format)
			}
		})
	}
}

func TestFormats(t *testing.T) {
	const header = "identifier,web_auth,web_p256\n"
	for _, tt := range []struct {
		name, text string
		wanted     transfer.Format
		says       string
	}{
		{"garbage", "hello", "auto", "neither JSON nor a table"},
		{"binary", "\x00\x01\xff\xfe\x00,x\n", "auto", "neither JSON nor a table"},
		{"gzip", "\x1f\x8b\x08\x00xxxx", "auto", "compressed"},
		{"zip", "PK\x03\x04xx", "auto", "zip"},
		{"utf-16", "\xff\xfe{\x00", "auto", "UTF-16"},
		{"other table", "name,mail\na,b\n", "auto", "columns endpoint"},
		{"onesignal without keys", "id,identifier,session_count\n", "auto", "extra_fields"},
		{"csv for json", header, "web-push", "not JSON"},
		{"json for csv", line(1), "onesignal", "is a table"},
		{"web-push for firebase", line(1), "firebase", "web-push, not firebase"},
		{"onesignal for csv", header, "csv", "onesignal, not csv"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, _, err := readAll(t, tt.text, tt.wanted)
			var bad *transfer.FormatError
			if !errors.As(err, &bad) || !strings.Contains(bad.Problem, tt.says) {
				t.Errorf("%v; want something with %q", err, tt.says)
			}
		})
	}
	for _, f := range transfer.Formats() {
		if got, err := transfer.ParseFormat(string(f)); err != nil || got != f {
			t.Errorf("ParseFormat(%s) = %s, %v", f, got, err)
		}
	}
	if _, err := transfer.ParseFormat("xml"); err == nil || !strings.Contains(err.Error(), "onesignal") {
		t.Errorf("ParseFormat(xml): %v", err)
	}
}

// TestOneSignal reads an export with every default column and the extra ones.
func TestOneSignal(t *testing.T) {
	const file = `id,identifier,session_count,language,timezone,game_version,device_os,device_type,device_model,ad_id,tags,last_active,playtime,amount_spent,created_at,invalid_identifier,badge_count,notification_types,timezone_id,web_auth,web_p256
1,https://fcm.googleapis.com/fcm/send/x,4,de,3600,,126,5,Linux x86_64,,"{""a"":""b, c""}",2024-11-10 08:09:10 UTC,0,0,2023-01-02 03:04:05 UTC,f,0,1,Europe/Berlin,AUTH,P256
2,https://updates.push.services.mozilla.com/wpush/v2/y,1,en,-18000,,115,8,Win32,,{},1704067200,0,0,2023-01-02,false,0,,,AUTH,P256
3,https://fcm.googleapis.com/fcm/send/z,1,en,0,,1,5,,,{},,,,,t,0,1,,AUTH,P256
4,https://fcm.googleapis.com/fcm/send/z,1,en,0,,1,5,,,{},,,,,f,0,-2,,AUTH,P256
5,a@example.com,1,en,0,,1,11,,,{},,,,,f,0,1,,,
6,` + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" + `,1,en,0,,1,7,,,{},,,,,f,0,1,,,
7,APA91bTOKEN,1,en,0,,1,5,,,{},,,,,f,0,1,,,
`
	records, faults, format, err := readAll(t, file, transfer.FormatOneSignal)
	if err != nil || format != transfer.FormatOneSignal {
		t.Fatalf("%s, %v", format, err)
	}
	day := time.Date(2023, 1, 2, 3, 4, 5, 0, time.UTC)
	want := []transfer.Record{
		{Line: 2, Endpoint: "https://fcm.googleapis.com/fcm/send/x", P256DH: "P256", Auth: "AUTH", Language: "de", TimeZone: "Europe/Berlin", Created: day, Seen: time.Date(2024, 11, 10, 8, 9, 10, 0, time.UTC)},
		{Line: 3, Endpoint: "https://updates.push.services.mozilla.com/wpush/v2/y", P256DH: "P256", Auth: "AUTH", Language: "en", Created: day.Truncate(24 * time.Hour), Seen: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)},
	}
	if d := cmp.Diff(want, records[:2]); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	var skipped []string
	for _, r := range records[2:] {
		skipped = append(skipped, fmt.Sprintf("%d %s", r.Line, r.Skip))
	}
	if d := cmp.Diff([]string{"4 unsubscribed", "5 unsubscribed", "6 another channel"}, skipped); d != "" {
		t.Errorf("skipped (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"7 identifier", "8 identifier"}, faults); d != "" {
		t.Errorf("faults (-want +got):\n%s", d)
	}
}

// TestFirebase reads what Firebase's client keeps in the browser, what it sends, and what can't be used.
func TestFirebase(t *testing.T) {
	const file = `{"token":"d:APA91b","createTime":1700000000000,"subscriptionOptions":{"vapidKey":"BSITE","swScope":"https://a/firebase-cloud-messaging-push-scope","endpoint":"https://fcm.googleapis.com/fcm/send/d:APA91b","auth":"A","p256dh":"P"}}
{"web":{"endpoint":"https://fcm.googleapis.com/fcm/send/2","auth":"A","p256dh":"P","applicationPubKey":"BSITE"}}
{"web":{"endpoint":"https://fcm.googleapis.com/fcm/send/3","auth":"A","p256dh":"P"}}
{"token":"d:APA91b","createTime":1700000000000}
`
	records, faults, format, err := readAll(t, file, transfer.FormatFirebase)
	if err != nil || format != transfer.FormatFirebase {
		t.Fatalf("%s, %v", format, err)
	}
	want := []transfer.Record{
		{Line: 1, Endpoint: "https://fcm.googleapis.com/fcm/send/d:APA91b", P256DH: "P", Auth: "A", Key: "BSITE", Created: time.UnixMilli(1700000000000).UTC()},
		{Line: 2, Endpoint: "https://fcm.googleapis.com/fcm/send/2", P256DH: "P", Auth: "A", Key: "BSITE"},
	}
	if d := cmp.Diff(want, records); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	// The third record was made with Firebase's own key.
	if d := cmp.Diff([]string{"3 vapidKey", "4 token"}, faults); d != "" {
		t.Errorf("faults (-want +got):\n%s", d)
	}
}

// TestMembers: other push software's names of members that a PushSubscription does not have.
func TestMembers(t *testing.T) {
	for _, tt := range []struct {
		text string
		want transfer.Record
	}{
		{`{"endpoint":"e","expirationTime":1700000000123,"keys":{"p256dh":"P","auth":"A"},"applicationServerKey":"K","language":"de","timeZone":"Europe/Berlin","page":"/x","created":"2026-01-02T03:04:05Z","seen":"2026-02-02T03:04:05+01:00"}`, transfer.Record{Endpoint: "e", P256DH: "P", Auth: "A", Key: "K", Expiration: time.UnixMilli(1700000000123).UTC(), Language: "de", TimeZone: "Europe/Berlin", Page: "/x", Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Seen: time.Date(2026, 2, 2, 2, 4, 5, 0, time.UTC)}},
		{`{"endpoint":"e","p256dh":"P","auth":"A","vapid_public_key":"K","lang":"de","time_zone":"UTC","created_at":1700000000,"updated_at":"2026-02-02 03:04:05"}`, transfer.Record{Endpoint: "e", P256DH: "P", Auth: "A", Key: "K", Language: "de", TimeZone: "UTC", Created: time.Unix(1700000000, 0).UTC(), Seen: time.Date(2026, 2, 2, 3, 4, 5, 0, time.UTC)}},
		{`{"_id":{"$oid":"x"},"endpoint":"e","createdAt":{"$date":"2026-01-02T03:04:05.000Z"},"updatedAt":{"$date":{"$numberLong":"1"}}}`, transfer.Record{Endpoint: "e", Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}},
		{`{"endpoint":"e","expirationTime":null,"language":["de"],"created":"soon","seen":-5,"timeZone":null}`, transfer.Record{Endpoint: "e"}},
		{`{"endpoint":"e","created":1e300,"expirationTime":"never"}`, transfer.Record{Endpoint: "e"}},
	} {
		records, faults, _, err := readAll(t, tt.text, transfer.FormatAuto)
		if err != nil || len(records) != 1 {
			t.Errorf("%s: %v, %v, %v", tt.text, records, faults, err)
			continue
		}
		tt.want.Line = 1
		if d := cmp.Diff(tt.want, records[0]); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.text, d)
		}
	}
}

// TestRoundTrip: reading returns what was written.
func TestRoundTrip(t *testing.T) {
	want := []transfer.Record{
		{Line: 1, Endpoint: "https://a/?b=1&c=<d>", P256DH: "P", Auth: "A", Key: "K", Expiration: time.UnixMilli(1700000000123).UTC(), Language: "de", TimeZone: "Europe/Berlin", Page: "/ü", Created: time.Unix(1700000000, 0).UTC(), Seen: time.Unix(1700000001, 0).UTC()},
		{Line: 2, Endpoint: "https://a/2", P256DH: "P", Auth: "A"},
	}
	var text []byte
	for _, r := range want {
		text = transfer.AppendRecord(text, r)
	}
	records, faults, format, err := readAll(t, string(text), transfer.FormatAuto)
	if err != nil || len(faults) != 0 || format != transfer.FormatWebPush {
		t.Fatalf("%v, %v, %s", faults, err, format)
	}
	if d := cmp.Diff(want, records); d != "" {
		t.Errorf("(-want +got):\n%s\n%s", d, text)
	}
	if !strings.Contains(string(text), "b=1&c=<d>") {
		t.Errorf("escaped for HTML: %s", text)
	}
}

// endless repeats a text, up to n bytes.
type endless struct {
	text string
	n    int64
}

func (e *endless) Read(p []byte) (int, error) {
	if e.n <= 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) {
		n += copy(p[n:], e.text)
	}
	e.n -= int64(n)
	return n, nil
}

// TestBoundedMemory reads 16 MiB of each hostile kind and must not keep it.
func TestBoundedMemory(t *testing.T) {
	for name, text := range map[string]string{
		"one line": `{"endpoint":"xxxxxxxxxxxxxxx`, "one list": "[", "one string": `["xxxxxxxxxxxxxxxxxxxx`,
		"a quote": "endpoint,p256dh,auth\n\"xxxxxxxx", "a row": "endpoint,p256dh,auth,", "spaces": "        ", "lines": line(1) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			head, repeat := text, "xxxxxxxxxxxxxxxx"
			if name == "one list" || name == "spaces" || name == "lines" {
				repeat = text
			}
			r, err := transfer.NewReader(io.MultiReader(strings.NewReader(head), &endless{repeat, 16 << 20}), transfer.FormatAuto)
			for err == nil {
				_, err = r.Next()
				var bad *transfer.RecordError
				if errors.As(err, &bad) {
					err = nil
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			runtime.KeepAlive(r)
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 2<<20 {
				t.Errorf("%d bytes kept", grown)
			}
		})
	}
}

// FuzzReader: every file ends, no record is longer than allowed, and errors contain nothing of the file.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		line(1) + "\n" + line(2), "[" + line(1) + "]", "{\"a\":[" + line(1) + "]}", "{\n\"endpoint\":\"x\"}", "endpoint,p256dh,auth\na,b,c\n",
		"id,identifier,web_auth,web_p256,invalid_identifier,device_type\n1,x,y,z,t,5", `{"token":"d:APA91b"}`, `["APA91"]`, "\ufeff[", "{]}\n{",
		`{"subscription":"{\"endpoint\":\"e\"}"}`, "a;b\n\"", "[[[[{}]]]]}", `{"$date":1}`, "[\"x\":{}]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		records, _, _, err := readAll(t, text, transfer.FormatAuto)
		var bad *transfer.FormatError
		if err != nil && !errors.As(err, &bad) {
			t.Errorf("%q: %v", text, err)
		}
		for _, r := range records {
			if len(r.Endpoint) > transfer.MaxRecord || r.Line < 1 || r.Endpoint == "" && r.Skip == "" {
				t.Errorf("%q: %+v", text, r)
			}
		}
	})
}

// FuzzRoundTrip: writing and reading preserves a record.
func FuzzRoundTrip(f *testing.F) {
	f.Add(line(1))
	f.Add(`{"endpoint":"e","created":1,"seen":"2026-01-01","expirationTime":5.5,"page":"\u2028<"}`)
	f.Fuzz(func(t *testing.T, text string) {
		records, _, _, err := readAll(t, text, transfer.FormatAuto)
		if err != nil {
			return
		}
		for _, r := range records {
			if r.Skip != "" {
				continue
			}
			line := transfer.AppendRecord(nil, r)
			if len(line) > transfer.MaxRecord {
				continue
			}
			again, faults, _, err := readAll(t, string(line), transfer.FormatAuto)
			if err != nil || len(again) != 1 {
				t.Fatalf("%q: %v, %v, %v", line, again, faults, err)
			}
			r.Line, r.Created, r.Seen = 1, r.Created.Truncate(time.Second), r.Seen.Truncate(time.Second)
			if d := cmp.Diff(r, again[0]); d != "" && r.Created.Unix() > 0 && r.Seen.Unix() > 0 {
				t.Errorf("%q:\n%s", line, d)
			}
		}
	})
}
