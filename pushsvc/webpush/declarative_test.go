package webpush

import (
	"encoding/json"
	"errors"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDeclarative(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, payload string
		mutable       bool
		want          string
	}{
		{
			"least", `{"id":"m1","token":"t","notification":{"title":"Hi","navigate":"https://shop.example/a?b&c"}}`, false,
			`{"web_push":8030,"id":"m1","token":"t","notification":{"title":"Hi","navigate":"https://shop.example/a?b&c"}}`,
		},
		{
			"URLs are made absolute",
			`{"notification":{"title":"Hi","navigate":"/a","icon":"i.png","image":"//cdn.example/x","badge":"http://h/b",
				"actions":[{"action":"y","title":"Yes","navigate":"/y","icon":"/y.png"},{"action":"n","title":"No"}]}}`, false,
			`{"web_push":8030,"notification":{"title":"Hi","navigate":"https://shop.example/a","icon":"https://shop.example/i.png",
				"image":"https://cdn.example/x","badge":"http://h/b","actions":[
				{"action":"y","title":"Yes","navigate":"https://shop.example/y","icon":"https://shop.example/y.png"},
				{"action":"n","title":"No","navigate":"https://shop.example/a"}]}}`,
		},
		{
			"contradictions go",
			`{"notification":{"title":"Hi","navigate":"/","silent":true,"vibrate":[1],"renotify":true,"data":{"a":[1]},"timestamp":12345678901}}`, false,
			`{"web_push":8030,"notification":{"title":"Hi","navigate":"https://shop.example/","silent":true,"data":{"a":[1]},"timestamp":12345678901}}`,
		},
		{
			"what agrees stays",
			`{"notification":{"title":"Hi","navigate":"/","silent":false,"vibrate":[1],"renotify":true,"tag":"x","dir":"rtl","lang":"ar","body":"b"}}`, false,
			`{"web_push":8030,"notification":{"title":"Hi","navigate":"https://shop.example/","silent":false,"vibrate":[1],"renotify":true,"tag":"x","dir":"rtl","lang":"ar","body":"b"}}`,
		},
		{
			"badge and mutable", `{"web_push":"x","app_badge":3,"notification":{"title":"Hi","navigate":"/"}}`, true,
			`{"web_push":8030,"app_badge":3,"mutable":true,"notification":{"title":"Hi","navigate":"https://shop.example/","app_badge":"3","mutable":true}}`,
		},
		{
			"mutable is the caller's to say", `{"mutable":true,"notification":{"title":"Hi","navigate":"/","mutable":1}}`, false,
			`{"web_push":8030,"notification":{"title":"Hi","navigate":"https://shop.example/"}}`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := Declarative([]byte(tc.payload), "https://shop.example", tc.mutable)
			if err != nil {
				t.Fatal(err)
			}
			var have, want any
			if json.Unmarshal(got, &have) != nil || json.Unmarshal([]byte(tc.want), &want) != nil {
				t.Fatalf("no JSON: %s", got)
			}
			if diff := cmp.Diff(want, have); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDeclarativeRefuses(t *testing.T) {
	t.Parallel()
	for payload, field := range map[string]string{
		``: "payload", `null`: "payload", `[]`: "payload", `{"notification":`: "payload",
		`{}`:                                "notification",
		`{"notification":null}`:             "notification",
		`{"notification":"Hi"}`:             "notification",
		`{"notification":{"navigate":"/"}}`: "notification.title",
		`{"notification":{"title":"","navigate":"/"}}`:                                                         "notification.title",
		`{"notification":{"title":1,"navigate":"/"}}`:                                                          "notification.title",
		`{"notification":{"title":"a"}}`:                                                                       "notification.navigate",
		`{"notification":{"title":"a","navigate":"javascript:alert(1)"}}`:                                      "notification.navigate",
		`{"notification":{"title":"a","navigate":"https://"}}`:                                                 "notification.navigate",
		`{"notification":{"title":"a","navigate":"/","icon":"data:x"}}`:                                        "notification.icon",
		`{"notification":{"title":"a","navigate":"/","icon":7}}`:                                               "notification.icon",
		`{"notification":{"title":"a","navigate":"/","dir":"up"}}`:                                             "notification.dir",
		`{"notification":{"title":"a","navigate":"/","body":7}}`:                                               "notification.body",
		`{"notification":{"title":"a","navigate":"/","silent":"true"}}`:                                        "notification.silent",
		`{"notification":{"title":"a","navigate":"/","actions":{}}}`:                                           "notification.actions",
		`{"notification":{"title":"a","navigate":"/","actions":[{"action":"x"}]}}`:                             "notification.actions[0].title",
		`{"notification":{"title":"a","navigate":"/","actions":[{"action":"x","title":"t","navigate":"x:"}]}}`: "notification.actions[0].navigate",
		`{"app_badge":-1,"notification":{"title":"a","navigate":"/"}}`:                                         "app_badge",
		`{"app_badge":{},"notification":{"title":"a","navigate":"/"}}`:                                         "app_badge",
	} {
		_, err := Declarative([]byte(payload), "https://shop.example", false)
		var problem *DeclarativeError
		if !errors.As(err, &problem) || problem.Field != field {
			t.Errorf("%s: %v, want %s", payload, err, field)
		}
	}
	for _, base := range []string{"", "shop.example", "http://shop.example", "https://", "\x00"} {
		if _, err := Declarative([]byte(`{"notification":{"title":"a","navigate":"/"}}`), base, false); err == nil {
			t.Errorf("base %q", base)
		}
	}
}

// FuzzDeclarative: the output satisfies WebKit's rules, and converting twice changes nothing.
func FuzzDeclarative(f *testing.F) {
	f.Add([]byte(`{"id":"1","notification":{"title":"a","navigate":"/x?y=<&>","icon":"i","actions":[{"action":"x","title":"t"}]},"app_badge":2}`), true)
	f.Add([]byte(`{"notification":{"title":"\ud800","navigate":"//h:99/%zz","dir":null,"actions":[null]}}`), false)
	f.Fuzz(func(t *testing.T, payload []byte, mutable bool) {
		once, err := Declarative(payload, "https://shop.example/app/", mutable)
		if err != nil {
			return
		}
		// Maps: structs would ignore the letter case of members.
		var m map[string]any
		if err := json.Unmarshal(once, &m); err != nil || m["web_push"] != 8030.0 {
			t.Fatalf("%s: %v", once, err)
		}
		n, _ := m["notification"].(map[string]any)
		if title, _ := n["title"].(string); title == "" {
			t.Fatalf("no title in %s", once)
		}
		links := []any{n["navigate"]}
		actions, _ := n["actions"].([]any)
		for _, a := range actions {
			links = append(links, a.(map[string]any)["navigate"])
		}
		for _, link := range links {
			if u, err := url.Parse(link.(string)); err != nil || !u.IsAbs() || u.Host == "" {
				t.Fatalf("%q is not absolute", link)
			}
		}
		if twice, err := Declarative(once, "https://other.example", mutable); err != nil || string(twice) != string(once) {
			t.Fatalf("again: %s, %v", twice, err)
		}
	})
}
