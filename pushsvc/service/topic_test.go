package service_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/transfer"
)

// TestSubscribeTopics: a sequence of a browser's posts.
func TestSubscribeTopics(t *testing.T) {
	f := newFixture(t)
	f.withKey(t)
	site := []string{"news", "deals"}
	for _, tt := range []struct {
		name                     string
		site, chosen, byDefaults []string
		want                     []string
	}{
		{"the site has none", nil, []string{"news"}, []string{"news"}, nil},
		{"not asked", site, nil, nil, nil},
		{"the site's defaults", site, nil, []string{"news", "gone"}, []string{"news"}},
		{"they come too late", site, nil, []string{"deals"}, []string{"news"}},
		{"a choice, one of them not the site's", site, []string{"news", "deals", "gone"}, nil, []string{"deals", "news"}},
		{"a worker, which knows of none", site, nil, nil, []string{"deals", "news"}},
		{"none of them", site, []string{}, nil, []string{}},
		{"defaults are for who never chose", site, nil, []string{"news"}, []string{}},
		{"only those that the site has no more", site, []string{"gone"}, nil, []string{}},
		{"a choice from before the site gave up its topics", nil, []string{"news"}, nil, []string{}},
	} {
		r := request(1)
		r.SiteTopics, r.Topics, r.DefaultTopics = tt.site, tt.chosen, tt.byDefaults
		row, err := f.Subscribe(t.Context(), "a.example", r)
		stored := f.rows(t)
		if err != nil || len(stored) != 1 || !same(row.Topics, tt.want) || !same(stored[0].Topics, tt.want) {
			t.Errorf("%s: %#v, %v; stored %+v; want %#v", tt.name, row.Topics, err, stored, tt.want)
		}
	}
}

func same(a, b []string) bool { return (a == nil) == (b == nil) && slices.Equal(a, b) }

// TestSubscribeTopicsHidden: a sender that knows an endpoint but not its keys
// neither changes nor sees its topics: the answer is the same as for a new one.
func TestSubscribeTopicsHidden(t *testing.T) {
	f := newFixture(t)
	f.withKey(t)
	r := request(1)
	r.SiteTopics, r.Topics = []string{"news", "deals"}, []string{"news"}
	if _, err := f.Subscribe(t.Context(), "a.example", r); err != nil {
		t.Fatal(err)
	}
	r.Topics, r.Keys.Auth = []string{"deals"}, strings.Repeat("A", 22)
	row, err := f.Subscribe(t.Context(), "a.example", r)
	if stored := f.rows(t); err != nil || !same(row.Topics, r.Topics) || !same(stored[0].Topics, []string{"news"}) {
		t.Errorf("%+v, %v; stored %+v", row, err, stored)
	}
}

// TestSendTopics: a dry run counts the recipients; the row has the topics.
func TestSendTopics(t *testing.T) {
	f := newFixture(t)
	f.withKey(t)
	for i, chosen := range [][]string{nil, {}, {"news"}, {"deals"}, {"deals", "news"}, {"sport"}} {
		r := request(i)
		r.SiteTopics, r.Topics = []string{"news", "deals", "sport"}, chosen
		if _, err := f.Subscribe(t.Context(), "a.example", r); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		topics []string
		want   int64
	}{{nil, 6}, {[]string{"news"}, 2}, {[]string{"news", "deals", "news"}, 3}, {[]string{"unknown"}, 0}} {
		r := service.SendRequest{Site: "a.example", Content: pushsvc.Content{Title: "x", TTL: ptr(500)}, Topics: tt.topics, Rate: ptr(0.01)}
		run, err := f.DryRun(t.Context(), r)
		if err != nil || run.Audience.Total != tt.want || run.Message.Progress.Audience != tt.want || (len(run.Warnings) > 0) != (tt.want == 6 || tt.want == 0) {
			t.Errorf("%q: %+v, %v; want %d", tt.topics, run, err, tt.want)
		}
		sent, err := f.Send(t.Context(), r)
		if err != nil || !slices.Equal(sent.Message.Topics, pushsvc.CleanTopics(tt.topics)) || (len(sent.Warnings) > 0) != (tt.want == 6 || tt.want == 0) {
			t.Errorf("%q: %+v, %v", tt.topics, sent, err)
		}
	}
	for _, tt := range []struct {
		topics []string
		want   string // the one warning
	}{
		{[]string{"deal", "news"}, `no subscriber has chosen the topic "deal"; did you mean "deals"?`},
		{[]string{"Deals"}, `no subscriber has chosen the topic "Deals"; did you mean "deals"?`},
		{[]string{"weather"}, `no subscriber has chosen the topic "weather"; the site has deals, news, sport`},
	} {
		r := service.SendRequest{Site: "a.example", Content: pushsvc.Content{Title: "x"}, Topics: tt.topics}
		run, err := f.DryRun(t.Context(), r)
		sent, sendErr := f.Send(t.Context(), r)
		if err != nil || sendErr != nil || !slices.Equal(run.Warnings, []string{tt.want}) || !slices.Equal(sent.Warnings, run.Warnings) {
			t.Errorf("%q: %q and %q, %v, %v; want %q", tt.topics, run.Warnings, sent.Warnings, err, sendErr, tt.want)
		}
	}
	for _, r := range []service.SendRequest{{Topics: []string{"news"}, Only: 1}, {Topics: make([]string, pushsvc.MaxTopics+1)}} {
		r.Site, r.Content.Title = "a.example", "x"
		if _, err := f.Send(t.Context(), r); fieldOf(err) != "topics" {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if _, err := f.DryRun(t.Context(), service.SendRequest{Site: "a.example", Content: pushsvc.Content{Title: "x"}, Topics: []string{"new s"}}); fieldOf(err) != "topics[0]" {
		t.Error(err)
	}
}

// TestTransferTopics: an export includes topics.
func TestTransferTopics(t *testing.T) {
	from := newFixture(t)
	key := from.withKey(t)
	chosen := [][]string{nil, {}, {"deals", "news"}}
	for i, topics := range chosen {
		r := request(i)
		r.SiteTopics, r.Topics = []string{"news", "deals"}, topics
		if _, err := from.Subscribe(t.Context(), "a.example", r); err != nil {
			t.Fatal(err)
		}
	}
	var file strings.Builder
	if _, err := from.Export(t.Context(), "a.example", service.ExportNDJSON, &file); err != nil {
		t.Fatal(err)
	}
	to := newFixture(t)
	if _, err := to.ImportKey(t.Context(), key.Public, key.Private, true); err != nil {
		t.Fatal(err)
	}
	if _, err := to.Import(t.Context(), "a.example", strings.NewReader(file.String()), service.ImportOptions{Format: transfer.FormatAuto}); err != nil {
		t.Fatal(err)
	}
	rows := to.rows(t)
	for i, want := range chosen {
		if len(rows) != len(chosen) || !same(rows[i].Topics, want) {
			t.Errorf("%d: %+v, want %#v; the file is %s", i, rows, want, file.String())
		}
	}
}
