package transfer_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/transfer"
)

// TestKinds reads files as other push software and database tools write them. Each has the records
// https://a/1 and https://a/2 with the keys P and A.
func TestKinds(t *testing.T) {
	const first, second = `{"endpoint":"https://a/1","keys":{"p256dh":"P","auth":"A"}}`, `{"endpoint":"https://a/2","keys":{"p256dh":"P","auth":"A"}}`
	quote := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
	escape := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }
	for name, text := range map[string]string{
		"Laravel, CSV":         "id,subscribable_type,subscribable_id,endpoint,public_key,auth_token,content_encoding,created_at\n1,App\\User,7,https://a/1,P,A,aesgcm,2024-01-02 03:04:05\n2,App\\User,8,https://a/2,P,A,,\n",
		"Laravel, JSON":        `[{"id":1,"endpoint":"https://a/1","public_key":"P","auth_token":"A","content_encoding":"aes128gcm"},{"id":2,"endpoint":"https://a/2","public_key":"P","auth_token":"A"}]`,
		"Perfecty":             "id;uuid;endpoint;key_auth;key_p256dh;is_active\n1;u;https://a/1;A;P;1\n2;u;https://a/2;A;P;1\n",
		"Mastodon":             "id|endpoint|key_p256dh|key_auth|data\n1|https://a/1|P|A|{}\n2|https://a/2|P|A|{}\n",
		"Rails":                "endpoint,p256dh_key,auth_key\nhttps://a/1,P,A\nhttps://a/2,P,A\n",
		"Django":               "registration_id,p256dh,auth,browser,active\nhttps://a/1,P,A,CHROME,t\nhttps://a/2,P,A,FIREFOX,t\n",
		"Discourse":            "id,user_id,data\n1,7," + quote(first) + "\n2,8," + quote(second) + "\n",
		"PHP":                  `{"endpoint":"https://a/1","publicKey":"P","authToken":"A","contentEncoding":"aes128gcm"}` + "\n" + `{"endpoint":"https://a/2","publicKey":"P","authToken":"A"}`,
		"some column":          "id,note,payload_of_browser\n1,x," + quote(first) + "\n2,x," + quote(second) + "\n",
		"JSON twice":           "id,subscription\n1," + quote(escape(first)) + "\n2," + quote(escape(second)) + "\n",
		"keys in a column":     "endpoint,keys\nhttps://a/1," + quote(`{"p256dh":"P","auth":"A"}`) + "\nhttps://a/2," + quote(`{"auth":"A","p256dh":"P"}`) + "\n",
		"keys as text":         `{"endpoint":"https://a/1","keys":"{\"p256dh\":\"P\",\"auth\":\"A\"}"}` + "\n" + second,
		"short rows":           "endpoint,p256dh,auth,language,page\nhttps://a/1,P,A\nhttps://a/2,P,A,de\n",
		"blank rows":           "endpoint;p256dh;auth\n;;\nhttps://a/1;P;A\n;;;;\n \t;;\nhttps://a/2;P;A\n;;\n",
		"too many empty":       "endpoint;p256dh;auth\nhttps://a/1;P;A;;;\nhttps://a/2;P;A;\n",
		"Excel":                "sep=;\r\nendpoint;p256dh;auth\r\nhttps://a/1;P;A\r\nhttps://a/2;P;A\r\n",
		"Excel, quoted":        "\ufeff\"sep=\t\"\nendpoint\tp256dh\tauth\nhttps://a/1\tP\tA\nhttps://a/2\tP\tA\n",
		"a comma in a name":    "id;\"name, first\";endpoint;p256dh;auth\n1;x;https://a/1;P;A\n2;x;https://a/2;P;A\n",
		"pipes":                "endpoint|p256dh|auth\nhttps://a/1|P|A\nhttps://a/2|P|A\n",
		"NULL":                 "endpoint,p256dh,auth,language\nhttps://a/1,P,A,NULL\nhttps://a/2,P,A,\\N\n",
		"phpMyAdmin":           "[\n{\"type\":\"header\",\"version\":\"5.2.1\",\"comment\":\"Export to JSON plugin for PHPMyAdmin\"},\n{\"type\":\"database\",\"name\":\"shop\"},\n{\"type\":\"table\",\"name\":\"push_subscriptions\",\"database\":\"shop\",\"data\":\n[\n{\"id\":\"1\",\"endpoint\":\"https://a/1\",\"public_key\":\"P\",\"auth_token\":\"A\"},\n{\"id\":\"2\",\"endpoint\":\"https://a/2\",\"public_key\":\"P\",\"auth_token\":\"A\"}\n]\n}\n]\n",
		"a page of an API":     `{"total":2,"page":1,"data":[` + first + `,` + second + `],"next":null}`,
		"items within":         `{"result":{"items":[` + first + `,` + second + `]}}`,
		"lists of lists":       `[[` + first + `],[` + second + `]]`,
		"users with several":   `[{"user":7,"subscriptions":[` + first + `]},{"user":8,"subscriptions":[` + second + `]}]`,
		"strings":              `[` + escape(first) + `,` + escape(second) + `]`,
		"strings by name":      `{"k1":` + escape(first) + `,"k2":` + escape(second) + `}`,
		"under push":           `[{"id":1,"name":"x","push":` + first + `},{"id":2,"push":` + second + `}]`,
		"twice under":          `{"id":1,"user":{"device":` + first + `}}` + "\n" + `{"id":2,"user":{"device":` + second + `}}`,
		"as text under":        `{"id":1,"sub":` + escape(first) + `}` + "\n" + `{"id":2,"sub":` + escape(second) + `}`,
		"tags before endpoint": `[{"tags":[{"a":"b"}],"endpoint":"https://a/1","keys":{"p256dh":"P","auth":"A"}},` + second + `]`,
	} {
		t.Run(name, func(t *testing.T) {
			records, faults, _, err := readAll(t, text, transfer.FormatAuto)
			if err != nil || len(faults) > 0 {
				t.Fatalf("%v, faults %v", err, faults)
			}
			var got []string
			for _, r := range records {
				got = append(got, r.Endpoint+" "+r.P256DH+" "+r.Auth+" "+r.Skip)
			}
			if d := cmp.Diff([]string{"https://a/1 P A ", "https://a/2 P A "}, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestKindsSkip: unsubscribed records are skipped, in tables and JSON.
func TestKindsSkip(t *testing.T) {
	for _, text := range []string{
		"endpoint,key_p256dh,key_auth,is_active\nhttps://a/1,P,A,0\n",
		`{"endpoint":"https://a/1","public_key":"P","auth_token":"A","is_active":"0"}`,
		`{"endpoint":"https://a/1","keys":{"p256dh":"P","auth":"A"},"active":false}`,
	} {
		records, faults, _, err := readAll(t, text, transfer.FormatAuto)
		if err != nil || len(faults) > 0 || len(records) != 1 || records[0].Skip != "unsubscribed" {
			t.Errorf("%s: %+v, %v, %v", text, records, faults, err)
		}
	}
}

// TestKindsOuter: members around a subscription belong to its record.
func TestKindsOuter(t *testing.T) {
	for _, text := range []string{
		"lang,created_at,info\nde,2026-01-02,\"{\"\"endpoint\"\":\"\"https://a/1\"\",\"\"keys\"\":{\"\"p256dh\"\":\"\"P\"\",\"\"auth\"\":\"\"A\"\"}}\"\n",
		`{"lang":"de","created_at":"2026-01-02","info":{"endpoint":"https://a/1","keys":{"p256dh":"P","auth":"A"}}}`,
	} {
		records, faults, _, err := readAll(t, text, transfer.FormatAuto)
		if err != nil || len(faults) > 0 || len(records) != 1 || records[0].Language != "de" || records[0].Created.Year() != 2026 {
			t.Errorf("%s: %+v, %v, %v", text, records, faults, err)
		}
	}
}

// TestUnknownColumns: the error about an unknown file names the columns that it has and lacks, and none of
// its values.
func TestUnknownColumns(t *testing.T) {
	for _, tt := range []struct{ text, says string }{
		{"id,name,mail\n1,x,y\n", "Its columns are: id, name, mail. Missing: endpoint (also as identifier, "},
		{"id,endpoint,token_a\n1,https://a/1,x\n", "Missing: p256dh (also as web_p256, "},
		{"1,https://push.example/s3cr3t,P,A\n", "its first line is a record"},
		{"s3cr3t-value-that-is-longer-than-a-name-may-be,x\n1,2\n", "1 more"},
		{"INSERT INTO `subs` VALUES (1,'s3cr3t');\n", "an SQL dump"},
		{"-- phpMyAdmin SQL Dump\n", "an SQL dump"},
		{"<?xml version=\"1.0\"?>\n", "XML"},
	} {
		_, _, _, err := readAll(t, tt.text, transfer.FormatAuto)
		var bad *transfer.FormatError
		if !errors.As(err, &bad) || !strings.Contains(bad.Problem, tt.says) || strings.Contains(bad.Problem, "s3cr3t") {
			t.Errorf("%q: %v; want something with %q", tt.text, err, tt.says)
		}
	}
	r, err := transfer.NewReader(strings.NewReader(`{"name":"x","mail":"y"}`), transfer.FormatAuto)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err == nil || !strings.Contains(err.Error(), "this one has: mail, name") {
		t.Errorf("an object of something else: %v", err)
	}
}

// TestTable: reading returns the records of our own table, with topics.
func TestTable(t *testing.T) {
	want := []transfer.Record{
		{Line: 2, Endpoint: "https://a/?b=1,\"2\"", P256DH: "-P", Auth: "A", Key: "K", Expiration: time.UnixMilli(1700000000123).UTC(), Language: "de", TimeZone: "Europe/Berlin", Page: "/ü;", Topics: []string{"deals", "news"}, Created: time.Unix(1700000000, 0).UTC(), Seen: time.Unix(1700000001, 0).UTC()},
		{Line: 3, Endpoint: "https://a/2", P256DH: "P", Auth: "A"},
		{Line: 4, Endpoint: "https://a/3", P256DH: "P", Auth: "A", Topics: []string{}},
	}
	text := transfer.AppendHeader(nil)
	for _, r := range want {
		text = transfer.AppendRow(text, r)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{string(text), packed.String()} {
		records, faults, format, err := readAll(t, file, transfer.FormatAuto)
		if err != nil || len(faults) != 0 || format != transfer.FormatCSV {
			t.Fatalf("%v, %v, %s", faults, err, format)
		}
		if d := cmp.Diff(want, records); d != "" {
			t.Errorf("(-want +got):\n%s\n%s", d, text)
		}
	}
}
